"""The constraint as its own return value: the six-tuple of Safety-Gymnasium.

Safety-Gymnasium (Ji et al. 2023, https://github.com/PKU-Alignment/safety-gymnasium; NeurIPS
Datasets and Benchmarks) lets `step` return `(obs, reward, cost, terminated, truncated, info)`, so
that a learner of constrained problems finds the cost without knowing the environment's `info`.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper


class SafetyEnv(gym.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """A single environment whose `step` returns the cost in third place.

    ```python
    env = SafetyEnv(gym.make("chengfang/SuperPlan-v1"))
    obs, reward, cost, terminated, truncated, info = env.step(action)
    ```

    ## Cost
    The tick's value of one of `cost_limits`. `roi`, the default, is (roi_target * cost - value) /
    (budget * roi_target): it is signed, unlike Safety-Gymnasium's own costs, and a plan keeps its
    target if the episode's sum is at most `cost_limit`, 0. `info["costs"]` still has all of them.

    ## Arguments
    `env`: a `SuperPlanEnv`, or wrappers around one. `cost`: a name in `cost_limits`; another
    raises ValueError.

    ## Vectorized environment
    `SafetyVectorEnv` around `PromotionVectorEnv`.
    """

    def __init__(self, env: gym.Env[np.ndarray, np.ndarray], cost: str = "roi"):
        super().__init__(env)
        limits = env.get_wrapper_attr("cost_limits")
        self.cost = cost
        self.cost_limit = _limit(limits, cost)

    def step(  # type: ignore[override]
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, float, bool, bool, dict[str, Any]]:
        """Advance one tick: (obs, reward, cost, terminated, truncated, info)."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        cost = float(info["costs"][self.cost])
        return observation, float(reward), cost, terminated, truncated, info


class SafetyVectorEnv(VectorWrapper):
    """A vector environment whose `step` returns costs, (num_envs,) float32, in third place; see
    `SafetyEnv`. Under every autoreset mode a finished env's cost is that of its last tick.
    """

    def __init__(self, env: "VectorEnv[np.ndarray, np.ndarray, np.ndarray]", cost: str = "roi"):
        super().__init__(env)
        limits: dict[str, float] = env.unwrapped.cost_limits  # type: ignore[attr-defined]
        self.cost = cost
        self.cost_limit = _limit(limits, cost)

    def step(  # type: ignore[override]
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every env by one tick: (obs, rewards, costs, terminated, truncated, infos)."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        return observations, rewards, infos["costs"][self.cost], terminated, truncated, infos


def _limit(limits: dict[str, float], cost: str) -> float:
    if cost not in limits:
        raise ValueError(f"cost is {cost!r}; allowed are {', '.join(limits)}")
    return limits[cost]
