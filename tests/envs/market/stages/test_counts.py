"""Random numbers and counts against their exact laws.

Two kinds of evidence: a grid of uniforms gives a sampler's law without Monte-Carlo error; 200,000
    draws from the
engine's own stream must agree with the exact law within 5 standard errors (and chi-square p >
1e-6).
"""

import numba
import numpy as np
import pytest
from chengfang.envs.kernels import streams
from chengfang.envs.market import layout as rows
from chengfang.envs.market.stages import counts as sampling
from scipy import stats

F = np.float32
U = np.uint64
# DRAWS is a multiple of 48
DRAWS = 200_016
SIGMAS = 5.0
LEAST_P = 1e-6
LANES = 48
GROUPS = 12
MEANS = (0.001, 0.01, 0.1, 0.5, 1.0, 3.0, 3.9, 4.1, 7.9, 8.0, 12.0, 30.0, 100.0, 1000.0, 5000.0)
INVERTED = [mean for mean in MEANS if mean < sampling.LARGE]
APPROXIMATED = [mean for mean in MEANS if mean >= sampling.LARGE]


LANE = np.zeros((rows.LANE_ROWS, LANES), F)


@pytest.fixture(scope="module", autouse=True)
def _block(harness):
    """The lanes as the samplers take them."""
    global BLOCK
    BLOCK = harness.block(LANE, "LANE")


def poisson_rows(mean, uniform):
    count = np.zeros_like(uniform)
    LANE[rows.MEAN_SEEN : rows.MEAN_SEEN + rows.N_OUTCOMES] = mean
    for i in range(uniform.shape[0]):
        LANE[rows.UNIFORM : rows.UNIFORM + rows.N_OUTCOMES] = uniform[i]
        sampling.poisson(BLOCK)
        count[i] = LANE[rows.SEEN + i % rows.N_OUTCOMES]  # every outcome is drawn alike
    return count


def binomial_rows(number, chance, uniform):
    count = np.zeros_like(uniform)
    for i in range(uniform.shape[0]):
        LANE[sampling.NUMBER, :GROUPS] = number
        LANE[sampling.CHANCE, :GROUPS] = chance
        LANE[rows.UNIFORM : rows.UNIFORM + rows.N_OUTCOMES, :GROUPS] = uniform[i]
        sampling.binomial(BLOCK)
        count[i] = LANE[sampling.DRAW, :GROUPS]
    return count


@numba.njit
def uniform_rows(keys, slot, n):
    out = np.zeros((keys.size, n), np.float32)
    for i in range(keys.size):
        streams.fill_uniform(keys[i], slot, out[i], n)
    return out


@numba.njit
def tick_keys(seeds, episode, split, ticks):
    out = np.zeros((seeds.size, ticks), np.uint64)
    for i in range(seeds.size):
        key = streams.episode_key(seeds[i], episode, split)
        for t in range(ticks):
            out[i, t] = streams.tick_key(key, t)
    return out


