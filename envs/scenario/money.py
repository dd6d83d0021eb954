"""Fees, accounts and constraints: who pays what, and what may not be exceeded (world 2.4, 2.9,
2.10).
"""

from typing import Literal

from .quantity import Section, quantity, switch

FEES = "docs/priors.md: 2-5 % by category before, 0.6 % under ChengFang"


class Regime(Section):
    """Dual track or unified scheduling, and its differences; each can be set alone."""

    preset: Literal["unified", "dual_track"] = switch(
        "unified", "value of the three switches left unset"
    )
    incremental_ads: bool | None = switch(
        None,
        "paid traffic is bought on the increment only (unified) instead of displacing free traffic "
        "(dual track)",
    )
    coupons_everywhere: bool | None = switch(
        None, "coupons reach every pool (unified) instead of the ad pool only"
    )
    low_fee: bool | None = switch(
        None, "the unified technical fee applies instead of the dual-track one"
    )

    pools_scheduled: bool = switch(
        False, "levers move free impressions over scenes and pools, and hold them for better hours"
    )


class Money(Section):
    """Rates of the ledger and the parts of the overall cost."""

    fee_unified: float = quantity(
        0.006, "share of paid", 0, 0.2, "technical service fee under unified scheduling", FEES
    )
    fee_dual_track: float = quantity(
        0.03, "share of paid", 0, 0.2, "technical service fee before", FEES
    )
    rebate: float = quantity(0.0, "share of spend", 0, 0.5, "promotion-fee rebate")
    protection: bool = switch(
        False, "cost protection: the platform refunds part of an ROI shortfall"
    )
    protection_threshold: float = quantity(
        0.8,
        "share of target",
        0.1,
        1,
        "it pays when ROI is below this share of the target",
        "docs/priors.md: 80 % (one platform 90 %)",
    )
    protection_min_orders: float = quantity(
        20, "orders", 0, 1e6, "and the plan has at least this many orders", "docs/priors.md: 10-20"
    )
    cost_commission: bool = switch(True, "overall cost includes influencer commission")
    cost_coupon: bool = switch(True, "overall cost includes merchant-funded coupons")
    cost_creative: bool = switch(True, "overall cost includes creative fees")
    cost_service: bool = switch(
        True, "overall cost includes insurance, interest and service effort"
    )


class Constraints(Section):
    """Hard limits of the plan and the soft comprehensive ROI target."""

    roi: Literal["overall", "net", "pay"] = switch(
        "overall",
        "which ROI the target speaks of: settled/overall cost, settled/spend or gmv/spend",
    )
    score_floor: float = quantity(
        0.0,
        "share of budget x target",
        0,
        10,
        "least unit of a score; 0 makes the score of doing nothing the unit",
    )
    daily_cap: float = quantity(
        1.0, "share of budget", 0.01, 1, "most a day may spend; 1 leaves days free"
    )
    scene_share: float = quantity(
        0.6, "share of budget", 0, 1, "most a scene may spend, at lever 0; 1 at lever +1"
    )
    ad_load: float = quantity(
        1.0,
        "share of impressions",
        0,
        1,
        "limit on the ad share of impressions, reported as a cost",
    )
    refund_rate: float = quantity(
        1.0, "share of GMV", 0, 1, "limit on the settled refund rate, reported as a cost"
    )
