"""The population that reset() draws a merchant from (world 2.11)."""

from typing import Literal

from .quantity import Section, quantity, switch

CATEGORIES = "category profiles: AOV and margin assumed, refund profile from docs/priors.md"


class Category(Section):
    """What merchants of one category share."""

    name: str = switch("general", "name of the category")
    weight: float = quantity(1.0, "weight", 0, 1e6, "relative frequency")
    order_value: float = quantity(100.0, "CNY", 1, 1e5, "median order value", CATEGORIES)
    margin: float = quantity(
        0.5, "share of price", 0, 0.98, "gross margin before promotion", CATEGORIES
    )
    refund: float = quantity(0.0, "logit", -4, 4, "shift of the refund logit", CATEGORIES)
    coupon: float = quantity(1.0, "factor", 0, 5, "coupon response relative to the scenario's")
    conversion: float = quantity(0.0, "logit", -5, 5, "shift of the order logit")
    price: float = quantity(0.0, "ln", -4, 4, "shift of the competing bid")


class Merchants(Section):
    """How merchants of one population differ, and how their budgets and targets are set."""

    categories: list[Category] = switch(
        [
            Category(
                name="apparel",
                weight=0.30,
                order_value=110,
                margin=0.58,
                refund=0.55,
                coupon=1.1,
                price=0.05,
            ),
            Category(
                name="beauty",
                weight=0.25,
                order_value=140,
                margin=0.66,
                refund=-0.35,
                coupon=0.9,
                price=0.20,
            ),
            Category(
                name="food",
                weight=0.25,
                order_value=62,
                margin=0.40,
                refund=-0.9,
                coupon=1.0,
                conversion=0.35,
                price=-0.15,
            ),
            Category(
                name="home",
                weight=0.20,
                order_value=95,
                margin=0.47,
                refund=-0.1,
                coupon=1.0,
                price=-0.05,
            ),
        ],
        "categories; at least one, at most eight",
        CATEGORIES,
    )
    size_sd: float = quantity(0.45, "ln", 0, 3, "spread of merchant size (opportunities)")
    order_value_sd: float = quantity(0.25, "ln", 0, 2, "spread of order value within a category")
    margin_sd: float = quantity(
        0.05, "share of price", 0, 0.5, "spread of margin within a category"
    )
    appeal_sd: float = quantity(
        0.20, "logit", 0, 3, "spread of click and order logits between merchants"
    )
    scene_sd: float = quantity(
        0.25,
        "logit",
        0,
        3,
        "spread of scene strength within a merchant, on exposure, click and order",
    )
    price_sd: float = quantity(
        0.20, "ln", 0, 3, "spread of the competing bid between merchants and scenes"
    )
    coupon_sd: float = quantity(0.30, "ln", 0, 2, "spread of coupon response between merchants")
    coupon_segment_sd: float = quantity(
        0.0, "ln", 0, 2, "spread of coupon response between the segments of a merchant"
    )
    price_sigma_spread: float = quantity(
        0.0,
        "ln",
        0,
        1,
        "the spread of competing bids of a scene lies within plus or minus this of "
        "`auction.cpm_log_sigma`, drawn by merchant and scene",
        "docs/priors.md: fits of ten campaigns, 0.84 to 1.45",
    )
    peak_sd: float = quantity(
        4.0, "hours", 0, 12, "spread of the hour at which a pool's users buy most readily"
    )
    refund_sd: float = quantity(0.20, "logit", 0, 2, "spread of the refund logit between merchants")
    quality_sd: float = quantity(0.30, "index", 0, 2, "spread of the initial quality indices")
    calendar_shift: int = quantity(
        0,
        "days",
        0,
        30,
        "the calendar of events starts up to this many days later, drawn per episode",
    )
    target_share_low: float = quantity(
        0.20,
        "share of reachable spend",
        0.02,
        0.98,
        "the ROI target is what the merchant reaches at a share of its "
        "reachable spend drawn between this and the next",
    )
    target_share_high: float = quantity(
        0.55, "share of reachable spend", 0.02, 0.98, "upper end of that draw"
    )
    target_rule: Literal["reach", "increment"] = switch(
        "reach",
        "what the target is relative to: reachable spend, or where ads stop paying for themselves",
    )
    increment_low: float = quantity(
        0.75,
        "of break-even",
        0.1,
        5,
        "with `increment`: at the target's edge what ads add in settled GMV over what they add in "
        "cost is a factor drawn between this and the next, over the contribution margin",
    )
    increment_high: float = quantity(1.2, "of break-even", 0.1, 5, "upper end of that draw")
    increment_reach_low: float = quantity(
        0.08, "share of reachable spend", 0.001, 0.98, "least spend at which that edge may lie"
    )
    increment_reach_high: float = quantity(
        0.85, "share of reachable spend", 0.001, 0.98, "most spend at which it may lie"
    )
    budget_low: float = quantity(
        0.35, "factor", 0.01, 50, "budget relative to the spend at which the target binds, low end"
    )
    budget_high: float = quantity(2.6, "factor", 0.01, 50, "high end; the draw is log-uniform")
    coupon_budget_low: float = quantity(0.02, "share of budget", 0, 5, "coupon budget, low end")
    coupon_budget_high: float = quantity(0.12, "share of budget", 0, 5, "coupon budget, high end")


MAX_CATEGORIES = 8
