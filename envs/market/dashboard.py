"""The plan's dashboard: what a merchant reads at the end of an episode (world 1, 3).

Money in CNY, rates as shares. At the end everything on its way has arrived and every refund
counted.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..interface.units import FEN_PER_CNY
from ..scenario import POOLS, SCENES
from . import layout as rows
from .score import LEAST, TOLERANCE, roi_parts, score, score_unit, target_met

LEAST_CONTRIBUTION = 0.02  # of a price, as targets are drawn with (world 2.11m)
# What the season's sums hold of a plan's own fields.
SUMMED = (
    "ledger",
    "accrued",
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


def dashboard(
    states: np.ndarray, merchants: np.ndarray, constants: np.void
) -> dict[str, np.ndarray]:
    """Results of one or many episodes so far: of their plan, or of all plans that have begun.

    Of several plans money and counts are sums, the target is the plans' mean, `score` the sum of
    their scores, `shortfall` the mean of theirs and `violated` the share that violates. What an
    episode leaves is in `left_over`, where the scenario counts it, and in the score.

    Args:
        states: (n,) STATE records.
        merchants: (n,) MERCHANT records.
        constants: the WORLD record of their scenario.

    Returns:
        Arrays of shape (n,): plan totals, then `<metric>_<scene>` and `<metric>_<pool>` for
        impressions, clicks, orders, gmv, settled_gmv, coupon_cost, and spend by scene.
    """
    judged = _judged(states, constants)
    if constants["plans"] > 1:
        states = with_earlier_plans(states)
    ledger = states["ledger"] / FEN_PER_CNY
    book = {name: ledger[:, i] for i, name in enumerate(rows.LEDGER_NAMES)}
    accrued = states["accrued"] / FEN_PER_CNY
    settled = accrued[:, rows.A_SETTLED]
    gmv = accrued[:, rows.A_GMV]
    cost = accrued[:, rows.A_COST]
    spend = book["spend"]
    value, paid = roi_parts(constants["roi_kind"], settled, gmv, cost, spend)
    plan = {
        "spend": spend,
        "budget": (states["season_budget"] + states["budget"]) / FEN_PER_CNY,
        "coupon_cost": book["coupon_merchant"],
        "coupon_budget": (states["season_coupon_budget"] + states["coupon_budget"]) / FEN_PER_CNY,
        "platform_coupon": book["coupon_platform"],
        "boost_spend": states["boost_spend"] / FEN_PER_CNY,
        "impressions": states["impressions"].sum(1),
        "clicks": states["clicks"].sum(1),
        "orders": states["orders"].sum(1),
        "refunded_orders": states["refunded_orders"],
        "gmv": book["gmv"],
        "user_paid": book["user_paid"],
        "settled_gmv": settled,
        "refunded_gmv": book["refund_gmv"],
        "commission": book["commission"] - book["refund_commission"],
        "service_fee": book["fee"] - book["refund_fee"],
        "creative_cost": book["creative"],
        "service_cost": book["service"] + book["extras"],
        "goods_cost": book["goods"] - book["refund_goods"],
        "rebate": book["rebate"],
        "protection": book["protection"],
        "overall_cost": cost,
        "pay_roi": _ratio(gmv, spend),
        "net_roi": _ratio(settled, spend),
        "overall_roi": _ratio(settled, cost),
        "roi_target": judged.pop("roi_target"),
        "roi": _ratio(value, paid),
        "profit": accrued[:, rows.A_PROFIT],
        "platform_take": accrued[:, rows.A_PLATFORM],
    }
    plan |= judged
    plan["score_unit"] = score_unit(
        settled, plan["score"], plan["budget"], plan["roi_target"], float(constants["score_floor"])
    )
    plan["break_even_roi"] = 1 / np.maximum(
        merchants["margin"].astype(float) - float(constants["fee"]), LEAST_CONTRIBUTION
    )
    if constants["left_counts"]:
        plan["left_over"] = states["left_over"] / FEN_PER_CNY
    plan["budget_use"] = _ratio(spend, plan["budget"])
    return plan | _splits(states, plan)


def _judged(states: np.ndarray, constants: np.void) -> dict[str, np.ndarray]:
    """Target, score, shortfall and violation, each plan judged by its own target (world 6)."""
    accrued = states["accrued"] / FEN_PER_CNY
    settled = accrued[:, rows.A_SETTLED]
    value, paid = roi_parts(
        constants["roi_kind"],
        settled,
        accrued[:, rows.A_GMV],
        accrued[:, rows.A_COST],
        states["ledger"][:, rows.L_SPEND] / FEN_PER_CNY,
    )
    target = states["roi_target"].astype(float)
    met = target_met(value, paid, target)
    plans = states["plan"] + 1
    left_over = states["left_over"] / FEN_PER_CNY
    earlier = states["season_score"] / FEN_PER_CNY
    return {
        "roi_target": (states["season_roi_target"] + target) / plans,
        "score": earlier + score(settled + left_over, value, paid, target),
        "shortfall": (states["season_shortfall"] + (1.0 - met)) / plans,
        "violated": (states["season_violated"] + (met < TOLERANCE)) / plans,
    }


def with_earlier_plans(states: np.ndarray) -> np.ndarray:
    """A copy in which a plan's own figures are those of all plans so far."""
    whole = states.copy()
    for name in SUMMED:
        whole[name] += states[f"season_{name}"]
    return whole


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom; a thing bought for nothing has an infinite return."""
    return np.where(bottom > LEAST, top / np.maximum(bottom, LEAST), np.inf)


def _splits(states: np.ndarray, plan: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The parts of each total. Totals are whole fen per tick; what rounding leaves is spread over
    the parts.
    """
    gmv = states["gmv"] / FEN_PER_CNY
    back = _share(states["refunded"], states["gmv"].sum(1) / FEN_PER_CNY - plan["settled_gmv"])
    groups = {
        "impressions": states["impressions"],
        "clicks": states["clicks"],
        "orders": states["orders"],
        "gmv": gmv,
        "settled_gmv": gmv - back,
        "coupon_cost": _share(states["coupon"], plan["coupon_cost"]),
    }
    table = np.stack(list(groups.values()), 1)
    table = table.reshape(len(states), len(groups), len(POOLS), len(SCENES))
    by_scene = table.sum(2)
    by_pool = table.sum(3)
    spend = states["scene_spend"] / FEN_PER_CNY
    result = {f"spend_{scene}": spend[:, s] for s, scene in enumerate(SCENES)}
    for i, metric in enumerate(groups):
        result |= {f"{metric}_{scene}": by_scene[:, i, s] for s, scene in enumerate(SCENES)}
        result |= {f"{metric}_{pool}": by_pool[:, i, p] for p, pool in enumerate(POOLS)}
    return result


def _share(weights: np.ndarray, total: np.ndarray) -> np.ndarray:
    """`total` (n,) divided in proportion to weights (n, groups); nothing where there are none."""
    return weights * (total / np.maximum(weights.sum(1), LEAST))[:, None]


def unit_of(nothing: Mapping[str, np.ndarray]) -> np.ndarray:
    """What scores are measured in, CNY, from the results of doing nothing on the same merchants
    and random numbers, see `score.score_unit`; results older than that unit are its own.
    """
    unit = nothing.get("score_unit", nothing["score"])
    return np.maximum(np.asarray(unit, float), LEAST)


def single(plan: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The dashboard of the first plan as plain floats."""
    return {name: float(values[0]) for name, values in plan.items()}
