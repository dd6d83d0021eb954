"""How a plan will end if bids are what they are from now on: projected spend, value and cost
(shares of budget, and of budget * target).

For rules that plan (`OnlineLP`, `MPC`). Derived here from the ledger's own terms: free sales go on
per unit of traffic as they did; costs other than ads go with sales; what is on its way arrives;
refunds still to come are a multiple of those reported.
"""

from typing import NamedTuple

import numpy as np

from ...policy import Reading
from .landscape import ROI
from .reported import Memory

LEAST = 1e-9


class Outlook(NamedTuple):
    """What is settled of a plan's end, and what each unit of further ad sales adds. All (n,)."""

    spent: np.ndarray  # ad spend so far / budget
    ahead: np.ndarray  # traffic still to come, share of the episode's
    sales: np.ndarray  # gross GMV at the end without any further ads / (budget * target)
    kept: np.ndarray  # share of gross GMV that stays after refunds
    other: np.ndarray  # costs beside ads per gross GMV, in units of the target


def outlook(
    reading: Reading,
    memory: Memory,
    refund: float,
    free_start: float,
    free_weight: float,
    other_start: float,
) -> Outlook:
    """Read the plan's state.

    Args:
        refund: refunds still to come per refund reported.
        free_start: free GMV of a whole episode / (budget * target), believed before anything is
            seen.
        free_weight: how much traffic that belief is worth, share of an episode.
        other_start: costs beside ads per gross GMV, believed before anything is seen.
    """
    rate = np.clip(reading["refund_rate"], 0, 0.9)
    settled = np.clip(reading["settled_share"], 0, 10)
    cost = np.clip(reading["cost_share"], 0, 10)
    spent = np.clip(1 - reading["budget_left"], 0, 1)
    gross = settled / (1 - rate)
    ads = (np.exp(reading.each(ROI)) * memory["spent"]).sum(1)
    ads = np.minimum(ads, gross)
    arrived = memory["seen"] - memory["late"].sum(1)
    free = (gross - ads + free_weight * free_start) / np.maximum(
        np.maximum(arrived, 0) + free_weight, LEAST
    )
    ads_arrived = 1 - memory["volume_late"].sum((1, 2)) / np.maximum(memory["volume"].sum(1), LEAST)
    ads_placed = ads / np.where(memory["volume"].sum(1) > LEAST, np.clip(ads_arrived, 0.2, 1), 1.0)
    ahead = np.clip(reading["traffic_left"], 0, 1)
    sales = free * (memory["seen"] + ahead) + ads_placed
    other = (np.maximum(cost - spent, 0) + 0.05 * other_start) / (gross + 0.05)
    kept = np.clip(1 - rate * (1 + refund), 0.2, 1)
    return Outlook(spent, ahead, sales, kept, np.clip(other, 0, 3))


def log_roi(end: Outlook, spend: np.ndarray, value: np.ndarray) -> np.ndarray:
    """ln(ROI / target) at the end if further ads cost `spend` and sell `value` per unit of traffic;
    shapes (n,) or (n, levels).
    """
    spent, ahead, sales, kept, other = (x if spend.ndim == 1 else x[:, None] for x in end)
    gross = sales + ahead * value
    return np.log(
        np.maximum(gross * kept, LEAST) / np.maximum(spent + ahead * spend + other * gross, LEAST)
    )
