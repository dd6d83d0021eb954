"""What free traffic is worth in a tick when its own impressions age the creatives."""

from typing import NamedTuple

import numpy as np
from numba import njit


class FreeTick(NamedTuple):
    """One segment's free traffic in one tick, by scene (S scenes)."""

    full: np.ndarray  # (2, S) fen of both pools if all were shown, nobody annoyed, D = 0
    people: np.ndarray  # (2, S) opportunities of both pools per member of the audience
    fewest: np.ndarray  # (2, S) least share shown
    most: np.ndarray  # (2, 2, S) largest share shown, by ends of quality


class FreePrices(NamedTuple):
    """What wear and quality cost or bring one segment's free traffic in one tick, by scene."""

    worn: np.ndarray  # (S,) CTR at the far end of D over that at 0
    gain: np.ndarray  # (S,) fen earned at the far end of D
    quality_rent: np.ndarray  # (2, S) fen for the most extra quality of each pool
    toll: np.ndarray  # (S,) fen per exposure added


@njit(cache=True)
def shown_worth(full: float, cost: float, fewest: float, most: np.ndarray, rent: float) -> float:
    """Most a lane yields when it shows between `fewest` and `most` of its opportunities, over both
    ends of the extra quality.

    Args:
        full: fen if every opportunity were shown.
        cost: fen that these impressions would pay for the exposure they add.
        fewest: least share shown.
        most: (2,) largest share shown, without and with the most extra quality.
        rent: fen due for the most extra quality.
    """
    net = max(full - cost, 0.0)
    return fewest * full + max((most[0] - fewest) * net, (most[1] - fewest) * net - rent)


@njit(cache=True)
def best_free(free: FreeTick, prices: FreePrices, share: float) -> float:
    """Most that one segment's free traffic yields over the ends of extra quality and D, fen.

    A policy shows between the fewest and the most impressions; each beyond the fewest pays for the
    exposure it adds. The value is convex in quality (the share shown is) and in D, so only their
    ends matter. Rents are paid for quality, gains are earned at the far D.

    Args:
        free: the traffic.
        prices: what D and quality cost.
        share: CTR under pressure over CTR without.
    """
    total = 0.0
    for s in range(free.full.shape[1]):
        near = 0.0
        far = prices.gain[s]
        for p in range(2):
            full = free.full[p, s] * share
            cost = free.people[p, s] * prices.toll[s]
            few = free.fewest[p, s]
            most = free.most[:, p, s]
            rent = prices.quality_rent[p, s]
            near += shown_worth(full, cost, few, most, rent)
            far += shown_worth(full * prices.worn[s], cost, few, most, rent)
        total += max(near, far)
    return total
