"""`chengfang headroom`: what there is to win on a task, and which levers it is won with."""

from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from .conventions import (
    POLICIES,
    TaskOption,
    console,
    errors,
    folder_for_results,
    options,
    plain_errors,
)

FULL, QUICK = Path("results/headroom"), Path("results/headroom-quick")
FIRST = Path("results/studies/headroom")  # of the first versions of the tasks


class HeadroomOptions(NamedTuple):
    """Options of `chengfang headroom`."""

    task: TaskOption = "SuperPlan"
    learner: Annotated[
        str, typer.Option("--learner", help=f"The learner beside the rules: {POLICIES}.")
    ] = "best"
    memoryless: Annotated[
        str | None,
        typer.Option("--memoryless", help="A learner without memory, to be played beside it."),
    ] = None
    merchants: Annotated[
        int | None,
        typer.Option("--merchants", "-n", help="Test merchants; fewer on longer tasks.", min=2),
    ] = None
    noises: Annotated[
        int | None, typer.Option("--noises", help="Noises that everybody is judged on.", min=2)
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder of the results, of all tasks together. Default: "
            "results/headroom, with --quick results/headroom-quick; results/studies/headroom for "
            "the first versions of tasks.",
        ),
    ] = None
    quick: Annotated[
        bool, typer.Option("--quick", help="A look within two minutes: 8 merchants, 4 noises.")
    ] = False
    levers_only: Annotated[
        bool,
        typer.Option(
            "--levers-only", help="Measure the levers anew; keep the rows that --out has."
        ),
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@options(HeadroomOptions)
def headroom(given: HeadroomOptions) -> None:
    """What there is to win on a task: no-op, best rule, its shifts, a learner, and a plan that
    knows the merchant and the path; and for each lever what knowing, timing and reacting are worth.

    About ten CPU minutes in full. The tuned values, shifts and learners it plays were found on
    other merchants.
    """
    import json

    from rich.markdown import Markdown
    from rich.markup import escape

    from ...agents.catalog import describe, find_policy
    from ...envs import find_task, short_name, task_setting
    from ..headroom.measure import Effort, as_dict, levers_anew, measure, rows_of
    from ..headroom.report import write_headroom
    from ..runs.progress import Progress

    with plain_errors():
        task = short_name(find_task(given.task))
        setting = task_setting(task, split="test")
        policy = find_policy(given.learner, setting, task)
        name = describe(given.learner, task).agent
        effort = Effort.quick() if given.quick else Effort.usual(setting.days)
        effort = effort._replace(
            merchants=given.merchants or effort.merchants, noises=given.noises or effort.noises
        )
        memoryless = None
        if given.memoryless is not None:
            plain = find_policy(given.memoryless, setting, task)
            memoryless = describe(given.memoryless, task).agent, plain
        usual = FULL if task.endswith("-v1") else FIRST
        out = given.out or (QUICK if given.quick else usual)
        if given.levers_only:
            _refuse_what_rows_decide(given)
            rows_of(out, setting, task)
        folder = folder_for_results(out)
        with Progress(errors) as progress:
            stage = progress.add(f"headroom {task}")

            def on_progress(line: str) -> None:
                errors.print(f"[dim]{escape(line)}[/]")
                stage.update(note=f"last: {line}")

            if given.levers_only:
                data = levers_anew(folder, setting, task, effort, on_progress)
            else:
                learner = name, policy
                found = measure(setting, task, learner, effort, on_progress, memoryless)
                data = as_dict(found)
        text = write_headroom(folder, data)
        if given.json:
            print(json.dumps(data))
        else:
            console.print(Markdown(text))
            console.print(f"results: {out}")


def _refuse_what_rows_decide(given: HeadroomOptions) -> None:
    """With --levers-only, merchants, noises and learner are those of the rows that are kept."""
    for name, value in (("merchants", given.merchants), ("noises", given.noises)):
        if value is not None:
            raise ValueError(f"--{name} is {value}; with --levers-only the rows of --out decide it")
    if given.learner != "best":
        raise ValueError(f"--learner is {given.learner!r}; --levers-only plays none, leave it out")
