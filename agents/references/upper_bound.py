"""A value no policy exceeds in expectation: Lagrangian relaxation with optimistic states (world 5;
proof in docs/upper_bound.md).

The score S min(1, r^2), r = S / (target C), is at most max(L1, L2) with L1 = S + mu (S - target C),
L2 = r0^2 S and r0^2 + r0 = mu. Budget and coupon budget are hard, so lambda (B - spend) and nu (K -
coupons) may be added. What then remains splits into cells, whose best tick is found alone, with
everything a policy could do to the market in the past at its most favourable. Counts
enter by their means: a policy cannot know them beforehand. A plan that does, such as the
    clairvoyant's, can be luckier than this
bound; in practice it is not.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...envs import Setting
from ...envs.market import layout as rows
from .ad_program import AdMarket, ad_market, program
from .order_terms import order_values, shift_ratio
from .price_of_winning import auction_yield
from .relaxation import Relaxation, commissions, relax, spill_over

FEN = 100.0
GOLDEN = (np.sqrt(5) - 1) / 2
PER_IMPRESSION = 0.1  # fen per impression for each CNY per thousand
CUTS = 2  # a fixed cap binds once in each scene, and the plan's budget once
FIRST_STEPS = 9
LATER_STEPS = 5
LAMBDA_MOST = 2.0
NU_MOST = 1.5


class Bound(NamedTuple):
    """Bounds of n episodes."""

    value: np.ndarray  # (n,) CNY: no policy's expected score is larger, given merchant and shocks
    lagrangian: np.ndarray  # (n,) CNY: the same if the ROI target were a hard constraint on means
    lam: np.ndarray  # (n,) worth of one more CNY of budget
    mu: np.ndarray  # (n,) price of the ROI constraint


class Cells(NamedTuple):
    """A market at given multipliers, fen."""

    # (n, C, T, 16) worth of natural traffic if all of it were shown, by commission, segment and
    # scene
    natural: np.ndarray
    transaction: np.ndarray  # (n, T, 16) the same of transaction traffic
    worth: np.ndarray  # (n, T, 16) worth of an ad impression, spill-over left out
    orders: np.ndarray  # (n, T, 16) orders it brings
    value: np.ndarray  # (n, T, 16) its worth and the most that spill-over can add


def upper_bound(
    setting: Setting,
    seeds: "np.ndarray | Sequence[int]",
    batch: int = 64,
) -> Bound:
    """Bound the score of every policy in the first episode of every seed.

    Args:
        setting: what is played.
        seeds: (n,) streams; the result for a seed does not depend on the others.
        batch: episodes worked on together; bounds the memory.

    Raises:
        ValueError: if the ROI is paid GMV over spend, which the relaxation does not cover, or batch
            is less than 1.
    """
    if setting.scenario.constraints.roi == "pay":
        raise ValueError("constraints.roi is 'pay'; upper_bound covers 'overall' and 'net'")
    if batch < 1:
        raise ValueError(f"batch is {batch}; allowed is 1 or more")
    seeds = np.asarray(seeds)
    parts = []
    for first in range(0, len(seeds), batch):
        o = relax(setting, seeds[first : first + batch])
        parts.append(_bound(o, ad_market(o)))
    return Bound(*(np.concatenate([part[i] for part in parts]) for i in range(len(Bound._fields))))


def _bound(o: Relaxation, ads: AdMarket) -> Bound:
    relaxed = _Relaxed(o, ads)
    n = len(o.merchants)
    target = o.merchants["roi_target"].astype(float)
    none = np.zeros(n)
    one = np.ones(n)
    most, _ = _minimum(
        lambda x: relaxed.value(one, none, x[0], x[1]),
        [(none, one * LAMBDA_MOST), (none, relaxed.nu_most)],
    )
    spread = _variance(o)

    def score(lam: np.ndarray, nu: np.ndarray, mu: np.ndarray) -> np.ndarray:
        first = relaxed.value(1 + mu, mu * target, lam, nu)
        second = (
            (np.sqrt(1 + 4 * mu) - 1) / 2
        ) ** 2 * most  # r0^2 times settled GMV when ROI does not matter
        return 0.5 * (first + second + np.sqrt((first - second) ** 2 + (1 + mu) ** 2 * spread))

    def spending(x: list[np.ndarray]) -> np.ndarray:
        return score(
            np.maximum(x[0] - x[2] * target, 0.0), x[1], x[2]
        )  # x[0]: what a fen of spend costs in all

    value, at = _minimum(
        lambda x: score(*x),
        [(none, 3 * LAMBDA_MOST * one), (none, 3 * relaxed.nu_most), (none, 2 * one)],
    )
    box = [(none, 3 * LAMBDA_MOST + 2 * target), (none, 3 * relaxed.nu_most), (none, 2 * one)]
    again, turned = _minimum(spending, box, [at[0] + at[2] * target, at[1], at[2]])
    better = again < value
    lam, nu, mu = (
        np.where(better, new, old)
        for new, old in zip(
            (np.maximum(turned[0] - turned[2] * target, 0.0), turned[1], turned[2]), at, strict=True
        )
    )
    return Bound(
        np.minimum(value, again) / FEN, relaxed.value(1 + mu, mu * target, lam, nu) / FEN, lam, mu
    )


def _minimum(
    function: Callable[[list[np.ndarray]], np.ndarray],
    box: list[tuple[np.ndarray, np.ndarray]],
    start: list[np.ndarray] | None = None,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Minimum (n,) of n convex functions at once by golden-section descent along each axis in turn,
    and where it is.

    Every value met is a valid bound, so where the descent stops short the bound is weaker, never
    wrong.
    """
    x = [low + 0.1 * (high - low) for low, high in box] if start is None else list(start)
    best = function(x)
    rounds = (
        ((FIRST_STEPS, 1.0), (LATER_STEPS, 0.25))
        if start is None
        else ((LATER_STEPS, 0.15), (LATER_STEPS, 0.05))
    )
    for steps, width in rounds:
        for axis, (least, largest) in enumerate(box):
            if not np.any(largest > least):
                continue
            low = np.maximum(x[axis] - width * (largest - least), least)
            high = np.minimum(x[axis] + width * (largest - least), largest)
            for trial in _golden(
                lambda y, i=axis: function([*x[:i], y, *x[i + 1 :]]), low, high, steps
            ):
                best, x[axis] = (
                    np.minimum(best, trial[1]),
                    np.where(trial[1] < best, trial[0], x[axis]),
                )
    return best, x


