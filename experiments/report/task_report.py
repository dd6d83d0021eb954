"""What a benchmark says of one task, kept in a file of its own: `tasks/<task>.json`.

The figures of rules and learners are too large to commit. What was made of them is small, and
enough to write every table and figure again: so one task can be run anew in a folder whose other
tasks were run elsewhere, and the report still speaks of all.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ...envs import find_task
from ..analysis.curves import PROFILE, Curves, task_curves
from ..analysis.results import AgentResult
from ..analysis.statistics import Interval, Profile
from ..analysis.summary import Share, Summary, best, known_episodes, ranked, summarise
from ..analysis.verdicts import (
    OwnComparison,
    Verdict,
    adaptivity_of,
    compare_own,
    gain_over_rule,
    judge,
    paired_with_rule,
    rivals,
)
from ..runs.code_digest import report_digest
from ..runs.manifest import write_json
from ..runs.spec import RunSpec

DIGITS = 6  # of profiles, which are only drawn
BOUND = "upper_bound"  # the reference that a task of several days does without
RUNS = "cells"  # key of the runs: their first name, which committed files have
ROWS = TypeAdapter(list[Summary])
CHANCES = TypeAdapter(list[tuple[str, Interval]])
GAIN = TypeAdapter(Interval | None)
OWN = TypeAdapter(list[OwnComparison])
ADAPTIVITY = TypeAdapter(OwnComparison | None)


class TaskReport(NamedTuple):
    """Everything that tables, figures and page need of a task, and the runs it was made of."""

    task: str
    rows: list[Summary]  # best first
    verdict: Verdict
    curves: Curves
    runs: dict[str, dict[str, Any]]  # name of each run -> its facts
    code: str = ""  # digest of the code that made it

    def of_agents(self, agents: set[str]) -> "TaskReport":
        """What it says of some agents, with the comparisons that are among them."""
        rows = [row for row in self.rows if row.agent in agents]
        pair = (self.verdict.learner, self.verdict.rule)
        gain = self.verdict.gain if _names(*rivals(self.task, rows)) == _names(*pair) else None
        same = _names(best(rows, "learner")) == _names(best(self.rows, "learner"))
        curves = Curves(
            {agent: one for agent, one in self.curves.profiles.items() if agent in agents},
            [(r, chance) for r, chance in self.curves.improvements if r in agents and same],
        )
        return self._replace(rows=rows, verdict=judge(self.task, rows, gain), curves=curves)


def task_report(
    task: str,
    results: list[AgentResult],
    facts: dict[str, dict[str, Any]],
    taken: TaskReport | None = None,
) -> TaskReport:
    """The report of one task.

    Args:
        task: its name.
        results: of agents, of this and other tasks; those of a task share their episodes.
        facts: of the runs behind them, by name.
        taken: rows, curves and facts that are taken as another report has them. Results of these
            agents are only there to be compared with.
    """
    mine = [result for result in results if result.task == task]
    old = taken.rows if taken else []
    known = {row.agent for row in old}
    fresh = [result for result in mine if result.agent not in known]
    counts = [row.common_episodes for row in old]
    counts += [known_episodes(fresh, task)] if fresh else []
    made = [_with_facts(summarise(result, min(counts)), facts) for result in fresh]
    rows = paired_with_rule(task, ranked([*old, *made]), mine)
    curves = task_curves(task, rows, mine)
    gain = gain_over_rule(task, rows, mine)
    if taken:
        gain, curves = _with_taken(task, rows, taken, gain, curves)
    adaptivity = adaptivity_of(task, rows, mine)
    verdict = judge(task, rows, gain, compare_own(task, rows, mine), adaptivity)
    runs = (taken.runs if taken else {}) | facts
    return TaskReport(task, rows, verdict, curves, runs, report_digest())


def _with_facts(row: Summary, facts: dict[str, dict[str, Any]]) -> Summary:
    """The row with what its runs noted: the score on validation merchants, and CPU seconds; of one
    training, of a whole search.
    """
    mine = [fact for name, fact in facts.items() if agent_of(name) == row.agent]
    found = [fact["validation"] for fact in mine if "validation" in fact]
    key = "cpu_seconds" if row.kind == "reference" else "training_cpu_seconds"
    seconds = [fact[key] for fact in mine if key in fact]
    whole = bool(mine) and len(seconds) == len(mine)
    spent = sum(seconds) / (1 if row.kind == "reference" else len(mine)) if whole else None
    return row._replace(
        validation=sum(found) / len(found) if found and len(found) == len(mine) else None,
        cpu_seconds=spent,
    )


def agent_of(run: str) -> str:
    """The agent of `task/agent-seed0`."""
    return run.partition("/")[2].rpartition("-")[0]


def _with_taken(
    task: str, rows: list[Summary], taken: TaskReport, gain: Interval | None, curves: Curves
) -> tuple[Interval | None, Curves]:
    """The paired gain and the curves with those that another report knows."""
    if _names(*rivals(task, rows)) == _names(taken.verdict.learner, taken.verdict.rule):
        gain = taken.verdict.gain
    improvements = curves.improvements
    if _names(best(rows, "learner")) == _names(best(taken.rows, "learner")):
        known = {rule for rule, _ in taken.curves.improvements}
        improvements = [
            *taken.curves.improvements,
            *((rule, chance) for rule, chance in improvements if rule not in known),
        ]
    order = [row.agent for row in rows]
    profiles = curves.profiles | taken.curves.profiles
    return gain, Curves(
        {agent: profiles[agent] for agent in order if agent in profiles}, improvements
    )


def _names(*rows: Summary | None) -> list[str]:
    return [row.agent if row else "" for row in rows]


def report_path(folder: Path, task: str) -> Path:
    """The file of a task's report."""
    return folder / "tasks" / f"{task}.json"


