"""The stack that settings ask for, in the order that keeps its parts apart."""

import numpy as np
import pytest
from chengfang.agents.learners import PPOSettings, SACSettings
from chengfang.agents.learners.training import make_training_env
from chengfang.agents.learners.training.networks import public_entries
from chengfang.agents.wrappers import PRIVILEGED
from chengfang.envs import FEATURE_NAMES, PromotionVecEnv, Setting, load_scenario, select_levers
from stable_baselines3.common.vec_env import VecEnvWrapper

LEVERS = select_levers("bidding")
SETTING = Setting(load_scenario(), LEVERS, 1)


def stack(kind: type[PPOSettings] | type[SACSettings] = PPOSettings, **fields):
    """Names of the wrappers, outermost first, and the env."""
    env = made = make_training_env(kind(num_envs=4, **fields), SETTING, 3)
    names = []
    while isinstance(env, VecEnvWrapper):
        names.append(type(env).__name__)
        env = env.venv
    return names, made


def test_the_plain_market_is_not_wrapped():
    names, env = stack(reward="profit", stagger=True)
    assert names == []
    assert isinstance(env, PromotionVecEnv)
    assert (env.market.reward, env.stagger, env.market.split) == ("profit", True, "train")
    assert stack(reward_scale=2.0)[0] == ["ScaleReward"]


def test_everything_at_once():
    names, env = stack(
        training_env={
            "rule": "PID",
            "hold": 6,
            "counterfactual": "rule",
            "margin_range": [-0.02, 0.02],
        }
    )
    assert names == [
        "PrivilegedObservation",
        "HoldAction",
        "ResidualAction",
        "ScaleReward",
        "RelativeReward",
        "CounterfactualReward",
        "ObjectiveReward",
        "SafetyMargin",
    ]
    assert public_entries(env) == len(FEATURE_NAMES) + 1 + len(LEVERS)
    assert env.observation_space.shape == (public_entries(env) + len(PRIVILEGED),)


def test_only_what_is_asked_for():
    bare = {"counterfactual": "none", "relative": False, "privileged": False}
    assert stack(training_env=bare)[0] == ["ScaleReward", "ObjectiveReward"]


def test_sac_has_no_privileged_critic():
    names, env = stack(SACSettings, training_env={"privileged": True})
    assert "PrivilegedObservation" not in names
    assert public_entries(env) == len(FEATURE_NAMES)


def test_rewards_are_float32_where_learners_take_them():
    _, env = stack(training_env={"hold": 2})
    env.reset()
    assert env.step(np.zeros((4, 4), np.float32))[1].dtype == np.float32


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"training_env": {"hold": 5}}, "training_env.hold is 5; it must divide the episode's 24"),
        ({"training_env": {}, "stagger": True}, "stagger is true; a training_env starts all"),
    ],
)
def test_what_cannot_be_is_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        stack(**fields)
