"""What the merchant's dashboard shows, scaled to O(1): reported metrics only, never latent truth
(world 3).

`interface/features.py` says what each entry means; `interface/columns.py` names its column.
"""

import numpy as np

from ..interface import columns as shown
from ..interface.units import CPM_PER_FEN, FEN_PER_CNY
from ..kernels.compiled import kernel, scalar
from ..kernels.numerics import HALF, ONE, ZERO, log32
from . import layout as rows
from .score import roi_parts
from .stages.ledger import reported_cost
from .stages.plans import plan_tick
from .stages.scheduling import usual_share

F = np.float32
LIMIT = F(10)
LEAST = F(1e-3)
SCARCE = F(1e-6)  # keeps a share from being divided by nothing
LEAST_COUNTED = 1e-9  # CNY; likewise
# just within e^-3 and e^3
LEAST_RATIO = F(0.049787069)
MOST_RATIO = F(20.085535)
# Of features that would be far from O(1) in their own unit.
ORDER_VALUE_SCALE = F(100)  # CNY
BUDGET_SCALE = 3000 * FEN_PER_CNY  # fen per day
DEPTH_SCALE = F(10)
CLAIMS_SCALE = F(100)  # claims per 100 clicks
HOURS_PER_DAY = F(24)

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
) = range(LOG_ROI + rows.N_SCENES, LOG_ROI + rows.N_SCENES + 11)
LOG_POOL = LOG_EXPOSURE + 1
LOG_TIER = LOG_POOL + rows.N_POOLS
LOG_COUNT = LOG_TIER + rows.N_TIERS
# And a second pair of rows for those of the free pools by scene.
FREE_LOGS = rows.TERM_2
LOG_FREE_PACE = 0
LOG_FREE_VALUE = LOG_FREE_PACE + rows.AD_GROUP
FREE_LOG_COUNT = LOG_FREE_VALUE + rows.AD_GROUP


@scalar
def smooth(keep, old, new):
    """Exponential moving average."""
    return keep * old + (ONE - keep) * new


@scalar
def add_to_rate(keep, rate, happened, out_of):
    """Add a tick to the two sums of a smoothed rate, see `layout.HAPPENED`."""
    rate[rows.HAPPENED] = smooth(keep, rate[rows.HAPPENED], happened)
    rate[rows.OUT_OF] = smooth(keep, rate[rows.OUT_OF], out_of)


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
    add_to_rate(keep, state.smooth_risk, F(at_risk), F(arrived))
    for p in range(rows.N_FREE_POOLS):
        seen, clicked, gmv = 0.0, 0.0, 0.0
        for g in range(p * rows.N_SCENES, (p + 1) * rows.N_SCENES):
            impression, click = usual_share(world, scene, g)
            seen += impression * group.rows[rows.G_IMPRESSIONS, g]
            clicked += click * group.rows[rows.G_CLICKS, g]
            gmv += click * group.rows[rows.G_GMV, g]
        add_to_rate(keep, state.smooth_ctr[p], F(clicked), F(seen))
        add_to_rate(keep, state.smooth_gpm[p], F(gmv), F(seen))
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
def rounded(x, step):
    """x to the nearest multiple of step; as it is where step is 0."""
    return np.floor(x / max(step, SCARCE) + HALF) * step if step > ZERO else x


@kernel
def show_shop(world, state):
    """Take the shop's lasting quantities onto the dashboard: to one step, and once a day where the
    platform shows them so.
    """
    if world.shop_daily and state.tick % world.ticks_per_day != 0:
        return
    step = world.shop_step
    for p in range(rows.N_FREE_POOLS):
        state.shown_quality[p] = rounded(state.quality[p], step)
    state.shown_supply = rounded(state.supply, step)
    for j in range(rows.N_TIERS):
        state.shown_heat[j] = rounded(state.heat[j], step * world.tier_stock[j])


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
    """1 + amount / per_tick: a rate relative to an even spread, to be compressed by its
    logarithm.
    """
    return ONE + max(amount, ZERO) / max(per_tick, SCARCE)


