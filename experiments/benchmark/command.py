"""What `chengfang benchmark` does with its options: run, try out, or make committed rows again."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from ..analysis.verdicts import own_sentences
from ..runs.pool import Options
from .committed import EVIDENCE
from .config import BenchmarkConfig, load_benchmark, quick
from .reproduce import reproduce
from .run import Finished, Where, benchmark

COMMITTED = Path("results/benchmark")


class Request(NamedTuple):
    """The options of the command, as given."""

    config: Path | None = None  # a YAML file or a folder of results; None: the shipped benchmark
    tasks: list[str] | None = None
    agents: list[str] | None = None
    out: Path | None = None  # None: see `_folder`
    quick: bool = False
    check: bool = False  # make committed rows again and compare
    retrain: bool = False  # with check: train and search again as well
    against: Path | None = None  # with check: the committed benchmark
    anew: bool = False  # take no row from the committed benchmark


def run_request(request: Request, console: Console, where: Where, options: Options) -> int:
    """Do what was asked; returns the exit code: 0; 1 if a run failed or a row differs; 2 if a run
    failed for what an agent of the user's own did.

    Raises:
        ValueError: an option that cannot be followed, in one sentence.
        Interrupted: after Ctrl-C, with every finished run on disk.
    """
    if request.check:
        return _check(request, console, where, options)
    if request.retrain:
        raise ValueError("--retrain goes with --check; a benchmark trains whatever is not finished")
    config = load_benchmark(request.config)
    made = benchmark(
        quick(config) if request.quick else config,
        request.out or _folder(request, config),
        console,
        request.tasks,
        request.agents,
        where,
        options,
        None if request.anew else EVIDENCE,
    )
    for report in made.reports:
        for text in own_sentences(report.verdict):
            console.print(f"[bold]{report.task}[/]: {text}", highlight=False, soft_wrap=True)
    if made.missing:
        console.print(
            f"{_counted(len(made.missing))} not finished; see manifest.json",
            highlight=False,
        )
    return exit_code(made)


def _counted(runs: int) -> str:
    return "1 run of the configuration is" if runs == 1 else f"{runs} runs of the configuration are"


def exit_code(made: Finished) -> int:
    """0; 1 if a run failed; 2 if one failed for what an agent of the user's own did."""
    return 2 if made.own_failed else 1 if made.failed else 0


def _folder(request: Request, config: BenchmarkConfig) -> Path:
    """Where results go unless `--out` says: the committed evidence is not mixed with agents that
    are not part of it.
    """
    if request.quick:
        return Path("results/benchmark-quick")
    if request.config is not None and any(plan.agents for plan in config.tasks.values()):
        if request.config.is_dir():
            return request.config
        return Path("results") / request.config.stem
    return COMMITTED


def _check(request: Request, console: Console, where: Where, options: Options) -> int:
    if request.quick or request.config is not None:
        raise ValueError(
            "--check makes rows of a committed benchmark again; it goes with neither --quick nor "
            "--config (name the committed folder with --against)"
        )
    against = request.against or (COMMITTED if COMMITTED.is_dir() else EVIDENCE)
    found = reproduce(
        against,
        request.out or Path("results/reproduce"),
        console,
        request.tasks,
        request.agents,
        where,
        options,
        request.retrain,
    )
    return 1 if found.different else 0
