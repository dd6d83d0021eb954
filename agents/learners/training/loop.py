"""The training loop: PPO or SAC from stable-baselines3 on the native batch, interrupted and
resumed at will (world 5).
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback

from ....envs import Setting
from ..gradient import train_apg
from ..saved_policy import SavedPolicy, load_policy
from ..settings import PPOSettings, SACSettings, all_steps, start_settings
from .averaging import WeightAverage
from .checkpoint import Learned, restore, save
from .demonstrations import clone_demonstrations
from .ensemble import train_ensemble
from .exploration import CriticFirst, FallingNoise
from .input_scaling import scale_inputs
from .multiplier import PIDMultiplier
from .networks import build_model
from .progress import LearnedMultiplier, OnProgress, Progress, ProgressReports, as_part
from .run import TrainingRun
from .training_env import make_training_env


def train(
    settings: PPOSettings | SACSettings,
    setting: Setting,
    seed: int,
    folder: Path,
    on_progress: OnProgress | None = None,
    origin: dict[str, Any] | None = None,
    threads: int = 1,
) -> SavedPolicy:
    """Train to `settings.steps` environment steps, those of a start aside, from the folder's
    checkpoint if there is one, and save the policy there.

    Args:
        settings: algorithm and hyper-parameters.
        setting: what is played; merchants come from the train split.
        seed: of the network, the exploration and the markets; the same seed gives the same policy.
        folder: where checkpoint and policy are written.
        on_progress: called every few seconds.
        origin: what to note in the artefact about where it came from.
        threads: simulator threads.

    Raises:
        KeyboardInterrupt: after writing a checkpoint and the policy as far as it has come.
    """
    run = TrainingRun(settings, setting, seed, folder, origin or {}, threads)
    if isinstance(settings, PPOSettings) and settings.ensemble > 1:
        return train_ensemble(run, settings, train_network, on_progress)
    return train_network(run, on_progress)


def train_network(run: TrainingRun, on_progress: OnProgress | None = None) -> SavedPolicy:
    """Train one network; see `train`."""
    torch.set_num_threads(1)
    with closing(make_training_env(run.settings, run.setting, run.seed, run.threads)) as env:
        learned = _untrained(build_model(run.settings, env, run.seed), run)
        model = learned.model
        scale_inputs(model, run)
        run.folder.mkdir(parents=True, exist_ok=True)
        on_progress = _start(model, run, on_progress)
        done = restore(learned, run)
        try:
            if done == 0 and run.settings.demonstrations:
                clone_demonstrations(model, run)
            if done < run.decisions:
                callbacks = _callbacks(learned, run, on_progress)
                model.learn(run.decisions - done, callback=callbacks, reset_num_timesteps=False)
        except KeyboardInterrupt:
            save(learned, run)
            raise
    return save(learned, run)


def _start(model: Any, run: TrainingRun, on_progress: OnProgress | None) -> OnProgress | None:
    """Let the actor start from APG, trained in a folder of its own, where settings ask for it.
    Returns who is told of the progress from then on.

    Raises:
        KeyboardInterrupt: after APG's checkpoint, and its policy as the run's so far.
    """
    settings = run.settings
    first = start_settings(settings)
    if first is None:
        return on_progress
    folder = run.folder / "start"
    told = as_part(on_progress, 0, all_steps(settings))
    report = None if told is None else lambda learned: told(Progress(*learned))
    try:
        saved = train_apg(first, run.setting, run.seed, folder, report, run.origin)
    except KeyboardInterrupt:
        if (folder / "policy.json").is_file():
            load_policy(folder).save(run.folder)
        raise
    model.policy.take_actor(saved)
    return as_part(on_progress, first.steps, all_steps(settings))


def _untrained(model: Any, run: TrainingRun) -> Learned:
    settings = run.settings
    multiplier = average = None
    if settings.training_env and settings.training_env.objective == "lagrangian":
        multiplier = PIDMultiplier(settings.training_env)
    if isinstance(settings, PPOSettings) and settings.average_last:
        average = WeightAverage(int(run.decisions * (1 - settings.average_last)))
    return Learned(model, multiplier, average)


def _callbacks(
    learned: Learned, run: TrainingRun, on_progress: OnProgress | None
) -> list[BaseCallback]:
    reports = ProgressReports(run.decisions, run.hold, on_progress)
    callbacks: list[BaseCallback] = []
    if learned.multiplier is not None:  # first: the reports show its value
        callbacks.append(LearnedMultiplier(learned.multiplier, reports))
    callbacks.append(reports)
    settings = run.settings
    if isinstance(settings, PPOSettings) and settings.log_std_end is not None:
        callbacks.append(FallingNoise(settings.log_std_start, settings.log_std_end, run.decisions))
    if isinstance(settings, PPOSettings) and settings.critic_first:
        between = settings.num_envs * settings.n_steps
        learned_noise = settings.log_std_end is None
        callbacks.append(CriticFirst(settings.critic_first, between, learned_noise))
    if learned.average is not None:
        callbacks.append(learned.average)
    return callbacks
