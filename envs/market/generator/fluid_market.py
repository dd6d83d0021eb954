"""Budget and ROI target of a merchant from its fluid market (world 2.11).

The target is drawn relative to what this merchant can reach: at the bid where its expected daily
spend is a drawn share of what bidding full value would spend. The budget is a drawn factor of that
spend. Both use the engine's own equations at the default levers in a market without shocks (the
fluid market), always under unified scheduling, so that the same merchant has the same budget and
target in every regime.
"""

from typing import Any, NamedTuple

import numpy as np

from ...interface.units import CPM_PER_FEN, FEN_PER_CPM
from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import HALF, ONE, ZERO, exp32, log32
from .. import layout as rows
from ..score import roi_parts
from ..stages.auction import LEAST_BID, second_price_payment, win_probability
from ..stages.demand import (
    creative_appeal,
    free_impressions,
    order_shift,
    rates,
    refund_shift,
    spread,
    tier_terms,
)
from ..stages.ledger import overall_cost
from ..stages.plans import LEAST_BUDGET, LEAST_TARGET
from ..stages.scheduling import mix_pools, select_free
from . import slots

F = np.float32
BISECTIONS = 10
REACTIONS = 4
LOWEST_BID = F(-6)  # ln of the least multiplier of full value that is searched
AD_WEIGHT = 0.5  # share of the ad GMV at full value in the average merchant's mix of orders
LEAST = 1e-9  # keeps a share from being divided by nothing
LEAST_COST = 1e-6  # fen
LEAST_CONTRIBUTION = 0.02  # share of settled GMV that is left for ads


class FreeSales(NamedTuple):
    """What the free pools sell per tick, expected; money in fen."""

    gmv: Any
    coupon: Any
    commission: Any
    at_risk: Any  # orders that will be sent back
    orders: Any
    clicks_natural: Any
    shown_natural: Any
    gmv_transaction: Any
    shown_transaction: Any


class OrderTerms(NamedTuple):
    """What an average order costs beside the ads, as shares of GMV, and its refund probability."""

    coupon: Any
    commission: Any
    service: Any
    risk: Any


@scalar
def click_value(lane, c):
    """Expected GMV of an impression that is clicked with the lane's CTR, fen."""
    return lane.rows[rows.CTR, c] * lane.rows[rows.CVR, c] * lane.rows[rows.PRICE, c]


@scalar
def bid_of(cells, lane, c, multiplier):
    """Bid of multiplier * predicted value, CNY per thousand."""
    value = click_value(lane, c)
    return max(multiplier * cells.rows[rows.PREDICTION, c] * value * F(CPM_PER_FEN), LEAST_BID)


@kernel
def settle_prices(world, cells, lane, multiplier, scene):
    """Stationary price shift per scene (S_KEEP) when competitors have answered our share of voice:
    xi = a voice / (1 - phi).

    Voice falls as prices rise, so the fixed point is found by a few damped steps (world 2.3).
    """
    answer = world.price_reaction / (ONE - world.price_keep)
    for s in range(rows.N_SCENES):
        scene.rows[rows.S_KEEP, s] = ZERO
    for _ in range(REACTIONS):
        for s in range(rows.N_SCENES):
            entered, shown = ZERO, ZERO
            for k in range(rows.N_SEGMENTS):
                c = rows.AD + k * rows.N_SCENES + s
                traffic = cells.rows[rows.TRAFFIC, c]
                entered += traffic
                shown += traffic * win_probability(
                    log32(bid_of(cells, lane, c, multiplier)),
                    cells.rows[rows.PRICE_MU, c] + scene.rows[rows.S_KEEP, s],
                    cells.rows[rows.PRICE_SIGMA, c],
                )
            scene.rows[rows.S_KEEP, s] = HALF * (
                scene.rows[rows.S_KEEP, s] + answer * shown / max(entered, F(LEAST))
            )


