"""Derivatives of whole episodes: the engine plays, costates run backwards (design of gradients in
docs/decisions.md).
"""

import warnings
from typing import Any

import numpy as np
import torch

from ...interface import feedback
from ...interface.levers import LEVER_NAMES
from ..constants.world import World
from ..engine import Market
from . import carried, given
from .carried import Tensor
from .constants import Merchants, constants_of, merchants_of
from .outcome import Standing, measured, standing
from .tick import tick


class Course:
    """What is kept of one course of events, on the CPU: the plan's, or that of the copies that do
    nothing beside it (reward `incremental`).
    """

    def __init__(self, records: np.ndarray, noop: bool, sign: float, dtype: torch.dtype):
        self.records = records  # the engine's states, overwritten by each tick
        self.noop = noop
        self.sign = sign  # with which it counts in the return
        self.dtype = dtype
        self.states = [carried.read(records, dtype)]  # (N_CARRIED, n), one more than ticks
        self.given: list[Tensor] = []  # see `Given`
        self.first = standing(records, np.zeros(len(records), bool), dtype, "cpu")
        self.begin()

    def begin(self) -> None:
        """Note what the tick that comes is about to overwrite."""
        self._before = given.note(self.records)

    def note(self, world: World) -> None:
        """Note the tick that the engine has just played."""
        self.given.append(given.read(self._before, self.records, world, self.dtype))
        self.states.append(carried.read(self.records, self.dtype))


