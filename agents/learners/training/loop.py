"""The training loop: PPO or SAC from stable-baselines3 on the native batch, interrupted and
resumed at will (world 5).
"""

from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback

from ....envs import Setting
from ..saved_policy import SavedPolicy
from ..settings import PPOSettings, SACSettings
from .averaging import WeightAverage
from .checkpoint import Learned, restore, save
from .demonstrations import clone_demonstrations
from .ensemble import train_ensemble
from .exploration import FallingNoise
from .input_scaling import scale_inputs
from .multiplier import PIDMultiplier
from .networks import build_model
from .progress import LearnedMultiplier, OnProgress, ProgressReports
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
    """Train to `settings.steps` environment steps, from the folder's checkpoint if there is one,
    and save the policy there.

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
    env = make_training_env(run.settings, run.setting, run.seed, run.threads)
    learned = _untrained(build_model(run.settings, env, run.seed), run)
    model = learned.model
    scale_inputs(model, run)
    run.folder.mkdir(parents=True, exist_ok=True)
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
    finally:
        env.close()
    return save(learned, run)


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
    if learned.average is not None:
        callbacks.append(learned.average)
    return callbacks