def save_report(folder: Path, report: TaskReport) -> None:
    """Write a task's report; the file appears whole or not at all."""
    path = report_path(folder, report.task)
    path.parent.mkdir(parents=True, exist_ok=True)
    profiles = {
        agent: {
            name: np.round(getattr(profile, name), DIGITS).tolist()
            for name in ("value", "low", "high")
        }
        for agent, profile in report.curves.profiles.items()
    }
    data = {
        "task": report.task,
        "gain": _named(report.verdict.gain),
        "rows": [_named(row) for row in report.rows],
        "improvements": [[rule, _named(chance)] for rule, chance in report.curves.improvements],
        "profiles": profiles,
        RUNS: report.runs,
        "code": report.code,
    }
    if report.verdict.own:
        data["own"] = [_named(one) for one in report.verdict.own]
    if report.verdict.adaptivity:
        data["adaptivity"] = _named(report.verdict.adaptivity)
    write_json(path, data, indent=None)


def load_report(folder: Path, task: str) -> TaskReport | None:
    """The report of a task; None if there is none that can be read. What it was made of is for the
    caller to compare.

    An upper bound on a task of several days, as older reports have it, is left out: it was loose by
    46 and 129 % and is not made any more.
    """
    try:
        data = json.loads(report_path(folder, task).read_text(encoding="utf-8"))
        rows = ROWS.validate_python(data["rows"])
        runs = dict(data[RUNS])
        if is_long(data["task"]):
            rows, runs = _without_bound(rows, runs)
        profiles = {
            agent: Profile(
                PROFILE, *(np.array(one[name], float) for name in ("value", "low", "high"))
            )
            for agent, one in data["profiles"].items()
        }
        curves = Curves(profiles, CHANCES.validate_python(data["improvements"]))
        own = OWN.validate_python(data.get("own", []))
        adaptivity = ADAPTIVITY.validate_python(data.get("adaptivity"))
        gain = GAIN.validate_python(data["gain"])
        verdict = judge(data["task"], rows, gain, own, adaptivity)
        return TaskReport(data["task"], rows, verdict, curves, runs, data.get("code", ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None


def is_long(task: str) -> bool:
    """Whether a shipped task has several days; no upper bound is made of such a task."""
    try:
        return find_task(task).days > 1
    except ValueError:
        return False


def _without_bound(
    rows: list[Summary], runs: dict[str, dict[str, Any]]
) -> tuple[list[Summary], dict[str, dict[str, Any]]]:
    """Rows and runs without the upper bound, and without shares of it."""
    kept = [row._replace(bound=Share(None, None, 0)) for row in rows if row.agent != BOUND]
    return kept, {name: facts for name, facts in runs.items() if f"/{BOUND}-" not in name}


def read_report(folder: Path, specs: list[RunSpec]) -> TaskReport | None:
    """The report of a task, if it was made of just these runs; None if there is none that can be
    trusted.

    Args:
        folder: of the benchmark.
        specs: all runs of the task as they would be executed now, identified.
    """
    report = load_report(folder, specs[0].task)
    if report is None:
        return None
    try:
        made_of = {name: facts["fingerprint"] for name, facts in report.runs.items()}
    except (KeyError, TypeError, AttributeError):
        return None
    return report if made_of == {spec.name: spec.fingerprint for spec in specs} else None


def still_true(report: TaskReport | None, facts: dict[str, dict[str, Any]]) -> bool:
    """Whether a report says what would be said of these very runs now; resampling a final again
    takes minutes.
    """
    return report is not None and report.code == report_digest() and report.runs == facts


def _named(value: Any) -> Any:
    """Named tuples as dicts, all the way down."""
    if hasattr(value, "_asdict"):
        return {name: _named(entry) for name, entry in value._asdict().items()}
    return [_named(entry) for entry in value] if isinstance(value, list | tuple) else value
