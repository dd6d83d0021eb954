"""One training run as a job: its own process, its own folder, its progress told through a queue."""

import signal
import traceback
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
    """One message of a job: progress, `done`, `stopped` or `failed`."""

    name: str
    kind: str
    steps: int = 0
    figures: dict[str, float] = {}
    text: str = ""


def run_job(job: Job, queue: Any) -> None:
    """Train in this process until done or until SIGTERM, after a checkpoint. Every outcome ends
    with one last note.

    Ctrl-C reaches the whole process group; it is the parent's to answer, with one SIGTERM to each
    job.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        train_job(job, queue.put)
        queue.put(Note(job.name, "done"))
    except KeyboardInterrupt:
        queue.put(Note(job.name, "stopped"))
    except Exception as error:
        queue.put(Note(job.name, "failed", text=f"{type(error).__name__}: {error}"))
        (job.folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")


def _interrupt(number: int, frame: Any) -> None:
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # once: a second signal would cut the checkpoint short
    raise KeyboardInterrupt


def train_job(job: Job, tell: Any) -> None:
    """Train, log every report to the tracker, and tell the caller."""
    from ...agents.learners.training import Progress, train

    config = {
        "algorithm": job.settings.algorithm,
        "seed": job.seed,
        **job.origin,
        **job.settings.model_dump(),
    }
    tracker = Tracker(job.folder, job.name, config, job.track)

    def on_progress(progress: Progress) -> None:
        tracker.log(
            progress.figures
            | {"steps_per_second": progress.steps_per_second, "seconds": progress.seconds},
            progress.steps,
        )
        tell(Note(job.name, "progress", progress.steps, progress.figures))

    try:
        s = job.setting
        train(job.settings, s, job.seed, job.folder, on_progress, job.origin)
    finally:
        tracker.finish()
