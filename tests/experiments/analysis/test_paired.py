"""Two agents on the same merchants: the mean difference and its interval."""

import numpy as np
import pytest
from chengfang.experiments.analysis.paired import paired_difference

RNG = np.random.default_rng(0)
MERCHANTS = RNG.lognormal(0, 1, 400)  # they differ far more than the agents do
BETTER = MERCHANTS + 0.05 + RNG.normal(0, 0.1, 400)


def test_it_is_the_mean_difference():
    found = paired_difference(BETTER, MERCHANTS)
    assert found.value == pytest.approx((BETTER - MERCHANTS).mean())
    assert 0 < found.low < found.value < found.high


def test_its_interval_is_that_of_the_differences_not_of_the_merchants():
    found = paired_difference(BETTER, MERCHANTS)
    error = (BETTER - MERCHANTS).std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_the_same_arguments_give_the_same_interval():
    assert paired_difference(BETTER, MERCHANTS) == paired_difference(BETTER, MERCHANTS)
    other = paired_difference(MERCHANTS, BETTER)
    assert other.value == pytest.approx(-paired_difference(BETTER, MERCHANTS).value)
    assert paired_difference(BETTER, BETTER) == (0.0, 0.0, 0.0)


def test_runs_are_a_source_of_noise_too():
    runs = BETTER + np.array([[-0.3], [0.0], [0.3]])
    one = paired_difference(BETTER, MERCHANTS)
    several = paired_difference(runs, MERCHANTS)
    assert several.value == pytest.approx(one.value)
    assert several.high - several.low > 5 * (one.high - one.low)
