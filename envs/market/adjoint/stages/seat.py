"""The merchant's own seat (world 2.16). What counts as an edit is as it came out."""

from types import SimpleNamespace

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .levers import lever
from .straight_through import like


def take_edits(w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor) -> Tensor:
    """The controls with the daily budget and the target that are in force."""
    if not w.seat_open:
        return control
    even = m.budget * w.days_inverse
    least = w.budget_floor * s.day_spend * x.same_day / even
    asked = torch.maximum(lever(control, rows.LEVER_BUDGET_PACE), least)
    budget = like(x.budget_told, torch.where(x.budget_edited > 0, asked, s.budget_told))
    target = torch.where(x.target_edited > 0, lever(control, rows.LEVER_TARGET), s.target_told)
    return torch.cat([control[: rows.LEVER_BUDGET_PACE], budget, target])


def budget_of_day(w: SimpleNamespace, m: Merchants, control: Tensor) -> Tensor:
    """Most that the day may spend, (1, n) fen."""
    cap = torch.floor(w.daily_cap * m.budget)
    if not w.seat_open:
        return cap
    own = lever(control, rows.LEVER_BUDGET_PACE) * (m.budget * w.days_inverse)
    return torch.minimum(cap, like(torch.floor(own), own))
