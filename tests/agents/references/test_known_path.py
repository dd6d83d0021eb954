"""A known path under any noise: demand and prices stay, luck changes, and the derivative is that of
the world that is played.
"""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.references.known_path import SHOCKS, KnownPath, follow
from chengfang.envs import Market, Setting, load_scenario, task_setting
from chengfang.envs.market.adjoint import episode_gradient

SETTING = task_setting("Bidding", split="validation")
SEEDS = np.arange(50, 56)
KEYS = np.array([0, 11, 2**62 + 5], np.uint64)


@pytest.fixture(scope="module")
def path():
    return KnownPath(SETTING, SEEDS)


def shocks(market, moves=None):
    """(ticks, N, scenes) of both shocks, doing nothing."""
    found = {name: [] for name in SHOCKS}
    for tick in range(market.ticks):
        if moves is not None:
            follow(market, moves, tick)
        market.step(np.zeros((market.num_envs, len(market.levers)), np.float32))
        for name in SHOCKS:
            found[name].append(market.states[name].copy())
    return {name: np.stack(values) for name, values in found.items()}


def test_every_noise_meets_the_path_of_the_merchants_own_episode(path):
    market = Market.of(SETTING, len(SEEDS), noop=True)
    market.reset(seeds=SEEDS)
    wanted = shocks(market)
    draws = path.draw(KEYS)
    copies = path.market(draws)
    copies.noop = True
    found = shocks(copies, draws.moves)
    copies = path.market(draws)
    copies.noop = True
    unmoved = shocks(copies)
    for name in SHOCKS:
        known = np.repeat(wanted[name], len(KEYS), axis=1)
        np.testing.assert_allclose(found[name], known, atol=1e-6)
        assert np.abs(unmoved[name] - known).max() > 0.05  # without the moves it is another path


def test_the_noise_is_another_one_and_the_merchant_is_the_same(path):
    draws = path.draw(KEYS, nothing=True)
    market = path.market(draws)
    budgets = market.merchants["budget"].reshape(len(SEEDS), len(KEYS))
    assert (budgets == budgets[:, :1]).all()
    scores = path.scores(draws, make_rule("PID", plan_spec(SETTING)))
    assert scores.shape == draws.nothing.shape == (len(SEEDS), len(KEYS))
    assert (scores[:, 0] != scores[:, 1]).all()
    assert (draws.nothing[:, 0] != draws.nothing[:, 1]).all()


def test_its_own_noise_is_its_own_episode(path):
    own = path.draw(np.zeros(1, np.uint64), nothing=True)
    market = Market.of(SETTING, len(SEEDS))
    market.reset(seeds=SEEDS)
    rule = make_rule("PID", plan_spec(SETTING))
    state, begins = None, np.ones(len(SEEDS), bool)
    for _ in range(market.ticks):
        action, state = rule.predict(market.observations.copy(), state, begins)
        begins = np.zeros(len(SEEDS), bool)
        market.step(action)
    np.testing.assert_allclose(path.scores(own, rule)[:, 0], market.dashboard()["score"], rtol=1e-6)
    assert all(np.abs(move).max() < 1e-5 for move in own.moves.values())


def test_the_derivative_on_its_own_noise_is_the_episodes(path):
    own = path.draw(np.zeros(1, np.uint64))
    rng = np.random.default_rng(0)
    plan = rng.uniform(-0.6, 0.2, (len(SEEDS), path.ticks, len(SETTING.levers)))
    found, _ = path.gradient(own, None, plan)
    market = Market.of(SETTING, len(SEEDS), reward="score")
    market.reset(seeds=SEEDS)
    wanted = episode_gradient(market, plan.transpose(1, 0, 2).astype(np.float32))
    np.testing.assert_allclose(found, wanted.transpose(1, 0, 2), rtol=2e-3, atol=2e-4)


@pytest.mark.slow
def test_the_derivative_on_moved_shocks_is_that_of_what_is_played(path):
    draws = path.draw(np.arange(1, 257, dtype=np.uint64) * np.uint64(2**40 + 9))
    market = path.market(draws)
    scale = (market.merchants["budget"] * market.merchants["roi_target"] / 100)[:: draws.noises]
    level, step = np.full((1, 1, len(SETTING.levers)), -0.4), 0.05
    up, down = (path.scores(draws, None, level + sign * step).mean(1) for sign in (1, -1))
    wanted = (up - down) / (2 * step) / scale
    found = path.gradient(draws, None, level)[0].sum((1, 2))
    assert found.sum() == pytest.approx(wanted.sum(), rel=0.1)
    assert np.corrcoef(found, wanted)[0, 1] > 0.95


def test_nothing_is_gained_by_leaving_the_box(path):
    draws = path.draw(KEYS)
    outside, _ = path.gradient(draws, None, np.full((1, 1, len(SETTING.levers)), -1.5))
    assert (outside >= 0).all()  # bids are too low: what would raise them counts, nothing else


def test_a_shock_that_keeps_nothing_is_refused():
    scenario = load_scenario("default", {"traffic.shock_persistence": 0.0})
    setting = Setting(scenario, ("bid",), 1, "validation")
    with pytest.raises(ValueError, match="demand_shock keeps 0 of itself"):
        KnownPath(setting, SEEDS)


def test_ticks_are_counted():
    path = KnownPath(SETTING, SEEDS)
    episode = len(SEEDS) * path.ticks
    assert path.ticks_played == episode
    draws = path.draw(KEYS, nothing=True)
    assert path.ticks_played == episode * (1 + 2 * len(KEYS))
    path.scores(draws, None)
    assert path.ticks_played == episode * (1 + 3 * len(KEYS))
