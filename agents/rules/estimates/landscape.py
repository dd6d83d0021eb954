"""What a plan's own results say of the ad market, scene by scene: chance to win, spend and value as
functions of the bid.

Competing bids are taken as log-normal (world 2.3): W(b) = Phi(x), x = (ln b - m) / sigma, with b
in multiples of the reference bid. Per unit of traffic a first-price bidder spends k b W and sells
kappa k W for it (value in units of the target), so that the ROI of its ads is kappa / b. m follows
from the reported win rate, k from spend, kappa from reported GMV of which a known share has
arrived. These estimators are our own.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from ....envs.scenario import SCENES
from ...policy import Reading
from .reported import Memory, still_late

LEAST = 1e-9
WIN_RATE = [f"win_rate_{s}" for s in SCENES]
BID = [f"bid_{s}" for s in SCENES]
SPENT = [f"spent_{s}" for s in SCENES]
ROI = [f"roi_{s}" for s in SCENES]
DEEP = np.linspace(-8, 8, 641)  # x
COST_STEP = 0.02
COSTS = np.arange(-14, 16, COST_STEP)  # ln of a marginal cost


def start_sales(reading: Reading) -> Memory:
    """Nothing bought yet: spend of each scene, and what was bought with it in predicted value
    (`volume`), of which some is late.
    """
    n = len(reading)
    return {
        "spent": np.zeros((n, 4)),
        "paid": np.zeros((n, 4)),
        "volume": np.zeros((n, 4)),
        "volume_late": np.zeros((n, 4, 2)),
    }


def start_landscape(reading: Reading, price: float) -> Memory:
    """Nothing bought, and a first guess of m, the ln bid that wins half of the auctions."""
    n = len(reading)
    return start_sales(reading) | {
        "price": np.full((n, 4), price),
        "known": np.zeros((n, 4)),
        "usage": np.zeros((n, 4)),
        "spend_at": np.zeros((n, 4)),
    }


def watch_sales(reading: Reading, memory: Memory, log_bid: np.ndarray, hours: float) -> None:
    """Take in the last tick's spend; under first price, spend / bid is what was bought, in
    predicted value.

    Args:
        log_bid: (n, 4) ln of the multiplier of the reference that was bid.
        hours: length of a tick.
    """
    spent = np.clip(reading.each(SPENT), 0, 10)
    memory["paid"] = np.maximum(spent - memory["spent"], 0.0)
    memory["spent"] = spent
    bought = memory["paid"] / np.maximum(np.exp(log_bid), 1e-3)
    memory["volume"] = np.clip(memory["volume"] + bought, 0, 1e4)
    memory["volume_late"] = np.clip(still_late(memory["volume_late"], bought, hours), 0, 1e4)


def watch_landscape(
    reading: Reading, memory: Memory, log_bid: np.ndarray, sigma: float, follow: float, keep: float
) -> None:
    """Take in the last tick's win rates: move m, and the two sums that give k.

    Args:
        log_bid: (n, 4) ln of the multiplier of the reference that was bid.
        sigma: spread of ln competing bids, as seen by a whole scene.
        follow: weight of a new reading of m after the first.
        keep: share of k's old sums kept per tick.
    """
    win = np.clip(reading.each(WIN_RATE), 0, 1)
    seen = (win > 1e-4) & (memory["traffic"] > 0)[:, None]
    price = np.clip(log_bid - sigma * ndtri(np.clip(win, 1e-4, 1 - 1e-4)), -8, 8)
    weight = np.where(memory["known"] > 0, follow, 1.0)
    memory["price"] = np.where(
        seen, memory["price"] + weight * (price - memory["price"]), memory["price"]
    )
    memory["known"] = np.maximum(memory["known"], seen)
    memory["usage"] = np.clip(
        keep * memory["usage"] + memory["traffic"][:, None] * np.exp(log_bid) * win, 0, 1e4
    )
    memory["spend_at"] = np.clip(keep * memory["spend_at"] + memory["paid"], 0, 1e4)


def worth(
    reading: Reading,
    memory: Memory,
    days: float,
    prior: float,
    plan_orders: float,
    scene_orders: float,
) -> np.ndarray:
    """kappa per scene, (n, 4): true value over predicted value as ads turned out, shrunk to the
    plan's and that to `prior`.

    Shrinkage counts orders: the prior weighs as much as `plan_orders` for the plan, the plan as
    much as `scene_orders` for a scene.
    """
    orders = orders_per_value(reading, days)[:, None]
    arrived = np.maximum(memory["volume"] - memory["volume_late"].sum(2), 0.0)
    value = np.exp(reading.each(ROI)) * memory["spent"]
    value = np.where(arrived > 0, value, 0.0)
    plan = ((value * orders).sum(1) + plan_orders * prior) / np.maximum(
        (arrived * orders).sum(1) + plan_orders, LEAST
    )
    scene = (value * orders + scene_orders * plan[:, None]) / np.maximum(
        arrived * orders + scene_orders, LEAST
    )
    return np.clip(scene, 0.05, 20)


def orders_per_value(reading: Reading, days: float) -> np.ndarray:
    """Orders that a GMV of budget * ROI target is made of, (n,): all three are public (scales:
    envs/interface/features.py).
    """
    size = reading["budget_size"] + reading["roi_target"] - reading["order_value"]
    return 3000 * days / 100 * np.exp(np.clip(2 * size, -10, 10))


def reach(memory: Memory) -> np.ndarray:
    """k per scene, (n, 4): spend per unit of traffic at bid one and every auction won, as a share
    of the budget.
    """
    return np.where(
        memory["usage"] > LEAST, memory["spend_at"] / np.maximum(memory["usage"], LEAST), 0.0
    )


class Table(NamedTuple):
    """For ln of the marginal cost of value, over e^m / kappa, on the even grid `COSTS`: the bid's
    depth x and what it wins.
    """

    depth: np.ndarray
    won: np.ndarray  # Phi(x)
    paid: np.ndarray  # Phi(x) e^(sigma x): spend over k e^m


@cache
def marginal_table(sigma: float) -> Table:
    """Solve sigma x + ln(1 + sigma Phi(x) / phi(x)) = ln cost for x, on a grid.

    First price: spend b W and value kappa W, so d spend / d value = (b + W / W') / kappa with
    W' = phi(x) / (sigma b). Increasing in x.
    """
    log_hazard = log_ndtr(DEEP) + 0.5 * DEEP**2 + 0.5 * np.log(2 * np.pi)
    depth = np.interp(COSTS, sigma * DEEP + np.logaddexp(0.0, np.log(sigma) + log_hazard), DEEP)
    won = ndtr(depth)
    return Table(depth, won, won * np.exp(sigma * depth))


def bid_depth(log_cost: np.ndarray, sigma: float) -> np.ndarray:
    """x at which the marginal cost of value, over e^m / kappa, is e^log_cost; between grid points
    by a straight line.
    """
    at = np.clip((log_cost - COSTS[0]) / COST_STEP, 0, len(COSTS) - 1.001)
    left = at.astype(np.int64)
    depth = marginal_table(sigma).depth
    return depth[left] + (at - left) * (depth[left + 1] - depth[left])


def nearest(log_cost: np.ndarray) -> np.ndarray:
    """Index of the nearest grid point of `COSTS`."""
    return np.clip((log_cost - COSTS[0]) * (1 / COST_STEP) + 0.5, 0, len(COSTS) - 1).astype(
        np.int64
    )
