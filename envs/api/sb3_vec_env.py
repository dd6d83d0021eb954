"""The market as a stable-baselines3 VecEnv: the same batch, SB3's conventions. Imports
stable-baselines3.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ..interface.features import FEATURE_NAMES
from ..market.engine import Market
from ..scenario import Scenario, load_scenario
from .spaces import action_space, cost_limits, observation_space


class PromotionVecEnv(VecEnv):
    """A batch of promotion markets for stable-baselines3 (same-step reset, `terminal_observation`).

    Episode statistics (`info["episode"]`: r, l, t) are kept here, so no VecMonitor is needed;
    `info["plan"]` is the dashboard of a finished episode and `info["cost"]` its constraint value.
    Unfinished envs share one empty info. `costs` holds the latest tick's ROI cost of every env,
    (num_envs,) float32, for constrained learners; `latest` gives any field of the markets' states
    as that tick left it. What learning needs beyond that (residual actions, rewards above a
    counterfactual, ...) are wrappers: `chengfang.agents.wrappers`.

    With `stagger`, a reset first advances env i by i / num_envs of an episode under careful
    actions, so that a rollout holds every phase of a campaign; episodes have equal length and would
    otherwise all be in the same one.
    """

    def __init__(
        self,
        num_envs: int,
        scenario: "str | Path | dict[str, Any] | Scenario" = "default",
        levers: "str | Sequence[str]" = "super_plan",
        days: int | None = None,
        reward: str = "settled_gmv",
        split: str = "train",
        sampled: bool = True,
        threads: int = 1,
        seed: int | None = None,
        stagger: bool = False,
    ):
        self.scenario = load_scenario(scenario)
        names = levers if isinstance(levers, str) else tuple(levers)
        self.market = Market(
            self.scenario,
            num_envs,
            days=self.scenario.clock.days if days is None else days,
            levers=names,
            reward=reward,
            split=split,
            sampled=sampled,
            threads=threads,
        )
        self.levers = self.market.levers
        self.features = FEATURE_NAMES
        self.cost_limits = cost_limits(self.scenario)
        self.render_mode = None
        super().__init__(num_envs, observation_space(), action_space(self.levers))
        self.metadata = {"render_modes": []}
        self._returns = np.zeros(num_envs)
        self._cost_sums = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._actions = np.zeros((num_envs, len(self.levers)), np.float32)
        self._start = time.time()
        self.stagger = stagger
        self._last_costs = np.zeros(num_envs, np.float32)
        self._ended: tuple[np.ndarray, np.ndarray] | None = None
        if seed is not None:
            self.seed(seed)

    @property
    def costs(self) -> np.ndarray:
        """ROI cost of the latest tick, (num_envs,) float32: (roi_target * cost - value) / (budget *
        roi_target).
        """
        return self._last_costs

    def latest(self, field: str) -> np.ndarray:
        """A field of every market's state as the latest tick left it, (num_envs, ...).

        Finished markets have started their next episode by the time `step` returns; theirs is the
        value at the end of the finished one. Read it, do not write to it.

        Args:
            field: a name of the engine's STATE, such as "tick" or "accrued".
        """
        values = self.market.states[field]
        if self._ended is None:
            return values
        which, states = self._ended
        values = values.copy()
        values[which] = states[field]
        return values

    def reset(self) -> np.ndarray:
        """Start an episode in every env; a seed given before starts its own stream, once."""
        seeds = [s for s in self._seeds if s is not None]
        self.market.reset(seeds=np.array(seeds, object) if len(seeds) == self.num_envs else None)
        self._reset_seeds()
        self._reset_options()
        self._returns[:] = 0.0
        self._cost_sums[:] = 0.0
        self._lengths[:] = 0
        self._last_costs = np.zeros(self.num_envs, np.float32)
        self._ended = None
        self.reset_infos = [{} for _ in range(self.num_envs)]
        if self.stagger:
            self._advance(np.arange(self.num_envs) * self.market.ticks // self.num_envs)
        return self.market.observations.copy()

    def _advance(self, ticks: np.ndarray) -> None:
        """Step env i by ticks[i] under careful actions; those that are to wait count as finished
        meanwhile.
        """
        careful = np.zeros((self.num_envs, len(self.levers)), np.float32)
        for tick in range(int(ticks.max(initial=0))):
            self.market.states["done"] = ticks <= tick
            self.market.step(careful)
        self.market.states["done"] = 0
        self.market.dones[:] = False
        self._lengths[:] = ticks

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions; `step_wait` carries them out."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Advance every env by one tick; finished ones start their next episode at once."""
        market = self.market
        self._ended = None
        market.step(self._actions)
        rewards = market.rewards.copy()
        dones = market.dones.copy()
        self._last_costs = market.costs[:, 0].copy()
        self._returns += rewards
        self._cost_sums += self._last_costs
        self._lengths += 1
        empty: dict[str, Any] = {}
        infos = [empty] * self.num_envs
        if dones.any():
            self._finish(dones, infos)
        return market.observations.copy(), rewards, dones, infos

    def _finish(self, dones: np.ndarray, infos: list[dict[str, Any]]) -> None:
        market = self.market
        which = np.flatnonzero(dones)
        plans = market.dashboard(which)
        seconds = round(time.time() - self._start, 3)
        last = market.observations[which]
        for row, i in enumerate(which):
            infos[i] = {
                "terminal_observation": last[row],
                "TimeLimit.truncated": False,
                "episode": {"r": float(self._returns[i]), "l": int(self._lengths[i]), "t": seconds},
                "cost": float(self._cost_sums[i]),
                "plan": {name: float(v[row]) for name, v in plans.items()},
            }
        self._returns[which] = 0.0
        self._cost_sums[which] = 0.0
        self._lengths[which] = 0
        self._ended = (which, market.states[which])
        market.reset(dones)

    def close(self) -> None:
        """Release the market's threads."""
        self.market.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The batch's attribute, once per env asked for."""
        return [getattr(self, attr_name) for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the whole batch; its markets cannot differ in one."""
        setattr(self, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method of the batch once and return its result for every env asked for."""
        result = getattr(self, method_name)(*method_args, **method_kwargs)
        return [result for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """Only a Monitor is answered for: episode statistics are kept here."""
        from stable_baselines3.common.monitor import Monitor

        return [issubclass(Monitor, wrapper_class) for _ in self._get_indices(indices)]
