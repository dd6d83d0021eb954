"""From a validated scenario to the engine's constants.

Rates per hour or day become rates per tick here, once; nothing else in the engine knows about
wall-clock units.
"""

import math

import numpy as np

from ...interface.feedback import ROI_KINDS
from ...interface.levers import lever_table
from ...interface.units import FEN_PER_CNY
from ...scenario import FREE_POOLS, POOLS, SCENES, TIERS, WINDOWS, Scenario
from .. import layout as rows
from .entries import shares_of, values_of

HOURS_PER_DAY = 24.0
# As in the kernels that read them: tiers shown hardly at all, and the bounds of a tier's warmth.
LEAST_MIX = 1e-3
COLDEST = 0.05
WARMEST = 20
DAYS_OF_RATE = 30  # that the rate of repeat orders speaks of
MOST_DAYS = 30  # longest that what is left at an episode's end counts
LEAST_NEUTRAL = 0.005  # commission on ad orders at which nothing is added to the click logit


def fill_constants(w: np.void, s: Scenario, days: int) -> None:
    """Write a scenario's constants for episodes of some days into the WORLD record `w`."""
    per_day = s.clock.ticks_per_day
    hours = HOURS_PER_DAY / per_day
    w["ticks_per_day"] = per_day
    w["ticks"] = per_day * days
    w["decision_ticks"] = s.clock.decision_ticks
    _fill_seasons(w, s, days)
    _fill_customers(w, s, per_day)
    w["hours_per_tick"] = hours
    w["days_per_tick"] = 1 / per_day
    w["roi_kind"] = ROI_KINDS.index(s.constraints.roi)
    w["smooth_keep"] = math.exp(-hours / s.clock.smoothing_hours)
    _fill_traffic(w, s, hours)
    _fill_demand(w, s, hours, per_day)
    _fill_shop(w, s, hours, per_day)
    _fill_money(w, s)
    _fill_merchants(w, s)
    for j, lever in enumerate(lever_table(s)):
        w["lever_kind"][j] = rows.LOGARITHMIC if lever.mapping == "log" else rows.LINEAR
        w["lever_low"][j] = lever.low
        w["lever_default"][j] = lever.default
        w["lever_high"][j] = lever.high
        w["lever_log_span"][j] = math.log(lever.span)


