"""Make rows of a committed benchmark again, and say whether they are the same.

Rules are always played again, and a learner's saved policy, where it is at hand, is judged again.
Training and searching again is on demand (`retrain`); without it the other figures are taken over
from the committed runs, if the same run would still make them. Of a learner's runs usually one has
its policy committed: then that run is compared with what the committed report says of it.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ...agents.learners import ArtefactError, load_policy
from ...envs import find_task, short_name
from ..analysis.results import AgentResult
from ..analysis.summary import PAIRED, summarise
from ..report.task_report import TaskReport, load_report
from ..runs.execute import FINISHED
from ..runs.manifest import write_json
from ..runs.pool import PLAIN, Options
from ..runs.spec import RunSpec
from ..runs.store import figures_path, read_run, training_folder, write_run
from .config import NOTHING, known_names, load_benchmark
from .outcome import Book, collect
from .plan import chosen
from .run import HERE, Where, open_book, run_book

TOLERANCE = 1e-9  # relative; rules agree exactly on the same kind of processor
# of a learner judged again: matrix products are rounded differently on other processors, and an
# episode in many thousands may end on the other side of its target (8e-7 was seen)
POLICY_TOLERANCE = 1e-5


# columns that older rows know nothing of
LATER = ("profit_gain", "losing_share", "ticks", *PAIRED)


class Comparison(NamedTuple):
    """Rows made again beside the committed ones."""

    same: list[str]  # task/agent, or task/agent-seedK of a learner whose other runs were not made
    different: dict[str, str]  # the same names -> the differences in words
    played: list[str]  # runs that were executed for it
    taken: list[str]  # runs whose committed figures were used
    left: list[str] = []  # runs that only training them again could make


class _Preparation(NamedTuple):
    """What becomes of each run that was asked for."""

    play: list[RunSpec]
    taken: list[str]
    left: list[str]


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
        committed: folder of a finished benchmark: config.yaml, summary.json, tasks, cells and best.
        folder: where the new run goes; what was there of an earlier one is removed.
        console: where to report.
        tasks, agents: the rows; None for all.
        where, options: as for a benchmark.
        retrain: train every learner and search every reference again.

    Raises:
        ValueError: there is no committed benchmark, or it lacks a task or agent.
    """
    config = load_benchmark(committed)
    if folder.resolve() == committed.resolve():
        raise ValueError(f"--out is {folder}, the committed benchmark itself; name another folder")
    for part in ("cells", "runs", "best", "errors", "tasks"):
        shutil.rmtree(folder / part, ignore_errors=True)
    if tasks:
        config = config.model_copy(update={"tasks": chosen_tasks(config.tasks, tasks)})
    book = open_book(config, folder, None)
    planned = [spec for runs in book.tasks.values() for spec in runs.planned]
    wanted = chosen(config, planned, None, agents)
    prepared = _prepare(wanted, committed, folder, retrain)
    if agents:  # shares need the references, which were not asked for
        names = {spec.name for spec in wanted}
        for spec in planned:
            if spec.kind == "reference" and spec.name not in names:
                _take_over(spec, committed, folder)
    made = run_book(book, prepared.play, console, where, options)
    same, different = _compare(book, made.rows, prepared, wanted, committed, retrain)
    found = Comparison(
        same, different, [spec.name for spec in prepared.play], prepared.taken, prepared.left
    )
    _say(console, found)
    return found