@kernel
def ad_curve(world, cells, lane, multiplier, scene):
    """Spend, gross ad GMV (fen) and orders per tick, expected, when every auction is bid multiplier
    * predicted value.
    """
    settle_prices(world, cells, lane, multiplier, scene)
    spend, gmv, orders = 0.0, 0.0, 0.0
    for c in range(rows.AD, rows.N_LANES):
        s = c % rows.N_SCENES
        value = click_value(lane, c)
        bid = bid_of(cells, lane, c, multiplier)
        mean = cells.rows[rows.PRICE_MU, c] + scene.rows[rows.S_KEEP, s]
        sigma = cells.rows[rows.PRICE_SIGMA, c]
        won = win_probability(log32(bid), mean, sigma)
        payment = won * bid if world.first_price else second_price_payment(log32(bid), mean, sigma)
        entered = cells.rows[rows.TRAFFIC, c] * (ONE - world.cannibalisation[s])
        spend += entered * payment * FEN_PER_CPM
        gmv += entered * won * value
        orders += entered * won * lane.rows[rows.CTR, c] * lane.rows[rows.CVR, c]
    return spend, gmv, orders


@kernel
def solve_multiplier(world, cells, lane, scene, share):
    """The bid multiplier at which spend is `share` of the spend at full value, by bisection."""
    full, _, _ = ad_curve(world, cells, lane, ONE, scene)
    low = LOWEST_BID
    high = ZERO
    for _ in range(BISECTIONS):
        middle = HALF * (low + high)
        spend, _, _ = ad_curve(world, cells, lane, exp32(middle), scene)
        if spend < share * full:
            low = middle
        else:
            high = middle
    return exp32(HALF * (low + high))


@kernel
def increment_roi(plan, work, terms, multiplier):
    """Settled GMV that the ads add over the overall cost that they add, and their spend in fen, at
    a bid multiplier.
    """
    world, _, cells, state = plan
    spend, gmv, _ = ad_curve(world, cells, work.lane, multiplier, work.scene)
    settled = gmv * (1.0 - terms.risk * world.counted_share)
    cost = overall_cost(
        world,
        spend,
        settled * state.control[rows.LEVER_COMMISSION_AD],
        settled * terms.coupon * world.merchant_share,
        0.0,
        gmv * terms.service,
    )
    return settled / max(cost, LEAST_COST), spend


@kernel
def solve_increment(plan, work, terms, factor):
    """The bid multiplier at which the ads' increment brings `factor` over the contribution margin,
    their spend being within the shares of reachable spend that the scenario allows; by bisection.
    """
    world, merchant, cells, _ = plan
    margin = max(np.float64(merchant.margin) - world.fee, LEAST_CONTRIBUTION)
    wanted = factor / margin
    full, _, _ = ad_curve(world, cells, work.lane, ONE, work.scene)
    low = LOWEST_BID
    high = ZERO
    for _ in range(BISECTIONS):
        middle = HALF * (low + high)
        roi, spend = increment_roi(plan, work, terms, exp32(middle))
        pays = roi > wanted and spend < world.increment_reach_high * full
        if pays or spend < world.increment_reach_low * full:
            low = middle
        else:
            high = middle
    return exp32(HALF * (low + high))


@kernel
def set_target(plan, work, free_gmv, terms, multiplier):
    """Set the ROI target to what is reached at a bid multiplier.

    ROI counts all pools: (free + ad GMV, less expected refunds) / (spend + commission + coupon +
    creative + service).
    """
    world, merchant, cells, _ = plan
    spend, ad_gmv, orders = ad_curve(world, cells, work.lane, multiplier, work.scene)
    gmv = free_gmv + ad_gmv
    kept = 1.0 - terms.risk * world.counted_share
    settled = gmv * kept
    creatives = world.lever_default[rows.LEVER_CREATIVE]
    creative = world.creative_fee * spend * min(creatives, ONE)
    creative += world.creative_fee_fixed * creatives * world.days_per_tick
    cost = overall_cost(
        world,
        spend,
        gmv * terms.commission * kept,
        gmv * terms.coupon * world.merchant_share * kept,
        creative,
        gmv * terms.service,
    )
    value, paid = roi_parts(world.roi_kind, settled, gmv, cost, spend)
    merchant.roi_target = F(max(value / max(paid, LEAST_COST), LEAST_TARGET))
    merchant.binding_multiplier = multiplier
    merchant.binding_spend = max(spend, 1.0) * world.ticks_per_day
    merchant.ad_orders_reference = F(max(orders, 1e-6)) * F(world.ticks_per_day)


