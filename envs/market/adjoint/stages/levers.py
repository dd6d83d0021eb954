"""Levers in their own units (world 3.1)."""

from types import SimpleNamespace

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from .straight_through import like

RAMP = 0.05  # of the boost's money


def controls(w: SimpleNamespace, action: Tensor) -> Tensor:
    """All levers in their own units, (N_LEVERS, n), from actions (levers, n)."""
    a = action.clamp(-1, 1)
    middle = w.lever_default[w.levers]
    reach = torch.where(a > 0, w.lever_high - middle, middle - w.lever_low)
    floor = torch.exp(-w.lever_log_span)
    log = (middle * (torch.exp(a * w.lever_log_span) - floor) / (1 - floor)).clamp_min(0)
    value = torch.where(w.is_log, log, middle + a * reach)
    control = w.lever_default.expand(-1, a.shape[1]).index_copy(0, w.levers, value)
    if w.noop:
        keep = torch.ones_like(control)
        keep[rows.LEVER_BID] = 0
        keep[rows.LEVER_COUPON : rows.LEVER_COUPON + rows.N_POOLS] = 0
        control = control * keep
    return control


def lever(control: Tensor, first: int, count: int = 1) -> Tensor:
    """Rows of a lever or of a family of levers, (count, n)."""
    return control[first : first + count]


def boost_in_force(w: SimpleNamespace, m: Merchants, s: Carried, control: Tensor) -> Tensor:
    """The boost while its money lasts, (1, n); soft towards the end in the backward pass."""
    money = torch.floor(w.boost_share * m.budget)
    left = money - s.boost_spend
    ramp = (left / (RAMP * money).clamp_min(1)).clamp(0, 1)
    return lever(control, rows.LEVER_BOOST) * like((left >= 1).to(left.dtype), ramp)
