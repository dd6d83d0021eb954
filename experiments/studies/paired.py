"""Differences between two arms on the same merchants and random numbers, with stratified-bootstrap
intervals.

Pairing removes what merchants differ in anyway; strata (scenarios) are resampled within themselves,
so that no resample holds more merchants of one market than the experiment did (the scheme of
rliable, 2108.13264, with scenarios in place of tasks).
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..analysis.statistics import LEVEL, Interval

RESAMPLES = 1_000


def paired_iqm(
    after: "np.ndarray | Sequence[np.ndarray]",
    before: "np.ndarray | Sequence[np.ndarray]",
    unit: "np.ndarray | Sequence[np.ndarray]",
    seed: int = 0,
) -> Interval:
    """Inter-quartile mean of (after - before) / unit over merchants.

    Args:
        after, before, unit: one (n,) array, or one per stratum; entries with the same index are the
            same merchant.
        seed: of the resampling.
    """
    rows = [
        (a - b) / np.maximum(u, 1e-9)
        for a, b, u in zip(*map(_strata, (after, before, unit)), strict=True)
    ]
    return _bootstrap([(row,) for row in rows], _iqm, seed)


def paired_mean(after: np.ndarray, before: np.ndarray, unit: np.ndarray, seed: int = 0) -> Interval:
    """Mean of (after - before) / unit over merchants, all (n,): for parts that sum to a whole."""
    return _bootstrap([((after - before) / np.maximum(unit, 1e-9),)], lambda row: row.mean(1), seed)


def paired_total(
    after: "np.ndarray | Sequence[np.ndarray]",
    before: "np.ndarray | Sequence[np.ndarray]",
    unit: "np.ndarray | Sequence[np.ndarray]",
    seed: int = 0,
) -> Interval:
    """Sum of (after - before) over all merchants per sum of `unit`: money adds up, so parts of an
    account sum to the whole.
    """
    rows = [(a - b, u) for a, b, u in zip(*map(_strata, (after, before, unit)), strict=True)]
    return _bootstrap(rows, lambda change, u: change.sum(1) / np.maximum(u.sum(1), 1e-9), seed)


def _strata(values: "np.ndarray | Sequence[np.ndarray]") -> list[np.ndarray]:
    return [values] if isinstance(values, np.ndarray) else list(values)


def _bootstrap(
    rows: list[tuple[np.ndarray, ...]], figure: Callable[..., np.ndarray], seed: int
) -> Interval:
    """`figure` of the strata's rows joined, with its interval; the columns of a row are resampled
    together.

    Args:
        rows: per stratum, one or more (n,) columns.
        figure: takes the columns as (resamples, n of all strata) arrays and returns (resamples,).
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    whole = [np.concatenate(columns)[None] for columns in zip(*rows, strict=True)]
    picks = [rng.integers(len(row[0]), size=(RESAMPLES, len(row[0]))) for row in rows]
    drawn = [[column[pick] for column in row] for row, pick in zip(rows, picks, strict=True)]
    estimates = figure(*(np.concatenate(columns, axis=1) for columns in zip(*drawn, strict=True)))
    low, high = np.quantile(estimates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(figure(*whole)[0]), float(low), float(high))


def _iqm(values: np.ndarray) -> np.ndarray:
    """Inter-quartile mean of every row, as `statistics.iqm`."""
    n = values.shape[1]
    weight = np.clip(np.minimum(np.arange(1, n + 1) - n / 4, 3 * n / 4 - np.arange(n)), 0, 1)
    return np.sort(values, axis=1) @ weight / weight.sum()
