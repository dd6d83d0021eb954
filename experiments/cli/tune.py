"""`chengfang tune`: search a rule's parameters on training merchants."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from ...envs import find_task, short_name
from .conventions import (
    TaskOption,
    console,
    errors,
    folder_for_results,
    options,
    parse_steps,
    plain_errors,
    setting_of,
)

OUT = Path("results/tuning")
PRINTED = ("score", "score_default", "violation_rate", "parameters")


class TuneOptions(NamedTuple):
    """Options of `chengfang tune`."""

    rule: Annotated[
        str, typer.Argument(help="A rule's name; with --shift also best-rule, the task's best.")
    ]
    task: TaskOption = "Bidding"
    steps: Annotated[
        str | None,
        typer.Option(
            help="Simulation budget in environment steps. Default: the learners', less "
            "what earlier studies used."
        ),
    ] = None
    seed: Annotated[int, typer.Option(help="Seed of the sampler.", min=0)] = 0
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the study's log.")] = OUT
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
    shift: Annotated[
        Literal["constant", "schedule", "start_facts"] | None,
        typer.Option(
            "--shift",
            help="Fit a shift of the tuned rule's levers instead, by the market's derivative: one "
            "for all, one by day and hour, or one linear in the facts known at the start. The "
            "policy is saved in --out.",
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

    if given.shift is not None:
        with plain_errors():
            _fit_shift(given)
        return
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


def _fit_shift(given: TuneOptions) -> None:
    """Fit and save the shift of a tuned rule, and say what it cost."""
    from ...agents.catalog import BEST_RULE
    from ...agents.learners.settings import ShiftSettings
    from ...agents.rules import RULES
    from ...agents.rules.tuned import best_rule
    from ..benchmark.ticks import training_ticks
    from ..runs.progress import Progress
    from ..runs.training_job import Job, Note, cpu_seconds, train_job

    task = short_name(find_task(given.task))
    names = {known.lower(): known for known in RULES} | {BEST_RULE: best_rule(task)}
    if given.rule.lower() not in names:
        raise ValueError(f"rule is {given.rule!r}; allowed are {', '.join(RULES)}, {BEST_RULE}")
    rule = names[given.rule.lower()]
    steps = parse_steps(given.steps, [""]).get("")
    settings = ShiftSettings.model_validate(
        {"form": given.shift, "training_env": {"rule": rule, "rule_task": task}}
        | ({} if steps is None else {"steps": steps})
    )
    setting = setting_of(task, None, None, split="train")
    name = f"{task}-{rule}-{given.shift}"
    folder = folder_for_results(Path("runs") / name if given.out == OUT else given.out)
    origin = {"task": task, "agent": f"{rule}+{given.shift}", "days": setting.days}
    job = Job(name, settings, setting, given.seed, folder, "off", origin)
    with Progress(errors) as progress:
        stage = progress.add(f"fit {name}", settings.steps, "ticks", "compiling and starting")

        def on_progress(note: Note) -> None:
            stage.update(note.steps, f"score {note.figures['score_over_nothing']:.3f}")

        train_job(job, on_progress)
    cost = f"{training_ticks(settings, setting.ticks)}, {cpu_seconds(folder):,.0f} CPU seconds"
    console.print(
        f"saved {folder} ({cost}); judge it with: chengfang evaluate {folder} --task {task} "
        f"--against {rule}",
        highlight=False,
        soft_wrap=True,
    )
