"""Tails, mixes and smoothed ratios of the bound: against Monte Carlo, exact binomial intervals and
policies that react to luck.
"""

import numpy as np
import pytest
from chengfang.agents.references.bound.noise import (
    deviation,
    gamma_factor,
    highest_mix,
    log_moment,
    smoothed_ratios,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

DRAWS = 40_000
VARIATION = 0.02


def surely_at_most(hits: int, draws: int, chance: float) -> bool:
    """Whether a chance of at most `chance` is not refuted: the exact (Clopper-Pearson) lower limit
    of 99.9 % confidence.
    """
    return hits == 0 or bool(beta.ppf(0.001, hits, draws - hits + 1) <= chance)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("level", [0.3, 5.0, 400.0])
@pytest.mark.parametrize("greedy", [False, True])
def test_no_more_sums_leave_the_interval_than_allowed(sign, level, greedy):
    """Also where a policy raises or cuts the intensity by what has come so far."""
    rng = np.random.default_rng([int(level), sign + 1, greedy])
    weights = 0.9 ** np.arange(12)[::-1]
    limits = level * rng.uniform(0.5, 2, 12)
    for chance in (0.05, 0.005):
        value = deviation(limits, weights, VARIATION, sign, chance)
        total = np.zeros(DRAWS)
        for u in range(12):
            gamma = gamma_factor(rng.standard_normal(DRAWS), VARIATION)
            react = 1.0
            if greedy:  # less than the limit (more, in the lower tail) once luck has turned
                lucky = sign * (total - (limits * weights)[:u].sum()) > 0
                react = np.where(lucky, 1.0, 1 - 0.3 * sign)
            total += weights[u] * rng.poisson(gamma * limits[u] * react)
        hits = int((sign * (total - value) > 1e-9).sum())
        assert surely_at_most(hits, DRAWS, chance)


def test_the_interval_is_not_much_wider_than_it_has_to_be():
    value = deviation(np.full(24, 300.0), np.ones(24), VARIATION, 1, 0.01)
    exact = 7200 + 2.326 * np.sqrt(7200 + 24 * VARIATION * 300.0**2)
    assert exact < value < 7200 + 1.5 * (exact - 7200)


def test_the_moment_of_a_gamma_factor_is_not_too_small():
    rng = np.random.default_rng(0)
    gamma = gamma_factor(np.clip(rng.standard_normal(400_000), -5.3, 5.3), VARIATION)
    for slope in (-30.0, -2.0, -0.1, 0.0, 0.3, 4.0, 12.0):
        sample = np.exp(slope * (gamma - 1))
        slack = 4 * sample.std() / np.sqrt(len(sample))
        found = np.exp(float(log_moment(np.array(slope), VARIATION)) - slope)
        assert sample.mean() - slack <= found <= 1.05 * sample.mean() + slack
    assert gamma.mean() <= 1 + 4 * gamma.std() / np.sqrt(len(gamma))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8))
def test_no_weights_within_the_intervals_mix_to_more(seed, lanes):
    rng = np.random.default_rng(seed)
    least = rng.exponential(1, lanes) * rng.integers(0, 2, lanes)
    most = least + rng.exponential(1, lanes)
    rate = rng.exponential(1, lanes)
    found = highest_mix(least[None], most[None], rate[None])[0]
    corners = least + (most - least) * rng.integers(0, 2, (300, lanes))
    inside = least + (most - least) * rng.uniform(0, 1, (300, lanes))
    weights = np.concatenate([corners, inside])
    weights = weights[weights.sum(1) > 0]
    assert ((weights * rate).sum(1) / weights.sum(1) <= found + 1e-12).all()
    assert found <= rate.max() + 1e-12


@pytest.mark.parametrize("shown", [(30, 60), (200, 800)])
def test_no_supply_cut_after_luck_lifts_the_mean_ratio_above_the_bound(shown):
    """The adversary shows few when the smoothed ratio is above the rate and many when it is below:
    the mean of the ratio rises above the rate, and stays below what is computed.
    """
    rng = np.random.default_rng(shown[0])
    rate, keep, ticks, copies = 0.05, 0.78, 24, 60_000
    few, many = shown
    happened = np.full(copies, rate)
    out_of = np.ones(copies)
    low_past, high_past = 1.0, 1.0
    means, least, most = [], [], []
    for _ in range(ticks):
        count = np.where(happened / out_of > rate, few, many)
        clicks = rng.binomial(count, rate)
        happened = keep * happened + (1 - keep) * clicks
        out_of = keep * out_of + (1 - keep) * count
        means.append((happened / out_of).mean())
        least.append(keep * low_past / (keep * low_past + (1 - keep) * many))
        most.append(keep * high_past / (keep * high_past + (1 - keep) * few))
        low_past = keep * low_past + (1 - keep) * few
        high_past = keep * high_past + (1 - keep) * many
    shape = (1, ticks, 1)
    found = smoothed_ratios(
        np.full(shape, rate),
        (1 - np.reshape(least, shape)) ** 2 * rate / few,
        (np.reshape(least, shape), np.reshape(most, shape)),
        np.full((1, 1), rate),
    )[0, :, 0]
    error = 4 * np.sqrt(rate / few / copies)
    assert max(means) > rate + error  # the adversary does gain
    assert (np.array(means) <= found + error).all()
