"""From impression to order: clicks, orders, coupons and delay (world 2.5, 2.6)."""

from typing import Annotated

from .quantity import (
    POOLS,
    SCENES,
    SEGMENTS,
    TIERS,
    Pool,
    Scene,
    Section,
    Segment,
    Tier,
    bounded,
    quantity,
    table,
)

CTR_BLOGS = "trade blogs, docs/priors.md: feed 2-5 %, live 6-10 %"
CVR_BLOGS = "trade blogs, docs/priors.md: 1-3.8 % of clicks"
COUPON_TRIAL = (
    "Gopalakrishnan & Park 2021 (randomised): purchase 4.24 -> 6.64 -> 9.34 %; "
    "redemption about 20 % of purchases"
)
CHAPELLE = "Chapelle 2014: 35 % of conversions within 1 h, 50 % within 24 h"


class Click(Section):
    """CTR = logistic(scene + segment + pool + quality * 2^(-E / half_life) - pressure * X[k])."""

    scene: dict[Scene, Annotated[float, bounded(-14, 6)]] = table(
        SCENES,
        (-3.95, -3.20, -3.60, -3.30),
        "logit",
        "click logit of a scene without creative appeal",
        CTR_BLOGS,
    )
    segment: dict[Segment, Annotated[float, bounded(-6, 6)]] = table(
        SEGMENTS, (-0.10, 0.0, 0.10, 0.20), "logit", "shift of the click logit by segment"
    )
    pool: dict[Pool, Annotated[float, bounded(-6, 6)]] = table(
        POOLS, (0.10, 0.05, 0.0), "logit", "shift of the click logit by pool"
    )
    creative_gain: float = quantity(0.8, "logit", 0, 4, "appeal of a fresh creative of quality one")
    fatigue_half_life: float = quantity(
        6.0,
        "exposures per person",
        0.1,
        200,
        "exposures after which a creative has lost half its appeal",
        "docs/priors.md: half-life 4-8 days of exposure, CTR -30 % after 5 exposures",
    )
    pressure: float = quantity(
        0.35, "logit per exposure/day", 0, 5, "loss of click logit per unit of user pressure X"
    )
    pressure_decay_hours: float = quantity(18.0, "hours", 0.5, 400, "mean life of user pressure")


class Order(Section):
    """CVR = logistic(scene + tier mix + segment + beta[k] (1 - e^(-d/d0)) + services); d is depth
    as a share of AOV.
    """

    scene: dict[Scene, Annotated[float, bounded(-12, 6)]] = table(
        SCENES,
        (-4.55, -4.40, -4.20, -3.90),
        "logit",
        "order logit of a scene without coupon",
        CVR_BLOGS,
    )
    segment: dict[Segment, Annotated[float, bounded(-6, 6)]] = table(
        SEGMENTS, (-0.25, -0.10, 0.15, 0.45), "logit", "shift of the order logit by segment"
    )
    pool: dict[Pool, Annotated[float, bounded(-6, 6)]] = table(
        POOLS, (0.0, 0.10, 0.0), "logit", "shift of the order logit by pool"
    )
    value_factor: dict[Segment, Annotated[float, bounded(0.05, 20)]] = table(
        SEGMENTS,
        (0.92, 0.85, 1.05, 1.25),
        "factor",
        "average order value of a segment relative to the merchant's",
    )
    hour_swing: float = quantity(
        0.0,
        "logit",
        0,
        2,
        "what the best hour of a pool adds to the order logit, and the worst one takes away",
    )
    peak_hour: dict[Pool, Annotated[float, bounded(0, 24)]] = table(
        POOLS,
        (20.5, 13.0, 20.5),
        "hour of the day",
        "that hour, by pool; each merchant's own lies about it",
    )
    at_once: float = quantity(
        0.35, "share", 0, 1, "share of orders that arrive in the tick of the click", CHAPELLE
    )
    fast_share: float = quantity(
        0.5, "share", 0, 1, "share of the delayed orders in the fast compartment", CHAPELLE
    )
    fast_hours: float = quantity(
        6.0, "hours", 0.1, 200, "mean delay of the fast compartment", CHAPELLE
    )
    slow_hours: float = quantity(
        30.0, "hours", 0.1, 2000, "mean delay of the slow compartment", CHAPELLE
    )


class Coupon(Section):
    """Smart coupons: a share d of the order value, more persuasive to some than to others."""

    response: dict[Segment, Annotated[float, bounded(0, 6)]] = table(
        SEGMENTS,
        (0.55, 0.85, 0.30, 0.10),
        "logit",
        "saturating gain beta of the order logit by segment",
        COUPON_TRIAL,
    )
    scale: float = quantity(
        0.10, "share of order value", 0.005, 1, "depth d0 at which 63 % of the gain is reached"
    )
    redemption: dict[Segment, Annotated[float, bounded(0, 1)]] = table(
        SEGMENTS,
        (0.35, 0.65, 0.45, 0.40),
        "probability",
        "share of buyers who redeem a very deep coupon",
        COUPON_TRIAL,
    )
    redemption_scale: float = quantity(
        0.06, "share of order value", 0.005, 1, "depth at which 63 % of them redeem"
    )
    depth_default: float = quantity(0.04, "share of order value", 0, 0.5, "depth at lever 0")
    depth_max: float = quantity(0.25, "share of order value", 0.01, 0.6, "depth at lever +1")
    tilt_max: float = quantity(
        2.0, "factor", 1, 5, "largest segment tilt, at lever +1; 1 at lever 0, 0 at lever -1"
    )
    platform_share: float = quantity(
        0.20, "share", 0, 1, "theta, the part of each coupon that the platform funds"
    )


class Tiers(Section):
    """Product tiers: potential grows into trending and hot with exposure, and everything ages
    (world 2.8).
    """

    mix: dict[Tier, Annotated[float, bounded(0, 1)]] = table(
        TIERS, (0.5, 0.3, 0.2), "share", "exposure mix at lever 0; normalised"
    )
    appeal: dict[Tier, Annotated[float, bounded(-4, 4)]] = table(
        TIERS, (0.20, 0.0, -0.45), "logit", "order logit of a tier"
    )
    value_factor: dict[Tier, Annotated[float, bounded(0.1, 10)]] = table(
        TIERS, (0.95, 1.0, 1.1), "factor", "order value of a tier relative to the merchant's"
    )
    stock: dict[Tier, Annotated[float, bounded(0.01, 10)]] = table(
        TIERS, (0.5, 0.3, 0.2), "index", "initial heat of a tier"
    )
    heat_elasticity: float = quantity(
        0.5, "logit per ln", 0, 3, "gain of the order logit per log heat over mix share"
    )
    growth: float = quantity(
        0.30, "per day", 0, 5, "share of a tier that moves up per day at an exposure share of one"
    )
    ageing: dict[Tier, Annotated[float, bounded(0, 1)]] = table(
        TIERS, (0.045, 0.03, 0.02), "per day", "share of a tier's heat lost per day"
    )
    inflow: float = quantity(
        0.018, "per day", 0, 1, "heat of new products entering the potential tier"
    )
    lever_span: float = quantity(1.5, "logit", 0.1, 5, "shift of a tier's log mix at lever +1")
