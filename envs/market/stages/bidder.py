"""The platform's own bidder (world 2.15): it paces every scene's bids to the plan's division of its
money, holds all of them to the ROI target, and paces coupon depths to a division of coupon money.

It reads what has been reported. Where it is on it scales the controls in place, so that auctions,
coupons and the dashboard see the multipliers and depths in force.
"""

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import ONE, ZERO, exp32, log32
from .. import layout as rows
from ..score import roi_parts
from .ledger import overall_cost
from .plans import plan_tick
from .seat import budget_of_day, told_target

F = np.float32
LEAST_RISK_ORDERS = 1e-6
ERROR_LIMIT = F(1)  # ln of ROI over the target
MOST_RATIO = 1e6  # of planned over expected money
LEAST_EXPECTED = 1e-9  # fen
LEAST_ARRIVED = 0.02
LEAST_FLOW = 1e-9  # share of the plan's traffic
RARE = F(1e-20)  # keeps a share from being divided by nothing


@kernel
def traffic_left(world, state, tables, tick):
    """Share of the traffic of the plan in force from a tick of it on; 0 after its last one, where
    the table goes on with the next plan.
    """
    if tick >= (state.plan + 1) * world.plan_ticks:
        return ZERO
    return tables.remaining[state.calendar, state.weekday, tick]


@kernel
def usual_flow(world, state, tables, s, tick):
    """Shares of the plan's usual traffic of scene s: in a tick of it, and from it on."""
    per_day = world.ticks_per_day
    now = tick % per_day
    midnight = tick - now
    first = traffic_left(world, state, tables, midnight)
    later = traffic_left(world, state, tables, midnight + per_day)
    day = first - later
    return (
        day * tables.hours[s, now] / F(per_day),
        day * tables.ahead[s, now] + later,
    )


@kernel
def begin_books(state):
    """Begin a plan's own sums anew. The levels go on: they are what the platform has learned; and
    what is on its way stays, but will be reported beside the plan's own orders.
    """
    state.expected_gmv, state.opening_waiting = 0.0, 0.0
    for d in range(rows.N_DELAYS):
        state.opening_waiting += state.expected_waiting[d]
    state.recent_value, state.recent_cost, state.recent_flow = 0.0, 0.0, 0.0


@kernel
def believed_roi(world, state):
    """Value and cost of the plan so far as the platform reads the reports, fen: over the share of
    its GMV that should have been reported by now, older plans' included, less the refunds it
    expects.
    """
    book = state.ledger
    waiting = 0.0
    for d in range(rows.N_DELAYS):
        waiting += state.expected_waiting[d]
    waiting -= state.opening_waiting
    arrived = max(1.0 - waiting / max(state.expected_gmv, LEAST_EXPECTED), LEAST_ARRIVED)
    orders = np.float64(state.smooth_risk[rows.OUT_OF])
    risk = np.float64(state.smooth_risk[rows.HAPPENED]) / max(orders, LEAST_RISK_ORDERS)
    kept = 1.0 - world.counted_share * min(max(risk, 0.0), 1.0)
    gmv = book[rows.L_GMV] / arrived
    cost = overall_cost(
        world,
        book[rows.L_SPEND],
        book[rows.L_COMMISSION] / arrived * kept,
        book[rows.L_COUPON_MERCHANT] / arrived * kept,
        book[rows.L_CREATIVE],
        book[rows.L_SERVICE] + book[rows.L_EXTRAS] / arrived,
    )
    return roi_parts(world.roi_kind, gmv * kept, gmv, cost, book[rows.L_SPEND])


@kernel
def roi_error(world, state, tables):
    """ln of the ROI that the plan would end with over its target and the margin, if the rest of its
    traffic brought and cost what the last hours did; scaled up where ads are a small part of the
    cost or little traffic is left, which is what can still mend it.
    """
    value, paid = believed_roi(world, state)
    tick = state.tick
    ahead = np.float64(traffic_left(world, state, tables, tick))
    rest = 0.0
    if plan_tick(world, state) > 0:
        before = np.float64(traffic_left(world, state, tables, tick - 1))
        keep = world.recent_keep
        state.recent_value = keep * state.recent_value + (value - state.believed_value)
        state.recent_cost = keep * state.recent_cost + (paid - state.believed_cost)
        state.recent_flow = keep * state.recent_flow + (before - ahead)
        rest = ahead / max(state.recent_flow, LEAST_FLOW)
    state.believed_value, state.believed_cost = value, paid
    wanted = np.float64(told_target(world, state)) * (1.0 + world.cost_margin)
    prior = world.cost_prior * state.budget
    leverage = min((paid + prior) / (state.ledger[rows.L_SPEND] + prior), world.cost_leverage)
    value += max(state.recent_value, 0.0) * rest + wanted * prior
    paid += max(state.recent_cost, 0.0) * rest + prior
    error = log32(F(value / (wanted * paid))) * F(leverage / max(ahead, world.cost_horizon))
    return min(max(error, -ERROR_LIMIT), ERROR_LIMIT)


@scalar
def follow(level, planned, expected, gain, step):
    """level * (planned / expected)^gain, where the ratio is no more than e^step either way."""
    ratio = min(planned / max(expected, planned / MOST_RATIO), MOST_RATIO)
    moved = min(max(log32(F(ratio)), -step), step)
    return level * exp32(gain * moved)


