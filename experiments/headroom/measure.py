"""Measure the headroom of a task: from doing nothing over rules and learners to the informed plan,
all on the same merchants, paths and noises, and what each lever is worth.
"""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agents import Policy, make_rule, plan_spec
from ...agents.references import upper_bound
from ...agents.references.bound.upper_bound import uncovered
from ...agents.references.informed import Climb, Start, informed, new_keys, scores_of
from ...agents.references.known_path import Draws, KnownPath
from ...agents.rules.tuned import best_rule, tuned_parameters
from ...envs import Setting
from ..analysis.statistics import Interval, bootstrap_iqm
from ..benchmark.ticks import training_ticks
from ..runs.evaluate import TEST_SEED
from ..studies.paired import paired_mean
from .levers import LeverEffort, LeverWorth, lever_worths

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
    levers: LeverEffort = LeverEffort(32, Climb(16, 4, 0.03))
    shift_ticks: int = 1_000_000  # that each shift of the rule is fitted on

    @classmethod
    def usual(cls, days: int) -> "Effort":
        """Five to ten CPU minutes."""
        if days == 1:
            levers = LeverEffort(64, Climb(20, 6, 0.03, choosing=8))
            return cls(64, 24, Climb(40), levers)
        if days <= 7:
            levers = LeverEffort(16, Climb(12, 3, 0.03, choosing=6))
            return cls(32, 16, Climb(30, 8), levers)
        levers = LeverEffort(6, Climb(10, 2, 0.03, choosing=6))
        return cls(12, 8, Climb(24, 6, choosing=8), levers, 700_000)

    @classmethod
    def quick(cls) -> "Effort":
        """A look within a minute or two."""
        climb = Climb(5, 4, choosing=4, compiled=False)
        return cls(8, 4, climb, LeverEffort(4, climb._replace(steps=2, noises=2), 2), 50_000)


class Row(NamedTuple):
    """Who played, and what came of it."""

    name: str
    agent: str
    score: Interval  # mean over merchants of the mean score over that of doing nothing
    over_rule: Interval  # paired mean difference, in the same unit
    gain: Interval  # IQM over merchants of what the score is above doing nothing, in the same unit
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


def measure(
    setting: Setting,
    task: str,
    learner: tuple[str, Policy],
    effort: Effort,
    on_progress: Callable[[str], None],
    memoryless: "tuple[str, Policy] | None" = None,
) -> Headroom:
    """Measure a task.

    Args:
        setting: what is played, with the split whose merchants are met.
        task: its name; the best rule and its values are those that tuning found for it.
        learner: name and policy of the learner.
        effort: how much is computed.
        on_progress: called with a line now and then.
        memoryless: name and policy of a learner without memory, if there is one.

    Raises:
        ValueError: if the scenario's shocks cannot be given from outside (`KnownPath`).
    """
    seeds = np.arange(TEST_SEED, TEST_SEED + effort.merchants)
    began = time.process_time()
    path = KnownPath(setting, seeds)
    draws = path.draw(new_keys(np.random.default_rng(JUDGE_SEED), effort.noises), nothing=True)
    rows = _Rows(path, draws)
    base = _rules(rows, setting, task, effort, on_progress)
    if memoryless is not None:
        rows.play("memoryless", *memoryless)
    rows.play("learner", *learner)
    chosen = _informed(rows, task, base, learner[1], effort, on_progress)
    if setting.days == 1 and not uncovered(setting.scenario):
        rows.bound(setting, seeds)
    worths = _levers(path, base, draws, task, effort, on_progress)
    return Headroom(
        task,
        setting.scenario.name,
        setting.scenario.hash,
        setting.split,
        int(seeds[0]),
        effort,
        rows.found(),
        worths,
        chosen,
        path.ticks_played,
        round(time.process_time() - began, 1),
    )


class _Rows:
    """Who has played so far, all on the same merchants, paths and noises."""

    def __init__(self, path: KnownPath, draws: Draws):
        assert draws.nothing is not None
        assert draws.unit is not None
        self.path, self.draws = path, draws
        self.unit = draws.unit.mean(1)
        self.nothing = draws.nothing.mean(1) / self.unit
        self.played: dict[str, tuple[str, np.ndarray, int, float]] = {}
        self.note("nothing", "no ads, no coupons", draws.nothing)

    def note(
        self, name: str, agent: str, scores: np.ndarray, ticks: int = 0, seconds: float = 0.0
    ) -> None:
        """Keep scores (n, k), CNY, and what it took to find whoever scored them."""
        self.played[name] = (agent, scores.mean(1) / self.unit, ticks, seconds)

    def play(
        self, name: str, agent: str, policy: Policy, ticks: int = 0, seconds: float = 0.0
    ) -> None:
        """Judge a policy."""
        self.note(name, agent, self.path.scores(self.draws, policy), ticks, seconds)

    def bound(self, setting: Setting, seeds: np.ndarray) -> None:
        """The upper bound of one-day tasks, argued and not proved in some steps."""
        began = time.process_time()
        value = np.asarray(upper_bound(setting, seeds).value)
        seconds = time.process_time() - began
        self.note(
            "bound", "argued, not proved", value[:, None], len(seeds) * setting.ticks, seconds
        )

    def found(self) -> list[Row]:
        """The rows in the order in which they were played."""
        unit = np.ones_like(self.nothing)
        rule = self.played["best rule"][1]
        gain = float((self.played["informed"][1] - self.nothing).mean())
        return [
            Row(
                name,
                agent,
                paired_mean(scores, 0 * unit, unit),
                paired_mean(scores, rule, unit),
                bootstrap_iqm(scores - self.nothing),
                float((scores - self.nothing).mean()) / gain,
                ticks,
                round(seconds, 1),
            )
            for name, (agent, scores, ticks, seconds) in self.played.items()
        ]


