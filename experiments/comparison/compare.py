"""The main job: train learners, judge everybody on held-out merchants, and write what a reader
needs.

The folder is the state: every finished piece is on disk, so a run that was interrupted goes on
    where it stopped.
"""

import contextlib
import itertools
import multiprocessing
import queue as queues
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from ...agents import Policy, make_rule, plan_spec
from ...agents.learners import load_policy
from ...envs import Setting
from ...envs.files import whole_file
from ..runs.evaluate import Episodes, evaluate, play_noop
from ..runs.manifest import manifest, write_json
from ..runs.tracking import Mode, Tracker, read_metrics
from ..runs.training_job import Job, Note, run_job
from .config import CompareConfig, load_config, save_config
from .figures import learning_figure, make_curve, pacing_figure, watch
from .report import LEGEND, Row, make_row, ranked, rich_table, verdict, write_tables

CHUNK = 64  # episodes in the pacing figure


class Interrupted(Exception):
    """The comparison was stopped; what was finished is on disk and in `rows`."""


def compare(
    config: CompareConfig,
    folder: Path,
    console: Console,
    track: Mode = "offline",
    fresh: bool = False,
    workers: int = 2,
) -> list[Row]:
    """Run or resume a comparison; returns its rows and leaves tables, figures and a manifest in the
    folder.

    Args:
        config: what to compare.
        folder: where results go. One that holds another comparison is kept under another name.
        console: where to report.
        track: W&B mode.
        fresh: begin anew even if the folder holds the same comparison.
        workers: training processes side by side.

    Raises:
        Interrupted: after Ctrl-C, with everything finished so far written.
    """
    begin = time.time()
    setting = config.setting()
    prepare(config, folder, console, fresh)
    console.print(
        f"[bold]{config.task}[/] on [bold]{setting.scenario.name}[/] ({setting.scenario.hash}): {setting.days} day(s), "
        f"{len(setting.levers)} levers, {config.episodes} held-out episodes per agent → {folder}"
    )
    rows: list[Row] = []
    tracker = Tracker(
        folder, f"compare-{config.task}-{config.fingerprint}", config.model_dump(mode="json"), track
    )
    try:
        with _progress(console) as bars:
            nothing = _known(
                folder / "episodes" / "nothing.npz", lambda: play_noop(setting, _seeds(config))
            )
            rows += _rules(config, setting, folder, nothing, bars)
            _train(config, folder, track, workers, bars)
            rows += _learners(config, setting, folder, nothing, bars)
            _figures(config, setting, folder, nothing, rows)
    except KeyboardInterrupt:
        _finish(config, folder, rows, tracker, begin, complete=False)
        raise Interrupted from None
    except Exception:
        _finish(config, folder, rows, tracker, begin, complete=False)
        raise
    _finish(config, folder, rows, tracker, begin, complete=True)
    console.print(
        rich_table(
            rows, f"{config.task} on {setting.scenario.name}: {config.episodes} held-out episodes"
        )
    )
    console.print(LEGEND, style="dim")
    console.print(verdict(rows), style="bold")
    return rows


def prepare(config: CompareConfig, folder: Path, console: Console, fresh: bool) -> None:
    """Make the folder this comparison's own; another comparison in it is moved aside, never
    overwritten.
    """
    known = folder / "config.yaml"
    if folder.exists() and any(folder.iterdir()):
        same = known.is_file() and _fingerprint(known) == config.fingerprint
        if fresh or not same:
            stamp = f"{folder.name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime())}"
            names = (stamp if i == 1 else f"{stamp}-{i}" for i in itertools.count(1))
            aside = next(path for path in map(folder.with_name, names) if not path.exists())
            folder.rename(aside)
            console.print(
                f"[dim]{folder} held {'an earlier run' if same else 'another comparison'}; it is now {aside}[/]"
            )
        else:
            console.print(
                f"[dim]resuming the comparison in {folder}; finished parts are kept (--fresh begins anew)[/]"
            )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "episodes").mkdir(exist_ok=True)
    save_config(config, known)


def _fingerprint(path: Path) -> str:
    try:
        return load_config(path).fingerprint
    except ValueError:
        return ""


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[note]}"),
        console=console,
        speed_estimate_period=60,
        refresh_per_second=2,
    )


