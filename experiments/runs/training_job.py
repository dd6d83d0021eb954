"""One training as a job: it has its own folder, is logged, and says how far it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...agents.learners.settings import PPOSettings, SACSettings
from ...envs import Setting
from .tracking import Mode, Tracker


class Job(NamedTuple):
    """What to train, and where."""

    name: str
    settings: PPOSettings | SACSettings
    setting: Setting  # with the train split
    seed: int
    folder: Path
    track: Mode
    origin: dict[str, Any]


class Note(NamedTuple):
    """How far a training is."""

    name: str
    steps: int
    figures: dict[str, float]  # of the training episodes that ended lately


def train_job(job: Job, on_progress: Callable[[Note], None]) -> None:
    """Train, and log how far it is to the tracker and the caller.

    Raises:
        KeyboardInterrupt: after a checkpoint.
    """
    from ...agents.learners.training import Progress, train

    config = {
        "algorithm": job.settings.algorithm,
        "seed": job.seed,
        **job.origin,
        **job.settings.model_dump(),
    }
    tracker = Tracker(job.folder, job.name, config, job.track)

    def log(progress: Progress) -> None:
        tracker.log(
            progress.figures
            | {"steps_per_second": progress.steps_per_second, "seconds": progress.seconds},
            progress.steps,
        )
        on_progress(Note(job.name, progress.steps, progress.figures))

    try:
        train(job.settings, job.setting, job.seed, job.folder, log, job.origin)
    finally:
        tracker.finish()
