"""A market small enough to be solved exactly: one ad lane, a handful of auctions in a few hours,
nothing that lasts.

It is the engine's own market with everything switched off that would make one tick depend on an
earlier one otherwise than through what has been spent and sold. `exact` refuses any scenario in
which one of these switches is on.
"""

import math
from typing import Any

from ...envs import Scenario, load_scenario
from ...envs.scenario import FREE_POOLS, SCENES, SEGMENTS, TIERS

HOURS = 24

# Every field that must have this value for a tick's law to depend on tick, spend and bid alone.
PLAIN: dict[str, Any] = {
    **{f"traffic.{pool}": dict.fromkeys(SCENES, 0.0) for pool in FREE_POOLS},
    "traffic.weekday": [1.0] * 7,
    "traffic.dispersion": 0.0,
    "traffic.shock_volatility": 0.0,
    "traffic.events": [],
    "free_traffic.cannibalisation": dict.fromkeys(SCENES, 0.0),
    "auction.price_rule": "first",
    "auction.shock_volatility": 0.0,
    "auction.reaction": 0.0,
    "boost.default": 0.0,
    "predictor.noise": 0.0,
    "click.creative_gain": 0.0,
    "click.pressure": 0.0,
    "creative.quality_sd": 0.0,
    "order.at_once": 1.0,
    "coupon.depth_default": 0.0,
    "tiers.heat_elasticity": 0.0,
    "tiers.appeal": dict.fromkeys(TIERS, 0.0),
    "tiers.value_factor": dict.fromkeys(TIERS, 1.0),
    # a chance of refund cannot be 0, but refunds after the window do not count against settled GMV
    "refund.window": "1h",
    "refund.shares": {"1h": 0.0, "7d": 0.0, "14d": 0.0, "90d": 1.0},
    "influencer.ad_lift": 0.0,
    "services.insurance_lift": 0.0,
    "services.interest_lift": 0.0,
    "constraints.roi": "net",
    "constraints.daily_cap": 1.0,
    "constraints.scene_share": 1.0,
    **{
        f"merchants.{name}_sd": 0.0
        for name in (
            "size",
            "order_value",
            "margin",
            "appeal",
            "scene",
            "price",
            "coupon",
            "refund",
            "quality",
        )
    },
    "merchants.coupon_budget_low": 0.0,
    "merchants.coupon_budget_high": 0.0,
}


def tiny_scenario(
    hours: int = 5,
    auctions: float = 9.0,
    click: float = 0.6,
    order: float = 0.5,
    price: float = 0.4,
    competitor: float = 60.0,
    spread: float = 0.5,
    target_share: float = 0.27,
    budget_ratio: float = 0.85,
) -> Scenario:
    """The tiny market: feed ads for regular customers only, in the first hours of the day.

    Args:
        hours: ticks with traffic, from midnight on, 1 to 24; the rest of the day is empty.
        auctions: mean ad auctions in each of them.
        click, order: CTR and CVR, probabilities.
        price: CNY per order, from 0.05.
        competitor: median highest competing bid, CNY per thousand impressions.
        spread: standard deviation of its logarithm.
        target_share: share of the spend at full value at which the ROI target binds
            (merchants.target_share_low and _high).
        budget_ratio: budget over the spend at which the target binds; the engine's least budget is
            1 CNY.

    Raises:
        ValueError: if hours is outside 1 to 24 or a number is outside its field's range.
    """
    if not 1 <= hours <= HOURS:
        raise ValueError(f"hours is {hours}; allowed are 1 to {HOURS}")
    size = {
        "name": "tiny",
        "description": "one ad lane, a few auctions, nothing that lasts: "
        "solved exactly by dynamic programming",
        "clock.ticks_per_day": HOURS,
        "clock.days": 1,
        "traffic.hourly": [1.0] * hours + [0.0] * (HOURS - hours),
        "traffic.ad": dict.fromkeys(SCENES, 0.0) | {"feed": auctions * hours},
        "traffic.segments": dict.fromkeys(SEGMENTS, 0.0) | {"regular": 1.0},
        "click.scene.feed": _logit(click),
        "click.segment.regular": 0.0,
        "click.pool.ad": 0.0,
        "order.scene.feed": _logit(order),
        "order.segment.regular": 0.0,
        "order.pool.ad": 0.0,
        "order.value_factor.regular": price,
        "auction.cpm_log_mean.feed": math.log(competitor),
        "auction.segment_price.regular": 0.0,
        "auction.cpm_log_sigma.feed": spread,
        "merchants.categories": [{"name": "tiny", "order_value": 1.0, "margin": 0.5}],
        "merchants.target_share_low": target_share,
        "merchants.target_share_high": target_share,
        "merchants.budget_low": budget_ratio,
        "merchants.budget_high": budget_ratio,
    }
    return load_scenario("default", PLAIN | size)


def require_plain(scenario: Scenario) -> None:
    """Raise ValueError naming each field that makes a tick depend on more than tick, spend, bid."""
    data = scenario.model_dump()
    wrong = [
        f"{path} is {given!r}; exact needs {wanted!r}"
        for path, wanted in PLAIN.items()
        if (given := _at(data, path)) != wanted
    ]
    for name in ("target_share", "budget"):
        low, high = (_at(data, f"merchants.{name}_{end}") for end in ("low", "high"))
        if low != high:
            wrong.append(
                f"merchants.{name}_low is {low:g} and merchants.{name}_high is {high:g}; "
                "exact needs them equal"
            )
    if len(data["merchants"]["categories"]) != 1:
        count = len(data["merchants"]["categories"])
        wrong.append(f"merchants.categories has {count} entries; exact needs 1")
    if wrong:
        raise ValueError("\n".join(wrong))


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _at(data: dict[str, Any], path: str) -> Any:
    value: Any = data
    for part in path.split("."):
        value = value[part]
    return value
