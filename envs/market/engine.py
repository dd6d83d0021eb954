"""The batched core: many markets as arrays, reset and stepped together (world 4). No Gymnasium
types.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..interface.features import N_FEATURES
from ..interface.feedback import N_COSTS, REWARDS
from ..interface.levers import LEVER_NAMES, select_levers
from ..interface.setting import Setting
from ..kernels.frame import Frame
from ..kernels.streams import TEST, TRAIN, VALIDATION
from ..scenario import Scenario
from . import layout as rows
from .batch import FRAME, reset_batch, step_batch
from .constants import build_world
from .dashboard import dashboard
from .generator import DRAWS

# whose merchants are met: to learn and tune on, to choose on, to report on
SPLITS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
SERIAL_BELOW = 64  # threads only pay beyond this batch size
# Arrays whose addresses compiled code knows.
PINNED = frozenset(
    {
        "states",
        "merchants",
        "cells",
        "counterfactual",
        "observations",
        "rewards",
        "dones",
        "costs",
        "world",
    }
)
SEED_MASK = (1 << 64) - 1


class MarketState(NamedTuple):
    """A copy of everything that decides the future of a batch (`get_state`, `set_state`)."""

    states: np.ndarray
    merchants: np.ndarray
    cells: np.ndarray
    counterfactual: np.ndarray | None  # states of the no-op copies; only with reward incremental
    observations: np.ndarray


class _Single(NamedTuple):
    """What one tick of a market of one needs at hand."""

    action: np.ndarray  # (levers,) float32: the frame's action
    frame: Frame
    observation: np.ndarray
    costs: np.ndarray


class Market:
    """`num_envs` markets of one scenario, stepped together.

    Args:
        scenario: the world; see `load_scenario`.
        num_envs: number of markets, at least 1.
        days: length of an episode; with several plans in it (`seasons`) a multiple of theirs.
        levers: a lever set's name or lever names, see `select_levers`.
        reward: one of settled_gmv, incremental, profit, score, platform (scaled by budget *
            roi_target).
        split: "train", "validation" or "test"; their merchants come from disjoint random
            streams.
        threads: worker threads for large batches; results do not depend on it.
        sampled: False for expectation mode: counts are their means and nothing is random but the
            merchant.
        noop: the plan does nothing, whatever the actions: no ads, no coupons (the baseline of
            shares).

    Attributes:
        observations: (num_envs, N_FEATURES) float32.
        rewards: (num_envs,) float32.
        dones: (num_envs,) bool.
        costs: (num_envs, N_COSTS) float32, columns `COSTS`.
        states, merchants, cells: records of the markets, see `layout`.
        counterfactual: with reward incremental the states of copies that do nothing, on the same
            random numbers; else None.

    The arrays are overwritten by each step. Write into them, but do not replace them: compiled code
    knows where they lie.
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
        self._noop = bool(noop)
        self.threads = int(threads)
        self.world = build_world(scenario, self.days, int(SPLITS[split]), reward, sampled)
        self.ticks = int(self.world.constants[0]["ticks"])
        self.states = np.zeros(num_envs, rows.STATE)
        self.merchants = np.zeros(num_envs, rows.MERCHANT)
        self.cells = np.zeros((num_envs, rows.CELL_ROWS, rows.N_LANES), np.float32)
        self.counterfactual = np.zeros(num_envs, rows.STATE) if reward == "incremental" else None
        self.observations = np.zeros((num_envs, N_FEATURES), np.float32)
        self.rewards = np.zeros(num_envs, np.float32)
        self.dones = np.zeros(num_envs, np.bool_)
        self.costs = np.zeros((num_envs, N_COSTS), np.float32)
        self.states["done"] = 1
        self.states["episode"] = -1
        self.states["seed"] = fresh_seeds(num_envs)
        self._mask = np.zeros(num_envs, np.bool_)
        self._index = np.array([LEVER_NAMES.index(name) for name in self.levers], np.int64)
        self._noop_rewards = np.zeros_like(self.rewards)
        self._noop_costs = np.zeros_like(self.costs)
        self._start_threads()

    @property
    def noop(self) -> bool:
        """Whether the plans do nothing, whatever the actions; it may be switched between ticks."""
        return self._noop

    @noop.setter
    def noop(self, value: bool) -> None:
        """Switch it, for all markets of the batch."""
        self._noop = bool(value)
        self.close()
        self._start_threads()

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse to replace an array: compiled code would go on with the old one."""
        if name in PINNED and self.__dict__.get(name, value) is not value:
            raise AttributeError(
                f"{name} of a market may be written into, not replaced: market.{name}[:] = ..."
            )
        super().__setattr__(name, value)

    def _start_threads(self) -> None:
        """Make the frames and, for several threads, the pool."""
        pieces = self.threads if self.num_envs >= SERIAL_BELOW else 1
        cuts = [self.num_envs * i // pieces for i in range(pieces + 1)]
        self._pieces = [self._piece(first, last) for first, last in pairwise(cuts)]
        self._pool = ThreadPoolExecutor(pieces - 1, "market") if pieces > 1 else None
        self._single = None
        if self.num_envs == 1 and self.counterfactual is None and not self.noop:
            action = np.zeros((1, len(self.levers)), np.float32)
            frame = self._frame(0, 1)
            frame.point(actions=action)
            self._single = _Single(action[0], frame, self.observations[0], self.costs[0])

    def _piece(self, first: int, last: int) -> list[Frame]:
        """Frames of one thread's markets: of the markets, and of their counterfactuals if any."""
        frames = [self._frame(first, last)]
        if self.counterfactual is not None:
            frame = self._frame(first, last)
            frame.note(noop=True)
            frame.point(
                states=self.counterfactual, rewards=self._noop_rewards, costs=self._noop_costs
            )
            frames.append(frame)
        return frames

    def _frame(self, first: int, last: int) -> Frame:
        """Markets first to last - 1 as compiled code sees them, with work space of their own."""
        frame = Frame(
            FRAME,
            **self.world._asdict(),
            merchants=self.merchants,
            cells=self.cells,
            states=self.states,
            levers=self._index,
            mask=self._mask,
            observations=self.observations,
            rewards=self.rewards,
            dones=self.dones,
            costs=self.costs,
            lane=np.zeros(1, rows.LANE),
            scene=np.zeros(1, rows.SCENE),
            group=np.zeros(1, rows.GROUP),
            draws=np.zeros((2, DRAWS), np.float32),
        )
        frame.note(first=first, last=last, noop=self.noop)
        return frame

    def reset(self, mask: np.ndarray | None = None, seeds: np.ndarray | None = None) -> np.ndarray:
        """Draw a new merchant and day for the masked markets (all by default); returns the
        observations.

        Args:
            mask: (num_envs,) bool, which markets to reset.
            seeds: (num_envs,) integers; a market given a seed starts that seed's first episode.
                Without seeds each market goes on to the next episode of its own stream.
        """
        self._mask[:] = True if mask is None else mask
        chosen = self._mask
        if seeds is None:
            self.states["episode"][chosen] += 1
        else:
            self.states["seed"][chosen] = as_seeds(seeds)[chosen]
            self.states["episode"][chosen] = 0
        self._run(lambda frames: reset_batch(frames[0].address))
        if self.counterfactual is not None:
            self.counterfactual[chosen] = self.states[chosen]
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

        def work(frames: list[Frame]) -> None:
            for frame in frames:
                frame.point(actions=actions)
                step_batch(frame.address)

        self._run(work)
        if self.counterfactual is not None:
            self.rewards -= self._noop_rewards
        if self.noop:
            self.dones[:] = self.states["done"]
        return self.observations

    def step_single(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, list[float]]:
        """`step` of a market of one, without the batch's overhead.

        Args:
            action: (len(levers),), of any real type.

        Returns:
            A copy of the observation, the reward, whether the episode has ended, and the costs in
            the order of `COSTS`.

        Raises:
            ValueError: if the shape is wrong or an entry is not finite; nothing has changed then.
        """
        single = self._single
        if single is None or action.shape != single.action.shape:
            self.step(np.asarray(action)[None])
            reward, done = self.rewards.item(), self.dones.item()
            return self.observations[0].copy(), reward, done, self.costs[0].tolist()
        single.action[...] = action
        if step_batch(single.frame.address) >= 0:
            self._checked(single.action[None])
        return (
            single.observation.copy(),
            self.rewards.item(),
            self.dones.item(),
            single.costs.tolist(),
        )

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        actions = np.ascontiguousarray(actions, np.float32)
        if actions.shape != (self.num_envs, len(self.levers)):
            raise ValueError(
                f"actions have shape {actions.shape}; "
                f"expected ({self.num_envs}, {len(self.levers)}): one row per market, "
                f"one entry for each of {', '.join(self.levers)}"
            )
        if not np.isfinite(actions).all():
            row, column = np.argwhere(~np.isfinite(actions))[0]
            raise ValueError(
                f"action of market {row}, lever {self.levers[column]}, is {actions[row, column]}; "
                "allowed are finite numbers, and those outside [-1, 1] are clipped"
            )
        return actions

    def _run(self, work: Callable[[list[Frame]], Any]) -> None:
        """Run work over all markets, in one piece or in one contiguous slice per thread."""
        first, *others = self._pieces
        jobs = [self._pool.submit(work, frames) for frames in others] if self._pool else []
        work(first)
        for job in jobs:
            job.result()

    def get_state(self) -> MarketState:
        """An exact copy of every market, to plan from or resume at."""
        return MarketState(
            self.states.copy(),
            self.merchants.copy(),
            self.cells.copy(),
            None if self.counterfactual is None else self.counterfactual.copy(),
            self.observations.copy(),
        )

    def set_state(self, state: MarketState) -> None:
        """Continue from a state of a Market of the same scenario, size and reward; raises
        ValueError otherwise.
        """
        without = state.counterfactual is None
        if len(state.states) != self.num_envs or without != (self.counterfactual is None):
            raise ValueError(
                f"this state holds {len(state.states)} markets "
                f"{'without' if without else 'with'} counterfactuals; "
                f"expected {self.num_envs} with reward {self.reward}"
            )
        self.states[:] = state.states
        self.merchants[:] = state.merchants
        self.cells[:] = state.cells
        self.observations[:] = state.observations
        if self.counterfactual is not None and state.counterfactual is not None:
            self.counterfactual[:] = state.counterfactual

    @classmethod
    def of(cls, setting: Setting, num_envs: int, **options: Any) -> "Market":
        """Open `num_envs` markets of a setting; `options` as for the class (reward, threads,
        sampled, noop).
        """
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
        """What the merchants' dashboards show so far, arrays of (n,): of all markets, or of those
        indexed by `which`.
        """
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
            if key not in ("_pool", "_pieces", "_single")
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