def _rules(
    rows: _Rows, setting: Setting, task: str, effort: Effort, on_progress: Callable[[str], None]
) -> Policy:
    """Judge the best rule and its shifts; returns the rule with its constant."""
    name = best_rule(task)
    rows.play("best rule", name, _rule(setting, task))
    shifts = {}
    for row, form in FORMS.items():
        on_progress(f"{task}: fitting {row}")
        began = time.process_time()
        shifts[row], ticks = _fitted(setting, task, name, form, effort)
        rows.play(row, name, shifts[row], ticks, time.process_time() - began)
    return shifts["rule + constant"]


def _rule(setting: Setting, task: str) -> Policy:
    """The task's best rule with the values tuned for it."""
    name = best_rule(task)
    return make_rule(name, plan_spec(setting), **tuned_parameters(name, task))


def _informed(
    rows: _Rows,
    task: str,
    base: Policy,
    learner: Policy,
    effort: Effort,
    on_progress: Callable[[str], None],
) -> dict[str, int]:
    """Search and judge the informed plan; returns for how many merchants each start is the best."""
    path = rows.path
    starts = {
        "around the rule": Start(base),
        "around the learner": Start(learner),
        "open loop": Start(_rule(path.setting, task), open_loop=True),
    }

    def climbing(start: str, step: int, total: int) -> None:
        if step % 10 == 0 or step == total:
            on_progress(f"{task}: informed plan, {start}, {step} of {total}")

    ticks, began = path.ticks_played, time.process_time()
    found = informed(path, starts, effort.climb, climbing)
    spent = path.ticks_played - ticks, time.process_time() - began
    scores = scores_of(path, found, starts, rows.draws)
    rows.note("informed", "a plan per merchant", scores, *spent)
    names = [*found.starts, *(f"{name}, not moved" for name in found.starts)]
    counts = np.bincount(found.chosen, minlength=len(names))
    return {name: int(count) for name, count in zip(names, counts, strict=True)}


def rows_of(folder: Path, setting: Setting, task: str) -> dict[str, Any]:
    """What a folder knows of a task.

    Raises:
        ValueError: if it has no rows of this task, or rows of another scenario.
    """
    file = folder / f"{task}.json"
    if not file.is_file():
        raise ValueError(f"--levers-only keeps rows, and {file} is not there; leave it out first")
    data = json.loads(file.read_text(encoding="utf-8"))
    wanted = {"scenario_hash": setting.scenario.hash, "first_seed": TEST_SEED}
    if any(data[name] != value for name, value in wanted.items()):
        raise ValueError(f"--levers-only keeps rows, and those of {file} are of another scenario")
    return data


def levers_anew(
    folder: Path, setting: Setting, task: str, effort: Effort, on_progress: Callable[[str], None]
) -> dict[str, Any]:
    """What a folder knows of a task, its levers measured anew on the same merchants and noises.

    Rows keep their merchants and noises, whatever `effort` says. Raises what `rows_of` does.
    """
    data = rows_of(folder, setting, task)
    kept = {name: data["effort"][name] for name in ("merchants", "noises", "shift_ticks")}
    effort = effort._replace(**kept)
    began = time.process_time()
    path = KnownPath(setting, np.arange(TEST_SEED, TEST_SEED + effort.merchants))
    draws = path.draw(new_keys(np.random.default_rng(JUDGE_SEED), effort.noises), nothing=True)
    on_progress(f"{task}: fitting rule + constant")
    base, _ = _fitted(setting, task, best_rule(task), "constant", effort)
    worths = _levers(path, base, draws, task, effort, on_progress)
    return data | {
        "effort": as_dict(effort) | {"climb": data["effort"]["climb"]},
        "levers": [as_dict(one) for one in worths],
        "ticks": data["ticks"] + path.ticks_played,
        "cpu_seconds": round(data["cpu_seconds"] + time.process_time() - began, 1),
    }


def _levers(
    path: KnownPath,
    base: Policy,
    draws: Draws,
    task: str,
    effort: Effort,
    on_progress: Callable[[str], None],
) -> list[LeverWorth]:
    """What the levers are worth to the first merchants of a path."""
    count = min(effort.levers.merchants, effort.merchants)
    few = path.first(count)
    worths = lever_worths(
        few,
        base,
        draws.first(count),
        effort.levers,
        np.random.default_rng([JUDGE_SEED, 1]),
        lambda shift: on_progress(f"{task}: levers, {shift}"),
    )
    path.ticks_played += few.ticks_played
    return worths


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
    ticks = training_ticks(settings, setting.ticks)
    return policy, ticks.total - ticks.tuning


def as_dict(found: NamedTuple) -> dict[str, Any]:
    """Named tuples as dicts, all the way down."""

    def plain(value: Any) -> Any:
        if hasattr(value, "_asdict"):
            return {name: plain(part) for name, part in value._asdict().items()}
        if isinstance(value, list | tuple):
            return [plain(part) for part in value]
        return value

    return plain(found)
