"""Free traffic scheduled by what the reports show of it: every rule's mix and pace (world 2.2)."""

import math

import numpy as np

from ...envs.scenario import FREE_POOLS, SCENES
from ..policy import Reading

# Usual hours of buying by free pool: evenings in feeds and live rooms, lunch in search and malls.
BUSY_HOUR = {"natural": 20.5, "transaction": 13.0}
LEAST = 1e-6
WORTH = [f"free_value_{pool}_{scene}" for pool in FREE_POOLS for scene in SCENES]
SOLD = [f"free_pace_{pool}_{scene}" for pool in FREE_POOLS for scene in SCENES]


def mix_logits(reading: Reading, gain: float, wait: float) -> np.ndarray:
    """Logits by which to ask for free impressions, scene by scene and last the natural pool,
    (n, 5): in proportion to how much more they sell than the platform's exchange rate counts them.

    More impressions match worse, so what is reported falls as more is asked for, and the plan
    settles where it sells alike everywhere: the condition of the best mix.

    Args:
        reading: the dashboard.
        gain: logits per ln of worth.
        wait: share of the episode after which the reports are trusted in full.
    """
    worth = reading.each(WORTH).reshape(-1, len(FREE_POOLS), len(SCENES))
    sold = np.expm1(reading.each(SOLD)).reshape(worth.shape) + LEAST
    trust = np.minimum((1 - reading["time_left"]) / max(wait, LEAST), 1)[:, None]
    by_scene = (sold * worth).sum(1) / sold.sum(1)
    by_pool = (sold * worth).sum(2) / sold.sum(2)
    natural = by_pool[:, :1] - by_pool[:, 1:]
    return gain * trust * np.concatenate([by_scene, natural], 1)


def release_shape(reading: Reading, pool: str) -> np.ndarray:
    """Cosine of the time of day around the pool's busy hour, (n,): 1 at its height."""
    angle = 2 * math.pi * BUSY_HOUR[pool] / 24
    return reading["hour_cos"] * math.cos(angle) + reading["hour_sin"] * math.sin(angle)
