"""A scenario as the engine reads it: one record of constants, the base cells, and the calendar
tables.

Rates per hour or day become rates per tick here, once; nothing else in the engine knows about
wall-clock units.
"""

import math
from typing import NamedTuple

import numpy as np

from ..interface.levers import lever_table
from ..scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS, WINDOWS, Scenario
from . import layout as rows

ROI_KINDS = ("overall", "net", "pay")
REWARDS = ("settled_gmv", "incremental", "profit", "score", "platform")
HOURS_PER_DAY = 24.0
CPM_FEN = 100.0

WORLD = np.dtype(
    [
        ("ticks_per_day", "i4"),
        ("ticks", "i4"),
        ("sampled", "i4"),
        ("reward", "i4"),
        ("roi_kind", "i4"),
        ("split", "u8"),
        ("hours_per_tick", "f4"),
        ("days_per_tick", "f4"),
        ("days_inverse", "f8"),
        ("days", "f8"),
        ("weekday", "f4", 7),
        ("calendar_shift", "i4"),
        ("dispersion", "f4"),
        ("demand_keep", "f4"),
        ("demand_noise", "f4"),
        ("demand_correction", "f4"),
        ("price_keep", "f4"),
        ("price_noise", "f4"),
        ("price_reaction", "f4"),
        ("quality_lift", "f4", 2),
        ("influencer_lift", "f4", 2),
        ("cannibalisation", "f4", 4),
        ("incremental", "i4"),
        ("coupon_pool", "f4", 3),
        ("first_price", "i4"),
        ("boost_reach", "f4"),
        ("boost_premium", "f4"),
        ("boost_share", "f8"),
        ("creative_gain", "f4"),
        ("fatigue_rate", "f4"),
        ("pressure", "f4"),
        ("pressure_keep", "f4"),
        ("coupon_rate", "f4"),
        ("redemption_rate", "f4"),
        ("depth_max", "f4"),
        ("merchant_share", "f8"),
        ("log_mix", "f4", 3),
        ("log_warmth", "f4", 3),
        ("tier_appeal", "f4", 3),
        ("tier_value", "f4", 3),
        ("tier_refund", "f4", 3),
        ("tier_stock", "f4", 3),
        ("heat_elasticity", "f4"),
        ("tier_growth", "f4"),
        ("tier_keep", "f4", 3),
        ("tier_inflow", "f4"),
        ("at_once", "f8"),
        ("fast_share", "f8"),
        ("fast_release", "f8"),
        ("slow_release", "f8"),
        ("refund_depth", "f4"),
        ("refund_insurance", "f4"),
        ("refund_service", "f4"),
        ("refund_share", "f8", 4),
        ("refund_release", "f8", 4),
        ("refund_counted", "i4", 4),
        ("counted_share", "f8"),
        ("quality_speed", "f4"),
        ("spill_over", "f4", 2),
        ("refund_penalty", "f4"),
        ("quality_limit", "f4"),
        ("ctr_factor", "f4"),
        ("gpm_factor", "f4"),
        ("start_exposure", "f4"),
        ("creative_mean", "f4"),
        ("creative_sd", "f4"),
        ("creative_mix_share", "f4"),
        ("creative_fee", "f8"),
        ("creative_delay", "f4"),
        ("creative_rejection", "f4"),
        ("audience", "f4"),
        ("commission_reference", "f4"),
        ("commission_ad_neutral", "f4"),
        ("influencer_speed", "f4"),
        ("influencer_ad_lift", "f4"),
        ("insurance_lift", "f4"),
        ("insurance_cost", "f8"),
        ("interest_lift", "f4"),
        ("interest_cost", "f8"),
        ("service_cost", "f8"),
        ("fee", "f8"),
        ("rebate", "f8"),
        ("protection", "i4"),
        ("protection_threshold", "f8"),
        ("protection_min_orders", "f8"),
        ("cost_commission", "i4"),
        ("cost_coupon", "i4"),
        ("cost_creative", "i4"),
        ("cost_service", "i4"),
        ("daily_cap", "f8"),
        ("ad_load_limit", "f8"),
        ("refund_rate_limit", "f8"),
        ("smooth_keep", "f4"),
        ("bid_reference", "f4"),
        ("cpm_scene", "f4", 4),
        ("ctr_scene", "f4", 4),
        # merchants
        ("categories", "i4"),
        ("category_weight", "f4", 8),
        ("category_value", "f4", 8),
        ("category_margin", "f4", 8),
        ("category_refund", "f4", 8),
        ("category_coupon", "f4", 8),
        ("category_conversion", "f4", 8),
        ("category_price", "f4", 8),
        ("size_sd", "f4"),
        ("order_value_sd", "f4"),
        ("margin_sd", "f4"),
        ("appeal_sd", "f4"),
        ("scene_sd", "f4"),
        ("price_sd", "f4"),
        ("coupon_sd", "f4"),
        ("refund_sd", "f4"),
        ("quality_sd", "f4"),
        ("prediction_noise", "f4"),
        ("prediction_bias", "f4"),
        ("target_share_low", "f4"),
        ("target_share_high", "f4"),
        ("budget_low", "f4"),
        ("budget_high", "f4"),
        ("coupon_budget_low", "f4"),
        ("coupon_budget_high", "f4"),
        # levers: how action j becomes a control
        ("lever_kind", "i4", rows.N_LEVERS),
        ("lever_low", "f4", rows.N_LEVERS),
        ("lever_default", "f4", rows.N_LEVERS),
        ("lever_high", "f4", rows.N_LEVERS),
        ("lever_log_span", "f4", rows.N_LEVERS),
    ],
    align=True,
)


