"""Clicks, orders and refunds: what decides a visit's outcome (world 2.5 to 2.7)."""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .levers import lever
from .straight_through import whole_fen

LEAST_COMMISSION = 0.002
LEAST_MIX = 1e-3
COLDEST, WARMEST = 0.05, 20.0
LN2 = 0.6931471805599453


class Terms(NamedTuple):
    """What decides a visit's outcome: (p, k, s, n), or 1 along an axis that does not matter."""

    ctr: Tensor
    cvr: Tensor
    plain_cvr: Tensor  # without a coupon
    use: Tensor  # share of buyers who redeem
    risk: Tensor
    price: Tensor  # fen
    coupon: Tensor  # fen
    free: Tensor  # (f, k, s, n), share of opportunities shown for free


def tier_mix(w: SimpleNamespace, control: Tensor) -> Tensor:
    """Exposure shares of the tiers, (j, n)."""
    return torch.softmax(w.log_mix + lever(control, rows.LEVER_TIER, rows.N_TIERS), 0)


def levelled(w: SimpleNamespace, effort: Tensor) -> Tensor:
    """A share of the effect of a service (world 2.6)."""
    if w.service_curvature > 0:
        return w.service_scale * (1 - torch.exp(-w.service_curvature * effort))
    return effort


def order_terms(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor, mix: Tensor
) -> Terms:
    """Click rate, order rate, redemption, risk, price and coupon of every cell."""
    warmth = (s.heat / mix.clamp_min(LEAST_MIX)).clamp(COLDEST, WARMEST)
    tier_appeal = w.tier_appeal + w.heat_elasticity * (torch.log(warmth) - w.log_warmth)
    insurance = lever(control, rows.LEVER_INSURANCE)
    order_shift = (
        (mix * tier_appeal).sum(0, keepdim=True)
        + x.order_shift
        + w.insurance_lift * levelled(w, insurance)
        + w.interest_lift * levelled(w, lever(control, rows.LEVER_INTEREST))
    )
    hour = m.hour_cos * x.hour_cos + m.hour_sin * x.hour_sin  # (p, n)
    refund_shift = (
        (mix * w.tier_refund).sum(0, keepdim=True)
        + x.jump_refund
        + w.refund_insurance * insurance
        - w.refund_service * levelled(w, lever(control, rows.LEVER_SERVICE))
    )
    faded = torch.exp(-LN2 * w.fatigue_rate * s.exposure)
    appeal = w.creative_gain * s.creative_quality * faded  # (s, n)
    worn = appeal - (w.pressure * s.pressure)[:, None]  # (k, s, n)
    offered = lever(control, rows.LEVER_COMMISSION_AD).clamp_min(LEAST_COMMISSION)
    ad_lift = w.influencer_ad_lift * torch.log(offered / w.commission_ad_neutral)
    pool_lift = torch.cat([torch.zeros_like(s.quality), ad_lift])  # (p, n)
    depth = lever(control, rows.LEVER_COUPON, rows.N_POOLS)[:, None] * lever(
        control, rows.LEVER_TILT, rows.N_SEGMENTS
    )
    depth = (depth.clamp_max(w.depth_max) * w.coupon_pool[:, None])[:, :, None]  # (p, k, 1, n)
    gain = x.jump_coupon * m.response * (1 - torch.exp(-depth * w.coupon_rate))
    plain = m.order + (order_shift + hour)[:, None, None] + x.jump_order
    price = whole_fen(m.value * (mix * w.tier_value).sum(0))
    reach = w.quality_lift * s.quality + w.influencer_lift * s.supply  # (f, n)
    return Terms(
        ctr=torch.sigmoid(m.click + (worn + pool_lift[:, None, None])),
        cvr=torch.sigmoid(plain + gain),
        plain_cvr=torch.sigmoid(plain),
        use=m.redemption * (1 - torch.exp(-depth * w.redemption_rate)),
        risk=torch.sigmoid(m.refund + (refund_shift + w.refund_depth * depth)),
        price=price,
        coupon=whole_fen(price * depth),
        free=torch.sigmoid(m.exposure + reach[:, None, None]),
    )
