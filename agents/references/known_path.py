"""Merchants whose exogenous path is known and whose noise is not: the same merchant meets the same
demand and prices with any luck (world 2.1h, 2.3).

The path is what moves traffic and competitors' prices whatever the plan does: the innovations of
the demand and the price shocks, tick by tick, and the states that jump, which have a stream of
their own. All else that is drawn (gamma factors of traffic, auctions, clicks, orders, delays,
returns, creatives) is noise. A market keeps shocks and noise in one stream of random numbers. So a
copy with another stream has its shocks moved before every tick by what its own innovation lacks to
the known one: with y' = keep * y + e, y is raised by (e_known - e_own) / keep.
The price shock also answers to the plan's own share of voice; that answer stays the copy's own.
"""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...envs import Market, MarketState, Setting, unit_of
from ...envs.interface.units import FEN_PER_CNY
from ...envs.market.adjoint import Episode
from ..policy import Policy

SHOCKS = ("demand_shock", "price_shock")


class Draws(NamedTuple):
    """Copies of n merchants, each with k noises, noise running fastest: N = n * k."""

    start: MarketState  # of N markets, before the first tick
    moves: dict[str, np.ndarray]  # name of a shock -> (ticks, N, scenes) added before each tick
    nothing: np.ndarray | None  # (n, k) CNY: score of doing nothing, if asked for
    unit: np.ndarray | None  # (n, k) CNY: what scores are measured in, likewise
    noises: int  # k

    def times(self, count: int) -> "Draws":
        """The same copies so many times, one after the other."""
        nothing, unit = (
            None if part is None else np.tile(part, (count, 1))
            for part in (self.nothing, self.unit)
        )
        moves = {name: np.tile(move, (1, count, 1)) for name, move in self.moves.items()}
        return Draws(
            _each(self.start, lambda part: np.concatenate([part] * count)),
            moves,
            nothing,
            unit,
            self.noises,
        )

    def first(self, merchants: int) -> "Draws":
        """Those of the first merchants alone."""
        rows = slice(merchants * self.noises)
        start = _each(self.start, lambda part: part[rows].copy())
        nothing, unit = (
            None if part is None else part[:merchants] for part in (self.nothing, self.unit)
        )
        moves = {name: move[:, rows] for name, move in self.moves.items()}
        return Draws(start, moves, nothing, unit, self.noises)


class KnownPath:
    """Merchants of a task, each with the path of its own first episode.

    Args:
        setting: what is played.
        seeds: (n,) streams; merchants and paths are those of their first episodes.

    Raises:
        ValueError: if a shock of the scenario keeps nothing from tick to tick: then it cannot be
            given from outside.
    """

    def __init__(self, setting: Setting, seeds: np.ndarray):
        self.setting = setting
        self.seeds = np.asarray(seeds)
        market = Market.of(setting, len(self.seeds), reward="score", noop=True)
        world = market.world.constants[0]
        for name in SHOCKS:
            if not world[_keep(name)] > 0:
                raise ValueError(
                    f"{name} keeps {world[_keep(name)]:g} of itself from tick to tick in the "
                    f"scenario {setting.scenario.name!r}; a known path needs more than 0"
                )
        market.reset(seeds=self.seeds)
        self.start = market.get_state()
        self.path = _innovations(market)
        self.ticks_played = market.ticks * len(self.seeds)

    @property
    def ticks(self) -> int:
        """Ticks of an episode."""
        return self.setting.ticks

    @property
    def scale(self) -> np.ndarray:
        """Budget * target of every merchant, CNY, (n,): the unit of `gradient`."""
        merchants = self.start.merchants
        return (merchants["budget"] * merchants["roi_target"]).reshape(-1) / FEN_PER_CNY

    def times(self, count: int) -> "KnownPath":
        """The same merchants and paths so many times, one after the other: (count * n)."""
        found = copy.copy(self)
        found.seeds = np.tile(self.seeds, count)
        found.start = _each(self.start, lambda part: np.concatenate([part] * count))
        found.path = {name: np.tile(part, (1, count, 1)) for name, part in self.path.items()}
        found.ticks_played = 0
        return found

    def first(self, merchants: int) -> "KnownPath":
        """The first merchants alone."""
        found = copy.copy(self)
        found.seeds = self.seeds[:merchants]
        found.start = _each(self.start, lambda part: part[:merchants].copy())
        found.path = {name: part[:, :merchants] for name, part in self.path.items()}
        found.ticks_played = 0
        return found

    def draw(self, keys: np.ndarray, nothing: bool = False, known: bool = True) -> Draws:
        """Every merchant with each of k noises.

        Args:
            keys: (k,) uint64; a key is a noise, the same for every merchant's own stream.
            nothing: whether doing nothing is played, too.
            known: whether the path is the known one; if not, every noise has a path of its own.
        """
        k = len(keys)
        start = _each(self.start, lambda part: np.repeat(part, k, axis=0))
        noise = np.tile(np.asarray(keys, np.uint64), len(self.seeds))
        start.states["key"] ^= noise
        if not known:
            start.states["path_key"] ^= noise
        market = Market.of(self.setting, len(start.states), reward="score", noop=True)
        moves = {}
        if known:
            market.set_state(start)
            own = _innovations(market)
            for name in SHOCKS:
                keep = market.world.constants[0][_keep(name)]
                moves[name] = (np.repeat(self.path[name], k, axis=1) - own[name]) / keep
            self.ticks_played += market.ticks * market.num_envs
        earned = unit = None
        if nothing:
            market.set_state(start)
            self._play_noop(market, moves)
            plans = market.dashboard()
            earned, unit = plans["score"].reshape(-1, k), unit_of(plans).reshape(-1, k)
        return Draws(start, moves, earned, unit, k)

    def _play_noop(self, market: Market, moves: dict[str, np.ndarray]) -> None:
        still = np.zeros((market.num_envs, len(market.levers)), np.float32)
        for tick in range(market.ticks):
            follow(market, moves, tick)
            market.step(still)
        self.ticks_played += market.ticks * market.num_envs

    def market(self, draws: Draws) -> Market:
        """The copies as markets, before their first tick."""
        market = Market.of(self.setting, len(draws.start.states), reward="score")
        market.set_state(draws.start)
        return market

    def scores(
        self,
        draws: Draws,
        policy: "Policy | None",
        shift: "np.ndarray | None" = None,
        on_action: "Callable[[np.ndarray], None] | None" = None,
    ) -> np.ndarray:
        """Scores (n, k), CNY, of a policy, of a plan, or of a policy whose actions are shifted.

        Args:
            draws: the copies to play in.
            policy: anything with `predict`; None: the shift alone is the plan.
            shift: (n, ticks, levers) added to the actions, the sum cut to [-1, 1]; a length of 1
                stands for all merchants or ticks.
            on_action: called with the actions (N, levers) of every tick.
        """
        market = self.market(draws)
        played = _Played(policy, shift, self, draws)
        for tick in range(market.ticks):
            follow(market, draws.moves, tick)
            action = played.action(market.observations, tick)[0]
            if on_action is not None:
                on_action(action)
            market.step(action)
        self.ticks_played += market.ticks * market.num_envs
        return market.dashboard()["score"].reshape(-1, draws.noises)

    def gradient(
        self,
        draws: Draws,
        policy: "Policy | None",
        shift: np.ndarray,
        episode: "Episode | None" = None,
        compiled: bool = False,
    ) -> tuple[np.ndarray, Episode]:
        """Derivative of every merchant's mean score over its noises, in units of budget * target,
        in a shift of its actions: (n, ticks, levers). The policy's answer to what the shift changes
        is left out. Nothing is gained by leaving the box: such entries are 0.

        Args:
            draws, policy, shift: as for `scores`.
            episode: of an earlier call with as many copies, which is used again.
            compiled: whether a new one compiles its derivative.

        Returns:
            The derivative, and the episode to pass next time.
        """
        if episode is None:
            episode = Episode(self.market(draws), compiled=compiled)
        market = episode.market
        market.set_state(draws.start)
        episode.restart()
        played = _Played(policy, shift, self, draws)
        raw = np.empty((market.ticks, market.num_envs, len(market.levers)), np.float32)
        for tick in range(market.ticks):
            follow(market, draws.moves, tick)
            action, raw[tick] = played.action(market.observations, tick)
            episode.step(action)
        self.ticks_played += market.ticks * market.num_envs
        found = np.nan_to_num(episode.gradient().numpy())
        found[((raw > 1) & (found > 0)) | ((raw < -1) & (found < 0))] = 0
        each = found.reshape(market.ticks, -1, draws.noises, found.shape[2])
        return each.mean(2).transpose(1, 0, 2), episode


