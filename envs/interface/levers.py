"""What an agent may do: every lever by name, unit and mapping from an action in [-1, 1] (world 3).

Action 0 is what a careful merchant would do, -1 the least (for bids, budget shares, coupons and
refresh: nothing at all), +1 the most. Linear levers go straight from low over default to high;
logarithmic ones follow default * (span^a - 1/span) / (1 - 1/span), which is 0 at -1, the default at
0 and default * (span + 1) at +1.
"""

from collections.abc import Sequence
from typing import NamedTuple

from ..scenario import POOLS, SCENES, SEGMENTS, TIERS, Scenario


class Lever(NamedTuple):
    """One action dimension: what -1, 0 and +1 mean, in `unit`."""

    name: str
    unit: str
    mapping: str  # "linear" or "log"
    low: float
    default: float
    high: float
    span: float
    meaning: str


LEVER_NAMES = (
    "bid",
    *(f"bid_{s}" for s in SCENES),
    *(f"share_{s}" for s in SCENES),
    *(f"coupon_{p}" for p in POOLS),
    *(f"tilt_{k}" for k in SEGMENTS),
    "creative",
    "commission_natural",
    "commission_ad",
    "insurance",
    "interest_free",
    "service",
    "boost",
    *(f"tier_{j}" for j in TIERS),
)

# Named sets for `levers=`; an environment id has one of them as its default.
LEVER_SETS: dict[str, tuple[str, ...]] = {
    "bidding": tuple(f"bid_{s}" for s in SCENES),
    "allocation": (*(f"bid_{s}" for s in SCENES), *(f"share_{s}" for s in SCENES)),
    "coupon": ("bid", *(f"coupon_{p}" for p in POOLS), *(f"tilt_{k}" for k in SEGMENTS)),
    "super_plan": tuple(n for n in LEVER_NAMES if n != "bid" and not n.startswith("tier_")),
    "whole_shop": tuple(n for n in LEVER_NAMES if n != "bid"),
    "all": LEVER_NAMES,
}


def lever_table(s: Scenario) -> list[Lever]:
    """Every lever of a scenario, in the engine's order."""
    span = s.auction.bid_span
    i = s.influencer
    v = s.services
    levers = [
        _log(
            "bid",
            "x reference bid",
            s.auction.bid_default,
            span,
            "bid multiplier of the whole plan",
        )
    ]
    levers += [
        _log(f"bid_{n}", "x plan bid", 1.0, span, f"bid multiplier of scene {n}") for n in SCENES
    ]
    levers += [
        _linear(
            f"share_{n}",
            "share of budget",
            0,
            s.constraints.scene_share,
            1,
            f"most that {n} may spend",
        )
        for n in SCENES
    ]
    levers += [
        _linear(
            f"coupon_{p}",
            "share of order value",
            0,
            s.coupon.depth_default,
            s.coupon.depth_max,
            f"coupon depth in the {p} pool",
        )
        for p in POOLS
    ]
    levers += [
        _linear(
            f"tilt_{k}", "x pool depth", 0, 1, s.coupon.tilt_max, f"coupon depth for segment {k}"
        )
        for k in SEGMENTS
    ]
    levers += [
        _linear(
            "creative",
            "creatives/day",
            0,
            s.creative.rate_default,
            s.creative.rate_max,
            "creative refresh effort",
        ),
        _linear(
            "commission_natural",
            "share of paid",
            0,
            i.commission_natural,
            i.commission_max,
            "influencer commission on natural orders",
        ),
        _linear(
            "commission_ad",
            "share of paid",
            0,
            i.commission_ad,
            i.commission_max,
            "influencer commission on ad orders",
        ),
        _linear(
            "insurance",
            "share of orders",
            0,
            v.insurance_default,
            1,
            "orders with shipping insurance",
        ),
        _linear(
            "interest_free",
            "share of orders",
            0,
            v.interest_default,
            1,
            "orders offered interest-free instalments",
        ),
        _linear("service", "effort", 0, v.service_default, 1, "after-sale service effort"),
        _linear(
            "boost",
            "intensity",
            0,
            s.boost.default,
            1,
            "boost: more auctions at a premium, own part of the budget",
        ),
    ]
    levers += [
        _linear(
            f"tier_{j}",
            "logit",
            -s.tiers.lever_span,
            0,
            s.tiers.lever_span,
            f"exposure of tier {j}",
        )
        for j in TIERS
    ]
    return levers


def select_levers(levers: "str | Sequence[str]") -> tuple[str, ...]:
    """Names of the controlled levers, in the engine's order, from a set's name or a list of names.

    Raises:
        ValueError: naming what is unknown and what is allowed.
    """
    if isinstance(levers, str):
        if levers not in LEVER_SETS:
            raise ValueError(
                f"levers is {levers!r}; allowed are the sets {', '.join(LEVER_SETS)} or a list of lever names"
            )
        return LEVER_SETS[levers]
    unknown = [name for name in levers if name not in LEVER_NAMES]
    if unknown or not levers:
        raise ValueError(
            f"levers has {', '.join(map(repr, unknown)) or 'no entry'}; allowed are {', '.join(LEVER_NAMES)}"
        )
    return tuple(name for name in LEVER_NAMES if name in levers)


def lever_value(lever: Lever, action: float) -> float:
    """The control in the lever's unit for an action in [-1, 1] (the engine's own mapping, for
    people and rules).
    """
    if lever.mapping == "log":
        return lever.default * (lever.span**action - 1 / lever.span) / (1 - 1 / lever.span)
    return lever.default + action * (
        lever.high - lever.default if action > 0 else lever.default - lever.low
    )


def _log(name: str, unit: str, default: float, span: float, meaning: str) -> Lever:
    return Lever(name, unit, "log", 0.0, default, default * (span + 1), span, meaning)


def _linear(name: str, unit: str, low: float, default: float, high: float, meaning: str) -> Lever:
    return Lever(name, unit, "linear", low, default, high, 2.0, meaning)
