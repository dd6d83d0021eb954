"""Names of the observation's entries, in the engine's order, with what each means and how it is
scaled (world 3).

All are what a merchant's dashboard reports. `pace` entries are ln(1 + rate / even rate), where the
even rate is the budget (times the ROI target for GMV) spread evenly over the episode's ticks; `ln`
entries are limited to plus or minus 3.
"""

from typing import NamedTuple

from ..scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS


class Feature(NamedTuple):
    """One observation dimension."""

    name: str
    meaning: str


def _per(keys: tuple[str, ...], name: str, meaning: str) -> list[Feature]:
    return [Feature(name.format(key), meaning.format(key)) for key in keys]


def _of_free(name: str, meaning: str) -> list[Feature]:
    """One per free pool and scene, the scene running fastest."""
    keys = [(pool, scene) for pool in FREE_POOLS for scene in SCENES]
    return [Feature(name.format(*key), meaning.format(*key)) for key in keys]


FEATURES: tuple[Feature, ...] = (
    Feature("time_left", "share of the episode's ticks still to come"),
    Feature("hour_sin", "sine of the time of day"),
    Feature("hour_cos", "cosine of the time of day"),
    Feature("weekday_sin", "sine of the weekday"),
    Feature("weekday_cos", "cosine of the weekday"),
    Feature("event_today", "ln traffic factor of today's promotion, from the public calendar"),
    Feature("event_tomorrow", "ln traffic factor of tomorrow's"),
    Feature(
        "traffic_left",
        "share of the episode's usual ad traffic still to come (hours, weekdays, events)",
    ),
    Feature("budget_left", "share of the budget not yet spent"),
    Feature(
        "coupon_budget_left", "share of the coupon budget not yet committed; 0 if there is none"
    ),
    Feature("boost_budget_left", "share of the boost budget not yet spent"),
    Feature("day_budget_left", "share of today's cap not yet spent"),
    Feature("roi_target", "ln(ROI target) / 2"),
    Feature("budget_size", "ln(budget per day / 3,000 CNY) / 2"),
    Feature("order_value", "ln(average order value / 100 CNY) / 2"),
    Feature("margin", "gross margin, share of price"),
    Feature("coupon_budget", "coupon budget as a share of the budget"),
    Feature("roi_gap", "ln(reported ROI / target); 0 before any cost"),
    Feature("roi_slack", "(value - target * cost) / (budget * target), as reported"),
    Feature("settled_share", "settled GMV / (budget * target), as reported"),
    Feature("cost_share", "overall cost / budget, as reported"),
    Feature("spend_pace", "pace of ad spend, last tick"),
    Feature("smooth_spend_pace", "pace of ad spend, smoothed"),
    Feature("smooth_gmv_pace", "pace of GMV of all pools, smoothed"),
    *_per(
        SCENES,
        "bid_{}",
        "ln of the bid multiplier in force in {}, over the default; at least ln 0.001",
    ),
    *_per(SCENES, "win_rate_{}", "ad impressions / auctions open in {}, last tick"),
    *_per(
        SCENES,
        "cpm_{}",
        "ln of the price paid in {} over the scenario's median competing bid; "
        "0 without impressions",
    ),
    *_per(
        SCENES,
        "ctr_{}",
        "ln of the ad click rate in {} over the scene's base rate; 0 without clicks",
    ),
    *_per(SCENES, "spent_{}", "ad spend in {} so far / budget"),
    *_per(SCENES, "spend_pace_{}", "pace of ad spend in {}, smoothed"),
    *_per(SCENES, "gmv_pace_{}", "pace of ad GMV in {}, smoothed"),
    *_per(SCENES, "roi_{}", "ln(ad GMV so far / (spend so far * target)) in {}"),
    *_per(POOLS, "gmv_pace_{}", "pace of GMV in the {} pool, smoothed"),
    Feature("coupon_pace", "pace of redeemed coupons against the coupon budget, smoothed"),
    *_per(POOLS, "depth_{}", "coupon depth lever of the {} pool * 10"),
    *_per(SEGMENTS, "clicks_{}", "share of clicks from segment {}, smoothed"),
    *_per(SEGMENTS, "claims_{}", "coupons claimed per 100 clicks of segment {}, smoothed"),
    Feature(
        "quality_natural", "product quality index for natural traffic, as the platform shows it"
    ),
    Feature("quality_transaction", "the same for transaction traffic"),
    Feature("frequency", "ln(1 + exposures per audience member of the creative mix)"),
    Feature(
        "creative_due",
        "days until the ordered creative arrives, plus one hour; 0 if none is ordered",
    ),
    Feature("creative_progress", "work done on the next creative, 0 to 1"),
    Feature("influencer_supply", "influencer supply, ln relative to the reference commission's"),
    *_per(TIERS, "heat_{}", "ln of the heat of tier {} over its start"),
    Feature("refund_rate", "settled refunds / GMV so far, as reported"),
    *_of_free("free_pace_{}_{}", "pace of GMV of the {} pool in {}, smoothed"),
    *_of_free(
        "free_value_{}_{}",
        "ln of GMV so far of the {} pool in {} over what the platform's exchange rate counts its "
        "impressions, and that over the same of all free traffic",
    ),
    *_per(
        SCENES,
        "learned_{}",
        "orders counted in the platform's learning phase of {}, share of those it asks for",
    ),
)

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
N_FEATURES = len(FEATURES)
