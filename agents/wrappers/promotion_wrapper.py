"""What the wrappers stand on: a batch of promotion markets, however many wrappers are between."""

from abc import abstractmethod
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvWrapper

from ...envs.api.sb3_vec_env import PromotionVecEnv

Step = tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]


class PromotionWrapper(VecEnvWrapper):
    """A wrapper of a `PromotionVecEnv`, or of wrappers of one.

    Args:
        venv: what is wrapped.
        added: how many entries the wrapper appends to every observation.

    Attributes:
        base: the markets at the bottom of the stack.

    Raises:
        ValueError: if the bottom of the stack is something else.
    """

    def __init__(self, venv: VecEnv, added: int = 0):
        base = venv.unwrapped
        if not isinstance(base, PromotionVecEnv):
            raise ValueError(
                f"{type(self).__name__} wraps a {type(base).__name__}; "
                "allowed are PromotionVecEnv and wrappers of one"
            )
        self.base = base
        width = int(np.prod(venv.observation_space.shape or (0,))) + added
        space = spaces.Box(-np.inf, np.inf, (width,), np.float32) if added else None
        super().__init__(venv, space)

    def refuse_stagger(self) -> None:
        """Raise a ValueError if the markets start their episodes at different ages."""
        if self.base.stagger:
            raise ValueError(
                f"stagger is true; {type(self).__name__} needs markets that start together, "
                "allowed is false"
            )


class RewardWrapper(PromotionWrapper):
    """Another reward. Rewards are float64, so that differences of totals keep their digits.

    `info["episode"]["r"]` of a finished episode is the sum of the wrapper's own rewards.
    """

    def __init__(self, venv: VecEnv):
        super().__init__(venv)
        self._returns = np.zeros(self.num_envs)

    @abstractmethod
    def begin(self, started: np.ndarray) -> None:
        """Note what is needed of the episodes that have just begun, a (num_envs,) bool mask."""

    @abstractmethod
    def reward(self, rewards: np.ndarray) -> np.ndarray:
        """The rewards of the latest step, (num_envs,), from those underneath."""

    def reset(self) -> np.ndarray:
        """Start an episode in every env."""
        observations = self.venv.reset()
        self._returns[:] = 0.0
        self.begin(np.ones(self.num_envs, bool))
        return np.asarray(observations)

    def step_wait(self) -> Step:
        """Step what is wrapped and reward it anew."""
        observations, rewards, dones, infos = self.venv.step_wait()
        rewards = self.reward(rewards)
        self._returns += rewards
        if dones.any():
            for i in np.flatnonzero(dones):
                infos[i]["episode"]["r"] = float(self._returns[i])
            self._returns[dones] = 0.0
            self.begin(dones)
        return np.asarray(observations), rewards, dones, infos


class ObservationWrapper(PromotionWrapper):
    """Appends entries to every observation, `terminal_observation` included."""

    @abstractmethod
    def begin(self, started: np.ndarray) -> None:
        """Note what is needed of the episodes that have just begun, a (num_envs,) bool mask."""

    @abstractmethod
    def entries(self, observations: np.ndarray) -> np.ndarray:
        """What is appended, (num_envs, added) float32; called once after every step and reset."""

    @abstractmethod
    def last_entries(self, which: np.ndarray) -> np.ndarray:
        """What is appended to the last observations of finished episodes, given by indices."""

    def reset(self) -> np.ndarray:
        """Start an episode in every env."""
        observations = np.asarray(self.venv.reset())
        self.begin(np.ones(self.num_envs, bool))
        return np.concatenate([observations, self.entries(observations)], 1)

    def step_wait(self) -> Step:
        """Step what is wrapped and append to what it shows."""
        seen, rewards, dones, infos = self.venv.step_wait()
        if dones.any():
            which = np.flatnonzero(dones)
            for i, last in zip(which, self.last_entries(which), strict=True):
                ended = infos[i]["terminal_observation"]
                infos[i]["terminal_observation"] = np.concatenate([ended, last])
            self.begin(dones)
        observations = np.asarray(seen)
        entries = self.entries(observations)
        return np.concatenate([observations, entries], 1), rewards, dones, infos
