"""Rewards on the scale that results are judged on."""

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from .counterfactual_run import NoopRun, noop_run_below
from .promotion_wrapper import RewardWrapper

USUAL_NOOP = 0.4  # settled GMV of a usual merchant's no-op, over budget * roi_target
LEAST_NOOP = 0.1  # the least to divide by: some merchants sell next to nothing without ads


class RelativeReward(RewardWrapper):
    """Divide rewards by what the no-op earns over the episode, times a usual one.

    Description:
        Results are judged as multiples of doing nothing. Rewards over budget * roi_target alone
        let merchants with large budgets rule the gradient.
    Rewards:
        float64: `reward * 0.4 / max(no-op's settled GMV, 0.1)`, the latter over budget *
        roi_target.
    Starting State:
        The no-op plays an episode to its end when it begins, unless a wrapper underneath
        (`CounterfactualReward`) lets it play anyway.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.

    Raises:
        ValueError: if markets start at different ages.
    """

    def __init__(self, venv: VecEnv):
        super().__init__(venv)
        self.refuse_stagger()
        self._below = noop_run_below(venv)
        self.noop = self._below or NoopRun(self.base)
        self._unit = np.ones(self.num_envs)

    def begin(self, started: np.ndarray) -> None:
        """Note what the no-op earns in the episodes that have just begun."""
        if self._below is None:
            self.noop.begin(started)
        self._unit[started] = np.maximum(self.noop.total, LEAST_NOOP)[started]

    def reward(self, rewards: np.ndarray) -> np.ndarray:
        """The reward as a share of a usual no-op's."""
        return rewards * USUAL_NOOP / self._unit

    def close(self) -> None:
        """Release the threads of both markets."""
        if self._below is None:
            self.noop.close()
        super().close()
