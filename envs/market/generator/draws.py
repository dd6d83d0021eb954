"""A merchant and the start of its episode, drawn from one stream of random numbers (world 2.11)."""

import numpy as np

from ...kernels.compiled import kernel
from ...kernels.numerics import (
    HALF,
    ONE,
    TWO,
    ZERO,
    cosine_of_turns,
    exp32,
    normal_quantile,
    sine_of_turns,
)
from ...kernels.streams import MERCHANT_TICK, fill_uniform, tick_key
from .. import layout as rows
from ..stages.auction import NO_BID
from ..stages.carryover import NO_CREATIVE
from ..stages.plans import empty_books, start_season
from . import slots
from .customers import set_customers
from .fluid_market import price_fluid_market

F = np.float32
MOST_MARGIN = F(0.98)
SCARCE = F(1e-6)  # keeps a reference from being divided by nothing
HOURS_PER_DAY = F(24)


@kernel
def draw_category(world, u):
    """Index of the merchant's category for a uniform u."""
    total = ZERO
    for i in range(world.categories):
        total += world.category_weight[i]
        if u < total:
            return i
    return world.categories - 1


@kernel
def draw_traits(world, uniform, normal, merchant):
    """The merchant's size, prices, margin and the quality it starts with."""
    category = draw_category(world, uniform[slots.CATEGORY])
    merchant.category = category
    merchant.size = exp32(world.size_sd * normal[slots.SIZE] - HALF * world.size_sd * world.size_sd)
    merchant.order_value = world.category_value[category] * exp32(
        world.order_value_sd * normal[slots.ORDER_VALUE]
    )
    margin = world.category_margin[category] + world.margin_sd * normal[slots.MARGIN]
    merchant.margin = min(max(margin, ZERO), MOST_MARGIN)
    for p in range(rows.N_FREE_POOLS):
        merchant.start_quality[p] = min(
            max(world.quality_sd * normal[slots.QUALITY + p], -world.quality_limit),
            world.quality_limit,
        )
    deviation = world.creative_sd * normal[slots.CREATIVE] if world.sampled else ZERO
    merchant.start_creative = max(world.creative_mean + deviation, ZERO)


@kernel
def draw_hours(world, normal, merchant):
    """When the users of each pool buy most readily, as parts along the clock's cosine and sine.

    The clock tells a tick's beginning, and what counts is its middle (world 2.11).
    """
    for p in range(rows.N_POOLS):
        peak = world.peak_hour[p] + world.peak_sd * normal[slots.PEAK + p]
        turn = (peak - HALF * world.hours_per_tick) / HOURS_PER_DAY
        merchant.hour_cos[p] = world.hour_swing * cosine_of_turns(turn)
        merchant.hour_sin[p] = world.hour_swing * sine_of_turns(turn)


@kernel
def draw_cells(world, base, merchant, uniform, normal, cells):
    """The merchant's own cells: base numbers moved by size, appeal, scene strengths, prices, coupon
    and refund profile.
    """
    category = merchant.category
    click = world.appeal_sd * normal[slots.CLICK]
    order = world.appeal_sd * normal[slots.ORDER]
    order += world.category_conversion[category]
    response = world.category_coupon[category] * exp32(
        world.coupon_sd * normal[slots.COUPON] - HALF * world.coupon_sd * world.coupon_sd
    )
    refund = world.category_refund[category] + world.refund_sd * normal[slots.REFUND]
    price = world.category_price[category] + world.price_sd * normal[slots.PRICE]
    for c in range(rows.N_LANES):
        s = c % rows.N_SCENES
        k = c // rows.N_SCENES % rows.N_SEGMENTS
        cells.rows[rows.TRAFFIC, c] = base[rows.TRAFFIC, c] * merchant.size
        cells.rows[rows.EXPOSURE, c] = (
            base[rows.EXPOSURE, c] + world.scene_sd * normal[slots.SCENE_EXPOSURE + s]
        )
        cells.rows[rows.CLICK, c] = (
            base[rows.CLICK, c] + click + HALF * world.scene_sd * normal[slots.SCENE_CLICK + s]
        )
        cells.rows[rows.ORDER, c] = (
            base[rows.ORDER, c] + order + world.scene_sd * normal[slots.SCENE_ORDER + s]
        )
        own = world.coupon_segment_sd * normal[slots.COUPON_SEGMENT + k]
        own = exp32(own - HALF * world.coupon_segment_sd * world.coupon_segment_sd)
        cells.rows[rows.RESPONSE, c] = base[rows.RESPONSE, c] * response * own
        cells.rows[rows.REDEMPTION, c] = base[rows.REDEMPTION, c]
        cells.rows[rows.REFUND, c] = base[rows.REFUND, c] + refund
        cells.rows[rows.VALUE, c] = base[rows.VALUE, c] * merchant.order_value
        cells.rows[rows.PRICE_MU, c] = (
            base[rows.PRICE_MU, c] + price + world.price_sd * normal[slots.SCENE_PRICE + s]
        )
        wide = world.price_sigma_spread * (TWO * uniform[slots.PRICE_SIGMA + s] - ONE)
        cells.rows[rows.PRICE_SIGMA, c] = base[rows.PRICE_SIGMA, c] * exp32(wide)
        cells.rows[rows.PREDICTION, c] = ONE
    for j in range(rows.BLOCK):
        noise = world.prediction_noise * normal[slots.PREDICTION + j]
        cells.rows[rows.PREDICTION, rows.AD + j] = exp32(noise + world.prediction_bias)


