"""`chengfang train` and `chengfang import-sb3`: where saved policies come from, trained here or
brought along.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from ...agents.catalog import is_own
from ...envs import Setting, find_task, short_name
from ..named_learners import learner_settings
from .conventions import (
    ScenarioOption,
    SetOption,
    TaskOption,
    Track,
    console,
    errors,
    folder_for_results,
    plain_errors,
    setting_of,
)


def train(
    algorithm: Annotated[
        str,
        typer.Argument(
            help="PPO, PPO-from-APG, SAC or APG; or module:train, a function of your own."
        ),
    ],
    task: TaskOption = "SuperPlan",
    scenario: ScenarioOption = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the policy; default runs/<task>-<name>."),
    ] = None,
    steps: Annotated[float | None, typer.Option(help="Environment steps.", min=1)] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option("--settings", help="YAML of hyper-parameters that change the learner's own."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Training seed.", min=0)] = 0,
    track: Annotated[
        Track, typer.Option(help="W&B: offline writes files only; online uploads.")
    ] = "offline",
) -> None:
    """Train one policy and save it as a folder that loads without running code.

    A function of your own is called with those of task, seed, folder, steps and setting that it
    takes, and returns the policy.
    """
    with plain_errors():
        short = short_name(find_task(task))
        setting = setting_of(task, scenario, set_, split="train")
        count = None if steps is None else int(steps)
        cost = ""
        if is_own(algorithm):
            if settings_file is not None:
                raise ValueError(
                    f"settings is {settings_file}, but {algorithm} is a function of your own; "
                    "allowed with the learners of this package"
                )
            name = algorithm.replace(":", "-")
            folder = folder_for_results(out or Path("runs") / f"{short}-{name}-seed{seed}")
            saved = _train_own(algorithm, short, setting, seed, folder, count)
        else:
            name, settings = learner_settings(algorithm, short, settings_file, count)
            folder = folder_for_results(out or Path("runs") / f"{short}-{name}-seed{seed}")
            _train_learner(name, settings, short, setting, seed, folder, track)
            cost = f" ({_cost(settings, setting, folder)})"
            saved = True
        if saved:
            console.print(
                f"saved {folder}{cost}; judge it with: chengfang evaluate {folder} --task {short}",
                highlight=False,
                soft_wrap=True,
            )


def _cost(settings: Any, setting: Setting, folder: Path) -> str:
    """Ticks and CPU seconds of a training, in words."""
    from ..benchmark.ticks import training_ticks
    from ..runs.training_job import cpu_seconds

    seconds = cpu_seconds(folder)
    cpu = "" if seconds is None else f", {seconds:,.0f} CPU seconds"
    return f"{training_ticks(settings, setting.ticks)}{cpu}"


def _train_learner(
    name: str, settings: Any, task: str, setting: Setting, seed: int, folder: Path, track: Track
) -> None:
    from ...agents.learners.settings import all_steps
    from ..runs.progress import Progress
    from ..runs.training_job import Job, Note, train_job

    origin = {
        "task": task,
        "days": setting.days,
        "scenario": setting.scenario.name,
        "scenario_hash": setting.scenario.hash,
    }
    job = Job(f"{name}-seed{seed}", settings, setting, seed, folder, track, origin)
    with Progress(errors) as progress:
        stage = progress.add(
            f"train {name}", all_steps(settings), "steps", "compiling and starting"
        )

        def on_progress(note: Note) -> None:
            score = note.figures.get("score")
            stage.update(note.steps, None if score is None else f"score {score:.3f}")

        try:
            train_job(job, on_progress)
        except KeyboardInterrupt:
            errors.print(
                f"[bold]interrupted[/]: checkpoint and policy so far are in {folder}; "
                "the same command goes on"
            )
            raise typer.Exit(130) from None


def _train_own(
    name: str, task: str, setting: Setting, seed: int, folder: Path, steps: int | None
) -> bool:
    """Train with a function of the user's; returns whether the policy was saved as a folder."""
    from ...agents.guard import GuardedPolicy
    from ...agents.learners import SavedPolicy
    from ..runs.own_agents import own_policy
    from ..runs.progress import Progress
    from ..runs.spec import RunSpec

    spec = RunSpec(
        task,
        name,
        "own",
        seed,
        setting.scenario.model_dump(mode="json"),
        setting.levers,
        setting.days,
        {"train": name, "steps": steps},
        test_seed=0,
        episodes=0,
    )
    with Progress(errors) as progress:
        progress.add(f"train {name}")
        made = own_policy(spec, folder)
    policy: Any = made.policy if isinstance(made, GuardedPolicy) else made
    if isinstance(policy, SavedPolicy):
        policy.save(folder)
        return True
    if type(policy).__module__.startswith(("stable_baselines3.", "sb3_contrib.")):
        from ...agents.learners import save_policy

        save_policy(policy, folder, task)
        return True
    console.print(
        f"trained {name}; its {type(policy).__name__} is neither a saved policy nor a model of "
        f"stable-baselines3, so what is kept of it is what it left in {folder} itself",
        highlight=False,
        soft_wrap=True,
    )
    return False


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

    A zip holds the model alone, without its training env: one that was trained under VecNormalize,
    or held its actions, acts otherwise here. Use save_policy where it was trained.
    """
    with plain_errors():
        if not model.is_file():
            raise ValueError(f"{model}: there is no such file; it is the zip that model.save wrote")
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
