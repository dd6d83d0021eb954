"""Rewards above what would have been earned anyway."""

import numpy as np
from stable_baselines3.common.vec_env import unwrap_vec_wrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ..policy import Policy
from .counterfactual_run import CounterfactualRun, NoopRun
from .objective_reward import ObjectiveReward
from .promotion_wrapper import RewardWrapper


class CounterfactualReward(RewardWrapper):
    """Take off the reward what a no-op, or a rule, earns on the same noise.

    Description:
        A control variate. The counterfactual plays the same merchant and day with the same random
        numbers, so what is noise to both falls out, and no action can move what is taken off: it
        changes no preference between policies. Above a no-op a plan is paid for what it adds;
        above a rule, a residual is paid for what it adds to the rule.
    Rewards:
        float64: the reward underneath less the counterfactual's growth since the step before: of
        settled GMV over budget * roi_target for a no-op, of the objective for a rule.
    Starting State:
        The counterfactual plays an episode to its end when the episode begins, which takes as long
        as the learner's own market.
    Arguments:
        venv: a PromotionVecEnv with reward `settled_gmv` or `score`, or wrappers of one. For a rule
            an `ObjectiveReward` must be underneath.
        rule: whose earnings are taken off; None is the no-op.

    Raises:
        ValueError: if a rule is given without an `ObjectiveReward` underneath, or markets start at
            different ages.
    """

    def __init__(self, venv: VecEnv, rule: Policy | None = None):
        super().__init__(venv)
        self.refuse_stagger()
        self._objective = unwrap_vec_wrapper(venv, ObjectiveReward)
        if rule is not None and self._objective is None:
            raise ValueError(
                "a rule is given, but its earnings are those of an objective; "
                "wrap the markets in ObjectiveReward first"
            )
        self.noop = NoopRun(self.base) if rule is None else None
        self._run = self.noop or CounterfactualRun(self.base, rule)
        self._earned = np.zeros(self.num_envs)

    def begin(self, started: np.ndarray) -> None:
        """Let the counterfactual play the episodes that have just begun."""
        if self.noop is not None:
            self.noop.begin(started)
        elif self._objective is not None:
            self._run.play(started, self._objective.value)
        self._earned[started] = 0.0

    def reward(self, rewards: np.ndarray) -> np.ndarray:
        """The reward above the counterfactual's."""
        earned = self._run.now()
        above = rewards - (earned - self._earned)
        self._earned = earned
        return above

    def close(self) -> None:
        """Release the threads of both markets."""
        self._run.close()
        super().close()
