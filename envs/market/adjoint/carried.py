"""What a tick hands to the next one, as rows of one tensor, and where the engine keeps it.

Markets lie along the last axis. Only what reaches an episode's result is carried. Orders count
when they are placed, at their expected refunds, as the engine accrues them (world 2.9), so that
their delays, the refund compartments and the dashboard need no row; the exceptions are the delayed
orders that the refund rate of world 2.8 listens to.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from .. import layout as rows

Tensor = torch.Tensor


class Carried(NamedTuple):
    """The carried quantities of n markets, each (width, n); money in fen."""

    spend: Tensor
    day_spend: Tensor
    scene_spend: Tensor
    boost_spend: Tensor
    coupon_committed: Tensor
    settled: Tensor  # these five as accrued (`layout.A_SETTLED` and so on), without protection
    gmv: Tensor
    cost: Tensor
    profit: Tensor
    platform: Tensor
    placed: Tensor  # orders
    price_shock: Tensor
    voice: Tensor
    exposure: Tensor
    pressure: Tensor
    quality: Tensor
    held: Tensor  # of the free pools' usual impressions of the day, by pool and scene
    supply: Tensor
    heat: Tensor
    creative_quality: Tensor
    creative_progress: Tensor  # work done on the next creative, of which 1 orders it
    creative_coming: Tensor  # 1: how much of the creative that is waited for was ordered
    natural_ctr: Tensor  # smoothed clicks and impressions of the natural pool
    transaction_gpm: Tensor  # smoothed GMV and impressions of the transaction pool
    risk: Tensor  # smoothed expected refunds and orders
    pending_orders: Tensor  # orders on their way, quick and slow
    evidence_reported: Tensor  # of a scene's ads, by what the predictor remembers
    evidence_expected: Tensor
    pending_ad_orders: Tensor  # on their way, quick and slow, by scene
    pending_at_risk: Tensor  # and those of them that will be sent back
    customers_waiting: Tensor  # who have bought and kept it, and do not come back yet
    customers: Tensor  # who come back
    season_score: Tensor  # of the plans that are over, and the next three
    season_settled: Tensor
    season_profit: Tensor
    season_platform: Tensor
    tick_spend: Tensor  # of the last tick, by scene
    pace_level: Tensor  # the platform's bidder: see `layout.STATE`
    cost_level: Tensor
    depth_level: Tensor
    tick_claims: Tensor
    believed_value: Tensor
    believed_cost: Tensor
    recent_value: Tensor
    recent_cost: Tensor
    budget_told: Tensor  # the merchant's seat: see `layout.STATE`
    target_told: Tensor
    unprotected: Tensor


def _delayed(states: np.ndarray, line: int) -> np.ndarray:
    """A line of the orders on their way, summed over groups, (n, delays)."""
    pending = states["pending"][:, line].reshape(-1, rows.N_DELAYS, rows.N_GROUPS)
    return pending.sum(2)


def _delayed_ads(states: np.ndarray) -> np.ndarray:
    """Ad orders on their way by scene, (n, delays * scenes)."""
    pending = states["pending"][:, rows.ORDERS].reshape(-1, rows.N_DELAYS, rows.N_GROUPS)
    return pending[:, :, rows.AD_GROUP :].reshape(len(states), -1)


def _accrued(line: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda states: states["accrued"][:, line]


def _of_season(line: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda states: states["season_accrued"][:, line]


def _unprotected(line: int, sign: int) -> Callable[[np.ndarray], np.ndarray]:
    """The same without the cost protection, which is paid when the episode is over."""
    return lambda states: states["accrued"][:, line] - sign * states["ledger"][:, rows.L_PROTECTION]


def _field(name: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda states: states[name]


# Width and source of every carried quantity, in the order of `Carried`: the table that ties the
# adjoint to the engine's STATE records.
SOURCES: dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    "spend": (1, lambda states: states["ledger"][:, rows.L_SPEND]),
    "day_spend": (1, _field("day_spend")),
    "scene_spend": (rows.N_SCENES, _field("scene_spend")),
    "boost_spend": (1, _field("boost_spend")),
    "coupon_committed": (1, _field("coupon_committed")),
    "settled": (1, _accrued(rows.A_SETTLED)),
    "gmv": (1, _accrued(rows.A_GMV)),
    "cost": (1, _accrued(rows.A_COST)),
    "profit": (1, _unprotected(rows.A_PROFIT, 1)),
    "platform": (1, _unprotected(rows.A_PLATFORM, -1)),
    "placed": (1, _field("placed")),
    "price_shock": (rows.N_SCENES, _field("price_shock")),
    "voice": (rows.N_SCENES, _field("voice")),
    "exposure": (rows.N_SCENES, _field("exposure")),
    "pressure": (rows.N_SEGMENTS, _field("pressure")),
    "quality": (rows.N_FREE_POOLS, _field("quality")),
    "held": (rows.AD_GROUP, lambda states: states["held"].reshape(-1, rows.AD_GROUP)),
    "supply": (1, _field("supply")),
    "heat": (rows.N_TIERS, _field("heat")),
    "creative_quality": (1, _field("creative_quality")),
    "creative_progress": (1, _field("creative_progress")),
    "creative_coming": (1, lambda states: np.ones(len(states))),
    "natural_ctr": (2, lambda states: states["smooth_ctr"][:, rows.NATURAL]),
    "transaction_gpm": (2, lambda states: states["smooth_gpm"][:, rows.TRANSACTION]),
    "risk": (2, _field("smooth_risk")),
    "pending_orders": (rows.N_DELAYS, lambda states: _delayed(states, rows.ORDERS)),
    "evidence_reported": (rows.N_SCENES, _field("evidence_reported")),
    "evidence_expected": (rows.N_SCENES, _field("evidence_expected")),
    "pending_ad_orders": (rows.N_DELAYS * rows.N_SCENES, _delayed_ads),
    "pending_at_risk": (rows.N_DELAYS, lambda states: _delayed(states, rows.AT_RISK)),
    "customers_waiting": (1, _field("customers_waiting")),
    "customers": (1, _field("customers")),
    "season_score": (1, _field("season_score")),
    "season_settled": (1, _of_season(rows.A_SETTLED)),
    "season_profit": (1, _of_season(rows.A_PROFIT)),
    "season_platform": (1, _of_season(rows.A_PLATFORM)),
    "tick_spend": (rows.N_SCENES, _field("tick_spend")),
    "pace_level": (rows.N_SCENES, _field("pace_level")),
    "cost_level": (1, _field("cost_level")),
    "depth_level": (rows.N_POOLS, _field("depth_level")),
    "tick_claims": (rows.N_POOLS, _field("tick_claims")),
    "believed_value": (1, _field("believed_value")),
    "believed_cost": (1, _field("believed_cost")),
    "recent_value": (1, _field("recent_value")),
    "recent_cost": (1, _field("recent_cost")),
    "budget_told": (1, _field("budget_told")),
    "target_told": (1, _field("target_told")),
    "unprotected": (1, _field("unprotected")),
}
WIDTHS = tuple(SOURCES[name][0] for name in Carried._fields)
N_CARRIED = sum(WIDTHS)
# Rows of each quantity.
ROWS = {
    name: slice(sum(WIDTHS[:i]), sum(WIDTHS[: i + 1])) for i, name in enumerate(Carried._fields)
}


def read(states: np.ndarray, dtype: torch.dtype) -> Tensor:
    """The carried rows of the engine's state records, (N_CARRIED, n)."""
    table = np.empty((N_CARRIED, len(states)), np.float64 if dtype.itemsize > 4 else np.float32)
    for name, (width, source) in SOURCES.items():
        table[ROWS[name]] = source(states).reshape(-1, width).T
    return torch.from_numpy(table)


def unpack(table: Tensor) -> Carried:
    """Rows (N_CARRIED, n) under names."""
    return Carried(*table.split(WIDTHS))


def pack(carried: Carried) -> Tensor:
    """Named quantities as rows (N_CARRIED, n)."""
    return torch.cat(carried)
