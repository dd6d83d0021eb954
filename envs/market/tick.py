"""One tick of one market, stage by stage, and the compiled loops over a batch (world 2, 8).

The stages read like the design: noise, levers, traffic, auction, limits, counts, orders, books,
    shop, reward, dashboard.
A market's tick depends on nothing but its own record and key, so any batch, order or thread gives
the same bits.
"""

from pathlib import Path

import numpy as np

from ..kernels.compiled import digest_of, entry, kernel
from ..kernels.numerics import ONE, ZERO, exp32
from ..kernels.streams import SLOT_COUNTS, SLOT_DELAY, SLOT_REFUND, episode_key, fill_row, tick_key
from . import layout as rows
from .auction import charge, run_auctions, throttle
from .carryover import (
    draw_noise,
    move_influencers,
    move_quality,
    move_shocks,
    move_tiers,
    refresh_creatives,
    wear,
)
from .counts import poisson
from .demand import (
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
from .generator import draw_merchant
from .ledger import accrue, book_refunds, protect, roi_parts, score
from .observation import observe, record
from .orders import count_groups, deliver, fit_coupons, mature_refunds, settle_arrivals

F = np.float32
U = np.uint64
SETTLED_REWARD, INCREMENTAL_REWARD, PROFIT_REWARD, SCORE_REWARD, PLATFORM_REWARD = range(5)
COSTS = 5  # columns of the cost array: roi, budget, subsidy, ad load, refund rate


@kernel
def set_controls(world, action, index, control, noop):
    """Turn an action in [-1, 1] (clipped, as the Box says) into controls; a noop plan bids and
    grants nothing.
    """
    for j in range(rows.N_LEVERS):
        control[j] = world.lever_default[j]
    for i in range(index.shape[0]):
        j = index[i]
        a = min(max(action[i], -ONE), ONE)
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
        for p in range(3):
            control[rows.LEVER_COUPON + p] = ZERO


@kernel
def limits(world, state, merchant, caps):
    """Fen each scene may still spend (into caps), and the plan within today's cap and its budget
    (world 2.10).
    """
    left = merchant.budget - state.ledger[rows.L_SPEND]
    today = np.floor(world.daily_cap * merchant.budget) - state.day_spend
    for s in range(rows.N_SCENES):
        share = np.floor(np.float64(state.control[rows.LEVER_SHARE + s]) * merchant.budget)
        caps[s] = max(share - state.scene_spend[s], 0.0)
    return max(min(left, today), 0.0)


@kernel
def affordable_boost(world, state, merchant, boost):
    """The boost still paid for: full while its budget lasts, nothing afterwards."""
    left = np.floor(world.boost_share * merchant.budget) - state.boost_spend
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
def impressions(world, state, merchant, cells, calendar, lane, scene, limit, caps, day):
    """Expected impressions of all pools after auctions, throttling and displacement; order terms of
    every lane.
    """
    control = state.control
    boost = affordable_boost(world, state, merchant, control[rows.LEVER_BOOST])
    appeal, value, refund = tier_terms(world, state, control)
    shift = order_shift(world, control, appeal, calendar[2, state.calendar + day])
    creative_appeal(world, state, scene)
    spread(world, state, control, scene, lane)
    rates(world, cells, lane, shift, refund_shift(world, control, refund), value)
    free_impressions(cells, lane)
    run_auctions(
        world,
        state,
        cells,
        lane,
        scene,
        control,
        merchant.roi_target,
        calendar[1, state.calendar + day],
        boost,
    )
    throttle(lane, scene, limit, caps)
    if not world.incremental:
        displace(world, lane)
    return shift, boost


@kernel
def grant_coupons(world, state, merchant, cells, lane, shift):
    """Ration coupons to the coupon budget in expectation; returns the fen left of it (merchant's
    part).
    """
    left = max(merchant.coupon_budget - state.coupon_committed, 0.0)
    cost = expected_coupon_cost(lane) * world.merchant_share
    if cost > left:
        ration_coupons(cells, lane, shift, F(left / cost))
    return left


@kernel
def settle_tick(world, state, merchant, lane, group, boost, spent, last, key):
    """Orders placed, delivered, refunded, and every line booked; returns nothing, the ledger is the
    result.
    """
    sampled = world.sampled != 0
    book = state.ledger
    goods_rate = 1.0 - np.float64(merchant.margin)
    count_groups(world, lane, state.control, group)
    placed, coupon = 0.0, 0.0
    for g in range(rows.N_GROUPS):
        placed += group.rows[rows.G_ORDERS, g]
        coupon += group.rows[rows.G_COUPON, g]
    state.placed += placed
    state.coupon_committed = min(
        state.coupon_committed + np.ceil(coupon * world.merchant_share), merchant.coupon_budget
    )
    book[rows.L_SPEND] += spent
    book[rows.L_REBATE] += np.floor(world.rebate * spent)
    book[rows.L_SERVICE] += np.floor(
        world.service_cost * state.control[rows.LEVER_SERVICE] * placed
    )
    extra = world.boost_reach * boost
    allowed = np.floor(world.boost_share * merchant.budget) - state.boost_spend
    state.boost_spend += min(np.floor(spent * np.float64(extra / (ONE + extra))), max(allowed, 0.0))
    state.day_spend += spent
    fill_row(key, SLOT_DELAY, lane, rows.UNIFORM)
    fill_row(key, SLOT_REFUND, lane, rows.UNIFORM_2)
    deliver(world, state, lane, group, last, sampled)
    state.refunded_orders += settle_arrivals(world, state, lane, group, goods_rate, sampled)
    for i in range(rows.N_WINDOWS):
        mature_refunds(world, state, i, group, last)
        book_refunds(world, state, i, group)


@kernel
def measure(world, state, merchant):
    """The accrued quantity whose growth is the reward, fen (world 3)."""
    if world.reward == PROFIT_REWARD:
        return state.accrued[rows.A_PROFIT]
    if world.reward == SCORE_REWARD:
        return score(world, state, np.float64(merchant.roi_target))
    if world.reward == PLATFORM_REWARD:
        return state.accrued[rows.A_PLATFORM]
    return state.accrued[rows.A_SETTLED]


@kernel
def write_costs(
    world,
    state,
    merchant,
    group,
    before_value,
    before_paid,
    before_settled,
    before_gmv,
    spent,
    committed,
    costs,
):
    """Signed cost parts of the tick: they sum over the episode to the constraint's own value
    (world 3).

    roi: (target * cost - value) / (budget * target); budget and subsidy: shares used, of which 1 is
        the limit; ad load: ad
    impressions beyond the limit's share of impressions, per member of the audience; refund rate:
    refunds within the window beyond the limit's share of GMV, / (budget * target).
    """
    target = np.float64(merchant.roi_target)
    scale = merchant.budget * np.float64(merchant.roi_target)
    value, paid = roi_parts(
        world,
        state.accrued[rows.A_SETTLED],
        state.accrued[rows.A_GMV],
        state.accrued[rows.A_COST],
        state.ledger[rows.L_SPEND],
    )
    costs[0] = F((target * (paid - before_paid) - (value - before_value)) / scale)
    costs[1] = F(spent / merchant.budget)
    costs[2] = F((state.coupon_committed - committed) / max(merchant.coupon_budget, 1.0))
    ads, shown = 0.0, 0.0
    for g in range(rows.N_GROUPS):
        shown += group.rows[rows.G_IMPRESSIONS, g]
        ads += group.rows[rows.G_IMPRESSIONS, g] if g >= rows.AD_GROUP else 0.0
    people = 0.0
    for s in range(rows.N_SCENES):
        people += merchant.audience_scene[s]
    costs[3] = F((ads - world.ad_load_limit * shown) / people)
    gmv = state.accrued[rows.A_GMV] - before_gmv
    refunds = gmv - (state.accrued[rows.A_SETTLED] - before_settled)
    costs[4] = F((refunds - world.refund_rate_limit * gmv) / scale)


@kernel
def tick(
    world,
    merchant,
    cells,
    state,
    action,
    index,
    hours,
    calendar,
    lane,
    scene,
    group,
    caps,
    noop,
    costs,
):
    """Advance one market by one tick; returns its reward, scaled by budget * roi_target."""
    key = tick_key(state.key, state.tick)
    day = state.tick // world.ticks_per_day
    last = state.tick + 1 >= world.ticks
    sampled = world.sampled != 0
    state.last_ledger[:] = state.ledger[:]
    if state.tick % world.ticks_per_day == 0:
        state.day_spend = 0.0
    set_controls(world, action, index, state.control, noop)
    if sampled:
        draw_noise(world, key, scene, lane)
        move_shocks(world, state, scene)
    else:
        scene.rows[rows.S_NOISE, :] = ZERO
        scene.rows[rows.S_DISPERSION, :] = ONE
        move_shocks(world, state, scene)
    traffic_of_scene(world, state, hours, calendar, day, scene)
    limit = limits(world, state, merchant, caps)
    shift, boost = impressions(
        world, state, merchant, cells, calendar, lane, scene, limit, caps, day
    )
    coupons_left = grant_coupons(world, state, merchant, cells, lane, shift)
    thin(lane)
    if sampled:
        draw_counts(key, lane)
    else:
        expect_counts(lane)
    fit_coupons(lane, coupons_left, world.merchant_share, sampled)
    spent = charge(lane, scene, limit, caps, sampled)
    before = measure(world, state, merchant)
    value, paid = roi_parts(
        world,
        state.accrued[rows.A_SETTLED],
        state.accrued[rows.A_GMV],
        state.accrued[rows.A_COST],
        state.ledger[rows.L_SPEND],
    )
    settled = state.accrued[rows.A_SETTLED]
    gmv = state.accrued[rows.A_GMV]
    committed = state.coupon_committed
    settle_tick(world, state, merchant, lane, group, boost, spent, last, key)
    record(world, state, lane, scene, group)
    wear(world, state, merchant, lane, scene, group)
    move_quality(world, state, merchant, group)
    move_influencers(world, state, state.control)
    move_tiers(world, state, state.control)
    refresh_creatives(world, state, merchant, state.control, key, lane, sampled)
    goods_rate = 1.0 - np.float64(merchant.margin)
    accrue(world, state, goods_rate)
    if last and world.protection:
        protect(world, state, np.float64(merchant.roi_target))
        accrue(world, state, goods_rate)
    write_costs(world, state, merchant, group, value, paid, settled, gmv, spent, committed, costs)
    state.tick += 1
    state.done = 1 if last else 0
    return F(
        (measure(world, state, merchant) - before)
        / (merchant.budget * np.float64(merchant.roi_target))
    )


@kernel
def block(array, dtype):
    """A two-dimensional work array as a record with one field, `rows`.

    A record's field has a shape the compiler knows: its rows then lie at known distances and need
    no overlap checks at run time, which cost more than a short loop itself and keep loops of 12 or
    16 from being vectorised at all.
    """
    return array.reshape(array.size).view(dtype)[0]


def _entries(sources):
    """The functions Python calls; `sources` in their closures ties the compiled cache to this
    folder's text.
    """

    @entry
    def step_batch(
        first,
        last,
        world,
        merchants,
        cells,
        states,
        actions,
        index,
        hours,
        calendar,
        clock,
        remaining,
        observations,
        rewards,
        dones,
        costs,
        lane,
        scene,
        group,
        noop,
    ):
        """Step markets first..last-1; with noop set they bid nothing and no observation is
        written.
        """
        _ = sources
        lanes = block(lane, rows.LANE)
        scenes = block(scene, rows.SCENE)
        groups = block(group, rows.GROUP)
        caps = groups.rows[rows.G_SPEND]
        for i in range(first, last):
            if states[i].done:
                continue
            rewards[i] = tick(
                world[0],
                merchants[i],
                block(cells[i], rows.CELL),
                states[i],
                actions[i],
                index,
                hours,
                calendar,
                lanes,
                scenes,
                groups,
                caps,
                noop,
                costs[i],
            )
            if not noop:
                dones[i] = states[i].done
                observe(
                    world[0],
                    states[i],
                    merchants[i],
                    calendar,
                    remaining,
                    clock,
                    lanes,
                    observations[i],
                )

    @entry
    def reset_batch(
        first,
        last,
        world,
        base,
        merchants,
        cells,
        states,
        mask,
        calendar,
        clock,
        remaining,
        observations,
        lane,
        scene,
        draws,
    ):
        """Draw a new merchant and day for every masked market, keyed by its record's seed and
        episode.
        """
        _ = sources
        lanes = block(lane, rows.LANE)
        scenes = block(scene, rows.SCENE)
        for i in range(first, last):
            if mask[i]:
                states[i].key = episode_key(states[i].seed, states[i].episode, world[0].split)
                draw_merchant(
                    world[1],
                    base,
                    states[i].key,
                    merchants[i],
                    block(cells[i], rows.CELL),
                    states[i],
                    lanes,
                    scenes,
                    draws[0],
                    draws[1],
                )
                observe(
                    world[0],
                    states[i],
                    merchants[i],
                    calendar,
                    remaining,
                    clock,
                    lanes,
                    observations[i],
                )

    return step_batch, reset_batch


HERE = Path(__file__).parent
step_batch, reset_batch = _entries(digest_of(HERE, HERE.parent / "kernels"))
