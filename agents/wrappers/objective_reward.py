"""Rewards that add up to what a plan is judged on."""

from typing import Literal

import numpy as np
from stable_baselines3.common.vec_env import unwrap_vec_wrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ...envs import Market
from ...envs.market import layout as rows
from ...envs.market.score import score
from .merchants import plan_scale, refuse_several_plans
from .promotion_wrapper import RewardWrapper
from .safety_margin import SafetyMargin

Objective = Literal["score", "lagrangian"]
OBJECTIVES: tuple[Objective, ...] = ("score", "lagrangian")


class ObjectiveReward(RewardWrapper):
    """Reward the growth of an objective; an episode's rewards add up to its final value.

    Description:
        With `settled` and `cost` the settled GMV and overall cost so far, each at its expected
        value once all refunds are in, and `wanted = roi_target * (1 + margin) * cost`:

        | objective | value, over budget * roi_target |
        |---|---|
        | `score` | settled * min(1, settled / wanted)^2, as results are judged (world 6) |
        | `lagrangian` | settled - multiplier * max(0, wanted - settled) |

        The margin is that of a `SafetyMargin` underneath, 0 without one.
    Rewards:
        float64, of order 1 / ticks each.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.
        objective: `score` or `lagrangian`.
        multiplier: the price of a missed target; may be set between steps.

    Raises:
        ValueError: if the objective is none of them, or an episode holds several plans.
    """

    def __init__(self, venv: VecEnv, objective: Objective = "score", multiplier: float = 0.0):
        super().__init__(venv)
        if objective not in OBJECTIVES:
            raise ValueError(f"objective is {objective!r}; allowed are {', '.join(OBJECTIVES)}")
        refuse_several_plans(self.base.market, "ObjectiveReward")
        self.objective: Objective = objective
        self.multiplier = multiplier
        self._margin = unwrap_vec_wrapper(venv, SafetyMargin)
        self._scale = np.ones(self.num_envs)
        self._target = np.ones(self.num_envs, np.float32)
        self._value = np.zeros(self.num_envs)

    def begin(self, started: np.ndarray) -> None:
        """Note the targets of the episodes that have just begun."""
        merchants = self.base.market.merchants[started]
        self._scale[started] = plan_scale(merchants)
        self._target[started] = merchants["roi_target"]
        if self._margin is not None:
            self._target[started] *= np.float32(1) + self._margin.margins[started]
        self._value[started] = 0.0

    def reward(self, rewards: np.ndarray) -> np.ndarray:
        """The growth since the step before."""
        value = self._of(self.base.latest("accrued"))
        growth = value - self._value
        self._value = value
        return growth

    def value(self, market: Market) -> np.ndarray:
        """The objective in a market of the same merchants and targets, (num_envs,)."""
        return self._of(market.states["accrued"])

    def _of(self, accrued: np.ndarray) -> np.ndarray:
        settled = accrued[:, rows.A_SETTLED]
        cost = accrued[:, rows.A_COST]
        if self.objective == "score":
            return score(settled, settled, cost, self._target) / self._scale
        missing = np.maximum(self._target * cost - settled, 0.0)
        return (settled - self.multiplier * missing) / self._scale
