"""Every wrapper: alone on the markets, over an episode's end, and on nothing else."""

import numpy as np
import pytest
from chengfang.agents.wrappers import (
    CounterfactualReward,
    HoldAction,
    ObjectiveReward,
    PrivilegedObservation,
    RelativeReward,
    ResidualAction,
    SafetyMargin,
    ScaleReward,
)
from stable_baselines3.common.vec_env import DummyVecEnv


@pytest.fixture
def wrappers(pid):
    return {
        "CounterfactualReward": CounterfactualReward,
        "HoldAction": lambda env: HoldAction(env, 6),
        "ObjectiveReward": ObjectiveReward,
        "PrivilegedObservation": PrivilegedObservation,
        "RelativeReward": RelativeReward,
        "ResidualAction": lambda env: ResidualAction(env, pid, 0.5),
        "SafetyMargin": lambda env: SafetyMargin(env, -0.1, 0.1, seed=0),
        "ScaleReward": lambda env: ScaleReward(env, 10.0),
    }


NAMES = (
    "CounterfactualReward",
    "HoldAction",
    "ObjectiveReward",
    "PrivilegedObservation",
    "RelativeReward",
    "ResidualAction",
    "SafetyMargin",
    "ScaleReward",
)
each = pytest.mark.parametrize("name", NAMES)


@each
def test_alone_it_plays_episode_after_episode(name, wrappers, markets, random_actions):
    env = wrappers[name](markets())
    shape = (6, *env.observation_space.shape)
    assert env.reset().shape == shape
    choose = random_actions(0)
    ended = []
    for i in range(60):
        seen, rewards, dones, infos = env.step(choose(i))
        assert seen.shape == shape
        assert seen.dtype == np.float32
        assert np.isfinite(seen).all()
        assert rewards.shape == dones.shape == (6,)
        ended += [info for info in infos if info]
    assert len(ended) >= 12
    for info in ended:
        assert info["terminal_observation"].shape == env.observation_space.shape
        assert info["episode"]["l"] == 24
    env.close()


@each
def test_the_same_seed_gives_the_same_trajectory(name, wrappers, markets, random_actions):
    def trajectory():
        env = wrappers[name](markets())
        choose = random_actions(1)
        seen = [env.reset().tobytes()]
        for i in range(30):
            view, rewards, *_ = env.step(choose(i))
            seen += [view.tobytes(), rewards.tobytes()]
        return seen

    assert trajectory() == trajectory()


@each
def test_the_features_stay_where_they_are(name, wrappers, markets):
    """Whatever is added comes after the 101 reported features."""
    env = wrappers[name](markets())
    seen = env.reset()
    assert np.array_equal(seen[:, :101], env.base.market.observations)
    seen = env.step(np.zeros((6, 4), np.float32))[0]
    assert np.array_equal(seen[:, :101], env.base.market.observations)


@each
def test_other_environments_are_refused(name, wrappers):
    import gymnasium as gym

    with pytest.raises(ValueError, match=f"{name} wraps a DummyVecEnv; allowed are Promotion"):
        wrappers[name](DummyVecEnv([lambda: gym.make("chengfang/Bidding-v1")]))


@pytest.mark.parametrize(
    "name", ["CounterfactualReward", "HoldAction", "PrivilegedObservation", "RelativeReward"]
)
def test_markets_of_different_ages_are_refused(name, wrappers, markets):
    with pytest.raises(ValueError, match=f"stagger is true; {name} needs markets that start tog"):
        wrappers[name](markets(stagger=True))


@each
def test_its_docstring_is_its_manual(name):
    import chengfang.agents.wrappers as module

    manual = getattr(module, name).__doc__
    assert "Description:" in manual
    assert "Arguments:" in manual