class World(NamedTuple):
    """Arrays the engine reads; built once per scenario and shared by every market of a batch."""

    constants: (
        np.ndarray
    )  # (2,) WORLD: the scenario, and its unified twin that merchants are drawn against
    base: np.ndarray  # (CELL_ROWS, 48) float32: cells of an average merchant
    hours: np.ndarray  # (4, ticks_per_day) float32: hour factor per scene, mean 1
    calendar: (
        np.ndarray
    )  # (3, days + 1 + shift) float32: traffic factor, log price shift, order logit shift
    clock: (
        np.ndarray
    )  # (4, ticks_per_day or 7) float32: sine and cosine of the hour, and of the weekday
    remaining: (
        np.ndarray
    )  # (shift + 1, 7, ticks + 1) float32: share of expected traffic still to come


def build_world(scenario: Scenario, days: int, split: int, reward: str, sampled: bool) -> World:
    """Translate a validated scenario into engine arrays."""
    unified = scenario.updated(
        {
            "regime": {
                "preset": "unified",
                "incremental_ads": None,
                "coupons_everywhere": None,
                "low_fee": None,
            }
        }
    )
    constants = np.zeros(2, WORLD)
    for i, variant in enumerate((scenario, unified)):
        _fill(constants[i], variant, days)
        constants[i]["split"] = split
        constants[i]["reward"] = REWARDS.index(reward)
        constants[i]["sampled"] = sampled
        constants[i]["demand_correction"] *= (
            sampled  # without shocks their mean needs no correction
        )
    calendar = calendar_table(scenario, days)
    hours = hour_table(scenario)
    return World(
        constants,
        base_cells(scenario),
        hours,
        calendar,
        clock_table(scenario),
        remaining_table(scenario, days, hours, calendar),
    )


def _values(table: dict, keys: tuple[str, ...]) -> list[float]:
    return [table[key] for key in keys]


def _shares(table: dict, keys: tuple[str, ...]) -> np.ndarray:
    values = np.array(_values(table, keys), float)
    return values / values.sum()


