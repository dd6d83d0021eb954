"""A second batch of the same merchants on the same noise, played by somebody else."""

from collections.abc import Callable

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvWrapper

from ...envs import Market
from ...envs.api.sb3_vec_env import PromotionVecEnv
from ...envs.market import layout as rows
from ..policy import Policy
from .merchants import plan_scale, refuse_several_plans


class CounterfactualRun:
    """Plays episodes through at their start, as they would go under a policy or with no ads at all.

    Random numbers are keyed by episode, tick and lane, so both batches meet the same shoppers.

    Args:
        base: the markets whose episodes are played.
        policy: who plays; None is the no-op, a plan without ads and coupons.

    Attributes:
        path: a value of every running episode after each of its ticks, (num_envs, ticks + 1)
            float64; 0 before the first.
    """

    def __init__(self, base: PromotionVecEnv, policy: Policy | None = None):
        self.base = base
        self.policy = policy
        market = base.market
        refuse_several_plans(market, type(self).__name__)
        self.market = Market.of(
            market.setting,
            base.num_envs,
            threads=market.threads,
            sampled=market.sampled,
            noop=policy is None,
        )
        self.path = np.zeros((base.num_envs, market.ticks + 1))

    @property
    def total(self) -> np.ndarray:
        """The value at the end of every episode, (num_envs,)."""
        return self.path[:, -1]

    def now(self) -> np.ndarray:
        """The value after the latest tick of the markets, (num_envs,); call it before `play`."""
        return self.path[np.arange(self.base.num_envs), self.base.latest("tick")]

    def play(self, started: np.ndarray, value: Callable[[Market], np.ndarray]) -> None:
        """Play the episodes that have just begun, and keep how their value grows.

        Args:
            started: (num_envs,) bool, whose markets stand at the start of an episode.
            value: of every market, (num_envs,), after a tick.
        """
        for field in ("states", "merchants", "cells"):
            getattr(self.market, field)[started] = getattr(self.base.market, field)[started]
        self.market.states["done"][~started] = 1
        view = self.base.market.observations
        actions = np.zeros((self.base.num_envs, len(self.base.levers)), np.float32)
        memory = None
        fresh = np.ones(self.base.num_envs, bool)
        for tick in range(self.market.ticks):
            if self.policy is not None:
                actions, memory = self.policy.predict(view.copy(), memory, fresh)
                fresh = np.zeros(self.base.num_envs, bool)
            view = self.market.step(actions)
            self.path[started, tick + 1] = value(self.market)[started]

    def close(self) -> None:
        """Release the market's threads."""
        self.market.close()


class NoopRun(CounterfactualRun):
    """The settled GMV of the no-op, over budget * roi_target."""

    def __init__(self, base: PromotionVecEnv):
        super().__init__(base)

    def begin(self, started: np.ndarray) -> None:
        """Play the episodes that have just begun."""
        scale = plan_scale(self.base.market.merchants)
        self.play(started, lambda market: market.states["accrued"][:, rows.A_SETTLED] / scale)


def noop_run_below(venv: VecEnv) -> NoopRun | None:
    """The no-op run that a wrapper of the stack plays already, if there is one; it takes as long as
    the training itself.
    """
    while isinstance(venv, VecEnvWrapper):
        run = vars(venv).get("noop")
        if isinstance(run, NoopRun):
            return run
        venv = venv.venv
    return None
