"""What a plan could earn that knows its merchant and the exogenous path, but not the noise.

The clairvoyant's plans are fitted to one draw of luck; these are not. For every merchant the mean
score over noises is climbed by the market's own derivative, with new noises at every step, from
several starts: plans that act out a policy and shift it at every tick, and plans that act out what
the policy does on average, whatever they see. The best start of each merchant is chosen on noises
of its own, and what is reported is judged on others still. It is a value that is reached, not a
bound: a plan that also reads the noise better may do more. Imports torch: import it where it is
used.

A shift is the sum of a constant, a number per day, one per hour of the day and one per tick: what
many ticks share is found from many ticks.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import torch

from ..learners.gradient.ascent import schedule
from ..policy import Policy
from .known_path import Draws, KnownPath

PARTS = {"constant": 1.0, "days": 0.7, "hours": 0.7, "ticks": 0.3}  # and the rate of each
WARM = 4  # steps of rising rate
AVERAGED = 0.4  # last share of the steps whose mean is kept
WIDEST = 10.0  # a merchant's gradient is cut to so many times the median one's
WIDEST_SHIFT = 2.0  # from one end of the box to the other

OnStep = Callable[[str, int, int], None]


class Climb(NamedTuple):
    """How hard plans are searched."""

    steps: int = 50
    noises: int = 12  # drawn anew at every step, for every merchant
    learning_rate: float = 0.02
    choosing: int = 16  # noises that starts are chosen on
    seed: int = 0
    compiled: bool = True  # the derivative; worth it for more than a minute's work


USUAL = Climb()


class Start(NamedTuple):
    """Where a climb starts: a policy, or what it does on average."""

    policy: Policy
    open_loop: bool = False


class Group(NamedTuple):
    """Which merchants share a shift, and which lever of theirs moves."""

    group: np.ndarray  # (n,) int, that each merchant is in
    weight: np.ndarray  # (n,) what a merchant counts in its group
    lever: np.ndarray  # (n,) int; -1: all levers

    @classmethod
    def of_its_own(cls, n: int) -> "Group":
        """Everybody alone, with all levers."""
        return cls(np.arange(n), np.ones(n), np.full(n, -1))

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max()) + 1

    def prepare(self, gradient: np.ndarray) -> np.ndarray:
        """Gradients (n, ticks, levers), weighted, of the levers that move; no merchant's far longer
        than the median one's among those who move the same.
        """
        out = gradient * self.weight[:, None, None]
        for lever in np.unique(self.lever):
            mine = self.lever == lever
            if lever >= 0:
                out[mine] *= np.arange(out.shape[2]) == lever
            norm = np.sqrt((out[mine] ** 2).sum((1, 2)))
            most = WIDEST * np.median(norm)
            out[mine] *= np.minimum(most / np.maximum(norm, 1e-12), 1)[:, None, None]
        return out


class Informed(NamedTuple):
    """The plan of each of n merchants."""

    starts: tuple[str, ...]
    shifts: dict[str, np.ndarray]  # start -> (n, ticks, levers); of an open loop the plan itself
    chosen: np.ndarray  # (n,) index of its start; starts are followed by the same without a shift
    draws: int  # noises that every climb saw


def informed(
    path: KnownPath,
    starts: Mapping[str, Start],
    climb: Climb = USUAL,
    on_step: "OnStep | None" = None,
) -> Informed:
    """Search the plan of every merchant of a known path.

    Args:
        path: merchants and their paths.
        starts: by name; each is climbed from.
        climb: how hard.
        on_step: called with a start's name, the step, and how many there are.

    Raises:
        ValueError: without a start.
    """
    if not starts:
        raise ValueError("starts is empty; a plan is searched from at least one policy")
    rng = np.random.default_rng([climb.seed, 1])
    shifts = {}
    for name, start in starts.items():
        begin = np.zeros((len(path.seeds), path.ticks, len(path.setting.levers)), np.float32)
        if start.open_loop:
            begin = mean_actions(path, start.policy, new_keys(rng, climb.noises))
        policy = None if start.open_loop else start.policy

        def told(step: int, name: str = name) -> None:
            if on_step is not None:
                on_step(name, step, climb.steps)

        shifts[name] = ascend(path, policy, begin, climb, rng, on_step=told)
    found = Informed(
        tuple(starts), shifts, np.zeros(len(path.seeds), int), climb.steps * climb.noises
    )
    draws = path.draw(new_keys(rng, climb.choosing))
    means = [path.scores(draws, *acted(found, starts, i)).mean(1) for i in range(2 * len(starts))]
    return found._replace(chosen=np.argmax(means, axis=0))


def acted(
    found: Informed, starts: Mapping[str, Start], which: int
) -> tuple["Policy | None", "np.ndarray | None"]:
    """Policy and shift of one candidate: the starts with their shifts, then without."""
    name = found.starts[which % len(found.starts)]
    start = starts[name]
    if which >= len(found.starts):
        return start.policy, None
    return (None if start.open_loop else start.policy), found.shifts[name]


def scores_of(
    path: KnownPath, found: Informed, starts: Mapping[str, Start], draws: Draws
) -> np.ndarray:
    """Scores (n, k), CNY, each merchant by its chosen plan."""
    out = np.zeros((len(path.seeds), draws.noises))
    for which in np.unique(found.chosen):
        mine = found.chosen == which
        out[mine] = path.scores(draws, *acted(found, starts, int(which)))[mine]
    return out


def ascend(
    path: KnownPath,
    policy: "Policy | None",
    begin: np.ndarray,
    climb: Climb,
    rng: np.random.Generator,
    on_step: "Callable[[int], None] | None" = None,
    parts: "Mapping[str, float] | None" = None,
    group: "Group | None" = None,
    known: bool = True,
) -> np.ndarray:
    """Climb the mean score of a policy's shift, or of a plan; returns (n, ticks, levers).

    Args:
        path: merchants and their paths.
        policy: what is shifted; None: the shift is the plan.
        begin: (n, ticks, levers), where to begin.
        climb: how hard.
        rng: of the noises.
        on_step: called with the number of each step.
        parts: which parts the shift has, and their rates; all by default.
        group: who shares a shift, and which lever it moves; by default everybody has its own, and
            all levers move.
        known: whether the path is the known one, or another in every noise.
    """
    torch.set_num_threads(1)
    who = Group.of_its_own(len(begin)) if group is None else group
    shift = _Shift(begin, PARTS if parts is None else parts, who, path, climb)
    mean, averaged, episode = shift.whole(), 0, None
    for step in range(climb.steps):
        draws = path.draw(new_keys(rng, climb.noises), known=known)
        gradient, episode = path.gradient(draws, policy, shift.whole(), episode, climb.compiled)
        shift.climb(gradient, schedule(step, climb.steps, WARM))
        if step >= climb.steps * (1 - AVERAGED):
            averaged += 1
            mean = mean + (shift.whole() - mean) / averaged
        else:
            mean = shift.whole()
        if on_step is not None:
            on_step(step + 1)
    return mean.astype(np.float32)


class _Shift:
    """The numbers that a shift is made of, and Adam on them."""

    def __init__(
        self,
        begin: np.ndarray,
        rates: Mapping[str, float],
        who: Group,
        path: KnownPath,
        climb: Climb,
    ):
        _, ticks, levers = begin.shape
        per_day = path.setting.scenario.clock.ticks_per_day
        self.begin, self.who, self.rate = begin, who, climb.learning_rate
        self.place = {  # part -> (ticks,) its number at each tick
            "constant": np.zeros(ticks, int),
            "days": np.arange(ticks) // per_day,
            "hours": np.arange(ticks) % per_day,
            "ticks": np.arange(ticks),
        }
        self.numbers = {
            name: torch.zeros(who.groups, self.place[name].max() + 1, levers, requires_grad=True)
            for name in rates
        }
        self.optimizer = torch.optim.Adam(
            [
                {"params": [self.numbers[name]], "lr": self.rate * rate, "rate": rate}
                for name, rate in rates.items()
            ],
            betas=(0.9, 0.99),
        )

    def whole(self) -> np.ndarray:
        """(n, ticks, levers): where it began, and all parts."""
        total = self.begin.copy()
        for name, value in self.numbers.items():
            total += value.detach().numpy()[self.who.group][:, self.place[name]]
        return total

    def climb(self, gradient: np.ndarray, share: float) -> None:
        """One step of Adam up a gradient (n, ticks, levers), at a share of the rate."""
        gradient = self.who.prepare(gradient)
        for part in self.optimizer.param_groups:
            part["lr"] = self.rate * part["rate"] * share
        for name, value in self.numbers.items():
            value.grad = torch.from_numpy(-_summed(gradient, self.place[name], self.who))
        self.optimizer.step()
        with torch.no_grad():
            for value in self.numbers.values():
                value.clamp_(-WIDEST_SHIFT, WIDEST_SHIFT)


def mean_actions(path: KnownPath, policy: Policy, keys: np.ndarray) -> np.ndarray:
    """What a policy does on average over noises, (n, ticks, levers)."""
    draws = path.draw(keys)
    seen: list[np.ndarray] = []
    path.scores(draws, policy, on_action=seen.append)
    actions = np.stack(seen)  # (ticks, N, levers)
    each = actions.reshape(len(actions), -1, draws.noises, actions.shape[2])
    return each.mean(2).transpose(1, 0, 2)


def new_keys(rng: np.random.Generator, count: int) -> np.ndarray:
    """So many noises, (count,) uint64."""
    return rng.integers(1, 2**63, size=count).astype(np.uint64)


def _summed(gradient: np.ndarray, place: np.ndarray, who: Group) -> np.ndarray:
    """Rows that share a number, summed: (groups, numbers, levers) float32."""
    parts = np.zeros((place.max() + 1, len(gradient), gradient.shape[2]))
    np.add.at(parts, place, gradient.transpose(1, 0, 2))
    out = np.zeros((who.groups, *parts.shape[::2]))
    np.add.at(out, who.group, parts.transpose(1, 0, 2))
    return out.astype(np.float32)
