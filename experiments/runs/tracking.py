"""Where curves go: always a JSON-lines file and its Parquet copy; W&B and TensorBoard beside them,
under the same name.

Nothing here ever asks for a key or needs a service. The JSON-lines file is the record; what stands
beside it may fail without stopping a run that has been computing for hours.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ...envs.files import whole_file

Mode = Literal["online", "offline", "off"]
MODES = ("online", "offline", "off")
LOG = "metrics.jsonl"
COPY = "metrics.parquet"
ABOUT = "run.json"
EVENTS = "tensorboard"
PATIENCE = 30  # seconds that an online run may take to reach the service before it goes on offline


class Tracker:
    """One run's log: `metrics.jsonl`, and at the end `metrics.parquet`, in its folder; `run.json`
    holds name and configuration.

    A W&B run and TensorBoard event files of the same name and configuration stand beside them.

    Args:
        folder: the run's folder.
        name: of the run, the same everywhere.
        config: what the run was asked to do.
        mode: W&B online, offline (default; no network) or off.
        tensorboard: whether to write event files to `tensorboard/<name>`; None: if the package is
            installed and mode is not off.

    Raises:
        ValueError: if mode is unknown, is online without a W&B key, or TensorBoard is asked for and
            not installed.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        config: dict[str, Any],
        mode: Mode = "offline",
        tensorboard: bool | None = None,
    ):
        if mode not in MODES:
            raise ValueError(f"track is {mode!r}; allowed are {', '.join(MODES)}")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / LOG
        self._waiting = b""
        self._trouble = ""
        with whole_file(folder / ABOUT) as draft:
            draft.write_text(
                json.dumps({"name": name, "config": config}, indent=2, default=str) + "\n",
                encoding="utf-8",
            )
        cut = (
            self._path.is_file()
            and self._path.stat().st_size > 0
            and not self._path.read_bytes().endswith(b"\n")
        )
        sinks = (
            _wandb(folder, name, config, mode),
            _tensorboard(folder, name, config, tensorboard, mode),
        )
        self._sinks = [sink for sink in sinks if sink is not None]
        self._file = self._path.open("ab", buffering=0)
        if cut:  # a line that an interruption cut off must not take ours with it
            self._write(b"\n")

    def log(self, figures: dict[str, float], step: int) -> None:
        """Write one line of figures at an environment step. With the disk full the lines wait for
        room and the run goes on.
        """
        kept = {name: float(value) for name, value in figures.items()}
        line = {"step": int(step), "time": round(time.time(), 3)} | {
            n: v if math.isfinite(v) else None for n, v in kept.items()
        }
        self._write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._each_sink(lambda sink: sink.log(kept, int(step)))

    def finish(self, summary: dict[str, Any] | None = None) -> None:
        """Close the log and write its Parquet copy; the summary goes to W&B and TensorBoard.

        Raises:
            OSError: if lines still find no room on the disk.
        """
        if self._file.closed:
            return
        self._each_sink(lambda sink: sink.finish(summary or {}))
        self._sinks = []
        self._write(b"")
        self._file.close()
        if self._waiting:
            raise OSError(
                None, f"{self._trouble}; the last lines of the log are lost", str(self._path)
            )
        try:
            write_parquet(self._folder)
        except OSError as error:
            _say(f"{COPY} not written: {error.strerror or error}; {LOG} is complete")

    def _write(self, data: bytes) -> None:
        """Append to the record; what does not fit on the disk is kept and tried again with the next
        line.
        """
        self._waiting += data
        try:
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) or 0 :]
        except OSError as error:
            if not self._trouble:
                _say(f"{self._path}: {error.strerror}; the run goes on and its lines wait for room")
            self._trouble = error.strerror or str(error)

    def _each_sink(self, act: "Callable[[_Sink], None]") -> None:
        """Do something with every sink; one that fails is reported once, then left out."""
        for sink in list(self._sinks):
            try:
                act(sink)
            except Exception as error:
                self._sinks.remove(sink)
                _say(f"{sink.name} stopped: {type(error).__name__}: {error}; {LOG} goes on")


