"""What the merchant's dashboard shows, scaled to O(1): reported metrics only, never latent truth
(world 3).

`envs/features.py` names each entry in the order written here.
"""

import numpy as np

from ..kernels.compiled import kernel, scalar
from ..kernels.numerics import HALF, ONE, ZERO, log32
from . import layout as rows
from .ledger import reported_cost, roi_parts

F = np.float32
LIMIT = F(10)
LEAST = F(1e-3)
# just within e^-3 and e^3
LEAST_RATIO = F(0.049787069)
MOST_RATIO = F(20.085535)
FEATURES = 81

# Row of `lane` that gathers the arguments of logarithms (REST takes the results), and their lanes
# in it.
LOGS = rows.TERM
LOG_BID, LOG_CPM, LOG_CTR, LOG_SPEND, LOG_GMV, LOG_ROI = range(0, 6 * rows.N_SCENES, rows.N_SCENES)
(
    LOG_TODAY,
    LOG_TOMORROW,
    LOG_TARGET,
    LOG_BUDGET,
    LOG_VALUE,
    LOG_PLAN_ROI,
    LOG_PLAN_SPEND,
    LOG_PLAN_SMOOTH,
    LOG_PLAN_GMV,
    LOG_COUPON,
    LOG_EXPOSURE,
) = range(24, 35)
LOG_POOL = 35
LOG_TIER = 35 + rows.N_POOLS
LOG_COUNT = 35 + rows.N_POOLS + rows.N_TIERS


@scalar
def smooth(keep, old, new):
    """Exponential moving average."""
    return keep * old + (ONE - keep) * new


@kernel
def record(world, state, lane, scene, group):
    """Note the tick on the dashboard: last-tick figures, smoothed figures, totals per group."""
    keep = world.smooth_keep
    for s in range(rows.N_SCENES):
        state.scene_spend[s] += group.rows[rows.G_SPEND, s]
        state.tick_spend[s] = F(group.rows[rows.G_SPEND, s])
        state.tick_auctions[s] = scene.rows[rows.S_AUCTIONS, s]
        state.smooth_spend[s] = smooth(keep, state.smooth_spend[s], state.tick_spend[s])
    for g in range(rows.N_GROUPS):  # no sums in here: LLVM would keep the loop scalar
        state.tick_impressions[g] = F(group.rows[rows.G_IMPRESSIONS, g])
        state.tick_clicks[g] = F(group.rows[rows.G_CLICKS, g])
        state.tick_gmv[g] = F(group.rows[rows.G_IN_GMV, g])
        state.smooth_gmv[g] = smooth(keep, state.smooth_gmv[g], F(group.rows[rows.G_IN_GMV, g]))
        state.impressions[g] += group.rows[rows.G_IMPRESSIONS, g]
        state.clicks[g] += group.rows[rows.G_CLICKS, g]
        state.orders[g] += group.rows[rows.G_IN_ORDERS, g]
        state.gmv[g] += group.rows[rows.G_IN_GMV, g]
        state.coupon[g] += group.rows[rows.G_IN_COUPON, g]
        state.refunded[g] += group.rows[rows.G_SENT_BACK, g] * world.counted_share
    coupon, arrived, at_risk = 0.0, 0.0, 0.0
    for g in range(rows.N_GROUPS):
        coupon += group.rows[rows.G_IN_COUPON, g]
        arrived += group.rows[rows.G_IN_ORDERS, g]
        at_risk += group.rows[rows.G_IN_AT_RISK, g]
    state.smooth_coupon = smooth(keep, state.smooth_coupon, F(coupon))
    state.smooth_risk[0] = smooth(keep, state.smooth_risk[0], F(at_risk))
    state.smooth_risk[1] = smooth(keep, state.smooth_risk[1], F(arrived))
    for p in range(2):
        shown, clicked, gmv = 0.0, 0.0, 0.0
        for g in range(p * rows.N_SCENES, (p + 1) * rows.N_SCENES):
            shown += group.rows[rows.G_IMPRESSIONS, g]
            clicked += group.rows[rows.G_CLICKS, g]
            gmv += group.rows[rows.G_GMV, g]
        state.smooth_ctr[p, 0] = smooth(keep, state.smooth_ctr[p, 0], F(clicked))
        state.smooth_ctr[p, 1] = smooth(keep, state.smooth_ctr[p, 1], F(shown))
        state.smooth_gpm[p, 0] = smooth(keep, state.smooth_gpm[p, 0], F(gmv))
        state.smooth_gpm[p, 1] = smooth(keep, state.smooth_gpm[p, 1], F(shown))
    for k in range(rows.N_SEGMENTS):
        clicks, claims = ZERO, ZERO
        for p in range(rows.N_POOLS):
            for s in range(rows.N_SCENES):
                c = p * rows.BLOCK + k * rows.N_SCENES + s
                clicks += lane.rows[rows.CLICKS, c]
                claims += lane.rows[rows.REDEEMED, c]
        state.tick_segment_clicks[k] = clicks
        state.tick_segment_claims[k] = claims
        state.smooth_segment_clicks[k] = smooth(keep, state.smooth_segment_clicks[k], clicks)
        state.smooth_segment_claims[k] = smooth(keep, state.smooth_segment_claims[k], claims)


