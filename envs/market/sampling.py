"""Counts: Poisson and binomial draws over many lanes at once.

The thinning theorem lets independent Poisson counts of {no click, click without order, plain order, coupon order}
have exactly the joint law of the chain Poisson -> binomial -> binomial -> binomial.
"""

import numpy as np

from .compiled import kernel, scalar
from .layout import CELLS, GROUPS
from .numerics import HALF, ONE, TAIL, ZERO, exp32, log32, normal_quantile, quantile_centre, quantile_curve, quantile_tail

F = np.float32
LARGE = F(8)        # means from here on are drawn by the Cornish-Fisher normal, below by inversion
TINY = F(1e-30)     # keeps the terms of nearly empty lanes out of the denormals, which are 100 times slower
RESOLUTION = F(1e-8)   # float32 cannot tell u from cdf + 1e-8
UNROLLED, MOST_TERMS = 4, 64
SIXTH, ROUNDING = F(1 / 6), F(5 / 36)


@scalar
def cornish_fisher(mean, z):
    """floor(m + s z + (z^2 - 1)/6 + 1/2) with s^2 = m - 5/36: the mean, variance and skewness of Poisson(m).

    Rounding adds 1/12 and the quadratic term 2/36 to the variance, hence the 5/36 (own derivation).
    """
    spread = np.sqrt(max(mean - ROUNDING, ZERO))
    return max(ZERO, np.floor(mean + spread * z + (z * z - ONE) * SIXTH + HALF))


@kernel
def poisson_by_normal(mean, uniform, count, curve):
    """Cornish-Fisher draws for means of at least LARGE; the few lanes in the normal's tails are drawn one by one."""
    for j in range(CELLS):
        w = quantile_curve(uniform[j])
        curve[j] = w
        count[j] = cornish_fisher(mean[j], quantile_centre(uniform[j], w))
    tails = np.int32(0)
    for j in range(CELLS):
        tails |= np.int32(curve[j] >= TAIL)
    if tails:
        for j in range(CELLS):
            if curve[j] >= TAIL:
                count[j] = cornish_fisher(mean[j], quantile_tail(uniform[j], curve[j]))


@kernel
def poisson_by_inversion(mean, uniform, count, term, rest):
    """Inversion by masked summation, all lanes in step, until the last lane is done (means < 8).

    The count is the number of k with u > cdf(k). The first terms run unrolled in registers. A lane also ends where its
    terms have shrunk under float32's resolution of u: the quantile there is the tail's own.
    """
    alive = np.int32(0)
    for j in range(CELLS):
        m = mean[j]
        weight = exp32(-m)
        left = uniform[j] - weight
        number = ONE if left > ZERO else ZERO
        weight = max(weight * m, TINY)              # written out: LLVM would unroll a loop too late to vectorise
        left -= weight
        number += ONE if left > ZERO else ZERO
        weight = max(weight * m * F(1 / 2), TINY)
        left -= weight
        number += ONE if left > ZERO else ZERO
        weight = max(weight * m * F(1 / 3), TINY)
        left -= weight
        number += ONE if left > ZERO else ZERO
        count[j], term[j], rest[j] = number, weight, left
    for j in range(CELLS):
        alive |= np.int32((rest[j] > ZERO) & (term[j] > RESOLUTION))
    first = UNROLLED
    while alive and first < MOST_TERMS:
        alive = np.int32(0)
        for i in range(first, first + 4):
            inverse = ONE / F(i)
            for j in range(CELLS):
                weight = max(term[j] * mean[j] * inverse, TINY)
                left = rest[j] - weight
                count[j] += ONE if (left > ZERO) & (weight > RESOLUTION) else ZERO
                term[j], rest[j] = weight, left
        for j in range(CELLS):
            alive |= np.int32((rest[j] > ZERO) & (term[j] > RESOLUTION))
        first += 4


@kernel
def poisson(mean, uniform, count, term, rest, small, small_count):
    """Draw one row of 48 counts; only the sampler that the row's means ask for runs."""
    large = np.int32(0)
    for j in range(CELLS):
        large += np.int32(mean[j] >= LARGE)
    if large == CELLS:
        poisson_by_normal(mean, uniform, count, term)
    elif large == 0:
        poisson_by_inversion(mean, uniform, count, term, rest)
    else:
        for j in range(CELLS):
            small[j] = mean[j] if mean[j] < LARGE else ZERO
        poisson_by_normal(mean, uniform, count, term)
        poisson_by_inversion(small, uniform, small_count, term, rest)
        for j in range(CELLS):
            count[j] = small_count[j] if mean[j] < LARGE else count[j]


@kernel
def binomial(number, chance, uniform, count):
    """Draw one binomial count per group, (12,) float32 each; 0 <= count <= number always.

    Inversion while the expected number of the rarer outcome stays below 8, else the Cornish-Fisher normal.
    """
    for g in range(GROUPS):
        n, p = number[g], min(max(chance[g], ZERO), ONE)
        flip = p > HALF
        rare = ONE - p if flip else p
        if n * rare <= ZERO:
            k = ZERO
        elif n * rare < LARGE:
            odds = rare / (ONE - rare)
            term = exp32(n * log32(ONE - rare))
            rest = uniform[g] - term
            k = ZERO
            while rest > ZERO and k < n and k < F(60):
                term *= (n - k) / (k + ONE) * odds
                rest -= term
                k += ONE
        else:
            z = normal_quantile(uniform[g])
            variance = n * rare * (ONE - rare)
            k = np.floor(n * rare + np.sqrt(variance) * z + (ONE - F(2) * rare) * (z * z - ONE) * SIXTH + HALF)
        k = min(max(k, ZERO), n)
        count[g] = n - k if flip else k