class _Sink(NamedTuple):
    """A place beside the record that figures go to."""

    name: str
    log: Callable[[dict[str, float], int], None]
    finish: Callable[[dict[str, Any]], None]


def _wandb(folder: Path, name: str, config: dict[str, Any], mode: Mode) -> _Sink | None:
    if mode == "off":
        return None
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    import wandb

    if mode == "online" and not _has_key(wandb.login):
        raise ValueError(
            "track is 'online', but no W&B key is known; "
            "run `wandb login` or set WANDB_API_KEY, or track offline"
        )
    quiet = wandb.Settings(
        silent=True,
        console="off",
        disable_git=True,
        x_disable_stats=True,
        x_disable_meta=False,
        init_timeout=PATIENCE,
    )
    place: dict[str, Any] = {
        "project": "chengfang",
        "name": name,
        "config": config,
        "dir": str(folder),
        "settings": quiet,
    }
    try:
        run = wandb.init(mode=mode, **place)
    except wandb.Error as error:
        if mode == "offline":
            raise
        _say(
            f"W&B cannot be reached ({error}); this run is kept offline in {folder / 'wandb'} "
            "(`wandb sync` uploads it later)"
        )
        run = wandb.init(mode="offline", **place)

    def finish(summary: dict[str, Any]) -> None:
        run.summary.update(summary)
        run.finish()

    return _Sink("W&B", lambda figures, step: run.log(figures, step=step), finish)


def _has_key(login: Callable[..., bool]) -> bool:
    """Whether W&B knows a key, without asking for one; releases that cannot say so are given the
    benefit of the doubt.
    """
    try:
        return login(prompt=False, verify=False)
    except TypeError:
        return True


def _tensorboard(
    folder: Path, name: str, config: dict[str, Any], wanted: bool | None, mode: Mode
) -> _Sink | None:
    """Event files, if they are wanted or, unless told otherwise, if they can be written."""
    if wanted is False or (wanted is None and mode == "off"):
        return None
    try:
        from torch.utils.tensorboard.writer import SummaryWriter
    except ImportError:
        if wanted:
            raise ValueError(
                "tensorboard is asked for, but is not installed; install it with "
                "`pip install tensorboard`"
            ) from None
        return None
    writer = SummaryWriter(str(folder / EVENTS / name.replace("/", "-")), flush_secs=10)
    writer.add_text("config", f"```\n{json.dumps(config, indent=2, default=str)}\n```")

    def log(figures: dict[str, float], step: int) -> None:
        for tag, value in figures.items():
            writer.add_scalar(tag, value, step)

    def finish(summary: dict[str, Any]) -> None:
        if summary:
            writer.add_text("summary", f"```\n{json.dumps(summary, indent=2, default=str)}\n```")
        writer.close()

    return _Sink("TensorBoard", log, finish)


def _say(text: str) -> None:
    print(f"tracking: {text}", file=sys.stderr, flush=True)


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of a run's log, oldest first; empty if there is none. A line cut off by an
    interruption is skipped.

    Figures that were not finite are nan.
    """
    path = folder / LOG
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict):  # the tail of a cut-off line can be a number by chance
            lines.append(
                {name: math.nan if value is None else value for name, value in line.items()}
            )
    return lines


def write_parquet(folder: Path) -> Path | None:
    """Copy a run's log to `metrics.parquet`: one row per line, a column per figure, null where a
    line lacks it.

    A run that was killed has no copy yet; this makes it. Returns the file, or None if there is no
    line to copy.
    """
    lines = read_metrics(folder)
    if not lines:
        return None
    import polars

    names = list(dict.fromkeys(name for line in lines for name in line))
    columns = {name: [line.get(name) for line in lines] for name in names}
    types = {name: polars.Int64 if name == "step" else polars.Float64 for name in names}
    with whole_file(folder / COPY) as draft:
        polars.DataFrame(columns, schema=types, strict=False).write_parquet(draft)
    return folder / COPY
