"""Objectives: an episode's rewards add up to its value."""

import numpy as np
import pytest
from chengfang.agents.wrappers import ObjectiveReward, SafetyMargin


def test_rewards_add_up_to_the_score(markets, play, random_actions):
    found = play(ObjectiveReward(markets()), random_actions(0))
    assert np.allclose(found.rewards, found.plans["score"] / found.scale, atol=1e-4)
    returns = [info["episode"]["r"] for info in found.infos]
    assert np.allclose(returns, found.rewards)


def test_every_episode_begins_at_nothing(markets, play, random_actions):
    found = play(ObjectiveReward(markets()), random_actions(0), 72)
    returns = [info["episode"]["r"] for info in found.infos]
    assert np.allclose(returns, found.plans["score"] / found.scale, atol=1e-4)


def test_lagrangian_charges_what_is_missing(markets, play):
    env = ObjectiveReward(markets(), "lagrangian", multiplier=2.0)
    found = play(env, 0.8)
    wanted = found.plans["roi_target"] * found.plans["overall_cost"]
    missing = np.maximum(wanted - found.plans["settled_gmv"], 0.0)
    expected = (found.plans["settled_gmv"] - 2 * missing) / found.scale
    assert np.allclose(found.rewards, expected, atol=1e-4)
    costs = np.array([info["cost"] for info in found.infos])
    assert np.allclose(np.maximum(costs, 0), missing / found.scale, atol=1e-4)
    assert (costs > 0).any()


@pytest.mark.parametrize("over", [False, True])
def test_a_margin_raises_the_target_of_the_reward(markets, play, over):
    env = ObjectiveReward(SafetyMargin(markets(), 0.2, 0.2))
    found = play(ObjectiveReward(env) if over else env, 0.3)  # found through other wrappers too
    met = np.minimum(1.0, found.plans["roi"] / (1.2 * found.plans["roi_target"]))
    assert (met < 1).any()
    expected = found.plans["settled_gmv"] * met**2 / found.scale
    assert np.allclose(found.rewards, expected, atol=1e-4)


def test_other_objectives_are_refused(markets):
    with pytest.raises(ValueError, match="objective is 'profit'; allowed are score, lagrangian"):
        ObjectiveReward(markets(), "profit")  # type: ignore[arg-type]


def test_several_plans_are_refused(markets):
    env = markets(days=2)
    env.market.scenario = env.market.scenario.updated({"seasons": {"plan_days": 1}})
    with pytest.raises(ValueError, match="ObjectiveReward speaks of one plan"):
        ObjectiveReward(env)
