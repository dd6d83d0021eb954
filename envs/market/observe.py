"""What the merchant's dashboard shows, scaled to O(1): reported metrics only, never latent truth (design 3).

`envs/features.py` names each entry in the order written here.
"""

import numpy as np

from .compiled import kernel, scalar
from .layout import (
    AD_GROUP,
    CLICKED,
    G_CLICKS,
    G_GMV,
    G_IMPRESSIONS,
    G_IN_AT_RISK,
    G_IN_COUPON,
    G_IN_GMV,
    G_IN_ORDERS,
    G_SENT_BACK,
    GROUPS,
    L_GMV,
    L_SETTLED_REFUND_GMV,
    L_SPEND,
    LEVER_BID,
    LEVER_COUPON,
    LEVER_SCENE_BID,
    ORDERED,
    POOLS,
    REDEEMED,
    S_AUCTIONS,
    S_COST,
    SCENES,
    SEGMENTS,
    TIERS,
    BLOCK,
)
from .ledger import reported_cost, roi_parts
from .numerics import HALF, ONE, ZERO, log32

F = np.float32
LIMIT = F(10)
LEAST = F(1e-3)
ROI_LIMIT = F(3)
FEATURES = 81


@scalar
def smooth(keep, old, new):
    """Exponential moving average."""
    return keep * old + (ONE - keep) * new


@kernel
def record(world, state, lane, scene, group):
    """Note the tick on the dashboard: last-tick figures, smoothed figures, totals per group."""
    keep = world.smooth_keep
    for s in range(SCENES):
        state.tick_spend[s] = scene[S_COST, s]
        state.scene_spend[s] += scene[S_COST, s]
        state.tick_auctions[s] = scene[S_AUCTIONS, s]
        state.smooth_spend[s] = smooth(keep, state.smooth_spend[s], scene[S_COST, s])
    coupon, arrived, at_risk = 0.0, 0.0, 0.0
    for g in range(GROUPS):
        state.tick_impressions[g] = F(group[G_IMPRESSIONS, g])
        state.tick_clicks[g] = F(group[G_CLICKS, g])
        state.tick_gmv[g] = F(group[G_IN_GMV, g])
        state.smooth_gmv[g] = smooth(keep, state.smooth_gmv[g], F(group[G_IN_GMV, g]))
        state.impressions[g] += group[G_IMPRESSIONS, g]
        state.clicks[g] += group[G_CLICKS, g]
        state.orders[g] += group[G_IN_ORDERS, g]
        state.gmv[g] += group[G_IN_GMV, g]
        state.coupon[g] += group[G_IN_COUPON, g]
        state.refunded[g] += group[G_SENT_BACK, g] * world.counted_share
        coupon += group[G_IN_COUPON, g]
        arrived += group[G_IN_ORDERS, g]
        at_risk += group[G_IN_AT_RISK, g]
    state.smooth_coupon = smooth(keep, state.smooth_coupon, F(coupon))
    state.smooth_risk[0] = smooth(keep, state.smooth_risk[0], F(at_risk))
    state.smooth_risk[1] = smooth(keep, state.smooth_risk[1], F(arrived))
    for p in range(2):
        shown, clicked, gmv = 0.0, 0.0, 0.0
        for g in range(p * SCENES, (p + 1) * SCENES):
            shown += group[G_IMPRESSIONS, g]
            clicked += group[G_CLICKS, g]
            gmv += group[G_GMV, g]
        state.smooth_ctr[p, 0] = smooth(keep, state.smooth_ctr[p, 0], F(clicked))
        state.smooth_ctr[p, 1] = smooth(keep, state.smooth_ctr[p, 1], F(shown))
        state.smooth_gpm[p, 0] = smooth(keep, state.smooth_gpm[p, 0], F(gmv))
        state.smooth_gpm[p, 1] = smooth(keep, state.smooth_gpm[p, 1], F(shown))
    for k in range(SEGMENTS):
        clicks, claims = ZERO, ZERO
        for p in range(POOLS):
            for s in range(SCENES):
                c = p * BLOCK + k * SCENES + s
                clicks += lane[CLICKED, c] + lane[ORDERED, c] + lane[REDEEMED, c]
                claims += lane[REDEEMED, c]
        state.tick_segment_clicks[k], state.tick_segment_claims[k] = clicks, claims
        state.smooth_segment_clicks[k] = smooth(keep, state.smooth_segment_clicks[k], clicks)
        state.smooth_segment_claims[k] = smooth(keep, state.smooth_segment_claims[k], claims)


@scalar
def limited(x):
    """x within plus or minus 10, the bounds of the observation space."""
    return min(max(x, -LIMIT), LIMIT)


@scalar
def log_ratio(value, reference):
    """ln(value / reference) within plus or minus 3, and 0 where either is missing."""
    if value <= ZERO or reference <= ZERO:
        return ZERO
    return min(max(log32(value / reference), -ROI_LIMIT), ROI_LIMIT)


@scalar
def pace(amount, per_tick):
    """ln(1 + amount / per_tick): a rate relative to an even spread, compressed."""
    return log32(ONE + max(amount, ZERO) / max(per_tick, F(1e-6)))


