"""Measure the headroom of a task: from doing nothing over rules and learners to the informed plan,
all on the same merchants, paths and noises, and what each lever is worth.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agents import Policy, make_rule, plan_spec
from ...agents.references import upper_bound
from ...agents.references.informed import Climb, Start, informed, new_keys, scores_of
from ...agents.references.known_path import Draws, KnownPath
from ...agents.rules.tuned import best_rule, tuned_parameters
from ...envs import Setting
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from ..studies.paired import paired_mean
from .levers import LeverWorth, lever_worths

FORMS = {
    "rule + constant": "constant",
    "rule + schedule": "schedule",
    "rule + start facts": "start_facts",
}
BATCH = {1: 256, 7: 64}  # merchants of an update of a shift, by days; fewer on longer tasks
JUDGE_SEED = 20_261_128


class Effort(NamedTuple):
    """How much is computed."""

    merchants: int
    noises: int = 32  # that everybody is judged on
    climb: Climb = Climb()
    sweep: int = 8  # noises that a lever's constants are chosen on
    shift_ticks: int = 1_000_000  # that each shift of the rule is fitted on

    @classmethod
    def usual(cls, days: int) -> "Effort":
        """About ten CPU minutes."""
        if days == 1:
            return cls(96)
        if days <= 7:
            return cls(48, noises=24)
        return cls(24, noises=12, climb=Climb(40, 8), sweep=6, shift_ticks=1_500_000)

    @classmethod
    def quick(cls) -> "Effort":
        """A look within a minute or two."""
        return cls(8, 4, Climb(5, 4, choosing=4, compiled=False), 2, 50_000)


class Row(NamedTuple):
    """Who played, and what came of it."""

    name: str
    agent: str
    score: Interval  # mean over merchants of the mean score over that of doing nothing
    over_rule: Interval  # paired mean difference, in the same unit
    share: float  # of the informed plan's gain above doing nothing
    ticks: int  # simulated to find it, judging aside; a rule's tuning is not counted here
    cpu_seconds: float


class Headroom(NamedTuple):
    """What there is to win on a task."""

    task: str
    scenario: str
    scenario_hash: str
    split: str
    first_seed: int
    effort: Effort
    rows: list[Row]
    levers: list[LeverWorth]
    chosen: dict[str, int]  # start of the informed plan -> merchants for whom it is the best
    ticks: int
    cpu_seconds: float


class _Clock:
    """CPU seconds and ticks since it was last read."""

    def __init__(self, path: KnownPath):
        self.path = path
        self.read()

    def read(self) -> tuple[int, float]:
        """(ticks, seconds) since the last reading."""
        now = (self.path.ticks_played, time.process_time())
        last = getattr(self, "last", now)
        self.last = now
        return now[0] - last[0], now[1] - last[1]


def measure(
    setting: Setting,
    task: str,
    learner: tuple[str, Policy],
    effort: Effort,
    on_progress: Callable[[str], None],
) -> Headroom:
    """Measure a task.

    Args:
        setting: what is played, with the split whose merchants are met.
        task: its name; the best rule and its values are those that tuning found for it.
        learner: name and policy of the learner.
        effort: how much is computed.
        on_progress: called with a line now and then.

    Raises:
        ValueError: if the scenario's shocks cannot be given from outside (`KnownPath`).
    """
    seeds = np.arange(TEST_SEED, TEST_SEED + effort.merchants)
    began = time.process_time()
    path = KnownPath(setting, seeds)
    rng = np.random.default_rng(JUDGE_SEED)
    draws = path.draw(new_keys(rng, effort.noises), nothing=True)
    rule_name = best_rule(task)
    rule = make_rule(rule_name, plan_spec(setting), **tuned_parameters(rule_name, task))
    clock = _Clock(path)
    played: dict[str, tuple[str, np.ndarray, int, float]] = {}

    def note(name: str, agent: str, scores: np.ndarray, ticks: int, seconds: float) -> None:
        assert draws.nothing is not None
        played[name] = (agent, scores.mean(1) / draws.nothing.mean(1), ticks, seconds)

    assert draws.nothing is not None
    note("nothing", "no ads, no coupons", draws.nothing, 0, 0.0)
    note("best rule", rule_name, path.scores(draws, rule), 0, 0.0)
    shifts: dict[str, Policy] = {}
    for name, form in FORMS.items():
        on_progress(f"{task}: fitting {name}")
        clock.read()
        shifts[name], ticks = _fitted(setting, task, rule_name, form, effort)
        seconds = clock.read()[1]
        note(name, rule_name, path.scores(draws, shifts[name]), ticks, seconds)
    note("learner", learner[0], path.scores(draws, learner[1]), 0, 0.0)
    base = shifts["rule + constant"]
    starts = {
        "around the rule": Start(base),
        "around the learner": Start(learner[1]),
        "open loop": Start(rule, open_loop=True),
    }
    clock.read()

    def climbing(start: str, step: int, total: int) -> None:
        if step % 10 == 0 or step == total:
            on_progress(f"{task}: informed plan, {start}, {step} of {total}")

    found = informed(path, starts, effort.climb, climbing)
    ticks, seconds = clock.read()
    note("informed", "a plan per merchant", scores_of(path, found, starts, draws), ticks, seconds)
    if setting.days == 1:
        note(*_bound(setting, seeds, draws))
    worths = lever_worths(
        path,
        base,
        found.shifts["around the rule"],
        draws,
        effort.sweep,
        rng,
        lambda lever: on_progress(f"{task}: {lever}"),
    )
    names = [*found.starts, *(f"{name}, not moved" for name in found.starts)]
    counts = np.bincount(found.chosen, minlength=len(names))
    return Headroom(
        task,
        setting.scenario.name,
        setting.scenario.hash,
        setting.split,
        int(seeds[0]),
        effort,
        _rows(played),
        worths,
        {name: int(count) for name, count in zip(names, counts, strict=True)},
        path.ticks_played,
        round(time.process_time() - began, 1),
    )


def _fitted(
    setting: Setting, task: str, rule: str, form: str, effort: Effort
) -> tuple[Policy, int]:
    """The rule with a shift, fitted on merchants of the train split, and the ticks of that."""
    from ...agents.learners.settings import ShiftSettings
    from ...agents.learners.shifts.fit import fit_shift

    settings = ShiftSettings.model_validate(
        {
            "form": form,
            "compiled": effort.climb.compiled,
            "steps": effort.shift_ticks,
            "num_envs": BATCH.get(setting.days, 32),
            "training_env": {"rule": rule, "rule_task": task},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        policy = fit_shift(settings, setting.of("train"), 0, Path(folder))
    return policy, 2 * int(policy.description["steps"])  # doing nothing beside


def _bound(
    setting: Setting, seeds: np.ndarray, draws: Draws
) -> tuple[str, str, np.ndarray, int, float]:
    """The upper bound of one-day tasks, argued and not proved in some steps."""
    began = time.process_time()
    value = np.asarray(upper_bound(setting, seeds).value)
    seconds = time.process_time() - began
    scores = np.repeat(value[:, None], draws.noises, axis=1)
    return "bound", "argued, not proved", scores, len(seeds) * setting.ticks, seconds


def _rows(played: dict[str, tuple[str, np.ndarray, int, float]]) -> list[Row]:
    unit = np.ones_like(played["nothing"][1])
    rule = played["best rule"][1]
    gain = float((played["informed"][1] - 1).mean())
    return [
        Row(
            name,
            agent,
            paired_mean(scores, 0 * unit, unit),
            paired_mean(scores, rule, unit),
            float((scores - 1).mean()) / gain,
            ticks,
            round(seconds, 1),
        )
        for name, (agent, scores, ticks, seconds) in played.items()
    ]


def as_dict(found: Headroom) -> dict[str, Any]:
    """Named tuples as dicts, all the way down."""

    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: plain(part) for name, part in value._asdict().items()}
        if isinstance(value, list | tuple):
            return [plain(part) for part in value]
        return value

    return plain(found)
