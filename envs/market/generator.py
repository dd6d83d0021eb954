"""Who the merchant is: its deviations from the scenario, its budget and its ROI target (design
2.11).

The target is drawn relative to what this merchant can reach: at the bid where its expected daily
    spend is a drawn share of what
bidding full value would spend. The budget is a drawn factor of that spend. Both use the engine's
own equations at the default levers in a market without shocks (the fluid market), always under
unified scheduling, so that the same merchant has the same budget and target in every regime.
"""

import numpy as np

from ..kernels.compiled import kernel
from ..kernels.numerics import HALF, ONE, ZERO, exp32, log32, normal_quantile
from ..kernels.streams import MERCHANT_TICK, fill_uniform, tick_key
from . import layout as rows
from .auction import LEAST_BID, second_price_payment, win_probability
from .demand import (
    creative_appeal,
    free_impressions,
    order_shift,
    rates,
    refund_shift,
    spread,
    tier_terms,
)
from .ledger import overall_cost, roi_parts

F = np.float32
DRAWS = 64
BISECTIONS = 10
REACTIONS = 4


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
def draw_cells(world, base, merchant, normal, category, cells):
    """The merchant's own cells: base numbers moved by size, appeal, scene strengths, prices, coupon
    and refund profile.
    """
    size = merchant.size
    click = world.appeal_sd * normal[2]
    order = world.appeal_sd * normal[3]
    order += world.category_conversion[category]
    response = world.category_coupon[category] * exp32(
        world.coupon_sd * normal[4] - HALF * world.coupon_sd * world.coupon_sd
    )
    refund = world.category_refund[category] + world.refund_sd * normal[5]
    price = world.category_price[category] + world.price_sd * normal[6]
    value = merchant.order_value
    for p in range(rows.N_POOLS):
        for k in range(rows.N_SEGMENTS):
            for s in range(rows.N_SCENES):
                c = p * rows.BLOCK + k * rows.N_SCENES + s
                cells.rows[rows.TRAFFIC, c] = base[rows.TRAFFIC, c] * size
                cells.rows[rows.EXPOSURE, c] = (
                    base[rows.EXPOSURE, c] + world.scene_sd * normal[12 + s]
                )
                cells.rows[rows.CLICK, c] = (
                    base[rows.CLICK, c] + click + HALF * world.scene_sd * normal[16 + s]
                )
                cells.rows[rows.ORDER, c] = (
                    base[rows.ORDER, c] + order + world.scene_sd * normal[20 + s]
                )
                cells.rows[rows.RESPONSE, c] = base[rows.RESPONSE, c] * response
                cells.rows[rows.REDEMPTION, c] = base[rows.REDEMPTION, c]
                cells.rows[rows.REFUND, c] = base[rows.REFUND, c] + refund
                cells.rows[rows.VALUE, c] = base[rows.VALUE, c] * value
                cells.rows[rows.PRICE_MU, c] = (
                    base[rows.PRICE_MU, c] + price + world.price_sd * normal[24 + s]
                )
                cells.rows[rows.PRICE_SIGMA, c] = base[rows.PRICE_SIGMA, c]
                noise = (
                    world.prediction_noise * normal[32 + k * rows.N_SCENES + s]
                    if p == rows.PAID
                    else ZERO
                )
                cells.rows[rows.PREDICTION, c] = (
                    exp32(noise + world.prediction_bias) if p == rows.PAID else ONE
                )


@kernel
def reset_state(world, state, merchant):
    """A plan before its first tick: nothing spent, nothing on its way, shop quantities at their
    start.
    """
    state.tick, state.done = 0, 0
    state.ledger[:] = 0.0
    state.last_ledger[:] = 0.0
    state.pending[:] = 0.0
    state.refunds[:] = 0.0
    state.accrued[:] = 0.0
    state.scene_spend[:] = 0.0
    state.day_spend, state.boost_spend, state.coupon_committed = 0.0, 0.0, 0.0
    state.placed, state.refunded_orders = 0.0, 0.0
    state.impressions[:], state.clicks[:], state.orders[:] = 0.0, 0.0, 0.0
    state.gmv[:], state.coupon[:], state.refunded[:] = 0.0, 0.0, 0.0
    state.voice[:] = ZERO
    state.pressure[:] = ZERO
    state.exposure[:] = world.start_exposure
    state.quality[0] = merchant.start_quality[0]
    state.quality[1] = merchant.start_quality[1]
    state.supply = ZERO
    state.creative_quality = merchant.start_creative
    state.creative_progress = ZERO
    state.creative_wait = F(-1)
    for j in range(rows.N_TIERS):
        state.heat[j] = world.tier_stock[j]
    state.tick_spend[:], state.tick_gmv[:], state.tick_impressions[:] = ZERO, ZERO, ZERO
    state.tick_clicks[:], state.tick_auctions[:] = ZERO, ZERO
    state.tick_segment_clicks[:], state.tick_segment_claims[:] = ZERO, ZERO
    state.smooth_spend[:], state.smooth_gmv[:] = ZERO, ZERO
    state.smooth_coupon = ZERO
    state.smooth_segment_clicks[:], state.smooth_segment_claims[:] = ZERO, ZERO
    for p in range(2):
        state.smooth_ctr[p, 0] = merchant.ctr_reference / max(world.ctr_factor, F(1e-6))
        state.smooth_ctr[p, 1] = ONE
        state.smooth_gpm[p, 0] = merchant.gpm_reference / max(world.gpm_factor, F(1e-6))
        state.smooth_gpm[p, 1] = ONE
    state.smooth_risk[0] = merchant.risk_reference
    state.smooth_risk[1] = ONE
    for j in range(rows.N_LEVERS):
        state.control[j] = world.lever_default[j]


