"""One tick of the market as a pure function of tensors (world 2), for its derivative.

The stages are the engine's, under the same names and in the same order. The axes of what they take
and return are written beside it: p pools (3), f free pools (2), k segments (4), s scenes (4), j
tiers (3), and last of all n markets, so that every operation runs along memory. Where the engine
counts, these are means: the derivative of a sampled tick is taken around the engine's own state
before it, along the expected tick.

Pieces whose own derivative is nothing or none, and what stands for it (*straight through*):

* prices and coupons in whole fen: the derivative of the amount before rounding;
* the boost's gate, open while its money lasts: a ramp over the last RAMP of that money;
* a creative, which is ordered when work adds up to 1: each unit of work answers for its share of
  the fee, and of the refreshed mix that the fee pays for. `creative_progress` carries that share
  to the order, `creative_coming` from the order to its arrival.
* rejection of a creative: the expected share of the mix;
* shocks of prices: the realised value, with the derivative of the market's answer to own voice.

The books' own rounding to whole fen has no counterpart here.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from ...interface.units import CPM_PER_FEN, FEN_PER_CPM
from .. import layout as rows
from .carried import Carried, Tensor, pack, unpack
from .constants import Merchants
from .given import Given
from .given import unpack as unpack_given

AD = rows.PAID
LEAST_COMMISSION = 0.002  # as the kernels' constants of these names
LEAST_BID = 1e-6
LEAST_COST = 1e-9
LEAST_MIX = 1e-3
LEAST_ORDERS = 1e-6
COLDEST, WARMEST = 0.05, 20.0
RARE = 1e-20
SCARCE = 1e-9
SATURATED = 8.0
LN2 = 0.6931471805599453
ROOT_HALF = 0.7071067811865476
LEAST_SELECT = 1e-3
MOST_CLICKS = 0.95
RAMP = 0.05  # of the boost's money


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


class Shown(NamedTuple):
    """Impressions of a tick and what they cost."""

    impressions: Tensor  # (p, k, s, n)
    auctions: Tensor  # (s, n), entered
    charged: Tensor  # (s, n), fen
    chosen: "Selection | None"  # None where pools are not scheduled


class Orders(NamedTuple):
    """What a tick sells. By group: (p, s, n); money in fen."""

    clicks: Tensor  # (p, k, s, n)
    orders: Tensor
    gmv: Tensor
    coupon: Tensor
    at_risk: Tensor  # orders that will be sent back
    cvr: Tensor  # (p, k, s, n), coupons rationed


def like(value: Tensor, slope: Tensor) -> Tensor:
    """`value`, with the derivative of `slope`."""
    return slope + (value - slope).detach()


def whole_fen(amount: Tensor) -> Tensor:
    """Rounded half up, straight through."""
    return like(torch.floor(amount + 0.5), amount)


def normal_cdf(x: Tensor) -> Tensor:
    """Phi(x)."""
    return 0.5 * torch.erfc(-ROOT_HALF * x)


# 3.1 Levers
# ------------------------------------------------------------------------------------------


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


# 2.5 to 2.7 Clicks, orders, refunds
# ------------------------------------------------------------------------------------------


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


# 2.2 Pools scheduled together
# ------------------------------------------------------------------------------------------


class Selection(NamedTuple):
    """Free impressions over the usual ones, (f, s, n) each."""

    more: Tensor
    match: Tensor  # their click rate over the usual one
    held: Tensor  # of the day's usual impressions after the tick


def schedule(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor, usual: Tensor
) -> Selection:
    """Mix over scenes and pools, and pace over the day, of usual impressions (f, s, n)."""
    natural = lever(control, rows.LEVER_MIX_NATURAL)
    pool = torch.stack([natural, torch.zeros_like(natural)])  # (f, 1, n)
    weight = torch.exp(w.mix_centre + pool + lever(control, rows.LEVER_MIX, rows.N_SCENES))
    worth = usual * w.free_worth
    rate = worth.sum((0, 1)) / (worth * weight).sum((0, 1)).clamp_min(RARE)
    mixed = (weight * rate).clamp_max(w.mix_most)
    held = s.held.reshape(rows.N_FREE_POOLS, rows.N_SCENES, -1)
    held = torch.where(x.same_day > 0, held, torch.ones_like(held))
    even = held / x.hours_ahead.clamp_min(RARE)
    release = lever(control, rows.LEVER_PACE, rows.N_FREE_POOLS)[:, None] * even
    pace = torch.minimum(release.clamp_max(w.pace_most), held / x.hour_share.clamp_min(RARE))
    more = mixed * pace
    match = more.clamp_min(LEAST_SELECT) ** -w.match_cost
    return Selection(more, match, (held - x.hour_share * pace).clamp_min(0))


def as_usual(w: SimpleNamespace, chosen: "Selection | None") -> tuple[Any, Any]:
    """What an impression and a click count in rates over usual impressions, (f, s, n) (world
    2.8).
    """
    if chosen is None:
        return 1.0, 1.0
    known = chosen.more >= LEAST_SELECT
    impression = torch.where(known, 1 / chosen.more.clamp_min(LEAST_SELECT), 0)
    return impression, impression / chosen.match


# 2.3, 2.4, 2.10 Auctions, limits, displacement
# ------------------------------------------------------------------------------------------


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
    today = torch.floor(w.daily_cap * m.budget) - s.day_spend * x.same_day
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
    increment = 1 - w.cannibalisation if w.incremental else torch.ones_like(w.cannibalisation)
    entered = traffic[AD] * (increment * (1 + w.boost_reach * boost))  # (k, s, n)
    expected = entered.sum(0)
    # auctions as they came out: traffic's dispersion of the tick
    dispersion = x.auctions / expected.detach().clamp_min(RARE)
    entered = entered * torch.where(x.auctions > 0, dispersion, 1)
    level = lever(control, rows.LEVER_BID) * lever(control, rows.LEVER_SCENE_BID, rows.N_SCENES)
    value = m.prediction * terms.ctr[AD] * terms.cvr[AD] * terms.price[-1]
    if w.predictor_learns:
        reported = w.prior_orders + x.remembered * s.evidence_reported
        level = level * reported / (w.prior_orders + x.remembered * s.evidence_expected)
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


# 2.6, 2.9 Orders and books
# ------------------------------------------------------------------------------------------


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


def selected(terms: Terms, chosen: "Selection | None") -> Terms:
    """Click rates of the free pools where more or fewer than the usual impressions are shown."""
    if chosen is None:
        return terms
    free = (terms.ctr[:AD] * chosen.match[:, None]).clamp_max(MOST_CLICKS)
    return terms._replace(ctr=torch.cat([free, terms.ctr[AD:]]))


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


def of_groups(x: Tensor) -> Tensor:
    """Sum over pools and scenes, (1, n)."""
    return x.sum((0, 1))[None]


# 2.8 The shop
# ------------------------------------------------------------------------------------------


def arrive(
    w: SimpleNamespace, s: Carried, x: Given, line: Tensor, waiting: Tensor
) -> tuple[Tensor, Tensor]:
    """Of orders placed now, (1, n), and on their way, (2, n): what arrives and what waits."""
    release = torch.maximum(w.release, x.last)
    later = (1 - w.at_once) * line
    waiting = waiting + torch.cat([later * w.fast_share, later * (1 - w.fast_share)])
    due = waiting * release
    return w.at_once * line + due.sum(0, keepdim=True), waiting - due


class Evidence(NamedTuple):
    """What the predictor knows of the ads after a tick (world 2.3)."""

    reported: Tensor  # (s, n)
    expected: Tensor  # (s, n)
    waiting: Tensor  # ad orders on their way, (delays * s, n)


def learn_from_reports(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, terms: Terms, sales: Orders
) -> Evidence:
    """Ad orders as they are reported, and as the tick's clicks let expect them."""
    placed = sales.orders[AD]  # (s, n)
    waiting = s.pending_ad_orders.reshape(rows.N_DELAYS, rows.N_SCENES, -1)
    later = (1 - w.at_once) * placed
    waiting = waiting + torch.stack([later * w.fast_share, later * (1 - w.fast_share)])
    due = waiting * torch.maximum(w.release, x.last)[:, None]
    waiting = (waiting - due).flatten(0, 1)
    if not w.predictor_learns:
        return Evidence(s.evidence_reported, s.evidence_expected, waiting)
    arrived = w.at_once * placed + due.sum(0)
    hoped = (sales.clicks[AD] * sales.cvr[AD] * m.prediction).sum(0)
    keep = w.evidence_keep * x.remembered
    return Evidence(
        keep * s.evidence_reported + arrived,
        keep * s.evidence_expected + hoped,
        waiting,
    )


