"""The law of one tick of the tiny market, written out from the equations of world 2.3, 2.5,
2.6 and 2.10.

A bid wins a share W of Poisson auctions, so impressions without a click, clicks without an order
and orders are independent Poisson counts. The plan throttles their means to what it can still pay,
and cuts the drawn counts pro rata to whole fen when they cost more. Probabilities are float64; what
an impression costs is rounded to float32 step by step as the engine does it, because whole fen are
charged and a rounding could move one.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr
from scipy.stats import poisson

from ...envs import Market, Scenario
from ...envs.interface.units import CPM_PER_FEN, FEN_PER_CPM
from ...envs.kernels.numerics import exp32, logistic
from ...envs.market import layout as rows
from ...envs.market.stages.counts import LARGE
from .tiny import require_plain

F = np.float32
TAIL = 1e-13  # probability left out of each count


class Tiny(NamedTuple):
    """A tiny market in numbers: what the engine drew for its one merchant."""

    auctions: np.ndarray  # (ticks,) mean ad auctions
    budget: int  # fen
    target: float  # ROI
    price: int  # fen per order
    click: float  # CTR
    order: float  # CVR
    value: np.float32  # fen an impression is predicted to bring, over the target
    competitor: float  # mean of ln highest competing bid, CNY per thousand
    spread: float  # its standard deviation
    log_span: np.float32  # of the bid lever
    default_bid: np.float32


class Offer(NamedTuple):
    """One action: what it bids and what it wins."""

    action: np.float32
    multiplier: np.float32  # of the reference bid
    cpm: np.float32  # CNY per thousand impressions, bid and paid
    won: float  # share of auctions


def read_tiny(scenario: Scenario, days: int = 1, split: str = "test") -> Tiny:
    """The numbers of a tiny scenario.

    Raises:
        ValueError: if the scenario has anything that lasts, merchants that differ, or more than one
            ad lane.
    """
    require_plain(scenario)
    market = Market(scenario, 1, days=days, levers=("bid",), split=split)
    market.reset(seeds=np.zeros(1, int))
    cells = market.cells[0]
    merchant = market.merchants[0]
    constants = market.world.constants[0]
    open_lanes = rows.AD + np.flatnonzero(cells[rows.TRAFFIC, rows.AD :])
    if len(open_lanes) != 1:
        raise ValueError(
            f"traffic.ad and traffic.segments open {len(open_lanes)} ad lanes; "
            "exact needs 1: one scene, one segment"
        )
    lane = int(open_lanes[0])
    hours = market.world.hours[lane % rows.N_SCENES]
    ctr = logistic(cells[rows.CLICK, lane])
    cvr = logistic(cells[rows.ORDER, lane])
    price = np.floor(cells[rows.VALUE, lane] + F(0.5))
    value = cells[rows.PREDICTION, lane] * ctr * cvr * price
    return Tiny(
        np.tile(hours.astype(float) * float(cells[rows.TRAFFIC, lane]), days),
        int(merchant["budget"]),
        float(merchant["roi_target"]),
        int(price),
        float(expit(float(cells[rows.CLICK, lane]))),
        float(expit(float(cells[rows.ORDER, lane]))),
        value,
        float(cells[rows.PRICE_MU, lane]),
        float(cells[rows.PRICE_SIGMA, lane]),
        constants["lever_log_span"][rows.LEVER_BID],
        constants["lever_default"][rows.LEVER_BID],
    )


def offer(tiny: Tiny, action: float) -> Offer:
    """What an action in [-1, 1] bids: multiplier * predicted value / target, of which W = Phi((ln b
    - mu) / sigma) wins.
    """
    a = F(action)
    floor = exp32(-tiny.log_span)
    multiplier = (
        F(0)
        if a <= F(-1)
        else max(tiny.default_bid * (exp32(a * tiny.log_span) - floor) / (F(1) - floor), F(0))
    )
    cpm = multiplier / F(tiny.target) * F(CPM_PER_FEN) * tiny.value
    won = float(ndtr((np.log(float(cpm)) - tiny.competitor) / tiny.spread)) if cpm > 0 else 0.0
    return Offer(a, multiplier, cpm, won)


def cost_of(offered: Offer, shown: np.ndarray) -> np.ndarray:
    """Fen that whole impressions cost: bid / 1000 each (first price), rounded as by the engine."""
    return (shown.astype(F) * offered.cpm).astype(float) * FEN_PER_CPM


def means(tiny: Tiny, offered: Offer, auctions: float) -> np.ndarray:
    """Means of {no click, click without order, order} when nothing limits the tick, (3,)."""
    shares = np.array([1 - tiny.click, tiny.click * (1 - tiny.order), tiny.click * tiny.order])
    return auctions * offered.won * shares


def largest(tiny: Tiny, offered: Offer, auctions: float) -> np.ndarray:
    """The count beyond which each of the three has less than TAIL probability, (3,)."""
    mean = means(tiny, offered, auctions)
    if mean.max() >= float(LARGE):
        raise ValueError(
            f"a count has mean {mean.max():.3g}; exact needs less than {float(LARGE):g}, "
            "where the engine's draws are exact: lower traffic.ad or the largest bid"
        )
    return poisson.isf(TAIL, mean).astype(int)


def transition(tiny: Tiny, offered: Offer, auctions: float) -> np.ndarray:
    """P(orders, spend after | spend before), (budget + 1, most orders + 1, budget + 1): [before,
    orders, after], whole fen.

    Rows sum to one less at most three tails of TAIL.
    """
    states = tiny.budget + 1
    limit = tiny.budget - np.arange(states, dtype=float)
    mean = means(tiny, offered, auctions)
    wanted = max(float(cost_of(offered, mean.sum(keepdims=True))[0]), 1e-9)
    throttled = mean[:, None] * np.minimum(1.0, limit / wanted)  # (3, states)
    most = largest(tiny, offered, auctions)
    counts = [
        axis.ravel() for axis in np.meshgrid(*(np.arange(m + 1) for m in most), indexing="ij")
    ]
    chance = np.ones((states, counts[0].size))
    for number, average in zip(counts, throttled, strict=True):
        chance *= poisson.pmf(np.arange(number.max() + 1), average[:, None])[:, number]
    kept, charged = cut(offered, counts, limit)
    index = (
        (np.arange(states)[:, None] * (most[2] + 1) + kept[2]) * states
        + tiny.budget
        - limit[:, None]
        + charged
    )
    table = np.bincount(
        index.ravel().astype(np.int64), chance.ravel(), states * (most[2] + 1) * states
    )
    return table.reshape(states, most[2] + 1, states)


def cut(
    offered: Offer, counts: "list[np.ndarray]", limit: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Counts delivered and whole fen charged, (states, outcomes) each, when outcomes would cost
    more than each limit.

    Every count keeps the share limit / cost, rounded to whole; what then still costs too much is
    delivered but not charged.
    """
    cost = cost_of(offered, np.asarray(sum(counts)))[None]
    share = np.where(cost > limit[:, None], limit[:, None] / np.maximum(cost, 1e-300), 1.0)
    kept = [np.minimum(np.floor(number * share + 0.5), number) for number in counts]
    return kept, np.minimum(np.floor(cost_of(offered, np.asarray(sum(kept)))), limit[:, None])
