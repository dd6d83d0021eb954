"""Our statistics against rliable's, and the properties they must have."""

import warnings

import numpy as np
import pytest
from chengfang.experiments.analysis.paired import paired_gain, probability_of_improvement
from chengfang.experiments.analysis.statistics import (
    bootstrap_iqm,
    iqm,
    performance_profile,
    row_iqm,
    weighted_iqm,
)
from hypothesis import given, settings
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    rly = pytest.importorskip("rliable.library")
    metrics = pytest.importorskip("rliable.metrics")

RNG = np.random.default_rng(3)
ONE = RNG.normal(3.0, 1.0, (5, 64))
TWO = RNG.normal(2.8, 1.2, (5, 64))


def test_the_interquartile_mean_is_rliables():
    assert iqm(ONE) == pytest.approx(
        metrics.aggregate_iqm(ONE), rel=1e-12
    )  # 320 entries: the quartiles fall between entries


def test_entries_at_the_quartiles_count_in_part():
    assert iqm(np.array([0.0, 1.0, 2.0, 3.0, 4.0])) == pytest.approx(
        (0.75 * 1 + 2 + 0.75 * 3) / 2.5
    )
    assert iqm(np.array([7.0])) == 7.0


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_bootstrap_of_one_task_agrees_with_rliables_interval():
    """Stratified by run there; our runs are resampled as well, so ours may only be wider."""
    scores = {"one": ONE}
    point, interval = rly.get_interval_estimates(
        scores,
        lambda x: np.array([metrics.aggregate_iqm(x)]),
        reps=2000,
        random_state=np.random.RandomState(0),
    )
    ours = bootstrap_iqm(ONE)
    assert ours.value == pytest.approx(point["one"][0], rel=1e-12)
    width = interval["one"][1, 0] - interval["one"][0, 0]
    assert 0.9 * width < ours.high - ours.low < 1.8 * width
    assert abs((ours.high + ours.low) / 2 - interval["one"].mean()) < 0.15 * width


def test_the_chance_to_improve_is_rliables():
    assert probability_of_improvement(ONE, TWO).value == pytest.approx(
        metrics.probability_of_improvement(ONE, TWO), rel=1e-6
    )
    assert probability_of_improvement(ONE, ONE).value == pytest.approx(0.5)


def test_the_profile_is_rliables():
    at = np.linspace(0, 6, 25)
    theirs, _ = rly.create_performance_profile({"one": ONE}, at, reps=50)
    profile = performance_profile(ONE, at)
    np.testing.assert_allclose(profile.value, theirs["one"], atol=1e-12)
    assert (profile.low <= profile.value + 1e-12).all()
    assert (profile.high >= profile.value - 1e-12).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 4), st.integers(2, 30), st.integers(0, 10_000))
def test_counting_an_episode_twice_is_having_it_twice(runs, episodes, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(runs, episodes))
    counts = rng.integers(0, 3, episodes)
    rows = rng.integers(0, 3, runs)
    counts[0], rows[0] = 1, 1
    spelled = np.repeat(np.repeat(values, counts, axis=1), rows, axis=0)
    assert weighted_iqm(values)(rows, counts) == pytest.approx(iqm(spelled), rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.1, 10), st.floats(-5, 5))
def test_the_interquartile_mean_moves_with_scale_and_shift(seed, scale, shift):
    values = np.random.default_rng(seed).normal(size=(3, 17))
    assert iqm(scale * values + shift) == pytest.approx(
        scale * iqm(values) + shift, rel=1e-9, abs=1e-9
    )
    np.testing.assert_allclose(row_iqm(values), [iqm(row) for row in values])


def test_common_episodes_make_an_interval_as_wide_as_one_run_knows():
    merchants = np.random.default_rng(0).normal(3, 1, 200)
    runs = merchants + np.random.default_rng(1).normal(0, 0.01, (5, 200))
    alone = bootstrap_iqm(merchants[None])
    common = bootstrap_iqm(runs, common=True)
    apart = bootstrap_iqm(runs)
    assert (common.high - common.low) == pytest.approx(alone.high - alone.low, rel=0.15)
    assert (apart.high - apart.low) < 0.6 * (alone.high - alone.low)


def test_pairing_sees_a_small_gain_on_the_same_merchants():
    merchants = np.random.default_rng(0).normal(3, 1, (1, 400))
    gain = paired_gain(merchants * 1.01, merchants)
    assert gain.value == pytest.approx(0.01)
    assert gain.low > 0.009


def test_the_same_seed_gives_the_same_interval():
    assert bootstrap_iqm(ONE, seed=4) == bootstrap_iqm(ONE, seed=4)
    assert bootstrap_iqm(ONE, seed=4) != bootstrap_iqm(ONE, seed=5)
