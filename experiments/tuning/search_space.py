"""Where the tuner looks: a range for every parameter of a rule that can matter on a task."""

import math
from typing import NamedTuple

from ...agents.rules import ALL_RULES, DIVISION_RULES

DIGITS = 4


class Range(NamedTuple):
    """Least and most of a parameter; `log` searches its logarithm."""

    low: float
    high: float
    log: bool = False

    def inside(self, value: float) -> float:
        """The nearest allowed value with four significant digits, so that what is committed is what
        was tried.
        """
        value = min(max(value, self.low), self.high)
        return (
            value if value == 0 else round(value, DIGITS - 1 - math.floor(math.log10(abs(value))))
        )


_SIGNED = Range(-1.0, 1.0)
_SCENE_NAMES = ("feed", "live", "mall", "search")
_SEGMENT_NAMES = ("new", "price_sensitive", "regular", "loyal")
_READING = {"delay": Range(0.0, 1.3), "refund": Range(0.0, 4.0), "safety_margin": Range(-0.1, 0.15)}
_START = {
    "start_target": Range(-3.5, 1.5),
    "start_budget": Range(-0.5, 0.5),
    "start_value": Range(-0.6, 0.6),
    "start_margin": Range(-1.0, 1.0),
}
_SCENES = {f"scene_{s}": Range(-0.6, 0.6) for s in _SCENE_NAMES}
_HOURS = {"hour_sin": Range(-0.3, 0.3), "hour_cos": Range(-0.3, 0.3)}
_COUPONS = {
    "depth": Range(0.005, 0.2, True),
    "coupon_gain": Range(0.0, 0.4),
    "coupon_now": Range(0.0, 1.0),
    "room_coupon": Range(-1.0, 2.0),
}
_TILTS = {f"tilt_{k}": _SIGNED for k in _SEGMENT_NAMES}
_SHOP = {
    **dict.fromkeys(
        (
            "creative",
            "commission_natural",
            "commission_ad",
            "insurance",
            "interest_free",
            "service",
            "boost",
        ),
        _SIGNED,
    ),
    **{f"room_{x}": Range(-1.0, 2.0) for x in ("creative", "natural", "ad", "boost")},
    **{f"late_{x}": Range(-2.0, 1.0) for x in ("creative", "natural", "ad")},
}
_CAPS = {f"cap_{s}": Range(-0.6, 1.0) for s in _SCENE_NAMES}
_TIERS = {f"tier_{j}": _SIGNED for j in ("hot", "trending", "potential")}
_EVENT = {"event": Range(-0.6, 1.2)}
_POOLS = {
    "mix_gain": Range(0.0, 4.0),
    "mix_wait": Range(0.01, 0.8),
    "release_natural": _SIGNED,
    "release_transaction": _SIGNED,
    "release_swing": Range(-0.3, 0.8),
}

