"""One whole tick of one market in plain float64 NumPy, written for reading (world 2): the compiled
kernel is held to it.

Expectation mode: counts are their means and nothing is drawn. Constants come from the scenario's
own fields, in the scenario's own units; only the merchant's record, its cells and the state before
the tick come from the engine. Arrays over cells have shape (pool, segment, scene), over groups
(pool, scene). Money is whole fen.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from chengfang.envs.interface.levers import lever_table
from chengfang.envs.market import layout as rows
from chengfang.envs.scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS, WINDOWS, Scenario
from numpy.typing import ArrayLike
from scipy.special import expit as logistic
from scipy.special import ndtr as normal_cdf
from scipy.special import ndtri as normal_quantile

NATURAL, TRANSACTION, AD = range(3)
CELL_NAMES = (
    "traffic",
    "exposure",
    "click",
    "order",
    "response",
    "redemption",
    "refund",
    "value",
    "price_mu",
    "price_sigma",
    "prediction",
)
PENDING_NAMES = ("orders", "gmv", "coupon", "commission", "extras", "at_risk")
REFUND_NAMES = ("gmv", "coupon", "coupon_merchant", "commission", "fee", "goods")
ACCRUED_NAMES = ("settled", "gmv", "cost", "profit", "platform")
LEAST_COMMISSION = 0.002


class Result(NamedTuple):
    """What a tick returns: the state after it (as `read_state` gives it), reward and cost parts."""

    state: dict
    reward: float
    costs: np.ndarray


def names_of(record: np.dtype) -> tuple[str, ...]:
    """The fields of a record type."""
    assert record.names is not None
    return record.names


def read_state(record: np.void) -> dict:
    """The engine's state record as float64 values under names: ledger, pending, refunds and accrued
    as dicts.
    """
    state = {
        name: np.array(record[name], float) if record.dtype[name].subdtype else record[name].item()
        for name in names_of(rows.STATE)
    }
    state["ledger"] = dict(zip(rows.LEDGER_NAMES, state["ledger"].tolist(), strict=True))
    state["last_ledger"] = dict(zip(rows.LEDGER_NAMES, state["last_ledger"].tolist(), strict=True))
    pending = state["pending"].reshape(-1, 2, len(POOLS), len(SCENES))
    state["pending"] = dict(zip(PENDING_NAMES, pending, strict=True))
    state["refunds"] = {name: state["refunds"][:, i].copy() for i, name in enumerate(REFUND_NAMES)}
    state["accrued"] = dict(zip(ACCRUED_NAMES, state["accrued"].tolist(), strict=True))
    for name in (
        "impressions",
        "clicks",
        "orders",
        "gmv",
        "coupon",
        "refunded",
        "tick_gmv",
        "tick_impressions",
        "tick_clicks",
        "smooth_gmv",
    ):
        state[name] = state[name].reshape(len(POOLS), len(SCENES))
    return state


def flat_state(state: dict) -> dict[str, np.ndarray]:
    """Every number of a state as `field` or `field.line` -> flat float64 array, for comparisons."""
    flat = {}
    for name, value in state.items():
        if isinstance(value, dict):
            flat |= {
                f"{name}.{line}": np.ravel(np.asarray(item, float)) for line, item in value.items()
            }
        else:
            flat[name] = np.ravel(np.asarray(value, float))
    return flat


def plain_tick(
    s: Scenario,
    days: int,
    merchant: np.void,
    cells: np.ndarray,
    record: np.void,
    action: np.ndarray,
    levers: tuple[str, ...],
    reward: str = "settled_gmv",
) -> Result:
    """The market one tick later, in the order in which the design tells it."""
    state = read_state(record)
    m = of_this_plan(read_merchant(merchant), state)
    c = dict(
        zip(
            CELL_NAMES,
            np.asarray(cells, float).reshape(-1, len(POOLS), len(SEGMENTS), len(SCENES)),
            strict=True,
        )
    )
    hours = 24 / s.clock.ticks_per_day
    day = state["tick"] // s.clock.ticks_per_day
    last = state["tick"] + 1 == days * s.clock.ticks_per_day
    plan_days = s.seasons.plan_days or days
    over = (state["tick"] + 1) % (plan_days * s.clock.ticks_per_day) == 0
    before = dict(state["accrued"])
    earned_before = measure(s, state, m, reward)
    spend_before = state["ledger"]["spend"]
    committed_before = state["coupon_committed"]
    state["last_ledger"] = dict(state["ledger"])
    if state["tick"] % s.clock.ticks_per_day == 0:
        state["day_spend"] = 0.0
    if state["tick"] % max(s.clock.decision_hours / hours, 1) == 0:
        for name, a in zip(levers, action, strict=True):
            state["decision"][rows.LEVER_NAMES.index(name)] = np.clip(a, -1, 1)
    control = controls(s, state, levers)
    correct = note_edits(s, state, control)
    control = take_edits(s, state, m, control, plan_days)
    control = steer(s, state, m, control, plan_days)
    move_shocks(s, state, hours)
    traffic, price_shift, order_event = opportunities(s, state, c, day)
    traffic = with_customers(s, state, m, traffic)
    terms = order_terms(s, state, control, m, c, order_event)
    select = schedule(s, state, control, c, terms, traffic)
    terms = selected(s, terms, select)
    shown, auctions, boost, charged = impressions(
        s, state, m, c, control, terms, traffic, (select, correct), price_shift, plan_days
    )
    cvr, use = ration(s, state, m, c, terms, shown)
    tick = counts(s, control, terms, shown, cvr, use)
    commit(s, state, m, control, tick, charged, boost)
    arrivals = deliver(s, state, tick, hours, last)
    book_arrivals(s, state, m, arrivals)
    sent_back = send_back(s, state, m, arrivals)
    mature(s, state, hours, last)
    counting = usual_shares(s, select, terms["match"])
    learn(s, state, c, tick, arrivals, cvr, hours)
    note_reports(s, state, c, tick, cvr, terms["price"], hours)
    remember(s, state, tick, arrivals, sent_back, charged, auctions, counting, hours)
    wear(s, state, m, tick, auctions, hours)
    move_quality(s, state, m, tick)
    move_influencers(s, state, control)
    move_tiers(s, state, control)
    win_customers(s, state, arrivals)
    refresh_creatives(s, state, m, control, hours, plan_days)
    accrue(s, state, m)
    if over and s.money.protection and not state["unprotected"]:
        protect(s, state, m)
        accrue(s, state, m)
    if last:
        state["left_over"] = left_over(s, state, m)
    state["control"] = np.array(list(control.values()))
    costs = cost_parts(s, state, m, before, spend_before, committed_before, charged, tick)
    costs = costs * plan_days / days
    own = read_merchant(merchant)
    gain = (measure(s, state, m, reward) - earned_before) / (own["budget"] * own["roi_target"])
    if over and not last:
        next_plan(s, state, m, own)
    state["tick"] += 1
    show_shop(s, state)
    state["done"] = int(last)
    return Result(state, float(gain), costs)


def of_this_plan(m: dict, state: dict) -> dict:
    """The merchant with the budgets and the target of the plan in force."""
    return m | {name: state[name] for name in ("budget", "coupon_budget", "roi_target")}


def read_merchant(merchant: np.void) -> dict[str, np.ndarray]:
    """The merchant's record as float64 values under names."""
    return {name: np.asarray(merchant[name], float) for name in names_of(rows.MERCHANT)}


# Units and small things
# ------------------------------------------------------------------------------------------


def by(table: dict, keys: tuple[str, ...]) -> np.ndarray:
    """A scenario table as an array in the order of keys."""
    return np.array([table[key] for key in keys], float)


def share_of(table: dict, keys: tuple[str, ...]) -> np.ndarray:
    """A scenario table normalised to sum to one."""
    return by(table, keys) / by(table, keys).sum()


def half_up(x: ArrayLike) -> Any:
    """Rounded to whole fen, halves up."""
    return np.floor(np.asarray(x) + 0.5)