@kernel
def start_shocks(world, state, normal):
    """Demand and price shocks from their stationary laws."""
    demand = world.demand_noise / np.sqrt(ONE - world.demand_keep * world.demand_keep)
    price = world.price_noise / np.sqrt(ONE - world.price_keep * world.price_keep)
    for s in range(rows.N_SCENES):
        state.demand_shock[s] = demand * normal[48 + s] if world.sampled else ZERO
        state.price_shock[s] = price * normal[52 + s] if world.sampled else ZERO


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
                value = lane.rows[rows.CTR, c] * lane.rows[rows.CVR, c] * lane.rows[rows.PRICE, c]
                bid = max(multiplier * cells.rows[rows.PREDICTION, c] * value * F(10), LEAST_BID)
                entered += traffic
                shown += traffic * win_probability(
                    log32(bid),
                    cells.rows[rows.PRICE_MU, c] + scene.rows[rows.S_KEEP, s],
                    cells.rows[rows.PRICE_SIGMA, c],
                )
            scene.rows[rows.S_KEEP, s] = HALF * (
                scene.rows[rows.S_KEEP, s] + answer * shown / max(entered, F(1e-9))
            )


@kernel
def ad_curve(world, cells, lane, multiplier, scene):
    """Spend, gross ad GMV (fen) and orders per tick, expected, when every auction is bid multiplier
    * predicted value.
    """
    settle_prices(world, cells, lane, multiplier, scene)
    spend, gmv, orders = 0.0, 0.0, 0.0
    for c in range(rows.AD, rows.N_LANES):
        value = lane.rows[rows.CTR, c] * lane.rows[rows.CVR, c] * lane.rows[rows.PRICE, c]
        bid = max(multiplier * cells.rows[rows.PREDICTION, c] * value * F(10), LEAST_BID)
        mean = cells.rows[rows.PRICE_MU, c] + scene.rows[rows.S_KEEP, c % rows.N_SCENES]
        sigma = cells.rows[rows.PRICE_SIGMA, c]
        won = win_probability(log32(bid), mean, sigma)
        payment = won * bid if world.first_price else second_price_payment(log32(bid), mean, sigma)
        entered = cells.rows[rows.TRAFFIC, c] * (ONE - world.cannibalisation[c % rows.N_SCENES])
        spend += entered * payment * 0.1
        gmv += entered * won * value
        orders += entered * won * lane.rows[rows.CTR, c] * lane.rows[rows.CVR, c]
    return spend, gmv, orders


@kernel
def solve_target(
    world,
    cells,
    lane,
    scene,
    free_gmv,
    coupon_rate,
    commission_rate,
    risk,
    order_cost,
    merchant,
    share,
):
    """Find the multiplier at which spend is `share` of the spend at full value; set the ROI target
    reached there.

    ROI counts all pools: (free + ad GMV, less expected refunds) / (spend + commission + coupon +
        creative + service).
    """
    full, _, _ = ad_curve(world, cells, lane, ONE, scene)
    low = F(-6)
    high = ZERO
    for _ in range(BISECTIONS):
        middle = HALF * (low + high)
        spend, _, _ = ad_curve(world, cells, lane, exp32(middle), scene)
        if spend < share * full:
            low = middle
        else:
            high = middle
    multiplier = exp32(HALF * (low + high))
    spend, ad_gmv, orders = ad_curve(world, cells, lane, multiplier, scene)
    gmv = free_gmv + ad_gmv
    kept = 1.0 - risk * world.counted_share
    settled = gmv * kept
    creative = world.creative_fee * spend * min(world.lever_default[rows.LEVER_CREATIVE], ONE)
    cost = overall_cost(
        world,
        spend,
        gmv * commission_rate * kept,
        gmv * coupon_rate * world.merchant_share * kept,
        creative,
        gmv * order_cost,
    )
    value, paid = roi_parts(world, settled, gmv, cost, spend)
    merchant.roi_target = F(max(value / max(paid, 1e-6), 0.05))
    merchant.binding_multiplier = multiplier
    merchant.binding_spend = max(spend, 1.0) * world.ticks_per_day
    merchant.ad_orders_reference = F(max(orders, 1e-6)) * F(world.ticks_per_day)


