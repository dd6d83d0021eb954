"""Clock, calendar and opportunities: when and how often a user could meet the product (world 2.1,
2.2).
"""

from typing import Annotated

from .quantity import (
    FREE_POOLS,
    SCENES,
    SEGMENTS,
    FreePool,
    Scene,
    Section,
    Segment,
    bounded,
    quantity,
    series,
    switch,
    table,
)

TICKS_PER_DAY = (24, 48, 96)
HOURS_PER_DAY = 24

PRESS = "trade press 2024-25, docs/priors.md: shelf 40-50 % of GMV, live about 60 %"
AUCTIONNET_HOURS = "AuctionNet (NeurIPS 2024) released page-view curve, shifted to China time"

HOURLY = [
    3.3,
    1.8,
    1.1,
    0.7,
    0.65,
    1.0,
    1.9,
    3.4,
    4.3,
    5.0,
    5.4,
    5.5,
    5.5,
    5.5,
    5.4,
    5.4,
    5.5,
    5.1,
    5.2,
    5.9,
    6.7,
    7.3,
    6.4,
    2.1,
]
LIVE_HOURLY = [
    3.0,
    1.5,
    0.8,
    0.5,
    0.4,
    0.5,
    1.0,
    2.2,
    3.0,
    3.8,
    4.4,
    4.6,
    5.0,
    5.0,
    4.6,
    4.6,
    4.8,
    5.0,
    5.8,
    7.6,
    9.4,
    9.8,
    8.0,
    4.7,
]


