"""Make rows of a committed benchmark again, and say whether they are the same.

Rules are always played again, and a learner's saved policy, where it is at hand, is judged again.
Training and searching again is on demand (`retrain`); without it the other figures are taken over
from the committed cells, if the same cell would still make them.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ...agents.learners import ArtefactError, load_policy
from ..runs.cells import (
    FINISHED,
    Cell,
    cell_path,
    read_cell,
    run_path,
    training_fingerprint,
    write_cell,
)
from ..runs.manifest import write_json
from ..runs.pool import PLAIN, Options
from .config import NOTHING, BenchmarkConfig, load_benchmark, plan_cells
from .run import HERE, Finished, Where, benchmark

TOLERANCE = 1e-9  # relative; the same code on the same kind of processor agrees exactly


class Comparison(NamedTuple):
    """Rows made again beside the committed ones."""

    same: list[str]  # task/agent
    different: dict[str, str]  # task/agent -> the differences in words
    played: list[str]  # cells that were run for it
    taken: list[str]  # cells whose committed figures were used


def reproduce(
    committed: Path,
    folder: Path,
    console: Console,
    tasks: "list[str] | None" = None,
    agents: "list[str] | None" = None,
    where: Where = HERE,
    options: Options = PLAIN,
    retrain: bool = False,
) -> Comparison:
    """Make rows of the committed benchmark again in `folder`.

    Args:
        committed: folder of a finished benchmark: config.yaml, summary.json, cells and best.
        folder: where the new run goes; what was there of an earlier one is removed.
        console: where to report.
        tasks, agents: the rows; None for all.
        where, options: as for a benchmark.
        retrain: train every learner and search every reference again.

    Raises:
        ValueError: there is no committed benchmark, or it lacks a task or agent.
    """
    config = load_benchmark(committed)
    rows = {
        _name(row): row
        for row in json.loads((committed / "summary.json").read_text(encoding="utf-8"))
    }
    cells = plan_cells(config, tasks, agents)
    if folder.resolve() == committed.resolve():
        raise ValueError(f"--out is {folder}, the committed benchmark itself; name another folder")
    for part in ("cells", "runs", "best", "errors", "tasks"):
        shutil.rmtree(folder / part, ignore_errors=True)
    taken = (
        []
        if retrain
        else [cell.name for cell in cells if _taken_over(cell, config, committed, folder)]
    )
    if agents:  # shares need the references, which were not asked for
        names = {cell.name for cell in cells}
        for cell in plan_cells(config, tasks):
            if cell.kind == "reference" and cell.name not in names:
                _taken_over(cell, config, committed, folder)
    made = benchmark(config, folder, console, tasks, agents, where, options)
    wanted = {f"{cell.task}/{cell.agent}" for cell in cells if cell.agent != NOTHING}
    found = compare_rows(rows, made, wanted)
    played = [cell.name for cell in cells if cell.name not in taken]
    _tell(console, Comparison(*found, played, taken))
    return Comparison(*found, played, taken)


def _name(row: dict[str, Any]) -> str:
    return f"{row['task']}/{row['agent']}"


def _taken_over(cell: Cell, config: BenchmarkConfig, committed: Path, folder: Path) -> bool:
    """Prepare a cell from what is committed: True if its figures were copied, False if it is to be
    run.

    A learner with a saved policy is to be run, from that policy: its run's folder is prepared.
    """
    if cell.kind == "rule" or cell.agent == NOTHING:
        return False
    known = read_cell(committed, cell)
    if known is None:
        return False
    if cell.kind == "learner" and known.facts.get("training") == training_fingerprint(cell):
        source = saved_policy(cell, committed)
        if source is not None:
            target = run_path(folder, cell)
            target.mkdir(parents=True, exist_ok=True)
            for path in source.glob("policy.*"):
                shutil.copyfile(path, target / path.name)
            write_json(target / FINISHED, {"training": training_fingerprint(cell)})
            return False
    write_cell(folder, cell, cell_path(committed, cell).read_bytes())
    return True


def saved_policy(cell: Cell, committed: Path) -> Path | None:
    """The folder with the policy of a learner's cell, if it is there: of its own run, or the task's
    best.
    """
    for source in (run_path(committed, cell), committed / "best" / cell.task):
        try:
            origin = load_policy(source).description
        except ArtefactError:
            continue
        if (origin.get("task"), origin.get("agent"), origin.get("seed")) == (
            cell.task,
            cell.agent,
            cell.seed,
        ):
            return source
    return None


def compare_rows(
    committed: dict[str, dict[str, Any]], made: Finished, wanted: set[str]
) -> tuple[list[str], dict[str, str]]:
    """Names of the rows that are the same, and the differences of the others."""
    new = {_name(row): row for row in made.rows}
    same = []
    different = {}
    for name in sorted(wanted):
        if name not in new or name not in committed:
            different[name] = (
                "could not be made again" if name not in new else "is not in the committed summary"
            )
            continue
        old = committed[name]
        found = [
            f"{key} {old.get(key)!r} -> {value!r}"
            for key, value in new[name].items()
            if not _equal(old.get(key), value)
        ]
        if found:
            different[name] = ", ".join(found)
        else:
            same.append(name)
    return same, different


def _equal(old: Any, new: Any) -> bool:
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new)
    )
    return abs(old - new) <= TOLERANCE * max(abs(old), abs(new)) if numbers else old == new


def _tell(console: Console, found: Comparison) -> None:
    for name in found.same:
        console.print(f"[green]same[/] {name}", highlight=False)
    for name, words in found.different.items():
        console.print(f"[bold red]differs[/] {name}: {words}", highlight=False)
    if found.taken:
        console.print(
            f"{len(found.played)} cells were run again; {len(found.taken)} keep their committed figures "
            "(RETRAIN=1 or --retrain trains and searches them again)",
            highlight=False,
        )
