"""Multiple-choice knapsack for many plans at once: one choice per class, one price of money per
plan.
"""

from typing import NamedTuple

import numpy as np


class Menu(NamedTuple):
    """What every class chooses at every price of money: constant between breakpoints (m,), which
    rise.
    """

    breaks: np.ndarray  # (m,) prices at which some class changes its choice
    # (m + 1, k) choice below the first breakpoint, between each two, and above the last
    choice: np.ndarray
    cost: np.ndarray  # (m + 1, k) its cost; never rises with the price


def price_menu(uplift: np.ndarray, cost: np.ndarray) -> Menu:
    """argmax_c uplift - price * cost of every class, for all prices.

    Args:
        uplift, cost: (k, choices); choice 0 costs nothing and brings nothing, others cost
            something.
    """
    first, second = np.triu_indices(uplift.shape[1], 1)
    more = cost[:, second] - cost[:, first]
    slopes = (uplift[:, second] - uplift[:, first]) / np.where(np.abs(more) > 1e-15, more, np.inf)
    breaks = np.unique(slopes[slopes > 0])
    between = np.concatenate([breaks[:1] * 0.5, 0.5 * (breaks[1:] + breaks[:-1]), breaks[-1:] * 2])
    choice = (uplift - between[:, None, None] * cost).argmax(2)
    return Menu(breaks, choice, cost[np.arange(len(cost)), choice])


def best_rows(
    menu: Menu, volume: np.ndarray, allowed: np.ndarray, least_price: np.ndarray
) -> np.ndarray:
    """Multiple-choice knapsack by its Lagrangian: the menu row (n,) of the least price that keeps
    to the allowance, found by bisection.

    Args:
        menu: of all classes.
        volume: (n, k) weights of the classes.
        allowed: (n,) most that sum volume * cost may be.
        least_price: (n,) price that is never undercut.
    """
    last = len(menu.breaks)
    low = np.searchsorted(menu.breaks, least_price)
    high = np.full(len(volume), last)
    for _ in range(int(np.ceil(np.log2(last + 1))) + 1):
        middle = (low + high) // 2
        fits = (volume * menu.cost[middle]).sum(1) <= allowed
        low = np.where(fits, low, np.minimum(middle + 1, high))
        high = np.where(fits, middle, high)
    return high
