"""`chengfang benchmark`: tasks, agents and seeds, with summary, report and manifest."""

from pathlib import Path
from typing import Annotated

import typer

from .conventions import Track, console, errors, plain_errors


def benchmark(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="A benchmark's YAML, or a folder of results to go on "
            "with. Default: the shipped one.",
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Only this task; may be repeated.")
    ] = None,
    agent: Annotated[
        list[str] | None, typer.Option("--agent", "-a", help="Only this agent; may be repeated.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results. Default: results/benchmark; results/<name of the "
            "YAML> for agents of your own; with --quick results/benchmark-quick, with --check "
            "results/reproduce.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes side by side.", min=1, max=1024)] = 2,
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="auto|ADDRESS|local", help="Run on a Ray cluster."),
    ] = None,
    track: Annotated[
        Track, typer.Option(help="W&B: offline writes files only; online uploads.")
    ] = "offline",
    quick: Annotated[
        bool,
        typer.Option("--quick", help="A trial of minutes: 16 episodes, one seed, 100,000 steps."),
    ] = False,
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Go on from checkpoints of half-done trainings. Without it they "
            "start again, so that an interruption changes no number.",
        ),
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Make rows of a committed benchmark again and compare.")
    ] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="With --check: train and search again, too.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            help="With --check: the committed benchmark. Default: results/benchmark, or the one "
            "that is installed.",
        ),
    ] = None,
    anew: Annotated[
        bool,
        typer.Option("--anew", help="Run committed rows again, too, in place of taking them."),
    ] = False,
) -> None:
    """Run tasks x agents x seeds, here or on a Ray cluster, and write summary, report and manifest.

    Finished runs are kept: the same command goes on after any interruption. Rows of the committed
    benchmark are taken as they are. Exit code 1: a run failed, or a row differs; 2: one of your
    own agents failed.
    """
    from ..benchmark.command import Request, run_request
    from ..benchmark.run import Interrupted, Where
    from ..runs.pool import Options

    with plain_errors():
        try:
            code = run_request(
                Request(config, task, agent, out, quick, check, retrain, against, anew),
                console,
                Where(workers, ray),
                Options(track, go_on),
            )
        except Interrupted:
            errors.print(
                "[bold]interrupted[/]: finished runs are kept; the same command goes on from there"
            )
            raise typer.Exit(130) from None
    raise typer.Exit(code)
