"""What free traffic is worth in a tick when its own impressions age the creatives and a commission
feeds the supply of creators.
"""

from typing import NamedTuple

import numpy as np
from numba import njit


class FreeTick(NamedTuple):
    """One segment's free traffic in one tick, by scene (S scenes)."""

    natural: np.ndarray  # (C, S) fen by commission if all were shown, nobody annoyed, D = 0
    transaction: np.ndarray  # (S,) the same of the transaction pool
    people: np.ndarray  # (2, S) opportunities of both pools per member of the audience
    fewest: np.ndarray  # (2, S) least share shown
    most: np.ndarray  # (J, 2, 2, S) largest share shown, by ends of supply and of quality


class CreatorTick(NamedTuple):
    """The supply of creators in one tick, and what moving it costs."""

    supply: np.ndarray  # (J,) the ends of what can be reached
    goals: np.ndarray  # (C,) supply that each commission leads to
    credit: float  # fen per unit of goal
    rent: float  # fen per unit of supply


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
def best_free(free: FreeTick, creators: CreatorTick, prices: FreePrices, share: float) -> float:
    """Most that one segment's free traffic yields over commissions and over the ends of supply,
    extra quality and D, fen.

    A policy shows between the fewest and the most impressions; each beyond the fewest pays for the
    exposure it adds. The value is convex in supply and quality (the share shown is) and in D, so
    only their ends matter. Rents are paid for supply and quality, gains are earned at the far D.

    Args:
        free: the traffic.
        creators: the supply.
        prices: what D and quality cost.
        share: CTR under pressure over CTR without.
    """
    best = -1e300
    for j in range(creators.supply.shape[0]):
        fixed = transaction_worth(free, prices, share, j)
        for c in range(creators.goals.shape[0]):
            total = creators.credit * creators.goals[c] - creators.rent * creators.supply[j]
            for s in range(free.transaction.shape[0]):
                full = free.natural[c, s] * share
                cost = free.people[0, s] * prices.toll[s]
                few = free.fewest[0, s]
                most = free.most[j, :, 0, s]
                rent = prices.quality_rent[0, s]
                near = shown_worth(full, cost, few, most, rent)
                far = shown_worth(full * prices.worn[s], cost, few, most, rent)
                total += max(fixed[0, s] + near, fixed[1, s] + far + prices.gain[s])
            best = max(best, total)
    return best


@njit(cache=True)
def transaction_worth(free: FreeTick, prices: FreePrices, share: float, j: int) -> np.ndarray:
    """(2, S) most of the transaction pool at D = 0 and at the far D, with supply at its end j."""
    scenes = free.transaction.shape[0]
    found = np.empty((2, scenes))
    for i in range(2):
        for s in range(scenes):
            full = free.transaction[s] * share * (prices.worn[s] if i else 1.0)
            found[i, s] = shown_worth(
                full,
                free.people[1, s] * prices.toll[s],
                free.fewest[1, s],
                free.most[j, :, 1, s],
                prices.quality_rent[1, s],
            )
    return found
