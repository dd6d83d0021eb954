"""`chengfang evaluate`: judge one policy on held-out merchants."""

import json
import sys
from typing import Annotated

import typer

from ...envs import find_task, short_name
from ..runs.evaluate import TEST_SEED
from .conventions import (
    POLICIES,
    CautionOption,
    MarginOption,
    PolicyArgument,
    ScenarioOption,
    SetOption,
    SplitOption,
    TaskOption,
    TunedOption,
    apart_from_json,
    console,
    errors,
    plain_errors,
    setting_of,
    show_title,
)


def evaluate(
    policy: PolicyArgument,
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    episodes: Annotated[
        int, typer.Option("--episodes", "-n", help="Merchants and days.", min=2)
    ] = 256,
    seed: Annotated[int, typer.Option(help="First stream of the merchants.", min=0)] = TEST_SEED,
    split: SplitOption = "test",
    against: Annotated[
        str | None,
        typer.Option(
            help=f"Compare with this policy on the same merchants and noise. It may be {POLICIES}.",
        ),
    ] = None,
    tuned: TunedOption = True,
    margin: MarginOption = None,
    caution: CautionOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge a policy on held-out merchants: a rule, a saved policy, or code of your own."""
    from ..inspection.evaluation import (
        LEGEND,
        Request,
        comparison_table,
        difference_in_words,
        judge,
        record,
    )
    from ..runs.progress import Progress

    with plain_errors():
        setting = setting_of(task, scenario, set_, split)
        name = short_name(find_task(task))
        request = Request(policy, setting, name, episodes, seed, tuned, margin, against)
        with apart_from_json(as_json), Progress(errors) as progress:
            judged = judge(request, progress)
        if as_json:
            sys.stdout.write(json.dumps(record(judged, request)) + "\n")
            return
        merchants = f"{episodes} episodes from seed {seed} of {split}"
        show_title(f"{name} on {setting.scenario.name}, {merchants}")
        console.print(comparison_table(judged))
        words = difference_in_words(judged)
        if words:
            console.print(f"\n{words}", highlight=False, markup=False, style="bold")
        console.print(f"\n{LEGEND}", style="dim", highlight=False)