@kernel
def draw_merchant(world, base, key, merchant, cells, state, lane, scene, uniform, normal):
    """Draw one merchant and the start of its episode from the stream `key`; world is the unified
    reference.
    """
    fill_uniform(tick_key(key, MERCHANT_TICK), 0, uniform, DRAWS)
    for j in range(DRAWS):
        normal[j] = normal_quantile(uniform[j])
    category = draw_category(world, uniform[0])
    merchant.category = category
    merchant.size = exp32(world.size_sd * normal[1] - HALF * world.size_sd * world.size_sd)
    merchant.order_value = world.category_value[category] * exp32(world.order_value_sd * normal[7])
    margin = world.category_margin[category] + world.margin_sd * normal[8]
    merchant.margin = min(max(margin, ZERO), F(0.98))
    merchant.start_quality[0] = min(
        max(world.quality_sd * normal[9], -world.quality_limit), world.quality_limit
    )
    merchant.start_quality[1] = min(
        max(world.quality_sd * normal[10], -world.quality_limit), world.quality_limit
    )
    merchant.start_creative = max(
        world.creative_mean + (world.creative_sd * normal[11] if world.sampled else ZERO), ZERO
    )
    draw_cells(world, base, merchant, normal, category, cells)
    state.weekday = min(np.int32(uniform[56] * F(7)), np.int32(6))
    state.calendar = min(
        np.int32(uniform[57] * F(world.calendar_shift + 1)), np.int32(world.calendar_shift)
    )
    merchant.ctr_reference, merchant.gpm_reference, merchant.risk_reference = ONE, ONE, ONE
    reset_state(world, state, merchant)
    price_fluid_market(world, merchant, cells, state, lane, scene, uniform)
    reset_state(world, state, merchant)
    start_shocks(world, state, normal)


@kernel
def price_fluid_market(world, merchant, cells, state, lane, scene, uniform):
    """References, audiences, target and budget from the fluid market halfway through the creative's
    life.
    """
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
    shift = order_shift(world, state.control, appeal, ZERO)
    creative_appeal(world, state, scene)
    spread(world, state, state.control, scene, lane)
    rates(world, cells, lane, shift, refund_shift(world, state.control, refund), value)
    free_impressions(cells, lane)
    gmv = 0.0
    coupon = 0.0
    commission = 0.0
    at_risk = 0.0
    orders = 0.0
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
            commission += worth * state.control[rows.LEVER_COMMISSION_NATURAL]
        else:
            gmv_transaction += worth
            shown_transaction += shown
    merchant.ctr_reference = F(clicks_natural / max(shown_natural, 1e-9)) * world.ctr_factor
    merchant.gpm_reference = F(gmv_transaction / max(shown_transaction, 1e-9)) * world.gpm_factor
    risk = at_risk / max(orders, 1e-9)
    merchant.risk_reference = F(risk)
    _, full_gmv, _ = ad_curve(world, cells, lane, ONE, scene)
    total = max(gmv + 0.5 * full_gmv, 1e-9)
    commission_rate = (
        commission + 0.5 * full_gmv * state.control[rows.LEVER_COMMISSION_AD]
    ) / total
    order_cost = (
        world.insurance_cost * state.control[rows.LEVER_INSURANCE]
        + world.service_cost * state.control[rows.LEVER_SERVICE]
    ) / max(gmv / max(orders, 1e-9), 1.0)
    order_cost += world.interest_cost * state.control[rows.LEVER_INTEREST]
    share = world.target_share_low + uniform[58] * (
        world.target_share_high - world.target_share_low
    )
    solve_target(
        world,
        cells,
        lane,
        scene,
        gmv,
        coupon / max(gmv, 1e-9),
        commission_rate,
        risk,
        order_cost,
        merchant,
        share,
    )
    ratio = world.budget_low * exp32(uniform[59] * log32(world.budget_high / world.budget_low))
    merchant.budget = max(np.floor(merchant.binding_spend * world.days * ratio), 100.0)
    part = world.coupon_budget_low + uniform[60] * (
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
            value = lane.rows[rows.CTR, c] * lane.rows[rows.CVR, c] * lane.rows[rows.PRICE, c]
            bid = max(
                merchant.binding_multiplier * cells.rows[rows.PREDICTION, c] * value * F(10),
                F(1e-6),
            )
            won = win_probability(
                log32(bid), cells.rows[rows.PRICE_MU, c], cells.rows[rows.PRICE_SIGMA, c]
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
