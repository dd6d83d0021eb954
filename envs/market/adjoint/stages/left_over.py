"""What the shop is worth above its start when the episode ends (world 2.14)."""

from types import SimpleNamespace

import torch

from ...stages.customers import LEAST_CUSTOMERS
from ..carried import Carried, Tensor
from ..constants import Merchants

LN2 = 0.6931471805599453


def appeal_left(w: SimpleNamespace, quality: Tensor, exposure: Tensor, coming: Tensor) -> Tensor:
    """Appeal of the creative mix by scene once the creatives under way have joined it."""
    faded = w.creative_gain * quality * torch.exp(-LN2 * w.fatigue_rate * exposure)
    share = w.creative_mix_share * (1 - w.creative_rejection)
    return faded + coming * share * (w.creative_gain * w.creative_mean - faded)


def left_over(w: SimpleNamespace, m: Merchants, s: Carried, waiting: Tensor) -> Tensor:
    """Settled GMV that the state of the shop will bring beyond what its start would, (1, n) fen;
    `waiting`: whether a creative is on order.
    """
    usual = m.customers.clamp_min(LEAST_CUSTOMERS)
    more = s.customers - m.customers + s.customers_waiting - m.customers_waiting
    days = w.left_customers * w.repeat_days * m.customer_share * more / usual
    coming = s.creative_progress + waiting * s.creative_coming
    now = appeal_left(w, s.creative_quality, s.exposure, coming)
    none = torch.zeros_like(coming)
    start = appeal_left(w, m.start_creative, none + w.start_exposure, none)
    days = days + w.left_creatives * w.creative_days * (now - start).mean(0, keepdim=True)
    days = days + w.left_supply * w.supply_days * w.influencer_lift * s.supply
    better = w.quality_lift * (s.quality - m.start_quality)
    days = days + w.left_quality * w.quality_days * better
    return (m.free_settled * days).sum(0, keepdim=True)
