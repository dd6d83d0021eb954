"""`chengfang compare`: learners and rules on one task, side by side."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...envs import find_task, load_scenario
from .conventions import (
    ScenarioOption,
    SetOption,
    Track,
    console,
    errors,
    fail,
    overrides,
    parse_steps,
    plain_errors,
)


def compare(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="A comparison's YAML; one beside results can be run "
            "again. Default: the shipped `compare`.",
        ),
    ] = None,
    scenario: ScenarioOption = None,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Task, if not the configuration's.")
    ] = None,
    set_: SetOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the results.")] = Path(
        "results/latest"
    ),
    episodes: Annotated[
        int | None, typer.Option(help="Held-out episodes per agent.", min=2)
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Training seeds per learner (0, 1, ...).", min=1)
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(help="Training steps: a number for every learner, or PPO=1e6,SAC=1e5."),
    ] = None,
    rules_only: Annotated[bool, typer.Option("--rules-only", help="Train nothing.")] = False,
    workers: Annotated[
        int, typer.Option(help="Training processes side by side.", min=1, max=64)
    ] = 2,
    track: Annotated[
        Track, typer.Option(help="W&B: offline writes files only; online uploads.")
    ] = "offline",
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew even if the folder holds the same comparison."),
    ] = False,
) -> None:
    """Train the learners, judge everybody on merchants they have never seen, and write tables and
    figures.

    An interrupted comparison goes on where it stopped when the same command is given again.
    """
    from ..comparison.compare import Interrupted
    from ..comparison.compare import compare as run

    with plain_errors():
        made = _compare_config(config, scenario, task, set_, episodes, seeds, steps, rules_only)
        try:
            run(made, out, console, track, fresh, workers)
        except Interrupted:
            errors.print(
                f"[bold]interrupted[/]: what is finished is in {out}; "
                "the same command goes on from there"
            )
            raise typer.Exit(130) from None
        except RuntimeError as error:
            fail(str(error), 1)


def _compare_config(
    config: Path | None,
    scenario: str | None,
    task: str | None,
    changes: list[str] | None,
    episodes: int | None,
    seeds: int | None,
    steps: str | None,
    rules_only: bool,
) -> Any:
    from ..comparison.config import load_config, validated_config

    wanted: dict[str, Any] = {}
    if task is not None:
        wanted |= (
            {"task": task}
            if config is not None
            else {"task": task, "scenario": find_task(task).scenario}
        )
    if episodes is not None:
        wanted["episodes"] = episodes
    if seeds is not None:
        wanted["seeds"] = list(range(seeds))
    base = load_config(config, wanted)
    if scenario is not None or changes:
        market = load_scenario(base.scenario if scenario is None else scenario, overrides(changes))
        wanted["scenario"] = market.model_dump(mode="json")
    learners = {} if rules_only else {name: s.model_dump() for name, s in base.learners.items()}
    for name, count in parse_steps(steps, list(learners)).items():
        learners[name]["steps"] = count
    made = load_config(config, wanted)
    return validated_config(made.model_dump() | {"learners": learners})