def _fill(w: np.void, s: Scenario, days: int) -> None:
    per_day = s.clock.ticks_per_day
    hours = HOURS_PER_DAY / per_day
    w["ticks_per_day"] = per_day
    w["ticks"] = per_day * days
    w["days"] = days
    w["days_inverse"] = 1 / days
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
    w["price_reaction"] = a.reaction * hours
    w["first_price"] = a.price_rule == "first"
    w["quality_lift"] = _values(s.free_traffic.quality_lift, FREE_POOLS)
    w["influencer_lift"] = _values(s.free_traffic.influencer_lift, FREE_POOLS)
    w["cannibalisation"] = _values(s.free_traffic.cannibalisation, SCENES)
    w["incremental"] = s.incremental_ads
    w["coupon_pool"] = [s.coupons_everywhere, s.coupons_everywhere, 1]
    w["boost_reach"] = s.boost.reach
    w["boost_premium"] = s.boost.premium
    w["boost_share"] = s.boost.budget_share
    w["cpm_scene"] = np.exp(_values(a.cpm_log_mean, SCENES))
    w["bid_reference"] = a.bid_default


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
    mix = np.maximum(_shares(s.tiers.mix, TIERS), 1e-3)
    stock = np.array(_values(s.tiers.stock, TIERS))
    w["log_mix"] = np.log(mix)
    w["log_warmth"] = np.log(np.clip(stock / mix, 0.05, 20))
    w["tier_stock"] = stock
    w["tier_appeal"] = _values(s.tiers.appeal, TIERS)
    w["tier_value"] = _values(s.tiers.value_factor, TIERS)
    w["tier_refund"] = _values(s.refund.tier, TIERS)
    w["heat_elasticity"], w["tier_growth"] = s.tiers.heat_elasticity, s.tiers.growth / per_day
    w["tier_keep"] = (1 - np.array(_values(s.tiers.ageing, TIERS))) ** (1 / per_day)
    w["tier_inflow"] = s.tiers.inflow / per_day
    w["at_once"] = s.order.at_once
    w["fast_share"] = s.order.fast_share
    w["fast_release"] = 1 - math.exp(-hours / s.order.fast_hours)
    w["slow_release"] = 1 - math.exp(-hours / s.order.slow_hours)
    w["ctr_scene"] = 1 / (1 + np.exp(-np.array(_values(s.click.scene, SCENES))))


def _fill_shop(w: np.void, s: Scenario, hours: float, per_day: int) -> None:
    w["refund_depth"] = s.refund.coupon_depth
    w["refund_insurance"] = s.refund.insurance
    w["refund_service"] = s.refund.service
    w["refund_share"] = _shares(s.refund.shares, WINDOWS)
    w["refund_release"] = 1 - np.exp(-hours / np.array(_values(s.refund.mean_hours, WINDOWS)))
    w["refund_counted"] = np.arange(len(WINDOWS)) <= WINDOWS.index(s.refund.window)
    w["counted_share"] = (w["refund_share"] * w["refund_counted"]).sum()
    w["quality_speed"] = s.quality.speed / per_day
    w["quality_limit"] = s.quality.limit
    w["spill_over"] = np.array(_values(s.quality.spill_over, FREE_POOLS))
    w["refund_penalty"] = s.quality.refund_penalty / per_day
    w["ctr_factor"] = s.quality.ctr_reference
    w["gpm_factor"] = s.quality.gpm_reference
    c = s.creative
    w["start_exposure"] = c.start_exposure
    w["creative_mean"] = c.quality_mean
    w["creative_sd"] = c.quality_sd
    w["creative_mix_share"] = c.mix_share
    w["creative_fee"] = c.fee
    w["creative_delay"] = c.delay_hours
    w["creative_rejection"] = c.rejection
    w["audience"] = c.audience
    w["commission_reference"] = s.influencer.reference
    w["commission_ad_neutral"] = max(s.influencer.commission_ad, 0.005)
    w["influencer_speed"] = 1 - math.exp(-s.influencer.speed / per_day)
    w["influencer_ad_lift"] = s.influencer.ad_lift
    w["insurance_lift"] = s.services.insurance_lift
    w["insurance_cost"] = s.services.insurance_cost * 100
    w["interest_lift"] = s.services.interest_lift
    w["interest_cost"] = s.services.interest_cost
    w["service_cost"] = s.services.service_cost * 100


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
        "refund_sd",
        "quality_sd",
        "target_share_low",
        "target_share_high",
        "budget_low",
        "budget_high",
        "coupon_budget_low",
        "coupon_budget_high",
    ):
        w[name] = getattr(m, name)
    w["prediction_noise"] = s.predictor.noise
    w["prediction_bias"] = s.predictor.bias