def _fill_seasons(w: np.void, s: Scenario, days: int) -> None:
    plans = s.seasons.plans(days)
    w["plans"] = plans
    w["plan_share"] = 1 / plans
    w["plan_ticks"] = s.clock.ticks_per_day * days // plans
    w["days"] = days // plans
    w["days_inverse"] = 1 / (days // plans)
    w["plan_budget_sd"] = s.seasons.budget_sd
    w["plan_target_low"] = s.seasons.target_low
    w["plan_target_high"] = s.seasons.target_high


def _fill_customers(w: np.void, s: Scenario, per_day: int) -> None:
    repeat = s.repeat
    w["repeat_rate"] = repeat.rate / DAYS_OF_RATE / per_day
    w["repeat_ready"] = -math.expm1(-1 / (repeat.delay_days * per_day))
    w["repeat_keep"] = math.exp(-1 / (repeat.stay_days * per_day))
    w["repeat_days"] = repeat.stay_days
    for name in type(s.left_over).model_fields:
        w[f"left_{name}"] = getattr(s.left_over, name)
    w["left_counts"] = s.left_over != type(s.left_over)()
    w["customers_count"] = repeat.rate > 0 or w["left_counts"]
    w["quality_days"] = 1 / max(s.quality.speed, 1 / MOST_DAYS)
    w["supply_days"] = 1 / max(s.influencer.speed, 1 / MOST_DAYS)
    fading = math.log(2) * s.creative.audience / s.click.fatigue_half_life  # a day
    w["creative_days"] = 1 / max(fading, 1 / MOST_DAYS)


def _fill_traffic(w: np.void, s: Scenario, hours: float) -> None:
    t = s.traffic
    a = s.auction
    w["weekday"] = np.array(t.weekday) / np.mean(t.weekday)
    w["calendar_shift"] = s.merchants.calendar_shift if t.events else 0
    w["dispersion"] = t.dispersion
    w["demand_keep"], w["demand_noise"] = _autoregression(
        t.shock_persistence, t.shock_volatility, hours
    )
    w["demand_correction"] = 0.5 * w["demand_noise"] ** 2 / (1 - w["demand_keep"] ** 2)
    w["price_keep"], w["price_noise"] = _autoregression(
        a.shock_persistence, a.shock_volatility, hours
    )
    jumps = s.jumps
    w["jump_sd"][rows.JUMP_TRAFFIC : rows.JUMP_ORDER] = jumps.traffic_sd
    w["jump_sd"][rows.JUMP_ORDER : rows.JUMP_COUPON] = jumps.order_sd
    w["jump_sd"][rows.JUMP_COUPON] = jumps.coupon_sd
    w["jump_sd"][rows.JUMP_REFUND] = jumps.refund_sd
    w["jump_correction"] = 0.5 * w["jump_sd"] ** 2
    w["jump_chance"] = -math.expm1(-jumps.rate * hours / HOURS_PER_DAY)
    w["jumps"] = bool((w["jump_sd"] > 0).any())
    w["price_reaction"] = a.reaction * hours
    w["first_price"] = a.price_rule == "first"
    w["quality_lift"] = values_of(s.free_traffic.quality_lift, FREE_POOLS)
    w["influencer_lift"] = values_of(s.free_traffic.influencer_lift, FREE_POOLS)
    w["cannibalisation"] = values_of(s.free_traffic.cannibalisation, SCENES)
    w["incremental"] = s.incremental_ads
    free = s.free_traffic
    w["pools_scheduled"] = s.regime.pools_scheduled
    w["match_cost"] = free.match_cost
    w["mix_most"] = free.mix_most
    w["mix_centre"] = values_of(free.mix_centre, SCENES)
    w["mix_centre"][rows.NATURAL] += free.natural_centre
    w["pace_most"] = free.pace_most
    w["coupon_pool"] = [s.coupons_everywhere, s.coupons_everywhere, 1]
    w["predictor_learns"] = s.predictor.learns
    w["prior_orders"] = s.predictor.prior_orders
    w["evidence_keep"] = math.exp(-hours / HOURS_PER_DAY / s.predictor.memory_days)
    w["edit_log_limit"] = math.log(1 + s.predictor.edit_limit)
    w["edit_keep"] = s.predictor.edit_keep
    w["status_orders"] = s.predictor.status_orders
    _fill_bidder(w, s, hours)
    w["boost_reach"] = s.boost.reach
    w["boost_premium"] = s.boost.premium
    w["boost_share"] = s.boost.budget_share
    w["cpm_scene"] = np.exp(values_of(a.cpm_log_mean, SCENES))
    w["bid_reference"] = a.bid_default


def _fill_bidder(w: np.void, s: Scenario, hours: float) -> None:
    b = s.bidder
    w["seat_open"] = s.seat.open
    w["budget_step"] = s.seat.budget_step
    w["most_budget_edits"] = s.seat.budget_edits
    w["budget_floor"] = s.seat.budget_floor
    w["target_step"] = s.seat.target_step
    w["target_hours"] = s.seat.target_hours
    w["most_target_edits"] = s.seat.target_edits
    w["platform_bids"] = b.platform
    w["level_start"] = b.start
    w["level_least"] = b.least
    w["level_most"] = b.most
    w["cost_margin"] = b.margin
    w["recent_keep"] = math.exp(-hours / b.recent_hours)
    for name in (
        "cost_start",
        "pace_gain",
        "pace_step",
        "cost_gain",
        "cost_now",
        "cost_slack",
        "cost_prior",
        "cost_leverage",
        "cost_horizon",
        "coupon_gain",
    ):
        w[name] = getattr(b, name)


def _autoregression(persistence: float, volatility: float, hours: float) -> tuple[float, float]:
    """Per-tick coefficient and innovation of an AR(1) whose hourly ones are given: its stationary
    law is unchanged.
    """
    keep = persistence**hours
    return keep, volatility * math.sqrt((1 - keep**2) / (1 - persistence**2))


def _fill_demand(w: np.void, s: Scenario, hours: float, per_day: int) -> None:
    w["creative_gain"] = s.click.creative_gain
    w["fatigue_rate"] = 1 / s.click.fatigue_half_life
    w["pressure"] = s.click.pressure
    w["pressure_keep"] = math.exp(-hours / s.click.pressure_decay_hours)
    w["coupon_rate"] = 1 / s.coupon.scale
    w["redemption_rate"] = 1 / s.coupon.redemption_scale
    w["depth_max"] = s.coupon.depth_max
    w["merchant_share"] = 1 - s.coupon.platform_share
    mix = np.maximum(shares_of(s.tiers.mix, TIERS), LEAST_MIX)
    stock = np.array(values_of(s.tiers.stock, TIERS))
    w["log_mix"] = np.log(mix)
    w["log_warmth"] = np.log(np.clip(stock / mix, COLDEST, WARMEST))
    w["tier_stock"] = stock
    w["tier_appeal"] = values_of(s.tiers.appeal, TIERS)
    w["tier_value"] = values_of(s.tiers.value_factor, TIERS)
    w["tier_refund"] = values_of(s.refund.tier, TIERS)
    w["heat_elasticity"] = s.tiers.heat_elasticity
    w["tier_growth"] = s.tiers.growth / per_day
    w["tier_keep"] = (1 - np.array(values_of(s.tiers.ageing, TIERS))) ** (1 / per_day)
    w["tier_inflow"] = s.tiers.inflow / per_day
    w["hour_swing"] = s.order.hour_swing
    w["peak_hour"] = values_of(s.order.peak_hour, POOLS)
    w["at_once"] = s.order.at_once
    w["fast_share"] = s.order.fast_share
    w["fast_release"] = 1 - math.exp(-hours / s.order.fast_hours)
    w["slow_release"] = 1 - math.exp(-hours / s.order.slow_hours)
    w["ctr_scene"] = 1 / (1 + np.exp(-np.array(values_of(s.click.scene, SCENES))))


def _fill_shop(w: np.void, s: Scenario, hours: float, per_day: int) -> None:
    w["refund_depth"] = s.refund.coupon_depth
    w["refund_insurance"] = s.refund.insurance
    w["refund_service"] = s.refund.service
    w["refund_share"] = shares_of(s.refund.shares, WINDOWS)
    w["refund_release"] = 1 - np.exp(-hours / np.array(values_of(s.refund.mean_hours, WINDOWS)))
    w["refund_counted"] = np.arange(len(WINDOWS)) <= WINDOWS.index(s.refund.window)
    w["counted_share"] = (w["refund_share"] * w["refund_counted"]).sum()
    w["quality_speed"] = s.quality.speed / per_day
    w["quality_limit"] = s.quality.limit
    w["spill_over"] = np.array(values_of(s.quality.spill_over, FREE_POOLS))
    w["refund_penalty"] = s.quality.refund_penalty / per_day
    w["ctr_factor"] = s.quality.ctr_reference
    w["gpm_factor"] = s.quality.gpm_reference
    c = s.creative
    w["start_exposure"] = c.start_exposure
    w["creative_mean"] = c.quality_mean
    w["creative_sd"] = c.quality_sd
    w["creative_mix_share"] = c.mix_share
    w["creative_fee"] = c.fee
    w["creative_fee_fixed"] = c.fee_cny * FEN_PER_CNY
    w["creative_delay"] = c.delay_hours
    w["creative_rejection"] = c.rejection
    w["audience"] = c.audience
    w["commission_reference"] = s.influencer.reference
    w["commission_ad_neutral"] = max(s.influencer.commission_ad, LEAST_NEUTRAL)
    w["influencer_speed"] = 1 - math.exp(-s.influencer.speed / per_day)
    w["influencer_ad_lift"] = s.influencer.ad_lift
    curvature = s.services.curvature
    w["service_curvature"] = curvature
    w["service_scale"] = 1 / -math.expm1(-curvature) if curvature else 1
    w["insurance_lift"] = s.services.insurance_lift
    w["insurance_cost"] = s.services.insurance_cost * FEN_PER_CNY
    w["insurance_premium"] = s.services.insurance_premium * FEN_PER_CNY
    w["interest_lift"] = s.services.interest_lift
    w["interest_cost"] = s.services.interest_cost
    w["service_cost"] = s.services.service_cost * FEN_PER_CNY


def _fill_money(w: np.void, s: Scenario) -> None:
    m = s.money
    w["fee"] = s.fee_rate
    w["rebate"] = m.rebate
    w["protection"] = m.protection
    w["protection_threshold"] = m.protection_threshold
    w["protection_min_orders"] = m.protection_min_orders
    w["cost_commission"] = m.cost_commission
    w["cost_coupon"] = m.cost_coupon
    w["cost_creative"] = m.cost_creative
    w["cost_service"] = m.cost_service
    w["daily_cap"] = s.constraints.daily_cap
    w["score_floor"] = s.constraints.score_floor
    w["shop_daily"] = s.dashboard.shop_daily
    w["shop_step"] = s.dashboard.shop_step
    w["ad_load_limit"] = s.constraints.ad_load
    w["refund_rate_limit"] = s.constraints.refund_rate


def _fill_merchants(w: np.void, s: Scenario) -> None:
    m = s.merchants
    n = len(m.categories)
    w["categories"] = n
    weights = np.array([c.weight for c in m.categories])
    w["category_weight"][:n] = weights / weights.sum()
    w["category_value"][:n] = [c.order_value for c in m.categories]
    w["category_margin"][:n] = [c.margin for c in m.categories]
    w["category_refund"][:n] = [c.refund for c in m.categories]
    w["category_coupon"][:n] = [c.coupon for c in m.categories]
    w["category_conversion"][:n] = [c.conversion for c in m.categories]
    w["category_price"][:n] = [c.price for c in m.categories]
    for name in (
        "size_sd",
        "order_value_sd",
        "margin_sd",
        "appeal_sd",
        "scene_sd",
        "price_sd",
        "coupon_sd",
        "coupon_segment_sd",
        "price_sigma_spread",
        "peak_sd",
        "refund_sd",
        "quality_sd",
        "target_share_low",
        "target_share_high",
        "increment_low",
        "increment_high",
        "increment_reach_low",
        "increment_reach_high",
        "budget_low",
        "budget_high",
        "coupon_budget_low",
        "coupon_budget_high",
    ):
        w[name] = getattr(m, name)
    w["target_by_increment"] = m.target_rule == "increment"
    w["prediction_noise"] = s.predictor.noise
    w["prediction_bias"] = s.predictor.bias
