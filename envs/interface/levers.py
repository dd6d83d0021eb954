"""What an agent may do: every lever by name, unit and mapping from an action in [-1, 1] (world 3).

Action 0 is what a careful merchant would do, -1 the least (for bids, budget shares, coupons and
refresh: nothing at all), +1 the most. Linear levers go straight from low over default to high;
logarithmic ones follow default * (span^a - 1/span) / (1 - 1/span), which is 0 at -1, the default at
0 and default * (span + 1) at +1.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS, Scenario


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


class Definition(NamedTuple):
    """One or several levers as every scenario has them.

    low, default and high are numbers, or dotted paths of scenario fields (with a leading minus:
    negated) in which {} stands for the key too. A lever without `high` is logarithmic.
    """

    name: str  # {} stands for each of `keys`
    meaning: str  # likewise
    unit: str
    low: float | str
    default: float | str
    high: float | str | None
    keys: tuple[str, ...] = ("",)


BID_SPAN = "auction.bid_span"
LINEAR_SPAN = 2.0  # has no meaning for linear levers
SHARE_OF_ORDERS = "share of orders"
SHARE_OF_PAID = "share of paid"

# Every lever in the engine's order: name, meaning, unit; what -1, 0 and +1 mean.
DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        "bid",
        "bid multiplier of the whole plan",
        "x reference bid",
        0.0,
        "auction.bid_default",
        None,
    ),
    Definition("bid_{}", "bid multiplier of scene {}", "x plan bid", 0.0, 1.0, None, SCENES),
    Definition(
        "share_{}",
        "most that {} may spend",
        "share of budget",
        0,
        "constraints.scene_share",
        1,
        SCENES,
    ),
    Definition(
        "coupon_{}",
        "coupon depth in the {} pool",
        "share of order value",
        0,
        "coupon.depth_default",
        "coupon.depth_max",
        POOLS,
    ),
    Definition(
        "tilt_{}",
        "coupon depth for segment {}",
        "x pool depth",
        0,
        1,
        "coupon.tilt_max",
        SEGMENTS,
    ),
    Definition(
        "creative",
        "creative refresh effort",
        "creatives/day",
        0,
        "creative.rate_default",
        "creative.rate_max",
    ),
    Definition(
        "commission_natural",
        "influencer commission on natural orders",
        SHARE_OF_PAID,
        0,
        "influencer.commission_natural",
        "influencer.commission_max",
    ),
    Definition(
        "commission_ad",
        "influencer commission on ad orders",
        SHARE_OF_PAID,
        0,
        "influencer.commission_ad",
        "influencer.commission_max",
    ),
    Definition(
        "insurance",
        "orders with shipping insurance",
        SHARE_OF_ORDERS,
        0,
        "services.insurance_default",
        1,
    ),
    Definition(
        "interest_free",
        "orders offered interest-free instalments",
        SHARE_OF_ORDERS,
        0,
        "services.interest_default",
        1,
    ),
    Definition(
        "service",
        "after-sale service effort",
        "effort",
        0,
        "services.service_default",
        1,
    ),
    Definition(
        "boost",
        "boost: more auctions at a premium, own part of the budget",
        "intensity",
        0,
        "boost.default",
        1,
    ),
    Definition(
        "tier_{}",
        "exposure of tier {}",
        "logit",
        "-tiers.lever_span",
        0,
        "tiers.lever_span",
        TIERS,
    ),
    Definition(
        "mix_{}",
        "free impressions in {}, against the other scenes",
        "logit",
        "-free_traffic.mix_span",
        0,
        "free_traffic.mix_span",
        SCENES,
    ),
    Definition(
        "mix_natural",
        "free impressions in the natural pool, against the transaction pool",
        "logit",
        "-free_traffic.mix_span",
        0,
        "free_traffic.mix_span",
    ),
    Definition(
        "pace_{}",
        "release of the {} pool's free impressions",
        "x even pace",
        0,
        1,
        "free_traffic.pace_most",
        FREE_POOLS,
    ),
    Definition(
        "divide_{}",
        "money for {}, against the other scenes",
        "logit",
        "-bidder.division_span",
        "bidder.division_centre.{}",
        "bidder.division_span",
        SCENES,
    ),
    Definition(
        "subsidy_{}",
        "coupon money for the {} pool, against the other pools",
        "logit",
        "-bidder.division_span",
        "bidder.subsidy_centre.{}",
        "bidder.division_span",
        POOLS,
    ),
    Definition(
        "budget_pace",
        "daily budget",
        "x even daily budget",
        0,
        1,
        "seat.budget_most",
    ),
    Definition(
        "target",
        "ROI target told to the platform's bidder",
        "x own target",
        "seat.target_low",
        1,
        "seat.target_high",
    ),
)

LEVER_NAMES = tuple(d.name.format(key) for d in DEFINITIONS for key in d.keys)

POOLED = tuple(n for n in LEVER_NAMES if n.startswith(("mix_", "pace_")))
DIVIDED = tuple(n for n in LEVER_NAMES if n.startswith(("divide_", "subsidy_")))
SEATED = ("budget_pace", "target")
# That act in every market.
USUAL = tuple(n for n in LEVER_NAMES if n not in (*POOLED, *DIVIDED, *SEATED))

# What a merchant sets in its own shop, wherever the traffic comes from.
SHOP = (
    "creative",
    "commission_natural",
    "commission_ad",
    "insurance",
    "interest_free",
    "service",
    "boost",
)

# Bids are free there: a scene's share of the budget is no lever.
FREE_BIDS = tuple(
    n
    for n in LEVER_NAMES
    if n != "bid" and not n.startswith("share_") and n not in (*DIVIDED, *SEATED)
)

# Named sets for `levers=`; an environment id has one of them as its default.
LEVER_SETS: dict[str, tuple[str, ...]] = {
    "bidding": tuple(f"bid_{s}" for s in SCENES),
    "allocation": (*(f"bid_{s}" for s in SCENES), *(f"share_{s}" for s in SCENES)),
    "coupon": ("bid", *(f"coupon_{p}" for p in POOLS), *(f"tilt_{k}" for k in SEGMENTS)),
    "super_plan": tuple(n for n in USUAL if n != "bid" and not n.startswith("tier_")),
    "whole_shop": tuple(n for n in USUAL if n != "bid"),
    "pools": POOLED,
    "super_plan_pools": tuple(n for n in FREE_BIDS if not n.startswith("tier_")),
    "whole_shop_pools": FREE_BIDS,
    "division": DIVIDED,
    "seat": SEATED,
    "merchant": tuple(n for n in LEVER_NAMES if n in (*SHOP, *SEATED) or n.startswith("subsidy_")),
    "all": LEVER_NAMES,
}


def lever_table(s: Scenario) -> list[Lever]:
    """Every lever of a scenario, in the engine's order."""
    return [_lever(s, definition, key) for definition in DEFINITIONS for key in definition.keys]