@kernel
def reset_books(state):
    """Nothing spent, nothing on its way, nothing shown."""
    state.tick, state.done = 0, 0
    state.last_ledger[:] = 0.0
    state.pending[:] = 0.0
    state.refunds[:] = 0.0
    empty_books(state)


@kernel
def reset_dashboard(world, state, merchant):
    """No tick to report yet; the smoothed rates that quality listens to start at their
    references.
    """
    state.tick_spend[:], state.tick_gmv[:], state.tick_impressions[:] = ZERO, ZERO, ZERO
    state.tick_clicks[:], state.tick_auctions[:] = ZERO, ZERO
    state.tick_segment_clicks[:], state.tick_segment_claims[:] = ZERO, ZERO
    state.smooth_spend[:], state.smooth_gmv[:] = ZERO, ZERO
    state.smooth_coupon = ZERO
    state.smooth_segment_clicks[:], state.smooth_segment_claims[:] = ZERO, ZERO
    for p in range(rows.N_FREE_POOLS):
        state.smooth_ctr[p, rows.HAPPENED] = merchant.ctr_reference / max(world.ctr_factor, SCARCE)
        state.smooth_ctr[p, rows.OUT_OF] = ONE
        state.smooth_gpm[p, rows.HAPPENED] = merchant.gpm_reference / max(world.gpm_factor, SCARCE)
        state.smooth_gpm[p, rows.OUT_OF] = ONE
    state.smooth_risk[rows.HAPPENED] = merchant.risk_reference
    state.smooth_risk[rows.OUT_OF] = ONE


@kernel
def reset_state(world, state, merchant):
    """A plan before its first tick: books and dashboard empty, shop quantities and levers at their
    start.
    """
    reset_books(state)
    start_season(state, merchant)
    reset_dashboard(world, state, merchant)
    state.jump[:] = ZERO
    state.voice[:] = ZERO
    state.pressure[:] = ZERO
    state.exposure[:] = world.start_exposure
    for p in range(rows.N_FREE_POOLS):
        state.quality[p] = merchant.start_quality[p]
    state.held[:] = ONE
    state.decision[:] = ZERO
    state.evidence_reported[:], state.evidence_expected[:] = ZERO, ZERO
    state.bid_in_force[:] = NO_BID
    state.pace_level[:] = world.level_start
    state.cost_level = world.cost_start
    state.depth_level[:] = ONE
    state.tick_claims[:] = ZERO
    state.expected_gmv, state.expected_waiting[:], state.opening_waiting = 0.0, 0.0, 0.0
    state.budget_told, state.target_told, state.target_age = ONE, ONE, ZERO
    state.budget_edited, state.target_edited, state.unprotected = 0, 0, 0
    state.budget_edits, state.target_edits = 0, 0
    state.believed_value, state.believed_cost = 0.0, 0.0
    state.recent_value, state.recent_cost, state.recent_flow = 0.0, 0.0, 0.0
    state.supply = ZERO
    state.customers, state.customers_waiting = merchant.customers, merchant.customers_waiting
    state.left_over = 0.0
    state.creative_quality = merchant.start_creative
    state.creative_progress = ZERO
    state.creative_wait = NO_CREATIVE
    for j in range(rows.N_TIERS):
        state.heat[j] = world.tier_stock[j]
    for j in range(rows.N_LEVERS):
        state.control[j] = world.lever_default[j]


@kernel
def start_shocks(world, state, normal):
    """Demand and price shocks, and the states that jump, from their stationary laws."""
    demand = world.demand_noise / np.sqrt(ONE - world.demand_keep * world.demand_keep)
    price = world.price_noise / np.sqrt(ONE - world.price_keep * world.price_keep)
    for s in range(rows.N_SCENES):
        state.demand_shock[s] = demand * normal[slots.DEMAND_SHOCK + s] if world.sampled else ZERO
        state.price_shock[s] = price * normal[slots.PRICE_SHOCK + s] if world.sampled else ZERO
    for j in range(rows.N_JUMPS):
        state.jump[j] = world.jump_sd[j] * normal[slots.JUMP + j] if world.sampled else ZERO


@kernel
def draw_day(world, uniform, state):
    """The weekday on which the episode starts, and how far its calendar is shifted."""
    weekday = np.int32(uniform[slots.WEEKDAY] * F(rows.N_WEEKDAYS))
    state.weekday = min(weekday, np.int32(rows.N_WEEKDAYS - 1))
    shift = np.int32(uniform[slots.CALENDAR] * F(world.calendar_shift + 1))
    state.calendar = min(shift, np.int32(world.calendar_shift))


@kernel
def draw_merchant(plan, work, base, tables, uniform, normal):
    """Draw one merchant and the start of its episode from the stream in its state's key.

    The plan's world is the scenario's unified form. `uniform` and `normal`, (DRAWS,) float32, are
    work space.
    """
    world, merchant, cells, state = plan
    key = tick_key(state.key, MERCHANT_TICK)
    first = slots.FIRST_DRAWS
    fill_uniform(key, 0, uniform, first)
    fill_uniform(key, first // 2, uniform[first:], slots.DRAWS - first)
    for j in range(slots.DRAWS):
        normal[j] = normal_quantile(uniform[j])
    draw_traits(world, uniform, normal, merchant)
    draw_hours(world, normal, merchant)
    draw_cells(world, base, merchant, uniform, normal, cells)
    draw_day(world, uniform, state)
    merchant.ctr_reference, merchant.gpm_reference, merchant.risk_reference = ONE, ONE, ONE
    reset_state(world, state, merchant)
    price_fluid_market(plan, work, tables, uniform)
    if world.customers_count:
        set_customers(plan, work, tables)
    reset_state(world, state, merchant)
    start_shocks(world, state, normal)
