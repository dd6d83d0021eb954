"""The platform's own bidder: what a merchant's plan runs on when it divides money and sets no bids
(world 2.15).
"""

from typing import Annotated

from .quantity import POOLS, SCENES, Pool, Scene, Section, bounded, quantity, switch, table

RULES = "the platform's edit rules as the project's design notes them; not checked"
FIELD_GUIDE = (
    "form of Balseiro et al. 2023 (2302.08530), min-pacing; value: trial, docs/world_v1.md"
)


class Bidder(Section):
    """Bids paced to a division of the money over scenes and held to the ROI target, and coupon
    depths paced to a division of the coupon money over pools.
    """

    platform: bool = switch(
        False, "the platform bids: levers divide money, and bid levers only scale its bids"
    )
    division_span: float = quantity(
        2.5, "logit", 0, 6, "reach of the division and subsidy levers, from lever 0 to +1"
    )
    division_centre: dict[Scene, Annotated[float, bounded(-6, 6)]] = table(
        SCENES,
        (0.0, 0.0, 0.0, 0.0),
        "logit",
        "money for a scene, against the other scenes, at lever 0",
    )
    subsidy_centre: dict[Pool, Annotated[float, bounded(-6, 6)]] = table(
        POOLS,
        (0.0, 0.0, 0.0),
        "logit",
        "coupon money for a pool, against the other pools, at lever 0",
    )
    start: float = quantity(
        0.5, "factor", 0.01, 8, "bid multiplier of every scene in the first tick", FIELD_GUIDE
    )
    cost_start: float = quantity(
        1.0, "factor", 0.01, 8, "multiplier that holds the target, at the start", FIELD_GUIDE
    )
    least: float = quantity(0.02, "factor", 1e-4, 1, "least multiplier and depth level")
    most: float = quantity(6.0, "factor", 1, 50, "largest multiplier")
    pace_gain: float = quantity(
        0.5,
        "ln per ln",
        0,
        2,
        "step of a scene's multiplier per ln of planned over expected spend",
        FIELD_GUIDE,
    )
    pace_step: float = quantity(
        1.5, "ln", 0.01, 5, "most of planned over expected spend that a step answers to"
    )
    cost_gain: float = quantity(
        0.4, "ln per ln", 0, 2, "step per tick of the target's multiplier per ln of ROI over it"
    )
    cost_now: float = quantity(
        2.0, "ln per ln", 0, 10, "what it moves at once per ln of ROI over the target"
    )
    cost_slack: float = quantity(
        0.7, "ln", 0, 3, "most that it may stand above the largest multiplier in force"
    )
    cost_prior: float = quantity(
        0.02, "share of budget", 1e-4, 1, "cost at the target that a report is mixed with"
    )
    margin: float = quantity(0.025, "share", -0.5, 1, "distance kept above the ROI target")
    cost_leverage: float = quantity(
        4.0, "factor", 1, 20, "most cost over ad spend by which the error in ROI is scaled up"
    )
    cost_horizon: float = quantity(
        0.25, "share of traffic", 0.01, 1, "least traffic to come by which the error is scaled up"
    )
    recent_hours: float = quantity(
        3.0, "hours", 0.1, 100, "mean age of what it takes for the ROI of the traffic to come"
    )
    coupon_gain: float = quantity(
        0.5, "ln per ln", 0, 2, "step of a pool's depth per ln of planned over expected coupons"
    )


class Seat(Section):
    """The merchant's own seat: what is set where the platform bids, and the rules of editing it."""

    open: bool = switch(
        False, "the merchant sets a daily budget and a target for the platform's bidder"
    )
    budget_most: float = quantity(
        3.0, "x even daily budget", 1, 30, "largest daily budget, at lever +1"
    )
    target_low: float = quantity(0.7, "x own target", 0.1, 1, "target told at lever -1")
    target_high: float = quantity(1.5, "x own target", 1, 10, "target told at lever +1")
    budget_step: float = quantity(
        0.02, "x even daily budget", 0, 1, "a smaller change of the daily budget is no edit", RULES
    )
    budget_edits: int = quantity(20, "edits/day", 0, 1000, "most edits of the daily budget", RULES)
    budget_floor: float = quantity(
        1.05, "factor", 0, 2, "least daily budget over what the day has spent, when edited", RULES
    )
    target_step: float = quantity(0.01, "share", 0, 1, "a smaller change is no edit of the target")
    target_hours: float = quantity(
        1.0, "hours", 0, 24, "least time between two edits of the target", RULES
    )
    target_edits: int = quantity(
        2, "edits/day", 0, 1000, "edits of the target; more in a day void cost protection", RULES
    )
