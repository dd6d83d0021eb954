"""A value that no policy should exceed in expectation: a Lagrangian relaxation in which the market
stands at its most favourable (world 5).

It covers tasks of one day. Some steps of its proof are missing; docs/upper_bound.md gives the proof
and lists them.

The score S min(1, r^2), r = S / (target C), is at most max(L1, L2) with L1 = S + mu (S - target C),
L2 = r0^2 S and r0^2 + r0 = mu. Budget and coupon budget are hard, so lambda (B - spend) and nu (K -
coupons) may be added. What then remains splits into lanes, whose best tick is found alone, with
everything a policy could do to the market in the past at its most favourable. Counts enter by their
means: a policy cannot know them beforehand. A plan that does know them, such as the clairvoyant's,
may be above this bound; in practice none was.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from ....envs import Scenario, Setting
from ....envs.interface.units import FEN_PER_CNY, FEN_PER_CPM
from ....envs.market import layout as rows
from .ad_market import AdMarket, ad_market
from .ad_program import LaneWorth, programs
from .noise import NODES, UNLIKELY, gamma_factor
from .order_terms import Prices, order_values, shift_ratio
from .price_of_winning import auction_yield
from .relaxation import Relaxation, relax, spill_over

COVERED = ("bid", "share_", "coupon_", "tilt_")  # how the names of covered levers begin
NOT_COVERED = (  # scenario fields that must be 0
    "regime.pools_scheduled",
    "jumps.traffic_sd",
    "jumps.order_sd",
    "jumps.coupon_sd",
    "jumps.refund_sd",
    "predictor.learns",
    "bidder.platform",
    "seat.open",
    "order.hour_swing",
    "creative.fee_cny",
    "services.curvature",
    "services.insurance_premium",
    "merchants.price_sigma_spread",
    "seasons.plan_days",
    "repeat.rate",
    "left_over.customers",
    "left_over.quality",
    "left_over.supply",
    "left_over.creatives",
)
GOLDEN = (np.sqrt(5) - 1) / 2
EVENTS = 120  # events of each tick that are left out as unlikely, at most
LEAST_QUANTILE = 20.0  # orders by which the largest count may exceed mean + NODES[-1] * root of it
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


class Priced(NamedTuple):
    """A market at given multipliers."""

    worth: LaneWorth  # fen
    most: np.ndarray  # (n, T, 16) fen: an ad impression's worth and the most that spill-over adds


def uncovered(scenario: Scenario) -> list[str]:
    """Fields of a scenario by which the relaxation does not cover it; none if it does."""
    return [path for path in NOT_COVERED if attrgetter(path)(scenario) > 0]


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
        ValueError: if the episode has several days, a lever is not a bid, a share, a coupon or a
            tilt, the ROI is paid GMV over spend, or the scenario has what NOT_COVERED lists: the
            relaxation does not cover these. Or if batch is less than 1.
    """
    if setting.days > 1:
        raise ValueError(f"days is {setting.days}; upper_bound covers tasks of one day")
    other = [name for name in setting.levers if not name.startswith(COVERED)]
    if other:
        raise ValueError(
            f"levers include {other[0]!r}; upper_bound covers bids, shares, coupons and tilts"
        )
    for path in uncovered(setting.scenario):
        value = attrgetter(path)(setting.scenario)
        raise ValueError(f"{path} is {value:g}; upper_bound covers 0")
    if setting.scenario.constraints.roi == "pay":
        raise ValueError("constraints.roi is 'pay'; upper_bound covers 'overall' and 'net'")
    if batch < 1:
        raise ValueError(f"batch is {batch}; allowed is 1 or more")
    seeds = np.asarray(seeds)
    parts = []
    for first in range(0, len(seeds), batch):
        relaxed = relax(setting, seeds[first : first + batch])
        parts.append(_bound(relaxed, ad_market(relaxed)))
    return Bound(*(np.concatenate([part[i] for part in parts]) for i in range(len(Bound._fields))))