def base_cells(s: Scenario) -> np.ndarray:
    """Cells of a merchant of size one without its own deviations: (CELL_ROWS, 48) float32, (pool,
    segment, scene) order.
    """
    cells = np.zeros((rows.CELL_ROWS, len(POOLS), len(SEGMENTS), len(SCENES)))
    share = _shares(s.traffic.segments, SEGMENTS)[:, None]
    for p, pool in enumerate(POOLS):
        per_tick = np.array(_values(getattr(s.traffic, pool), SCENES)) / s.clock.ticks_per_day
        cells[rows.TRAFFIC, p] = share * per_tick
        if pool in FREE_POOLS:
            cells[rows.EXPOSURE, p] = _values(s.free_traffic.exposure[pool], SCENES)
        cells[rows.CLICK, p] = (
            np.array(_values(s.click.scene, SCENES))
            + s.click.pool[pool]
            + np.array(_values(s.click.segment, SEGMENTS))[:, None]
        )
        cells[rows.ORDER, p] = (
            np.array(_values(s.order.scene, SCENES))
            + s.order.pool[pool]
            + np.array(_values(s.order.segment, SEGMENTS))[:, None]
        )
    cells[rows.RESPONSE] = np.array(_values(s.coupon.response, SEGMENTS))[:, None]
    cells[rows.REDEMPTION] = np.array(_values(s.coupon.redemption, SEGMENTS))[:, None]
    refund = np.array(_values(s.refund.scene, SCENES))
    cells[rows.REFUND] = np.log(refund / (1 - refund))
    cells[rows.VALUE] = np.array(_values(s.order.value_factor, SEGMENTS))[:, None] * CPM_FEN
    cells[rows.PRICE_MU] = (
        np.array(_values(s.auction.cpm_log_mean, SCENES))
        + np.array(_values(s.auction.segment_price, SEGMENTS))[:, None]
    )
    cells[rows.PRICE_SIGMA] = _values(s.auction.cpm_log_sigma, SCENES)
    cells[rows.PREDICTION] = 1.0
    return cells.reshape(rows.CELL_ROWS, rows.N_LANES).astype(np.float32)


def hour_table(s: Scenario) -> np.ndarray:
    """Traffic factor by scene and tick of day, (4, ticks_per_day) float32 of mean 1; linear between
    hour middles.
    """
    n = s.clock.ticks_per_day
    at = (np.arange(n) + 0.5) * HOURS_PER_DAY / n
    table = []
    for scene in SCENES:
        curve = np.array(s.traffic.live_hourly if scene == "live" else s.traffic.hourly, float)
        values = np.interp(at, np.arange(24) + 0.5, curve, period=HOURS_PER_DAY)
        table.append(values / values.mean())
    return np.array(table, np.float32)


def clock_table(s: Scenario) -> np.ndarray:
    """Sine and cosine of the time of day, then of the weekday: (4, ticks_per_day) float32, the last
    two in 7 entries.
    """
    n = s.clock.ticks_per_day
    table = np.zeros((4, n))
    for row, period in ((0, n), (2, 7)):
        angle = 2 * np.pi * np.arange(period) / period
        table[row, :period] = np.sin(angle)
        table[row + 1, :period] = np.cos(angle)
    return table.astype(np.float32)


def calendar_table(s: Scenario, days: int) -> np.ndarray:
    """Traffic factor, log price shift and order logit shift of each day, (3, days + 1 + shift)
    float32.
    """
    length = days + 2 + s.merchants.calendar_shift
    table = np.zeros((3, length))
    for day in range(length):
        for event in s.traffic.events:
            start = event.day
            end = event.day + event.length
            if day < start:
                strength = max(0.0, 1 - (start - day) / (event.buildup + 1))
                after = 0.0
            elif day < end:
                strength = 1.0
                after = 0.0
            else:
                strength = 0.0
                after = (
                    max(0.0, 1 - (day - end) / max(event.hangover, 1e-9)) if event.hangover else 0.0
                )
            table[0, day] += strength * math.log(event.traffic)
            table[1, day] += strength * math.log(event.price)
            table[2, day] += strength * event.conversion + after * event.hangover_conversion
    table[0] = np.exp(table[0])
    return table.astype(np.float32)


def remaining_table(s: Scenario, days: int, hours: np.ndarray, calendar: np.ndarray) -> np.ndarray:
    """Share of the episode's expected ad traffic still to come before each tick, by calendar shift
    and first weekday.
    """
    volume = np.array(_values(s.traffic.ad, SCENES))
    volume = (
        volume if volume.sum() > 0 else np.ones(len(SCENES))
    )  # without ads, the scenes' plain average
    day_curve = (volume @ hours) / volume.sum()
    weekday = np.array(s.traffic.weekday)
    shifts = (s.merchants.calendar_shift if s.traffic.events else 0) + 1
    table = np.zeros((shifts, 7, days * s.clock.ticks_per_day + 1))
    for shift in range(shifts):
        for first in range(7):
            daily = np.array(
                [weekday[(first + d) % 7] * calendar[0, shift + d] for d in range(days)]
            )
            flow = (daily[:, None] * day_curve).ravel()
            table[shift, first, :-1] = flow[::-1].cumsum()[::-1] / max(flow.sum(), 1e-300)
    return table.astype(np.float32)