def _seeds(config: CompareConfig) -> np.ndarray:
    return np.arange(config.test_seed, config.test_seed + config.episodes)


def _known(path: Path, compute: Any) -> dict[str, np.ndarray]:
    """Figures from a file, or computed now and kept there."""
    if path.is_file():
        with (
            contextlib.suppress(ValueError, OSError, EOFError, zipfile.BadZipFile),
            np.load(path, allow_pickle=False) as data,
        ):
            return dict(data)  # a file that cannot be read is made again
    figures = compute()
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez_compressed(file, **figures)
    return figures


def _judge(
    name: str,
    policy: Policy,
    config: CompareConfig,
    setting: Setting,
    folder: Path,
    nothing: dict[str, np.ndarray],
) -> Episodes:
    plans = _known(
        folder / "episodes" / f"{name}.npz",
        lambda: evaluate(policy, setting, config.episodes, config.test_seed, nothing).plans,
    )
    return Episodes(plans, nothing, _seeds(config))


def _rules(
    config: CompareConfig,
    setting: Setting,
    folder: Path,
    nothing: dict[str, np.ndarray],
    bars: Progress,
) -> list[Row]:
    bar = bars.add_task("rules", total=len(config.rules), note="")
    spec = plan_spec(setting)
    rows = []
    for name in config.rules:
        bars.update(bar, note=name)
        rows.append(
            make_row(
                name,
                "rule",
                [_judge(name, make_rule(name, spec), config, setting, folder, nothing)],
            )
        )
        bars.advance(bar)
    bars.update(bar, note="evaluated")
    return rows


def jobs(config: CompareConfig, folder: Path, track: Mode) -> list[Job]:
    """One training job per learner and seed."""
    setting = config.setting("train")
    origin = {
        "task": config.task,
        "days": setting.days,
        "scenario": setting.scenario.name,
        "scenario_hash": setting.scenario.hash,
    }
    return [
        Job(
            run_name(name, seed),
            settings,
            setting,
            seed,
            folder / "runs" / run_name(name, seed),
            track,
            origin,
        )
        for name, settings in config.learners.items()
        for seed in config.seeds
    ]


def run_name(learner: str, seed: int) -> str:
    """Name of a training run, the same in folders, logs and W&B."""
    return f"{learner}-seed{seed}"


def _train(config: CompareConfig, folder: Path, track: Mode, workers: int, bars: Progress) -> None:
    """Run the training jobs, a few at a time, each in its own process; Ctrl-C lets them write
    checkpoints first.
    """
    waiting = [
        job for job in jobs(config, folder, track) if not (job.folder / "finished").is_file()
    ]
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    shown = {
        job.name: bars.add_task(f"train {job.name}", total=job.settings.steps, note="waiting")
        for job in waiting
    }
    running: dict[str, Any] = {}
    failed: list[str] = []
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                job = waiting.pop(0)
                job.folder.mkdir(parents=True, exist_ok=True)
                process = context.Process(target=run_job, args=(job, queue), daemon=False)
                process.start()
                running[job.name] = (process, job)
                bars.update(shown[job.name], note="compiling and starting")
            for note in _notes(queue):
                _take(note, running, shown, bars, failed)
            for name in [
                n for n, (process, _) in running.items() if not process.is_alive() and queue.empty()
            ]:
                failed.append(
                    f"{name}: its process ended with exit code {running.pop(name)[0].exitcode}"
                )
    except KeyboardInterrupt:
        _stop(running, queue)
        raise
    if failed:
        raise RuntimeError("training failed: " + "; ".join(failed))


def _notes(queue: Any) -> list[Note]:
    try:
        return [queue.get(timeout=0.3)]
    except queues.Empty:
        return []


def _take(
    note: Note, running: dict[str, Any], shown: dict[str, Any], bars: Progress, failed: list[str]
) -> None:
    if note.kind == "progress":
        bars.update(shown[note.name], completed=note.steps)
        if "score" in note.figures:
            bars.update(shown[note.name], note=f"score {note.figures['score']:.3f}")
        return
    process, job = running.pop(note.name)
    process.join()
    if note.kind == "done":
        (job.folder / "finished").write_text("", encoding="utf-8")
        bars.update(shown[note.name], completed=job.settings.steps)
    elif note.kind == "stopped":
        raise KeyboardInterrupt
    else:
        failed.append(f"{note.name}: {note.text}")


