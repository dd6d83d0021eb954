"""`chengfang simulate`: one episode as a table and a picture."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...envs import find_task, short_name
from ..runs.evaluate import TEST_SEED
from .conventions import (
    MarginOption,
    PolicyArgument,
    ScenarioOption,
    SetOption,
    SplitOption,
    TaskOption,
    TunedOption,
    apart_from_json,
    console,
    plain_errors,
    setting_of,
    show_title,
)


def simulate(
    policy: PolicyArgument,
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    seed: Annotated[int, typer.Option(help="Stream of the merchant and day.", min=0)] = TEST_SEED,
    split: SplitOption = "test",
    picture: Annotated[
        Path, typer.Option("--picture", "-p", help="Where the picture goes.")
    ] = Path("plan.png"),
    tuned: TunedOption = True,
    margin: MarginOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the dashboard as JSON.")] = False,
) -> None:
    """Play one episode: a table of what happened and a picture."""
    from ...agents.catalog import describe, find_policy
    from ..inspection.episode import plan_table, save_picture, totals_table
    from ..inspection.episode import simulate as play

    with plain_errors():
        setting = setting_of(task, scenario, set_, split)
        with apart_from_json(as_json):
            found = find_policy(policy, setting, task, tuned=tuned, safety_margin=margin)
            market, frames, plan = play(found, setting, seed)
            save_picture(frames, market, picture)
        if as_json:
            # JSON has no infinity
            finite = {name: x if math.isfinite(x) else None for name, x in plan.items()}
            sys.stdout.write(json.dumps(finite) + "\n")
            return
        name = short_name(find_task(task))
        agent = describe(policy, name).agent
        show_title(f"{agent} plays {name} on {setting.scenario.name}, seed {seed}")
        console.print(plan_table(plan))
        console.print(totals_table(plan))
        console.print(f"picture: {picture}")
