"""The six-tuple of Safety-Gymnasium: the same episode, with its cost in third place."""

import gymnasium as gym
import numpy as np
import pytest
from chengfang.envs import SafetyEnv, SafetyVectorEnv

TASK = "chengfang/Bidding-v1"


def vector(**more):
    return gym.make_vec(TASK, num_envs=3, vectorization_mode="vector_entry_point", **more)


def actions(ticks, envs=1):
    return np.random.default_rng(0).uniform(-1, 1, (ticks, envs, 4)).astype(np.float32)


def test_single_env_steps_as_the_plain_one():
    safe = SafetyEnv(gym.make(TASK, split="test"))
    plain = gym.make(TASK, split="test")
    np.testing.assert_array_equal(safe.reset(seed=3)[0], plain.reset(seed=3)[0])
    total, terminated, info = 0.0, False, {}
    for action in actions(24):
        seen, reward, cost, terminated, truncated, info = safe.step(action[0])
        wanted = plain.step(action[0])
        np.testing.assert_array_equal(seen, wanted[0])
        assert (reward, terminated, truncated) == wanted[1:4]
        assert cost == info["cost"] == wanted[4]["cost"]
        assert type(cost) is float
        total += cost
    assert terminated
    plan = info["plan"]
    gap = (plan["roi_target"] * plan["overall_cost"] - plan["settled_gmv"]) / (
        plan["budget"] * plan["roi_target"]
    )
    assert total == pytest.approx(gap, rel=1e-3)
    assert (total <= safe.cost_limit) == (plan["roi"] >= plan["roi_target"])


@pytest.mark.parametrize("name", ["roi", "budget", "subsidy"])
@pytest.mark.parametrize("mode", ["SAME_STEP", "NEXT_STEP"])
def test_vector_env_steps_as_the_plain_one(name, mode):
    safe = SafetyVectorEnv(vector(autoreset_mode=mode), name)
    plain = vector(autoreset_mode=mode)
    safe.reset(seed=3)
    plain.reset(seed=3)
    for action in actions(30, 3):
        seen, rewards, costs, terminated, truncated, _ = safe.step(action)
        wanted = plain.step(action)
        for given, other in zip((seen, rewards, terminated, truncated), wanted[:4], strict=True):
            np.testing.assert_array_equal(given, other)
        np.testing.assert_array_equal(costs, wanted[4]["costs"][name])
        assert costs.shape == (3,)
    assert safe.cost_limit == (0 if name == "roi" else 1)


def test_vector_and_single_agree():
    one = SafetyEnv(gym.make(TASK))
    many = SafetyVectorEnv(vector())
    one.reset(seed=4)
    # gymnasium declares one seed for a wrapper, and passes a list on
    many.reset(seed=[3, 4, 5])  # type: ignore[arg-type]
    for action in actions(24):
        cost = one.step(action[0])[2]
        assert cost == many.step(np.repeat(action, 3, 0))[2][1]


def test_unknown_cost():
    for make in (lambda: SafetyEnv(gym.make(TASK), "fees"), lambda: SafetyVectorEnv(vector(), "x")):
        with pytest.raises(ValueError, match="allowed are roi, budget, subsidy"):
            make()