@scalar
def limited(x):
    """x within plus or minus 10, the bounds of the observation space."""
    return min(max(x, -LIMIT), LIMIT)


@scalar
def ratio(value, reference):
    """value / reference within e^-3 and e^3, so that its logarithm stays within 3; 1 where either
    is missing.
    """
    if value <= ZERO or reference <= ZERO:
        return ONE
    return min(max(value / reference, LEAST_RATIO), MOST_RATIO)


@scalar
def pace(amount, per_tick):
    """1 + amount / per_tick: a rate relative to an even spread, to be compressed by its logarithm."""
    return ONE + max(amount, ZERO) / max(per_tick, F(1e-6))


@kernel
def gather_plan(world, state, merchant, calendar, out, lane):
    """Arguments of the plan's and the shop's logarithms, and the features computed on the way."""
    day = state.calendar + state.tick // world.ticks_per_day
    book = state.ledger
    budget = merchant.budget
    target = np.float64(merchant.roi_target)
    lane.rows[LOGS, LOG_TODAY] = calendar[0, day]
    lane.rows[LOGS, LOG_TOMORROW] = calendar[0, day + 1]
    lane.rows[LOGS, LOG_TARGET] = merchant.roi_target
    lane.rows[LOGS, LOG_VALUE] = merchant.order_value / F(100)
    lane.rows[LOGS, LOG_BUDGET] = F(budget * world.days_inverse / 300000.0)
    settled = book[rows.L_GMV] - book[rows.L_SETTLED_REFUND_GMV]
    cost = reported_cost(world, book)
    value, paid = roi_parts(world, settled, book[rows.L_GMV], cost, book[rows.L_SPEND])
    lane.rows[LOGS, LOG_PLAN_ROI] = ratio(F(value / 100.0), F(target * paid / 100.0))
    out[18] = limited(F((value - target * paid) / (budget * target)))
    out[19] = limited(F(settled / (budget * target)))
    out[20] = limited(F(cost / budget))
    lane.rows[LOGS, LOG_COUPON] = pace(state.smooth_coupon, F(merchant.coupon_budget / world.ticks))
    exposure = ZERO
    for s in range(rows.N_SCENES):
        exposure += state.exposure[s]
    lane.rows[LOGS, LOG_EXPOSURE] = ONE + exposure / F(rows.N_SCENES)
    for j in range(rows.N_TIERS):
        lane.rows[LOGS, LOG_TIER + j] = ratio(state.heat[j], world.tier_stock[j])


@kernel
def gather_scenes(world, state, merchant, lane):
    """Arguments of the logarithms that speak of scenes and pools, and of their sums."""
    per_tick = F(merchant.budget / world.ticks)
    target = merchant.roi_target
    bid = state.control[rows.LEVER_BID] / world.bid_reference
    spend, smooth_spend, total = ZERO, ZERO, ZERO
    for s in range(rows.N_SCENES):
        g = rows.AD_GROUP + s
        shown = state.tick_impressions[g]
        lane.rows[LOGS, LOG_BID + s] = max(bid * state.control[rows.LEVER_SCENE_BID + s], LEAST)
        lane.rows[LOGS, LOG_CPM + s] = ratio(
            state.tick_spend[s] * F(10), shown * world.cpm_scene[s]
        )
        lane.rows[LOGS, LOG_CTR + s] = ratio(state.tick_clicks[g], shown * world.ctr_scene[s])
        lane.rows[LOGS, LOG_SPEND + s] = pace(state.smooth_spend[s], per_tick)
        lane.rows[LOGS, LOG_GMV + s] = pace(state.smooth_gmv[g], per_tick * target)
        lane.rows[LOGS, LOG_ROI + s] = ratio(
            F(state.gmv[g] / 100.0), F(state.scene_spend[s] / 100.0) * target
        )
        spend += state.tick_spend[s]
        smooth_spend += state.smooth_spend[s]
    for p in range(rows.N_POOLS):
        gmv = ZERO
        for s in range(rows.N_SCENES):
            gmv += state.smooth_gmv[p * rows.N_SCENES + s]
        lane.rows[LOGS, LOG_POOL + p] = pace(gmv, per_tick * target)
        total += gmv
    lane.rows[LOGS, LOG_PLAN_SPEND] = pace(spend, per_tick)
    lane.rows[LOGS, LOG_PLAN_SMOOTH] = pace(smooth_spend, per_tick)
    lane.rows[LOGS, LOG_PLAN_GMV] = pace(total, per_tick * target)


