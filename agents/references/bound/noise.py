"""How far counts can be from their means, whatever a policy does (docs/upper_bound.md, lemmas 2 to
4).

A count of a tick is Poisson given its gamma factor, and its intensity is within known limits
whatever has happened before. So the exponential moment of a weighted sum of counts is at most the
product of moments at the limits (conditioning tick by tick), and Markov's inequality gives tails
(Chernoff) that hold for every policy, one that reacts to what it sees included.
"""

from functools import cache

import numpy as np

UNLIKELY = 1e-10  # chance of each of the events that are left out
NODES = np.linspace(-5.5, 5.5, 1101)  # of the normal draw behind a gamma factor; 23 bits reach 5.3
SLOPES = np.concatenate([-np.geomspace(60, 1e-4, 400), [0.0], np.geomspace(1e-4, 60, 400)])
TILTS = np.geomspace(0.02, 30, 40)  # tried, in units of one over the deviation; any gives a bound


def gamma_factor(normal: np.ndarray, variation: float) -> np.ndarray:
    """The gamma factor of a normal draw (world 2.1j)."""
    return np.maximum(1 - variation / 9 + normal * np.sqrt(variation) / 3, 0.0) ** 3


@cache
def _moments(variation: float) -> np.ndarray:
    """ln E e^(s gamma) at SLOPES: the trapezoid rule, enlarged by what it may lack."""
    weight = np.exp(-(NODES**2) / 2)
    exponent = SLOPES[:, None] * gamma_factor(NODES, variation)
    top = exponent.max(1, keepdims=True)
    mean = (np.exp(exponent - top) * weight).sum(1) / weight.sum()
    return np.log(mean) + top[:, 0] + 1e-6 * np.abs(SLOPES)


def log_moment(slope: np.ndarray, variation: float) -> np.ndarray:
    """At least ln E e^(slope gamma); infinite beyond the table.

    It is convex in the slope, so that linear interpolation is never too small.
    """
    found = np.interp(slope, SLOPES, _moments(round(float(variation), 9)))
    return np.where(np.abs(slope) <= SLOPES[-1], found, np.inf)


def deviation(
    means: np.ndarray, weights: np.ndarray, variation: float, sign: int, chance: float = UNLIKELY
) -> np.ndarray:
    """A value that sum_i weights_i N_i exceeds (sign 1) or falls below (sign -1) with at most this
    chance.

    Args:
        means: (..., items) most (sign 1) or least (sign -1) intensity of each count, its gamma
            factor left out; every item has a factor of its own.
        weights: (..., items), not negative.
        variation: squared coefficient of variation of a gamma factor.
        sign: 1 for the upper, -1 for the lower tail.
        chance: of each value by itself.

    Returns:
        (...) values; at least 0.
    """
    means, weights = np.broadcast_arrays(means, weights)
    mean = (means * weights).sum(-1)
    spread = np.sqrt((weights**2 * (means + variation * means**2)).sum(-1))
    best = np.full(mean.shape, np.inf if sign > 0 else 0.0)
    for tilt in TILTS:
        theta = tilt / np.maximum(spread, 1e-300)
        grown = np.expm1(np.minimum(sign * theta[..., None] * weights, 500.0))
        total = log_moment(means * grown, variation).sum(-1)
        value = sign * (total - np.log(chance)) / theta
        best = np.minimum(best, value) if sign > 0 else np.maximum(best, value)
    return np.where(spread > 0, best, mean)


def highest_mix(least: np.ndarray, most: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """(...) largest mean of `rate` (..., lanes) over weights between `least` and `most`: the lanes
    of the highest rates weigh their most, the others their least.
    """
    order = np.argsort(-rate, axis=-1, kind="stable")
    low, high, best = (np.take_along_axis(x, order, -1) for x in (least, most, rate))
    more = high - low
    top = (low * best).sum(-1, keepdims=True) + (more * best).cumsum(-1)
    all_ = low.sum(-1, keepdims=True) + more.cumsum(-1)
    return np.maximum((top / np.maximum(all_, 1e-300)).max(-1), 0.0)


def smoothed_ratios(
    rate: np.ndarray, noise: np.ndarray, shares: tuple[np.ndarray, np.ndarray], start: np.ndarray
) -> np.ndarray:
    """(n, T, pools) at least the mean of a smoothed ratio after each tick, whoever moves its
    weights.

    R' = w R + (1 - w) c / s, where the mean of c / s given s is at most `rate` and w lies between
    two limits; a policy may choose it by what it has seen. One that cuts supply after lucky ticks
    keeps w high while R is high; it gains at most the width of the limits times E(R - m)^+, which
    is at most the square root of E((R - m)^+)^2, carried along (docs/upper_bound.md, lemma 4).

    Args:
        rate: (n, T, pools).
        noise: (n, T, pools) most of (1 - w)^2 times the variance of c / s given s.
        shares: least and most w, (n, T, pools) each.
        start: (n, pools) the ratio before the first tick.
    """
    mean = start
    square = np.zeros_like(start)
    found = np.empty_like(rate)
    least, most = shares
    for t in range(rate.shape[1]):
        low, high = least[:, t], most[:, t]
        above = np.maximum(mean - rate[:, t], 0.0)
        mean = rate[:, t] + high * above + (high - low) * np.sqrt(square)
        square = high**2 * square + noise[:, t]
        found[:, t] = mean
    return found


def loudest(entered: np.ndarray, keep: float, variation: float) -> np.ndarray:
    """(n, T) most that sum_u keep^(t - 1 - u) voice_u is in any scene before each tick.

    Given the auctions A of a tick the impressions won are Poisson with mean A at most, and voice is
    their number over max(A, 1). So ln E e^(theta voice) is at most A (e^(theta / A) - 1), which
    falls in A; A is at least 1 and at least its mean times the smallest gamma factor.

    Args:
        entered: (n, T, scenes) auctions, their mean.
        keep: share of what was added that a tick keeps.
        variation: squared coefficient of variation of a gamma factor.
    """
    n, ticks, _ = entered.shape
    auctions = np.maximum(entered * gamma_factor(NODES[:1], variation), 1.0)
    found = np.zeros((n, ticks))
    for t in range(1, ticks):
        weights = keep ** np.arange(t - 1, -1, -1.0)[:, None]
        a = auctions[:, :t]
        spread = np.sqrt((weights**2 / a).sum(1, keepdims=True))
        best = np.full(found[:, t].shape, np.inf)
        for tilt in TILTS:
            theta = tilt / spread
            total = (a * np.expm1(np.minimum(theta * weights / a, 500.0))).sum(1, keepdims=True)
            best = np.minimum(best, ((total - np.log(UNLIKELY)) / theta).max((1, 2)))
        found[:, t] = best
    return found
