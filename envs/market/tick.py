"""One tick of one market, stage by stage (world 2).

The stages read like the world's page: noise, traffic, auction, limits, counts, orders, books, shop,
reward. A market's tick depends on nothing but its own records and key, so any batch, order or
thread gives the same bits.
"""

from typing import Any, NamedTuple

import numpy as np

from ..interface import feedback
from ..kernels.compiled import kernel
from ..kernels.numerics import ONE, ZERO, exp32
from ..kernels.streams import SLOT_COUNTS, SLOT_DELAY, SLOT_REFUND, fill_row, tick_key
from . import layout as rows
from .layout import Moment
from .observation import record, show_shop
from .stages.auction import charge, learn_from_reports, note_edits, run_auctions, throttle
from .stages.bidder import note_reports, steer
from .stages.carryover import (
    draw_noise,
    jump,
    move_influencers,
    move_quality,
    move_shocks,
    move_tiers,
    refresh_creatives,
    wear,
)
from .stages.counts import poisson
from .stages.customers import come_back, win_customers
from .stages.demand import (
    creative_appeal,
    displace,
    expected_coupon_cost,
    free_impressions,
    order_shift,
    rates,
    ration_coupons,
    refund_shift,
    spread,
    thin,
    tier_terms,
    traffic_of_scene,
)
from .stages.ledger import accrue, accrued_roi, book_refunds, protect, score_so_far
from .stages.left_over import left_over, left_profit
from .stages.orders import count_groups, deliver, fit_coupons, mature_refunds, settle_arrivals
from .stages.plans import next_plan, plan_tick
from .stages.scheduling import mix_pools, pace_pools, select_free
from .stages.seat import budget_of_day, take_edits

F = np.float32


class Standing(NamedTuple):
    """What a plan has reached before a tick is booked, fen; the tick's reward and costs are
    differences to it.
    """

    measured: Any  # the quantity whose growth is the reward
    value: Any  # numerator of the ROI
    paid: Any  # its denominator
    settled: Any  # settled GMV
    gmv: Any
    committed: Any  # coupons, the merchant's part


@kernel
def set_controls(world, state, action, index, noop):
    """Turn an action in [-1, 1] (clipped, as the Box says) into controls; a no-op plan bids and
    grants nothing (world 3). While a decision stands it is read instead of the action.
    """
    control = state.control
    decides = state.tick % world.decision_ticks == 0
    for j in range(rows.N_LEVERS):
        control[j] = world.lever_default[j]
    for i in range(index.shape[0]):
        j = index[i]
        if decides:
            state.decision[j] = min(max(action[i], -ONE), ONE)
        a = state.decision[j]
        middle = world.lever_default[j]
        if world.lever_kind[j] == rows.LOGARITHMIC:
            log_span = world.lever_log_span[j]
            floor = exp32(-log_span)
            control[j] = (
                max(middle * (exp32(a * log_span) - floor) / (ONE - floor), ZERO)
                if a > -ONE
                else ZERO
            )
        elif a > ZERO:
            control[j] = middle + a * (world.lever_high[j] - middle)
        else:
            control[j] = middle + a * (middle - world.lever_low[j])
    if noop:
        control[rows.LEVER_BID] = ZERO
        for p in range(rows.N_POOLS):
            control[rows.LEVER_COUPON + p] = ZERO


@kernel
def limits(world, state, caps):
    """Fen each scene may still spend (into caps), and the plan within today's cap and its budget
    (world 2.10).
    """
    left = state.budget - state.ledger[rows.L_SPEND]
    today = budget_of_day(world, state) - state.day_spend
    for s in range(rows.N_SCENES):
        share = np.floor(np.float64(state.control[rows.LEVER_SHARE + s]) * state.budget)
        caps[s] = max(share - state.scene_spend[s], 0.0)
    return max(min(left, today), 0.0)


@kernel
def affordable_boost(world, state, boost):
    """The boost still paid for: full while its budget lasts, nothing afterwards."""
    left = np.floor(world.boost_share * state.budget) - state.boost_spend
    return boost if left >= 1.0 else ZERO