def controls(s: Scenario, state: dict, levers: tuple[str, ...]) -> dict[str, float]:
    """All levers in their own units: default where not controlled, else mapped from the decision
    that stands.
    """
    decision = dict(zip(rows.LEVER_NAMES, state["decision"], strict=True))
    chosen = {name: decision[name] for name in levers}
    result = {}
    for lever in lever_table(s):
        a = chosen.get(lever.name, 0.0)
        if lever.mapping == "log":
            result[lever.name] = (
                lever.default * (lever.span**a - 1 / lever.span) / (1 - 1 / lever.span)
            )
        else:
            result[lever.name] = lever.default + (
                a * (lever.high - lever.default) if a > 0 else a * (lever.default - lever.low)
            )
    return result


def of(control: dict[str, float], prefix: str, keys: tuple[str, ...]) -> np.ndarray:
    """The controls prefix_key as an array."""
    return np.array([control[f"{prefix}_{key}"] for key in keys])


def tier_mix(s: Scenario, control: dict[str, float]) -> np.ndarray:
    """Exposure shares of the tiers: the scenario's mix shifted by the levers; a tier of no share
    keeps a thousandth.
    """
    weight = np.maximum(share_of(s.tiers.mix, TIERS), 1e-3) * np.exp(of(control, "tier", TIERS))
    return weight / weight.sum()


# 2.1 Opportunities and 2.3 the market's shocks
# -------------------------------------------------------------------


def move_shocks(s: Scenario, state: dict, hours: float) -> None:
    """Shocks decay; the price rises with last tick's share of voice."""
    state["demand_shock"] = s.traffic.shock_persistence**hours * state["demand_shock"]
    state["price_shock"] = (
        s.auction.shock_persistence**hours * state["price_shock"]
        + s.auction.reaction * hours * state["voice"]
    )


def jumps_of(state: dict) -> dict[str, Any]:
    """The states that jump: traffic (ln) and order rates (logit) of every scene, coupon response
    (ln) and refunds (logit). In expectation mode they stay, and their mean needs no correction.
    """
    n = len(SCENES)
    traffic, order, (coupon, refund) = np.split(np.asarray(state["jump"]), [n, 2 * n])
    return {"traffic": traffic, "order": order, "coupon": coupon, "refund": refund}


def event_of_day(s: Scenario, day: int) -> tuple[float, float, float]:
    """Traffic factor, log price shift and order logit shift of a calendar day."""
    traffic = 1.0
    price = 0.0
    order = 0.0
    for e in s.traffic.events:
        until = e.day - day
        since = day - (e.day + e.length)
        strength = max(0.0, 1 - until / (e.buildup + 1)) if until > 0 else float(since < 0)
        after = max(0.0, 1 - since / e.hangover) if since >= 0 and e.hangover else 0.0
        traffic *= e.traffic**strength
        price += strength * math.log(e.price)
        order += strength * e.conversion + after * e.hangover_conversion
    return traffic, price, order


def hour_factor(s: Scenario, tick_of_day: int) -> np.ndarray:
    """Traffic of the tick relative to the day's mean, by scene: the hourly curve, linear between
    hour middles.
    """

    def curve(values: Sequence[float]) -> float:
        at = (np.arange(s.clock.ticks_per_day) + 0.5) * 24 / s.clock.ticks_per_day
        wrapped = np.interp(at, np.arange(-1, 25) + 0.5, [values[-1], *values, values[0]])
        return wrapped[tick_of_day] / wrapped.mean()

    return np.array(
        [curve(s.traffic.live_hourly if scene == "live" else s.traffic.hourly) for scene in SCENES]
    )


def weekday_factor(s: Scenario, weekday: int) -> float:
    """Traffic of a weekday relative to the week's mean."""
    return s.traffic.weekday[weekday % 7] / (sum(s.traffic.weekday) / 7)


def opportunities(s: Scenario, state: dict, c: dict, day: int) -> tuple[np.ndarray, float, float]:
    """Expected opportunities per cell, and the event's log price and order logit shifts.

    A shock that is not drawn needs no correction e^(-var/2) of its mean.
    """
    event, price, order = event_of_day(s, state["calendar"] + day)
    factor = (
        hour_factor(s, state["tick"] % s.clock.ticks_per_day)
        * weekday_factor(s, state["weekday"] + day)
        * event
    )
    factor = factor * np.exp(jumps_of(state)["traffic"])
    return c["traffic"] * factor * np.exp(state["demand_shock"]), price, order


# 2.2, 2.5, 2.6, 2.7 What a user does
# -----------------------------------------------------------------------------


def levelled(s: Scenario, effort: float) -> float:
    """A share of the effect of a service: the effort itself, or a concave curve from 0 to 1."""
    c = s.services.curvature
    return (1 - math.exp(-c * effort)) / (1 - math.exp(-c)) if c else effort


def time_of_day(s: Scenario, state: dict, m: dict) -> np.ndarray:
    """What the hour adds to the order logit of each pool: a cosine about the merchant's own
    peak.
    """
    per_day = s.clock.ticks_per_day
    angle = 2 * math.pi * (state["tick"] % per_day) / per_day
    return m["hour_cos"] * math.cos(angle) + m["hour_sin"] * math.sin(angle)


def order_terms(
    s: Scenario, state: dict, control: dict, m: dict, c: dict, order_event: float
) -> dict[str, np.ndarray]:
    """CTR, CVR, redemption, risk, price (fen), coupon (fen) and free exposure of every cell."""
    mix = tier_mix(s, control)
    neutral = np.maximum(share_of(s.tiers.mix, TIERS), 1e-3)
    warmth = np.clip(state["heat"] / np.maximum(mix, 1e-3), 0.05, 20)
    usual = np.clip(by(s.tiers.stock, TIERS) / neutral, 0.05, 20)
    tier_appeal = (
        mix * (by(s.tiers.appeal, TIERS) + s.tiers.heat_elasticity * np.log(warmth / usual))
    ).sum()
    shift = (
        tier_appeal
        + order_event
        + s.services.insurance_lift * levelled(s, control["insurance"])
        + s.services.interest_lift * levelled(s, control["interest_free"])
        + time_of_day(s, state, m)[:, None, None]
        + jumps_of(state)["order"]
    )
    everywhere = np.array([s.coupons_everywhere, s.coupons_everywhere, True])
    depth = np.minimum(
        np.outer(of(control, "coupon", POOLS), of(control, "tilt", SEGMENTS)), s.coupon.depth_max
    )
    depth = np.broadcast_to((depth * everywhere[:, None])[:, :, None], c["click"].shape)

    faded = 2 ** (-state["exposure"] / s.click.fatigue_half_life)
    appeal = (
        s.click.creative_gain * state["creative_quality"] * faded
        - s.click.pressure * state["pressure"][:, None]
    )
    appeal = np.repeat(appeal[None], len(POOLS), 0)
    appeal[AD] += s.influencer.ad_lift * math.log(
        max(control["commission_ad"], LEAST_COMMISSION) / max(s.influencer.commission_ad, 0.005)
    )
    reach = (
        by(s.free_traffic.quality_lift, FREE_POOLS) * state["quality"]
        + by(s.free_traffic.influencer_lift, FREE_POOLS) * state["supply"]
    )
    refund = (
        (mix * by(s.refund.tier, TIERS)).sum()
        + jumps_of(state)["refund"]
        + s.refund.insurance * control["insurance"]
        - s.refund.service * levelled(s, control["service"])
    )
    response = c["response"] * np.exp(jumps_of(state)["coupon"])
    price = half_up(c["value"] * (mix * by(s.tiers.value_factor, TIERS)).sum())
    return {
        "depth": depth,
        "ctr": logistic(c["click"] + appeal),
        "plain_cvr": logistic(c["order"] + shift),
        "cvr": logistic(c["order"] + shift + response * (1 - np.exp(-depth / s.coupon.scale))),
        "use": c["redemption"] * (1 - np.exp(-depth / s.coupon.redemption_scale)),
        "risk": logistic(c["refund"] + refund + s.refund.coupon_depth * depth),
        "price": price,
        "coupon": half_up(price * depth),
        "free": logistic(c["exposure"][:AD] + reach[:, None, None]),
    }


# 2.2 Pools scheduled together
# --------------------------------------------------------------------------


