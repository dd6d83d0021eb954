"""Rewards above a counterfactual: what is earned anyway is taken off."""

import numpy as np
import pytest
from chengfang.agents.wrappers import (
    CounterfactualReward,
    HoldAction,
    ObjectiveReward,
    ResidualAction,
    SafetyMargin,
)
from chengfang.experiments.runs.evaluate import play_noop


def noop_gmv(env):
    """Settled GMV of doing nothing in the first episodes."""
    return play_noop(env.base.market.setting, np.arange(3, 9))["settled_gmv"]


def test_above_a_noop_on_the_same_noise(markets, play, random_actions):
    env = CounterfactualReward(ObjectiveReward(markets()))
    found = play(env, random_actions(0))
    assert np.allclose(
        found.rewards, (found.plans["score"] - noop_gmv(env)) / found.scale, atol=1e-4
    )
    assert np.allclose([info["episode"]["r"] for info in found.infos], found.rewards)


def test_it_needs_no_objective_for_a_noop(markets, play, random_actions):
    plain = play(markets(reward="settled_gmv"), random_actions(0))
    env = CounterfactualReward(markets(reward="settled_gmv"))
    above = play(env, random_actions(0))
    assert np.allclose(above.rewards, plain.rewards - noop_gmv(env) / above.scale, atol=1e-4)


def test_doing_nothing_earns_nothing(markets, play):
    """Bids and coupons at their least."""
    env = CounterfactualReward(ObjectiveReward(markets("coupon")))
    assert np.allclose(play(env, -1.0, 72).rewards, 0, atol=1e-4)


def test_a_rule_earns_nothing_above_itself(markets, play, pid):
    env = CounterfactualReward(ObjectiveReward(SafetyMargin(markets(), 0, 0.1, 0)), pid)
    found = play(HoldAction(ResidualAction(env, pid), 2), 0.0, 36)
    assert len(found.infos) == 18
    assert np.allclose(found.rewards, 0, atol=1e-5)


def test_a_residual_is_paid_for_what_it_adds(markets, play, pid, random_actions):
    alone = play(ResidualAction(ObjectiveReward(markets()), pid), 0.0)
    env = CounterfactualReward(ObjectiveReward(markets()), pid)
    shifted = play(ResidualAction(env, pid), random_actions(2))
    assert np.array_equal(shifted.plans["budget"], alone.plans["budget"])
    added = (shifted.plans["score"] - alone.plans["score"]) / shifted.scale
    assert np.abs(added).max() > 1e-3
    assert np.allclose(shifted.rewards, added, atol=1e-4)


def test_it_counts_from_step_to_step_over_held_actions(markets, play, random_actions):
    """The same sums whichever of the two is underneath."""
    over = play(
        CounterfactualReward(HoldAction(ObjectiveReward(markets()), 4)), random_actions(1), 6
    )
    under = play(
        HoldAction(CounterfactualReward(ObjectiveReward(markets())), 4), random_actions(1), 6
    )
    assert np.allclose(over.rewards, under.rewards, atol=1e-5)


def test_a_rule_needs_an_objective(markets, pid):
    with pytest.raises(ValueError, match="wrap the markets in ObjectiveReward first"):
        CounterfactualReward(markets(), pid)
