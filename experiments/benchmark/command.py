"""What `chengfang benchmark` does with its options: run, try out, or make committed rows again."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from ..runs.pool import Options
from .config import load_benchmark, quick
from .reproduce import reproduce
from .run import Where, benchmark

COMMITTED = Path("results/benchmark")


class Request(NamedTuple):
    """The options of the command, as given."""

    config: Path | None = None  # a YAML file or a folder of results; None: the shipped benchmark
    tasks: list[str] | None = None
    agents: list[str] | None = None
    out: Path | None = None  # None: results/benchmark, results/benchmark-quick or results/reproduce
    quick: bool = False
    check: bool = False  # make committed rows again and compare
    retrain: bool = False  # with check: train and search again as well
    against: Path = COMMITTED  # with check: the committed benchmark


def run_request(request: Request, console: Console, where: Where, options: Options) -> int:
    """Do what was asked; returns the exit code: 0, or 1 if a cell failed or a row differs.

    Raises:
        ValueError: an option that cannot be followed, in one sentence.
        Interrupted: after Ctrl-C, with every finished cell on disk.
    """
    if request.check:
        if request.quick or request.config is not None:
            raise ValueError(
                "--check makes rows of a committed benchmark again; it goes with neither --quick nor --config "
                "(name the committed folder with --against)"
            )
        found = reproduce(
            request.against,
            request.out or Path("results/reproduce"),
            console,
            request.tasks,
            request.agents,
            where,
            options,
            request.retrain,
        )
        return 1 if found.different else 0
    if request.retrain:
        raise ValueError("--retrain goes with --check; a benchmark trains whatever is not finished")
    config = load_benchmark(request.config)
    folder = request.out or (Path("results/benchmark-quick") if request.quick else COMMITTED)
    made = benchmark(
        quick(config) if request.quick else config,
        folder,
        console,
        request.tasks,
        request.agents,
        where,
        options,
    )
    if made.missing:
        console.print(
            f"{len(made.missing)} cells of the configuration are not finished; see manifest.json",
            highlight=False,
        )
    return 1 if made.failed else 0