def worth_of_an_impression(s: Scenario) -> np.ndarray:
    """Settled GMV less natural commission of an average merchant's free impression, (pool, scene)
    CNY.
    """
    shape = np.array([s.click.pool[pool] for pool in FREE_POOLS])[:, None, None]
    click = by(s.click.scene, SCENES) + by(s.click.segment, SEGMENTS)[:, None] + shape
    shape = np.array([s.order.pool[pool] for pool in FREE_POOLS])[:, None, None]
    order = by(s.order.scene, SCENES) + by(s.order.segment, SEGMENTS)[:, None] + shape
    rate = by(s.refund.scene, SCENES)
    shift = s.refund.insurance * s.services.insurance_default
    shift -= s.refund.service * s.services.service_default
    risk = logistic(np.log(rate / (1 - rate)) + shift)
    counted = share_of(s.refund.shares, WINDOWS)[counted_windows(s)].sum()
    value = (share_of(s.traffic.segments, SEGMENTS) * by(s.order.value_factor, SEGMENTS))[:, None]
    worth = (logistic(click) * logistic(order) * value).sum(1) * (1 - counted * risk)
    worth[NATURAL] *= 1 - s.influencer.commission_natural
    return worth


def schedule(
    s: Scenario, state: dict, control: dict, c: dict, terms: dict, traffic: np.ndarray
) -> np.ndarray:
    """Free impressions over usual ones, (pool, scene); what is released leaves the day's
    allowance.
    """
    if not s.regime.pools_scheduled:
        return np.ones((AD, len(SCENES)))
    free = s.free_traffic
    level = by(free.mix_centre, SCENES) + of(control, "mix", SCENES)
    natural = free.natural_centre + control["mix_natural"]
    weight = np.exp(np.array([level + natural, level]))
    worth = (traffic[:AD] * terms["free"]).sum(1) * worth_of_an_impression(s)
    mix = np.minimum(weight * worth.sum() / (worth * weight).sum(), free.mix_most)
    per_day = s.clock.ticks_per_day
    now = state["tick"] % per_day
    shares = np.array([hour_factor(s, t) for t in range(per_day)]).T / per_day
    held = state["held"] if now else np.ones_like(mix)
    pace = of(control, "pace", FREE_POOLS)[:, None] * held / shares[:, now:].sum(1)
    pace = np.minimum(np.minimum(pace, free.pace_most), held / shares[:, now])
    state["held"] = np.maximum(held - shares[:, now] * pace, 0)
    return mix * pace


def selected(s: Scenario, terms: dict, select: np.ndarray) -> dict:
    """The terms with the click rates of the free pools at the impressions that are shown."""
    if not s.regime.pools_scheduled:
        return terms | {"match": np.ones_like(select)}
    match = np.maximum(select, 1e-3) ** -s.free_traffic.match_cost
    ctr = terms["ctr"].copy()
    ctr[:AD] = np.minimum(ctr[:AD] * match[:, None], 0.95)
    return terms | {"ctr": ctr, "match": match}


def usual_shares(s: Scenario, select: np.ndarray, match: np.ndarray) -> tuple:
    """What an impression and a click count in rates over usual impressions."""
    if not s.regime.pools_scheduled:
        return np.ones_like(select), np.ones_like(select)
    impression = np.where(select >= 1e-3, 1 / np.maximum(select, 1e-3), 0.0)
    return impression, impression / match


# 2.3, 2.4, 2.10 Auction, regime, limits
# --------------------------------------------------------------------------


