"""What a benchmark has found so far: results of its runs, reports, best policies, manifest."""

import os
import platform
import shutil
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...envs import unit_of
from ...envs.files import whole_file
from ..analysis.results import AgentResult
from ..analysis.statistics import iqm
from ..analysis.summary import relative_score
from ..report.learning_curves import learning_figure, make_curve
from ..report.task_report import TaskReport, read_report, save_report, still_true, task_report
from ..report.write import write_report
from ..runs.manifest import code_version, versions, write_json
from ..runs.spec import RunSpec
from ..runs.store import RUNS_FOLDER, Figures, RunResult, read_run, training_folder
from ..runs.tracking import read_metrics
from .committed import TaskRuns
from .config import NOTHING, BenchmarkConfig
from .ticks import ticks_of, tuning_seconds

TITLE = "ChengFang benchmark"


class Book(NamedTuple):
    """A benchmark's configuration, its folder, and all its runs by task."""

    config: BenchmarkConfig
    folder: Path
    tasks: dict[str, TaskRuns]
    title: str = TITLE
    begin: float = 0.0  # when this call began, seconds


class Written(NamedTuple):
    """What is written of a benchmark."""

    rows: list[dict[str, Any]]  # of summary.json
    reports: list[TaskReport]
    missing: list[str]  # runs without figures


def write_outcome(book: Book, failed: dict[str, str]) -> Written:
    """Write summary, report, best learners and manifest of all that is finished.

    A task of which runs are missing here keeps the report that was made where they were, if the
    same runs would make it now.

    Args:
        book: what is run, and where.
        failed: names of the runs that failed in this call, and why.
    """
    reports = []
    results: list[AgentResult] = []
    facts: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    for runs in book.tasks.values():
        report, made, lacking = _task_outcome(book.folder, runs)
        report = None if report is None else with_costs(report, runs.planned)
        reports += [report] if report is not None else []
        results += made
        missing += lacking
        facts |= report.runs if report is not None else {}
    chosen_on = ", validation merchants" if book.config.split == "validation" else ""
    title = book.title + chosen_on + (" (not finished)" if missing else "")
    rows = write_report(book.folder, reports, title)
    draw_learning(book)
    keep_best(book.config, book.folder, results, facts)
    seconds = time.time() - book.begin if book.begin else 0.0
    manifest = _manifest(book.config, facts, missing, failed, seconds)
    write_json(book.folder / "manifest.json", manifest)
    return Written(rows, reports, missing)


def draw_learning(book: Book) -> None:
    """Learning curves of every task with finished trainings here: figures/<task>-learning.png."""
    for task, runs in book.tasks.items():
        learned = sorted((s for s in runs.planned if s.kind == "learner"), key=lambda s: s.name)
        curves = [
            make_curve(spec.name.partition("/")[2], lines)
            for spec in learned
            if read_run(book.folder, spec) is not None
            and (lines := read_metrics(training_folder(book.folder, spec)))
        ]
        if curves:
            learning_figure(curves, book.folder / "figures" / f"{task}-learning.png")


def with_costs(report: TaskReport, planned: list[RunSpec]) -> TaskReport:
    """The report with the ticks that each agent cost, which its specification says, and the CPU
    seconds of a rule's tuning.
    """
    rows = []
    for row in report.rows:
        specs = [spec for spec in planned if spec.agent == row.agent]
        ticks = ticks_of(specs) if specs else None
        seconds = row.cpu_seconds
        if specs and row.kind == "rule":
            seconds = tuning_seconds(specs[0])
        rows.append(row._replace(ticks=ticks.total if ticks else None, cpu_seconds=seconds))
    return report._replace(rows=rows)


def _task_outcome(
    folder: Path, runs: TaskRuns
) -> tuple[TaskReport | None, list[AgentResult], list[str]]:
    """A task's report, the results it was made of here, and the runs that are missing."""
    if runs.taken is not None and not runs.to_play:
        if read_report(folder, runs.planned) is None:
            save_report(folder, runs.taken)
        return runs.taken, [], []
    found = {
        spec.name: result for spec in runs.to_play if (result := read_run(folder, spec)) is not None
    }
    lacking = [spec.name for spec in runs.to_play if spec.name not in found]
    report = read_report(folder, runs.planned)
    if lacking and report is not None:
        return report, [], []
    support = {spec.name for spec in runs.support}
    facts = {name: found[name].facts for name in sorted(found) if name not in support}
    references = {
        spec.name: result
        for spec in runs.per_episode
        if runs.evidence and (result := read_run(runs.evidence, spec)) is not None
    }
    made = collect([*runs.to_play, *runs.per_episode], found | references)
    if not still_true(report, runs.facts_taken | facts):
        report = None
        if made or runs.taken is not None:
            report = task_report(runs.task, made, facts, runs.taken)
            if not lacking:
                save_report(folder, report)
    return report, made, lacking


def collect(specs: list[RunSpec], found: dict[str, RunResult]) -> list[AgentResult]:
    """The results of every agent whose runs are all there, in the order of the runs.

    Args:
        specs: runs of one or more tasks.
        found: what they left, by name.
    """
    grouped: dict[tuple[str, str], list[RunSpec]] = {}
    for spec in specs:
        grouped.setdefault((spec.task, spec.agent), []).append(spec)
    whole = {
        key: _joined(group, found)
        for key, group in grouped.items()
        if all(spec.name in found for spec in group)
    }
    return [
        _result(specs, grouped[task, agent][0], whole)
        for task, agent in whole
        if agent != NOTHING and (task, NOTHING) in whole
    ]