class Episode:
    """An episode in progress that can be differentiated.

    The compiled engine plays every tick, sampled or in expectation as the market is; the adjoint
    only supplies the derivative, tick by tick around the engine's own states: with S_t the state
    before tick t and lambda_T the derivative of the return in S_T,

        (lambda_t, g_t) = vjp(tick; S_t, a_t)(lambda_{t+1}),

    g_t being the derivative of the return in the actions of tick t. Memory grows by about 0.4 KB
    per market and tick, plus one tick's tape of about 20 KB per market.

    Args:
        market: the markets, reset; they are stepped from where they stand.
        compiled: fuse the backward tick by `torch.compile`: about twice as fast after a minute of
            compilation; it needs a C++ compiler, and without one warns and goes on without.
        dtype: torch.float32, or torch.float64 to check the derivative itself.
        device: where the derivative is computed; the engine stays on the CPU.
    """

    def __init__(
        self,
        market: Market,
        *,
        compiled: bool = False,
        dtype: torch.dtype = torch.float32,
        device: Any = "cpu",
    ):
        self.market = market
        self.dtype = dtype
        self.device = torch.device(device)
        self.constants = constants_of(market, dtype, self.device)
        self._pull = self._compiled_pull() if compiled else self._eager_pull
        self._hold = int(market.world.constants[0]["decision_ticks"])
        self._levers = [LEVER_NAMES.index(name) for name in market.levers]
        self.restart()

    def restart(self) -> None:
        """Begin again where the market stands now, usually after a reset."""
        market = self.market
        self.merchants: Merchants = merchants_of(market, self.dtype, self.device)
        self.courses = [Course(market.states, market.noop, 1.0, self.dtype)]
        if market.counterfactual is not None:
            self.courses.append(Course(market.counterfactual, True, -1.0, self.dtype))
        self.actions: list[Tensor] = []  # (levers, n) each: the decisions that were in force
        self._playing: list[np.ndarray] = []
        self._decided: list[np.ndarray] = []  # (n,): whether the tick reads its action,
        self._read: list[np.ndarray] = []  # and (n, levers), an entry within the box

    def __len__(self) -> int:
        """Ticks played so far."""
        return len(self.actions)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Play one tick, as `Market.step`, and note it; returns the observations."""
        for course in self.courses:
            course.begin()
        playing = self.market.states["done"] == 0
        decided = self.market.states["tick"] % self._hold == 0
        observations = self.market.step(actions)
        if self._hold > 1:
            self._read.append(decided[:, None] & (np.abs(actions) <= 1))
            actions = self.market.states["decision"][:, self._levers]
        self.actions.append(torch.as_tensor(np.array(actions).T.copy(), dtype=self.dtype))
        self._playing.append(playing)
        self._decided.append(decided)
        for course in self.courses:
            course.note(self.market.world)
        return observations

    def returns(self) -> Tensor:
        """Each market's return so far, the sum of its rewards up to rounding, (n,)."""
        total = torch.zeros(self.market.num_envs, dtype=self.dtype, device=self.device)
        for course in self.courses:
            first, last = (course.states[i].to(self.device) for i in (0, -1))
            began = Standing(*(x.to(self.device) for x in course.first))
            grown = self._measured(last, self._now(course)) - self._measured(first, began)
            total = total + course.sign * grown / self.scale
        return total

    @property
    def scale(self) -> Tensor:
        """budget * roi_target of each market, fen, (n,): what rewards are divided by."""
        return (self.merchants.budget * self.merchants.roi_target)[0]

    def gradient(self, weights: "Tensor | None" = None, margins: "Tensor | None" = None) -> Tensor:
        """Derivative of each market's return in its actions, (ticks, n, levers).

        Args:
            weights: (n,), what a market's return counts; 1 by default.
            margins: (n,), with reward `score`: the target counts as roi_target * (1 + margin), as
                for `ObjectiveReward`; 0 by default.
        """
        if weights is None:
            weights = torch.ones(self.market.num_envs)
        weights = weights.to(self.scale)
        judged = self.merchants
        if margins is not None:
            judged = judged._replace(strictness=(1 + margins.to(self.scale))[None])
        first, *others = (
            self._of_course(course, course.sign * weights, judged) for course in self.courses
        )
        return sum(others, first)

    def _of_course(self, course: Course, weights: Tensor, judged: Merchants) -> Tensor:
        """Derivative of a course's weighted results, costates running backwards."""
        self.constants.noop = course.noop
        last = course.states[-1].to(self.device).requires_grad_()
        returns = self._measured(last, self._now(course), judged) / self.scale
        (costate,) = torch.autograd.grad(returns, last, weights)
        gradients = []
        for t in reversed(range(len(self))):
            state, action, outside = (
                x[t].to(self.device) for x in (course.states, self.actions, course.given)
            )
            earlier, gradient = self._pull(state, action, outside, costate, judged)
            if not self._playing[t].all():  # a market that has ended stands still
                playing = torch.as_tensor(self._playing[t], device=self.device)
                earlier = torch.where(playing, earlier, costate)
                gradient = torch.where(playing, gradient, 0)
            costate = earlier
            gradients.append(gradient)
        return self._of_decisions(torch.stack(gradients[::-1]).transpose(1, 2)).contiguous()

    def _of_decisions(self, gradients: Tensor) -> Tensor:
        """The derivative in actions from that in the decisions in force, (ticks, n, levers): a
        decision answers for all ticks for which it stands, an action that is not read for none.
        """
        if self._hold == 1:
            return gradients
        result = torch.zeros_like(gradients)
        standing = torch.zeros_like(gradients[0])
        for t in reversed(range(len(self))):
            standing = standing + gradients[t]
            decided = torch.as_tensor(self._decided[t], device=self.device)[:, None]
            read = torch.as_tensor(self._read[t], device=self.device)
            result[t] = torch.where(read, standing, 0)
            standing = torch.where(decided, 0, standing)
        return result

    def _measured(
        self, table: Tensor, where: Standing, judged: "Merchants | None" = None
    ) -> Tensor:
        reward = feedback.REWARDS.index(self.market.reward)
        return measured(self.constants, judged or self.merchants, table, where, reward)

    def _now(self, course: Course) -> Standing:
        ended = self.market.states["done"] != 0
        return standing(course.records, ended, self.dtype, self.device)

    def _eager_pull(
        self, state: Tensor, action: Tensor, outside: Tensor, costate: Tensor, merchants: Merchants
    ) -> tuple[Tensor, ...]:
        """Costate before a tick and derivative in its actions, from the costate after it."""
        state, action = state.detach().requires_grad_(), action.detach().requires_grad_()
        with torch.enable_grad():
            after = tick(self.constants, merchants, state, action, outside)
        return torch.autograd.grad(after, (state, action), costate)

    def _compiled_pull(self) -> Any:
        """The same as one fused graph; eager where it cannot be compiled."""

        def pull(
            state: Tensor, action: Tensor, outside: Tensor, costate: Tensor, merchants: Merchants
        ) -> Any:
            def play(s: Tensor, a: Tensor) -> Tensor:
                return tick(self.constants, merchants, s, a, outside)

            return torch.func.vjp(play, state, action)[1](costate)

        fused = torch.compile(pull, dynamic=False)

        def guarded(*arguments: Any) -> Any:
            try:
                return fused(*arguments)
            except Exception as error:  # whatever the compiler could not do
                warnings.warn(f"the adjoint goes on uncompiled: {error}", stacklevel=3)
                self._pull = self._eager_pull
                return self._eager_pull(*arguments)

        return guarded


def episode_gradient(market: Market, actions: np.ndarray, **options: Any) -> np.ndarray:
    """Play actions and return the derivative of each market's return in each of them.

    Args:
        market: the markets, reset or anywhere in their episodes; they have been stepped afterwards.
        actions: (ticks, n, levers) float32, at most as many ticks as are left.
        options: as for `Episode` (compiled, dtype, device).

    Returns:
        (ticks, n, levers): the derivative of market i's own reward, summed over the ticks played,
        with respect to `actions[:, i]`.

    Raises:
        ValueError: if the shape is wrong, an action is not finite, or there are more ticks than
            are left; nothing has been played then.
    """
    actions = np.asarray(actions)
    expected = (market.num_envs, len(market.levers))
    if actions.ndim != 3 or actions.shape[1:] != expected or not len(actions):
        raise ValueError(
            f"actions have shape {actions.shape}; expected (ticks, {expected[0]}, {expected[1]}), "
            "at least one tick"
        )
    if len(actions) > market.ticks_left:
        raise ValueError(
            f"actions are for {len(actions)} ticks; the market has {market.ticks_left} left"
        )
    if not np.isfinite(actions).all():
        raise ValueError("actions hold a number that is not finite; allowed are finite numbers")
    episode = Episode(market, **options)
    for action in actions:
        episode.step(action)
    return episode.gradient().cpu().numpy()
