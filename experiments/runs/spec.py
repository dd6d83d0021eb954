"""What a run is: one agent on one task with one training seed, as plain data and complete.

A run's figures are a function of its `RunSpec` alone, so that it does not matter where or when it
is executed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...envs import Setting, load_scenario
from ..analysis.results import Kind

FRESH = "fresh_score"  # of a plan in hindsight: its mean score on noise that it was not fitted to
FIGURES = (  # what is kept of every held-out episode, named as in the dashboard
    "score",
    "settled_gmv",
    "gmv",
    "spend",
    "budget",
    "coupon_cost",
    "coupon_budget",
    "overall_cost",
    "roi",
    "roi_target",
    "profit",
    "platform_take",
    "violated",
    "shortfall",
    "budget_use",
)


@dataclass(frozen=True)
class RunSpec:
    """A run, complete: the scenario and every setting are spelled out."""

    task: str  # short name
    agent: str  # unique within the task
    kind: Kind
    seed: int  # training seed; 0 for rules and references
    scenario: dict[str, Any]  # every number
    levers: tuple[str, ...]
    days: int
    # rule: name and parameters; learner, reference: its settings; own: what is called, and steps
    options: dict[str, Any]
    test_seed: int  # first stream of the held-out episodes
    episodes: int
    part: int | None = None  # of an agent whose episodes are split among several runs
    split: str = "test"  # whose merchants it is judged on
    fingerprint: str = ""  # of all that decides its figures; `fingerprint.identified` sets it
    training: str = ""  # of all that decides a trained policy; empty for what is not trained

    @property
    def name(self) -> str:
        """Where its files are: task/agent-seedK, or task/agent-partK."""
        return f"{self.task}/{self.agent}-" + (
            f"seed{self.seed}" if self.part is None else f"part{self.part}"
        )

    @property
    def seeds(self) -> np.ndarray:
        """(episodes,) streams of its held-out episodes."""
        return np.arange(self.test_seed, self.test_seed + self.episodes)

    @property
    def is_trained(self) -> bool:
        """Whether it trains a policy before it plays."""
        return self.is_learned or "train" in self.options

    @property
    def is_learned(self) -> bool:
        """Whether it trains by settings of ours: a learner, or the shift of a rule."""
        return self.kind in ("learner", "shift")

    @property
    def training_steps(self) -> int:
        """Environment steps of its training, 0 without one."""
        return int(self.options.get("steps") or 0) if self.is_trained else 0

    @property
    def steps(self) -> int:
        """Environment steps that it plays at least: its episodes, and its training."""
        ticks = self.days * int(self.scenario["clock"]["ticks_per_day"])
        return self.episodes * ticks + self.training_steps

    def setting(self, split: "str | None" = None) -> Setting:
        """What is played, with the merchants that it is judged on unless others are named."""
        return Setting(load_scenario(self.scenario), self.levers, self.days, split or self.split)