_OWN: dict[str, Range] = {
    # all
    "start_at": Range(0.3, 4.0, True),
    "multiplier": Range(0.2, 2.0, True),
    "high": Range(0.8, 4.0, True),
    # EvenPacing, ManualOperator
    "gain": Range(0.01, 0.8, True),
    "change": Range(0.02, 0.4),
    "every": Range(0.5, 6.5),
    "dead_band": Range(0.0, 0.2),
    # PID, FourPlans
    "proportional": Range(0.0, 2.0),
    "integral": Range(0.0, 0.5),
    "derivative": Range(-0.5, 1.5),
    "roi_weight": Range(0.3, 6.0, True),
    "ad_part": Range(0.3, 3.0, True),
    **{f"share_{s}": Range(0.05, 1.0) for s in _SCENE_NAMES},
    # DualMirrorDescent
    "lambda_start": Range(0.1, 3.0, True),
    "mu_start": Range(0.05, 3.0, True),
    "shade": Range(0.15, 1.0, True),
    "lambda_step": Range(0.005, 1.0, True),
    "mu_step": Range(0.1, 20.0, True),
    # CrossScenePID
    "pace_p": Range(0.0, 2.0),
    "pace_i": Range(0.0, 0.5),
    "pace_d": Range(-0.5, 1.5),
    "roi_p": Range(0.0, 3.0),
    "roi_i": Range(0.0, 0.6),
    "roi_d": Range(-0.5, 1.5),
    "mix_pace": Range(0.3, 1.3),
    "mix_roi": Range(0.3, 1.3),
    "trim": Range(-0.1, 0.3),
    "trim_now": Range(-0.5, 1.0),
    "trust": Range(0.002, 0.3, True),
    # MinPacing, MarginalROI
    "gain_pace": Range(0.005, 0.8, True),
    "gain_roi": Range(0.005, 0.8, True),
    "now": Range(0.0, 2.0),
    "slack": Range(0.02, 2.0, True),
    # MarginalROI, OnlineLP, MPC
    "sigma": Range(0.7, 2.5),
    "follow": Range(0.05, 1.0),
    "keep": Range(0.5, 1.0),
    "price": Range(-0.5, 1.5),
    "prior": Range(0.5, 2.0, True),
    "plan_orders": Range(3.0, 1000.0, True),
    "scene_orders": Range(3.0, 1000.0, True),
    "belief": Range(0.0, 1.2),
    "free_start": Range(0.1, 2.0, True),
    "free_weight": Range(0.003, 0.5, True),
    "other_start": Range(0.02, 0.6),
    "spend_goal": Range(0.85, 1.1),
    "wait": Range(0.6, 12.5),
    "rate": Range(0.05, 1.0),
    "elasticity": Range(1.05, 2.5),
    "prior_weight": Range(0.001, 0.3, True),
    # MCKPCoupon
    **{f"response_{k}": Range(0.02, 1.6) for k in _SEGMENT_NAMES},
    "scale": Range(0.03, 0.25),
    **{f"use_{k}": Range(0.1, 1.0) for k in _SEGMENT_NAMES},
    "use_scale": Range(0.02, 0.15),
    "sales_start": Range(0.3, 6.0, True),
    "sales_weight": Range(0.005, 1.0, True),
    "least_price": Range(0.02, 3.0, True),
    "urgency": Range(0.0, 1.5),
    **{f"pool_{p}": Range(0.0, 1.5) for p in ("natural", "transaction", "ad")},
    # MarginalDivision
    "focus": Range(0.0, 10.0),
    "prior_traffic": Range(0.001, 0.5, True),
    "by_sales": Range(0.0, 1.5),
    **{f"lean_{s}": Range(-1.5, 1.5) for s in _SCENE_NAMES},
    **{f"pool_lean_{p}": Range(-2.0, 2.0) for p in ("natural", "transaction", "ad")},
}
_OF_COUPONS = ("response_", "scale", "use_", "sales_", "least_price", "urgency", "pool_")
_BLIND = ("FixedBid", "EvenPacing")  # read no ROI when they bid
_PLANNERS = ("OnlineLP", "MPC", "MCKPCoupon")  # know the delay from their own model


def search_space(rule: str, levers: tuple[str, ...], events: bool) -> dict[str, Range]:
    """Ranges of the parameters of a rule that can matter with these levers, in a fixed order."""
    own = ALL_RULES[rule].defaults
    known = ALL_RULES[rule].common | own
    coupons = any(x.startswith("coupon_") for x in levers)
    shop = "creative" in levers
    if rule in DIVISION_RULES:  # the platform bids: what is shared and about bids is idle
        space = {name: _OWN[name] for name in own if name in _OWN}
        return space | (_SHOP if shop else {}) | (_TILTS if shop else {})
    space = {name: _OWN[name] for name in own if name in _OWN}
    if not coupons:
        space = {name: r for name, r in space.items() if not name.startswith(_OF_COUPONS)}
    if rule not in _BLIND or shop or coupons:
        space |= _READING
    if rule in _PLANNERS and not (shop or coupons):
        space.pop("delay", None)
    space |= _START | _HOURS
    space |= _SCENES if "bid_feed" in levers else {}
    space |= _EVENT if events else {}
    if coupons:
        space |= {"room_coupon": _COUPONS["room_coupon"]} if rule == "MCKPCoupon" else _COUPONS
        space |= _TILTS if rule not in ("MCKPCoupon", "UniformCoupon") else {}
    space |= _SHOP if shop else {}
    space |= _CAPS if "share_feed" in levers and rule != "FourPlans" else {}
    space |= _TIERS if "tier_hot" in levers else {}
    space |= _POOLS if "mix_natural" in levers else {}
    return {name: r for name, r in space.items() if name in known}


def same_rule(rule: str, levers: tuple[str, ...]) -> str | None:
    """The rule that a coupon rule is where there are no coupons to give."""
    if any(name.startswith("coupon_") for name in levers):
        return None
    return {"UniformCoupon": "PID", "MCKPCoupon": "OnlineLP"}.get(rule)
