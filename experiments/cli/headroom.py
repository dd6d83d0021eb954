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


class HeadroomOptions(NamedTuple):
    """Options of `chengfang headroom`."""

    task: TaskOption = "SuperPlan"
    learner: Annotated[
        str, typer.Option("--learner", help=f"The learner beside the rules: {POLICIES}.")
    ] = "best"
    merchants: Annotated[
        int | None,
        typer.Option("--merchants", "-n", help="Test merchants; fewer on longer tasks.", min=2),
    ] = None
    noises: Annotated[
        int | None, typer.Option("--noises", help="Noises that everybody is judged on.", min=2)
    ] = None
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of the results, of all tasks together.")
    ] = Path("results/studies/headroom")
    quick: Annotated[
        bool, typer.Option("--quick", help="A look within two minutes: 8 merchants, 4 noises.")
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
    from ..headroom.measure import Effort, as_dict, measure
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
        folder = folder_for_results(given.out)
        with Progress(errors) as progress:
            stage = progress.add(f"headroom {task}")

            def on_progress(line: str) -> None:
                errors.print(f"[dim]{escape(line)}[/]")
                stage.update(note=f"last: {line}")

            found = measure(setting, task, (name, policy), effort, on_progress)
        text = write_headroom(folder, found)
        if given.json:
            print(json.dumps(as_dict(found)))
        else:
            console.print(Markdown(text))
            console.print(f"results: {given.out}")