def _bound(relaxed: Relaxation, ads: AdMarket) -> Bound:
    """Minimise over the multipliers, first along (lambda, nu, mu), then along the axes where
    lambda + mu * target, what a fen of spend costs in all, takes lambda's place.
    """
    problem = _Problem(relaxed, ads)
    target = relaxed.merchants["roi_target"].astype(float)
    none = np.zeros(len(target))
    one = np.ones(len(target))
    without_target, _ = _minimum(
        lambda x: problem.value(one, none, x[0], x[1]),
        [(none, one * LAMBDA_MOST), (none, problem.nu_most)],
    )
    spread = _variance(relaxed)
    left_out = _left_out(relaxed)

    def score(lam: np.ndarray, nu: np.ndarray, mu: np.ndarray) -> np.ndarray:
        """Scarf's inequality on max(L1, L2)."""
        first = problem.value(1 + mu, mu * target, lam, nu)
        least_roi = (np.sqrt(1 + 4 * mu) - 1) / 2
        second = least_roi**2 * without_target
        apart = np.sqrt((first - second) ** 2 + (1 + mu) ** 2 * spread)
        return 0.5 * (first + second + apart)

    def by_spending(x: list[np.ndarray]) -> np.ndarray:
        return score(np.maximum(x[0] - x[2] * target, 0.0), x[1], x[2])

    nu_box = (none, 3 * problem.nu_most)
    mu_box = (none, 2 * one)
    value, at = _minimum(lambda x: score(*x), [(none, 3 * LAMBDA_MOST * one), nu_box, mu_box])
    again, turned = _minimum(
        by_spending,
        [(none, 3 * LAMBDA_MOST + 2 * target), nu_box, mu_box],
        [at[0] + at[2] * target, at[1], at[2]],
    )
    turned[0] = np.maximum(turned[0] - turned[2] * target, 0.0)
    lam, nu, mu = (np.where(again < value, new, old) for new, old in zip(turned, at, strict=True))
    lagrangian = problem.value(1 + mu, mu * target, lam, nu)
    return Bound(
        (np.minimum(value, again) + left_out) / FEN_PER_CNY, lagrangian / FEN_PER_CNY, lam, mu
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


class _Problem:
    """The relaxed problem of n episodes as a function of its multipliers."""

    def __init__(self, relaxed: Relaxation, ads: AdMarket):
        self.relaxed = relaxed
        self.ads = ads
        levers = relaxed.free_levers
        self.couponing = any(name.startswith(("coupon", "tilt")) for name in levers)
        self.moving_caps = any(name.startswith("share_") for name in levers)
        self.nu_most = np.full(len(relaxed.merchants), NU_MOST if self.couponing else 0.0)
        # E(X - 1)^+ <= sd(X) / 2 for a tick's cost X of mean 1
        self.hidden = 0.5 * float(np.sqrt(relaxed.constants["dispersion"])) + 0.015
        self._rounding = _rounding(relaxed)
        self._last: tuple[list[np.ndarray], Priced] | None = None

    def value(
        self, settled: np.ndarray, paid: np.ndarray, lam: np.ndarray, nu: np.ndarray
    ) -> np.ndarray:
        """Most that a fen of settled GMV at `settled` less a fen of overall cost at `paid` can
        bring, (n,) fen, when lambda and nu price the budget and the coupon budget.
        """
        merchants = self.relaxed.merchants
        traffic = self._traffic(self._priced([settled, paid, nu]), (lam + paid) * FEN_PER_CPM)
        rounding = self._rounding * (settled + paid + lam)
        limits = lam * merchants["budget"] + nu * merchants["coupon_budget"]
        coupons = self._free_coupons(paid + nu) if self.couponing else 0.0
        return limits + traffic + rounding + coupons

    def _traffic(self, priced: Priced, kappa: np.ndarray) -> np.ndarray:
        """(n,) fen that free and ad traffic bring, with what a cut by a cap may leave unpaid.

        A policy that moves its caps may let one cut any tick. A fixed cap cuts once in each scene,
        and the budget once.
        """
        cheaper = kappa * (1 - self.hidden)
        if self.moving_caps:
            return programs(self.ads, priced.worth, cheaper)
        bargain = _unworn(self.ads, priced.most, cheaper) - _unworn(self.ads, priced.most, kappa)
        cut = np.maximum(bargain.max(1).sum(-1), 0.0)
        return programs(self.ads, priced.worth, kappa) + CUTS * cut

    def _priced(self, key: list[np.ndarray]) -> Priced:
        """The market at these multipliers; the last one is remembered, as lambda moves alone."""
        if self._last is None or not all(
            np.array_equal(a, b) for a, b in zip(key, self._last[0], strict=True)
        ):
            self._last = ([x.copy() for x in key], _price(self.relaxed, *key))
        return self._last[1]

    def _free_coupons(self, price: np.ndarray) -> np.ndarray:
        """(n,) worth of coupons beyond their budget: less than one a tick is granted when less than
        one is left.
        """
        w = self.relaxed.constants
        dearest = self.relaxed.cells[:, rows.VALUE].max(1)
        unit = dearest * float(w["depth_max"]) * float(w["merchant_share"])
        return price * np.minimum(unit, self.relaxed.merchants["coupon_budget"])


def _rounding(relaxed: Relaxation) -> np.ndarray:
    """(n,) most fen that whole fen can add to the value or hide from the cost.

    In each tick and open group the GMV, the refund, commission, both halves of a coupon, services
    and spend are rounded by at most five fen together; each refund compartment that counts, by two
    fen in each tick.
    """
    w = relaxed.constants
    shape = (*relaxed.traffic.shape[:2], rows.N_POOLS, rows.N_SEGMENTS, rows.N_SCENES)
    is_open = np.asarray((relaxed.traffic > 0).reshape(shape).any(3))
    if float(w["at_once"]) < 1:  # delayed orders arrive in any tick
        is_open = np.broadcast_to(is_open.any(1, keepdims=True), is_open.shape)
    compartments = int(((w["refund_share"] > 0) & (w["refund_counted"] > 0)).sum())
    by_group = 5.0 * is_open.sum((2, 3))
    by_compartment = 2.0 * compartments * is_open.any((2, 3))
    return (by_group + by_compartment).sum(1)


def _price(relaxed: Relaxation, settled: np.ndarray, paid: np.ndarray, nu: np.ndarray) -> Priced:
    """What free traffic and ad impressions are worth at these multipliers."""
    w = relaxed.constants
    cells = relaxed.cells
    prices = Prices(settled, paid, nu)
    ad = slice(rows.AD, rows.N_LANES)
    click_worth, click_orders = order_values(w, cells, relaxed.free_levers, prices)
    highest = np.log(click_orders / (1 - click_orders))
    ratio = shift_ratio(
        cells[:, None, rows.ORDER],
        np.maximum(highest, cells[:, rows.ORDER])[:, None],
        relaxed.order_shift[..., None],
    )
    visits = relaxed.traffic * relaxed.click * ratio * click_worth[:, None]
    free = visits[..., : rows.AD].reshape(*visits.shape[:2], 2, rows.BLOCK)
    clicks = relaxed.click[..., ad] * ratio[..., ad]
    worth = clicks * click_worth[:, None, ad]
    orders = clicks * click_orders[:, None, ad]
    most = worth + orders * _spill_over(relaxed, free)[..., None]
    return Priced(LaneWorth(free, worth, orders), most)


def _spill_over(relaxed: Relaxation, worth: np.ndarray) -> np.ndarray:
    """(n, T) most that one paid order adds to later free traffic, fen (world 2.8); worth (n, T, 2,
    16) if all of it were shown.
    """
    n, ticks = worth.shape[:2]
    grown = (relaxed.reach[:, 1] - relaxed.reach[:, 0]).reshape(worth.shape)
    gains = (worth * grown).sum(-1) / np.maximum(relaxed.room, 1e-9)
    keep = 1 - float(relaxed.constants["quality_speed"])
    after = np.zeros((n, 2))
    each = np.zeros((n, ticks))
    for t in range(ticks - 1, -1, -1):
        each[:, t] = (spill_over(relaxed) * after).sum(1)
        after = keep * after + gains[:, t]
    return each


def _unworn(ads: AdMarket, value: np.ndarray, price: np.ndarray) -> np.ndarray:
    """(n, T, 4) most that the auctions of a scene yield in a market that ads do not wear out."""
    auctions = ads.auctions
    best = np.zeros(value.shape)
    kappa = np.broadcast_to(price[:, None, None], value.shape)
    for reach, premium in auctions.boosts:
        for s in range(rows.N_SCENES):
            at = slice(s, None, rows.N_SCENES)
            found = auction_yield(
                value[..., at],
                kappa[..., at],
                auctions.log_price[..., at] + premium,
                auctions.tables[auctions.kinds[s]],
            )
            best[..., at] = np.maximum(best[..., at], reach * found)
    shape = (*value.shape[:2], rows.N_SEGMENTS, rows.N_SCENES)
    return (auctions.entered * best).reshape(shape).sum(2)


def _variance(relaxed: Relaxation) -> np.ndarray:
    """(n,) most that noise within ticks moves L1 - L2, divided by (1 + mu)^2: a variance in fen^2.

    Compound Poisson orders and refunds, every auction won, and one gamma factor per pool and scene;
    spend moves with the same factors.
    """
    w = relaxed.constants
    n = len(relaxed.merchants)
    price = np.maximum(relaxed.cells[:, rows.VALUE] * 1.1, 1.0)
    prices = Prices(np.ones(n), np.zeros(n), np.zeros(n))
    _, orders = order_values(w, relaxed.cells, relaxed.free_levers, prices)
    every_ad = np.ones_like(relaxed.click[..., rows.AD :])
    seen = np.concatenate([relaxed.reach[:, 1], every_ad], -1)
    lifted = np.exp(np.maximum(relaxed.order_shift, 0.0))[..., None]
    bought = relaxed.traffic * relaxed.click * seen * orders[:, None] * lifted
    by_order = (bought * price[:, None] ** 2).sum((1, 2))
    shape = (*bought.shape[:2], rows.N_POOLS, rows.N_SEGMENTS, rows.N_SCENES)
    by_group = (bought * price[:, None]).reshape(shape).sum(3)
    return by_order + float(w["dispersion"]) * (by_group**2).sum((1, 2, 3)) * 2


def _left_out(relaxed: Relaxation) -> np.ndarray:
    """(n,) fen: the most an episode can sell times the chance of all events that are left out.

    No count exceeds the quantile of the largest uniform that 23 bits hold, at the largest gamma
    factor there is.
    """
    w = relaxed.constants
    shown = relaxed.traffic * relaxed.click * gamma_factor(NODES[-1:], float(w["dispersion"]))
    shown[..., rows.AD :] *= 1 + float(w["boost_reach"])
    orders = shown + NODES[-1] * np.sqrt(shown) + LEAST_QUANTILE  # every click buys
    price = np.maximum(relaxed.cells[:, None, rows.VALUE] * 1.1, 1.0)
    return EVENTS * relaxed.traffic.shape[1] * UNLIKELY * (orders * price).sum((1, 2))
