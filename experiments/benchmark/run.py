"""Tasks x agents x seeds: run what is missing, and write what a paper needs from what is there.

The folder is the state. A finished cell is a file that says what made it, so the benchmark can be
interrupted, resumed, extended by a task or an agent, and moved between one machine and a cluster,
and no finished cell is run again.
"""

import contextlib
import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...envs.files import whole_file
from ..analysis.results import AgentResult
from ..analysis.statistics import iqm
from ..analysis.summary import relative_score
from ..report.task_report import read_report, save_report, still_true, task_reports
from ..report.write import write_report
from ..runs.cells import Cell, CellResult, Figures, Tell, read_cell, run_path, write_cell
from ..runs.code_digest import code_digest
from ..runs.manifest import code_version, versions, write_json
from ..runs.pool import PLAIN, Options, Outcome, run_pool, run_serial
from ..runs.ray_pool import run_ray
from .config import NOTHING, BenchmarkConfig, plan_cells, save_benchmark

TITLE = "ChengFang benchmark"


class Interrupted(Exception):
    """The benchmark was stopped; every finished cell is on disk."""


class Finished(NamedTuple):
    """What a call of the benchmark leaves."""

    rows: list[dict[str, Any]]  # of every agent whose cells are all there
    failed: dict[str, str]  # cell name -> what went wrong, in this call
    missing: list[str]  # cells of the configuration without figures
    ran: int  # cells run by this call


class Where(NamedTuple):
    """Where cells run: in this process (workers 0), in local processes, or on a Ray cluster."""

    workers: int = 2
    ray: str | None = None


HERE = Where()


def benchmark(
    config: BenchmarkConfig,
    folder: Path,
    console: Console,
    tasks: "list[str] | None" = None,
    agents: "list[str] | None" = None,
    where: Where = HERE,
    options: Options = PLAIN,
) -> Finished:
    """Run the missing cells of a benchmark, or of some of its tasks and agents, and write the
    results of all that is finished.

    Args:
        config: what to run.
        folder: of the results; it may hold finished cells of this or another configuration.
        console: where to report.
        tasks, agents: run only these; None for all.
        where: this machine or a cluster.
        options: tracking, and whether half-done trainings go on.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with everything finished so far written.
        ValueError: a task, an agent or a cluster that there is not.
    """
    begin = time.time()
    cells = plan_cells(config, tasks, agents)
    folder.mkdir(parents=True, exist_ok=True)
    save_benchmark(config, folder / "config.yaml")
    known = {cell.name: read_cell(folder, cell) for cell in cells}
    todo = [cell for cell in cells if known[cell.name] is None]
    console.print(
        f"{len(cells)} cells, {len(cells) - len(todo)} of them finished earlier → {folder}",
        highlight=False,
    )
    _warn_of_other_code(cells, known, console)
    failed: dict[str, str] = {}
    try:
        with _ended_politely(), _progress(console) as bars:
            bar = bars.add_task("cells", total=len(todo), note="")
            outcomes = _outcomes(
                todo, folder, where, options, lambda text: bars.update(bar, note=text)
            )
            with contextlib.closing(outcomes):
                for outcome in outcomes:
                    _take(outcome, folder, failed, bars.console)
                    bars.advance(bar)
    except KeyboardInterrupt:
        finish(config, folder, begin, {})
        raise Interrupted from None
    rows, missing = finish(config, folder, begin, failed)
    for name, error in failed.items():
        console.print(f"[bold red]failed[/] {name}: {error}", highlight=False)
    return Finished(rows, failed, missing, len(todo))


def _warn_of_other_code(
    cells: list[Cell], known: dict[str, CellResult | None], console: Console
) -> None:
    old = [
        cell
        for cell in cells
        if (found := known[cell.name]) and found.facts.get("code") != code_digest(cell.kind)
    ]
    if old:
        kinds = " and ".join(sorted({f"{cell.kind}s" for cell in old}))
        console.print(
            f"[yellow]{len(old)} finished cells were made by other code of {kinds}[/], {old[0].name} first; they are "
            "kept: delete their files under cells/ and runs/ to run them again",
            highlight=False,
        )


def _outcomes(cells: list[Cell], folder: Path, where: Where, options: Options, tell: Tell) -> Any:
    if where.ray is not None:
        return run_ray(cells, where.ray, options)
    return (
        run_pool(cells, folder, where.workers, tell, options)
        if where.workers
        else run_serial(cells, folder, tell, options)
    )


def _take(outcome: Outcome, folder: Path, failed: dict[str, str], console: Console) -> None:
    """Keep what a cell gave; a result that cannot be written makes the cell a failed one."""
    name = outcome.cell.name
    error = outcome.error
    if outcome.data is not None:
        try:
            for path, data in outcome.files.items():
                _write(run_path(folder, outcome.cell) / path, data)
            write_cell(
                folder, outcome.cell, outcome.data
            )  # last: only with it is the cell finished
            console.print(f"[dim]{name}[/]", highlight=False)
            return
        except OSError as problem:
            error = f"{problem.filename or folder}: {problem.strerror or problem}"
    failed[name] = error
    if outcome.trace:
        with contextlib.suppress(OSError):
            _write(folder / "errors" / f"{name}.txt", outcome.trace.encode())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        draft.write_bytes(data)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        refresh_per_second=2,
    )


