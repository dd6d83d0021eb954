"""Elementary functions against scipy in float64, each within a stated error."""

import numba
import numpy as np
import pytest
from chengfang.envs.kernels import numerics
from scipy import special, stats

F = np.float32


def over(name):
    """The compiled scalar function as a loop over an array."""
    function = getattr(numerics, name)

    @numba.njit
    def loop(x):
        out = np.empty_like(x)
        for i in range(x.size):
            out[i] = function(x[i])
        return out

    return loop


def relative(got, expected):
    return np.abs(got / expected - 1).max()


def test_exp32_is_right_to_3e_7_relative():
    x = np.linspace(-86.5, 87.5, 400_001).astype(F)
    assert relative(over("exp32")(x), np.exp(x.astype(float))) < 3e-7


def test_exp32_stays_finite_beyond_its_range():
    low, high = over("exp32")(np.array([-1e30, 1e30], F))
    assert 0 < low < 2e-38
    assert 1e38 < high < np.inf


@pytest.mark.parametrize(("low", "high"), [(-37, -0.01), (-0.01, 0.01), (0.01, 38)])
def test_log32_is_right_to_3e_7(low, high):
    x = np.power(10.0, np.linspace(low, high, 400_001)).astype(F)
    exact = np.log(x.astype(float))
    assert (np.abs(over("log32")(x) - exact) / np.maximum(np.abs(exact), 1)).max() < 3e-7


def test_log32_near_one_keeps_its_relative_error():
    x = (1 + np.linspace(-1e-3, 1e-3, 200_001)).astype(F)
    x = x[x != 1]
    assert relative(over("log32")(x), np.log(x.astype(float))) < 5e-7
    assert over("log32")(np.ones(1, F))[0] == 0


def test_logistic_is_right_to_5e_7_relative():
    x = np.linspace(-86, 86, 400_001).astype(F)
    assert relative(over("logistic")(x), special.expit(x.astype(float))) < 5e-7


def test_normal_cdf_centre_is_right_to_5e_7():
    x = np.linspace(-5, 5, 400_001).astype(F)
    assert np.abs(over("normal_cdf")(x) - stats.norm.cdf(x.astype(float))).max() < 5e-7


@pytest.mark.parametrize(("low", "high"), [(-3, 0), (-6, -3), (-12, -6)])
def test_normal_cdf_lower_tail_keeps_its_relative_error(low, high):
    """5e-7, and what rounding the exponent x^2 / 2 to float32 costs: five roundings of 2^-24."""
    x = np.linspace(low, high, 200_001).astype(F)
    exact = stats.norm.cdf(x.astype(float))
    assert (
        np.abs(over("normal_cdf")(x) / exact - 1) < 5e-7 + 5 * 2.0**-24 * x.astype(float) ** 2 / 2
    ).all()


def test_normal_cdf_is_a_probability_everywhere():
    x = np.concatenate([np.linspace(-50, 50, 100_001), [-1e30, 1e30]]).astype(F)
    p = over("normal_cdf")(x)
    assert (p >= 0).all()
    assert (p <= 1).all()
    assert (np.diff(p[:-2]) >= -3e-7).all()


def test_normal_quantile_is_right_to_3e_6():
    """At every distance from the ends that a 23-bit uniform can have."""
    ends = np.arange(4096)
    middle = np.linspace(0, 2**23 - 1, 500_000).astype(int)
    steps = np.unique(np.concatenate([ends, middle, 2**23 - 1 - ends]))
    u = ((steps + 0.5) * 2.0**-23).astype(F)
    exact = stats.norm.ppf(u.astype(float))
    got = over("normal_quantile")(u)
    assert (np.abs(got - exact) / np.maximum(np.abs(exact), 1)).max() < 3e-6


def test_sine_and_cosine_of_turns_are_right_to_4e_7():
    x = np.linspace(-3, 3, 200_001).astype(np.float32)
    exact = 2 * np.pi * x.astype(float)
    assert np.abs(over("sine_of_turns")(x) - np.sin(exact)).max() < 4e-7
    assert np.abs(over("cosine_of_turns")(x) - np.cos(exact)).max() < 4e-7