@kernel
def gather_plan(world, state, merchant, calendar, out, lane):
    """Arguments of the plan's and the shop's logarithms, and the features computed on the way."""
    day = state.calendar + state.tick // world.ticks_per_day
    book = state.ledger
    budget = state.budget
    target = np.float64(state.roi_target)
    lane.rows[LOGS, LOG_TODAY] = calendar[rows.CALENDAR_TRAFFIC, day]
    lane.rows[LOGS, LOG_TOMORROW] = calendar[rows.CALENDAR_TRAFFIC, day + 1]
    lane.rows[LOGS, LOG_TARGET] = state.roi_target
    lane.rows[LOGS, LOG_VALUE] = merchant.order_value / ORDER_VALUE_SCALE
    lane.rows[LOGS, LOG_BUDGET] = F(budget * world.days_inverse / BUDGET_SCALE)
    settled = book[rows.L_GMV] - book[rows.L_SETTLED_REFUND_GMV]
    cost = reported_cost(world, book)
    value, paid = roi_parts(world.roi_kind, settled, book[rows.L_GMV], cost, book[rows.L_SPEND])
    lane.rows[LOGS, LOG_PLAN_ROI] = ratio(F(value / FEN_PER_CNY), F(target * paid / FEN_PER_CNY))
    out[shown.ROI_SLACK] = limited(F((value - target * paid) / (budget * target)))
    out[shown.SETTLED_SHARE] = limited(F(settled / (budget * target)))
    out[shown.COST_SHARE] = limited(F(cost / budget))
    per_tick = F(state.coupon_budget / world.plan_ticks)
    lane.rows[LOGS, LOG_COUPON] = pace(state.smooth_coupon, per_tick)
    exposure = ZERO
    for s in range(rows.N_SCENES):
        exposure += state.exposure[s]
    lane.rows[LOGS, LOG_EXPOSURE] = ONE + exposure / F(rows.N_SCENES)
    for j in range(rows.N_TIERS):
        lane.rows[LOGS, LOG_TIER + j] = ratio(state.shown_heat[j], world.tier_stock[j])


