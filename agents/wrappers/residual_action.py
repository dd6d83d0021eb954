"""Actions that shift a rule's."""

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ...envs import FEATURE_NAMES
from ..policy import Policy
from .promotion_wrapper import ObservationWrapper


class ResidualAction(ObservationWrapper):
    """Act as a residual: what is carried out is a rule's own action plus a share of the learner's.

    Description:
        Learning starts from what the rule earns and has only to find what it leaves (Johannink et
        al. 2019, 1812.03201; Silver et al. 2018, 1812.06298). The rule is asked once a tick and
        reads the reported features alone.
    Action Space:
        As wrapped; levers become `clip(rule's action + scale * action, -1, 1)`.
    Observation Space:
        One entry more for every lever: the rule's own action at this tick.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.
        rule: any policy that controls the same levers.
        scale: how far an action of 1 moves a lever away from the rule's.
    """

    def __init__(self, venv: VecEnv, rule: Policy, scale: float = 1.0):
        (levers,) = venv.action_space.shape or (0,)
        super().__init__(venv, added=levers)
        self.rule = rule
        self.scale = np.float32(scale)
        self._memory: Any = None
        self._fresh = np.ones(self.num_envs, bool)
        self._proposal = np.zeros((self.num_envs, levers), np.float32)

    def step_async(self, actions: np.ndarray) -> None:
        """Shift the rule's actions by these."""
        self.venv.step_async(np.clip(self._proposal + self.scale * actions, -1, 1))

    def begin(self, started: np.ndarray) -> None:
        """Let the rule forget the episodes that have ended."""
        self._fresh |= started

    def entries(self, observations: np.ndarray) -> np.ndarray:
        """The rule's own actions, (num_envs, levers). It has memory: it is asked once a tick."""
        reported = np.ascontiguousarray(observations[:, : len(FEATURE_NAMES)])
        self._proposal, self._memory = self.rule.predict(reported, self._memory, self._fresh)
        self._fresh = np.zeros(self.num_envs, bool)
        return self._proposal

    def last_entries(self, which: np.ndarray) -> np.ndarray:
        """The rule's latest actions; it is not asked for one when nothing is left to decide."""
        return self._proposal[which]
