"""What each lever of a task is worth alone: knowing the merchant, timing, and reacting.

A lever is moved around the best rule with its best common constant (the base), all other levers
staying as the base plays them. Five shifts of its action are climbed by the market's derivative,
each beginning where the one it extends has ended:

    common    one constant for all merchants
    schedule  common + a number per day and one per hour of the day, for all merchants
    own       one constant per merchant
    plan      own + a number per day, per hour and per tick, per merchant
    path      plan, climbed on for the known path of demand and prices

The first four see another path in every noise: they know the merchant and the clock, not the days
to come. `path` sees the known path with new noise at every step, never the noise it is judged on.
In mean scores over doing nothing, judged on noises of the known path that nothing was fitted on,

    knowing      own - common        what it is worth that the lever is set for this merchant
    timing       schedule - common   what following the clock is worth to everybody
    own timing   plan - own          what a timing of its own is worth to a merchant
    reacting     path - plan         what following this merchant's own days is worth

Whatever is told may be ignored: of a shift, of 0.4 of the way to it, and of the one it extends,
that with the highest mean on noises kept for choosing is played; these have the known path for
`path` alone. (It is one choice for all merchants, so it can hardly be fitted to luck; a short way
keeps a gain where noise led a climb about.)
Worths of levers that stand in for each other do not add up: each is measured with the others still
there.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...agents import Policy
from ...agents.references.informed import Climb, Group, ascend, mean_actions, new_keys
from ...agents.references.known_path import Draws, KnownPath
from ..analysis.statistics import Interval
from ..studies.paired import paired_mean

SWEEP = np.array([-1.0, -0.5, -0.2, 0.0, 0.2, 0.5, 1.0])  # where constants begin
USUAL_NOISES = 4  # on which the mean action of the base is taken
SHARES = (1.0, 0.4)  # of what is climbed, from which the best is chosen
CORNER = 0.98  # of the box: beyond it a lever counts as at its end


class _Form(NamedTuple):
    """How a shift is made."""

    extends: str  # the shift that it falls back on
    parts: dict[str, float]  # what it adds, and the rate of each
    shared: bool = False  # by all merchants
    known: bool = False  # whether it meets the known path
    constant: bool = False  # whether it begins at the best constant of a sweep


CONSTANT = {"constant": 1.0}
CLOCK = {"days": 1.0, "hours": 1.0}
TICKS = {"days": 0.7, "hours": 0.7, "ticks": 0.3}
FORMS = {
    "common": _Form("base", CONSTANT, shared=True, constant=True),
    "schedule": _Form("common", CLOCK, shared=True),
    "own": _Form("common", CONSTANT, constant=True),
    "plan": _Form("own", TICKS),
    "path": _Form("plan", TICKS, known=True),
}
WORTHS = {
    "knowing": ("own", "common"),
    "timing": ("schedule", "common"),
    "own_timing": ("plan", "own"),
    "reacting": ("path", "plan"),
}


class LeverEffort(NamedTuple):
    """How hard the shifts of single levers are searched."""

    merchants: int  # of those of the table, the first
    climb: Climb
    sweep: int = 4  # noises on which constants begin


class LeverWorth(NamedTuple):
    """One lever. Figures are differences of scores over doing nothing, relative to the mean score
    of the base: 0.01 is 1 %.
    """

    lever: str
    knowing: Interval
    timing: Interval
    own_timing: Interval
    reacting: Interval
    best: tuple[float, float, float]  # quartiles of the merchants' own constants, the lever itself
    corner: float  # share of merchants whose own constant holds the lever at an end of [-1, 1]


def lever_worths(
    path: KnownPath,
    base: Policy,
    draws: Draws,
    effort: LeverEffort,
    rng: np.random.Generator,
    on_progress: Callable[[str], None],
) -> list[LeverWorth]:
    """What each lever of a task is worth alone; all levers are climbed side by side.

    Args:
        path: merchants and their paths.
        base: what plays the other levers.
        draws: noises to judge on, of these merchants, doing nothing played.
        effort: how hard is searched.
        rng: of the noises for searching.
        on_progress: called with what is being fitted.
    """
    assert draws.unit is not None
    n, levers = len(path.seeds), len(path.setting.levers)
    found = _Levers(path, base, draws.unit.mean(1), effort, rng)
    judging = draws.times(levers)
    judged = {"base": found.relative(judging, found.shifts["base"])}
    for name, form in FORMS.items():
        on_progress(name)
        found.fit(name, form)
        judged[name] = found.relative(judging, found.shifts[name])
    path.ticks_played += found.many.ticks_played
    usual = mean_actions(path, base, new_keys(rng, USUAL_NOISES)).mean(1)  # (n, levers)
    level, one = np.full(n, judged["base"][0].mean()), np.arange(levers)
    best = np.clip(usual.T + found.own_constants.reshape(levers, n, levers)[one, :, one], -1, 1)
    corner = (np.abs(best) >= CORNER).mean(1)
    low, middle, high = np.quantile(best, (0.25, 0.5, 0.75), axis=1)
    return [
        LeverWorth(
            lever,
            *(paired_mean(judged[a][i], judged[b][i], level) for a, b in WORTHS.values()),
            best=(float(low[i]), float(middle[i]), float(high[i])),
            corner=float(corner[i]),
        )
        for i, lever in enumerate(path.setting.levers)
    ]


class _Levers:
    """Every lever's shifts, (levers * n, ticks, levers), lever by lever every merchant."""

    def __init__(
        self,
        path: KnownPath,
        base: Policy,
        unit: np.ndarray,
        effort: LeverEffort,
        rng: np.random.Generator,
    ):
        self.base, self.effort, self.rng = base, effort, rng
        self.n, self.levers = len(path.seeds), len(path.setting.levers)
        self.many = path.times(self.levers)
        self.lever = np.repeat(np.arange(self.levers), self.n)
        self.unit = np.tile(unit, self.levers)
        keys = new_keys(rng, effort.climb.choosing)
        self.choosing = {known: self.many.draw(keys, known=known) for known in (False, True)}
        shape = (self.levers * self.n, path.ticks, self.levers)
        self.shifts = {"base": np.zeros(shape, np.float32)}
        self.swept = self._sweep()

    def relative(self, draws: Draws, shift: np.ndarray) -> np.ndarray:
        """Mean scores over doing nothing, (levers, n)."""
        scores = self.many.scores(draws, self.base, shift).mean(1)
        return (scores / self.unit).reshape(self.levers, self.n)

    def fit(self, name: str, form: _Form) -> None:
        """Climb a shift, and keep it where it is better than what it extends."""
        begin = self.shifts[form.extends]
        if form.constant:
            begin = self._constants(form.shared)
        group = Group(np.arange(len(self.lever)), np.ones(len(self.lever)), self.lever)
        if form.shared:
            group = Group(self.lever, self.many.scale / self.unit, self.lever)
        shift = ascend(
            self.many,
            self.base,
            begin,
            self.effort.climb,
            self.rng,
            parts=form.parts,
            group=group,
            known=form.known,
        )
        if name == "own":
            self.own_constants = shift[:, 0]
        fallback, choosing = self.shifts[form.extends], self.choosing[form.known]
        kept, best = fallback.copy(), self.relative(choosing, fallback).mean(1)
        for share in SHARES:
            tried = fallback + np.float32(share) * (shift - fallback)
            scores = self.relative(choosing, tried).mean(1)
            mine = (scores > best)[self.lever]
            kept[mine] = tried[mine]
            best = np.maximum(scores, best)
        self.shifts[name] = kept

    def _sweep(self) -> np.ndarray:
        """Mean scores over doing nothing of constant shifts, (values, levers, n)."""
        draws = self.many.draw(new_keys(self.rng, self.effort.sweep), known=False)
        moved = np.eye(self.levers, dtype=np.float32)[self.lever][:, None]
        return np.stack([self.relative(draws, value * moved) for value in SWEEP])

    def _constants(self, shared: bool) -> np.ndarray:
        """The best constants of the sweep as shifts."""
        best = self.swept.mean(2, keepdims=True) if shared else self.swept
        value = SWEEP[np.broadcast_to(best, self.swept.shape).argmax(0)].ravel()
        moved = np.eye(self.levers, dtype=np.float32)[self.lever] * value[:, None]
        return np.broadcast_to(moved[:, None], self.shifts["base"].shape).astype(np.float32)
