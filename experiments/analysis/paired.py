"""Two agents on the same merchants and noise: the difference, the gain, the chance of being better.

Pairing takes away what merchants differ in anyway: the interval of a difference is narrower than
the two intervals apart.
"""

import numpy as np

from .statistics import RESAMPLES, Interval, as_interval, iqm, resampled, weighted_iqm


def paired_difference(
    scores: np.ndarray, other: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Mean over merchants of `scores` less `other`, in their unit, with a 95 % bootstrap interval.

    Args:
        scores, other: (episodes,), or (runs of each, episodes); entries of a column are the same
            merchant and noise.
        seed: of the resampling; the same arguments give the same interval.
        resamples: number of bootstrap samples. Merchants are resampled, and runs where there are
            several.
    """
    one, two = (np.atleast_2d(np.asarray(values, float)) for values in (scores, other))

    def difference(of_one: np.ndarray, of_two: np.ndarray, of_episode: np.ndarray) -> float:
        means = of_one @ one / of_one.sum() - of_two @ two / of_two.sum()
        return float(means @ of_episode) / of_episode.sum()

    value = float((one.mean(0) - two.mean(0)).mean())
    return as_interval(value, resampled((one, two), difference, seed, resamples))


def paired_gain(
    after: np.ndarray, before: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """IQM of `after` over IQM of `before`, less 1, on common episodes: 0.01 is 1 % more.

    Args:
        after, before: (runs of each, episodes); entries of a column are the same merchant and
            noise.
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    after, before = (np.atleast_2d(np.asarray(values, float)) for values in (after, before))
    one = weighted_iqm(after)
    two = weighted_iqm(before)

    def gain(of_after: np.ndarray, of_before: np.ndarray, of_episode: np.ndarray) -> float:
        return one(of_after, of_episode) / two(of_before, of_episode) - 1

    value = iqm(after) / iqm(before) - 1
    return as_interval(value, resampled((after, before), gain, seed, resamples))


def probability_of_improvement(
    one: np.ndarray, two: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Chance that a run of `one` scores more than a run of `two` on the same episode, ties counting
    half.

    It is the mean over episodes of the Mann-Whitney statistic U / (runs of one * runs of two), as
    in rliable, whose tasks are episodes here.

    Args:
        one, two: (runs of each, episodes).
        seed: of the resampling.
        resamples: number of bootstrap samples.
    """
    one, two = (np.atleast_2d(np.asarray(values, float)) for values in (one, two))
    above = (one[:, None] > two).astype(np.float32)
    wins = (above + (one[:, None] >= two)) / 2  # (runs of one, runs of two, episodes)

    def chance(of_one: np.ndarray, of_two: np.ndarray, of_episode: np.ndarray) -> float:
        return float(of_one @ (wins @ of_episode.astype(np.float32)) @ of_two) / (
            of_one.sum() * of_two.sum() * of_episode.sum()
        )

    value = float(wins.mean(dtype=float))
    return as_interval(value, resampled((one, two), chance, seed, resamples))