@kernel
def observe_plan(world, state, merchant, calendar, remaining, clock, out):
    """Entries 0 to 23: time, calendar, budgets, the merchant, and the plan's results so far."""
    tick, per_day = state.tick, world.ticks_per_day
    day, now = tick // per_day, tick % per_day
    weekday = (state.weekday + day) % 7
    book, budget, target = state.ledger, merchant.budget, np.float64(merchant.roi_target)
    calendar_day = state.calendar + day
    out[0] = ONE - F(tick) / F(world.ticks)
    out[1], out[2] = clock[0, now], clock[1, now]
    out[3], out[4] = clock[2, weekday], clock[3, weekday]
    out[5] = log32(calendar[0, calendar_day])
    out[6] = log32(calendar[0, calendar_day + 1])
    out[7] = remaining[state.calendar, state.weekday, tick]
    out[8] = F(1.0 - book[L_SPEND] / budget)
    out[9] = F(1.0 - state.coupon_committed / max(merchant.coupon_budget, 1.0)) if merchant.coupon_budget > 0.0 else ZERO
    boost = world.boost_share * budget
    out[10] = F(1.0 - state.boost_spend / boost) if boost > 0.0 else ZERO
    out[11] = F(1.0 - state.day_spend / (world.daily_cap * budget))
    out[12] = limited(log32(merchant.roi_target) * HALF)
    out[13] = limited(log32(F(budget * world.days_inverse / 300000.0)) * HALF)
    out[14] = limited(log32(merchant.order_value / F(100)) * HALF)
    out[15] = merchant.margin
    out[16] = limited(F(merchant.coupon_budget / budget))
    settled = book[L_GMV] - book[L_SETTLED_REFUND_GMV]
    cost = reported_cost(world, book)
    value, paid = roi_parts(world, settled, book[L_GMV], cost, book[L_SPEND])
    out[17] = log_ratio(F(value / 100.0), F(target * paid / 100.0))
    out[18] = limited(F((value - target * paid) / (budget * target)))
    out[19] = limited(F(settled / (budget * target)))
    out[20] = limited(F(cost / budget))
    spend, smooth_spend, gmv = ZERO, ZERO, ZERO
    for s in range(SCENES):
        spend += state.tick_spend[s]
        smooth_spend += state.smooth_spend[s]
    for g in range(GROUPS):
        gmv += state.smooth_gmv[g]
    per_tick = F(budget / world.ticks)
    out[21] = limited(pace(spend, per_tick))
    out[22] = limited(pace(smooth_spend, per_tick))
    out[23] = limited(pace(gmv, per_tick * merchant.roi_target))


@kernel
def observe_scenes(world, state, merchant, out):
    """Entries 24 to 58: what each scene's ads do, and what each pool sells."""
    per_tick = F(merchant.budget / world.ticks)
    target = merchant.roi_target
    bid = state.control[LEVER_BID] / world.bid_reference
    for s in range(SCENES):
        g = AD_GROUP + s
        shown = state.tick_impressions[g]
        out[24 + s] = limited(log32(max(bid * state.control[LEVER_SCENE_BID + s], LEAST)))
        out[28 + s] = min(shown / max(state.tick_auctions[s], ONE), ONE)
        out[32 + s] = log_ratio(state.tick_spend[s] * F(10), shown * world.cpm_scene[s])
        out[36 + s] = log_ratio(state.tick_clicks[g], shown * world.ctr_scene[s])
        out[40 + s] = F(state.scene_spend[s] / merchant.budget)
        out[44 + s] = limited(pace(state.smooth_spend[s], per_tick))
        out[48 + s] = limited(pace(state.smooth_gmv[g], per_tick * target))
        out[52 + s] = log_ratio(F(state.gmv[g] / 100.0), F(state.scene_spend[s] / 100.0) * target)
    for p in range(POOLS):
        gmv = ZERO
        for s in range(SCENES):
            gmv += state.smooth_gmv[p * SCENES + s]
        out[56 + p] = limited(pace(gmv, per_tick * target))


@kernel
def observe_shop(world, state, merchant, out):
    """Entries 59 to 80: coupons, segments, and the shop's lasting quantities."""
    out[59] = limited(pace(state.smooth_coupon, F(merchant.coupon_budget / world.ticks)))
    for p in range(POOLS):
        out[60 + p] = state.control[LEVER_COUPON + p] * F(10)
    clicks = ZERO
    for k in range(SEGMENTS):
        clicks += state.smooth_segment_clicks[k]
    for k in range(SEGMENTS):
        out[63 + k] = state.smooth_segment_clicks[k] / max(clicks, F(1e-6))
        out[67 + k] = limited(state.smooth_segment_claims[k] / max(state.smooth_segment_clicks[k], F(1e-6)) * F(100))
    out[71], out[72] = state.quality[0], state.quality[1]
    exposure = ZERO
    for s in range(SCENES):
        exposure += state.exposure[s]
    out[73] = limited(log32(ONE + exposure / F(SCENES)))
    out[74] = limited((state.creative_wait + ONE) / F(24)) if state.creative_wait >= ZERO else ZERO
    out[75] = state.creative_progress
    out[76] = limited(state.supply)
    for j in range(TIERS):
        out[77 + j] = limited(log_ratio(state.heat[j], world.tier_stock[j]))
    out[80] = F(state.ledger[L_SETTLED_REFUND_GMV] / max(state.ledger[L_GMV], 1.0))


@kernel
def observe(world, state, merchant, calendar, remaining, clock, out):
    """Write all features of one market into out, (81,) float32."""
    observe_plan(world, state, merchant, calendar, remaining, clock, out)
    observe_scenes(world, state, merchant, out)
    observe_shop(world, state, merchant, out)
