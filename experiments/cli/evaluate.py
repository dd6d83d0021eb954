"""`chengfang evaluate`: judge one policy on held-out merchants."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ...envs import find_task, short_name
from ..runs.evaluate import TEST_SEED
from .conventions import ScenarioOption, SetOption, TaskOption, console, plain_errors, setting_of


def evaluate(
    policy: Annotated[str, typer.Argument(help="A rule's name or the folder of a saved policy.")],
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    episodes: Annotated[
        int, typer.Option("--episodes", "-n", help="Merchants and days.", min=2)
    ] = 256,
    seed: Annotated[
        int, typer.Option(help="First stream of the test merchants.", min=0)
    ] = TEST_SEED,
    tuned: Annotated[
        bool,
        typer.Option(
            "--tuned/--untuned", help="A rule's values as tuned on this task, or its defaults."
        ),
    ] = True,
    caution: Annotated[
        float | None, typer.Option(help="Margin on the ROI target, for policies that take one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a rule or a saved policy on held-out merchants."""
    from ..comparison.report import LEGEND, make_row, rich_table
    from ..inspection.episode import find_policy
    from ..runs.evaluate import evaluate as judge

    with plain_errors():
        setting = setting_of(task, scenario, set_)
        kind = "learner" if Path(policy).exists() else "rule"
        name = short_name(find_task(task))
        result = judge(
            find_policy(policy, setting, name if tuned else None, caution), setting, episodes, seed
        )
        row = make_row(Path(policy).name if kind == "learner" else policy, kind, [result])
        if as_json:
            data = row._asdict() | {
                "score": row.score._asdict(),
                "task": name,
                "seed": seed,
                "episodes": episodes,
                "iqm": row.score.value,
                "ci_low": row.score.low,
                "ci_high": row.score.high,
                "violation_rate": row.violation,
                "mean_shortfall": row.shortfall,
                "scenario": setting.scenario.name,
                "scenario_hash": setting.scenario.hash,
            }
            sys.stdout.write(json.dumps(data) + "\n")
        else:
            title = f"{name} on {setting.scenario.name}, {episodes} episodes from seed {seed}"
            console.print(rich_table([row], title))
            console.print(LEGEND, style="dim")