def smoothed(w: SimpleNamespace, old: Tensor, happened: Tensor, out_of: Tensor) -> Tensor:
    """Two smoothed sums one tick later, (2, n)."""
    return w.smooth_keep * old + (1 - w.smooth_keep) * torch.cat([happened, out_of])


def share(sums: Tensor) -> Tensor:
    """The rate that two smoothed sums stand for, (1, n)."""
    return sums[:1] / sums[1:].clamp_min(SCARCE)


def move_quality(
    w: SimpleNamespace,
    m: Merchants,
    s: Carried,
    ctr: Tensor,
    gpm: Tensor,
    risk: Tensor,
    ad_orders: Tensor,
) -> Tensor:
    """Quality one tick later, (f, n) (world 2.8)."""
    signal = torch.cat(
        [
            share(ctr) / m.ctr_reference.clamp_min(SCARCE),
            share(gpm) / m.gpm_reference.clamp_min(SCARCE),
        ]
    )
    signal = torch.tanh((signal - 1).clamp(-SATURATED, SATURATED))
    lift = ad_orders / m.ad_orders_reference.clamp_min(LEAST_ORDERS)
    change = (
        w.quality_speed * (signal - s.quality)
        + w.spill_over * lift
        - w.refund_penalty * (share(risk) - m.risk_reference)
    )
    return (s.quality + change).clamp(-w.quality_limit, w.quality_limit)


