"""`chengfang simulate`: one episode as a table and a picture."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..runs.evaluate import TEST_SEED
from .conventions import ScenarioOption, SetOption, TaskOption, console, plain_errors, setting_of


def simulate(
    policy: Annotated[str, typer.Argument(help="A rule's name or the folder of a saved policy.")],
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    seed: Annotated[int, typer.Option(help="Stream of the merchant and day.", min=0)] = TEST_SEED,
    picture: Annotated[
        Path, typer.Option("--picture", "-p", help="Where the picture goes.")
    ] = Path("plan.png"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the dashboard as JSON.")] = False,
) -> None:
    """Play one episode: a table of what happened and a picture."""
    from ..inspection.episode import find_policy, plan_table, save_picture, totals_table
    from ..inspection.episode import simulate as play

    with plain_errors():
        setting = setting_of(task, scenario, set_)
        market, frames, plan = play(find_policy(policy, setting), setting, seed)
        save_picture(frames, market, picture)
        if as_json:
            finite = {
                name: value if math.isfinite(value) else None for name, value in plan.items()
            }  # JSON has no infinity
            sys.stdout.write(json.dumps(finite) + "\n")
            return
        console.print(
            plan_table(plan, f"{policy} on {setting.scenario.name}, merchant and day {seed}")
        )
        console.print(totals_table(plan))
        console.print(f"picture: {picture}")
