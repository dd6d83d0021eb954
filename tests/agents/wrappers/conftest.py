"""Markets to wrap, and a way to play them."""

import numpy as np
import pytest
from chengfang.envs import load_scenario, select_levers
from chengfang.envs.api.sb3_vec_env import PromotionVecEnv


class Played:
    """What a stretch of play gave: total rewards, the infos of finished episodes, the last view."""

    def __init__(self, env, choose, steps):
        self.rewards = np.zeros(env.num_envs)
        self.infos = []
        for i in range(steps):
            self.seen, rewards, _, found = env.step(choose(i))
            self.rewards += rewards
            self.infos += [info for info in found if info]
        plans = [info["plan"] for info in self.infos]
        self.scale = np.array([plan["budget"] * plan["roi_target"] for plan in plans])
        self.plans = {
            name: np.array([plan[name] for plan in plans]) for name in (plans[0] if plans else ())
        }


@pytest.fixture
def markets():
    """Makes six markets of one day, seeds 3 to 8."""

    def make(levers="bidding", count=6, **keywords):
        return PromotionVecEnv(
            count,
            load_scenario(),
            **{"levers": select_levers(levers), "days": 1, "reward": "score", "seed": 3} | keywords,
        )

    return make


@pytest.fixture
def play():
    """Resets an env and plays it for some steps; `choose` is an action for all, or gives them."""

    def run(env, choose, steps=24):
        width = env.action_space.shape[0]
        env.reset()
        if not callable(choose):
            actions = np.full((env.num_envs, width), choose, np.float32)
            return Played(env, lambda i: actions, steps)
        return Played(env, choose, steps)

    return run


@pytest.fixture
def random_actions():
    """Random actions for six markets of four levers, the same for the same seed."""

    def make(seed, count=6, levers=4):
        rng = np.random.default_rng(seed)
        return lambda i: rng.uniform(-1, 1, (count, levers)).astype(np.float32)

    return make


@pytest.fixture
def pid():
    """The PID rule of the markets."""
    from chengfang.agents import make_rule, plan_spec
    from chengfang.envs import Setting

    return make_rule("PID", plan_spec(Setting(load_scenario(), select_levers("bidding"), 1)))
