"""Rewards on a scale that suits the learner."""

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from .promotion_wrapper import PromotionWrapper, Step


class ScaleReward(PromotionWrapper):
    """Multiply every reward by a constant.

    Description:
        SAC adds a bonus for entropy to every reward; where a reward is one of 168 parts of a whole,
        the bonus drowns it. Rewards come out as float32, whatever went in.
    Rewards:
        `float32(reward) * scale`. `info["episode"]["r"]` stays unscaled.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.
        scale: the constant; must be above zero.

    Raises:
        ValueError: if the scale is not above zero.
    """

    def __init__(self, venv: VecEnv, scale: float):
        super().__init__(venv)
        if not scale > 0:
            raise ValueError(f"scale is {scale}; it must be above 0")
        self.scale = np.float32(scale)

    def reset(self) -> np.ndarray:
        """Start an episode in every env."""
        return np.asarray(self.venv.reset())

    def step_wait(self) -> Step:
        """Step what is wrapped and scale its rewards."""
        observations, rewards, dones, infos = self.venv.step_wait()
        return np.asarray(observations), rewards.astype(np.float32) * self.scale, dones, infos