def _lever(s: Scenario, definition: Definition, key: str) -> Lever:
    name = definition.name.format(key)
    meaning = definition.meaning.format(key)
    low = _number(s, definition.low, key)
    default = _number(s, definition.default, key)
    if definition.high is None:
        span = _number(s, BID_SPAN)
        return Lever(
            name, definition.unit, "log", low, default, default * (span + 1), span, meaning
        )
    high = _number(s, definition.high, key)
    return Lever(name, definition.unit, "linear", low, default, high, LINEAR_SPAN, meaning)


def _number(s: Scenario, given: float | str, key: str = "") -> float:
    """A number as it stands, or the scenario's value at a dotted path."""
    if not isinstance(given, str):
        return given
    value: Any = s
    for name in given.removeprefix("-").format(key).split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return -value if given.startswith("-") else value


def select_levers(levers: "str | Sequence[str]") -> tuple[str, ...]:
    """Names of the controlled levers, in the engine's order, from a set's name or a list of names.

    Raises:
        ValueError: naming what is unknown and what is allowed.
    """
    if isinstance(levers, str):
        if levers not in LEVER_SETS:
            raise ValueError(
                f"levers is {levers!r}; allowed are the sets {', '.join(LEVER_SETS)} "
                "or a list of lever names"
            )
        return LEVER_SETS[levers]
    unknown = [name for name in levers if name not in LEVER_NAMES]
    if unknown or not levers:
        raise ValueError(
            f"levers has {', '.join(map(repr, unknown)) or 'no entry'}; "
            f"allowed are {', '.join(LEVER_NAMES)}"
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
