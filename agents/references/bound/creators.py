"""The supply of creators that a commission on natural orders feeds (world 2.2)."""

import numpy as np

from ....envs.market import layout as rows
from ....envs.market.demand import LEAST_COMMISSION

COMMISSION_POINTS = 20


def supply_at(commission: float, w: np.void, ticks: int) -> np.ndarray:
    """(T,) influencer supply in each tick when this commission on natural orders is offered
    throughout.
    """
    goal = np.log(max(commission, LEAST_COMMISSION) / float(w["commission_reference"]))
    return goal * (1 - (1 - float(w["influencer_speed"])) ** np.arange(ticks))


def commissions(w: np.void, levers: tuple[str, ...]) -> np.ndarray:
    """(C,) commissions on natural orders to choose from, rising; COMMISSION_SLACK covers what lies
    between them.
    """
    row = rows.LEVER_COMMISSION_NATURAL
    if "commission_natural" not in levers:
        return w["lever_default"][row : row + 1].astype(float)
    low = float(w["lever_low"][row])
    high = float(w["lever_high"][row])
    grid = np.geomspace(LEAST_COMMISSION, max(high, LEAST_COMMISSION), COMMISSION_POINTS)
    return np.unique(np.concatenate([[low], grid[grid > low]]))


def supply_goals(w: np.void, rates: np.ndarray) -> tuple[np.ndarray, float]:
    """(C,) supply that each commission leads to, and how far max_k (a goal(k) - b k) can lie above
    the best of them, per a.

    In u = ln k it is a u - b e^u, whose curvature between two points around the best one is at most
    a times their ratio.
    """
    goals = np.log(np.maximum(rates, LEAST_COMMISSION) / float(w["commission_reference"]))
    step = float(np.diff(goals).max(initial=0.0))
    return goals, float(np.exp(step)) * step**2 / 8
