"""Residual actions: nothing of one's own is the rule; it shows what the rule would do."""

import numpy as np
from chengfang.agents import rollout
from chengfang.agents.wrappers import ResidualAction
from chengfang.envs import Market


def test_no_residual_is_the_rule(markets, play, pid):
    """To the last bit, on the second episode too."""
    env = ResidualAction(markets(), pid)
    found = play(env, 0.0, 48)
    market = Market.of(env.base.market.setting, 6)
    for episode in range(2):
        seeds = np.arange(3, 9) if episode == 0 else None
        if seeds is None:
            market.reset()
        plans = rollout(pid, market, seeds)
        assert found.plans["score"][6 * episode : 6 * episode + 6].tolist() == (
            plans["score"].tolist()
        )


def test_the_rules_own_action_is_shown(markets, pid):
    env = ResidualAction(markets(), pid, 0.5)
    seen = env.reset()
    expected, memory = pid.predict(seen[:, :101].copy(), None, np.ones(6, bool))
    assert np.array_equal(seen[:, 101:], expected)
    seen = np.asarray(env.step(np.full((6, 4), 0.3, np.float32))[0])
    expected, _ = pid.predict(seen[:, :101].copy(), memory, np.zeros(6, bool))
    assert np.array_equal(seen[:, 101:], expected)


def test_a_residual_shifts_the_levers_and_no_further_than_they_go(markets, pid, monkeypatch):
    env = ResidualAction(markets(), pid, 0.5)
    proposal = env.reset()[:, 101:]
    sent = []
    monkeypatch.setattr(env.base, "step_async", sent.append)
    env.step_async(np.full((6, 4), 0.4, np.float32))
    env.step_async(np.full((6, 4), 9.0, np.float32))
    assert np.allclose(sent[0], np.clip(proposal + 0.2, -1, 1))
    assert np.array_equal(sent[1], np.ones((6, 4)))