@kernel
def average_hours(world, merchant, tables, lane):
    """Add what the time of day does to orders over a usual day: by pool and scene, ln of the mean
    of e^(its part of the order logit), weighted with the scene's traffic (world 2.11).
    """
    ticks = world.ticks_per_day
    for p in range(rows.N_POOLS):
        for s in range(rows.N_SCENES):
            total = ZERO
            for t in range(ticks):
                part = (
                    merchant.hour_cos[p] * tables.clock[rows.HOUR_COS, t]
                    + merchant.hour_sin[p] * tables.clock[rows.HOUR_SIN, t]
                )
                total += tables.hours[s, t] * exp32(part)
            mean = log32(total / F(ticks))
            for k in range(rows.N_SEGMENTS):
                lane.rows[rows.URGE, p * rows.BLOCK + k * rows.N_SCENES + s] += mean


@kernel
def start_fluid_market(plan, work, tables):
    """The free pools and the order terms of every lane at the default levers, without shocks,
    halfway through the creative's life.
    """
    world, merchant, cells, state = plan
    lane, scene = work.lane, work.scene
    for s in range(rows.N_SCENES):
        scene.rows[rows.S_TRAFFIC, s] = ONE
        for p in range(rows.N_POOLS):
            scene.rows[rows.S_DISPERSION, p * rows.N_SCENES + s] = ONE
    renewed = (
        ONE + world.lever_default[rows.LEVER_CREATIVE] * F(world.days) * world.creative_mix_share
    )
    for s in range(rows.N_SCENES):
        state.exposure[s] = world.start_exposure + HALF * world.audience * F(world.days) / renewed
    appeal, value, refund = tier_terms(world, state, state.control)
    urge = order_shift(world, state.control, appeal, ZERO)
    # coupon response at its mean: the state that jumps has a log-normal factor
    state.jump[rows.JUMP_COUPON] = world.jump_correction[rows.JUMP_COUPON]
    creative_appeal(world, state, scene)
    spread(world, state, merchant, state.control, (ZERO, ZERO), urge, scene, lane)
    if world.hour_swing > ZERO:
        average_hours(world, merchant, tables, lane)
    rates(world, state, cells, lane, refund_shift(world, state.control, refund), value)
    free_impressions(cells, lane)


@kernel
def free_sales(lane, commission_natural):
    """Sum what the free lanes sell."""
    gmv, coupon, commission, at_risk, orders = 0.0, 0.0, 0.0, 0.0, 0.0
    clicks_natural, shown_natural, gmv_transaction, shown_transaction = 0.0, 0.0, 0.0, 0.0
    for c in range(rows.AD):
        shown = lane.rows[rows.MEAN_SEEN, c]
        clicks = lane.rows[rows.MEAN_SEEN, c] * lane.rows[rows.CTR, c]
        sold = clicks * lane.rows[rows.CVR, c]
        worth = sold * lane.rows[rows.PRICE, c]
        orders += sold
        gmv += worth
        coupon += worth * lane.rows[rows.USE, c] * lane.rows[rows.DEPTH, c]
        at_risk += sold * lane.rows[rows.RISK, c]
        if c < rows.BLOCK:
            clicks_natural += clicks
            shown_natural += shown
            commission += worth * commission_natural
        else:
            gmv_transaction += worth
            shown_transaction += shown
    return FreeSales(
        gmv,
        coupon,
        commission,
        at_risk,
        orders,
        clicks_natural,
        shown_natural,
        gmv_transaction,
        shown_transaction,
    )


