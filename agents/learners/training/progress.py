"""What a training reports while it goes on."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import unwrap_vec_wrapper

from ....envs.scenario import SCENES
from ...wrappers import ObjectiveReward
from .multiplier import PIDMultiplier

SECONDS = 2.0  # between two reports


class Progress(NamedTuple):
    """How far a training is; `figures` are means over episodes finished since the last report."""

    steps: int
    total: int
    seconds: float
    steps_per_second: float
    figures: dict[str, float]


OnProgress = Callable[[Progress], None]


def as_part(on_progress: OnProgress | None, before: int, total: int) -> OnProgress | None:
    """Reports of a part of a training as such of the whole.

    Args:
        on_progress: called with the progress of the whole; None for a silent training.
        before: steps of the whole before this part.
        total: steps of the whole.
    """
    if on_progress is None:
        return None
    return lambda part: on_progress(part._replace(steps=before + part.steps, total=total))


class ProgressReports(BaseCallback):
    """Calls `on_progress` with the figures of finished episodes every few seconds.

    Args:
        total: decisions of the whole training.
        hold: ticks that a decision lasts.
        on_progress: None for a silent training.
    """

    def __init__(self, total: int, hold: int, on_progress: OnProgress | None):
        super().__init__()
        self.total = total
        self.hold = hold
        self.on_progress = on_progress
        self.multiplier: float | None = None  # of a LearnedMultiplier, to report it
        self._begin = self._last = time.monotonic()
        self._last_steps = 0
        self._sums: dict[str, float] = {}
        self._episodes = 0

    def _on_training_start(self) -> None:
        self._last_steps = self.model.num_timesteps

    def _on_step(self) -> bool:
        if self.on_progress is None:
            return True
        for info in self.locals["infos"]:
            if "episode" in info:
                self._episodes += 1
                for name, value in episode_figures(info).items():
                    self._sums[name] = self._sums.get(name, 0.0) + value
        if time.monotonic() - self._last >= SECONDS:
            self._report(self.on_progress)
        return True

    def _on_training_end(self) -> None:
        if self.on_progress is not None:
            self._report(self.on_progress)

    def _report(self, on_progress: OnProgress) -> None:
        now = time.monotonic()
        steps = self.model.num_timesteps
        figures = {name: value / self._episodes for name, value in self._sums.items()}
        if self.multiplier is not None:
            figures["multiplier"] = self.multiplier
        figures["episodes"] = float(self._episodes)
        rate = self.hold * (steps - self._last_steps) / max(now - self._last, 1e-9)
        on_progress(
            Progress(self.hold * steps, self.hold * self.total, now - self._begin, rate, figures)
        )
        self._last = now
        self._last_steps = steps
        self._sums = {}
        self._episodes = 0


class LearnedMultiplier(BaseCallback):
    """Lets the markets charge the present multiplier, and moves it by the episodes that finish.

    Args:
        multiplier: learned while training.
        reports: which report its value; None for no report.
    """

    def __init__(self, multiplier: PIDMultiplier, reports: ProgressReports | None = None):
        super().__init__()
        self.multiplier = multiplier
        self.reports = reports

    def _on_training_start(self) -> None:
        self._charge()

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                self.multiplier.note(info["cost"])
        if self.multiplier.due:
            self.multiplier.update()
            self._charge()
        return True

    def _charge(self) -> None:
        objective = unwrap_vec_wrapper(self.training_env, ObjectiveReward)
        if objective is None:
            raise ValueError("a multiplier is learned, but no ObjectiveReward charges it")
        objective.multiplier = self.multiplier.value
        if self.reports is not None:
            self.reports.multiplier = self.multiplier.value


def episode_figures(info: dict[str, Any]) -> dict[str, float]:
    """Figures of a finished episode, from the info of its last step; money over budget *
    roi_target.
    """
    plan = info["plan"]
    scale = plan["budget"] * plan["roi_target"]
    spend = max(plan["spend"], 1e-9)
    return {
        "return": info["episode"]["r"],
        "cost": info["cost"],
        "score": plan["score"] / scale,
        "settled_gmv": plan["settled_gmv"] / scale,
        "roi_over_target": min(plan["roi"] / plan["roi_target"], 10.0),
        "violation": plan["violated"],
        "shortfall": plan["shortfall"],
        "budget_use": plan["budget_use"],
        "coupon_use": plan["coupon_cost"] / max(plan["coupon_budget"], 1e-9),
        "profit": plan["profit"] / scale,
        **{f"spend_share_{scene}": plan[f"spend_{scene}"] / spend for scene in SCENES},
    }
