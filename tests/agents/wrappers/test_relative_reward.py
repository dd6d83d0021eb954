"""Relative rewards: shares of what doing nothing earns."""

import numpy as np
from chengfang.agents.wrappers import (
    CounterfactualReward,
    ObjectiveReward,
    PrivilegedObservation,
    RelativeReward,
)
from chengfang.experiments.runs.evaluate import play_noop


def test_rewards_are_shares_of_doing_nothing(markets, play, random_actions):
    plain = play(ObjectiveReward(markets()), random_actions(1))
    env = RelativeReward(ObjectiveReward(markets()))
    shares = play(env, random_actions(1))
    noop = play_noop(env.base.market.setting, np.arange(3, 9))["settled_gmv"]
    unit = np.maximum(noop / plain.scale, 0.1)
    assert np.allclose(shares.rewards, plain.rewards * 0.4 / unit, rtol=1e-4)
    assert np.allclose([info["episode"]["r"] for info in shares.infos], shares.rewards)


def test_every_episode_has_its_own_unit(markets, play, random_actions):
    plain = play(ObjectiveReward(markets()), random_actions(1), 48)
    shares = play(RelativeReward(ObjectiveReward(markets())), random_actions(1), 48)
    ratio = np.array([two["episode"]["r"] for two in shares.infos]) / [
        one["episode"]["r"] for one in plain.infos
    ]
    assert len(np.unique(ratio.round(6))) == 12


def test_a_noop_that_is_played_anyway_is_shared(markets):
    below = CounterfactualReward(ObjectiveReward(markets()))
    relative = RelativeReward(below)
    assert relative.noop is below.noop
    assert PrivilegedObservation(relative).noop is below.noop
    own = RelativeReward(ObjectiveReward(markets()))
    assert PrivilegedObservation(own).noop is own.noop
