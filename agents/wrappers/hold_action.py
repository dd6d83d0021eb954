"""Decisions that last for several ticks."""

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from .promotion_wrapper import PromotionWrapper, Step


class HoldAction(PromotionWrapper):
    """Carry out every action for several ticks; one step of this wrapper is that many ticks.

    Description:
        A plan of a week has 168 ticks, and what a decision does shows hours later. Fewer, longer
        decisions make rewards less noisy and credit easier to assign.
    Action Space:
        As wrapped. Wrappers underneath act every tick: a rule under `ResidualAction` goes on
        reacting while the shift of its action is held.
    Observation Space:
        As wrapped, seen at the end of the last tick.
    Rewards:
        The float32 sum over the ticks.
    Episode End:
        Never within a step: the number of ticks must divide the episode's.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.
        ticks: for how many ticks an action is held.

    Raises:
        ValueError: if an action would be held across the end of an episode.
    """

    def __init__(self, venv: VecEnv, ticks: int):
        super().__init__(venv)
        length = self.base.market.ticks
        if ticks < 1 or length % ticks:
            raise ValueError(f"hold is {ticks}; it must divide the episode's {length} ticks")
        if ticks > 1:
            self.refuse_stagger()
        self.ticks = ticks
        self._held = np.zeros((self.num_envs, len(self.base.levers)), np.float32)

    def reset(self) -> np.ndarray:
        """Start an episode in every env."""
        return np.asarray(self.venv.reset())

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions; `step_wait` carries them out."""
        self._held = actions

    def step_wait(self) -> Step:
        """Advance by all ticks of the held actions."""
        self.venv.step_async(self._held)
        observations, rewards, dones, infos = self.venv.step_wait()
        total = rewards.astype(np.float32)
        for _ in range(self.ticks - 1):
            self.venv.step_async(self._held)
            observations, rewards, dones, infos = self.venv.step_wait()
            total += rewards.astype(np.float32)
        return np.asarray(observations), total, dones, infos
