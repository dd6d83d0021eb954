"""Inter-quartile means and their intervals against SciPy and against simulation."""

import numpy as np
import pytest
from chengfang.experiments.statistics import Interval, bootstrap_iqm, iqm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

PROPERTY = settings(max_examples=60, derandomize=True, deadline=None, database=None)
NUMBERS = st.floats(-1e6, 1e6)


@given(st.integers(1, 12).flatmap(lambda n: st.lists(NUMBERS, min_size=4 * n, max_size=4 * n)))
@PROPERTY
def test_iqm_is_the_trimmed_mean_where_quarters_are_whole(values):
    assert iqm(np.array(values)) == pytest.approx(trim_mean(values, 0.25), rel=1e-9, abs=1e-6)


@given(st.lists(NUMBERS, min_size=1, max_size=30))
@PROPERTY
def test_iqm_of_any_number_is_that_of_its_fourfold_copy(values):
    """Repeating every entry four times makes quarters whole and changes no quantile: the weights must agree."""
    assert iqm(np.array(values)) == pytest.approx(trim_mean(np.repeat(values, 4), 0.25), rel=1e-9, abs=1e-6)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.floats(-100, 100), st.floats(0.01, 100))
@PROPERTY
def test_iqm_moves_and_scales_with_its_values(values, shift, scale):
    given_ = np.array(values)
    assert iqm(given_ * scale + shift) == pytest.approx(iqm(given_) * scale + shift, rel=1e-6, abs=1e-3)


def test_iqm_ignores_order_and_shape():
    values = np.random.default_rng(0).normal(size=(6, 10))
    assert iqm(values) == pytest.approx(iqm(values.T[::-1]))
    assert iqm(values) == pytest.approx(iqm(values.ravel()))


def test_iqm_is_robust():
    values = np.concatenate([np.ones(90), np.full(10, 1e9)])
    assert iqm(values) == 1.0


def test_interval_contains_the_estimate_and_is_reproducible():
    values = np.random.default_rng(1).normal(size=(3, 50))
    one, two = bootstrap_iqm(values), bootstrap_iqm(values)
    assert isinstance(one, Interval)
    assert one == two
    assert one.low < one.value < one.high
    assert one.value == iqm(values)
    assert bootstrap_iqm(values, seed=1) != one


def test_interval_of_a_constant_has_no_width():
    assert bootstrap_iqm(np.full(20, 3.0), resamples=100) == Interval(3.0, 3.0, 3.0)


def test_one_run_may_be_given_flat():
    values = np.random.default_rng(2).normal(size=40)
    assert bootstrap_iqm(values, resamples=200) == bootstrap_iqm(values[None], resamples=200)


def test_interval_narrows_with_episodes():
    rng = np.random.default_rng(3)
    small, large = (bootstrap_iqm(rng.normal(size=n), resamples=400) for n in (40, 1600))
    assert large.high - large.low < 0.35 * (small.high - small.low)


def coverage(make, trials=150):
    inside = [(i := bootstrap_iqm(make(np.random.default_rng(t)), seed=t, resamples=250)).low <= 0 <= i.high for t in range(trials)]
    return float(np.mean(inside))


def test_coverage_over_episodes():
    """95 % intervals hold the true value (0, by symmetry) in about 95 % of simulated experiments."""
    assert 0.90 <= coverage(lambda rng: rng.normal(size=64)) <= 0.995


def test_coverage_over_runs_with_effects_of_their_own():
    """With several seeds that differ, resampling runs covers that chance too; episodes alone would not."""
    def make(rng):
        return rng.normal(size=(8, 1)) + 0.3 * rng.normal(size=(8, 32))

    assert coverage(make) >= 0.84
    narrow = [bootstrap_iqm(make(np.random.default_rng(t)).ravel(), seed=t, resamples=250) for t in range(60)]
    assert np.mean([i.low <= 0 <= i.high for i in narrow]) < 0.75