@kernel
def hold_target(world, state, error):
    """Move `cost_level` by the error, not far above the multipliers in force; returns the most that
    a scene's multiplier may be in this tick. It is a multiple of the bid at the target told.
    """
    top = ZERO
    for s in range(rows.N_SCENES):
        top = max(top, state.pace_level[s])
    level = state.cost_level * exp32(world.cost_gain * error)
    told = state.target_told if world.seat_open else ONE
    level = min(level, told * top * exp32(world.cost_slack))
    state.cost_level = min(max(level, world.level_least), world.level_most)
    return state.cost_level * exp32(world.cost_now * error) / told


@scalar
def subsidy_weight(world, control, p):
    """Weight of pool p in the division of the coupon money; none where no coupons are allowed."""
    return world.coupon_pool[p] * exp32(control[rows.LEVER_SUBSIDY + p])


@kernel
def money_of_tick(world, state, tables, s):
    """Fen that the plan would spend in this tick if all its money were for scene s: what the tick
    is of the scene's usual traffic still to come, of the money left and of today's.
    """
    left = max(state.budget - state.ledger[rows.L_SPEND], 0.0)
    today = max(budget_of_day(world, state) - state.day_spend, 0.0)
    now_of_day = state.tick % world.ticks_per_day
    now, ahead = usual_flow(world, state, tables, s, state.tick)
    of_day = tables.hours[s, now_of_day] / F(world.ticks_per_day)
    rest_of_day = max(tables.ahead[s, now_of_day], RARE)
    return min(left * now / max(ahead, RARE), today * of_day / rest_of_day)


@kernel
def pace_scenes(world, state, tables, most):
    """Multipliers in force of all scenes: each follows the spend planned for it, and none is above
    `most`.

    Planned is the scene's share of the division; expected is what the last tick spent, by usual
    traffic. Steps start at the multiplier in force, so that nothing winds up where `most` binds.
    """
    control = state.control
    total = ZERO
    for s in range(rows.N_SCENES):
        total += exp32(control[rows.LEVER_DIVIDE + s])
    for s in range(rows.N_SCENES):
        share = exp32(control[rows.LEVER_DIVIDE + s]) / total
        planned = share * money_of_tick(world, state, tables, s)
        level = state.pace_level[s]
        if plan_tick(world, state) > 0 and planned >= 1.0:
            now, _ = usual_flow(world, state, tables, s, state.tick)
            before, _ = usual_flow(world, state, tables, s, state.tick - 1)
            expected = np.float64(state.tick_spend[s]) * now / max(before, RARE)
            level = follow(level, planned, expected, world.pace_gain, world.pace_step)
        level = min(max(level, world.level_least), world.level_most)
        state.pace_level[s] = min(level, most)
        control[rows.LEVER_SCENE_BID + s] *= state.pace_level[s]


@kernel
def pace_coupons(world, state, tables):
    """Coupon depths in force: each pool's follows the coupon money planned for it, as bids do."""
    control = state.control
    left = max(state.coupon_budget - state.coupon_committed, 0.0)
    total = ZERO
    for p in range(rows.N_POOLS):
        total += subsidy_weight(world, control, p)
    tick = state.tick
    ahead = traffic_left(world, state, tables, tick)
    now = ahead - traffic_left(world, state, tables, tick + 1)
    for p in range(rows.N_POOLS):
        planned = subsidy_weight(world, control, p) / total * left * now / max(ahead, RARE)
        lever = control[rows.LEVER_COUPON + p]
        level = state.depth_level[p]
        if plan_tick(world, state) > 0 and planned >= 1.0 and lever > ZERO:
            before = traffic_left(world, state, tables, tick - 1) - ahead
            expected = np.float64(state.tick_claims[p]) * now / max(before, RARE)
            level = follow(level, planned, expected, world.coupon_gain, world.pace_step)
            level = max(min(level, world.depth_max / lever), world.level_least)
        state.depth_level[p] = level
        depth = min(lever * level, world.depth_max)
        control[rows.LEVER_COUPON + p] = depth if left >= 1.0 else ZERO


@kernel
def steer(plan, tables):
    """Put the platform's multipliers and depths into the controls of the tick."""
    world, state = plan.world, plan.state
    if plan_tick(world, state) == 0:
        begin_books(state)
    error = roi_error(world, state, tables)
    most = hold_target(world, state, error)
    pace_scenes(world, state, tables, most)
    pace_coupons(world, state, tables)


@kernel
def note_reports(world, cells, state, lane, group):
    """The GMV that the tick's clicks let the platform expect, of which a part waits as orders do;
    and the merchant's part of the coupons claimed, by pool.
    """
    expected = 0.0
    for c in range(rows.N_LANES):
        orders = lane.rows[rows.CLICKS, c] * lane.rows[rows.CVR, c]
        expected += orders * cells.rows[rows.PREDICTION, c] * lane.rows[rows.PRICE, c]
    state.expected_gmv += expected
    later = (1.0 - world.at_once) * expected
    quick = state.expected_waiting[0] + later * world.fast_share
    slow = state.expected_waiting[1] + later * (1.0 - world.fast_share)
    state.expected_waiting[0] = quick * (1.0 - world.fast_release)
    state.expected_waiting[1] = slow * (1.0 - world.slow_release)
    for p in range(rows.N_POOLS):
        claimed = 0.0
        for g in range(p * rows.N_SCENES, (p + 1) * rows.N_SCENES):
            claimed += group.rows[rows.G_COUPON, g]
        state.tick_claims[p] = F(claimed * world.merchant_share)