@kernel
def gather_scenes(world, state, lane):
    """Arguments of the logarithms that speak of scenes and pools, and of their sums."""
    per_tick = F(state.budget / world.plan_ticks)
    target = state.roi_target
    bid = state.control[rows.LEVER_BID] / world.bid_reference
    spend, smooth_spend, total = ZERO, ZERO, ZERO
    for s in range(rows.N_SCENES):
        g = rows.AD_GROUP + s
        seen = state.tick_impressions[g]
        lane.rows[LOGS, LOG_BID + s] = max(bid * state.control[rows.LEVER_SCENE_BID + s], LEAST)
        lane.rows[LOGS, LOG_CPM + s] = ratio(
            state.tick_spend[s] * F(CPM_PER_FEN), seen * world.cpm_scene[s]
        )
        lane.rows[LOGS, LOG_CTR + s] = ratio(state.tick_clicks[g], seen * world.ctr_scene[s])
        lane.rows[LOGS, LOG_SPEND + s] = pace(state.smooth_spend[s], per_tick)
        lane.rows[LOGS, LOG_GMV + s] = pace(state.smooth_gmv[g], per_tick * target)
        lane.rows[LOGS, LOG_ROI + s] = ratio(
            F(state.gmv[g] / FEN_PER_CNY), F(state.scene_spend[s] / FEN_PER_CNY) * target
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
def gather_free(world, state, lane):
    """Arguments of the logarithms that speak of a free pool in a scene: pace, and worth of an
    impression.
    """
    per_tick = F(state.budget / world.plan_ticks) * state.roi_target
    gmv, counted = 0.0, 0.0
    for p in range(rows.N_FREE_POOLS):
        for s in range(rows.N_SCENES):
            g = p * rows.N_SCENES + s
            gmv += state.gmv[g]
            counted += state.impressions[g] * np.float64(world.free_worth[p, s])
    sold = gmv / max(counted, LEAST_COUNTED)
    for g in range(rows.AD_GROUP):
        lane.rows[FREE_LOGS, LOG_FREE_PACE + g] = pace(state.smooth_gmv[g], per_tick)
        counted = state.impressions[g] * np.float64(
            world.free_worth[g // rows.N_SCENES, g % rows.N_SCENES]
        )
        lane.rows[FREE_LOGS, LOG_FREE_VALUE + g] = ratio(
            F(state.gmv[g] / FEN_PER_CNY), F(counted * sold / FEN_PER_CNY)
        )


@kernel
def write_plan(plan, tables, lane, out):
    """Time, calendar, budgets, the merchant, and the plan's results so far."""
    world, merchant, _, state = plan
    clock = tables.clock
    tick = state.tick
    per_day = world.ticks_per_day
    day = tick // per_day
    now = tick % per_day
    weekday = (state.weekday + day) % rows.N_WEEKDAYS
    budget = state.budget
    out[shown.TIME_LEFT] = ONE - F(plan_tick(world, state)) / F(world.plan_ticks)
    out[shown.HOUR_SIN] = clock[rows.HOUR_SIN, now]
    out[shown.HOUR_COS] = clock[rows.HOUR_COS, now]
    out[shown.WEEKDAY_SIN] = clock[rows.WEEKDAY_SIN, weekday]
    out[shown.WEEKDAY_COS] = clock[rows.WEEKDAY_COS, weekday]
    out[shown.EVENT_TODAY] = lane.rows[rows.REST, LOG_TODAY]
    out[shown.EVENT_TOMORROW] = lane.rows[rows.REST, LOG_TOMORROW]
    out[shown.TRAFFIC_LEFT] = tables.remaining[state.calendar, state.weekday, tick]
    out[shown.BUDGET_LEFT] = F(1.0 - state.ledger[rows.L_SPEND] / budget)
    out[shown.COUPON_BUDGET_LEFT] = (
        F(1.0 - state.coupon_committed / max(state.coupon_budget, 1.0))
        if state.coupon_budget > 0.0
        else ZERO
    )
    boost = world.boost_share * budget
    out[shown.BOOST_BUDGET_LEFT] = F(1.0 - state.boost_spend / boost) if boost > 0.0 else ZERO
    out[shown.DAY_BUDGET_LEFT] = F(1.0 - state.day_spend / (world.daily_cap * budget))
    out[shown.ROI_TARGET] = lane.rows[rows.REST, LOG_TARGET] * HALF
    out[shown.BUDGET_SIZE] = lane.rows[rows.REST, LOG_BUDGET] * HALF
    out[shown.ORDER_VALUE] = lane.rows[rows.REST, LOG_VALUE] * HALF
    out[shown.MARGIN] = merchant.margin
    out[shown.COUPON_BUDGET] = limited(F(state.coupon_budget / budget))
    out[shown.ROI_GAP] = lane.rows[rows.REST, LOG_PLAN_ROI]
    out[shown.SPEND_PACE] = lane.rows[rows.REST, LOG_PLAN_SPEND]
    out[shown.SMOOTH_SPEND_PACE] = lane.rows[rows.REST, LOG_PLAN_SMOOTH]
    out[shown.SMOOTH_GMV_PACE] = lane.rows[rows.REST, LOG_PLAN_GMV]


@kernel
def write_scenes(state, lane, out):
    """What each scene's ads do, and what each pool sells."""
    for s in range(rows.N_SCENES):
        out[shown.BID + s] = lane.rows[rows.REST, LOG_BID + s]
        out[shown.WIN_RATE + s] = min(
            state.tick_impressions[rows.AD_GROUP + s] / max(state.tick_auctions[s], ONE), ONE
        )
        out[shown.CPM + s] = lane.rows[rows.REST, LOG_CPM + s]
        out[shown.CTR + s] = lane.rows[rows.REST, LOG_CTR + s]
        out[shown.SPENT + s] = F(state.scene_spend[s] / state.budget)
        out[shown.SCENE_SPEND_PACE + s] = lane.rows[rows.REST, LOG_SPEND + s]
        out[shown.SCENE_GMV_PACE + s] = lane.rows[rows.REST, LOG_GMV + s]
        out[shown.SCENE_ROI + s] = lane.rows[rows.REST, LOG_ROI + s]
    for p in range(rows.N_POOLS):
        out[shown.POOL_GMV_PACE + p] = lane.rows[rows.REST, LOG_POOL + p]


@kernel
def write_shop(state, lane, out):
    """Coupons, segments, and the shop's lasting quantities."""
    out[shown.COUPON_PACE] = lane.rows[rows.REST, LOG_COUPON]
    for p in range(rows.N_POOLS):
        out[shown.DEPTH + p] = state.control[rows.LEVER_COUPON + p] * DEPTH_SCALE
    clicks = ZERO
    for k in range(rows.N_SEGMENTS):
        clicks += state.smooth_segment_clicks[k]
    for k in range(rows.N_SEGMENTS):
        out[shown.CLICKS + k] = state.smooth_segment_clicks[k] / max(clicks, SCARCE)
        out[shown.CLAIMS + k] = limited(
            state.smooth_segment_claims[k]
            / max(state.smooth_segment_clicks[k], SCARCE)
            * CLAIMS_SCALE
        )
    out[shown.QUALITY_NATURAL] = state.shown_quality[rows.NATURAL]
    out[shown.QUALITY_TRANSACTION] = state.shown_quality[rows.TRANSACTION]
    out[shown.FREQUENCY] = lane.rows[rows.REST, LOG_EXPOSURE]
    out[shown.CREATIVE_DUE] = (
        limited((state.creative_wait + ONE) / HOURS_PER_DAY)
        if state.creative_wait >= ZERO
        else ZERO
    )
    out[shown.CREATIVE_PROGRESS] = state.creative_progress
    out[shown.INFLUENCER_SUPPLY] = limited(state.shown_supply)
    for j in range(rows.N_TIERS):
        out[shown.HEAT + j] = lane.rows[rows.REST, LOG_TIER + j]
    # early in a plan more may come back, of the plan before it, than has been sold
    back = F(state.ledger[rows.L_SETTLED_REFUND_GMV] / max(state.ledger[rows.L_GMV], 1.0))
    out[shown.REFUND_RATE] = min(back, ONE)


@kernel
def write_free(world, state, lane, out):
    """What each free pool sells in each scene, and how far the platform has learned each scene."""
    for g in range(rows.AD_GROUP):
        out[shown.FREE_PACE + g] = lane.rows[rows.REST_2, LOG_FREE_PACE + g]
        out[shown.FREE_VALUE + g] = lane.rows[rows.REST_2, LOG_FREE_VALUE + g]
    for s in range(rows.N_SCENES):
        out[shown.LEARNED + s] = (
            min(state.evidence_reported[s] / world.status_orders, ONE)
            if world.predictor_learns
            else ONE
        )


@kernel
def observe(plan, tables, lane, out):
    """Write all features of one market into out, (N_FEATURES,) float32.

    All logarithms are taken together: their arguments are gathered into one row of lanes, and one
    loop does the rest.
    """
    world, merchant, _, state = plan
    for j in range(LOG_COUNT, rows.N_LANES):
        lane.rows[LOGS, j] = ONE
    gather_plan(world, state, merchant, tables.calendar, out, lane)
    gather_scenes(world, state, lane)
    gather_free(world, state, lane)
    for j in range(rows.N_LANES):
        lane.rows[rows.REST, j] = limited(log32(lane.rows[LOGS, j]))
    for j in range(FREE_LOG_COUNT):
        lane.rows[rows.REST_2, j] = limited(log32(lane.rows[FREE_LOGS, j]))
    write_plan(plan, tables, lane, out)
    write_scenes(state, lane, out)
    write_shop(state, lane, out)
    write_free(world, state, lane, out)
