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

import torch

from .. import layout as rows
from .carried import Carried, Tensor, pack, unpack
from .constants import Merchants
from .given import unpack as unpack_given
from .stages.auction import impressions
from .stages.bidder import steer
from .stages.carryover import move_quality, move_tiers, refresh_creatives, smoothed
from .stages.customers import win_customers
from .stages.demand import LEAST_COMMISSION, order_terms, tier_mix
from .stages.levers import boost_in_force, controls, lever
from .stages.orders import arrive, earn, of_groups, sell
from .stages.plans import next_plan
from .stages.predictor import learn_from_reports
from .stages.scheduling import as_usual, selected
from .stages.seat import take_edits
from .stages.straight_through import like

AD = rows.PAID


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
    m = m._replace(budget=x.budget, coupon_budget=x.coupon_budget, roi_target=x.roi_target)
    steering = steer(w, m, s, x, take_edits(w, m, s, x, controls(w, action)))
    control = steering.control
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
    claims = w.merchant_share * sales.coupon.sum(1)
    ad_orders = sales.orders[AD].sum(0)[None]
    commission = lever(control, rows.LEVER_COMMISSION_NATURAL).clamp_min(LEAST_COMMISSION)
    offered = torch.log(commission / w.commission_reference)
    creative_cost = new.fee if w.cost_creative else torch.zeros_like(new.fee)
    exposure = s.exposure + seen.impressions.sum((0, 1)) / m.audience_scene
    customers_waiting, customers = win_customers(w, s, orders - at_risk)
    after = Carried(
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
        customers_waiting=customers_waiting,
        customers=customers,
        season_score=s.season_score,
        season_settled=s.season_settled,
        season_profit=s.season_profit,
        season_platform=s.season_platform,
        tick_spend=seen.charged,
        pace_level=steering.pace_level,
        cost_level=steering.cost_level,
        depth_level=steering.depth_level,
        tick_claims=claims if w.platform_bids else s.tick_claims,
        believed_value=steering.believed_value,
        believed_cost=steering.believed_cost,
        recent_value=steering.recent_value,
        recent_cost=steering.recent_cost,
        budget_told=lever(control, rows.LEVER_BUDGET_PACE) if w.seat_open else s.budget_told,
        target_told=lever(control, rows.LEVER_TARGET) if w.seat_open else s.target_told,
        unprotected=x.unprotected,
    )
    return pack(next_plan(w, m, after, x))
