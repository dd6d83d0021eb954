"""A market as data: every number of the world, validated, hashed and written as YAML (world 2).

A `Scenario` is immutable. `Scenario.updated({...})` and `load_scenario(..., overrides=...)` make
changed copies.
"""

import hashlib
import json
from typing import Any

from pydantic import model_validator

from .auction import Auction, Boost
from .bidder import Bidder, Seat
from .customers import LeftOver, Repeat
from .demand import Click, Coupon, Order, Tiers
from .merchants import MAX_CATEGORIES, Merchants
from .money import Constraints, Money, Regime
from .quantity import Section, switch
from .seasons import Seasons
from .shop import Creative, Dashboard, Influencer, Quality, Refund, Services
from .traffic import Clock, FreeTraffic, Jumps, Predictor, Traffic
from .validation import merged, validated

# Fields that are younger than committed evidence. While they have their default, by which they
# change nothing, they do not count in the hash.
LATER = {
    "clock": ("decision_hours",),
    "regime": ("pools_scheduled",),
    "free_traffic": (
        "match_cost",
        "mix_span",
        "mix_most",
        "mix_centre",
        "natural_centre",
        "pace_most",
    ),
    "jumps": ("rate", "traffic_sd", "order_sd", "coupon_sd", "refund_sd"),
    "predictor": (
        "learns",
        "prior_orders",
        "memory_days",
        "edit_limit",
        "edit_keep",
        "status_orders",
    ),
    "bidder": tuple(Bidder.model_fields),
    "seat": tuple(Seat.model_fields),
    "order": ("hour_swing", "peak_hour"),
    "dashboard": ("shop_daily", "shop_step"),
    "constraints": ("score_floor",),
    "creative": ("fee_cny",),
    "services": ("curvature", "insurance_premium"),
    "merchants": (
        "coupon_segment_sd",
        "price_sigma_spread",
        "peak_sd",
        "target_rule",
        "increment_low",
        "increment_high",
        "increment_reach_low",
        "increment_reach_high",
    ),
    "seasons": ("plan_days", "budget_sd", "target_low", "target_high"),
    "repeat": ("rate", "delay_days", "stay_days"),
    "left_over": ("customers", "quality", "supply", "creatives"),
}


class Scenario(Section):
    """One market: the world, its population of merchants, and what may be controlled.

    Sections follow world 2.1 to 2.16; `chengfang scenarios show` prints each field's unit, range
    and source.
    """

    name: str = switch("default", "name under which results are reported")
    description: str = switch("", "what this market is for, one line")
    source: str = switch("", "where its fitted numbers come from")
    clock: Clock = Clock()
    regime: Regime = Regime()
    traffic: Traffic = Traffic()
    jumps: Jumps = Jumps()
    free_traffic: FreeTraffic = FreeTraffic()
    auction: Auction = Auction()
    boost: Boost = Boost()
    predictor: Predictor = Predictor()
    bidder: Bidder = Bidder()
    seat: Seat = Seat()
    click: Click = Click()
    order: Order = Order()
    coupon: Coupon = Coupon()
    tiers: Tiers = Tiers()
    refund: Refund = Refund()
    quality: Quality = Quality()
    creative: Creative = Creative()
    influencer: Influencer = Influencer()
    services: Services = Services()
    money: Money = Money()
    dashboard: Dashboard = Dashboard()
    constraints: Constraints = Constraints()
    merchants: Merchants = Merchants()
    seasons: Seasons = Seasons()
    repeat: Repeat = Repeat()
    left_over: LeftOver = LeftOver()

    @property
    def incremental_ads(self) -> bool:
        """Whether paid traffic is bought on the increment only (switch 1 of the regime)."""
        return self._switch(self.regime.incremental_ads)

    @property
    def coupons_everywhere(self) -> bool:
        """Whether coupons reach every pool (switch 2 of the regime)."""
        return self._switch(self.regime.coupons_everywhere)

    @property
    def fee_rate(self) -> float:
        """Technical service fee as a share of what buyers paid (switch 3 of the regime)."""
        return (
            self.money.fee_unified
            if self._switch(self.regime.low_fee)
            else self.money.fee_dual_track
        )

    def _switch(self, value: bool | None) -> bool:
        return self.regime.preset == "unified" if value is None else value

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of every number (name, description and source do not
        count).
        """
        data = self.model_dump(mode="json", exclude={"name", "description", "source"})
        for section, names in LATER.items():
            fields = type(getattr(self, section)).model_fields
            for name in names:
                if data[section][name] == fields[name].default:
                    del data[section][name]
            if not data[section]:
                del data[section]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]

    def updated(self, changes: dict[str, Any]) -> "Scenario":
        """A validated copy with nested `changes` merged in; raises ScenarioError naming every wrong
        field.
        """
        return validated(Scenario, merged(self.model_dump(), changes))

    @model_validator(mode="after")
    def _consistent(self) -> "Scenario":
        problems = self.clock.problems()
        for path, values in (
            ("traffic.segments", self.traffic.segments),
            ("tiers.mix", self.tiers.mix),
            ("refund.shares", self.refund.shares),
        ):
            if sum(values.values()) <= 0:
                problems.append(f"{path} sums to 0; at least one share must be above 0")
        for path, curve in (
            ("traffic.hourly", self.traffic.hourly),
            ("traffic.live_hourly", self.traffic.live_hourly),
            ("traffic.weekday", self.traffic.weekday),
        ):
            if sum(curve) <= 0:
                problems.append(f"{path} sums to 0; at least one entry must be above 0")
        for name in ("division_centre", "subsidy_centre"):
            problems += [
                f"bidder.{name}.{key} is {value:g}; it must lie within bidder.division_span = "
                f"{self.bidder.division_span:g} of 0"
                for key, value in getattr(self.bidder, name).items()
                if abs(value) > self.bidder.division_span
            ]
        problems += _ordered("coupon", self.coupon, "depth_default", "depth_max")
        problems += _ordered("creative", self.creative, "rate_default", "rate_max")
        problems += _ordered("influencer", self.influencer, "commission_natural", "commission_max")
        problems += _ordered("influencer", self.influencer, "commission_ad", "commission_max")
        problems += _ordered("merchants", self.merchants, "target_share_low", "target_share_high")
        problems += _ordered("merchants", self.merchants, "increment_low", "increment_high")
        problems += _ordered(
            "merchants", self.merchants, "increment_reach_low", "increment_reach_high"
        )
        problems += _ordered("merchants", self.merchants, "budget_low", "budget_high")
        problems += _ordered("merchants", self.merchants, "coupon_budget_low", "coupon_budget_high")
        problems += _ordered("seasons", self.seasons, "target_low", "target_high")
        problems += self.repeat.problems()
        if not 1 <= len(self.merchants.categories) <= MAX_CATEGORIES:
            problems.append(
                f"merchants.categories has {len(self.merchants.categories)} entries; "
                f"allowed are 1 to {MAX_CATEGORIES}"
            )
        elif sum(c.weight for c in self.merchants.categories) <= 0:
            problems.append(
                "merchants.categories: the weights sum to 0; at least one must be above 0"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _ordered(section: str, values: Section, low: str, high: str) -> list[str]:
    first = getattr(values, low)
    second = getattr(values, high)
    if first <= second:
        return []
    return [
        f"{section}.{low} is {first:g}, above {section}.{high} = {second:g}; it must not be larger"
    ]
