"""`chengfang import-sb3`: a model's zip of stable-baselines3 as a saved policy."""

from pathlib import Path
from typing import Annotated

import typer

from .conventions import TaskOption, console, plain_errors


def import_sb3(
    model: Annotated[Path, typer.Argument(help="The zip that model.save wrote.")],
    algorithm: Annotated[
        str,
        typer.Option(
            "--algorithm",
            "-a",
            help="The model's class: PPO, A2C, SAC, TD3, DDPG; of sb3-contrib RecurrentPPO, TQC, "
            "TRPO.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the saved policy.")],
    task: TaskOption = "SuperPlan",
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Open the zip, which holds pickles: whoever made it can run any code here.",
        ),
    ] = False,
) -> None:
    """Turn a stable-baselines3 model into a saved policy, which runs no code when it is loaded.

    A zip does not say whether its model was trained under VecNormalize; such a model acts wrongly
    here.
    """
    with plain_errors():
        if not trust:
            # Said before stable-baselines3 is imported, which takes seconds.
            raise ValueError(
                f"{model} holds pickles, which can run any code when they are opened; say --trust "
                "if you know who made it"
            )
        from ...agents.learners.sb3_models import import_sb3 as convert

        policy = convert(model, algorithm, task, out, trust)
        console.print(
            f"{out}: a {policy.description['algorithm']} policy for {policy.description['task']}, "
            f"{len(policy.levers)} levers; judge it with [bold]chengfang evaluate {out} --task "
            f"{policy.description['task']}[/bold]"
        )
