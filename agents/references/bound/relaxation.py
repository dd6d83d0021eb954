"""Market quantities that no policy can beat: exogenous paths as they are, what a policy moves at
its most favourable (docs/upper_bound.md).

Everything is per merchant and tick. Random quantities that nobody can foresee from within a tick
(counts, the gamma factors behind them) enter by their means; demand and price shocks enter as they
will be.
"""

from typing import NamedTuple

import numpy as np

from ....envs import Market, Setting
from ....envs.market import layout as rows
from .creatives import freshest_click, least_exposure, wear_kernel
from .free_quality import (
    above_chord,
    best_signals,
    quality_paths,
    quality_room,
    shown_share,
    usual_supply,
)
from .given import SCENE_OF_LANE, Given

COLDEST, WARMEST = 0.05, 20.0  # least and most warmth of a tier that count


class Relaxation(NamedTuple):
    """Upper limits for n merchants over T ticks."""

    constants: np.void  # WORLD record
    merchants: np.ndarray  # (n,) MERCHANT records
    cells: np.ndarray  # (n, rows, 48)
    # (n, T, 48) opportunities per tick, mean over the gamma factors; ads: increment only
    traffic: np.ndarray
    price: np.ndarray  # (n, T, 4) shift of ln Z without our own share of voice
    click: np.ndarray  # (n, T, 48) CTR without user pressure, creatives at their freshest
    order_shift: np.ndarray  # (n, T) order logit of calendar and tier heat
    # (n, 2, T, 32) most free opportunities that show the product, per opportunity: without what ad
    # orders add to the quality and with the most
    reach: np.ndarray
    room: np.ndarray  # (n, T, 2) most that ad orders add to the quality of both pools
    fewest: np.ndarray  # (n, T, 32) least share shown, whatever a policy does
    exposure: np.ndarray  # (n, T, 4) least exposure of the creative mix
    # (T, T) least share of the exposure added in tick u (column) that tick t (row) still sees
    wear: np.ndarray
    creative: np.ndarray  # (n, T) highest quality of the creative mix
    free_levers: tuple[str, ...]

    @property
    def top_click(self) -> np.ndarray:
        """(n,) highest click logit of any lane."""
        return np.log(self.click / (1 - self.click)).max((1, 2))

    def worn_click(self, worn: np.ndarray) -> np.ndarray:
        """(n, T, 4) least CTR after `worn` more exposures over CTR, for every lane of a scene."""
        rate = float(self.constants["fatigue_rate"])
        gain = float(self.constants["creative_gain"])
        fresh = gain * self.creative[..., None] * 2.0 ** (-self.exposure * rate)
        down = fresh * (1 - 2.0 ** (-worn * rate))
        top = self.top_click[:, None, None]
        return np.exp(-down) * (1 + np.exp(top)) / (1 + np.exp(top - down))


class Paths(NamedTuple):
    """What happens to n merchants whatever a policy does, over T ticks."""

    price: np.ndarray  # (n, T, 4) shift of ln Z
    order: np.ndarray  # (n, T) shift of the order logit by the calendar
    heat: np.ndarray  # (n, T, 3) heat of the tiers at the default mix


def relax(setting: Setting, seeds: np.ndarray) -> Relaxation:
    """Follow a plan that does nothing on every seed, and take the best a policy could do to what it
    leaves behind.

    Args:
        setting: what is played.
        seeds: (n,) streams.
    """
    given, paths = follow(setting, seeds)
    w, merchants, cells, traffic, levers = given
    ticks = traffic.shape[1]
    order_shift = paths.order + heat_shift(w, paths.heat)
    low, high = quality_paths(given, np.ones((len(merchants), ticks, 2)))
    supply = usual_supply(w, ticks)
    # of a plan whose ads are no increment, all free traffic may be displaced
    fewest = shown_share(w, cells, low, supply) * float(bool(w["incremental"]))
    wear, start_wear = wear_kernel(w, ticks)
    exposure = least_exposure(given, fewest, wear, start_wear)
    click, creative = freshest_click(given, exposure)
    best_quality = np.full_like(low, float(w["quality_limit"]))
    most_shown = shown_share(w, cells, best_quality, supply)
    signals = best_signals(given, click, order_shift, fewest, most_shown)
    _, high = quality_paths(given, signals)
    room = quality_room(given, click, order_shift, high)
    reach = np.stack([shown_share(w, cells, x, supply) for x in (high, high + room)], 1)
    reach += above_chord(w, reach, room)
    return Relaxation(
        w,
        merchants,
        cells,
        traffic,
        paths.price,
        click,
        order_shift,
        reach,
        room,
        fewest,
        exposure,
        wear,
        creative,
        levers,
    )


def follow(setting: Setting, seeds: np.ndarray) -> tuple[Given, Paths]:
    """The market and its exogenous paths, read off a plan that does nothing."""
    market = Market.of(setting, len(seeds), noop=True)
    market.reset(seeds=seeds)
    w = market.world.constants[0]
    merchants = market.merchants.copy()
    cells = market.cells.astype(float)
    start = market.states.copy()
    ticks = market.ticks
    demand, price, heat = (np.zeros((len(seeds), ticks, k)) for k in (4, 4, 3))
    nothing = np.zeros((len(seeds), len(setting.levers)), np.float32)
    for t in range(ticks):
        heat[:, t] = market.states["heat"]
        market.step(nothing)
        demand[:, t] = market.states["demand_shock"]
        price[:, t] = market.states["price_shock"]
    per_day = int(w["ticks_per_day"])
    day = np.arange(ticks) // per_day
    calendar = market.world.calendar[:, start["calendar"][:, None] + day].astype(float)  # (3, n, T)
    hours = market.world.hours[:, np.arange(ticks) % per_day].T.astype(float)  # (T, 4)
    market.close()
    week = w["weekday"].astype(float)[(start["weekday"][:, None] + day) % 7]
    shock = np.exp(demand - float(w["demand_correction"]))
    scene = (week * calendar[0])[..., None] * hours * shock
    traffic = cells[:, None, rows.TRAFFIC] * scene[..., SCENE_OF_LANE]
    if w["incremental"]:
        increment = 1 - w["cannibalisation"].astype(float)
        traffic[..., rows.AD :] *= increment[SCENE_OF_LANE[rows.AD :]]
    paths = Paths(price + calendar[1][..., None], calendar[2], heat)
    return Given(w, merchants, cells, traffic, tuple(setting.levers)), paths


def heat_shift(w: np.void, heat: np.ndarray) -> np.ndarray:
    """(n, T) order logit of the heat (n, T, 3) that the usual mix of tiers leaves."""
    usual = np.exp(w["log_mix"].astype(float))
    mix = usual / usual.sum()
    warmth = np.clip(heat / np.maximum(mix, 1e-3), COLDEST, WARMEST)
    warmer = np.log(warmth) - w["log_warmth"].astype(float)
    return float(w["heat_elasticity"]) * (mix * warmer).sum(-1)


def spill_over(relaxed: Relaxation) -> np.ndarray:
    """(n, 2) what one ad order adds to the quality index of both free pools; nothing where it would
    take away.
    """
    per_order = np.maximum(relaxed.constants["spill_over"].astype(float), 0.0)
    reference = relaxed.merchants["ad_orders_reference"].astype(float)
    return per_order / np.maximum(reference, 1e-6)[:, None]
