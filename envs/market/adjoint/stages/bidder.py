"""The platform's own bidder (world 2.15)."""

import math
from types import SimpleNamespace
from typing import NamedTuple

import torch

from ... import layout as rows
from ...score import roi_parts
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .levers import lever
from .seat import budget_of_day
from .straight_through import like

ERROR_LIMIT = 1.0
MOST_RATIO = 1e6


class Steering(NamedTuple):
    """What the platform's bidder puts into a tick and keeps of it, (rows, n) each."""

    control: Tensor  # all levers, with the multipliers and depths in force
    pace_level: Tensor
    cost_level: Tensor
    depth_level: Tensor
    believed_value: Tensor
    believed_cost: Tensor
    recent_value: Tensor
    recent_cost: Tensor


def follow(level: Tensor, planned: Tensor, expected: Tensor, gain: float, step: float) -> Tensor:
    """level * (planned / expected)^gain, where the ratio is no more than e^step either way."""
    least = (planned / MOST_RATIO).clamp_min(1 / MOST_RATIO)
    ratio = (planned / torch.maximum(expected, least)).clamp(1 / MOST_RATIO, MOST_RATIO)
    return level * torch.exp(gain * torch.log(ratio).clamp(-step, step))


def pace_scenes(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor, most: Tensor
) -> Tensor:
    """Multipliers in force by scene, (s, n)."""
    left = (m.budget - s.spend).clamp_min(0)
    today = budget_of_day(w, m, control) - s.day_spend * x.same_day
    division = lever(control, rows.LEVER_DIVIDE, rows.N_SCENES)
    money = torch.minimum(left * x.flow_share, today.clamp_min(0) * x.day_share)
    planned = torch.softmax(division, 0) * money
    level = follow(s.pace_level, planned, s.tick_spend * x.flow_grown, w.pace_gain, w.pace_step)
    level = torch.where((x.started > 0) & (planned >= 1), level, s.pace_level)
    return torch.minimum(level.clamp(w.level_least, w.level_most), most)


def pace_coupons(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor
) -> tuple[Tensor, Tensor]:
    """Coupon levels and depths in force by pool, (p, n) each."""
    left = (m.coupon_budget - s.coupon_committed).clamp_min(0)
    subsidy = torch.exp(lever(control, rows.LEVER_SUBSIDY, rows.N_POOLS)) * w.coupon_pool
    planned = subsidy / subsidy.sum(0, keepdim=True) * left * x.plan_share
    depth = lever(control, rows.LEVER_COUPON, rows.N_POOLS)
    expected = s.tick_claims * x.plan_grown
    level = follow(s.depth_level, planned, expected, w.coupon_gain, w.pace_step)
    most = w.depth_max / depth.clamp_min(1e-12)
    level = torch.minimum(level, most).clamp_min(w.level_least)
    moved = (x.started > 0) & (planned >= 1) & (depth > 0)
    level = torch.where(moved, level, s.depth_level)
    depth = (depth * level).clamp_max(w.depth_max)
    return level, torch.where(left >= 1, depth, torch.zeros_like(depth))


def steer(w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor) -> Steering:
    """The controls with the platform's multipliers and depths; as it is where it does not bid.

    What the platform believes of the ROI is the engine's own value, with the derivative of what has
    accrued, which it estimates.
    """
    if not w.platform_bids:
        return Steering(
            control,
            s.pace_level,
            s.cost_level,
            s.depth_level,
            s.believed_value,
            s.believed_cost,
            s.recent_value,
            s.recent_cost,
        )
    value, paid = roi_parts(w.roi_kind, s.settled, s.gmv, s.cost, s.spend)
    value, paid = like(x.believed_value, value), like(x.believed_cost, paid)
    recent_value = (w.recent_keep * s.recent_value + value - s.believed_value) * x.started
    recent_cost = (w.recent_keep * s.recent_cost + paid - s.believed_cost) * x.started
    prior = w.cost_prior * m.budget
    told = lever(control, rows.LEVER_TARGET) if w.seat_open else torch.ones_like(m.roi_target)
    wanted = m.roi_target * told * (1 + w.cost_margin)
    leverage = ((paid + prior) / (s.spend + prior)).clamp_max(w.cost_leverage)
    leverage = leverage / x.ahead.clamp_min(w.cost_horizon)
    end_value = value + recent_value.clamp_min(0) * x.rest + wanted * prior
    end_cost = paid + recent_cost.clamp_min(0) * x.rest + prior
    error = torch.log(end_value / (wanted * end_cost)) * leverage
    error = error.clamp(-ERROR_LIMIT, ERROR_LIMIT)
    slack = told * s.pace_level.amax(0, keepdim=True) * math.exp(w.cost_slack)
    cost_level = torch.minimum(s.cost_level * torch.exp(w.cost_gain * error), slack)
    cost_level = cost_level.clamp(w.level_least, w.level_most)
    most = cost_level * torch.exp(w.cost_now * error) / told
    pace_level = pace_scenes(w, m, s, x, control, most)
    depth_level, depth = pace_coupons(w, m, s, x, control)
    bids = slice(rows.LEVER_SCENE_BID, rows.LEVER_SCENE_BID + rows.N_SCENES)
    coupons = slice(rows.LEVER_COUPON, rows.LEVER_COUPON + rows.N_POOLS)
    control = torch.cat(
        [
            control[: bids.start],
            control[bids] * pace_level,
            control[bids.stop : coupons.start],
            depth,
            control[coupons.stop :],
        ]
    )
    return Steering(
        control,
        pace_level,
        cost_level,
        depth_level,
        value,
        paid,
        recent_value,
        recent_cost,
    )
