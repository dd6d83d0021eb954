"""What an episode has brought, by reward, from what is carried (world 2.9, 3.3, 6.1)."""

from types import SimpleNamespace

import torch

from ...interface import feedback
from ..score import LEAST, roi_parts
from .carried import Carried, Tensor, unpack
from .constants import Merchants


def protection(w: SimpleNamespace, m: Merchants, s: Carried) -> Tensor:
    """What the platform repays at the episode's end, (1, n) fen; the gate itself has no derivative
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
    wanted = m.roi_target * cost
    met = (value / wanted.clamp_min(LEAST)).clamp_max(1)
    return torch.where(wanted <= LEAST, torch.ones_like(met), met)


def measured(
    w: SimpleNamespace, m: Merchants, carried: Tensor, ended: Tensor, reward: int
) -> Tensor:
    """The quantity whose growth is the reward, (n,) fen.

    Args:
        w: constants.
        m: merchants.
        carried: (N_CARRIED, n).
        ended: (1, n) bool, whether the episode is over and its protection paid.
        reward: code of `feedback.REWARDS`.
    """
    s = unpack(carried)
    repaid = torch.where(ended, protection(w, m, s), torch.zeros_like(s.spend))
    if reward == feedback.PROFIT:
        return (s.profit + repaid)[0]
    if reward == feedback.PLATFORM:
        return (s.platform - repaid)[0]
    if reward == feedback.SCORE:
        met = target_met(w, m, s)
        return (s.settled * (met * met))[0]
    return s.settled[0]
