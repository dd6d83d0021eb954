"""The shop around the sale: refunds, quality, creatives, influencers and services (world 2.7,
2.8).
"""

from typing import Annotated

from .quantity import (
    FREE_POOLS,
    SCENES,
    TIERS,
    WINDOWS,
    FreePool,
    Scene,
    Section,
    Tier,
    Window,
    bounded,
    quantity,
    switch,
    table,
)

REFUND_PRESS = "trade press, docs/priors.md: conventional 10-15 %, live 30-50 %"
CASCADE = "CASCADE 2026 (2601.19965): group means 8-18 h in two weeks, tail to 90 days"


class Refund(Section):
    """Chance that an order is refunded, and when: compartments within 1 hour, 7, 14 and 90 days."""

    scene: dict[Scene, Annotated[float, bounded(0.001, 0.95)]] = table(
        SCENES, (0.16, 0.26, 0.11, 0.10), "probability", "base refund rate of a scene", REFUND_PRESS
    )
    tier: dict[Tier, Annotated[float, bounded(-3, 3)]] = table(
        TIERS, (-0.05, 0.0, 0.15), "logit", "shift of the refund logit by tier"
    )
    coupon_depth: float = quantity(
        1.2, "logit per depth", 0, 10, "rise with coupon depth: bargain hunters send back more"
    )
    insurance: float = quantity(
        0.22, "logit", 0, 3, "rise at full shipping insurance", "docs/priors.md: refunds +20 %"
    )
    service: float = quantity(0.35, "logit", 0, 3, "fall at full service effort")
    shares: dict[Window, Annotated[float, bounded(0, 1)]] = table(
        WINDOWS,
        (0.25, 0.50, 0.17, 0.08),
        "share",
        "share of refunds per compartment; normalised",
        CASCADE,
    )
    mean_hours: dict[Window, Annotated[float, bounded(0.05, 3000)]] = table(
        WINDOWS, (0.5, 40.0, 220.0, 700.0), "hours", "mean delay of a compartment", CASCADE
    )
    window: Window = switch(
        "7d", "refunds maturing within this window count against settled GMV and net ROI"
    )


class Quality(Section):
    """Q' = Q + delta (tanh(signal / reference - 1) - Q) + psi * paid orders / reference - zeta *
    excess refunds, per day.
    """

    speed: float = quantity(0.35, "per day", 0, 5, "delta, how fast the index follows its signal")
    ctr_reference: float = quantity(
        1.0,
        "share of own start",
        0.1,
        10,
        "content signal of an average product, relative to the merchant's first-day CTR",
    )
    gpm_reference: float = quantity(
        1.0,
        "share of own start",
        0.1,
        10,
        "GPM signal of an average product, relative to the merchant's first-day GPM",
    )
    spill_over: dict[FreePool, Annotated[float, bounded(-2, 2)]] = table(
        FREE_POOLS,
        (0.04, 0.06),
        "index per day",
        "psi, lift per day at one reference of ad orders",
        "sign and size configurable: field studies disagree (Yang & Ghose 2010)",
    )
    refund_penalty: float = quantity(
        1.5, "index per day", 0, 20, "zeta, loss per day and unit of refund rate above reference"
    )
    limit: float = quantity(1.0, "index", 0.1, 5, "the index stays within plus or minus this")


class Creative(Section):
    """Dynamic creatives: refresh work pays a fee, arrives after a delay, may be rejected, draws a
    new quality.
    """

    start_exposure: float = quantity(
        1.0, "exposures per person", 0, 100, "exposure of the creative mix at the start"
    )
    quality_mean: float = quantity(1.0, "index", 0, 5, "mean quality of a creative")
    quality_sd: float = quantity(
        0.25, "index", 0, 3, "standard deviation of the quality of a creative"
    )
    mix_share: float = quantity(
        0.4, "share", 0.01, 1, "share of the mix that a new creative takes over"
    )
    fee: float = quantity(
        0.08, "share of budget", 0, 1, "price of one new creative, as a share of a day's budget"
    )
    fee_cny: float = quantity(0.0, "CNY", 0, 1e6, "price of one new creative, on top of that share")
    rate_default: float = quantity(0.30, "creatives/day", 0, 10, "refresh effort at lever 0")
    rate_max: float = quantity(1.2, "creatives/day", 0.01, 24, "refresh effort at lever +1")
    delay_hours: float = quantity(
        8.0, "hours", 0, 200, "from order to arrival: production and review"
    )
    rejection: float = quantity(
        0.20, "probability", 0, 1, "chance that review rejects it; the fee is lost"
    )
    audience: float = quantity(
        1.1,
        "impressions per person",
        0.01,
        1e3,
        "ad and free impressions of a usual day per member of the audience",
    )


class Influencer(Section):
    """Creators bring natural traffic for commission; dual commission pays one rate on natural, one
    on ad orders.
    """

    commission_natural: float = quantity(
        0.08, "share of paid", 0, 0.6, "commission rate on natural orders at lever 0"
    )
    commission_ad: float = quantity(
        0.04, "share of paid", 0, 0.6, "commission rate on ad orders at lever 0"
    )
    commission_max: float = quantity(
        0.35, "share of paid", 0.01, 0.8, "commission rate at lever +1", "5-50 %, docs/priors.md"
    )
    reference: float = quantity(
        0.08, "share of paid", 0.005, 0.6, "commission at which supply is neutral"
    )
    speed: float = quantity(1.2, "per day", 0, 24, "how fast supply follows the commission offered")
    ad_lift: float = quantity(
        0.06,
        "logit",
        0,
        3,
        "gain of the ad click logit per ln(ad commission / reference): better material",
    )


class Services(Section):
    """What the shop adds to an order, each at a cost per order; the first orders served are those
    that it matters to most.
    """

    curvature: float = quantity(
        0.0,
        "1",
        0,
        20,
        "how fast the effects of insurance, instalments and service level off; 0: not at all",
    )
    insurance_lift: float = quantity(
        0.15, "logit", 0, 2, "order logit at full shipping insurance", "docs/priors.md: CVR +15 %"
    )
    insurance_cost: float = quantity(
        1.3, "CNY/order", 0, 50, "cost of insuring one order", "docs/priors.md: 0.5-1.5"
    )
    insurance_premium: float = quantity(
        0.0,
        "CNY/order",
        0,
        100,
        "added to that cost per unit of the order's refund probability: insurers price returns",
    )
    insurance_default: float = quantity(0.6, "share of orders", 0, 1, "share insured at lever 0")
    interest_lift: float = quantity(
        0.06, "logit", 0, 2, "order logit when every order may be paid in instalments"
    )
    interest_cost: float = quantity(
        0.02, "share of paid", 0, 0.3, "cost of interest-free instalments"
    )
    interest_default: float = quantity(0.4, "share of orders", 0, 1, "share offered at lever 0")
    service_cost: float = quantity(
        2.0, "CNY/order", 0, 50, "cost of full after-sale effort per order"
    )
    service_default: float = quantity(0.4, "effort", 0, 1, "effort at lever 0")


class Dashboard(Section):
    """How exactly the platform shows a shop's lasting quantities: quality, supply, heat."""

    shop_daily: bool = switch(
        False,
        "they are shown as they stood at midnight, not as they stand",
        "platforms compute shop scores and product tiers once a day",
    )
    shop_step: float = quantity(
        0.0,
        "index",
        0,
        1,
        "to the nearest multiple of this; 0 shows them exactly",
        "platforms show shop scores to one decimal",
    )