def move_tiers(w: SimpleNamespace, s: Carried, mix: Tensor) -> Tensor:
    """Heat one tick later, (j, n) (world 2.8)."""
    up = w.tier_growth * mix * s.heat
    rising, emerging = up[rows.TRENDING], up[rows.POTENTIAL]
    flow = torch.stack([rising, emerging - rising, w.tier_inflow - emerging])
    return s.heat * w.tier_keep + flow


class Creatives(NamedTuple):
    """The creative mix after a tick, (1, n) each."""

    quality: Tensor
    progress: Tensor
    coming: Tensor
    renewed: Tensor  # share of the mix that was refreshed
    fee: Tensor  # fen


def refresh_creatives(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor
) -> Creatives:
    """Work, order, wait and arrival of a creative (world 2.8); see the module on its derivative."""
    waiting = x.creative_wait >= 0
    wait = torch.where(waiting, x.creative_wait - w.hours_per_tick, x.creative_wait)
    arrived = waiting & (wait < 0)
    renewed = (w.creative_mix_share * (1 - w.creative_rejection)) * s.creative_coming * arrived
    quality = s.creative_quality + renewed * (max(w.creative_mean, 0.0) - s.creative_quality)
    work = lever(control, rows.LEVER_CREATIVE) * w.days_per_tick
    free = s.creative_progress < 1  # a finished one waits for the one before it to arrive
    worked = s.creative_progress + work * free
    progress = like(worked.clamp_max(1), worked)
    ordered = (progress >= 1) & (wait < 0)
    part = like(torch.ones_like(progress), progress)
    none = torch.zeros_like(progress)
    fee = (w.creative_fee * w.days_inverse) * m.budget + w.creative_fee_fixed
    return Creatives(
        quality,
        torch.where(ordered, none, progress),
        torch.where(ordered, part, s.creative_coming),
        renewed,
        torch.where(ordered, fee * part, none),
    )


# The tick
# ------------------------------------------------------------------------------------------