@contextlib.contextmanager
def _ended_politely() -> Iterator[None]:
    """SIGTERM is answered as Ctrl-C is."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# Results
# ---------------------------------------------------------------------------------------------------------


def finish(
    config: BenchmarkConfig, folder: Path, begin: float, failed: dict[str, str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write summary, report, best learners and manifest of all that is finished; returns the rows
    and what is missing.

    A task of which cells are missing here keeps the report that was made where they were, if the
    same cells would make it now.
    """
    cells = plan_cells(config)
    found = {cell.name: result for cell in cells if (result := read_cell(folder, cell)) is not None}
    reports = []
    results = []
    facts = {}
    missing = []
    for task in config.tasks:
        mine = [cell for cell in cells if cell.task == task]
        lacking = [cell.name for cell in mine if cell.name not in found]
        report = read_report(folder, mine)
        if not lacking or report is None:
            here = {cell.name: found[cell.name] for cell in mine if cell.name in found}
            here_facts = {name: here[name].facts for name in sorted(here)}
            made = collect(mine, here)
            if not still_true(report, here_facts):
                report = next(iter(task_reports(made, here_facts)), None)
                if report is not None and not lacking:
                    save_report(folder, report)
            results += made
            missing += lacking
            facts |= here_facts
        else:
            facts |= report.cells
        reports += [report] if report is not None else []
    rows = write_report(folder, reports, TITLE)
    keep_best(config, folder, results)
    write_json(
        folder / "manifest.json", _manifest(config, facts, missing, failed, time.time() - begin)
    )
    return rows, missing


def collect(cells: list[Cell], found: dict[str, CellResult]) -> list[AgentResult]:
    """The results of every agent whose cells are all there, in the order of the cells."""
    grouped: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        grouped.setdefault((cell.task, cell.agent), []).append(cell)
    whole = {
        key: _joined(
            [
                found[cell.name].figures
                for cell in sorted(group, key=lambda c: (c.seed, c.part or 0))
            ],
            group[0],
        )
        for key, group in grouped.items()
        if all(cell.name in found for cell in group)
    }
    results = []
    for (task, agent), figures in whole.items():
        if agent == NOTHING or (task, NOTHING) not in whole:
            continue
        nothing = {name: values[0] for name, values in whole[task, NOTHING].items()}
        usual = min(
            (cell.episodes for cell in cells if cell.task == task and cell.kind != "reference"),
            default=None,
        )
        final = None
        if (
            usual and figures["score"].shape[1] > usual
        ):  # of the final: others know the first episodes only
            final = figures["score"] / np.maximum(nothing["score"], 1e-9)
            figures = {name: values[:, :usual] for name, values in figures.items()}
        count = figures["score"].shape[1]  # references may speak of fewer
        clairvoyant, bound = (
            _padded(whole[task, name]["score"][0], count) if (task, name) in whole else None
            for name in ("clairvoyant", "upper_bound")
        )
        results.append(
            AgentResult(
                task,
                agent,
                grouped[task, agent][0].kind,
                figures,
                {name: values[:count] for name, values in nothing.items()},
                clairvoyant,
                bound,
                final,
            )
        )
    return results


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    """The first `count` values, NaN beyond those there are."""
    return np.concatenate([values[:count], np.full(max(count - len(values), 0), np.nan)])


def _joined(parts: list[Figures], first: Cell) -> Figures:
    """Figures (seeds, episodes): cells of several seeds stacked, parts of the episodes in a row. A
    bound has a score alone.
    """
    join = np.stack if first.part is None else lambda values: np.concatenate(values)[None]
    return {name: join([part[name] for part in parts]) for name in parts[0]}


def best_learner(results: list[AgentResult], task: str) -> "tuple[AgentResult, int] | None":
    """The task's learner of the highest IQM score over doing nothing, and the index of its median
    run: typical, not lucky.
    """
    learners = [result for result in results if result.task == task and result.kind == "learner"]
    if not learners:
        return None
    best = max(learners, key=lambda result: iqm(relative_score(result)))
    order = np.argsort([iqm(run) for run in relative_score(best)], kind="stable")
    return best, int(order[(len(order) - 1) // 2])


def keep_best(config: BenchmarkConfig, folder: Path, results: list[AgentResult]) -> None:
    """Copy the policy of each task's best learner to best/<task>: the artefact that is committed."""
    for task in config.tasks:
        found = best_learner(results, task)
        if found is None:
            continue
        result, run = found
        source = folder / "runs" / task / f"{result.agent}-seed{sorted(config.seeds)[run]}"
        for path in sorted(source.glob("policy.*")):
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
        "training_seeds": config.seeds,
        "complete": not missing,
        "missing": missing,
        "failed": failed,
        "wall_seconds_of_last_call": round(seconds, 1),
        "cell_seconds": round(sum(f["seconds"] for f in facts.values()), 1),
        "environment_steps": sum(f["steps"] for f in facts.values()),
        "cells": facts,
    }
