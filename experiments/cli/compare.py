"""`chengfang compare`: learners, rules and agents of your own on one task, side by side."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from .conventions import (
    POLICIES,
    RayOption,
    ScenarioOption,
    SetOption,
    TrackOption,
    WorkersOption,
    console,
    options,
    overrides,
    parse_steps,
    plain_errors,
    resumable,
)


class CompareOptions(NamedTuple):
    """Options of `chengfang compare`."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="A comparison's YAML; one beside results can be run "
            "again. Default: the shipped `compare`.",
        ),
    ] = None
    scenario: ScenarioOption = None
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Task, if not the configuration's.")
    ] = None
    set_: SetOption = None
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "results/latest"
    )
    agent: Annotated[
        list[str] | None,
        typer.Option(
            "--agent",
            "-a",
            metavar="[NAME=]POLICY",
            help=f"Judge this policy, too; may be repeated. It may be {POLICIES}.",
        ),
    ] = None
    episodes: Annotated[int | None, typer.Option(help="Held-out episodes per agent.", min=2)] = None
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds per learner (0, 1, ...).", min=1)
    ] = None
    steps: Annotated[
        str | None,
        typer.Option(help="Training steps: a number for every learner, or PPO=1e6,SAC=1e5."),
    ] = None
    rules_only: Annotated[bool, typer.Option("--rules-only", help="Train nothing.")] = False
    workers: WorkersOption = 2
    ray: RayOption = None
    track: TrackOption = "offline"
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew even if the folder holds the same comparison."),
    ] = False


@options(CompareOptions)
def compare(given: CompareOptions) -> None:
    """Train the learners, judge everybody on merchants they have never seen, and write tables and
    figures.

    An interrupted comparison goes on where it stopped when the same command is given again. Exit
    code 1: a run failed; 2: one of your own agents did.
    """
    from ..benchmark.command import exit_code
    from ..benchmark.comparison import Changes, load_comparison, with_steps
    from ..benchmark.comparison import compare as run
    from ..benchmark.run import Where
    from ..runs.pool import Options

    with plain_errors(), resumable(f"what is finished is in {given.out}"):
        fields = overrides(given.set_)
        changes = Changes(
            given.task,
            given.scenario,
            fields,
            given.episodes,
            given.seeds,
            given.rules_only,
            given.agent or [],
        )
        made = load_comparison(given.config, changes)
        [plan] = made.tasks.values()
        made = with_steps(made, parse_steps(given.steps, list(plan.learners)))
        found = run(
            made,
            given.out,
            console,
            Where(given.workers, given.ray),
            Options(given.track, True),
            given.fresh,
        )
    raise typer.Exit(exit_code(found))
