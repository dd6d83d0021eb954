"""Latent truth for the critic: last in the observation, bounded, and true."""

import numpy as np
from chengfang.agents.wrappers import (
    PRIVILEGED,
    PrivilegedObservation,
    ResidualAction,
    SafetyMargin,
)
from chengfang.experiments.runs.evaluate import play_noop


def test_it_comes_last_and_is_bounded(markets, pid, random_actions):
    env = PrivilegedObservation(ResidualAction(SafetyMargin(markets(), 0.0, 0.1), pid))
    assert env.public == 101 + 1 + 4
    seen = env.reset()
    choose = random_actions(0)
    for i in range(30):
        assert seen.shape == (6, env.public + len(PRIVILEGED))
        assert np.abs(seen[:, env.public :]).max() <= 10
        seen = np.asarray(env.step(choose(i))[0])


def test_it_tells_merchants_apart_at_the_first_tick(markets):
    """The total of doing nothing is the episode's own."""
    env = PrivilegedObservation(markets())
    seen = env.reset()[:, env.public :]
    merchants = env.base.market.merchants
    noop = play_noop(env.base.market.setting, np.arange(3, 9))["settled_gmv"] * 100
    total = noop / (merchants["budget"] * merchants["roi_target"])
    assert np.allclose(seen[:, PRIVILEGED.index("noop_total")], total, rtol=1e-4)
    assert np.allclose(seen[:, PRIVILEGED.index("noop_left")], total, rtol=1e-4)


def test_at_the_end_it_is_what_came_out(markets, play, random_actions):
    env = PrivilegedObservation(markets())
    found = play(env, random_actions(0))
    last = np.stack([info["terminal_observation"] for info in found.infos])[:, env.public :]
    value = found.plans["settled_gmv"] / found.scale
    cost = found.plans["overall_cost"] * found.plans["roi_target"] / found.scale
    assert np.allclose(last[:, PRIVILEGED.index("noop_left")], 0)
    assert np.allclose(last[:, PRIVILEGED.index("true_value")], value, rtol=1e-4)
    assert np.allclose(last[:, PRIVILEGED.index("true_cost")], cost, rtol=1e-4)
    assert np.allclose(last[:, PRIVILEGED.index("true_gap")], value - cost, atol=1e-4)
    assert np.allclose(found.seen[:, env.public + PRIVILEGED.index("true_value")], 0)
