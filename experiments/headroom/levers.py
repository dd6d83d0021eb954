"""What telling each lever more is worth: the merchant, the time, the days to come.

Taken away from the informed plan, lever by lever. The plan is the best rule, moved by one constant
for all, plus a shift sigma (merchant, tick) of every lever that knows merchant and path
(`agents.references.informed`). For one lever, the others keeping theirs,

    full      sigma
    timed     own mean + common shape: the merchant's mean over ticks, plus what all merchants'
              shifts have in common by day and by hour of the day
    constant  own mean
    common    the mean of all merchants' means

and, in scores over doing nothing on noises that nothing was fitted on,

    reacting = full - timed        following this merchant's own days
    timing   = timed - constant    following the clock
    knowing  = constant - common   knowing the merchant

The three add up to what the lever loses if it is told nothing. Levers that stand in for each other
hide each other's worth here; so a sweep moves each lever alone, by one constant per merchant
against the best one for all, and says how far the merchants' best constants lie apart and how many
lie at an end of the lever.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...agents import Policy
from ...agents.references.informed import mean_actions, new_keys
from ...agents.references.known_path import Draws, KnownPath
from ..analysis.statistics import Interval
from ..studies.paired import paired_mean

SWEEP = np.array([-1.0, -0.6, -0.3, -0.15, 0.0, 0.15, 0.3, 0.6, 1.0])
CORNER = 0.98  # of the box: beyond it a lever counts as at its end


class LeverWorth(NamedTuple):
    """One lever. Figures are differences of scores over doing nothing, relative to the mean score
    of the rule with its constant: 0.01 is 1 %.
    """

    lever: str
    knowing: Interval
    timing: Interval
    reacting: Interval
    alone: Interval  # the merchant's own constant against the best one for all, this lever alone
    best: tuple[float, float, float]  # quartiles of the merchants' best constants, action units
    corner: float  # share of merchants whose best constant holds the lever at an end


class _Table(NamedTuple):
    """What a figure is a share of, and how."""

    nothing: np.ndarray  # (n,) CNY
    level: float  # mean score over doing nothing of the rule with its constant

    def worth(self, after: np.ndarray, before: np.ndarray) -> Interval:
        """Of scores (n, k), CNY."""
        unit = self.nothing * self.level
        return paired_mean(after.mean(1), before.mean(1), unit)


def lever_worths(
    path: KnownPath,
    base: Policy,
    shift: np.ndarray,
    draws: Draws,
    noises: int,
    rng: np.random.Generator,
    on_lever: Callable[[str], None],
) -> list[LeverWorth]:
    """What each lever of a task is worth.

    Args:
        path: merchants and their paths.
        base: the best rule with its constant.
        shift: (n, ticks, levers) of the informed plan around it.
        draws: noises that nothing was fitted on, doing nothing played.
        noises: on which the sweep chooses.
        rng: of these.
        on_lever: called with the name of each lever before it is measured.
    """
    assert draws.nothing is not None
    plain = path.scores(draws, base)
    nothing = draws.nothing.mean(1)
    table = _Table(nothing, float((plain.mean(1) / nothing).mean()))
    full = path.scores(draws, base, shift)
    choosing = path.draw(new_keys(rng, noises))
    usual = mean_actions(path, base, new_keys(rng, max(noises // 2, 1))).mean(1)
    found = []
    for i, lever in enumerate(path.setting.levers):
        on_lever(lever)
        timed, constant, common = (
            path.scores(draws, base, _told(shift, i, less)) for less in lesser(shift[..., i], path)
        )
        own, everybody = _sweep(path, base, choosing, i)
        alone = [path.scores(draws, base, one) for one in (own, everybody)]
        ends = np.abs(np.clip(usual[:, i] + own[:, 0, i], -1, 1)) >= CORNER
        low, middle, high = np.quantile(own[:, 0, i], (0.25, 0.5, 0.75))
        found.append(
            LeverWorth(
                lever,
                table.worth(constant, common),
                table.worth(timed, constant),
                table.worth(full, timed),
                table.worth(*alone),
                (float(low), float(middle), float(high)),
                float(ends.mean()),
            )
        )
    return found


def lesser(shift: np.ndarray, path: KnownPath) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Timed, constant and common: what is left, step by step, of one lever's shift (n, ticks)."""
    per_day = path.setting.scenario.clock.ticks_per_day
    own = shift.mean(1, keepdims=True)
    shape = (shift - own).mean(0).reshape(-1, per_day)
    by_day = shape.mean(1, keepdims=True)
    shared = (by_day + (shape - by_day).mean(0)).ravel()
    constant = np.broadcast_to(own, shift.shape)
    return constant + shared, constant, np.broadcast_to(own.mean(), shift.shape)


def _told(shift: np.ndarray, lever: int, less: np.ndarray) -> np.ndarray:
    """The shift with one lever's taken from elsewhere."""
    out = shift.copy()
    out[..., lever] = less
    return out


def _sweep(
    path: KnownPath, base: Policy, choosing: Draws, lever: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each merchant's best constant of one lever, and the best one for all, as shifts
    (n, 1, levers).
    """
    values = []
    for value in SWEEP:
        shift = np.zeros((1, 1, len(path.setting.levers)), np.float32)
        shift[..., lever] = value
        values.append(path.scores(choosing, base, shift).mean(1))
    scores = np.stack(values)
    own = np.zeros((scores.shape[1], 1, len(path.setting.levers)), np.float32)
    everybody = np.zeros_like(own)
    own[:, 0, lever] = SWEEP[scores.argmax(0)]
    # merchants count alike, as in the mean score over doing nothing
    relative = scores / np.maximum(scores[len(SWEEP) // 2], 1e-9)
    everybody[:, 0, lever] = SWEEP[relative.mean(1).argmax()]
    return own, everybody
