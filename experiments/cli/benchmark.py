"""`chengfang benchmark`: tasks, agents and seeds, with summary, report and manifest."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from .conventions import (
    RayOption,
    TrackOption,
    WorkersOption,
    console,
    options,
    plain_errors,
    resumable,
)


class BenchmarkOptions(NamedTuple):
    """Options of `chengfang benchmark`."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="A benchmark's YAML, or a folder of results to go on "
            "with. Default: the shipped one.",
        ),
    ] = None
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Only this task; may be repeated.")
    ] = None
    agent: Annotated[
        list[str] | None, typer.Option("--agent", "-a", help="Only this agent; may be repeated.")
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results. Default: results/benchmark; results/<name of the "
            "YAML> for agents of your own; with --quick results/benchmark-quick, with --check "
            "results/reproduce.",
        ),
    ] = None
    workers: WorkersOption = 2
    ray: RayOption = None
    track: TrackOption = "offline"
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A trial of minutes: 16 episodes, one seed, 100,000 steps."),
    ] = False
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Go on from checkpoints of half-done trainings. Without it they "
            "start again, so that an interruption changes no number.",
        ),
    ] = False
    check: Annotated[
        bool, typer.Option("--check", help="Make rows of a committed benchmark again and compare.")
    ] = False
    retrain: Annotated[
        bool, typer.Option("--retrain", help="With --check: train and search again, too.")
    ] = False
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="With --check: the committed benchmark. Default: results/benchmark, or the one "
            "that is installed.",
        ),
    ] = None
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Run committed rows again, too, in place of taking them."),
    ] = False


@options(BenchmarkOptions)
def benchmark(given: BenchmarkOptions) -> None:
    """Run tasks x agents x seeds, here or on a Ray cluster, and write summary, report and manifest.

    Finished runs are kept: the same command goes on after any interruption. Rows of the committed
    benchmark are taken as they are. Exit code 1: a run failed, or a row differs; 2: one of your
    own agents failed.
    """
    from ..benchmark.command import Request, run_request
    from ..benchmark.run import Where
    from ..runs.pool import Options

    with plain_errors(), resumable("finished runs are kept"):
        code = run_request(
            Request(
                given.config,
                given.task,
                given.agent,
                given.out,
                given.quick,
                given.check,
                given.retrain,
                given.against,
                given.anew,
            ),
            console,
            Where(given.workers, given.ray),
            Options(given.track, given.go_on),
        )
    raise typer.Exit(code)
