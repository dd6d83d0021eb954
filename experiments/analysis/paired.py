"""Differences between two agents on the same merchants and the same noise."""

import numpy as np

from .statistics import LEVEL, RESAMPLES, Interval


def paired_difference(
    scores: np.ndarray, other: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean over merchants of `scores - other`, with its 95 % bootstrap interval.

    Pairing takes away what merchants differ in anyway: the interval is narrower than the two apart.

    Args:
        scores, other: (episodes,) each; entries with the same index are the same merchant.
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    difference = np.asarray(scores, float) - np.asarray(other, float)
    rng = np.random.default_rng(seed)
    n = len(difference)
    means = [difference[rng.integers(n, size=n)].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(difference.mean()), float(low), float(high))
