"""Statistics of results: inter-quartile means, stratified-bootstrap intervals, profiles, chances (rliable, 2108.13264)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RESAMPLES = 2_000
LEVEL = 0.95
BLOCK = 4_000_000       # entries resampled at once; bounds the memory


class Interval(NamedTuple):
    """A point estimate with its 95 % interval."""

    value: float
    low: float
    high: float


def iqm(values: np.ndarray) -> float:
    """Mean of the middle half of all entries, quartile entries weighted by the part of them inside."""
    return float(row_iqm(np.asarray(values, float).reshape(1, -1))[0])


def row_iqm(values: np.ndarray) -> np.ndarray:
    """`iqm` of every row of (n, entries): (n,)."""
    rows = np.sort(values, axis=1)
    n = rows.shape[1]
    cut = n / 4
    weight = np.clip(np.minimum(np.arange(1, n + 1) - cut, n - cut - np.arange(n)), 0, 1)
    return (rows * weight).sum(1) / weight.sum()


def bootstrap_iqm(runs: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, common: bool = False) -> Interval:
    """IQM over runs and episodes with a stratified-bootstrap interval.

    Args:
        runs: (training seeds, episodes); a rule has one row. Episodes are resampled within each run and, with
            more than one run, runs are resampled too, so that the interval covers both sources of chance.
        seed: of the resampling.
        resamples: number of bootstrap samples.
        common: the episodes are the same merchants in every run, so every resample takes the same episodes from each of
            its runs. Otherwise runs count as independent and five of them seem to know five times as many merchants.
    """
    runs = np.atleast_2d(np.asarray(runs, float))
    drawn = _resampled((runs,), lambda entries: row_iqm(entries.reshape(len(entries), -1)), seed, resamples, common)
    return _interval(iqm(runs), drawn)


def paired_gain(after: np.ndarray, before: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """IQM of `after` over IQM of `before`, less 1, on common episodes.

    Pairing takes away what merchants differ in anyway: the interval of the gain is narrower than the two apart.

    Args:
        after, before: (runs of each, episodes), entries of a column being the same merchant and luck.
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    def gain(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        return row_iqm(one.reshape(len(one), -1)) / row_iqm(two.reshape(len(two), -1)) - 1

    after, before = (np.atleast_2d(np.asarray(values, float)) for values in (after, before))
    return _interval(float(gain(after[None], before[None])[0]), _resampled((after, before), gain, seed, resamples, True))


def probability_of_improvement(one: np.ndarray, two: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Chance that a run of `one` scores more than a run of `two` on the same episode, ties counting half.

    It is the mean over episodes of the Mann-Whitney statistic U / (runs of one * runs of two), as in rliable, whose tasks
    are episodes here.

    Args:
        one, two: (runs of each, episodes).
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    def chance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = x[:, :, None], y[:, None]
        return ((x > y).mean((1, 2, 3)) + (x >= y).mean((1, 2, 3))) / 2

    one, two = (np.atleast_2d(np.asarray(values, float)) for values in (one, two))
    return _interval(float(chance(one[None], two[None])[0]), _resampled((one, two), chance, seed, resamples, True))


class Profile(NamedTuple):
    """Share of (run, episode) pairs above each threshold, with point-wise 95 % bands; each (thresholds,)."""

    thresholds: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def performance_profile(runs: np.ndarray, thresholds: np.ndarray, seed: int = 0, resamples: int = 400) -> Profile:
    """How often runs end above each threshold: the higher curve is better, and crossings show who is better for whom.

    Args:
        runs: (training seeds, episodes) of common episodes.
        thresholds: increasing, (thresholds,).
        seed: of the resampling.
        resamples: number of bootstrap samples of the bands.
    """
    runs = np.atleast_2d(np.asarray(runs, float))
    passed = np.searchsorted(thresholds, runs, side="left")             # thresholds that an entry is above
    width = len(thresholds) + 1

    def share(entries: np.ndarray) -> np.ndarray:
        n = len(entries)
        rows = entries.reshape(n, -1) + width * np.arange(n)[:, None]
        counts = np.bincount(rows.ravel(), minlength=n * width).reshape(n, width)
        return counts[:, :0:-1].cumsum(1)[:, ::-1] / rows.shape[1]

    low, high = np.quantile(_resampled((passed,), share, seed, resamples, True), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return Profile(np.asarray(thresholds, float), share(passed[None])[0], low, high)


def _resampled(tables: tuple[np.ndarray, ...], figure: Callable[..., np.ndarray], seed: int, resamples: int,
               common: bool) -> np.ndarray:
    """`figure` of bootstrap samples of (runs, episodes) tables, (resamples, ...).

    Runs are resampled in each table; episodes in each run of a table or, if `common`, once for all runs of all tables.
    """
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // sum(table.size for table in tables))
    parts = []
    for begin in range(0, resamples, size):
        samples = [_sample(tables, rng, common) for _ in range(min(size, resamples - begin))]
        parts.append(figure(*(np.array(drawn) for drawn in zip(*samples, strict=True))))
    return np.concatenate(parts)


def _sample(tables: tuple[np.ndarray, ...], rng: np.random.Generator, common: bool) -> list[np.ndarray]:
    rows = [rng.integers(len(t), size=len(t)) if len(t) > 1 else np.zeros(1, int) for t in tables]
    episodes = tables[0].shape[1]
    shared = rng.integers(episodes, size=(1, episodes)) if common else None
    return [table[chosen[:, None], rng.integers(episodes, size=table.shape) if shared is None else shared]
            for table, chosen in zip(tables, rows, strict=True)]


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
