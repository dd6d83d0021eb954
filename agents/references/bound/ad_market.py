"""What the ad program needs to know of n merchants' markets: everything but the multipliers.

Letters, as in docs/upper_bound.md: D is the extra exposure that a policy's own impressions add to
the creatives of a scene, X the pressure on a segment's users, eta the rise of ln Z that a policy's
own share of voice brings about. The ad lanes are (segment, scene), the
scene running fastest.
"""

from typing import NamedTuple

import numpy as np

from ....envs.market import layout as rows
from .creatives import exposure_added, wear_kernel
from .noise import deviation, loudest
from .price_of_winning import bend_table, yield_table
from .relaxation import Relaxation, spill_over

SCENES = rows.N_SCENES
SEGMENTS = rows.N_SEGMENTS
AD_LANES = SCENES * SEGMENTS
WIDTHS = 50.0  # bends are tabulated for so many widths per unit of ln Z, the next wider one is used


class Auctions(NamedTuple):
    """Ad auctions and what winning them costs."""

    entered: np.ndarray  # (n, T, 16) auctions per tick, their mean
    log_price: np.ndarray  # (n, T, 16) mean of ln Z, eta left out
    dearest: np.ndarray  # (n, T) largest eta
    price_keep: float  # share of eta that a tick keeps
    price_reaction: float  # what a tick's share of voice adds to eta
    boosts: np.ndarray  # (B, 2) factor on auctions and shift of ln Z to choose from
    tables: np.ndarray  # (kinds of spread, x) what an auction yields
    bends: np.ndarray  # (n, kinds of spread, x) how far it is from convex within `dearest`
    kinds: np.ndarray  # (4,) kind of spread of each scene


class Wear(NamedTuple):
    """How a policy's own impressions age the creatives."""

    click: np.ndarray  # (n, T, 4) least CTR at the largest D over that at D = 0
    most: np.ndarray  # (n, T, 4) largest D
    kept: np.ndarray  # (T, T) share of what tick u (column) adds to D that tick t still sees
    audience: np.ndarray  # (n, 4) members of each scene's audience


class Pressure(NamedTuple):
    """How ad impressions press on users."""

    most: np.ndarray  # (n, T + 1, 4) largest X
    usual: np.ndarray  # (n, T + 1, 4) X on the reference path
    audience: np.ndarray  # (n, 4) members of each segment's audience
    logit: float  # click logit lost per X
    keep: float  # share of X that a tick keeps
    top_click: np.ndarray  # (n,) highest click logit of any lane


class FreeLanes(NamedTuple):
    """Free traffic of both pools."""

    people: np.ndarray  # (n, T, 2, 16) opportunities per member of the scene's audience
    fewest: np.ndarray  # (n, T, 2, 16) least share of them that is shown
    most: np.ndarray  # (n, 2, T, 2, 16) largest, by ends of extra quality


class Quality(NamedTuple):
    """The quality index that ad orders add to."""

    room: np.ndarray  # (n, T, 2) most extra quality of both free pools
    spill: np.ndarray  # (n, 2) extra quality from one ad order
    keep: float  # share of it that a tick keeps


class AdMarket(NamedTuple):
    """All of it, for n merchants over T ticks; `ad_program` cuts one merchant out of it."""

    auctions: Auctions
    wear: Wear
    pressure: Pressure
    free: FreeLanes
    quality: Quality


def ad_market(relaxed: Relaxation) -> AdMarket:
    """What `ad_program.program` needs of a market, multipliers apart."""
    entered = relaxed.traffic[..., rows.AD :]
    boosts = boost_choices(relaxed)
    shape = (*entered.shape[:2], SEGMENTS, SCENES)
    most_bought = entered.reshape(shape) * boosts[:, 0].max()
    shape = (*entered.shape[:2], 2, AD_LANES)
    audience = np.asarray(relaxed.merchants["audience_scene"], float)
    people = relaxed.traffic[..., : rows.AD].reshape(shape)
    w = relaxed.constants
    return AdMarket(
        _auctions(relaxed, entered, boosts),
        _wear(relaxed, most_bought, audience),
        _pressure(relaxed, entered, most_bought),
        FreeLanes(
            people / np.tile(audience, SEGMENTS)[:, None, None],
            relaxed.fewest.reshape(shape),
            relaxed.reach.reshape(len(entered), 2, *shape[1:]),
        ),
        Quality(relaxed.room, spill_over(relaxed), 1 - float(w["quality_speed"])),
    )


