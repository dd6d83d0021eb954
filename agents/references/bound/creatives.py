"""Creatives at their best: how fast they age, how fresh a policy can keep them, what they draw
(world 2.5, 2.8).
"""

import numpy as np

from ....envs.market import layout as rows
from ....envs.market.stages.demand import LEAST_COMMISSION
from .given import SCENE_OF_LANE, Given
from .noise import deviation
from .order_terms import logistic


def wear_kernel(w: np.void, ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Least share of the exposure added in tick u that tick t still sees, (T, T), 0 for u >= t; and
    of the exposure at the start.

    Each creative that arrives takes its share away; none is rejected. Work on creatives is at its
    usual rate, so that the ticks of arrivals are known.
    """
    left = 1 - float(w["creative_mix_share"])
    at = np.arange(ticks)
    so_far = arrivals_by(w, ticks)
    lived = so_far[:, None] - so_far
    return np.where(at[:, None] > at, left ** np.maximum(lived, 0.0), 0.0), left**so_far


def refreshes(w: np.void, ticks: int) -> np.ndarray:
    """(T,) ticks at whose end a creative can arrive at the earliest, none rejected."""
    rate = float(w["lever_default"][rows.LEVER_CREATIVE]) * float(w["days_per_tick"])
    arrives = np.zeros(ticks, bool)
    progress = 0.0
    wait = -1.0
    for t in range(ticks):
        if wait >= 0:
            wait -= float(w["hours_per_tick"])
            if wait < 0:
                arrives[t] = True
                wait = -1.0
        progress = min(progress + rate, 1.0)
        if progress >= 1 - 1e-6 and wait < 0:
            progress = 0.0
            wait = float(w["creative_delay"])
    return arrives


def arrivals_by(w: np.void, ticks: int) -> np.ndarray:
    """(T,) most creatives that can have arrived before each tick."""
    return np.concatenate([[0], np.cumsum(refreshes(w, ticks))])[:-1]


def _best_creative(w: np.void, start: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """(n, T) quality whose appeal no course of arrivals exceeds in expectation.

    Quality moves a share towards max(draw, 0) unless the creative is rejected. With a creative's
    gain g the larger E[e^(g q)] of both, taken at every arrival, comes from a dynamic program, and
    ln(.) / g of it also bounds every faded appeal (Lyapunov).
    """
    gain = max(float(w["creative_gain"]), 1e-6)
    share = float(w["creative_mix_share"])
    grid = np.linspace(0.0, 4.0, 161)
    at, weight = np.polynomial.hermite_e.hermegauss(31)
    drawn = np.maximum(float(w["creative_mean"]) + float(w["creative_sd"]) * at, 0.0)
    value = np.exp(gain * grid)
    found = [start]
    for _ in range(int(arrivals.max(initial=0))):
        moved = np.interp(
            grid[:, None] + share * (drawn - grid[:, None]), grid, value
        )  # convex: never too small
        value = np.maximum(value, moved @ weight / weight.sum())
        found.append(np.log(np.interp(start, grid, value)) / gain)
    return np.stack(found)[arrivals].T


def least_exposure(
    given: Given,
    fewest: np.ndarray,
    wear: np.ndarray,
    start_wear: np.ndarray,
) -> np.ndarray:
    """(n, T, 4) exposure of the creative mix that the fewest free impressions alone lead to, with
    bad luck: less is UNLIKELY (lemma 2).
    """
    w = given.constants
    shape = (*given.traffic.shape[:2], 2, rows.N_SEGMENTS, rows.N_SCENES)
    shown = (given.traffic[..., : rows.AD] * fewest).reshape(shape).sum(3)  # (n, T, 2, 4)
    audience = given.merchants["audience_scene"].astype(float)
    return (
        exposure_added(shown, wear, audience, float(w["dispersion"]), -1)
        + float(w["start_exposure"]) * start_wear[:, None]
    )


def exposure_added(
    shown: np.ndarray, wear: np.ndarray, audience: np.ndarray, variation: float, sign: int
) -> np.ndarray:
    """(n, T, 4) exposure that impressions add before each tick: more (sign 1) or less (sign -1) is
    UNLIKELY.

    Args:
        shown: (n, T, pools, 4) most or least impressions, their means.
        wear: (T, T) share of what tick u (column) adds that tick t (row) still sees.
        audience: (n, 4).
        variation: squared coefficient of variation of a gamma factor.
        sign: which tail.
    """
    n, ticks, pools, scenes = shown.shape
    found = np.zeros((n, ticks, scenes))
    for t in range(1, ticks):
        means = shown[:, :t].transpose(0, 3, 1, 2).reshape(n, scenes, t * pools)
        weights = np.repeat(wear[t, :t], pools) / audience[..., None]
        found[:, t] = deviation(means, weights, variation, sign)
    return found


def freshest_click(given: Given, exposure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, T, 48) CTR and (n, T) quality of creatives, with the best creative there can be, nobody
    annoyed by ads.
    """
    w = given.constants
    cells = given.cells
    ticks = exposure.shape[1]
    quality = _best_creative(
        w, given.merchants["start_creative"].astype(float), arrivals_by(w, ticks)
    )
    appeal = (
        float(w["creative_gain"])
        * quality[..., None]
        * 2.0 ** (-exposure * float(w["fatigue_rate"]))
    )
    lift = np.zeros(rows.N_LANES)
    usual = max(float(w["lever_default"][rows.LEVER_COMMISSION_AD]), LEAST_COMMISSION)
    lift[rows.AD :] = float(w["influencer_ad_lift"]) * np.log(
        usual / float(w["commission_ad_neutral"])
    )
    return logistic(cells[:, None, rows.CLICK] + appeal[..., SCENE_OF_LANE] + lift), quality
