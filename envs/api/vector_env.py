"""The market as a native Gymnasium vector environment."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from ..interface.features import FEATURE_NAMES
from ..market.engine import Market, MarketState
from ..scenario import Scenario, load_scenario
from .spaces import action_space, cost_limits, observation_space, step_costs


class PromotionVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """A batch of promotion markets stepped together; for actions, observations and rewards see
    `SuperPlanEnv`.

    `reset(seed=s)` gives env i the stream s + i, a list gives each its own; without a seed each
    goes on to its next episode.

    Autoreset (`autoreset_mode`, also in `metadata`):

    - SAME_STEP: a finished env returns the first observation of its next episode; its last one is
      row i of `infos["final_obs"]`, (num_envs, 101) float32, where `infos["_final_obs"][i]` holds,
      and its dashboard is in `infos["final_info"]["plan"]`, arrays of (num_envs,).
    - NEXT_STEP: a finished env returns its last observation; its next step ignores the action and
      resets it (reward 0).
    - DISABLED: finished envs stay as they are until `reset(options={"reset_mask": mask})`.

    `infos["cost"]` and `infos["costs"]` hold (num_envs,) arrays every step; at an episode's end
    `infos["plan"]` (in `final_info` under SAME_STEP) the dashboards, where the mask
    `infos["_plan"]` is true.
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        scenario: "str | Path | dict[str, Any] | Scenario" = "default",
        levers: "str | Sequence[str]" = "super_plan",
        days: int | None = None,
        reward: str = "settled_gmv",
        split: str = "train",
        render_mode: str | None = None,
        sampled: bool = True,
        threads: int = 1,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ):
        if render_mode is not None:
            raise ValueError(
                f"render_mode is {render_mode!r}; "
                "a vector environment does not render, use the single one"
            )
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
        self.num_envs = num_envs
        self.levers = self.market.levers
        self.features = FEATURE_NAMES
        self.autoreset_mode = _mode(autoreset_mode)
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.cost_limits = cost_limits(self.scenario)
        self.single_action_space = action_space(self.levers)
        self.single_observation_space = observation_space()
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.render_mode = None
        self._finished = np.zeros(num_envs, np.bool_)
        self._never = np.zeros(num_envs, np.bool_)

    def reset(
        self,
        *,
        seed: "int | Sequence[int | None] | None" = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in every env, or where `options["reset_mask"]`, (num_envs,) bool, is
        true.
        """
        super().reset(seed=seed if isinstance(seed, int) else None)
        mask = self._reset_mask(options)
        if seed is None:
            self.market.reset(mask)
        elif isinstance(seed, (int, np.integer)):
            self.market.reset(mask, np.array([int(seed) + i for i in range(self.num_envs)], object))
        else:
            self._reset_listed(list(seed), mask)
        self._finished &= ~mask
        return self.market.observations.copy(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance every env by one tick; raises ValueError for actions of the wrong shape or not
        finite.
        """
        market = self.market
        if self.autoreset_mode == AutoresetMode.DISABLED and self._finished.any():
            raise ValueError(
                f"env {int(self._finished.argmax())} has finished; "
                "reset it with options={'reset_mask': mask} "
                "before the next step (autoreset is disabled)"
            )
        restarting = self._finished.copy()
        market.step(actions)
        if restarting.any():
            market.reset(restarting)
            market.rewards[restarting] = 0.0
            market.dones[restarting] = False
            market.costs[restarting] = 0.0
            self._finished &= ~restarting
        costs = step_costs(market, tuple(self.cost_limits))
        infos: dict[str, Any] = {"cost": costs["roi"], "costs": costs}
        rewards = market.rewards.astype(np.float64)
        done = market.dones.copy()
        if done.any():
            self._finish(done, infos)
        return market.observations.copy(), rewards, done, self._never.copy(), infos

    def _finish(self, done: np.ndarray, infos: dict[str, Any]) -> None:
        """Report finished envs and, under SAME_STEP, start their next episodes."""
        market = self.market
        plan = {name: np.where(done, values, 0.0) for name, values in market.dashboard().items()}
        if self.autoreset_mode == AutoresetMode.SAME_STEP:
            final = market.observations.copy()
            infos |= {
                "final_obs": final,
                "_final_obs": done.copy(),
                "_final_info": done.copy(),
                "final_info": {
                    "plan": plan,
                    "_plan": done.copy(),
                    "cost": infos["cost"].copy(),
                    "costs": infos["costs"],
                },
            }
            market.reset(done)
            return
        infos |= {"plan": plan, "_plan": done.copy()}
        self._finished = done.copy()

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, np.bool_)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise ValueError(
                f"options['reset_mask'] is {mask.dtype} of shape {mask.shape}; "
                f"expected bool of shape ({self.num_envs},)"
            )
        return mask

    def _reset_listed(self, seeds: list[int | None], mask: np.ndarray) -> None:
        if len(seeds) != self.num_envs:
            raise ValueError(
                f"seed has {len(seeds)} entries; expected {self.num_envs}, one per env"
            )
        given = np.array([s is not None for s in seeds])
        if (given & mask).any():
            self.market.reset(given & mask, np.array([s or 0 for s in seeds], object))
        if (~given & mask).any():
            self.market.reset(~given & mask)

    def get_state(self) -> MarketState:
        """An exact copy of all markets."""
        return self.market.get_state()

    def set_state(self, state: MarketState) -> None:
        """Continue exactly where copied markets stood."""
        self.market.set_state(state)
        self._finished = self.market.states["done"].astype(np.bool_)

    def close_extras(self, **kwargs: Any) -> None:
        """Release the market's threads."""
        self.market.close()


def _mode(mode: AutoresetMode | str) -> AutoresetMode:
    for known in AutoresetMode:
        if mode in (known, known.value, known.name):
            return known
    raise ValueError(
        f"autoreset_mode is {mode!r}; allowed are {', '.join(m.name for m in AutoresetMode)}"
    )