def boost_choices(relaxed: Relaxation) -> np.ndarray:
    """(B, 2) factors on auctions and shifts of ln Z: with the usual boost, and once its budget is
    used up.
    """
    w = relaxed.constants
    levels = np.unique([0.0, float(w["lever_default"][rows.LEVER_BOOST])])
    return np.stack([1 + float(w["boost_reach"]) * levels, float(w["boost_premium"]) * levels], 1)


def _auctions(relaxed: Relaxation, entered: np.ndarray, boosts: np.ndarray) -> Auctions:
    w = relaxed.constants
    reaction = float(w["price_reaction"])
    keep = float(w["price_keep"])
    shape = (*entered.shape[:2], SEGMENTS, SCENES)
    voices = loudest(entered.reshape(shape).sum(2), keep, float(w["dispersion"]))
    dearest = reaction * voices
    sigma = relaxed.cells[0, rows.PRICE_SIGMA, rows.AD : rows.AD + SCENES]
    spreads, kinds = np.unique(sigma, return_inverse=True)
    spreads = [round(float(spread), 9) for spread in spreads]
    first_price = bool(w["first_price"])
    widths = np.ceil(dearest.max(1) * WIDTHS) / WIDTHS
    return Auctions(
        entered,
        relaxed.cells[:, None, rows.PRICE_MU, rows.AD :] + np.tile(relaxed.price, SEGMENTS),
        dearest,
        keep,
        reaction,
        boosts,
        np.stack([yield_table(spread, first_price) for spread in spreads]),
        np.stack(
            [[bend_table(spread, first_price, float(x)) for spread in spreads] for x in widths]
        ),
        kinds.astype(np.int64),
    )


def _wear(relaxed: Relaxation, most_bought: np.ndarray, audience: np.ndarray) -> Wear:
    w = relaxed.constants
    ticks = len(relaxed.wear)
    free = relaxed.traffic[..., : rows.AD] * relaxed.reach[:, 1]
    free = free.reshape(*free.shape[:2], 2, SEGMENTS, SCENES).sum(3)
    shown = np.concatenate([free, most_bought.sum(2)[:, :, None]], 2)
    added = exposure_added(shown, relaxed.wear, audience, float(w["dispersion"]), 1)
    old = float(w["start_exposure"]) * wear_kernel(w, ticks)[1]
    most = np.maximum(added + old[:, None] - relaxed.exposure, 0.0)
    return Wear(relaxed.worn_click(most), most, relaxed.wear, audience)


def _pressure(relaxed: Relaxation, entered: np.ndarray, most_bought: np.ndarray) -> Pressure:
    """Pressure if every auction were won, and along the reference path.

    The reference path wins the `audience` of ads a day, or as many as the budget pays for.
    """
    w = relaxed.constants
    n, ticks = entered.shape[:2]
    audience = np.asarray(relaxed.merchants["audience_segment"], float)
    per_day = int(w["ticks_per_day"])
    paid_for = relaxed.merchants["budget"] / (relaxed.merchants["binding_spend"] * ticks / per_day)
    pace = np.minimum(paid_for, 1.0)[:, None]
    total = np.maximum(entered.sum((1, 2)), 1e-9)[:, None]
    typical = float(w["audience"]) * pace * entered.sum(-1) / total * ticks / per_day
    keep = float(w["pressure_keep"])
    most = np.zeros((n, ticks + 1, SEGMENTS))
    usual = np.zeros((n, ticks + 1, SEGMENTS))
    for t in range(ticks):
        past = most_bought[:, : t + 1].transpose(0, 2, 1, 3).reshape(n, SEGMENTS, -1)
        weights = np.repeat(keep ** np.arange(t, -1, -1.0), SCENES)
        most[:, t + 1] = deviation(past, weights / audience[..., None], float(w["dispersion"]), 1)
        usual[:, t + 1] = keep * usual[:, t] + typical[:, t, None]
    return Pressure(
        most,
        np.minimum(usual, most),
        audience,
        float(w["pressure"]),
        keep,
        relaxed.top_click,
    )
