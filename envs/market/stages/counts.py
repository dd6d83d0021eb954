"""Counts: Poisson and binomial draws over many lanes at once.

The thinning theorem lets independent Poisson counts of {no click, click without order, plain order,
coupon order} have exactly the joint law of the chain Poisson -> binomial -> binomial -> binomial.

Rows are named by number, lane.rows[row, j]: taking a row out as an array costs two atomic
operations on its reference count.
"""

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import (
    HALF,
    ONE,
    ZERO,
    exp32,
    log32,
    normal_quantile,
    quantile_curve,
    quantile_shape,
)
from .. import layout as rows

F = np.float32
LARGE = F(4)  # means from here on are drawn by the expanded normal quantile, below by inversion
NORMAL = F(8)  # variance from which a binomial is drawn by its normal approximation
# keeps the terms of nearly empty lanes out of the denormals, which are 100 times slower
TINY = F(1e-30)
RESOLUTION = F(1e-8)  # float32 cannot tell u from cdf + 1e-8
UNROLLED = 5
MOST_TERMS = 61
THIRD = F(1 / 3)
SIXTH = F(1 / 6)

# Rows of `lane` a binomial draw uses, and the lanes it draws: the groups, filled up to whole
# vectors.
NUMBER = rows.SMALL
CHANCE = rows.SMALL_COUNT
RARE = rows.OFFER
DRAW = rows.WIN
DRAWN = 16
SUMMED = F(2)  # the last term that is summed for all lanes in step


@scalar
def poisson_quantile(mean, z):
    """Quantile of Poisson(m) at the standard normal quantile z, floor of the expansion in
    1/sqrt(m), for m >= LARGE.

    m + s z + (z^2 + 2)/6 - (z + z^3/2)/(36 s) + (z^4/270 + 7 z^2/810 - 8/405)/m + (a z + b z^3 + c
    z^5)/s^3, s^2 = m: Giles 2016 (ACM TOMS algorithm 955); a, b, c fitted to the incomplete gamma
    function. Total variation from the true law at most 3e-4 (at m = 4), mean within 2e-4 and
    variance within 3e-4 of it.
    """
    h = ONE / np.sqrt(max(mean, ONE))
    s = z * z
    third = (F(0.02257151) + s * (F(-0.00647501) + s * F(-0.00065566))) * z
    second = F(-8 / 405) + s * (F(7 / 810) + s * F(1 / 270))
    first = (F(-1 / 36) - s * F(1 / 72)) * z
    return max(
        ZERO,
        np.floor(mean + mean * h * z + THIRD + s * SIXTH + h * (first + h * (second + h * third))),
    )


@kernel
def first_terms(lane, o):
    """Start the inversion of outcome o: the count is the number of k with u > cdf(k); five terms,
    in registers.

    Lanes of large means come along at LARGE, harmless and unused: a mask would cost more.
    """
    for j in range(rows.N_LANES):
        m = min(lane.rows[rows.MEAN_SEEN + o, j], LARGE)
        weight = exp32(-m)
        left = lane.rows[rows.UNIFORM + o, j] - weight
        number = ONE if left > ZERO else ZERO
        # written out: LLVM would unroll a loop too late to vectorise
        weight = max(weight * m, TINY)
        left -= weight
        number += ONE if left > ZERO else ZERO
        weight = max(weight * m * F(1 / 2), TINY)
        left -= weight
        number += ONE if left > ZERO else ZERO
        weight = max(weight * m * F(1 / 3), TINY)
        left -= weight
        number += ONE if left > ZERO else ZERO
        weight = max(weight * m * F(1 / 4), TINY)
        left -= weight
        number += ONE if left > ZERO else ZERO
        lane.rows[rows.SEEN + o, j] = number
        lane.rows[rows.TERM + o, j] = weight
        lane.rows[rows.REST + o, j] = left


@kernel
def more_terms(lane, o, first):
    """Four more terms, from number `first` on. A lane ends where its terms have shrunk under
    float32's resolution of u.
    """
    i0 = ONE / F(first)
    i1 = ONE / F(first + 1)
    i2 = ONE / F(first + 2)
    i3 = ONE / F(first + 3)
    for j in range(rows.N_LANES):
        m = min(lane.rows[rows.MEAN_SEEN + o, j], LARGE)
        number = lane.rows[rows.SEEN + o, j]
        weight = max(lane.rows[rows.TERM + o, j] * m * i0, TINY)
        left = lane.rows[rows.REST + o, j] - weight
        number += ONE if (left > ZERO) & (weight > RESOLUTION) else ZERO
        weight = max(weight * m * i1, TINY)
        left -= weight
        number += ONE if (left > ZERO) & (weight > RESOLUTION) else ZERO
        weight = max(weight * m * i2, TINY)
        left -= weight
        number += ONE if (left > ZERO) & (weight > RESOLUTION) else ZERO
        weight = max(weight * m * i3, TINY)
        left -= weight
        number += ONE if (left > ZERO) & (weight > RESOLUTION) else ZERO
        lane.rows[rows.SEEN + o, j] = number
        lane.rows[rows.TERM + o, j] = weight
        lane.rows[rows.REST + o, j] = left


