"""`chengfang tune`: search a rule's parameters on training merchants."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from .conventions import (
    TaskOption,
    console,
    errors,
    folder_for_results,
    options,
    parse_steps,
    plain_errors,
)

PRINTED = ("score", "score_default", "violation_rate", "parameters")


class TuneOptions(NamedTuple):
    """Options of `chengfang tune`."""

    rule: Annotated[str, typer.Argument(help="A rule's name.")]
    task: TaskOption = "Bidding"
    steps: Annotated[
        str | None,
        typer.Option(
            help="Simulation budget in environment steps. Default: the learners', less "
            "what earlier studies used."
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the sampler.", min=0)] = 0
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study's log.")] = Path(
        "results/tuning"
    )
    target: Annotated[
        Path | None,
        typer.Option("--target", help="The tuned.json to write into. Default: the shipped one."),
    ] = None
    again: Annotated[
        bool, typer.Option("--again", help="Search on from what an earlier study found.")
    ] = False
    leader: Annotated[
        list[str] | None,
        typer.Option(
            "--leader",
            help="Start also at what this rule found on the task, for "
            "parameters that all rules share.",
        ),
    ] = None
    relative: Annotated[
        list[str] | None,
        typer.Option("--relative", help="Start also at what the rule found on this task."),
    ] = None


@options(TuneOptions)
def tune(given: TuneOptions) -> None:
    """Tune a rule on training merchants (CMA-ES through Optuna) and keep what was found beside the
    rules.

    An interrupted study goes on where it stopped when the same command is given again.
    """
    from ...agents.rules.tuned import FILE
    from ..runs.progress import Progress
    from ..tuning.study import Note
    from ..tuning.tune import starts_for
    from ..tuning.tune import tune as run

    with plain_errors():
        starts = starts_for(given.rule, given.task, given.leader or [], given.relative or [])
        count = parse_steps(given.steps, [""]).get("")
        kept = given.target or FILE
        folder_for_results(kept.parent)
        folder = folder_for_results(given.out)
        with Progress(errors) as progress:
            stage = progress.add(
                f"tune {given.rule} on {given.task}", unit="trials", note="compiling and starting"
            )

            def on_progress(note: Note) -> None:
                stage.total = note.total
                stage.update(note.done, note.words or None)
                if note.result:
                    progress.say(note.result)

            study = run(
                given.rule,
                given.task,
                count,
                given.seed,
                folder,
                kept,
                starts,
                again=given.again,
                on_progress=on_progress,
            )
        console.print_json(data={name: study[name] for name in PRINTED})
