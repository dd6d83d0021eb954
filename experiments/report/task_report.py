"""What a benchmark says of one task, kept in a file of its own: `tasks/<task>.json`.

Cells of rules and learners are too large to commit. What was made of them is small, and enough to
write every table and figure
again: so one task can be run anew in a folder whose other tasks were run elsewhere, and the report
    still speaks of all.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ..analysis.results import AgentResult
from ..analysis.statistics import Interval, Profile
from ..analysis.summary import Summary, summarise_all
from ..analysis.verdicts import Verdict, gain_over_rule, judge
from ..runs.cells import Cell, fingerprint
from ..runs.code_digest import report_digest
from ..runs.manifest import write_json
from .figures import PROFILE, Curves, task_curves

DIGITS = 6  # of profiles, which are only drawn
ROWS = TypeAdapter(list[Summary])
CHANCES = TypeAdapter(list[tuple[str, Interval]])
GAIN = TypeAdapter(Interval | None)


class TaskReport(NamedTuple):
    """Everything that tables, figures and page need of a task, and the cells it was made of."""

    task: str
    rows: list[Summary]  # best first
    verdict: Verdict
    curves: Curves
    cells: dict[str, dict[str, Any]]  # name of each cell -> its facts
    code: str = ""  # digest of the code that made it


def task_reports(
    results: list[AgentResult], facts: "dict[str, dict[str, Any]] | None" = None
) -> list[TaskReport]:
    """The reports of the tasks that results speak of.

    Args:
        results: of agents; those of a task share their episodes.
        facts: of the cells behind them, by name; they are told apart by the task before the slash.
    """
    rows = summarise_all(results)
    found = []
    for task in dict.fromkeys(row.task for row in rows):
        mine = [row for row in rows if row.task == task]
        cells = {name: fact for name, fact in (facts or {}).items() if name.split("/")[0] == task}
        verdict = judge(task, rows, gain_over_rule(task, rows, results))
        found.append(
            TaskReport(
                task, mine, verdict, task_curves(task, rows, results), cells, report_digest()
            )
        )
    return found


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
    write_json(
        path,
        {
            "task": report.task,
            "gain": _named(report.verdict.gain),
            "rows": [_named(row) for row in report.rows],
            "improvements": [[rule, _named(chance)] for rule, chance in report.curves.improvements],
            "profiles": profiles,
            "cells": report.cells,
            "code": report.code,
        },
        indent=None,
    )


def read_report(folder: Path, cells: list[Cell]) -> TaskReport | None:
    """The report of a task, if it was made of just these cells; None if there is none that can be
    trusted.

    Args:
        folder: of the benchmark.
        cells: all cells of the task as they would be run now.
    """
    try:
        data = json.loads(report_path(folder, cells[0].task).read_text(encoding="utf-8"))
        made_of = {name: facts["fingerprint"] for name, facts in data["cells"].items()}
        if made_of != {cell.name: fingerprint(cell) for cell in cells}:
            return None
        rows = ROWS.validate_python(data["rows"])
        gain = GAIN.validate_python(data["gain"])
        curves = Curves(
            {
                agent: Profile(
                    PROFILE, *(np.array(one[name], float) for name in ("value", "low", "high"))
                )
                for agent, one in data["profiles"].items()
            },
            CHANCES.validate_python(data["improvements"]),
        )
        return TaskReport(
            data["task"],
            rows,
            judge(data["task"], rows, gain),
            curves,
            data["cells"],
            data.get("code", ""),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None


def still_true(report: TaskReport | None, facts: dict[str, dict[str, Any]]) -> bool:
    """Whether a report says what would be said of these very cells now; resampling a final again
    takes minutes.
    """
    return report is not None and report.code == report_digest() and report.cells == facts


def _named(value: Any) -> Any:
    """Named tuples as dicts, all the way down."""
    if hasattr(value, "_asdict"):
        return {name: _named(entry) for name, entry in value._asdict().items()}
    return [_named(entry) for entry in value] if isinstance(value, list | tuple) else value
