"""Statistics of results: inter-quartile means, stratified-bootstrap intervals, profiles (rliable,
2108.13264). Comparisons of two agents are in `paired`.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

RESAMPLES = 2_000
LEVEL = 0.95
BLOCK = 4_000_000  # entries resampled at once; bounds the memory


class Interval(NamedTuple):
    """A point estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def iqm(values: np.ndarray) -> float:
    """Mean of the middle half of all entries; entries at its edges count by the part inside."""
    return float(row_iqm(np.asarray(values, float).reshape(1, -1))[0])


def row_iqm(values: np.ndarray) -> np.ndarray:
    """`iqm` of every row of (n, entries): (n,)."""
    rows = np.sort(values, axis=1)
    n = rows.shape[1]
    cut = n / 4
    weight = np.clip(np.minimum(np.arange(1, n + 1) - cut, n - cut - np.arange(n)), 0, 1)
    return (rows * weight).sum(1) / weight.sum()


def bootstrap_iqm(
    runs: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, common: bool = False
) -> Interval:
    """IQM over runs and episodes with a stratified-bootstrap interval.

    Args:
        runs: (training seeds, episodes); a rule has one row. Episodes are resampled within each run
            and, with more than one run, runs are resampled too, so that the interval covers both
            sources of noise.
        seed: of the resampling.
        resamples: number of bootstrap samples.
        common: the episodes are the same merchants in every run, so every resample takes the same
            episodes from each of its runs. Otherwise runs count as independent and five of them
            seem to know five times as many merchants.
    """
    runs = np.atleast_2d(np.asarray(runs, float))
    if common or len(runs) == 1:
        return as_interval(iqm(runs), resampled((runs,), weighted_iqm(runs), seed, resamples))
    drawn = _resampled(
        (runs,), lambda entries: row_iqm(entries.reshape(len(entries), -1)), seed, resamples
    )
    return as_interval(iqm(runs), drawn)


def weighted_iqm(runs: np.ndarray) -> "Callable[[np.ndarray, np.ndarray], float]":
    """The IQM of (runs, episodes) as a function of how often each run and each episode is counted;
    sorted only once.
    """
    order = np.argsort(runs, axis=None, kind="stable")
    values = runs.ravel()[order]
    run, episode = (part.astype(np.int32) for part in np.divmod(order, runs.shape[1]))
    return lambda of_run, of_episode: float(
        _middle_mean(
            values,
            run,
            episode,
            of_run,
            _small(of_episode),
            int(of_run.sum()) * int(of_episode.sum()),
        )
    )


def _small(counts: np.ndarray) -> np.ndarray:
    """The same counts in bytes, if they fit: a million of them stay in the cache, where a pass is
    five times as fast.
    """
    return counts.astype(np.uint8) if counts.max(initial=0) < 256 else counts


@njit(cache=True)
def _middle_mean(values, run, episode, of_run, of_episode, total):
    """Mean of the middle half of sorted values, each counted of_run * of_episode times, `total`
    times together.
    """
    low = 0.25 * total
    high = 0.75 * total
    upper, found = 0.0, 0.0
    for i in range(values.size):
        lower = upper
        upper += of_run[run[i]] * of_episode[episode[i]]
        found += values[i] * max(min(upper, high) - max(lower, low), 0.0)
        if upper >= high:
            break
    return found / (high - low)


class Profile(NamedTuple):
    """Share of (run, episode) pairs above each threshold, with point-wise 95 % bands; each
    (thresholds,).
    """

    thresholds: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def performance_profile(
    runs: np.ndarray, thresholds: np.ndarray, seed: int = 0, resamples: int = 400
) -> Profile:
    """How often runs end above each threshold: the higher curve is better, and crossings show who
    is better for whom.

    Args:
        runs: (training seeds, episodes) of common episodes.
        thresholds: increasing, (thresholds,).
        seed: of the resampling.
        resamples: number of bootstrap samples of the bands.
    """
    runs = np.atleast_2d(np.asarray(runs, float))
    passed = np.searchsorted(
        thresholds, runs, side="left"
    ).ravel()  # thresholds that an entry is above
    width = len(thresholds) + 1

    def share(of_run: np.ndarray, of_episode: np.ndarray) -> np.ndarray:
        counts = np.bincount(passed, np.outer(of_run, of_episode).ravel(), width)
        return counts[:0:-1].cumsum()[::-1] / counts.sum()

    low, high = np.quantile(
        resampled((runs,), share, seed, resamples), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0
    )
    return Profile(
        np.asarray(thresholds, float), share(np.ones(len(runs)), np.ones(runs.shape[1])), low, high
    )


def resampled(
    tables: tuple[np.ndarray, ...],
    figure: Callable[..., "float | np.ndarray"],
    seed: int,
    resamples: int,
) -> np.ndarray:
    """`figure` of bootstrap samples of (runs, episodes) tables of common episodes, (resamples,
    ...).

    A sample is how often it takes each run of each table and each episode; `figure` gets these
    counts in this order.
    """
    rng = np.random.default_rng(seed)
    episodes = tables[0].shape[1]
    drawn = []
    for _ in range(resamples):
        of_runs = [
            np.bincount(rng.integers(len(t), size=len(t)), minlength=len(t))
            if len(t) > 1
            else np.ones(1, int)
            for t in tables
        ]
        drawn.append(
            figure(*of_runs, np.bincount(rng.integers(episodes, size=episodes), minlength=episodes))
        )
    return np.array(drawn)


def _resampled(
    tables: tuple[np.ndarray, ...], figure: Callable[..., np.ndarray], seed: int, resamples: int
) -> np.ndarray:
    """`figure` of bootstrap samples of (runs, episodes) tables, (resamples,); episodes are drawn
    for each run by itself.
    """
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // sum(table.size for table in tables))
    parts = []
    for begin in range(0, resamples, size):
        samples = [
            [_sample(table, rng) for table in tables] for _ in range(min(size, resamples - begin))
        ]
        parts.append(figure(*(np.array(drawn) for drawn in zip(*samples, strict=True))))
    return np.concatenate(parts)


def _sample(table: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows = rng.integers(len(table), size=len(table)) if len(table) > 1 else np.zeros(1, int)
    return table[rows[:, None], rng.integers(table.shape[1], size=table.shape)]


def as_interval(value: float, drawn: np.ndarray) -> Interval:
    """A point estimate with the middle 95 % of its bootstrap samples."""
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
