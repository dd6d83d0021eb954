"""Learning curves: what trainings report on training merchants, over CPU time or steps."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from .plots import PALETTE, new_figure, save_figure


class LearningCurve(NamedTuple):
    """One learner's curve: environment steps, CPU seconds, figures of the training episodes."""

    name: str
    steps: np.ndarray
    cpu_seconds: np.ndarray  # NaN where a log, written before they were noted, has none
    figures: dict[str, np.ndarray]


def make_curve(name: str, lines: list[dict[str, float]]) -> LearningCurve:
    """A curve from a run's log; reports in which no episode finished are left out."""
    kept = [line for line in lines if line.get("episodes", 0) > 0]
    steps = np.array([line["step"] for line in kept], float)
    cpu = np.array([line.get("cpu_seconds", np.nan) for line in kept], float)
    names = ("score", "violation", "budget_use", "roi_over_target")
    return LearningCurve(
        name,
        steps,
        cpu,
        {n: np.array([line.get(n, np.nan) for line in kept], float) for n in names},
    )


def learning_figure(curves: list[LearningCurve], path: Path) -> None:
    """Score, violation and budget use on training merchants, over CPU seconds where every log has
    them, else over environment steps. Runs of one agent share a colour.
    """
    timed = all(np.isfinite(curve.cpu_seconds).all() for curve in curves)
    agents = list(dict.fromkeys(agent_name(curve) for curve in curves))
    figure = new_figure(11, 3.6)
    axes = figure.subplots(1, 3)
    titles = {
        "score": "score / (budget * target)",
        "violation": "share of episodes under 0.98 target",
        "budget_use": "budget use",
    }
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        named: set[str] = set()
        for curve in curves:
            agent = agent_name(curve)
            axis.plot(
                np.maximum(curve.cpu_seconds if timed else curve.steps, 1),
                _smooth(curve.figures[name]),
                color=PALETTE[agents.index(agent) % len(PALETTE)],
                label=None if agent in named else agent,
            )
            named.add(agent)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("CPU seconds" if timed else "environment steps")
        axis.set_xscale("log")
        axis.grid(alpha=0.25)
    if curves:
        axes[0].legend(fontsize=8)
    figure.suptitle("Learning curves on training merchants, exploration included", fontsize=11)
    save_figure(figure, path)


def agent_name(curve: LearningCurve) -> str:
    """The agent of a run, `APG` of `APG-seed0`: its runs share a colour."""
    return curve.name.rpartition("-seed")[0] or curve.name


def _smooth(values: np.ndarray, window: int = 7) -> np.ndarray:
    if len(values) < window:
        return values
    padded = np.concatenate(
        [np.repeat(values[:1], window // 2), values, np.repeat(values[-1:], window // 2)]
    )
    return np.convolve(padded, np.ones(window) / window, "valid")
