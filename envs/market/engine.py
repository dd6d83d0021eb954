"""The batched core: many markets as arrays, reset and stepped together. No Gymnasium types (design
3, 8).
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from ..interface.levers import LEVER_NAMES, select_levers
from ..interface.setting import Setting
from ..kernels.streams import TEST, TRAIN
from ..scenario import Scenario
from . import layout as rows
from .constants import REWARDS, build_world
from .dashboard import dashboard
from .observation import FEATURES
from .tick import COSTS, reset_batch, step_batch

SPLITS = {"train": TRAIN, "test": TEST}
SERIAL_BELOW = 64  # threads only pay beyond this batch size
SEED_MASK = (1 << 64) - 1


class Scratch(NamedTuple):
    """Work space of one thread; its contents never outlive a tick."""

    lane: np.ndarray
    scene: np.ndarray
    group: np.ndarray
    draws: np.ndarray


def make_scratch() -> Scratch:
    """Fresh work space for one thread."""
    return Scratch(
        np.zeros((rows.LANE_ROWS, rows.N_LANES), np.float32),
        np.zeros((rows.SCENE_ROWS, 16), np.float32),
        np.zeros((rows.GROUP_ROWS, 24)),
        np.zeros((2, 64), np.float32),
    )


class MarketState(NamedTuple):
    """A copy of everything that decides the future of a batch (`get_state`, `set_state`)."""

    states: np.ndarray
    merchants: np.ndarray
    cells: np.ndarray
    twins: np.ndarray | None
    observations: np.ndarray


class Market:
    """`num_envs` markets of one scenario, stepped together.

    Args:
        scenario: the world; see `load_scenario`.
        num_envs: number of markets, at least 1.
        days: length of an episode.
        levers: a lever set's name or lever names, see `select_levers`.
        reward: one of settled_gmv, incremental, profit, score, platform (scaled by budget *
            roi_target).
        split: "train" or "test"; their merchants come from disjoint random streams.
        threads: worker threads for large batches; results do not depend on it.
        sampled: False for expectation mode: counts are their means and nothing is random but the
            merchant.
        noop: the plan does nothing, whatever the actions: no ads, no coupons (the baseline of
            shares).

    Attributes:
        observations: (num_envs, 81) float32, rewards: (num_envs,) float32, dones: (num_envs,) bool,
        costs: (num_envs, 5) float32: roi, budget, subsidy, ad load, refund rate. Overwritten by
            each step.
    """

    def __init__(
        self,
        scenario: Scenario,
        num_envs: int,
        *,
        days: int,
        levers: "str | tuple[str, ...] | list[str]",
        reward: str = "settled_gmv",
        split: str = "train",
        threads: int = 1,
        sampled: bool = True,
        noop: bool = False,
    ):
        _one_of("reward", reward, REWARDS)
        _one_of("split", split, tuple(SPLITS))
        _at_least("num_envs", num_envs, 1)
        _at_least("days", days, 1)
        _at_least("threads", threads, 1)
        self.scenario = scenario
        self.num_envs = int(num_envs)
        self.days = int(days)
        self.split = split
        self.levers = select_levers(levers)
        self.reward = reward
        self.sampled = sampled
        self.noop = noop
        self.threads = int(threads)
        self.world = build_world(scenario, self.days, int(SPLITS[split]), reward, sampled)
        self.ticks = int(self.world.constants[0]["ticks"])
        self.states = np.zeros(num_envs, rows.STATE)
        self.merchants = np.zeros(num_envs, rows.MERCHANT)
        self.cells = np.zeros((num_envs, rows.CELL_ROWS, rows.N_LANES), np.float32)
        self.twins = np.zeros(num_envs, rows.STATE) if reward == "incremental" else None
        self.observations = np.zeros((num_envs, FEATURES), np.float32)
        self.rewards = np.zeros(num_envs, np.float32)
        self.dones = np.zeros(num_envs, np.bool_)
        self.costs = np.zeros((num_envs, COSTS), np.float32)
        self.states["done"] = 1
        self.states["episode"] = -1
        self.states["seed"] = fresh_seeds(num_envs)
        self._index = np.array([LEVER_NAMES.index(name) for name in self.levers], np.int64)
        self._twin_rewards, self._twin_costs = (
            np.zeros_like(self.rewards),
            np.zeros_like(self.costs),
        )
        self._start_threads()

    def _start_threads(self) -> None:
        self._scratch = [make_scratch() for _ in range(self.threads)]
        self._pool = ThreadPoolExecutor(self.threads - 1, "market") if self.threads > 1 else None
        self._single = None
        if self.num_envs == 1 and self.twins is None and not self.noop:
            buffer = np.zeros((1, len(self.levers)), np.float32)
            self._single = (buffer, self._arguments(buffer, self._scratch[0]))

    def reset(self, mask: np.ndarray | None = None, seeds: np.ndarray | None = None) -> np.ndarray:
        """Draw a new merchant and day for the masked markets (all by default); returns the
        observations.

        Args:
            mask: (num_envs,) bool, which markets to reset.
            seeds: (num_envs,) integers; a market given a seed starts that seed's first episode.
                Without seeds each market goes on to the next episode of its own stream.
        """
        chosen = np.ones(self.num_envs, np.bool_) if mask is None else mask
        if seeds is None:
            self.states["episode"][chosen] += 1
        else:
            self.states["seed"][chosen] = as_seeds(seeds)[chosen]
            self.states["episode"][chosen] = 0
        w = self.world

        def work(scratch: Scratch, first: int, last: int) -> None:
            reset_batch(
                first,
                last,
                w.constants,
                w.base,
                self.merchants,
                self.cells,
                self.states,
                chosen,
                w.calendar,
                w.clock,
                w.remaining,
                self.observations,
                scratch.lane,
                scratch.scene,
                scratch.draws,
            )

        self._run(work)
        if self.twins is not None:
            self.twins[chosen] = self.states[chosen]
        return self.observations

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Advance every unfinished market by one tick; results are in observations, rewards, dones
        and costs.

        Args:
            actions: (num_envs, len(levers)) float32 in [-1, 1]; values outside are clipped as the
                Box says.

        Raises:
            ValueError: if the shape is wrong or an entry is not finite; nothing has changed then.
        """
        actions = self._checked(actions)

        def work(scratch: Scratch, first: int, last: int) -> None:
            step_batch(first, last, *self._arguments(actions, scratch), self.noop)
            if self.twins is not None:
                step_batch(first, last, *self._arguments(actions, scratch, twin=True), True)
                self.rewards[first:last] -= self._twin_rewards[first:last]

        self._run(work)
        if self.noop:
            self.dones[:] = self.states["done"]
        return self.observations

    def step_single(self, action: np.ndarray) -> None:
        """`step` of a market of one with an action of (len(levers),), without the batch's overhead."""
        if self._single is None or action.shape != self._single[0].shape[1:]:
            self.step(np.asarray(action)[None])
            return
        buffer, arguments = self._single
        buffer[0] = action
        if not np.isfinite(buffer).all():
            self._checked(buffer)
        step_batch(0, 1, *arguments, False)

    def _arguments(
        self, actions: np.ndarray, scratch: Scratch, twin: bool = False
    ) -> tuple[Any, ...]:
        """What `step_batch` takes between the range of markets and the noop flag."""
        w = self.world
        states, rewards, costs = (
            (self.twins, self._twin_rewards, self._twin_costs)
            if twin
            else (self.states, self.rewards, self.costs)
        )
        return (
            w.constants,
            self.merchants,
            self.cells,
            states,
            actions,
            self._index,
            w.hours,
            w.calendar,
            w.clock,
            w.remaining,
            self.observations,
            rewards,
            self.dones,
            costs,
            scratch.lane,
            scratch.scene,
            scratch.group,
        )

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        actions = np.ascontiguousarray(actions, np.float32)
        if actions.shape != (self.num_envs, len(self.levers)):
            raise ValueError(
                f"actions have shape {actions.shape}; expected ({self.num_envs}, {len(self.levers)}): one row "
                f"per market, one entry for each of {', '.join(self.levers)}"
            )
        if not np.isfinite(actions).all():
            row, column = np.argwhere(~np.isfinite(actions))[0]
            raise ValueError(
                f"action of market {row}, lever {self.levers[column]}, is {actions[row, column]}; "
                "allowed are finite numbers, and those outside [-1, 1] are clipped"
            )
        return actions

    def _run(self, work: Callable[[Scratch, int, int], None]) -> None:
        """Run work over all markets, in one piece or in one contiguous slice per thread."""
        if self._pool is None or self.num_envs < SERIAL_BELOW:
            work(self._scratch[0], 0, self.num_envs)
            return
        cuts = [self.num_envs * i // self.threads for i in range(self.threads + 1)]
        jobs = [
            self._pool.submit(work, self._scratch[i], cuts[i], cuts[i + 1])
            for i in range(1, self.threads)
        ]
        work(self._scratch[0], 0, cuts[1])
        for job in jobs:
            job.result()

    def get_state(self) -> MarketState:
        """An exact copy of every market, to plan from or resume at."""
        return MarketState(
            self.states.copy(),
            self.merchants.copy(),
            self.cells.copy(),
            None if self.twins is None else self.twins.copy(),
            self.observations.copy(),
        )

    def set_state(self, state: MarketState) -> None:
        """Continue from a state of a Market of the same scenario, size and reward; raises
        ValueError otherwise.
        """
        if state.states.shape != self.states.shape or (state.twins is None) != (self.twins is None):
            raise ValueError(
                f"this state holds {len(state.states)} markets, {'no' if state.twins is None else 'with'} twins; "
                f"expected {self.num_envs} with reward {self.reward}"
            )
        self.states[:] = state.states
        self.merchants[:] = state.merchants
        self.cells[:] = state.cells
        self.observations[:] = state.observations
        if self.twins is not None and state.twins is not None:
            self.twins[:] = state.twins

    @classmethod
    def of(cls, setting: Setting, num_envs: int, **options: Any) -> "Market":
        """Open `num_envs` markets of a setting; `options` as for the class (reward, threads, sampled, noop)."""
        return cls(
            setting.scenario,
            num_envs,
            days=setting.days,
            levers=setting.levers,
            split=setting.split,
            **options,
        )

    @property
    def setting(self) -> Setting:
        """What is played in these markets."""
        return Setting(self.scenario, self.levers, self.days, self.split)

    @property
    def ticks_left(self) -> int:
        """Ticks until the last market of the batch ends its episode."""
        return self.ticks - int(self.states["tick"].min())

    def dashboard(self, which: "np.ndarray | slice | None" = None) -> dict[str, np.ndarray]:
        """What the merchants' dashboards show so far, arrays of (n,): of all markets, or of those indexed by `which`."""
        chosen = slice(None) if which is None else which
        return dashboard(self.states[chosen], self.merchants[chosen], self.world.constants[0])

    def close(self) -> None:
        """Stop the worker threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        """Everything but threads, so that a Market can be pickled and copied."""
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in ("_pool", "_scratch", "_single")
        }

    def __setstate__(self, data: dict[str, Any]) -> None:
        """Restore and start threads anew."""
        self.__dict__.update(data)
        self._start_threads()


def as_seeds(seeds: "np.ndarray | list[int]") -> np.ndarray:
    """Seeds as uint64, whatever their integer type; negative ones wrap around."""
    return np.array([int(seed) & SEED_MASK for seed in seeds], np.uint64)


def fresh_seeds(count: int) -> np.ndarray:
    """Seeds from the operating system's entropy, for markets that were never seeded."""
    return np.random.SeedSequence().generate_state(count, np.uint64)


def _one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{field} is {value!r}; allowed are {', '.join(allowed)}")


def _at_least(field: str, value: int, least: int) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{field} is {value!r}; it must be a whole number of at least {least}")
