"""Statistics of results: inter-quartile means with stratified-bootstrap intervals (rliable, 2108.13264)."""

from typing import NamedTuple

import numpy as np

RESAMPLES = 2_000
LEVEL = 0.95


class Interval(NamedTuple):
    """A point estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def iqm(values: np.ndarray) -> float:
    """Mean of the middle half of all entries, quartile entries weighted by the part of them inside."""
    flat = np.sort(np.asarray(values, float), axis=None)
    n = flat.size
    cut = n / 4
    weight = np.clip(np.minimum(np.arange(1, n + 1) - cut, n - cut - np.arange(n)), 0, 1)
    return float((flat * weight).sum() / weight.sum())


def bootstrap_iqm(runs: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """IQM over runs and episodes with a stratified-bootstrap interval.

    Args:
        runs: (training seeds, episodes); a rule has one row. Episodes are resampled within each run and, with
            more than one run, runs are resampled too, so that the interval covers both sources of chance.
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    runs = np.atleast_2d(np.asarray(runs, float))
    rng = np.random.default_rng(seed)
    count, episodes = runs.shape
    estimates = np.empty(resamples)
    for i in range(resamples):
        rows = rng.integers(count, size=count) if count > 1 else np.zeros(1, int)
        columns = rng.integers(episodes, size=(count, episodes))
        estimates[i] = iqm(runs[rows[:, None], columns])
    low, high = np.quantile(estimates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(iqm(runs), float(low), float(high))
