"""What free traffic is worth in a tick when its own impressions age the creatives and a commission feeds the supply of creators."""

import numpy as np
from numba import njit


@njit(cache=True)
def best_free(natural: np.ndarray, transaction: np.ndarray, people: np.ndarray, fewest: np.ndarray, reach: np.ndarray,
              supply: np.ndarray, goals: np.ndarray, credit: float, rent: float, share: float, worn: np.ndarray, gain: np.ndarray,
              toll: np.ndarray) -> float:
    """Most that one segment's free traffic yields over commissions, both ends of the supply and of D, fen.

    A policy shows between the fewest and the most impressions; each beyond the fewest pays for the exposure it adds. The value is
    convex in the supply (reach is) and in D, so only their ends matter; `rent` is paid for the supply, `gain` earned at the far D.

    Args:
        natural, transaction: (C, S) by commission and (S,): fen if every opportunity were shown, nobody annoyed and D = 0.
        people: (2, S) opportunities of both pools per member of the audience.
        fewest: (2, S) least share shown; reach: (J, 2, S) the most, by end of the supply.
        supply: (J,); goals: (C,) supply a commission leads to; credit: fen per unit of goal.
        share: CTR under pressure over CTR without; worn: (S,) CTR at the far D over that at 0; gain: (S,).
        toll: (S,) fen per exposure.
    """
    best, scenes = -1e300, transaction.shape[0]
    fixed = np.empty((2, scenes))
    for j in range(supply.shape[0]):
        for i in range(2):
            for s in range(scenes):
                full = transaction[s] * share * (worn[s] if i else 1.0)
                fixed[i, s] = fewest[1, s] * full + (reach[j, 1, s] - fewest[1, s]) * max(full - people[1, s] * toll[s], 0.0)
        for c in range(goals.shape[0]):
            total = credit * goals[c] - rent * supply[j]
            for s in range(scenes):
                most, shown = reach[j, 0, s] - fewest[0, s], people[0, s] * toll[s]
                full = natural[c, s] * share
                near = fixed[0, s] + fewest[0, s] * full + most * max(full - shown, 0.0)
                full *= worn[s]
                far = fixed[1, s] + fewest[0, s] * full + most * max(full - shown, 0.0) + gain[s]
                total += max(near, far)
            best = max(best, total)
    return best