def tick(w: SimpleNamespace, m: Merchants, before: Tensor, action: Tensor, given: Tensor) -> Tensor:
    """The carried rows one tick later, (N_CARRIED, n).

    Args:
        w: the scenario's constants, see `constants_of`.
        m: the merchants.
        before: (N_CARRIED, n), see `Carried`.
        action: (levers, n), in [-1, 1]; outside it is clipped and has no derivative.
        given: what came from outside, see `Given`.
    """
    s, x = unpack(before), unpack_given(given)
    control = controls(w, action)
    price_shock = like(x.price_shock, w.price_keep * s.price_shock + w.price_reaction * s.voice)
    boost = boost_in_force(w, m, s, control)
    mix = tier_mix(w, control)
    terms = order_terms(w, m, s, x, control, mix)
    seen = impressions(w, m, s, x, control, terms, boost, price_shock)
    terms = selected(terms, seen.chosen)
    sales, coupons = sell(w, m, s, terms, seen.impressions)
    earned = earn(w, m, control, sales)
    new = refresh_creatives(w, m, s, x, control)
    evidence = learn_from_reports(w, m, s, x, terms, sales)

    spent = seen.charged.sum(0, keepdim=True)
    extra = w.boost_reach * boost
    boost_money = (torch.floor(w.boost_share * m.budget) - s.boost_spend).clamp_min(0)
    ads = seen.impressions[AD]
    impression, click = as_usual(w, seen.chosen)
    usual = (seen.impressions[:AD].sum(1) * impression).sum(1)[:, None]  # (f, 1, n)
    clicks = (sales.clicks[:AD].sum(1) * click)[rows.NATURAL].sum(0)[None]
    orders, pending_orders = arrive(w, s, x, earned["placed"], s.pending_orders)
    at_risk, pending_at_risk = arrive(w, s, x, of_groups(sales.at_risk), s.pending_at_risk)
    ctr = smoothed(w, s.natural_ctr, clicks, usual[rows.NATURAL])
    gmv = (sales.gmv[:AD] * click)[rows.TRANSACTION].sum(0)[None]
    gpm = smoothed(w, s.transaction_gpm, gmv, usual[rows.TRANSACTION])
    risk = smoothed(w, s.risk, at_risk, orders)
    ad_orders = sales.orders[AD].sum(0)[None]
    commission = lever(control, rows.LEVER_COMMISSION_NATURAL).clamp_min(LEAST_COMMISSION)
    offered = torch.log(commission / w.commission_reference)
    creative_cost = new.fee if w.cost_creative else torch.zeros_like(new.fee)
    exposure = s.exposure + seen.impressions.sum((0, 1)) / m.audience_scene
    return pack(
        Carried(
            spend=s.spend + spent,
            day_spend=s.day_spend * x.same_day + spent,
            scene_spend=s.scene_spend + seen.charged,
            boost_spend=s.boost_spend + torch.minimum(spent * extra / (1 + extra), boost_money),
            coupon_committed=torch.minimum(s.coupon_committed + coupons, m.coupon_budget),
            settled=s.settled + earned["settled"],
            gmv=s.gmv + earned["gmv"],
            cost=s.cost + earned["cost"] + spent + creative_cost,
            profit=s.profit + earned["profit"] - (1 - w.rebate) * spent - new.fee,
            platform=s.platform + earned["platform"] + (1 - w.rebate) * spent,
            placed=s.placed + earned["placed"],
            price_shock=price_shock,
            voice=ads.sum(0) / seen.auctions.clamp_min(1),
            exposure=exposure * (1 - new.renewed),
            pressure=w.pressure_keep * s.pressure + ads.sum(1) / m.audience_segment,
            quality=move_quality(w, m, s, ctr, gpm, risk, ad_orders),
            held=s.held if seen.chosen is None else seen.chosen.held.flatten(0, 1),
            supply=s.supply + w.influencer_speed * (offered - s.supply),
            heat=move_tiers(w, s, mix),
            creative_quality=new.quality,
            creative_progress=new.progress,
            creative_coming=new.coming,
            natural_ctr=ctr,
            transaction_gpm=gpm,
            risk=risk,
            pending_orders=pending_orders,
            evidence_reported=evidence.reported,
            evidence_expected=evidence.expected,
            pending_ad_orders=evidence.waiting,
            pending_at_risk=pending_at_risk,
        )
    )
