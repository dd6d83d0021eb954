"""The ad market a bid meets: landscape, price rule, reaction (world 2.3)."""

from typing import Annotated, Literal

from .quantity import SCENES, SEGMENTS, Scene, Section, Segment, bounded, quantity, switch, table

CPM_PRESS = "trade press 2024-25, docs/priors.md: CPM 6-30 CNY typical, 30-80 contested"


class Auction(Section):
    """Highest competing bid per thousand impressions: ln Z ~ Normal(cpm_log_mean + segment + shock,
    cpm_log_sigma).
    """

    price_rule: Literal["second", "first"] = switch(
        "first", "what a winner pays: the highest competing bid (second) or its own bid (first)"
    )
    cpm_log_mean: dict[Scene, Annotated[float, bounded(-8, 8)]] = table(
        SCENES,
        (3.0, 3.6, 3.4, 3.9),
        "ln CNY per thousand",
        "median log of the highest competing bid",
        CPM_PRESS,
    )
    segment_price: dict[Segment, Annotated[float, bounded(-4, 4)]] = table(
        SEGMENTS, (-0.15, -0.05, 0.10, 0.25), "ln CNY", "shift of the competing bid by user segment"
    )
    cpm_log_sigma: dict[Scene, Annotated[float, bounded(0.05, 4)]] = table(
        SCENES,
        (0.95, 0.95, 0.90, 0.90),
        "ln CNY",
        "spread of the highest competing bid",
        "log-normal fits of nine iPinYou campaigns: 0.84 to 1.15 (docs/priors.md)",
    )
    shock_persistence: float = quantity(
        0.95, "per hour", 0, 0.999, "autocorrelation of the market's log price shock xi"
    )
    shock_volatility: float = quantity(
        0.07, "ln per sqrt(hour)", 0, 1, "standard deviation of its hourly innovation"
    )
    reaction: float = quantity(
        0.05,
        "ln per hour",
        0,
        3,
        "rise of xi per hour at a share of voice of one: competitors answer a loud bidder",
    )
    bid_span: float = quantity(
        6.0, "factor", 1.5, 50, "largest bid multiplier over the default, at lever +1 (less one)"
    )
    bid_default: float = quantity(
        1.0, "factor", 0.01, 20, "multiplier of the reference bid at lever 0"
    )


class Boost(Section):
    """Yi-jian-qi-liang: a short acceleration with its own part of the budget."""

    reach: float = quantity(
        0.5, "factor", 0, 5, "added ad auctions at full boost, as a share of the usual ones"
    )
    default: float = quantity(0.1, "intensity", 0, 1, "boost at lever 0; 1 at lever +1")
    premium: float = quantity(0.30, "ln", 0, 2, "added to the competing price at full boost")
    budget_share: float = quantity(
        0.15, "share", 0, 1, "part of the plan's budget that boosted impressions may spend"
    )
