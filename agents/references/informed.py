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
WIDEST = 10.0  # a merchant's gradient at a tick is cut to so many times the median one's

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
    common: "tuple[str, ...]" = (),
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
        common: parts that all merchants share.
    """
    torch.set_num_threads(1)
    n, ticks, levers = begin.shape
    per_day = path.setting.scenario.clock.ticks_per_day
    sums = {
        "constant": np.zeros(ticks, int),
        "days": np.arange(ticks) // per_day,
        "hours": np.arange(ticks) % per_day,
        "ticks": np.arange(ticks),
    }
    rates = PARTS if parts is None else parts
    numbers = {
        name: torch.zeros(1 if name in common else n, sums[name].max() + 1, levers)
        for name in rates
    }
    groups = [
        {"params": [numbers[name].requires_grad_()], "lr": climb.learning_rate * rate, "rate": rate}
        for name, rate in rates.items()
    ]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99))

    def shift() -> np.ndarray:
        total = begin.copy()
        for name, value in numbers.items():
            total += value.detach().numpy()[:, sums[name]]
        return total

    mean, averaged, episode = shift(), 0, None
    for step in range(climb.steps):
        draws = path.draw(new_keys(rng, climb.noises))
        gradient, episode = path.gradient(draws, policy, shift(), episode, climb.compiled)
        gradient = _cut(gradient)
        share = schedule(step, climb.steps, WARM)
        for group in optimizer.param_groups:
            group["lr"] = climb.learning_rate * group["rate"] * share
        for name, value in numbers.items():
            value.grad = torch.from_numpy(-_summed(gradient, sums[name], name in common))
        optimizer.step()
        with torch.no_grad():
            for value in numbers.values():
                value.clamp_(-2, 2)
        if step >= climb.steps * (1 - AVERAGED):
            averaged += 1
            mean = mean + (shift() - mean) / averaged
        else:
            mean = shift()
        if on_step is not None:
            on_step(step + 1)
    return mean.astype(np.float32)


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


def _cut(gradient: np.ndarray) -> np.ndarray:
    """(n, ticks, levers), no merchant's far longer than the median one's."""
    norm = np.sqrt((gradient**2).sum((1, 2)))
    most = WIDEST * np.median(norm)
    return gradient * np.minimum(most / np.maximum(norm, 1e-12), 1)[:, None, None]


def _summed(gradient: np.ndarray, place: np.ndarray, common: bool) -> np.ndarray:
    """Rows that share a number, summed: (n or 1, numbers, levers) float32."""
    out = np.zeros((place.max() + 1, len(gradient), gradient.shape[2]))
    np.add.at(out, place, gradient.transpose(1, 0, 2))
    found = out.transpose(1, 0, 2)
    return (found.sum(0, keepdims=True) if common else found).astype(np.float32)
