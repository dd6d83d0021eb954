"""Tasks x agents x seeds: run what is missing, and write what a paper needs from what is there.

The folder is the state. A finished run is a file that says what made it, so the benchmark can be
interrupted, resumed, extended by a task or an agent, and moved between one machine and a cluster,
and no finished run is run again. Rows of the committed benchmark are taken as they are.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from ...envs.files import whole_file
from ..report.task_report import TaskReport
from ..runs.code_digest import code_digest
from ..runs.execute import OnProgress, RunProgress
from ..runs.fingerprint import identified
from ..runs.own_agents import sources_of
from ..runs.pool import PLAIN, Options, Outcome, run_pool, run_serial
from ..runs.progress import Progress, Stage
from ..runs.ray_pool import imported_ray, run_ray
from ..runs.spec import RunSpec
from ..runs.store import RunResult, read_run, training_folder, write_run
from .committed import EVIDENCE, task_runs
from .config import BenchmarkConfig, save_benchmark
from .outcome import TITLE, Book, write_outcome
from .plan import chosen, plan_runs


class Interrupted(Exception):
    """The benchmark was stopped; every finished run is on disk."""


class Finished(NamedTuple):
    """What a call of the benchmark leaves."""

    rows: list[dict[str, Any]]  # of every agent whose runs are all there
    failed: dict[str, str]  # name of a run -> what went wrong, in this call
    missing: list[str]  # runs of the configuration without figures
    ran: int  # runs executed by this call
    reports: list[TaskReport] = []
    own_failed: bool = False  # a run failed for what an agent of the user's own did


class Where(NamedTuple):
    """Where runs are executed: in this process (workers 0), in local processes, or on a Ray
    cluster.
    """

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
    evidence: Path | None = EVIDENCE,
    title: str = TITLE,
) -> Finished:
    """Execute the missing runs of a benchmark, or of some of its tasks and agents, and write the
    results of all that is finished.

    Args:
        config: what to run.
        folder: of the results; it may hold finished runs of this or another configuration.
        console: where to report.
        tasks, agents: run only these; None for all.
        where: this machine or a cluster.
        options: tracking, and whether half-done trainings go on.
        evidence: the committed benchmark whose rows are taken as they are; None to play all.
        title: of tables and page.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with everything finished so far written.
        ValueError: a task, an agent or a cluster that there is not.
    """
    book = open_book(config, folder, evidence, title)
    needed = [spec for runs in book.tasks.values() for spec in runs.to_play]
    wanted = _wanted(book, needed, tasks, agents)
    return run_book(book, wanted, console, where, options)


def open_book(
    config: BenchmarkConfig, folder: Path, evidence: Path | None, title: str = TITLE
) -> Book:
    """Plan a benchmark: all its runs with their fingerprints, and what is taken as committed. Its
    configuration is written into the folder.
    """
    begin = time.time()
    planned = [identified(spec) for spec in plan_runs(config)]
    folder.mkdir(parents=True, exist_ok=True)
    save_benchmark(config, folder / "config.yaml")
    by_task = {
        task: task_runs(task, [spec for spec in planned if spec.task == task], evidence)
        for task in config.tasks
    }
    return Book(config, folder, by_task, title, begin)


def _wanted(
    book: Book, needed: list[RunSpec], tasks: "list[str] | None", agents: "list[str] | None"
) -> list[RunSpec]:
    """Those of the runs needed that some tasks and agents need, quick ones first."""
    planned = [spec for runs in book.tasks.values() for spec in runs.planned]
    picked = {spec.name for spec in chosen(book.config, planned, tasks, agents)}
    if agents:  # an agent of one's own is compared with the best rule
        own = {spec.task for spec in planned if spec.kind == "own" and spec.name in picked}
        picked |= {spec.name for task in own for spec in book.tasks[task].support}
    order = {spec.name: i for i, spec in enumerate(plan_runs(book.config))}
    return sorted(
        (spec for spec in needed if spec.name in picked), key=lambda spec: order[spec.name]
    )


def run_book(
    book: Book, wanted: list[RunSpec], console: Console, where: Where, options: Options
) -> Finished:
    """Execute those of some runs that have no figures yet, and write all that is finished.

    Raises:
        Interrupted: after Ctrl-C or SIGTERM, with everything finished so far written.
        RayError: a cluster is named and Ray is not installed; nothing is said or run before.
    """
    if where.ray is not None:
        imported_ray()
    known = {spec.name: read_run(book.folder, spec) for spec in wanted}
    todo = [spec for spec in wanted if known[spec.name] is None]
    _say_plan(book, wanted, todo, console)
    _warn_of_other_code(wanted, known, console)
    failed: dict[str, str] = {}
    own_failed = False
    try:
        with _ended_politely(), Progress(console) as progress:
            shown = _Shown(progress, len(todo))
            outcomes = _outcomes(todo, book.folder, where, options, shown.on_progress)
            with contextlib.closing(outcomes):
                for outcome in outcomes:
                    _take(outcome, book.folder, failed)
                    own_failed |= outcome.own
                    shown.ended(outcome.spec.name, failed)
    except KeyboardInterrupt:
        write_outcome(book, {})
        raise Interrupted from None
    written = write_outcome(book, failed)
    for name, error in failed.items():
        console.print("failed", style="bold red", end=" ")
        console.print(f"{name}: {error}", highlight=False, markup=False, soft_wrap=True)
    return Finished(written.rows, failed, written.missing, len(todo), written.reports, own_failed)


def _say_plan(book: Book, wanted: list[RunSpec], todo: list[RunSpec], console: Console) -> None:
    taken = sum(len(runs.taken_agents) for runs in book.tasks.values())
    committed = f"; {taken} rows are taken as committed" if taken else ""
    console.print(
        f"{len(wanted)} runs, {len(wanted) - len(todo)} of them finished earlier{committed} "
        f"→ {book.folder}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def _warn_of_other_code(
    specs: list[RunSpec], known: dict[str, RunResult | None], console: Console
) -> None:
    old = [
        spec
        for spec in specs
        if (found := known[spec.name]) and found.facts.get("code") != code_digest(spec.kind)
    ]
    if old:
        kinds = " and ".join(sorted({f"{spec.kind}s" for spec in old}))
        console.print(
            f"[yellow]{len(old)} finished runs were made by other code of {kinds}[/], "
            f"{old[0].name} first; they are kept: delete their files under cells/ and runs/ to run "
            "them again",
            highlight=False,
        )


class _Shown:
    """The progress of all runs together, and of every training under way."""

    def __init__(self, progress: Progress, total: int):
        self._progress = progress
        self._all = progress.add("runs", total) if total else None
        self._trainings: dict[str, Stage] = {}

    def on_progress(self, news: RunProgress) -> None:
        """Show how far a training is."""
        stage = self._trainings.get(news.run)
        if stage is None:
            stage = self._progress.add(f"train {news.run}", news.total, "steps")
            self._trainings[news.run] = stage
        stage.update(news.steps, news.note)

    def ended(self, name: str, failed: dict[str, str]) -> None:
        """A run is over, well or not."""
        if self._all is not None:
            self._all.advance()
        if name in self._trainings:
            self._trainings.pop(name).finish()
        if name not in failed:
            self._progress.say(name, style="dim")


def _outcomes(
    specs: list[RunSpec], folder: Path, where: Where, options: Options, on_progress: OnProgress
) -> Any:
    if where.ray is not None:
        return run_ray(specs, where.ray, options, sources=sources_of(specs))
    if where.workers:
        return run_pool(specs, folder, where.workers, on_progress, options)
    return run_serial(specs, folder, on_progress, options)


def _take(outcome: Outcome, folder: Path, failed: dict[str, str]) -> None:
    """Keep what a run gave; a result that cannot be written makes the run a failed one."""
    name = outcome.spec.name
    error = outcome.error
    if outcome.data is not None:
        try:
            for path, data in outcome.files.items():
                _write(training_folder(folder, outcome.spec) / path, data)
            write_run(folder, outcome.spec, outcome.data)  # last: only with it is it finished
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