class Clock(Section):
    """How time is cut. One tick is one decision, unless decisions stand for longer."""

    ticks_per_day: int = quantity(24, "ticks", 24, 96, "decisions a day: 24, 48 or 96")
    days: int = quantity(
        7, "days", 1, 90, "length of an episode where the environment id does not fix it"
    )
    smoothing_hours: float = quantity(
        4.0, "hours", 0.1, 200, "mean age of the smoothed metrics on the dashboard"
    )
    decision_hours: int = quantity(
        0, "hours", 0, 24, "a decision stands for so long, a divisor of 24; 0: for one tick"
    )

    @property
    def decision_ticks(self) -> int:
        """Ticks for which a decision stands."""
        return max(self.decision_hours * self.ticks_per_day // HOURS_PER_DAY, 1)

    def problems(self) -> list[str]:
        """What does not fit together."""
        problems = []
        if self.ticks_per_day not in TICKS_PER_DAY:
            problems.append(
                f"clock.ticks_per_day is {self.ticks_per_day}; allowed are 24, 48 and 96"
            )
        if self.decision_hours and HOURS_PER_DAY % self.decision_hours:
            problems.append(
                f"clock.decision_hours is {self.decision_hours}; allowed are 0 and divisors of 24"
            )
        return problems


class Event(Section):
    """A promotion of the calendar: traffic, prices and conversion rise to a peak and leave a
    hangover.
    """

    name: str = switch("event", "name of the promotion, for example 618 or double-11")
    day: int = quantity(
        0, "day of the episode", -60, 120, "day of the peak, counted from the episode's first day"
    )
    length: int = quantity(1, "days", 1, 20, "days at the peak")
    traffic: float = quantity(
        1.5, "factor", 0.2, 10, "opportunities at the peak, relative to a plain day"
    )
    price: float = quantity(
        1.3, "factor", 0.2, 10, "competing bids at the peak, relative to a plain day"
    )
    conversion: float = quantity(0.25, "logit", -2, 2, "added to the conversion logit at the peak")
    buildup: int = quantity(3, "days", 0, 30, "days over which the factors rise to the peak")
    hangover: int = quantity(3, "days", 0, 30, "days of weaker conversion after the peak")
    hangover_conversion: float = quantity(
        -0.15, "logit", -2, 2, "added to the conversion logit right after the peak"
    )


class Traffic(Section):
    """Opportunities per day of a merchant of size one, and how they vary (world 2.1)."""

    natural: dict[Scene, Annotated[float, bounded(0, 1e8)]] = table(
        SCENES, (360e3, 240e3, 40e3, 30e3), "opportunities/day", "natural-pool opportunities", PRESS
    )
    transaction: dict[Scene, Annotated[float, bounded(0, 1e8)]] = table(
        SCENES,
        (90e3, 80e3, 180e3, 110e3),
        "opportunities/day",
        "transaction-pool opportunities",
        PRESS,
    )
    ad: dict[Scene, Annotated[float, bounded(0, 1e8)]] = table(
        SCENES,
        (300e3, 170e3, 90e3, 50e3),
        "opportunities/day",
        "ad-pool auctions open to the merchant",
        PRESS,
    )
    segments: dict[Segment, Annotated[float, bounded(0, 1)]] = table(
        SEGMENTS,
        (0.40, 0.25, 0.25, 0.10),
        "share",
        "share of each user segment; normalised to sum to one",
    )
    hourly: list[Annotated[float, bounded(0, 100)]] = series(
        HOURLY,
        24,
        "share",
        "opportunities by hour of day 0-23 in feed, mall and search; normalised",
        AUCTIONNET_HOURS,
    )
    live_hourly: list[Annotated[float, bounded(0, 100)]] = series(
        LIVE_HOURLY, 24, "share", "opportunities by hour of day 0-23 in live; normalised"
    )
    weekday: list[Annotated[float, bounded(0, 10)]] = series(
        [0.97, 0.96, 0.97, 0.98, 1.02, 1.06, 1.04],
        7,
        "factor",
        "opportunities by weekday, Monday first; normalised",
    )
    dispersion: float = quantity(
        0.02,
        "1",
        0,
        1,
        "squared coefficient of variation of the gamma factor behind negative binomial counts, "
        "one draw per pool, scene and tick; 0 gives Poisson counts",
    )
    shock_persistence: float = quantity(
        0.92, "per hour", 0, 0.999, "autocorrelation of the log demand shock of a scene"
    )
    shock_volatility: float = quantity(
        0.06, "ln per sqrt(hour)", 0, 1, "standard deviation of its hourly innovation"
    )
    events: list[Event] = switch([], "calendar of promotions")


class Jumps(Section):
    """Hidden states of the market that jump at random times and stay: only results show it (world
    2.1).
    """

    rate: float = quantity(0.0, "per day", 0, 24, "how often each of the states jumps, on average")
    traffic_sd: float = quantity(0.0, "ln", 0, 2, "spread of the state of a scene's traffic")
    order_sd: float = quantity(0.0, "logit", 0, 2, "spread of the state of a scene's order rates")
    coupon_sd: float = quantity(0.0, "ln", 0, 2, "spread of the state of coupon response")
    refund_sd: float = quantity(0.0, "logit", 0, 2, "spread of the state of refunds")


class FreeTraffic(Section):
    """Probability that a free opportunity shows the product (world 2.2)."""

    exposure: dict[FreePool, dict[Scene, Annotated[float, bounded(-12, 12)]]] = switch(
        {
            "natural": dict(zip(SCENES, (-2.6, -2.3, -2.6, -2.2), strict=True)),
            "transaction": dict(zip(SCENES, (-2.6, -2.4, -2.3, -2.0), strict=True)),
        },
        "exposure logit by pool and scene at quality index 0",
    )
    quality_lift: dict[FreePool, Annotated[float, bounded(0, 5)]] = table(
        FREE_POOLS,
        (0.9, 1.1),
        "logit",
        "added to the exposure logit per unit of the pool's quality index",
    )
    influencer_lift: dict[FreePool, Annotated[float, bounded(0, 5)]] = table(
        FREE_POOLS,
        (0.30, 0.08),
        "logit",
        "added per unit of influencer supply, ln(commission / reference)",
    )
    cannibalisation: dict[Scene, Annotated[float, bounded(0, 1)]] = table(
        SCENES,
        (0.12, 0.15, 0.22, 0.35),
        "probability",
        "chance f that a paid impression displaces a free one: higher where intent is high",
        "direction: Yang & Ghose 2010 on paid and organic search; level assumed",
    )

    match_cost: float = quantity(
        0.35,
        "1",
        0,
        1,
        "where m times the usual impressions are shown, their click rate is m^-this the usual: the "
        "best matches come first",
    )
    mix_span: float = quantity(
        1.5,
        "logit",
        0.01,
        3,
        "reach of the levers that move free impressions",
    )
    mix_most: float = quantity(
        4.0, "factor", 1, 20, "most impressions that the mix may show where one is usual"
    )
    mix_centre: dict[Scene, Annotated[float, bounded(-3, 3)]] = table(
        SCENES, (0.0, 0.0, 0.0, 0.0), "logit", "mix over scenes at lever 0"
    )
    natural_centre: float = quantity(
        0.0, "logit", -3, 3, "mix of the natural pool, against the transaction pool, at lever 0"
    )
    pace_most: float = quantity(
        3.0, "factor", 1.01, 10, "most that a free pool may be released at, of its even pace"
    )


class Predictor(Section):
    """The platform's value predictor (qian xun): how far its pCTR x pCVR is from the truth."""

    noise: float = quantity(
        0.30,
        "ln",
        0,
        2,
        "standard deviation of the log prediction error of a cell, fixed per merchant",
    )
    bias: float = quantity(0.0, "ln", -2, 2, "mean of the log prediction error")
    learns: bool = switch(
        False, "the predictor corrects itself scene by scene from the orders that are reported"
    )
    prior_orders: float = quantity(
        30.0,
        "orders",
        0.1,
        1e5,
        "reported orders of a scene that weigh as much as what was believed beforehand",
        "platforms' learning phases end after about 20 to 50 conversions",
    )
    memory_days: float = quantity(5.0, "days", 0.1, 1000, "mean age of the orders it remembers")
    edit_limit: float = quantity(
        0.3,
        "share",
        0.01,
        10,
        "a scene's bid that changes by more than this from one tick to the next is a large edit",
    )
    edit_keep: float = quantity(
        0.5, "share", 0, 1, "share of what was learned about a scene that a large edit leaves"
    )
    status_orders: float = quantity(
        20.0,
        "orders",
        0.1,
        1e5,
        "reported orders of a scene after which its ads count as learned on the dashboard",
        "platforms' learning phases end after about 20 to 50 conversions",
    )