def chosen_tasks(known: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The entries of some tasks, in the order known.

    Raises:
        ValueError: naming a task that is not known.
    """
    wanted = known_names("tasks", [short_name(find_task(name)) for name in names], tuple(known))
    return {task: plan for task, plan in known.items() if task in wanted}


# What is played and what is taken over
# --------------------------------------------------------------------------------------------------


def _prepare(wanted: list[RunSpec], committed: Path, folder: Path, retrain: bool) -> _Preparation:
    play: list[RunSpec] = []
    taken: list[str] = []
    left: list[str] = []
    for spec in wanted:
        cheap = spec.kind == "rule" or spec.agent == NOTHING or "policy" in spec.options
        if retrain or cheap or _ready_to_judge(spec, committed, folder):
            play.append(spec)
        elif _take_over(spec, committed, folder):
            taken.append(spec.name)
        else:
            left.append(spec.name)
    return _Preparation(play, taken, left)


def _take_over(spec: RunSpec, committed: Path, folder: Path) -> bool:
    """Copy a run's committed figures, if they are there and the same run would make them."""
    if spec.agent == NOTHING or read_run(committed, spec) is None:
        return False
    write_run(folder, spec, figures_path(committed, spec).read_bytes())
    return True


def _ready_to_judge(spec: RunSpec, committed: Path, folder: Path) -> bool:
    """Put a learner's saved policy where its run expects a finished training, if it is at hand."""
    if spec.kind != "learner":
        return False
    report = load_report(committed, spec.task)
    facts = report.runs.get(spec.name, {}) if report else {}
    source = saved_policy(spec, committed)
    if source is None or facts.get("training") != spec.training:
        return False
    target = training_folder(folder, spec)
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("policy.*"):
        shutil.copyfile(path, target / path.name)
    write_json(target / FINISHED, {"training": spec.training})
    return True


def saved_policy(spec: RunSpec, committed: Path) -> Path | None:
    """The folder with the policy of a learner's run, if it is there: of the run itself, or the
    task's best.
    """
    for source in (training_folder(committed, spec), committed / "best" / spec.task):
        try:
            origin = load_policy(source).description
        except ArtefactError:
            continue
        made_by = (origin.get("task"), origin.get("agent"), origin.get("seed"))
        if made_by == (spec.task, spec.agent, spec.seed):
            return source
    return None


# Comparison
# --------------------------------------------------------------------------------------------------


def _compare(
    book: Book,
    rows: list[dict[str, Any]],
    prepared: _Preparation,
    wanted: list[RunSpec],
    committed: Path,
    retrain: bool,
) -> tuple[list[str], dict[str, str]]:
    """Names of what is the same, and the differences of what is not."""
    new = {_name(row): row for row in rows}
    old = {
        _name(row): row
        for row in json.loads((committed / "summary.json").read_text(encoding="utf-8"))
    }
    partly = {name.rpartition("-")[0] for name in prepared.left}
    names = {f"{spec.task}/{spec.agent}" for spec in wanted if spec.agent != NOTHING} - partly
    kinds = {f"{spec.task}/{spec.agent}": spec.kind for spec in prepared.play}
    found = {
        name: differences(
            old.get(name),
            new.get(name),
            POLICY_TOLERANCE if kinds.get(name) == "learner" and not retrain else TOLERANCE,
        )
        for name in names
    }
    for spec in prepared.play:
        if f"{spec.task}/{spec.agent}" in partly:
            report = load_report(committed, spec.task)
            found[spec.name] = _run_differences(book, spec, report)
    ordered = sorted(found.items())
    return [n for n, words in ordered if not words], {n: words for n, words in ordered if words}


def _name(row: dict[str, Any]) -> str:
    return f"{row['task']}/{row['agent']}"


def differences(
    old: dict[str, Any] | None, new: dict[str, Any] | None, tolerance: float = TOLERANCE
) -> str:
    """What differs between a committed row and the one made again, in words; empty if nothing."""
    if new is None:
        return "could not be made again"
    if old is None:
        return "is not in the committed summary"
    return ", ".join(
        f"{key} {old.get(key)!r} -> {value!r}"
        for key, value in new.items()
        if not (key in LATER and old.get(key) is None)
        and not _equal(old.get(key), value, tolerance)
    )


def _run_differences(book: Book, spec: RunSpec, report: TaskReport | None) -> str:
    """What differs between one run of a learner and what the committed report says of that run."""
    row = next((row for row in report.rows if row.agent == spec.agent), None) if report else None
    runs = book.tasks[spec.task].planned
    nothing = next(other for other in runs if other.agent == NOTHING)
    results = {s.name: read_run(book.folder, s) for s in (spec, nothing)}
    there = {name: result for name, result in results.items() if result is not None}
    if row is None or len(there) < len(results):
        return "could not be made again" if row else "is not in the committed report"
    [made] = collect([spec, nothing], there)
    one = summarise(_shortened(made, row.episodes))
    seeds = sorted(book.config.training_seeds(spec.task, spec.agent))
    i = seeds.index(spec.seed)
    return differences(
        {"iqm": row.run_scores[i], "violation_rate": row.run_violations[i]},
        {"iqm": one.run_scores[0], "violation_rate": one.run_violations[0]},
        POLICY_TOLERANCE,
    )


def _shortened(result: AgentResult, episodes: int) -> AgentResult:
    """The result on its first episodes: a finalist plays more than its row speaks of."""
    return result._replace(
        figures={name: values[:, :episodes] for name, values in result.figures.items()},
        nothing={name: values[:episodes] for name, values in result.nothing.items()},
        final=None,
    )


def _equal(old: Any, new: Any, tolerance: float) -> bool:
    numbers = all(
        isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new)
    )
    if not numbers:
        return old == new
    least = tolerance if tolerance == POLICY_TOLERANCE else 0.0  # of rates, which may be near 0
    return abs(old - new) <= max(tolerance * max(abs(old), abs(new)), least)


def _say(console: Console, found: Comparison) -> None:
    for name in found.same:
        console.print(f"[green]same[/] {name}", highlight=False)
    for name, words in found.different.items():
        console.print(f"[bold red]differs[/] {name}: {words}", highlight=False)
    again = "(RETRAIN=1 or --retrain trains and searches them again)"
    if found.taken:
        console.print(
            f"{len(found.played)} runs were executed again; {len(found.taken)} keep their "
            f"committed figures {again}",
            highlight=False,
        )
    if found.left:
        console.print(
            f"{len(found.left)} runs were not made again, {found.left[0]} first: neither their "
            f"policies nor their figures are committed {again}",
            highlight=False,
        )