@kernel
def order_terms(world, control, free, full_gmv):
    """Terms of an average order of the free pools and half the ads that full value would sell."""
    total = max(free.gmv + AD_WEIGHT * full_gmv, LEAST)
    commission = (
        free.commission + AD_WEIGHT * full_gmv * control[rows.LEVER_COMMISSION_AD]
    ) / total
    risk = free.at_risk / max(free.orders, LEAST)
    service = (
        world.insurance_cost * control[rows.LEVER_INSURANCE]
        + world.service_cost * control[rows.LEVER_SERVICE]
        + world.insurance_premium * control[rows.LEVER_INSURANCE] * risk
    ) / max(free.gmv / max(free.orders, LEAST), 1.0)
    service += world.interest_cost * control[rows.LEVER_INTEREST]
    return OrderTerms(free.coupon / max(free.gmv, LEAST), commission, service, risk)


@kernel
def price_fluid_market(plan, work, tables, uniform):
    """References, audiences, target and budget of the merchant from its fluid market."""
    world, merchant, cells, state = plan
    lane, scene = work.lane, work.scene
    start_fluid_market(plan, work, tables)
    free = free_sales(lane, state.control[rows.LEVER_COMMISSION_NATURAL])
    _, full_gmv, _ = ad_curve(world, cells, lane, ONE, scene)
    terms = order_terms(world, state.control, free, full_gmv)
    merchant.ctr_reference = (
        F(free.clicks_natural / max(free.shown_natural, LEAST)) * world.ctr_factor
    )
    merchant.gpm_reference = (
        F(free.gmv_transaction / max(free.shown_transaction, LEAST)) * world.gpm_factor
    )
    if world.pools_scheduled:
        mix_pools(world, state.control, lane, scene)
        select_free(world, cells, lane, scene)
        free = free_sales(lane, state.control[rows.LEVER_COMMISSION_NATURAL])
        terms = order_terms(world, state.control, free, full_gmv)
    merchant.risk_reference = F(terms.risk)
    if world.target_by_increment:
        factor = world.increment_low + uniform[slots.TARGET] * (
            world.increment_high - world.increment_low
        )
        multiplier = solve_increment(plan, work, terms, factor)
    else:
        share = world.target_share_low + uniform[slots.TARGET] * (
            world.target_share_high - world.target_share_low
        )
        multiplier = solve_multiplier(world, cells, lane, scene, share)
    set_target(plan, work, free.gmv, terms, multiplier)
    ratio = world.budget_low * exp32(
        uniform[slots.BUDGET] * log32(world.budget_high / world.budget_low)
    )
    merchant.budget = max(np.floor(merchant.binding_spend * world.days * ratio), LEAST_BUDGET)
    part = world.coupon_budget_low + uniform[slots.COUPON_BUDGET] * (
        world.coupon_budget_high - world.coupon_budget_low
    )
    merchant.coupon_budget = np.floor(merchant.budget * part)
    set_audiences(world, merchant, cells, lane)


@kernel
def set_audiences(world, merchant, cells, lane):
    """People behind a usual day's impressions: free ones as expected, ads as won at the binding
    multiplier.
    """
    for s in range(rows.N_SCENES):
        merchant.audience_scene[s] = ZERO
    for k in range(rows.N_SEGMENTS):
        ads = ZERO
        for s in range(rows.N_SCENES):
            c = rows.AD + k * rows.N_SCENES + s
            won = win_probability(
                log32(bid_of(cells, lane, c, merchant.binding_multiplier)),
                cells.rows[rows.PRICE_MU, c],
                cells.rows[rows.PRICE_SIGMA, c],
            )
            shown = cells.rows[rows.TRAFFIC, c] * won
            ads += shown
            free = (
                lane.rows[rows.MEAN_SEEN, k * rows.N_SCENES + s]
                + lane.rows[rows.MEAN_SEEN, rows.BLOCK + k * rows.N_SCENES + s]
            )
            merchant.audience_scene[s] += shown + free
        merchant.audience_segment[k] = max(ads * F(world.ticks_per_day) / world.audience, ONE)
    for s in range(rows.N_SCENES):
        merchant.audience_scene[s] = max(
            merchant.audience_scene[s] * F(world.ticks_per_day) / world.audience, ONE
        )