def _stop(running: dict[str, Any], queue: Any, patience: float = 30.0) -> None:
    """Ask every training process to write its checkpoint and end."""
    for process, _ in running.values():
        process.terminate()
    deadline = time.monotonic() + patience
    while (
        any(process.is_alive() for process, _ in running.values()) and time.monotonic() < deadline
    ):
        _notes(queue)
    for process, _ in running.values():
        if process.is_alive():
            process.kill()


def _learners(
    config: CompareConfig,
    setting: Setting,
    folder: Path,
    nothing: dict[str, np.ndarray],
    bars: Progress,
) -> list[Row]:
    rows = []
    bar = bars.add_task("learners", total=len(config.learners) * len(config.seeds), note="")
    for name, settings in config.learners.items():
        runs = []
        for seed in config.seeds:
            run = run_name(name, seed)
            bars.update(bar, note=run)
            runs.append(
                _judge(run, load_policy(folder / "runs" / run), config, setting, folder, nothing)
            )
            bars.advance(bar)
        rows.append(make_row(name, "learner", runs, settings.steps))
    bars.update(bar, note="evaluated")
    return rows


def _figures(
    config: CompareConfig,
    setting: Setting,
    folder: Path,
    nothing: dict[str, np.ndarray],
    rows: list[Row],
) -> None:
    """Learning curves, and the pacing of the best learner beside the best rule on the same
    merchants.
    """
    runs = [run_name(name, seed) for name in config.learners for seed in config.seeds]
    learning_figure(
        [make_curve(run, read_metrics(folder / "runs" / run)) for run in runs],
        folder / "learning_curves.png",
    )
    spec = plan_spec(setting)
    shown: dict[str, Policy] = {}
    for kind in ("learner", "rule"):
        best = next((r.agent for r in ranked(rows) if r.kind == kind), None)
        if best is not None:
            learned = folder / "runs" / run_name(best, config.seeds[0])
            shown[best] = load_policy(learned) if kind == "learner" else make_rule(best, spec)
    count = min(CHUNK, config.episodes)
    first = {name: values[:count] for name, values in nothing.items()}
    pacing_figure(
        {
            name: watch(policy, setting, count, config.test_seed, first)[0]
            for name, policy in shown.items()
        },
        folder / "pacing.png",
    )


def _finish(
    config: CompareConfig,
    folder: Path,
    rows: list[Row],
    tracker: Tracker,
    begin: float,
    complete: bool,
) -> None:
    """Write tables and manifest for what there is, complete or not."""
    setting = config.setting()
    if rows:
        write_tables(
            folder,
            rows,
            f"{config.task} on {setting.scenario.name}" + ("" if complete else " (interrupted)"),
        )
    seconds = round(time.time() - begin, 1)
    write_json(
        folder / "manifest.json",
        manifest(
            setting.scenario,
            task=config.task,
            fingerprint=config.fingerprint,
            complete=complete,
            episodes=config.episodes,
            test_seed=config.test_seed,
            training_seeds=config.seeds,
            wall_seconds=seconds,
            training_seconds=_training_seconds(config, folder),
        ),
    )
    summary = {f"{row.agent}/score": row.score.value for row in rows}
    if summary:
        tracker.log(summary, step=0)
    tracker.finish(summary | {"complete": complete})


def _training_seconds(config: CompareConfig, folder: Path) -> dict[str, Any]:
    """Seconds and steps per second of each training run, from its own log."""
    found = {}
    for name in config.learners:
        for seed in config.seeds:
            lines = read_metrics(folder / "runs" / run_name(name, seed))
            if lines:
                rate = float(np.median([line["steps_per_second"] for line in lines]))
                found[run_name(name, seed)] = {
                    "seconds": round(lines[-1]["seconds"], 1),
                    "median_steps_per_second": round(rate),
                }
    return found