def stream(count, lanes, seed=0, slot=64):
    keys = tick_keys(
        np.arange(seed, seed + 16, dtype=U), 0, streams.TRAIN, -(-count // lanes // 16)
    ).ravel()
    return uniform_rows(keys[: count // lanes], slot, lanes)


def grid(lanes):
    n = 4096 * lanes
    return ((np.arange(n) + 0.5) / n).astype(F).reshape(-1, lanes)


def poisson_counts(mean, uniform):
    return poisson_rows(np.full(LANES, mean, F), uniform).ravel().astype(float)


def binomial_counts(number, chance, uniform):
    return (
        binomial_rows(np.full(GROUPS, number, F), np.full(GROUPS, chance, F), uniform)
        .ravel()
        .astype(float)
    )


def assert_moments(x, law):
    """Mean, variance and third central moment within SIGMAS standard errors of the exact law's."""
    mean = law.mean()
    support = np.arange(law.ppf(1e-14), law.ppf(1 - 1e-14) + 2)
    weight = law.pmf(support)
    for power in (1, 2, 3):
        moment = (weight * (support - mean) ** power).sum()
        spread = np.sqrt((weight * ((support - mean) ** power - moment) ** 2).sum() / x.size)
        assert abs(((x - mean) ** power).mean() - moment) <= SIGMAS * spread + 1e-12, (
            f"moment {power} of {law.args}"
        )


def chi_square_p(x, law):
    """p-value of the counts against the law, classes of at least 20 expected."""
    edges = []
    start = -1.0
    for k in np.arange(law.ppf(1e-12), law.ppf(1 - 1e-12) + 1):
        if (law.cdf(k) - (law.cdf(start))) * x.size >= 20:
            edges.append(k)
            start = k
    edges = np.array(edges)
    expected = np.diff(np.concatenate([[0], law.cdf(edges), [1]])) * x.size
    observed = np.bincount(np.searchsorted(edges, x), minlength=edges.size + 1)
    if expected[-1] < 20:
        expected = np.append(expected[:-2], expected[-2:].sum())
        observed = np.append(observed[:-2], observed[-2:].sum())
    return stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue


# Poisson
# -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mean", MEANS)
def test_poisson_moments(mean):
    assert_moments(poisson_counts(mean, stream(DRAWS, LANES)), stats.poisson(float(F(mean))))


@pytest.mark.slow
@pytest.mark.parametrize("mean", INVERTED)
def test_poisson_inversion_follows_the_exact_law(mean):
    assert (
        chi_square_p(
            poisson_counts(mean, stream(DRAWS, LANES, seed=100)), stats.poisson(float(F(mean)))
        )
        > LEAST_P
    )


@pytest.mark.slow
@pytest.mark.parametrize("mean", INVERTED)
def test_poisson_inversion_is_the_quantile(mean):
    u = grid(LANES)
    exact = stats.poisson(float(F(mean))).ppf(u.ravel().astype(float))
    assert (poisson_counts(mean, u) != exact).mean() < 1e-5  # ties within float32 of a step


@pytest.mark.parametrize("mean", APPROXIMATED)
def test_poisson_expansion_has_the_exact_moments(mean):
    x = poisson_counts(mean, grid(LANES))
    assert abs(x.mean() - mean) < 3e-4 * np.sqrt(mean)
    assert abs(x.var() / mean - 1) < 1e-3
    assert abs(stats.skew(x) * np.sqrt(mean) - 1) < 0.03


@pytest.mark.parametrize("mean", APPROXIMATED)
def test_poisson_expansion_is_the_law_to_3e_4_in_total_variation(mean):
    u = grid(LANES)
    x = poisson_counts(mean, u)
    rate = float(F(mean))
    first, last = (float(stats.poisson.ppf(tail, rate)) for tail in (1e-9, 1 - 1e-9))
    k = np.arange(first, last + 1)
    observed = (
        np.bincount(x.astype(int), minlength=int(k[-1]) + 1)[int(k[0]) : int(k[-1]) + 1] / x.size
    )
    resolution = k.size / 2 / x.size  # the grid's own
    assert np.abs(observed - stats.poisson.pmf(k, rate)).sum() / 2 < 3e-4 + resolution


def test_poisson_row_of_mixed_means_draws_each_lane_as_alone():
    mean = np.geomspace(1e-3, 5e3, LANES).astype(F)
    u = stream(4800, LANES)
    mixed = poisson_rows(mean, u)
    for j in range(LANES):
        np.testing.assert_array_equal(
            mixed[:, j], poisson_rows(np.full(LANES, mean[j], F), u)[:, j]
        )


@pytest.mark.parametrize("mean", [0.0, 1e-30, 1e-8])
def test_poisson_of_nothing_is_nothing(mean):
    assert poisson_counts(mean, grid(LANES)).sum() == 0


@pytest.mark.parametrize("mean", [0.0, 0.001, 1.0, 7.9, 8.0, 100.0, 1e6])
def test_poisson_at_the_ends_of_the_uniforms(mean):
    """The smallest and largest uniforms there are give counts within 8 standard deviations."""
    ends = np.full((1, LANES), 0.5, F)
    ends[0, :2] = 2.0**-25
    ends[0, 2:4] = np.nextafter(F(1), F(0))
    x = poisson_counts(mean, ends)
    assert (x >= 0).all()
    assert (np.abs(x - mean) < 8 * np.sqrt(mean) + 12).all()


# Binomial
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 7, 40, 300, 5000])
@pytest.mark.parametrize("chance", [0.001, 0.1, 0.3, 0.5, 0.8, 0.999])
def test_binomial_moments_and_range(number, chance):
    x = binomial_counts(number, chance, stream(DRAWS, GROUPS, seed=200))
    assert x.min() >= 0
    assert x.max() <= number
    assert_moments(x, stats.binom(number, float(F(chance))))


@pytest.mark.parametrize(
    ("number", "chance"), [(1, 0.3), (7, 0.5), (40, 0.1), (40, 0.9), (300, 0.02), (5000, 0.001)]
)
def test_binomial_inversion_follows_the_exact_law(number, chance):
    x = binomial_counts(number, chance, stream(DRAWS, GROUPS, seed=300))
    assert chi_square_p(x, stats.binom(number, float(F(chance)))) > LEAST_P


@pytest.mark.parametrize(("number", "chance"), [(40, 0.5), (100, 0.1), (100, 0.9), (5000, 0.3)])
def test_binomial_normal_stays_close_to_the_exact_law(number, chance):
    x = binomial_counts(number, chance, grid(GROUPS))
    law = stats.binom(number, float(F(chance)))
    k = np.arange(0, number)
    distance = np.abs(np.searchsorted(np.sort(x), k, side="right") / x.size - law.cdf(k)).max()
    assert distance < 0.01 / law.std()


@pytest.mark.parametrize(
    ("number", "chance", "count"),
    [(0, 0.5, 0), (9, 0.0, 0), (9, 1.0, 9), (9, 1.7, 9), (9, -0.2, 0)],
)
def test_binomial_without_chance(number, chance, count):
    assert (binomial_counts(number, chance, stream(GROUPS * 100, GROUPS)) == count).all()


# Uniforms
# -------------------------------------------------------------------------------------------------


def key_of_word(word, slot):
    """The key whose stream holds `word` at `slot`: splitmix64's finaliser, run backwards."""
    full = (1 << 64) - 1

    def unshift(z, by):
        x = z
        for _ in range(64 // by + 1):
            x = z ^ (x >> by)
        return x

    z = unshift(word, 31) * pow(int(streams.MIX_2), -1, 1 << 64) & full
    z = unshift(z, 27) * pow(int(streams.MIX_1), -1, 1 << 64) & full
    return U((unshift(z, 30) - slot * int(streams.GOLDEN)) & full)


@pytest.mark.parametrize("word", [0, (1 << 64) - 1, 1 << 63, (1 << 63) - 1])
def test_uniforms_lie_strictly_between_zero_and_one_for_every_word(word):
    u = uniform_rows(np.array([key_of_word(word, 5)], U), 5, 2)
    assert (u > 0).all()
    assert (u < 1).all()


def test_uniforms_are_uniform():
    u = stream(480_000, LANES).ravel().astype(float)
    assert u.min() > 0
    assert u.max() < 1
    assert abs(u.mean() - 0.5) < SIGMAS * np.sqrt(1 / 12 / u.size)
    assert abs(u.var() - 1 / 12) < SIGMAS * np.sqrt(1 / 180 / u.size)
    assert stats.kstest(u, "uniform").pvalue > LEAST_P


@pytest.mark.parametrize("axis", ["slots", "ticks", "seeds", "episodes", "splits"])
def test_uniforms_are_uncorrelated_between(axis):
    keys = tick_keys(np.arange(64, dtype=U), 0, streams.TRAIN, 64)
    first = uniform_rows(keys.ravel(), 0, LANES).reshape(64, 64, LANES).astype(float)
    if axis == "slots":
        pairs = [(first[..., :-1], first[..., 1:]), (first[..., :24], first[..., 24:])]
    elif axis == "ticks":
        pairs = [(first[:, :-1], first[:, 1:])]
    elif axis == "seeds":
        pairs = [(first[:-1], first[1:])]
    else:
        episode, split = (1, streams.TRAIN) if axis == "episodes" else (0, streams.TEST)
        other = uniform_rows(
            tick_keys(np.arange(64, dtype=U), episode, split, 64).ravel(), 0, LANES
        )
        pairs = [(first, other.reshape(first.shape).astype(float))]
    for a, b in pairs:
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < SIGMAS / np.sqrt(a.size)


def test_no_two_streams_share_a_key():
    seeds = np.concatenate([np.arange(500), 2**64 - 1 - np.arange(500, dtype=object)]).astype(U)
    splits = (streams.TRAIN, streams.VALIDATION, streams.TEST)
    keys = np.concatenate(
        [tick_keys(seeds, e, split, 30).ravel() for e in (0, 1, 2) for split in splits]
    )
    assert np.unique(keys).size == keys.size
