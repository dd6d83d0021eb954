"""Where curves go: always a JSON-lines file; W&B offline unless asked otherwise. Nothing here ever asks for a key."""

import json
import os
import time
from pathlib import Path
from typing import Any, Literal

Mode = Literal["online", "offline", "off"]
MODES = ("online", "offline", "off")


class Tracker:
    """One run's log: `metrics.jsonl` in its folder, and a W&B run of the same name and configuration.

    Args:
        folder: the run's folder.
        name: of the run, the same everywhere.
        config: what the run was asked to do.
        mode: W&B online, offline (default; no network) or off.
    """

    def __init__(self, folder: Path, name: str, config: dict[str, Any], mode: Mode = "offline"):
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "metrics.jsonl"
        cut = path.is_file() and path.stat().st_size > 0 and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a", encoding="utf-8")
        if cut:                                     # a line that an interruption cut off must not take ours with it
            self._file.write("\n")
        self._run = None if mode == "off" else _wandb_run(folder, name, config, mode)

    def log(self, figures: dict[str, float], step: int) -> None:
        """Write one line of figures at an environment step."""
        self._file.write(json.dumps({"step": step, "time": round(time.time(), 3), **figures}) + "\n")
        self._file.flush()
        if self._run is not None:
            self._run.log(figures, step=step)

    def finish(self, summary: dict[str, Any] | None = None) -> None:
        """Close the log; the summary goes to W&B."""
        self._file.close()
        if self._run is not None:
            self._run.summary.update(summary or {})
            self._run.finish()


def _wandb_run(folder: Path, name: str, config: dict[str, Any], mode: Literal["online", "offline"]) -> Any:
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    quiet = wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True, x_disable_meta=False)
    return wandb.init(project="chengfang", name=name, config=config, mode=mode, dir=str(folder), settings=quiet)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's log, oldest first; empty if there is none. A line cut off by an interruption is skipped."""
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return lines
