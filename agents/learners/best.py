"""The best committed policy of each task; it travels in the wheel."""

from pathlib import Path

from ...envs import find_task, short_name
from .saved_policy import ArtefactError, SavedPolicy, load_policy

# The package's own folder is the repository's root, so this holds in a checkout and in a wheel.
RESULTS = Path(__file__).resolve().parents[2] / "results"
FOLDER = RESULTS / "benchmark" / "best"
NEXT = RESULTS / "headroom" / "best"  # of tasks whose benchmark is still to be run


def best_folder(task: str) -> Path:
    """Where the best policy of a task lies; raises ValueError for an unknown task."""
    name = short_name(find_task(task))
    return (NEXT if name.endswith("-v1") else FOLDER) / name


def load_best(task: str, safety_margin: float | None = None) -> SavedPolicy:
    """The best committed policy of a task: the learner that scores highest in the benchmark.

    Args:
        task: id or short name, for example "SuperPlan".
        safety_margin: the margin on the ROI target to act with, where the policy takes one.

    Raises:
        ValueError: an unknown task.
        ArtefactError: a task that has no committed policy.
    """
    folder = best_folder(task)
    if not folder.is_dir():
        known = [*FOLDER.glob("*"), *NEXT.glob("*")]
        have = ", ".join(sorted(path.name for path in known)) or "none"
        raise ArtefactError(f"task is {task!r}; the tasks that have a committed policy are {have}")
    return load_policy(folder, safety_margin)
