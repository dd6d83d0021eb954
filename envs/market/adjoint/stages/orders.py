"""Orders, what they are worth, and when they arrive (world 2.6, 2.9)."""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .demand import Terms
from .levers import lever

SCARCE = 1e-9


class Orders(NamedTuple):
    """What a tick sells. By group: (p, s, n); money in fen."""

    clicks: Tensor  # (p, k, s, n)
    orders: Tensor
    gmv: Tensor
    coupon: Tensor
    at_risk: Tensor  # orders that will be sent back
    cvr: Tensor  # (p, k, s, n), coupons rationed


def of_groups(x: Tensor) -> Tensor:
    """Sum over pools and scenes, (1, n)."""
    return x.sum((0, 1))[None]


def sell(
    w: SimpleNamespace, m: Merchants, s: Carried, terms: Terms, shown: Tensor
) -> tuple[Orders, Tensor]:
    """Orders of the tick, coupons rationed to their budget; and the merchant's part of the coupons,
    (1, n) fen.
    """
    clicks = shown * terms.ctr
    sold = clicks * terms.cvr
    redeemed = sold * terms.use
    wanted = (redeemed * terms.coupon).sum((0, 1, 2))[None] * w.merchant_share
    left = (m.coupon_budget - s.coupon_committed).clamp_min(0)
    fits = wanted <= left
    served = torch.where(fits, 1, left / torch.where(fits, 1, wanted))
    sold = torch.lerp(clicks * terms.plain_cvr, sold, served)
    coupons = (served * redeemed * terms.coupon).sum(1)
    orders = Orders(
        clicks,
        sold.sum(1),
        (sold * terms.price).sum(1),
        coupons,
        (sold * terms.risk).sum(1),
        torch.lerp(terms.plain_cvr, terms.cvr, served),
    )
    return orders, w.merchant_share * of_groups(coupons)


def earn(w: SimpleNamespace, m: Merchants, control: Tensor, sales: Orders) -> dict[str, Tensor]:
    """What the tick's orders are worth once refunds have been sent back, (1, n) fen each."""
    risk = sales.at_risk / sales.orders.clamp_min(SCARCE)  # (p, s, n)
    counted, kept = 1 - w.counted_share * risk, 1 - risk
    paid = sales.gmv - sales.coupon
    natural = lever(control, rows.LEVER_COMMISSION_NATURAL)
    ad = lever(control, rows.LEVER_COMMISSION_AD)
    commission_rate = torch.stack([natural, torch.zeros_like(ad), ad])  # (p, 1, n)
    commission = commission_rate * paid
    merchant = w.merchant_share * sales.coupon
    fee = w.fee * paid
    insurance = lever(control, rows.LEVER_INSURANCE)
    interest = lever(control, rows.LEVER_INTEREST)
    placed = of_groups(sales.orders)
    extras = w.insurance_cost * insurance * placed + w.interest_cost * interest * of_groups(paid)
    extras = extras + w.insurance_premium * insurance * of_groups(sales.at_risk)
    service = w.service_cost * lever(control, rows.LEVER_SERVICE) * placed
    cost = torch.zeros_like(placed)
    if w.cost_commission:
        cost = cost + of_groups(counted * commission)
    if w.cost_coupon:
        cost = cost + of_groups(counted * merchant)
    if w.cost_service:
        cost = cost + extras + service
    profit = of_groups(kept * (m.margin * sales.gmv - merchant - commission - fee))
    return {
        "settled": of_groups(sales.gmv * counted),
        "gmv": of_groups(sales.gmv),
        "cost": cost,
        "profit": profit - extras - service,
        "platform": of_groups(kept * (fee - (sales.coupon - merchant))),
        "placed": placed,
    }


def arrive(
    w: SimpleNamespace, s: Carried, x: Given, line: Tensor, waiting: Tensor
) -> tuple[Tensor, Tensor]:
    """Of orders placed now, (1, n), and on their way, (2, n): what arrives and what waits."""
    release = torch.maximum(w.release, x.last)
    later = (1 - w.at_once) * line
    waiting = waiting + torch.cat([later * w.fast_share, later * (1 - w.fast_share)])
    due = waiting * release
    return w.at_once * line + due.sum(0, keepdim=True), waiting - due
