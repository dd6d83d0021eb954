"""Creatives at their best: how fast they age, how fresh a policy can keep them, what they draw
(world 2.5, 2.8).
"""

import numpy as np

from ....envs.market import layout as rows
from ....envs.market.demand import LEAST_COMMISSION
from .given import SCENE_OF_LANE, Given
from .order_terms import logistic


def wear_kernel(w: np.void, levers: tuple[str, ...], ticks: int) -> tuple[np.ndarray, np.ndarray]:
    """Least share of the exposure added in tick u that tick t still sees, (T, T), 0 for u >= t; and
    of the exposure at the start.

    Each creative that arrives takes its share away. Where refreshing is a lever, what was seen u
    ticks ago has lived through at most so many arrivals, whenever the policy lets them fall; none
    is rejected.
    """
    left = 1 - float(w["creative_mix_share"])
    at = np.arange(ticks)
    if "creative" in levers:
        first, gap = _refresh_ticks(w, levers)
        so_far = np.maximum(np.floor((at - first) / gap) + 1, 0)
        lived = np.minimum(np.floor((at[:, None] - at - 1) / gap) + 1, so_far[:, None])
    else:
        so_far = np.concatenate([[0], np.cumsum(refreshes(w, levers, ticks))])[:-1]
        lived = so_far[:, None] - so_far
    return np.where(at[:, None] > at, left ** np.maximum(lived, 0.0), 0.0), left**so_far


def _refresh_ticks(w: np.void, levers: tuple[str, ...]) -> tuple[int, int]:
    """Ticks before the first creative can arrive, and least ticks between two."""
    row = rows.LEVER_CREATIVE
    rate = float(w["lever_high"][row] if "creative" in levers else w["lever_default"][row]) * float(
        w["days_per_tick"]
    )
    gap = int(np.ceil((1 - 1e-6) / max(rate, 1e-9)))
    return gap + int(np.floor(float(w["creative_delay"]) / float(w["hours_per_tick"]))), gap


def refreshes(w: np.void, levers: tuple[str, ...], ticks: int) -> np.ndarray:
    """(T,) ticks at whose end a creative can arrive at the earliest, none rejected."""
    row = rows.LEVER_CREATIVE
    rate = float(w["lever_high"][row] if "creative" in levers else w["lever_default"][row]) * float(
        w["days_per_tick"]
    )
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


def _arrivals_by(w: np.void, levers: tuple[str, ...], ticks: int) -> np.ndarray:
    """(T,) most creatives that can have arrived before each tick."""
    first, gap = _refresh_ticks(w, levers)
    return np.maximum(np.floor((np.arange(ticks) - 1 - first) / gap) + 1, 0).astype(int)


def _best_creative(w: np.void, start: np.ndarray, arrivals: np.ndarray) -> np.ndarray:
    """(n, T) quality whose appeal no refresh policy exceeds in expectation.

    Quality moves a share towards max(draw, 0); a policy may stop when it likes what it has. With a
    creative's gain g the largest E[e^(g q)] over stopping rules comes from a dynamic program, and
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
    """(n, T, 4) exposure of the creative mix by the fewest free impressions alone, refreshed as
    early as the lever allows.
    """
    traffic = given.traffic
    shape = (*traffic.shape[:2], 2 * rows.N_SEGMENTS, rows.N_SCENES)
    seen = (traffic[..., : rows.AD] * fewest).reshape(shape).sum(2) / given.merchants[
        "audience_scene"
    ].astype(float)[:, None]
    return (
        np.einsum("tu,nus->nts", wear, seen)
        + float(given.constants["start_exposure"]) * start_wear[:, None]
    )


def freshest_click(given: Given, exposure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, T, 48) CTR and (n, T) quality of creatives, with the best creative there can be, nobody
    annoyed by ads.
    """
    w = given.constants
    cells = given.cells
    levers = given.levers
    ticks = exposure.shape[1]
    quality = _best_creative(
        w, given.merchants["start_creative"].astype(float), _arrivals_by(w, levers, ticks)
    )
    appeal = (
        float(w["creative_gain"])
        * quality[..., None]
        * 2.0 ** (-exposure * float(w["fatigue_rate"]))
    )
    lift = np.zeros(rows.N_LANES)
    if "commission_ad" in levers:
        top = max(float(w["lever_high"][rows.LEVER_COMMISSION_AD]), LEAST_COMMISSION)
    else:
        top = max(float(w["lever_default"][rows.LEVER_COMMISSION_AD]), LEAST_COMMISSION)
    lift[rows.AD :] = float(w["influencer_ad_lift"]) * np.log(
        top / float(w["commission_ad_neutral"])
    )
    return logistic(cells[:, None, rows.CLICK] + appeal[..., SCENE_OF_LANE] + lift), quality