def _golden(
    function: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray, steps: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points and values that a golden-section search of n functions of one variable meets, its ends
    among them.
    """
    met = [(low, function(low))]
    a = high - GOLDEN * (high - low)
    b = low + GOLDEN * (high - low)
    at_a = function(a)
    at_b = function(b)
    met += [(a, at_a), (b, at_b)]
    for _ in range(steps):
        left = at_a < at_b
        high = np.where(left, b, high)
        low = np.where(left, low, a)
        new = np.where(left, high - GOLDEN * (high - low), low + GOLDEN * (high - low))
        at_new = function(new)
        met.append((new, at_new))
        a, b = np.where(left, new, b), np.where(left, a, new)
        at_a, at_b = np.where(left, at_new, at_b), np.where(left, at_a, at_new)
    return met


class _Relaxed:
    """The relaxed problem of n episodes as a function of its multipliers."""

    def __init__(self, o: Relaxation, ads: AdMarket):
        self.o = o
        self.ads = ads
        n = len(o.merchants)
        self.couponing = any(name.startswith(("coupon", "tilt")) for name in o.free_levers)
        self.nu_most = np.full(n, NU_MOST if self.couponing else 0.0)
        self.moving_caps = any(name.startswith("share_") for name in o.free_levers)
        self._rounding = _rounding(o)
        self._last: tuple[list[np.ndarray], Cells] | None = None

    def value(
        self, settled: np.ndarray, paid: np.ndarray, lam: np.ndarray, nu: np.ndarray
    ) -> np.ndarray:
        """Most that a fen of settled GMV at `settled` less a fen of overall cost at `paid` can
        bring, (n,) fen, when lambda and nu price the budget and the coupon budget.
        """
        cells = self._priced([settled, paid, nu])
        o = self.o
        w = self.o.constants
        kappa = (lam + paid) * PER_IMPRESSION
        hidden = (
            0.5 * float(np.sqrt(w["dispersion"])) + 0.015
        )  # E(X - 1)^+ <= sd(X) / 2 for a tick's cost X of mean 1
        if self.moving_caps:  # a policy may let a cap cut any tick, and what is cut off is not paid
            traffic = _programs(self.ads, cells, kappa * (1 - hidden))
        else:  # a fixed cap cuts once in each scene, and the budget once
            bargain = _unworn(self.ads, cells.value, kappa * (1 - hidden)) - _unworn(
                self.ads, cells.value, kappa
            )
            traffic = _programs(self.ads, cells, kappa) + CUTS * np.maximum(
                bargain.max(1).sum(-1), 0.0
            )
        rounding = self._rounding * (settled + paid + lam)
        limits = lam * o.merchants["budget"] + nu * o.merchants["coupon_budget"]
        return (
            limits + traffic + rounding + (self._free_coupons(paid + nu) if self.couponing else 0.0)
        )

    def _priced(self, key: list[np.ndarray]) -> Cells:
        if self._last is None or not all(
            np.array_equal(a, b) for a, b in zip(key, self._last[0], strict=True)
        ):
            self._last = ([x.copy() for x in key], _cells(self.o, *key))
        return self._last[1]

    def _free_coupons(self, price: np.ndarray) -> np.ndarray:
        """(n,) worth of coupons beyond their budget: less than one a tick is granted when less than
        one is left.
        """
        w = self.o.constants
        unit = (
            self.o.cells[:, rows.VALUE].max(1) * float(w["depth_max"]) * float(w["merchant_share"])
        )
        return price * np.minimum(unit, self.o.merchants["coupon_budget"])


def _rounding(o: Relaxation) -> np.ndarray:
    """(n,) most fen that whole fen can add to the value or hide from the cost.

    In each tick and open group the GMV, the refund, commission, both halves of a coupon, services
    and spend are rounded by at most five fen together; each refund compartment that counts, by two
    fen in each tick.
    """
    w = o.constants
    groups = (
        (o.traffic > 0)
        .reshape(*o.traffic.shape[:2], rows.N_POOLS, rows.N_SEGMENTS, rows.N_SCENES)
        .any(3)
    )
    if float(w["at_once"]) < 1:  # delayed orders arrive in any tick
        groups = np.broadcast_to(groups.any(1, keepdims=True), groups.shape)  # pyright: ignore
    compartments = int(((w["refund_share"] > 0) & (w["refund_counted"] > 0)).sum())
    return (5.0 * groups.sum((2, 3)) + 2.0 * compartments * groups.any((2, 3))).sum(1)  # pyright: ignore


def _cells(o: Relaxation, settled: np.ndarray, paid: np.ndarray, nu: np.ndarray) -> Cells:
    """What free traffic and ad impressions are worth at these multipliers."""
    w = o.constants
    cells = o.cells
    attraction = float(w["influencer_ad_lift"]) * (1 - o.click[..., rows.AD :].max(1))
    click_worth, click_orders = order_values(
        w, o.merchants, cells, o.free_levers, settled, paid, nu, attraction=attraction
    )
    highest = np.log(click_orders / (1 - click_orders))
    ratio = shift_ratio(
        cells[:, None, rows.ORDER],
        np.maximum(highest, cells[:, rows.ORDER])[:, None],
        o.order_shift[..., None],
    )
    per_visit = o.traffic * o.click * ratio
    rates = commissions(w, o.free_levers)
    worths = [
        order_values(w, o.merchants, cells, o.free_levers, settled, paid, nu, rate, (0,))[0][
            :, : rows.BLOCK
        ]
        for rate in rates
    ]
    natural = np.stack([per_visit[..., : rows.BLOCK] * worth[:, None] for worth in worths], 1)
    transaction = per_visit[..., rows.BLOCK : rows.AD] * click_worth[:, None, rows.BLOCK : rows.AD]
    ad = slice(rows.AD, rows.N_LANES)
    clicks = o.click[..., ad] * ratio[..., ad]
    worth = clicks * click_worth[:, None, ad]
    orders = clicks * click_orders[:, None, ad]
    after = _spill_over(o, np.stack([natural.max(1), transaction], 2))
    return Cells(natural, transaction, worth, orders, worth + orders * after[..., None])


def _spill_over(o: Relaxation, worth: np.ndarray) -> np.ndarray:
    """(n, T) most that one paid order adds to later free traffic, fen (world 2.8); worth (n, T, 2,
    16) if all of it were shown.
    """
    w = o.constants
    n, ticks = worth.shape[:2]
    grown = (o.reach[:, 1, 1] - o.reach[:, 1, 0]).reshape(worth.shape)
    gains = (worth * grown).sum(-1) / np.maximum(o.room, 1e-9)
    after = np.zeros((n, 2))
    each = np.zeros((n, ticks))
    for t in range(ticks - 1, -1, -1):
        each[:, t] = (spill_over(o) * after).sum(1)
        after = (1 - float(w["quality_speed"])) * after + gains[:, t]
    return each


def _programs(ads: AdMarket, cells: Cells, price: np.ndarray) -> np.ndarray:
    return np.array(
        [
            program(
                ads.auctions[i],
                ads.price[i],
                ads.worn_click[i],
                ads.worn_most[i],
                ads.price_most,
                ads.wear,
                ads.pressure_most[i],
                ads.pressure_usual[i],
                ads.audience_scene[i],
                ads.audience_segment[i],
                ads.pressure,
                ads.pressure_keep,
                ads.top_click[i],
                ads.price_keep,
                ads.price_reaction,
                ads.boosts,
                ads.tables,
                ads.bends,
                ads.table_of_scene,
                ads.people[i],
                ads.fewest[i],
                ads.reach[i],
                ads.supply,
                ads.supply_speed,
                ads.goals,
                ads.slack,
                ads.room[i],
                ads.spill[i],
                ads.quality_keep,
                cells.worth[i],
                cells.orders[i],
                cells.natural[i],
                cells.transaction[i],
                price[i],
            )
            for i in range(len(price))
        ]
    )


def _unworn(ads: AdMarket, value: np.ndarray, price: np.ndarray) -> np.ndarray:
    """(n, T, 4) most that the auctions of a scene would yield in a market that ads do not wear out."""
    best = np.zeros(value.shape)
    kappa = np.broadcast_to(price[:, None, None], value.shape)
    for reach, premium in ads.boosts:
        for s in range(rows.N_SCENES):
            at = slice(s, None, rows.N_SCENES)
            found = auction_yield(
                value[..., at],
                kappa[..., at],
                ads.price[..., at] + premium,
                ads.tables[ads.table_of_scene[s]],
            )
            best[..., at] = np.maximum(best[..., at], reach * found)
    return (ads.auctions * best).reshape(*value.shape[:2], rows.N_SEGMENTS, rows.N_SCENES).sum(2)


def _variance(o: Relaxation) -> np.ndarray:
    """(n,) most that luck within ticks moves L1 - L2, divided by (1 + mu)^2: a variance in fen^2.

    Compound Poisson orders and refunds, every auction won, and one gamma factor per pool and scene;
    spend moves with the same factors.
    """
    w = o.constants
    top = np.maximum(o.cells[:, rows.VALUE] * 1.1, 1.0)
    _, orders = order_values(
        w,
        o.merchants,
        o.cells,
        o.free_levers,
        np.ones(len(top)),
        np.zeros(len(top)),
        np.zeros(len(top)),
    )
    seen = np.concatenate([o.reach[:, 1, 1], np.ones_like(o.click[..., rows.AD :])], -1)
    bought = (
        o.traffic
        * o.click
        * seen
        * orders[:, None]
        * np.exp(np.maximum(o.order_shift, 0.0))[..., None]
    )
    luck = (bought * top[:, None] ** 2).sum((1, 2))
    by_group = (
        (bought * top[:, None])
        .reshape(*bought.shape[:2], rows.N_POOLS, rows.N_SEGMENTS, rows.N_SCENES)
        .sum(3)
    )
    return luck + float(w["dispersion"]) * (by_group**2).sum((1, 2, 3)) * 2
