"""One training as a job: it has its own folder, is logged, and says how far it is."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...agents.learners.settings import APGSettings, LearnerSettings, ShiftSettings
from ...envs import Setting
from .manifest import write_json
from .tracking import Mode, Tracker

COST = "cost.json"  # CPU seconds of a training, over all calls that it took


class Job(NamedTuple):
    """What to train, and where."""

    name: str
    settings: LearnerSettings
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
    config = {
        "algorithm": job.settings.algorithm,
        "seed": job.seed,
        **job.origin,
        **job.settings.model_dump(),
    }
    tracker = Tracker(job.folder, job.name, config, job.track)
    begun = json.loads(json.dumps(config))  # as it is read back
    before = cpu_seconds(job.folder, begun) or 0.0
    begin = time.process_time()
    clock = time.monotonic()

    def log(steps: int, figures: dict[str, float]) -> None:
        seconds = max(time.monotonic() - clock, 1e-9)
        speed = {
            "steps_per_second": steps / seconds,
            "seconds": seconds,
            "cpu_seconds": before + time.process_time() - begin,
        }
        tracker.log(speed | figures, steps)
        on_progress(Note(job.name, steps, figures))

    try:
        _trained(job, log)
    finally:
        spent = round(before + time.process_time() - begin, 3)
        write_json(job.folder / COST, {"cpu_seconds": spent, "training": begun})
        tracker.finish()


Log = Callable[[int, dict[str, float]], None]


def _trained(job: Job, log: Log) -> None:
    """Train whatever the settings are of."""
    where = (job.setting, job.seed, job.folder)

    def report(progress: Any) -> None:
        own = {"steps_per_second": progress.steps_per_second, "seconds": progress.seconds}
        log(progress.steps, progress.figures | own)

    if isinstance(job.settings, ShiftSettings):
        from ...agents.learners.shifts.fit import fit_shift

        fit_shift(
            job.settings,
            *where,
            lambda fitted: log(fitted.steps, {"score_over_nothing": fitted.score}),
            job.origin,
        )
        return
    if isinstance(job.settings, APGSettings):
        from ...agents.learners.gradient import train_apg

        train_apg(job.settings, *where, report, job.origin)
        return
    from ...agents.learners.training import train

    train(job.settings, *where, report, job.origin)


def cpu_seconds(folder: Path, training: dict[str, Any] | None = None) -> float | None:
    """CPU seconds that the training in a folder has taken, the calls it went on from included; None
    if they were not noted.

    Args:
        folder: of the training.
        training: only of this training, as its configuration says; None for whichever it is.
    """
    try:
        noted = json.loads((folder / COST).read_text(encoding="utf-8"))
        same = training is None or noted["training"] == training
        return float(noted["cpu_seconds"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