def follow(market: Market, moves: dict[str, np.ndarray], tick: int) -> None:
    """Set the shocks so that the coming tick ends with those of the known path."""
    for name, move in moves.items():
        market.states[name] += move[tick]


class _Played:
    """Actions of a policy plus a shift, tick by tick."""

    def __init__(
        self, policy: "Policy | None", shift: "np.ndarray | None", path: KnownPath, draws: Draws
    ):
        self.policy = policy
        self.state: Any = None
        count, levers = len(draws.start.states), len(path.setting.levers)
        self.begins = np.ones(count, bool)
        self.zero = np.zeros((count, levers), np.float32)
        self.shift = None
        if shift is not None:
            whole = (len(path.seeds), path.ticks, levers)
            self.shift = np.broadcast_to(np.asarray(shift, np.float32), whole)
        self.noises = draws.noises

    def action(self, observations: np.ndarray, tick: int) -> tuple[np.ndarray, np.ndarray]:
        """(N, levers): what is played, and the same before it is cut to the box."""
        raw = self.zero
        if self.policy is not None:
            proposal, self.state = self.policy.predict(
                observations.copy(), self.state, self.begins, deterministic=True
            )
            self.begins = np.zeros_like(self.begins)
            raw = np.asarray(proposal, np.float32)
        if self.shift is not None:
            raw = raw + np.repeat(self.shift[:, tick], self.noises, axis=0)
        return np.clip(raw, -1, 1), raw


def _each(state: MarketState, change: Callable[[np.ndarray], np.ndarray]) -> MarketState:
    """A state whose arrays, markets along their first axis, are changed alike."""
    return MarketState(
        change(state.states),
        change(state.merchants),
        change(state.cells),
        None,
        change(state.observations),
    )


def _keep(name: str) -> str:
    """The constant that says what a shock keeps from tick to tick."""
    return name.replace("shock", "keep")


def _innovations(market: Market) -> dict[str, np.ndarray]:
    """What each tick adds to the shocks whatever the plan does, (ticks, N, scenes) float32, of
    markets that do nothing.
    """
    world = market.world.constants[0]
    found: dict[str, list[np.ndarray]] = {name: [] for name in SHOCKS}
    still = np.zeros((market.num_envs, len(market.levers)), np.float32)
    for _ in range(market.ticks):
        before = {name: market.states[name].copy() for name in SHOCKS}
        answer = world["price_reaction"] * market.states["voice"]
        market.step(still)
        for name in SHOCKS:
            added = market.states[name] - world[_keep(name)] * before[name]
            found[name].append(added - answer if name == "price_shock" else added)
    return {name: np.stack(parts) for name, parts in found.items()}
