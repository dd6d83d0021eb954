"""What an episode has brought, by reward, from what is carried (world 2.9, 3.3, 6.1)."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from ...interface import feedback
from ..score import LEAST, roi_parts
from .carried import Carried, Tensor, unpack
from .constants import Merchants
from .stages.left_over import left_over


class Standing(NamedTuple):
    """Where n markets stand, (1, n) each, beside what is carried."""

    ended: Tensor  # bool: the episode is over, its protection paid and what it leaves counted
    roi_target: Tensor  # of the plan in force
    waiting: Tensor  # 1 where a creative is on order


def standing(states: np.ndarray, ended: np.ndarray, dtype: torch.dtype, device: Any) -> Standing:
    """The same from the engine's records; `ended`: (n,) bool."""

    def tensor(values: np.ndarray, kind: torch.dtype) -> Tensor:
        return torch.as_tensor(np.array(values), dtype=kind, device=device)[None]

    return Standing(
        tensor(ended, torch.bool),
        tensor(states["roi_target"], dtype),
        tensor(states["creative_wait"] >= 0, dtype),
    )


def protection(w: SimpleNamespace, m: Merchants, s: Carried) -> Tensor:
    """What the platform repays at a plan's end, (1, n) fen; the gate itself has no derivative
    (world 2.9).
    """
    if not w.protection:
        return torch.zeros_like(s.spend)
    value, cost = roi_parts(w.roi_kind, s.settled, s.gmv, s.cost, s.spend)
    short = value < w.protection_threshold * m.roi_target * cost
    due = short & (s.placed >= w.protection_min_orders) & (s.unprotected <= 0)
    repaid = torch.minimum((cost - value / m.roi_target).clamp_min(0), s.spend)
    return torch.where(due, repaid, torch.zeros_like(repaid))


def target_met(w: SimpleNamespace, m: Merchants, s: Carried) -> Tensor:
    """min(1, ROI / target), (1, n); 1 without any cost (world 6.1)."""
    value, cost = roi_parts(w.roi_kind, s.settled, s.gmv, s.cost, s.spend)
    wanted = m.roi_target * m.strictness * cost
    met = (value / wanted.clamp_min(LEAST)).clamp_max(1)
    return torch.where(wanted <= LEAST, torch.ones_like(met), met)


def measured(
    w: SimpleNamespace, m: Merchants, carried: Tensor, where: Standing, reward: int
) -> Tensor:
    """The quantity whose growth is the reward, (n,) fen.

    Args:
        w: constants.
        m: merchants.
        carried: (N_CARRIED, n).
        where: where the markets stand.
        reward: code of `feedback.REWARDS`.
    """
    s = unpack(carried)
    m = m._replace(roi_target=where.roi_target)
    none = torch.zeros_like(s.spend)
    repaid = torch.where(where.ended, protection(w, m, s), none)
    left = none
    if w.left_counts:
        left = torch.where(where.ended, left_over(w, m, s, where.waiting), none)
    if reward == feedback.PROFIT:
        return (s.season_profit + s.profit + repaid + left * (m.margin - w.fee))[0]
    if reward == feedback.PLATFORM:
        return (s.season_platform + s.platform - repaid)[0]
    if reward == feedback.SCORE:
        met = target_met(w, m, s)
        return (s.season_score + (s.settled + left) * (met * met))[0]
    return (s.season_settled + s.settled + left)[0]