def impressions(
    s: Scenario,
    state: dict,
    m: dict,
    c: dict,
    control: dict,
    terms: dict,
    traffic: np.ndarray,
    chosen: tuple[np.ndarray, np.ndarray],
    price_shift: float,
    days: int,
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Expected impressions per cell; auctions, boost in force, whole fen charged by scene."""
    select, correct = chosen
    boost_left = math.floor(s.boost.budget_share * m["budget"]) - state["boost_spend"]
    boost = control["boost"] if boost_left >= 1 else 0.0
    overlap = by(s.free_traffic.cannibalisation, SCENES)
    entered = (
        traffic[AD] * (1 + s.boost.reach * boost) * ((1 - overlap) if s.incremental_ads else 1.0)
    )
    value = (
        c["prediction"][AD] * terms["ctr"][AD] * terms["cvr"][AD] * terms["price"][AD] / 100
    ) * correct  # CNY per impression
    bid = (
        control["bid"] * of(control, "bid", SCENES) * value / m["roi_target"] * 1000
    )  # CNY per thousand
    mean = c["price_mu"][AD] + state["price_shock"] + price_shift + s.boost.premium * boost
    win, payment = auction(bid, mean, c["price_sigma"][AD], s.auction.price_rule)
    won = entered * win
    cost = (won * payment / 1000 * 100).sum(0)  # fen by scene
    cap = np.maximum(np.floor(of(control, "share", SCENES) * m["budget"]) - state["scene_spend"], 0)
    today = budget_of_day(s, state, m, days) - state["day_spend"]
    limit = max(min(m["budget"] - state["ledger"]["spend"], today), 0)
    keep = np.minimum(1, cap / np.maximum(cost, 1e-9))
    keep = keep * min(1, limit / max((cost * keep).sum(), 1e-9))
    won = won * keep
    charged = np.floor(cost * keep)
    free = np.minimum(traffic[:AD] * terms["free"] * select[:, None], traffic[:AD])
    if not s.incremental_ads:
        free = free * (1 - np.minimum(overlap * won / np.maximum(free.sum(0), 1e-20), 1))
    return np.concatenate([free, won[None]]), entered.sum(0), boost, charged


def note_edits(s: Scenario, state: dict, control: dict) -> np.ndarray:
    """The predictor's factor on the worth of each scene's ads; a large edit makes it forget."""
    p = s.predictor
    if not p.learns:
        return np.ones(len(SCENES))
    bid = control["bid"] * of(control, "bid", SCENES)
    before = state["bid_in_force"]
    moved = np.abs(np.log(np.maximum(bid, 1e-3)) - np.log(np.maximum(before, 1e-3)))
    keep = np.where((before >= 0) & (moved > math.log(1 + p.edit_limit)), p.edit_keep, 1)
    for name in ("evidence_reported", "evidence_expected"):
        state[name] = state[name] * keep
    state["bid_in_force"] = bid
    reported, expected = state["evidence_reported"], state["evidence_expected"]
    return (p.prior_orders + reported) / (p.prior_orders + expected)


def learn(
    s: Scenario, state: dict, c: dict, tick: dict, arrivals: dict, cvr: np.ndarray, hours: float
) -> None:
    """Ad orders as they are reported, and as the tick's clicks let the predictor expect them."""
    if not s.predictor.learns:
        return
    keep = math.exp(-hours / 24 / s.predictor.memory_days)
    hoped = (tick["clicked"] * cvr * c["prediction"])[AD].sum(0)
    state["evidence_reported"] = keep * state["evidence_reported"] + arrivals["orders"][AD]
    state["evidence_expected"] = keep * state["evidence_expected"] + hoped


# 2.16 The merchant's own seat
# --------------------------------------------------------------------------


def take_edits(s: Scenario, state: dict, m: dict, control: dict, days: int) -> dict:
    """The controls with the daily budget and the target in force, by the rules of editing them."""
    seat = s.seat
    if not seat.open:
        return control
    per_day = s.clock.ticks_per_day
    first = tick_of_plan(s, state, days) == 0
    if first:
        state["unprotected"] = 0
    if state["tick"] % per_day == 0:
        state["budget_edits"] = state["target_edits"] = 0
    asked, told = control["budget_pace"], state["budget_told"]
    edit = abs(asked - told) > seat.budget_step and state["budget_edits"] < seat.budget_edits
    state["budget_edited"] = int(first or edit)
    if first or edit:
        even = m["budget"] / days
        state["budget_told"] = max(asked, seat.budget_floor * state["day_spend"] / even)
        state["budget_edits"] += not first
    asked, told = control["target"], state["target_told"]
    state["target_age"] += 24 / per_day
    edit = abs(asked - told) > seat.target_step * told and state["target_age"] >= seat.target_hours
    state["target_edited"] = int(first or edit)
    if first or edit:
        state["target_told"], state["target_age"] = asked, 0.0
        state["target_edits"] += not first
        state["unprotected"] |= state["target_edits"] > seat.target_edits
    return control | {"budget_pace": state["budget_told"], "target": state["target_told"]}


def tick_of_plan(s: Scenario, state: dict, days: int) -> int:
    """Ticks of the plan in force, of some days, that have been played."""
    return state["tick"] - state["plan"] * days * s.clock.ticks_per_day


def budget_of_day(s: Scenario, state: dict, m: dict, days: int) -> int:
    """Most that the day may spend, fen."""
    cap = math.floor(s.constraints.daily_cap * m["budget"])
    if not s.seat.open:
        return cap
    return min(cap, math.floor(state["budget_told"] * m["budget"] / days))


# 2.15 The platform's own bidder
# --------------------------------------------------------------------------


def usual_flow(s: Scenario, state: dict, days: int) -> np.ndarray:
    """Usual traffic of every tick of the plan by scene, shares of the plan's, (ticks, scene)."""
    per_day = s.clock.ticks_per_day
    day_of = np.array(
        [
            weekday_factor(s, state["weekday"] + day) * event_of_day(s, state["calendar"] + day)[0]
            for day in range(state["plan"] * days, (state["plan"] + 1) * days)
        ]
    )
    hours = np.array([hour_factor(s, t) for t in range(per_day)])
    return (day_of / day_of.sum())[:, None, None].repeat(per_day, 1).reshape(-1, 1) * np.tile(
        hours / per_day, (days, 1)
    )


def plan_flow(s: Scenario, state: dict, days: int) -> np.ndarray:
    """The same of the plan's ads in all scenes, (ticks,)."""
    volume = by(s.traffic.ad, SCENES)
    return usual_flow(s, state, days) @ (volume / volume.sum())


def believed(s: Scenario, state: dict) -> tuple[float, float]:
    """Value and cost of the plan so far, as the platform reads the reports."""
    book = state["ledger"]
    waiting = state["expected_waiting"].sum() - state["opening_waiting"]
    arrived = max(1 - waiting / max(state["expected_gmv"], 1e-9), 0.02)
    risk = state["smooth_risk"][0] / max(state["smooth_risk"][1], 1e-6)
    counted = share_of(s.refund.shares, WINDOWS)[counted_windows(s)].sum()
    kept = 1 - counted * min(max(risk, 0), 1)
    gmv = book["gmv"] / arrived
    cost = overall_cost(
        s,
        book["spend"],
        book["commission"] / arrived * kept,
        book["coupon_merchant"] / arrived * kept,
        book["creative"],
        book["service"] + book["extras"] / arrived,
    )
    return roi_parts(s, gmv * kept, gmv, cost, book["spend"])


def steer(s: Scenario, state: dict, m: dict, control: dict, days: int) -> dict:
    """The controls with the platform's multipliers and coupon depths in them."""
    b = s.bidder
    if not b.platform:
        return control
    t, per_day = tick_of_plan(s, state, days), s.clock.ticks_per_day
    if t == 0:
        state["expected_gmv"], state["opening_waiting"] = 0.0, state["expected_waiting"].sum()
        state["recent_value"] = state["recent_cost"] = state["recent_flow"] = 0.0
    plan, scene = plan_flow(s, state, days), usual_flow(s, state, days)
    ahead = plan[t:].sum()
    value, paid = believed(s, state)
    keep = math.exp(-24 / per_day / b.recent_hours)
    rest = 0.0
    if t:
        state["recent_value"] = keep * state["recent_value"] + value - state["believed_value"]
        state["recent_cost"] = keep * state["recent_cost"] + paid - state["believed_cost"]
        state["recent_flow"] = keep * state["recent_flow"] + plan[t - 1]
        rest = ahead / state["recent_flow"]
    state["believed_value"], state["believed_cost"] = value, paid
    told = state["target_told"] if s.seat.open else 1.0
    prior, wanted = b.cost_prior * m["budget"], m["roi_target"] * told * (1 + b.margin)
    leverage = min((paid + prior) / (state["ledger"]["spend"] + prior), b.cost_leverage)
    end = (value + max(state["recent_value"], 0) * rest + wanted * prior) / (
        wanted * (paid + max(state["recent_cost"], 0) * rest + prior)
    )
    error = float(np.clip(math.log(end) * leverage / max(ahead, b.cost_horizon), -1, 1))
    level = state["cost_level"] * math.exp(b.cost_gain * error)
    level = min(level, told * state["pace_level"].max() * math.exp(b.cost_slack))
    state["cost_level"] = min(max(level, b.least), b.most)
    most = state["cost_level"] * math.exp(b.cost_now * error) / told

    def follow(
        level: np.ndarray, planned: np.ndarray, expected: np.ndarray, gain: float
    ) -> np.ndarray:
        gap = np.log(np.maximum(planned, 1e-9) / np.maximum(expected, planned * 1e-6 + 1e-12))
        return level * np.exp(gain * np.clip(gap, -b.pace_step, b.pace_step))

    division = np.exp(of(control, "divide", SCENES))
    left = max(m["budget"] - state["ledger"]["spend"], 0)
    today = max(budget_of_day(s, state, m, days) - state["day_spend"], 0)
    of_day = scene[t] / scene[t : t - t % per_day + per_day].sum(0)
    money = np.minimum(left * scene[t] / scene[t:].sum(0), today * of_day)
    planned = division / division.sum() * money
    pace = state["pace_level"]
    if t:
        expected = state["tick_spend"] * scene[t] / scene[t - 1]
        pace = np.where(planned >= 1, follow(pace, planned, expected, b.pace_gain), pace)
    state["pace_level"] = np.minimum(np.clip(pace, b.least, b.most), most)

    everywhere = np.array([s.coupons_everywhere, s.coupons_everywhere, True])
    subsidy = np.exp(of(control, "subsidy", POOLS)) * everywhere
    left = max(m["coupon_budget"] - state["coupon_committed"], 0)
    planned = subsidy / subsidy.sum() * left * plan[t] / ahead
    depth = of(control, "coupon", POOLS)
    if t:
        expected = state["tick_claims"] * plan[t] / plan[t - 1]
        level = follow(state["depth_level"], planned, expected, b.coupon_gain)
        level = np.maximum(
            np.minimum(level, s.coupon.depth_max / np.maximum(depth, 1e-12)), b.least
        )
        moved = (planned >= 1) & (depth > 0)
        state["depth_level"] = np.where(moved, level, state["depth_level"])
    bids = zip(SCENES, of(control, "bid", SCENES) * state["pace_level"], strict=True)
    depth = np.minimum(depth * state["depth_level"], s.coupon.depth_max) * (left >= 1)
    depths = zip(POOLS, depth, strict=True)
    return (
        control
        | {f"bid_{scene}": bid for scene, bid in bids}
        | {f"coupon_{pool}": depth for pool, depth in depths}
    )


def note_reports(
    s: Scenario,
    state: dict,
    c: dict,
    tick: dict,
    cvr: np.ndarray,
    price: np.ndarray,
    hours: float,
) -> None:
    """The GMV that clicks let the platform expect, and the merchant's part of claimed coupons."""
    if not s.bidder.platform:
        return
    expected = (tick["clicked"] * cvr * c["prediction"] * price).sum()
    o = s.order
    later = (1 - o.at_once) * expected
    waiting = state["expected_waiting"] + later * np.array([o.fast_share, 1 - o.fast_share])
    state["expected_gmv"] += expected
    state["expected_waiting"] = waiting * np.exp(-hours / np.array([o.fast_hours, o.slow_hours]))
    state["tick_claims"] = tick["coupon"].sum(1) * (1 - s.coupon.platform_share)


def auction(
    bid: np.ndarray, mean: np.ndarray, sigma: np.ndarray, rule: str
) -> tuple[np.ndarray, np.ndarray]:
    """Chance to win and price per won thousand, against a log-normal highest competing bid."""
    x = (np.log(np.maximum(bid, 1e-6)) - mean) / sigma
    win = np.where(bid > 1e-6, normal_cdf(x), 0.0)
    if rule == "first":
        return win, bid
    expected = np.exp(mean + sigma**2 / 2) * normal_cdf(x - sigma)
    return win, np.minimum(expected / np.maximum(normal_cdf(x), 1e-20), np.maximum(bid, 1e-6))


def ration(
    s: Scenario, state: dict, m: dict, c: dict, terms: dict, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """CVR and redemption when coupons reach only the share of users that the coupon budget pays
    for.
    """
    left = max(m["coupon_budget"] - state["coupon_committed"], 0)
    cost = (shown * terms["ctr"] * terms["cvr"] * terms["use"] * terms["coupon"]).sum() * (
        1 - s.coupon.platform_share
    )
    if cost <= left:
        return terms["cvr"], terms["use"]
    keep = left / cost
    cvr = keep * terms["cvr"] + (1 - keep) * terms["plain_cvr"]
    return cvr, keep * terms["cvr"] * terms["use"] / cvr


# 2.6, 2.7, 2.9 Orders, arrivals, refunds, books
# ------------------------------------------------------------------


def counts(
    s: Scenario, control: dict, terms: dict, shown: np.ndarray, cvr: np.ndarray, use: np.ndarray
) -> dict:
    """What the tick brings: per cell impressions, clicks, claims; per group the terms fixed with
    its orders.
    """
    clicks = shown * terms["ctr"]
    orders = clicks * cvr
    claims = orders * use
    gmv = half_up((orders * terms["price"]).sum(1))
    coupon = half_up((claims * terms["coupon"]).sum(1))
    rate = np.array([control["commission_natural"], 0.0, control["commission_ad"]])[:, None]
    at_risk = (orders * terms["risk"]).sum(1)
    insured = control["insurance"] * 100
    extras = (
        s.services.insurance_cost * insured * orders.sum(1)
        + s.services.insurance_premium * insured * at_risk
        + s.services.interest_cost * control["interest_free"] * (gmv - coupon)
    )
    return {
        "shown": shown,
        "clicked": clicks,
        "claims": claims,
        "orders": orders.sum(1),
        "gmv": gmv,
        "coupon": coupon,
        "commission": half_up(rate * (gmv - coupon)),
        "extras": half_up(extras),
        "at_risk": at_risk,
    }


def commit(
    s: Scenario, state: dict, m: dict, control: dict, tick: dict, charged: np.ndarray, boost: float
) -> None:
    """What is owed as soon as the orders are placed: spend, coupons set aside, service effort,
    rebate, boost's part.
    """
    book = state["ledger"]
    spent = charged.sum()
    placed = tick["orders"].sum()
    book["spend"] += spent
    book["rebate"] += math.floor(s.money.rebate * spent)
    book["service"] += math.floor(s.services.service_cost * 100 * control["service"] * placed)
    state["placed"] += placed
    state["day_spend"] += spent
    state["coupon_committed"] = min(
        m["coupon_budget"],
        state["coupon_committed"] + math.ceil(tick["coupon"].sum() * (1 - s.coupon.platform_share)),
    )
    extra = s.boost.reach * boost
    allowed = math.floor(s.boost.budget_share * m["budget"]) - state["boost_spend"]
    state["boost_spend"] += min(math.floor(spent * extra / (1 + extra)), max(allowed, 0))


def split(amounts: dict, share: Any) -> tuple[dict, dict]:
    """Amounts of every line cut in two: money in whole fen rounded down, orders and risks as is."""
    part = {
        line: amount * share
        if line in ("orders", "at_risk")
        else np.where(np.asarray(share) >= 1, amount, np.floor(amount * share))
        for line, amount in amounts.items()
    }
    return part, {line: amounts[line] - part[line] for line in amounts}


def deliver(s: Scenario, state: dict, tick: dict, hours: float, last: bool) -> dict:
    """Orders that arrive now: a share of this tick's at once, then a share of each compartment, at
    the end all.
    """
    now, rest = split({line: tick[line] for line in PENDING_NAMES}, s.order.at_once)
    quick, slow = split(rest, s.order.fast_share)
    arrived = now
    for i, (more, mean_hours) in enumerate(
        ((quick, s.order.fast_hours), (slow, s.order.slow_hours))
    ):
        waiting = {line: state["pending"][line][i] + more[line] for line in PENDING_NAMES}
        out, stay = split(waiting, 1.0 if last else 1 - math.exp(-hours / mean_hours))
        arrived = {line: arrived[line] + out[line] for line in PENDING_NAMES}
        for line in PENDING_NAMES:
            state["pending"][line][i] = stay[line]
    return arrived


def book_arrivals(s: Scenario, state: dict, m: dict, a: dict) -> None:
    """gmv = user paid + merchant's coupon + platform's coupon, and what else an order costs."""
    book = state["ledger"]
    paid = a["gmv"] - a["coupon"]
    merchant = np.floor(a["coupon"] * (1 - s.coupon.platform_share))
    lines = {
        "gmv": a["gmv"],
        "coupon_merchant": merchant,
        "coupon_platform": a["coupon"] - merchant,
        "user_paid": paid,
        "commission": a["commission"],
        "fee": np.floor(s.fee_rate * paid),
        "goods": np.floor((1 - m["margin"]) * a["gmv"]),
        "extras": a["extras"],
    }
    for line, amount in lines.items():
        book[line] += amount.sum()


def send_back(s: Scenario, state: dict, m: dict, a: dict) -> np.ndarray:
    """Arrivals that will be refunded join the refund compartments; returns their GMV by group.

    GMV and coupon go back as the sum of their parts (paid by the buyer, by the merchant, by the
    platform), each rounded down over the windows, so that no party gets back more than it gave.
    """
    share = np.where(a["orders"] > 0, a["at_risk"] / np.where(a["orders"] > 0, a["orders"], 1), 0)
    lines = {
        "gmv": a["gmv"],
        "coupon": a["coupon"],
        "coupon_merchant": np.floor(a["coupon"] * (1 - s.coupon.platform_share)),
        "commission": a["commission"],
        "fee": np.floor(s.fee_rate * (a["gmv"] - a["coupon"])),
        "goods": np.floor((1 - m["margin"]) * a["gmv"]),
    }
    back = {line: np.floor(amount * share).sum() for line, amount in lines.items()}
    windows = share_of(s.refund.shares, WINDOWS)
    merchant = np.floor(back["coupon_merchant"] * windows)
    coupon = merchant + np.floor((back["coupon"] - back["coupon_merchant"]) * windows)
    gmv = coupon + np.floor((back["gmv"] - back["coupon"]) * windows)
    split_lines = {"gmv": gmv, "coupon": coupon, "coupon_merchant": merchant}
    for line in lines:
        state["refunds"][line] += split_lines.get(line, np.floor(back[line] * windows))
    state["refunded_orders"] += a["at_risk"].sum()
    return np.floor(a["gmv"] * share)


def mature(s: Scenario, state: dict, hours: float, last: bool) -> None:
    """A share of each refund compartment goes back to the buyers; within the window it counts as
    settled.
    """
    book = state["ledger"]
    waiting = state["refunds"]
    release = 1 - np.exp(-hours / by(s.refund.mean_hours, WINDOWS))
    out = {
        line: waiting[line].copy() if last else np.floor(waiting[line] * release)
        for line in REFUND_NAMES
    }
    for line in REFUND_NAMES:
        waiting[line] -= out[line]
    book["refund_gmv"] += out["gmv"].sum()
    book["refund_coupon_merchant"] += out["coupon_merchant"].sum()
    book["refund_coupon_platform"] += (out["coupon"] - out["coupon_merchant"]).sum()
    book["refund_user_paid"] += (out["gmv"] - out["coupon"]).sum()
    for line in ("commission", "fee", "goods"):
        book[f"refund_{line}"] += out[line].sum()
    counted = counted_windows(s)
    book["settled_refund_gmv"] += out["gmv"][counted].sum()
    book["settled_refund_coupon"] += out["coupon_merchant"][counted].sum()
    book["settled_refund_commission"] += out["commission"][counted].sum()


def counted_windows(s: Scenario) -> np.ndarray:
    """Which refund compartments mature within the scenario's window."""
    return np.arange(len(WINDOWS)) <= WINDOWS.index(s.refund.window)


def overall_cost(
    s: Scenario, spend: float, commission: float, coupon: float, creative: float, service: float
) -> float:
    """The overall cost with the parts that the scenario counts."""
    m = s.money
    return (
        spend
        + m.cost_commission * commission
        + m.cost_coupon * coupon
        + m.cost_creative * creative
        + m.cost_service * service
    )


def accrue(s: Scenario, state: dict, m: dict) -> None:
    """The plan's results if everything on its way ends as expected."""
    book = state["ledger"]
    waiting = state["refunds"]
    pending = state["pending"]
    theta = s.coupon.platform_share
    goods = 1 - m["margin"]
    merchant_p = pending["coupon"] * (1 - theta)
    platform_p = pending["coupon"] * theta
    fee_p = s.fee_rate * (pending["gmv"] - pending["coupon"])
    goods_p = goods * pending["gmv"]
    risk = np.where(
        pending["orders"] > 0,
        pending["at_risk"] / np.where(pending["orders"] > 0, pending["orders"], 1),
        0,
    )
    total = {
        "gmv": pending["gmv"],
        "coupon_merchant": merchant_p,
        "coupon_platform": platform_p,
        "commission": pending["commission"],
        "fee": fee_p,
        "goods": goods_p,
    }
    gross = {line: book[line] + amount.sum() for line, amount in total.items()}
    sent = {
        line: waiting[line].sum()
        for line in ("gmv", "coupon_merchant", "commission", "fee", "goods")
    }
    sent["coupon_platform"] = (waiting["coupon"] - waiting["coupon_merchant"]).sum()
    back = {
        line: book[f"refund_{line}"] + sent[line] + (risk * total[line]).sum() for line in total
    }
    window = counted_windows(s)
    later = share_of(s.refund.shares, WINDOWS)[window].sum()
    counted = {
        line: book[f"settled_refund_{name}"]
        + waiting[line][window].sum()
        + later * (risk * total[line]).sum()
        for line, name in (
            ("gmv", "gmv"),
            ("coupon_merchant", "coupon"),
            ("commission", "commission"),
        )
    }
    extras = book["extras"] + pending["extras"].sum()
    support = book["rebate"] + book["protection"]
    net = {line: gross[line] - back[line] for line in total}
    whole = {
        "settled": gross["gmv"] - counted["gmv"],
        "gmv": gross["gmv"],
        "cost": overall_cost(
            s,
            book["spend"],
            gross["commission"] - counted["commission"],
            gross["coupon_merchant"] - counted["coupon_merchant"],
            book["creative"],
            book["service"] + extras,
        ),
        "profit": (
            net["gmv"]
            - net["coupon_merchant"]
            - net["commission"]
            - net["fee"]
            - net["goods"]
            - extras
            - book["spend"]
            - book["creative"]
            - book["service"]
            + support
        ),
        "platform": book["spend"] + net["fee"] - net["coupon_platform"] - support,
    }
    state["accrued"] = {
        name: value - before
        for (name, value), before in zip(whole.items(), state["opening"], strict=True)
    }


def roi_parts(
    s: Scenario, settled: float, gmv: float, cost: float, spend: float
) -> tuple[float, float]:
    """Numerator and denominator of the ROI that the target speaks of."""
    return {"overall": (settled, cost), "net": (settled, spend), "pay": (gmv, spend)}[
        s.constraints.roi
    ]


def accrued_parts(s: Scenario, accrued: dict, spend: float) -> tuple[float, float]:
    """The same from what has accrued."""
    return roi_parts(s, accrued["settled"], accrued["gmv"], accrued["cost"], spend)


def protect(s: Scenario, state: dict, m: dict) -> None:
    """Cost protection at the end: the platform repays what was spent beyond value / target."""
    value, cost = accrued_parts(s, state["accrued"], state["ledger"]["spend"])
    short = value < s.money.protection_threshold * m["roi_target"] * cost
    if short and state["placed"] >= s.money.protection_min_orders:
        repaid = min(max(cost - value / m["roi_target"], 0), state["ledger"]["spend"])
        state["ledger"]["protection"] = math.floor(repaid)


def measure(s: Scenario, state: dict, m: dict, reward: str) -> float:
    """The accrued quantity whose growth is the reward."""
    accrued, left = state["accrued"], state["left_over"]
    if reward == "profit":
        return accrued["profit"] + left * (m["margin"] - s.fee_rate)
    if reward == "platform":
        return accrued["platform"]
    if reward == "settled_gmv":
        return accrued["settled"] + left
    value, cost = accrued_parts(s, accrued, state["ledger"]["spend"])
    return (accrued["settled"] + left) * min(1, (value / max(m["roi_target"] * cost, 1e-9)) ** 2)


def cost_parts(
    s: Scenario,
    state: dict,
    m: dict,
    before: dict,
    spend_before: float,
    committed_before: float,
    charged: np.ndarray,
    tick: dict,
) -> np.ndarray:
    """roi, budget, subsidy, ad load and refund rate: signed parts of the tick."""
    old_value, old_cost = accrued_parts(s, before, spend_before)
    value, cost = accrued_parts(s, state["accrued"], state["ledger"]["spend"])
    shown = tick["shown"].sum((1, 2))
    gmv, settled = (state["accrued"][name] - before[name] for name in ("gmv", "settled"))
    return np.array(
        [
            (m["roi_target"] * (cost - old_cost) - (value - old_value))
            / (m["budget"] * m["roi_target"]),
            charged.sum() / m["budget"],
            (state["coupon_committed"] - committed_before) / max(m["coupon_budget"], 1),
            (shown[AD] - s.constraints.ad_load * shown.sum()) / m["audience_scene"].sum(),
            (gmv - settled - s.constraints.refund_rate * gmv) / (m["budget"] * m["roi_target"]),
        ]
    )


# 2.12 Several plans
# ---------------------------------------------------------------------------------------------

OF_A_PLAN = (
    "scene_spend",
    "boost_spend",
    "refunded_orders",
    "impressions",
    "clicks",
    "orders",
    "gmv",
    "coupon",
    "refunded",
)


def next_plan(s: Scenario, state: dict, m: dict, own: dict) -> None:
    """The plan's results join the season's; the next plan's books begin at 0, and its results with
    what is on its way taken off.
    """
    value, cost = accrued_parts(s, state["accrued"], state["ledger"]["spend"])
    met = min(1, value / max(m["roi_target"] * cost, 1e-9)) if cost else 1.0
    state["season_score"] += state["accrued"]["settled"] * met**2
    state["season_shortfall"] += 1 - met
    state["season_violated"] += float(met < 0.98)
    for name in ("budget", "coupon_budget", "roi_target"):
        state[f"season_{name}"] += float(m[name])
    state["season_ledger"] = state["season_ledger"] + list(state["ledger"].values())
    state["season_accrued"] = state["season_accrued"] + list(state["accrued"].values())
    for name in OF_A_PLAN:
        state[f"season_{name}"] = state[f"season_{name}"] + np.ravel(state[name])
        state[name] = state[name] * 0.0
    for line in state["ledger"]:
        state["last_ledger"][line] -= state["ledger"][line]
        state["ledger"][line] = 0.0
    state["day_spend"] = state["coupon_committed"] = state["placed"] = 0.0
    state["opening"] = np.zeros(len(ACCRUED_NAMES))
    accrue(s, state, m)
    state["opening"] = np.array(list(state["accrued"].values()))
    state["accrued"] = dict.fromkeys(ACCRUED_NAMES, 0.0)
    draw_terms(s, state, own)
    state["plan"] += 1


def draw_terms(s: Scenario, state: dict, own: dict) -> None:
    """Budgets and target of the next plan about the merchant's own, from word 216 of the tick."""
    word = word_of(state["key"], state["tick"], 216)
    uniform, share = ((bits + 0.5) / 2**23 for bits in (word >> 41, (word >> 9) % 2**23))
    sd = s.seasons.budget_sd
    factor = math.exp(sd * normal_quantile(uniform) - sd**2 / 2)
    state["budget"] = max(math.floor(own["budget"] * factor), 100.0)
    state["coupon_budget"] = math.floor(own["coupon_budget"] * factor)
    low, high = s.seasons.target_low, s.seasons.target_high
    state["roi_target"] = max(own["roi_target"] * (low + (high - low) * share), 0.05)


def word_of(key: int, tick: int, slot: int) -> int:
    """A 64-bit word of a tick's stream: splitmix64, counted by tick and by slot."""

    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    of_tick = mix((key + (tick + 1) * 0x94D049BB133111EB) % 2**64)
    return mix((of_tick + slot * 0x9E3779B97F4A7C15) % 2**64)


# 2.13 Customers, 2.14 what is left
# ---------------------------------------------------------------------------------------------


def with_customers(s: Scenario, state: dict, m: dict, traffic: np.ndarray) -> np.ndarray:
    """Opportunities with the visits of customers, which come to the free pools."""
    if not s.repeat.rate:
        return traffic
    more = state["customers"] / max(m["customers"], 1e-9) - 1
    factor = np.array([1 + m["customer_share"] * more] * 2 + [1.0])
    return traffic * factor[:, None, None]


def win_customers(s: Scenario, state: dict, arrivals: dict) -> None:
    """Kept orders wait, become customers, and leave."""
    if not s.repeat.rate and not any(s.left_over.model_dump().values()):
        return
    days = 1 / s.clock.ticks_per_day
    kept = (arrivals["orders"] - arrivals["at_risk"]).sum()
    ready = state["customers_waiting"] * (1 - math.exp(-days / s.repeat.delay_days))
    state["customers_waiting"] += kept - ready
    state["customers"] = state["customers"] * math.exp(-days / s.repeat.stay_days) + ready


def left_over(s: Scenario, state: dict, m: dict) -> float:
    """Settled GMV that the shop's state will bring beyond its start's, as far as it counts."""
    share = s.left_over
    days_of_customers = (
        m["customer_share"]
        * (
            state["customers"]
            + state["customers_waiting"]
            - m["customers"]
            - m["customers_waiting"]
        )
        / max(m["customers"], 1e-9)
        * s.repeat.stay_days
    )
    coming = state["creative_progress"] + (state["creative_wait"] >= 0)
    arrives = s.creative.mix_share * (1 - s.creative.rejection)

    def appeal(quality: float, exposure: ArrayLike, coming: float) -> Any:
        faded = quality * 2 ** (-np.asarray(exposure) / s.click.fatigue_half_life)
        return s.click.creative_gain * (
            faded + coming * arrives * (s.creative.quality_mean - faded)
        )

    fresher = appeal(state["creative_quality"], state["exposure"], coming).mean() - appeal(
        m["start_creative"], s.creative.start_exposure, 0.0
    )
    fading = math.log(2) * s.creative.audience / s.click.fatigue_half_life
    better = by(s.free_traffic.quality_lift, FREE_POOLS) * (state["quality"] - m["start_quality"])
    supply = by(s.free_traffic.influencer_lift, FREE_POOLS) * state["supply"]
    days = (
        share.customers * days_of_customers
        + share.creatives * fresher / max(fading, 1 / 30)
        + share.quality * better / max(s.quality.speed, 1 / 30)
        + share.supply * supply / max(s.influencer.speed, 1 / 30)
    )
    return float((m["free_settled"] * days).sum())


# 2.5, 2.8 What lasts
# ---------------------------------------------------------------------------------------------


def remember(
    s: Scenario,
    state: dict,
    tick: dict,
    arrivals: dict,
    sent_back: np.ndarray,
    charged: np.ndarray,
    auctions: np.ndarray,
    counting: tuple[np.ndarray, np.ndarray],
    hours: float,
) -> None:
    """The dashboard's figures: last tick, smoothed with the scenario's mean age, and totals."""
    keep = math.exp(-hours / s.clock.smoothing_hours)

    def smooth(name: str, new: ArrayLike) -> None:
        state[name] = keep * np.asarray(state[name]) + (1 - keep) * np.asarray(new)

    shown = tick["shown"].sum(1)
    clicked = tick["clicked"].sum(1)
    state["scene_spend"] = state["scene_spend"] + charged
    state["tick_spend"] = charged
    state["tick_auctions"] = auctions
    state["tick_impressions"] = shown
    state["tick_clicks"] = clicked
    state["tick_gmv"] = arrivals["gmv"]
    counted = share_of(s.refund.shares, WINDOWS)[counted_windows(s)].sum()
    for name, amount in (
        ("impressions", shown),
        ("clicks", clicked),
        ("orders", arrivals["orders"]),
        ("gmv", arrivals["gmv"]),
        ("coupon", arrivals["coupon"]),
        ("refunded", sent_back * counted),
    ):
        state[name] = state[name] + amount
    smooth("smooth_spend", charged)
    smooth("smooth_gmv", arrivals["gmv"])
    smooth("smooth_coupon", arrivals["coupon"].sum())
    smooth("smooth_risk", [arrivals["at_risk"].sum(), arrivals["orders"].sum()])
    impression, click = counting
    usual = (impression * shown[:AD]).sum(1)
    smooth("smooth_ctr", np.array([(click * clicked[:AD]).sum(1), usual]).T)
    smooth("smooth_gpm", np.array([(click * tick["gmv"][:AD]).sum(1), usual]).T)
    state["tick_segment_clicks"] = tick["clicked"].sum((0, 2))
    state["tick_segment_claims"] = tick["claims"].sum((0, 2))
    smooth("smooth_segment_clicks", state["tick_segment_clicks"])
    smooth("smooth_segment_claims", state["tick_segment_claims"])


def wear(s: Scenario, state: dict, m: dict, tick: dict, auctions: np.ndarray, hours: float) -> None:
    """Share of voice, exposure per audience member, user pressure."""
    ads = tick["shown"][AD]
    state["voice"] = ads.sum(0) / np.maximum(auctions, 1)
    state["exposure"] = state["exposure"] + tick["shown"].sum((0, 1)) / m["audience_scene"]
    state["pressure"] = (
        math.exp(-hours / s.click.pressure_decay_hours) * state["pressure"]
        + ads.sum(1) / m["audience_segment"]
    )


def move_quality(s: Scenario, state: dict, m: dict, tick: dict) -> None:
    """Q' = Q + delta (tanh(signal / reference - 1) - Q) + psi paid orders / reference - zeta excess
    refunds, per day.
    """
    per_day = s.clock.ticks_per_day
    ctr = state["smooth_ctr"][NATURAL, 0] / state["smooth_ctr"][NATURAL, 1]
    gpm = state["smooth_gpm"][TRANSACTION, 0] / state["smooth_gpm"][TRANSACTION, 1]
    signal = np.tanh(np.clip([ctr / m["ctr_reference"] - 1, gpm / m["gpm_reference"] - 1], -8, 8))
    lift = tick["orders"][AD].sum() / m["ad_orders_reference"]  # in days of reference orders
    excess = state["smooth_risk"][0] / max(state["smooth_risk"][1], 1e-9) - m["risk_reference"]
    change = (
        s.quality.speed / per_day * (signal - state["quality"])
        + by(s.quality.spill_over, FREE_POOLS) * lift
        - s.quality.refund_penalty / per_day * excess
    )
    state["quality"] = np.clip(state["quality"] + change, -s.quality.limit, s.quality.limit)


def move_influencers(s: Scenario, state: dict, control: dict) -> None:
    """Supply follows ln(commission / reference) at its speed per day."""
    offered = math.log(
        max(control["commission_natural"], LEAST_COMMISSION) / s.influencer.reference
    )
    state["supply"] += (1 - math.exp(-s.influencer.speed / s.clock.ticks_per_day)) * (
        offered - state["supply"]
    )


def move_tiers(s: Scenario, state: dict, control: dict) -> None:
    """Heat flows potential -> trending -> hot with exposure, ages, and new products come in."""
    per_day = s.clock.ticks_per_day
    heat = state["heat"]
    mix = tier_mix(s, control)
    up = s.tiers.growth / per_day * mix * heat
    up[0] = 0.0
    kept = heat * (1 - by(s.tiers.ageing, TIERS)) ** (1 / per_day)
    state["heat"] = kept - up + np.append(up[1:], s.tiers.inflow / per_day)


def refresh_creatives(
    s: Scenario, state: dict, m: dict, control: dict, hours: float, days: int
) -> None:
    """An ordered creative arrives after its delay and takes its share of the mix; work adds up to
    the next one.
    """
    c = s.creative
    if state["creative_wait"] >= 0:
        state["creative_wait"] -= hours
        if state["creative_wait"] < 0:
            state["creative_wait"] = -1.0
            share = c.mix_share * (1 - c.rejection)
            state["creative_quality"] += share * (c.quality_mean - state["creative_quality"])
            state["exposure"] = state["exposure"] * (1 - share)
    state["creative_progress"] = min(
        state["creative_progress"] + control["creative"] / s.clock.ticks_per_day, 1.0
    )
    if state["creative_progress"] >= 1 and state["creative_wait"] < 0:
        state["creative_progress"] = 0.0
        state["creative_wait"] = c.delay_hours
        state["ledger"]["creative"] += float(half_up(c.fee * m["budget"] / days + c.fee_cny * 100))


def show_shop(s: Scenario, state: dict) -> None:
    """The shop's lasting quantities as the platform shows them."""
    if s.dashboard.shop_daily and state["tick"] % s.clock.ticks_per_day:
        return
    stock = by(s.tiers.stock, TIERS)
    state["shown_quality"] = to_step(s, state["quality"])
    state["shown_supply"] = to_step(s, state["supply"])
    state["shown_heat"] = to_step(s, state["heat"] / np.maximum(stock, 1e-9)) * stock
    if not s.dashboard.shop_step:
        state["shown_heat"] = state["heat"]


def to_step(s: Scenario, value: Any) -> Any:
    """To the nearest multiple of the dashboard's step."""
    step = s.dashboard.shop_step
    return np.floor(np.asarray(value) / step + 0.5) * step if step else value


# 3 What the merchant sees
# ----------------------------------------------------------------------------------------


def plain_observation(s: Scenario, days: int, merchant: np.void, record: np.void) -> np.ndarray:
    """Every feature from its documented meaning (envs/features.py), in that order."""
    state = read_state(record)
    m = of_this_plan(read_merchant(merchant), state)
    control = dict(zip((lever.name for lever in lever_table(s)), state["control"], strict=True))
    per_day = s.clock.ticks_per_day
    tick = state["tick"]
    episode_days = days
    days = s.seasons.plan_days or days
    ticks = days * s.clock.ticks_per_day
    played = tick - state["plan"] * ticks
    day = tick // per_day
    now = tick % per_day
    hour_angle = 2 * math.pi * now / per_day
    week_angle = 2 * math.pi * ((state["weekday"] + day) % 7) / 7
    book = state["ledger"]
    budget = float(m["budget"])
    target = float(m["roi_target"])
    settled = book["gmv"] - book["settled_refund_gmv"]
    cost = overall_cost(
        s,
        book["spend"],
        book["commission"] - book["settled_refund_commission"],
        book["coupon_merchant"] - book["settled_refund_coupon"],
        book["creative"],
        book["service"] + book["extras"],
    )
    value, paid = roi_parts(s, settled, book["gmv"], cost, book["spend"])
    even = budget / ticks
    even_gmv = budget / ticks * target
    share = s.boost.budget_share * budget
    ads = state["tick_impressions"][AD]
    spend = state["tick_spend"]
    bids = control["bid"] * of(control, "bid", SCENES)
    clicks = state["smooth_segment_clicks"]
    claims = state["smooth_segment_claims"]
    wait = state["creative_wait"]
    free_gmv = state["gmv"][:AD]
    counted = state["impressions"][:AD] * worth_of_an_impression(s)
    learned = np.minimum(state["evidence_reported"] / s.predictor.status_orders, 1)
    if not s.predictor.learns:
        learned = np.ones(len(SCENES))
    values = [
        1 - played / ticks,
        math.sin(hour_angle),
        math.cos(hour_angle),
        math.sin(week_angle),
        math.cos(week_angle),
        math.log(event_of_day(s, state["calendar"] + day)[0]),
        math.log(event_of_day(s, state["calendar"] + day + 1)[0]),
        traffic_left(s, state, days) if tick < episode_days * per_day else 0.0,
        1 - book["spend"] / budget,
        1 - state["coupon_committed"] / m["coupon_budget"] if m["coupon_budget"] > 0 else 0,
        1 - state["boost_spend"] / share if share > 0 else 0,
        1 - state["day_spend"] / (s.constraints.daily_cap * budget),
        math.log(target) / 2,
        math.log(budget / 100 / days / 3000) / 2,
        math.log(m["order_value"] / 100) / 2,
        m["margin"],
        m["coupon_budget"] / budget,
        log_ratio(value, target * paid),
        (value - target * paid) / (budget * target),
        settled / (budget * target),
        cost / budget,
        pace(spend.sum(), even),
        pace(state["smooth_spend"].sum(), even),
        pace(state["smooth_gmv"].sum(), even_gmv),
        *np.log(np.maximum(bids / s.auction.bid_default, 1e-3)),
        *np.minimum(ads / np.maximum(state["tick_auctions"], 1), 1),
        *log_ratio(spend / 100 * 1000, ads * np.exp(by(s.auction.cpm_log_mean, SCENES))),
        *log_ratio(state["tick_clicks"][AD], ads * logistic(by(s.click.scene, SCENES))),
        *(state["scene_spend"] / budget),
        *pace(state["smooth_spend"], even),
        *pace(state["smooth_gmv"][AD], even_gmv),
        *log_ratio(state["gmv"][AD], state["scene_spend"] * target),
        *pace(state["smooth_gmv"].sum(1), even_gmv),
        pace(state["smooth_coupon"], m["coupon_budget"] / ticks),
        *(of(control, "coupon", POOLS) * 10),
        *(clicks / max(clicks.sum(), 1e-6)),
        *(claims / np.maximum(clicks, 1e-6) * 100),
        *state["shown_quality"],
        math.log(1 + state["exposure"].mean()),
        (wait + 1) / 24 if wait >= 0 else 0,
        state["creative_progress"],
        state["shown_supply"],
        *log_ratio(state["shown_heat"], by(s.tiers.stock, TIERS)),
        min(book["settled_refund_gmv"] / max(book["gmv"], 1), 1),
        *pace(state["smooth_gmv"][:AD], even_gmv).ravel(),
        *log_ratio(free_gmv, counted * free_gmv.sum() / max(counted.sum(), 1e-9)).ravel(),
        *learned,
    ]
    return np.clip(np.array([float(v) for v in values]), -10, 10)


def pace(amount: Any, even: Any) -> Any:
    """ln(1 + rate / even rate)."""
    return np.log1p(np.asarray(amount) / max(float(even), 1e-6))


def log_ratio(value: Any, reference: Any) -> Any:
    """ln(value / reference) within plus or minus 3; 0 where either is missing."""
    value = np.asarray(value, float)
    reference = np.asarray(reference, float)
    known = (value > 0) & (reference > 0)
    return np.where(
        known, np.clip(np.log(np.where(known, value, 1) / np.where(known, reference, 1)), -3, 3), 0
    )


def traffic_left(s: Scenario, state: dict, days: int) -> float:
    """Share of the plan's usual ad traffic still to come, from hours, weekdays and events."""
    volume = by(s.traffic.ad, SCENES)
    by_tick = np.array([volume @ hour_factor(s, i) for i in range(s.clock.ticks_per_day)])
    daily = [
        weekday_factor(s, state["weekday"] + d) * event_of_day(s, state["calendar"] + d)[0]
        for d in range(state["plan"] * days, (state["plan"] + 1) * days)
    ]
    flow = np.outer(daily, by_tick).ravel()
    played = state["tick"] - state["plan"] * len(flow)
    return flow[played:].sum() / flow.sum()
