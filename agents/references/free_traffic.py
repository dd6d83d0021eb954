"""What free traffic is worth in a tick when its own impressions age the creatives and a commission
feeds the supply of creators.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def shown_worth(full: float, cost: float, fewest: float, reach: np.ndarray, rent: float) -> float:
    """Most a lane yields when it shows between `fewest` and `reach` of its opportunities, over both
    ends of the extra quality.

    Args:
        full: fen if every opportunity were shown; cost: what these impressions would pay for the
            exposure they add.
        reach: (2,) most shown without and with the most extra quality, for which `rent` is due.
    """
    net = max(full - cost, 0.0)
    return fewest * full + max((reach[0] - fewest) * net, (reach[1] - fewest) * net - rent)


@njit(cache=True)
def best_free(
    natural: np.ndarray,
    transaction: np.ndarray,
    people: np.ndarray,
    fewest: np.ndarray,
    reach: np.ndarray,
    supply: np.ndarray,
    goals: np.ndarray,
    credit: float,
    rent: float,
    share: float,
    worn: np.ndarray,
    gain: np.ndarray,
    quality_rent: np.ndarray,
    toll: np.ndarray,
) -> float:
    """Most that one segment's free traffic yields over commissions and over the ends of supply,
    extra quality and D, fen.

    A policy shows between the fewest and the most impressions; each beyond the fewest pays for the
    exposure it adds. The value is convex in supply and quality (reach is) and in D, so only their
    ends matter; rents are paid for supply and quality, `gain` is earned at the far D.

    Args:
        natural, transaction: (C, S) by commission and (S,): fen if every opportunity were shown,
            nobody annoyed and D = 0.
        people: (2, S) opportunities of both pools per member of the audience.
        fewest: (2, S) least share shown; reach: (J, 2, 2, S) the most, by ends of supply and of
            quality.
        supply: (J,); goals: (C,) supply a commission leads to; credit: fen per unit of goal; rent:
            fen per unit of supply.
        share: CTR under pressure over CTR without; worn: (S,) CTR at the far D over that at 0;
            gain: (S,).
        quality_rent: (2, S) fen for the most extra quality; toll: (S,) fen per exposure.
    """
    best = -1e300
    scenes = transaction.shape[0]
    fixed = np.empty((2, scenes))
    for j in range(supply.shape[0]):
        for i in range(2):
            for s in range(scenes):
                full = transaction[s] * share * (worn[s] if i else 1.0)
                fixed[i, s] = shown_worth(
                    full,
                    people[1, s] * toll[s],
                    fewest[1, s],
                    reach[j, :, 1, s],
                    quality_rent[1, s],
                )
        for c in range(goals.shape[0]):
            total = credit * goals[c] - rent * supply[j]
            for s in range(scenes):
                full = natural[c, s] * share
                cost = people[0, s] * toll[s]
                near = shown_worth(full, cost, fewest[0, s], reach[j, :, 0, s], quality_rent[0, s])
                far = shown_worth(
                    full * worn[s], cost, fewest[0, s], reach[j, :, 0, s], quality_rent[0, s]
                )
                total += max(fixed[0, s] + near, fixed[1, s] + far + gain[s])
            best = max(best, total)
    return best