@kernel
def draw_counts(key, lane):
    """Sample the four thinned Poisson counts of every lane, each outcome on its own slots."""
    for outcome in range(rows.N_OUTCOMES):
        fill_row(key, SLOT_COUNTS + outcome * (rows.N_LANES // 2), lane, rows.UNIFORM + outcome)
    poisson(lane)


@kernel
def expect_counts(lane):
    """Expectation mode: the counts are their means."""
    for outcome in range(rows.N_OUTCOMES):
        for c in range(rows.N_LANES):
            lane.rows[rows.SEEN + outcome, c] = lane.rows[rows.MEAN_SEEN + outcome, c]


@kernel
def impressions(plan, work, tables, limit, day):
    """Expected impressions of all pools after auctions, throttling and displacement; order terms of
    every lane.

    Returns the boost in force.
    """
    world, merchant, cells, state = plan
    lane, scene = work.lane, work.scene
    control = state.control
    today = state.calendar + day
    boost = affordable_boost(world, state, control[rows.LEVER_BOOST])
    appeal, value, refund = tier_terms(world, state, control)
    urge = order_shift(world, control, appeal, tables.calendar[rows.CALENDAR_ORDER, today])
    tick_of_day = state.tick % world.ticks_per_day
    clock = (tables.clock[rows.HOUR_COS, tick_of_day], tables.clock[rows.HOUR_SIN, tick_of_day])
    creative_appeal(world, state, scene)
    spread(world, state, merchant, control, clock, urge, scene, lane)
    refund = refund_shift(world, control, refund) + state.jump[rows.JUMP_REFUND]
    rates(world, state, cells, lane, refund, value)
    free_impressions(cells, lane)
    if world.pools_scheduled:
        mix_pools(world, control, lane, scene)
        pace_pools(world, state, tables, scene)
        select_free(world, cells, lane, scene)
    run_auctions(plan, lane, scene, tables.calendar[rows.CALENDAR_PRICE, today], boost)
    throttle(lane, scene, limit, work.caps)
    if not world.incremental:
        displace(world, lane)
    return boost


@kernel
def grant_coupons(plan, lane):
    """Ration coupons to the coupon budget in expectation; returns the fen left of it (merchant's
    part).
    """
    left = max(plan.state.coupon_budget - plan.state.coupon_committed, 0.0)
    cost = expected_coupon_cost(lane) * plan.world.merchant_share
    if cost > left:
        ration_coupons(plan.cells, lane, F(left / cost))
    return left


@kernel
def book_spend(plan, spent, placed, boost):
    """Book the tick's ad spend, its rebate and boost, and the service of the orders placed (world
    2.9).
    """
    world, state = plan.world, plan.state
    book = state.ledger
    book[rows.L_SPEND] += spent
    book[rows.L_REBATE] += np.floor(world.rebate * spent)
    book[rows.L_SERVICE] += np.floor(
        world.service_cost * state.control[rows.LEVER_SERVICE] * placed
    )
    extra = world.boost_reach * boost
    allowed = np.floor(world.boost_share * state.budget) - state.boost_spend
    state.boost_spend += min(np.floor(spent * np.float64(extra / (ONE + extra))), max(allowed, 0.0))
    state.day_spend += spent


@kernel
def settle_tick(plan, work, now, boost, spent):
    """Orders placed, delivered, refunded, and every line booked; returns nothing, the ledger is the
    result.
    """
    world, merchant, _, state = plan
    lane, group = work.lane, work.group
    goods_rate = 1.0 - np.float64(merchant.margin)
    count_groups(world, lane, state.control, group)
    placed, coupon = 0.0, 0.0
    for g in range(rows.N_GROUPS):
        placed += group.rows[rows.G_ORDERS, g]
        coupon += group.rows[rows.G_COUPON, g]
    state.placed += placed
    state.coupon_committed = min(
        state.coupon_committed + np.ceil(coupon * world.merchant_share), state.coupon_budget
    )
    book_spend(plan, spent, placed, boost)
    fill_row(now.key, SLOT_DELAY, lane, rows.UNIFORM)
    fill_row(now.key, SLOT_REFUND, lane, rows.UNIFORM_2)
    deliver(world, state, lane, group, now.last, now.sampled)
    state.refunded_orders += settle_arrivals(world, state, lane, group, goods_rate, now.sampled)
    for i in range(rows.N_WINDOWS):
        mature_refunds(world, state, i, group, now.last)
        book_refunds(world, state, i, group)


@kernel
def measure(plan):
    """The accrued quantity whose growth is the reward, fen (world 3)."""
    world, merchant, _, state = plan
    reward = world.reward
    if reward == feedback.PROFIT:
        return state.accrued[rows.A_PROFIT] + left_profit(world, state, merchant)
    if reward == feedback.SCORE:
        return score_so_far(world, state)
    if reward == feedback.PLATFORM:
        return state.accrued[rows.A_PLATFORM]
    return state.accrued[rows.A_SETTLED] + state.left_over


@kernel
def standing(plan):
    """What the plan has reached so far."""
    state = plan.state
    value, paid = accrued_roi(plan.world, state)
    return Standing(
        measure(plan),
        value,
        paid,
        state.accrued[rows.A_SETTLED],
        state.accrued[rows.A_GMV],
        state.coupon_committed,
    )


@kernel
def write_costs(plan, group, before, spent, costs):
    """Signed cost parts of the tick: they sum over the episode to the constraint's own value, of
    several plans to its mean over them (world 3).

    roi: (target * cost - value) / (budget * target); budget and subsidy: shares used, of which 1 is
    the limit; ad load: ad impressions beyond the limit's share of impressions, per member of the
    audience; refund rate: refunds within the window beyond the limit's share of GMV, / (budget *
    target).
    """
    world, merchant, _, state = plan
    target = np.float64(state.roi_target)
    part = world.plan_share
    scale = state.budget * target
    value, paid = accrued_roi(world, state)
    costs[feedback.ROI] = F((target * (paid - before.paid) - (value - before.value)) / scale * part)
    costs[feedback.BUDGET] = F(spent / state.budget * part)
    costs[feedback.SUBSIDY] = F(
        (state.coupon_committed - before.committed) / max(state.coupon_budget, 1.0) * part
    )
    ads, shown = 0.0, 0.0
    for g in range(rows.N_GROUPS):
        shown += group.rows[rows.G_IMPRESSIONS, g]
        ads += group.rows[rows.G_IMPRESSIONS, g] if g >= rows.AD_GROUP else 0.0
    people = 0.0
    for s in range(rows.N_SCENES):
        people += merchant.audience_scene[s]
    costs[feedback.AD_LOAD] = F((ads - world.ad_load_limit * shown) / people * part)
    gmv = state.accrued[rows.A_GMV] - before.gmv
    refunds = gmv - (state.accrued[rows.A_SETTLED] - before.settled)
    costs[feedback.REFUND_RATE] = F((refunds - world.refund_rate_limit * gmv) / scale * part)


@kernel
def begin(plan, work):
    """Note the ledger, start the day's books where a day starts, and move the market's shocks;
    returns the moment.
    """
    world, state = plan.world, plan.state
    last = state.tick + 1 >= world.ticks
    now = Moment(
        tick_key(state.key, state.tick),
        state.tick // world.ticks_per_day,
        last,
        world.sampled != 0,
        not last and plan_tick(world, state) + 1 >= world.plan_ticks,
    )
    state.last_ledger[:] = state.ledger[:]
    if state.tick % world.ticks_per_day == 0:
        state.day_spend = 0.0
    if now.sampled:
        draw_noise(world, now.key, work.scene, work.lane)
    else:
        work.scene.rows[rows.S_NOISE, :] = ZERO
        work.scene.rows[rows.S_DISPERSION, :] = ONE
    move_shocks(world, state, work.scene)
    return now


@kernel
def move_shop(plan, work, now):
    """Carry the shop over to the next tick: dashboard, wear, quality, influencers, tiers, creatives
    (world 2.8).
    """
    world, merchant, _, state = plan
    lane, scene, group = work.lane, work.scene, work.group
    record(world, state, lane, scene, group)
    if world.predictor_learns:
        learn_from_reports(world, plan.cells, state, lane, group)
    if world.platform_bids:
        note_reports(world, plan.cells, state, lane, group)
    wear(world, state, merchant, lane, scene, group)
    move_quality(world, state, merchant, group)
    move_influencers(world, state, state.control)
    move_tiers(world, state, state.control)
    if world.customers_count:
        win_customers(world, state, group)
    refresh_creatives(world, state, now.key, lane, now.sampled)
    if world.jumps and now.sampled:
        jump(world, state, lane)


@kernel
def close_books(plan, over, last):
    """What the plan has earned so far, at its end the platform's cost protection, and at the
    episode's end what the shop has become worth.
    """
    world, merchant, _, state = plan
    goods_rate = 1.0 - np.float64(merchant.margin)
    accrue(world, state, goods_rate)
    if over and world.protection and not state.unprotected:
        protect(world, state)
        accrue(world, state, goods_rate)
    if last and world.left_counts:
        state.left_over = left_over(world, state, merchant)


@kernel
def tick(plan, work, tables, costs):
    """Advance one market by one tick under the controls in its state.

    Returns its reward, scaled by the merchant's budget * roi_target; the tick's costs are written
    to `costs`.
    """
    world, merchant, _, state = plan
    lane, scene = work.lane, work.scene
    now = begin(plan, work)
    traffic_of_scene(world, state, tables.hours, tables.calendar, now.day, scene)
    if world.repeat_rate > 0.0:
        come_back(state, merchant, scene)
    if world.seat_open:
        take_edits(world, state)
    limit = limits(world, state, work.caps)
    if world.predictor_learns:
        note_edits(world, state)
    if world.platform_bids:
        steer(plan, tables)
    boost = impressions(plan, work, tables, limit, now.day)
    coupons_left = grant_coupons(plan, lane)
    thin(lane)
    if now.sampled:
        draw_counts(now.key, lane)
    else:
        expect_counts(lane)
    fit_coupons(lane, coupons_left, world.merchant_share, now.sampled)
    spent = charge(lane, scene, limit, work.caps, now.sampled)
    before = standing(plan)
    settle_tick(plan, work, now, boost, spent)
    move_shop(plan, work, now)
    close_books(plan, now.last or now.plan_over, now.last)
    write_costs(plan, work.group, before, spent, costs)
    gained = measure(plan) - before.measured
    if now.plan_over:
        next_plan(plan, lane)
    state.tick += 1
    show_shop(world, state)
    state.done = 1 if now.last else 0
    return F(gained / (merchant.budget * np.float64(merchant.roi_target)))