@kernel
def write_plan(world, state, merchant, clock, remaining, lane, out):
    """Entries 0 to 23: time, calendar, budgets, the merchant, and the plan's results so far."""
    tick = state.tick
    per_day = world.ticks_per_day
    day = tick // per_day
    now = tick % per_day
    weekday = (state.weekday + day) % 7
    budget = merchant.budget
    out[0] = ONE - F(tick) / F(world.ticks)
    out[1] = clock[0, now]
    out[2] = clock[1, now]
    out[3] = clock[2, weekday]
    out[4] = clock[3, weekday]
    out[5] = lane.rows[rows.REST, LOG_TODAY]
    out[6] = lane.rows[rows.REST, LOG_TOMORROW]
    out[7] = remaining[state.calendar, state.weekday, tick]
    out[8] = F(1.0 - state.ledger[rows.L_SPEND] / budget)
    out[9] = (
        F(1.0 - state.coupon_committed / max(merchant.coupon_budget, 1.0))
        if merchant.coupon_budget > 0.0
        else ZERO
    )
    boost = world.boost_share * budget
    out[10] = F(1.0 - state.boost_spend / boost) if boost > 0.0 else ZERO
    out[11] = F(1.0 - state.day_spend / (world.daily_cap * budget))
    out[12] = lane.rows[rows.REST, LOG_TARGET] * HALF
    out[13] = lane.rows[rows.REST, LOG_BUDGET] * HALF
    out[14] = lane.rows[rows.REST, LOG_VALUE] * HALF
    out[15] = merchant.margin
    out[16] = limited(F(merchant.coupon_budget / budget))
    out[17] = lane.rows[rows.REST, LOG_PLAN_ROI]
    out[21] = lane.rows[rows.REST, LOG_PLAN_SPEND]
    out[22] = lane.rows[rows.REST, LOG_PLAN_SMOOTH]
    out[23] = lane.rows[rows.REST, LOG_PLAN_GMV]


@kernel
def write_scenes(state, merchant, lane, out):
    """Entries 24 to 58: what each scene's ads do, and what each pool sells."""
    for s in range(rows.N_SCENES):
        out[24 + s] = lane.rows[rows.REST, LOG_BID + s]
        out[28 + s] = min(
            state.tick_impressions[rows.AD_GROUP + s] / max(state.tick_auctions[s], ONE), ONE
        )
        out[32 + s] = lane.rows[rows.REST, LOG_CPM + s]
        out[36 + s] = lane.rows[rows.REST, LOG_CTR + s]
        out[40 + s] = F(state.scene_spend[s] / merchant.budget)
        out[44 + s] = lane.rows[rows.REST, LOG_SPEND + s]
        out[48 + s] = lane.rows[rows.REST, LOG_GMV + s]
        out[52 + s] = lane.rows[rows.REST, LOG_ROI + s]
    for p in range(rows.N_POOLS):
        out[56 + p] = lane.rows[rows.REST, LOG_POOL + p]


@kernel
def write_shop(state, lane, out):
    """Entries 59 to 80: coupons, segments, and the shop's lasting quantities."""
    out[59] = lane.rows[rows.REST, LOG_COUPON]
    for p in range(rows.N_POOLS):
        out[60 + p] = state.control[rows.LEVER_COUPON + p] * F(10)
    clicks = ZERO
    for k in range(rows.N_SEGMENTS):
        clicks += state.smooth_segment_clicks[k]
    for k in range(rows.N_SEGMENTS):
        out[63 + k] = state.smooth_segment_clicks[k] / max(clicks, F(1e-6))
        out[67 + k] = limited(
            state.smooth_segment_claims[k] / max(state.smooth_segment_clicks[k], F(1e-6)) * F(100)
        )
    out[71] = state.quality[0]
    out[72] = state.quality[1]
    out[73] = lane.rows[rows.REST, LOG_EXPOSURE]
    out[74] = limited((state.creative_wait + ONE) / F(24)) if state.creative_wait >= ZERO else ZERO
    out[75] = state.creative_progress
    out[76] = limited(state.supply)
    for j in range(rows.N_TIERS):
        out[77 + j] = lane.rows[rows.REST, LOG_TIER + j]
    out[80] = F(state.ledger[rows.L_SETTLED_REFUND_GMV] / max(state.ledger[rows.L_GMV], 1.0))


@kernel
def observe(world, state, merchant, calendar, remaining, clock, lane, out):
    """Write all features of one market into out, (81,) float32.

    All logarithms are taken together: their arguments are gathered into one row of lanes, and one
        loop does the rest.
    """
    for j in range(LOG_COUNT, rows.N_LANES):
        lane.rows[LOGS, j] = ONE
    gather_plan(world, state, merchant, calendar, out, lane)
    gather_scenes(world, state, merchant, lane)
    for j in range(rows.N_LANES):
        lane.rows[rows.REST, j] = limited(log32(lane.rows[LOGS, j]))
    write_plan(world, state, merchant, clock, remaining, lane, out)
    write_scenes(state, merchant, lane, out)
    write_shop(state, lane, out)