def _result(
    specs: list[RunSpec], spec: RunSpec, whole: dict[tuple[str, str], Figures]
) -> AgentResult:
    """The result of the agent that `spec` belongs to; `whole` holds figures (seeds, episodes)."""
    task = spec.task
    figures = whole[task, spec.agent]
    nothing = {name: values[0] for name, values in whole[task, NOTHING].items()}
    usual = min(
        (other.episodes for other in specs if other.task == task and other.kind != "reference"),
        default=None,
    )
    final = None
    if usual and figures["score"].shape[1] > usual:  # others know the first episodes only
        count = figures["score"].shape[1]
        final = figures["score"] / unit_of(nothing)[:count]
        figures = {name: values[:, :usual] for name, values in figures.items()}
    count = figures["score"].shape[1]  # references may speak of fewer
    clairvoyant, bound = (
        _padded(whole[task, name]["score"][0], count) if (task, name) in whole else None
        for name in ("clairvoyant", "upper_bound")
    )
    return AgentResult(
        task,
        spec.agent,
        spec.kind,
        figures,
        {name: values[:count] for name, values in nothing.items()},
        clairvoyant,
        bound,
        final,
    )


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """The first `count` values, NaN beyond those there are."""
    return np.concatenate([values[:count], np.full(max(count - len(values), 0), np.nan)])


def _joined(group: list[RunSpec], found: dict[str, RunResult]) -> Figures:
    """Figures (seeds, episodes): runs of several seeds stacked, parts of the episodes in a row. A
    bound has a score alone; a figure that one part lacks is left out.
    """
    ordered = sorted(group, key=lambda spec: (spec.seed, spec.part or 0))
    runs = [found[spec.name].figures for spec in ordered]
    names = [name for name in runs[0] if all(name in run for run in runs)]
    if group[0].part is None:
        return {name: np.stack([run[name] for run in runs]) for name in names}
    return {name: np.concatenate([run[name] for run in runs])[None] for name in names}


def best_learner(
    results: list[AgentResult], task: str, facts: dict[str, dict[str, Any]] | None = None
) -> "tuple[AgentResult, int] | None":
    """The task's best learner, and the index of its median run: typical, not an outlier.

    Args:
        results: of this and other tasks.
        task: its name.
        facts: of the runs, by name. Both are chosen by the IQM score over doing nothing on
            validation merchants that the runs noted; runs made before there were any are chosen by
            their held-out episodes.
    """
    learners = [result for result in results if result.task == task and result.kind == "learner"]
    if not learners:
        return None
    noted = {one.agent: _noted(f"{task}/{one.agent}", facts or {}) for one in learners}
    if any(len(noted[one.agent]) != one.runs for one in learners):
        noted = {one.agent: [iqm(run) for run in relative_score(one)] for one in learners}
    best = max(learners, key=lambda result: float(np.mean(noted[result.agent])))
    order = np.argsort(noted[best.agent], kind="stable")
    return best, int(order[(len(order) - 1) // 2])


def _noted(name: str, facts: dict[str, dict[str, Any]]) -> list[float]:
    """Scores on validation merchants of an agent's runs, in the order of their seeds."""
    runs = {run: fact for run, fact in facts.items() if run.rpartition("-seed")[0] == name}
    order = sorted(runs, key=lambda run: int(run.rpartition("-seed")[2]))
    return [runs[run]["validation"] for run in order if "validation" in runs[run]]


def keep_best(
    config: BenchmarkConfig,
    folder: Path,
    results: list[AgentResult],
    facts: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Copy the policy of each task's best learner to best/<task>, which is committed."""
    for task in config.tasks:
        found = best_learner(results, task, facts)
        if found is None:
            continue
        result, run = found
        name = f"{result.agent}-seed{sorted(config.training_seeds(task, result.agent))[run]}"
        for path in sorted((folder / RUNS_FOLDER / task / name).glob("policy.*")):
            target = folder / "best" / task / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as draft:
                shutil.copyfile(path, draft)


def _manifest(
    config: BenchmarkConfig,
    facts: dict[str, dict[str, Any]],
    missing: list[str],
    failed: dict[str, str],
    seconds: float,
) -> dict[str, Any]:
    """Everything needed to make the results again. Runs stand under `cells`, their first
    name, as in committed manifests."""
    scenarios = {task: config.scenario(task) for task in config.tasks}
    facts = dict(sorted(facts.items()))
    return {
        "code": code_version(),
        "versions": versions(),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "scenarios": {task: {"name": s.name, "hash": s.hash} for task, s in scenarios.items()},
        "episodes": config.episodes,
        "test_seed": config.test_seed,
        "split": config.split,
        "training_seeds": config.seeds,
        "complete": not missing,
        "missing": missing,
        "failed": failed,
        "wall_seconds_of_last_call": round(seconds, 1),
        "cell_seconds": round(sum(f["seconds"] for f in facts.values()), 1),
        "environment_steps": sum(f["steps"] for f in facts.values()),
        "cells": facts,
    }
