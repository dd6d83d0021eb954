"""Auctions, limits and displacement (world 2.3, 2.4, 2.10)."""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from ....interface.units import CPM_PER_FEN, FEN_PER_CPM
from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .customers import come_back
from .demand import Terms
from .levers import lever
from .predictor import correction
from .scheduling import Selection, schedule
from .seat import budget_of_day
from .straight_through import like

AD = rows.PAID
LEAST_BID = 1e-6
LEAST_COST = 1e-9
RARE = 1e-20
ROOT_HALF = 0.7071067811865476


class Shown(NamedTuple):
    """Impressions of a tick and what they cost."""

    impressions: Tensor  # (p, k, s, n)
    auctions: Tensor  # (s, n), entered
    charged: Tensor  # (s, n), fen
    chosen: "Selection | None"  # None where pools are not scheduled


def normal_cdf(x: Tensor) -> Tensor:
    """Phi(x)."""
    return 0.5 * torch.erfc(-ROOT_HALF * x)


def auction(w: SimpleNamespace, bid: Tensor, mean: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """Chance to win and price per won thousand, (k, s, n) each (world 2.3)."""
    log_bid = torch.log(bid)
    x = (log_bid - mean) / sigma
    win = normal_cdf(x)
    won = torch.where(bid > LEAST_BID, win, torch.zeros_like(win))
    if w.first_price:
        return won, bid
    payment = torch.exp(mean + 0.5 * sigma * sigma) * normal_cdf(x - sigma)
    return won, torch.minimum(payment / win.clamp_min(RARE), bid)


def limits(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor
) -> tuple[Tensor, Tensor]:
    """Fen each scene may still spend, (s, n), and the plan, (1, n) (world 2.10)."""
    left = m.budget - s.spend
    today = budget_of_day(w, m, control) - s.day_spend * x.same_day
    share = lever(control, rows.LEVER_SHARE, rows.N_SCENES) * m.budget
    caps = (like(torch.floor(share), share) - s.scene_spend).clamp_min(0)
    return caps, torch.minimum(left, today).clamp_min(0)


def impressions(
    w: SimpleNamespace,
    m: Merchants,
    s: Carried,
    x: Given,
    control: Tensor,
    terms: Terms,
    boost: Tensor,
    price_shock: Tensor,
) -> Shown:
    """Impressions of all pools after auctions, throttling and displacement."""
    traffic = m.traffic * x.traffic  # (p, k, s, n)
    if w.repeat_rate > 0:
        traffic = traffic * come_back(m, s)
    increment = 1 - w.cannibalisation if w.incremental else torch.ones_like(w.cannibalisation)
    entered = traffic[AD] * (increment * (1 + w.boost_reach * boost))  # (k, s, n)
    expected = entered.sum(0)
    # auctions as they came out: traffic's dispersion of the tick
    dispersion = x.auctions / expected.detach().clamp_min(RARE)
    entered = entered * torch.where(x.auctions > 0, dispersion, 1)
    level = lever(control, rows.LEVER_BID) * lever(control, rows.LEVER_SCENE_BID, rows.N_SCENES)
    value = m.prediction * terms.ctr[AD] * terms.cvr[AD] * terms.price[-1]
    if w.predictor_learns:
        level = level * correction(w, s, x)
    bid = (level / m.roi_target * CPM_PER_FEN * value).clamp_min(LEAST_BID)
    added = x.price_shift + w.boost_premium * boost + price_shock
    won, payment = auction(w, bid, m.price_mu + added, m.price_sigma)
    ads = entered * won
    cost = (ads * payment).sum(0) * FEN_PER_CPM
    caps, limit = limits(w, m, s, x, control)
    keep = (caps / cost.clamp_min(LEAST_COST)).clamp_max(1)
    total = (cost * keep).sum(0, keepdim=True)
    keep = keep * (limit / total.clamp_min(LEAST_COST)).clamp_max(1)
    ads = ads * keep
    free = traffic[:AD] * terms.free
    chosen = None
    if w.pools_scheduled:
        chosen = schedule(w, m, s, x, control, free.sum(1))
        free = torch.minimum(free * chosen.more[:, None], traffic[:AD])
    if not w.incremental:
        lost = w.cannibalisation * ads / free.sum(0).clamp_min(RARE)
        free = free * (1 - lost.clamp_max(1))
    return Shown(torch.cat([free, ads[None]]), entered.sum(0), cost * keep, chosen)