@kernel
def unfinished(lane, o):
    """Whether any lane of a small mean has probability left to go through and terms that matter."""
    alive = np.int32(0)
    for j in range(rows.N_LANES):
        going = (lane.rows[rows.REST + o, j] > ZERO) & (lane.rows[rows.TERM + o, j] > RESOLUTION)
        alive |= np.int32(going & (lane.rows[rows.MEAN_SEEN + o, j] < LARGE))
    return alive != 0


@kernel
def any_large(lane, o):
    """Whether any lane of the outcome has a large mean."""
    large = np.int32(0)
    for j in range(rows.N_LANES):
        large |= np.int32(lane.rows[rows.MEAN_SEEN + o, j] >= LARGE)
    return large != 0


@kernel
def draw_large(lane, o):
    """Replace the counts of large means by normal quantiles; plain loops, because LLVM does not
    vectorise them as one.
    """
    for j in range(rows.N_LANES):
        lane.rows[rows.TERM + o, j] = quantile_curve(lane.rows[rows.UNIFORM + o, j])
    for j in range(rows.N_LANES):
        lane.rows[rows.REST + o, j] = quantile_shape(
            lane.rows[rows.UNIFORM + o, j], lane.rows[rows.TERM + o, j]
        )
    for j in range(rows.N_LANES):
        lane.rows[rows.REST + o, j] = poisson_quantile(
            lane.rows[rows.MEAN_SEEN + o, j], lane.rows[rows.REST + o, j]
        )
    for j in range(rows.N_LANES):
        lane.rows[rows.SEEN + o, j] = (
            lane.rows[rows.REST + o, j]
            if lane.rows[rows.MEAN_SEEN + o, j] >= LARGE
            else lane.rows[rows.SEEN + o, j]
        )


@kernel
def poisson(lane):
    """Draw the counts of all outcomes, (OUTCOMES, 48), from their means and the rows UNIFORM to
    UNIFORM_4.

    Step by step for all outcomes rather than outcome by outcome: the processor overlaps what does
    not depend on each other.
    """
    for o in range(rows.N_OUTCOMES):
        first_terms(lane, o)
    for o in range(rows.N_OUTCOMES):
        first = UNROLLED
        while first < MOST_TERMS and unfinished(lane, o):
            more_terms(lane, o, first)
            first += 4
    for o in range(rows.N_OUTCOMES):
        if any_large(lane, o):
            draw_large(lane, o)


@kernel
def binomial_by_terms(number, rare, uniform, term, rest):
    """Go on with a binomial inversion whose last term was that of SUMMED; a normal where 8 or more
    are expected.
    """
    if number * rare < NORMAL:
        odds = rare / (ONE - rare)
        k = SUMMED
        while rest > ZERO and k < number and k < F(60):
            term *= (number - k) / (k + ONE) * odds
            rest -= term
            k += ONE
        return k
    z = normal_quantile(uniform)
    variance = number * rare * (ONE - rare)
    return np.floor(
        number * rare + np.sqrt(variance) * z + (ONE - F(2) * rare) * (z * z - ONE) * SIXTH + HALF
    )


@kernel
def binomial(lane):
    """Draw row DRAW from rows NUMBER, CHANCE and UNIFORM_2, first DRAWN lanes; 0 <= draw <= number
    always.

    Inversion of the rarer outcome, as for Poisson counts: the first terms for all lanes in step,
    what is left one by one.
    """
    for j in range(DRAWN):
        p = min(max(lane.rows[CHANCE, j], ZERO), ONE)
        rare = min(p, ONE - p)
        weight = exp32(lane.rows[NUMBER, j] * log32(ONE - rare))
        lane.rows[RARE, j] = rare
        lane.rows[rows.TERM, j] = weight
    for j in range(DRAWN):
        n = lane.rows[NUMBER, j]
        weight = lane.rows[rows.TERM, j]
        odds = lane.rows[RARE, j] / (ONE - lane.rows[RARE, j])
        left = lane.rows[rows.UNIFORM_2, j] - weight
        k = ONE if left > ZERO else ZERO
        weight = weight * n * odds
        left -= weight
        k += ONE if left > ZERO else ZERO
        weight = weight * max(n - ONE, ZERO) * odds * HALF
        left -= weight
        k += ONE if left > ZERO else ZERO
        lane.rows[DRAW, j] = k
        lane.rows[rows.TERM, j] = weight
        lane.rows[rows.REST, j] = left
    for j in range(rows.N_GROUPS):
        n = lane.rows[NUMBER, j]
        rare = lane.rows[RARE, j]
        rest = lane.rows[rows.REST, j]
        if (rest > ZERO and n > SUMMED) or n * rare >= NORMAL:
            lane.rows[DRAW, j] = binomial_by_terms(
                n, rare, lane.rows[rows.UNIFORM_2, j], lane.rows[rows.TERM, j], rest
            )
    for j in range(DRAWN):
        n = lane.rows[NUMBER, j]
        k = min(max(lane.rows[DRAW, j], ZERO), lane.rows[NUMBER, j])
        lane.rows[DRAW, j] = n - k if lane.rows[CHANCE, j] > HALF else k
