"""The one protocol of everything that acts, and what a policy may know of its task (world 5).

A policy sees observations and the plan's public description; it is never handed the market, so it
cannot reach latent truth.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from ..envs import FEATURE_NAMES, Lever, Setting, lever_table

State = Any


@runtime_checkable
class Policy(Protocol):
    """Anything that acts on a batch: rules, planners, and stable-baselines3 models alike."""

    def predict(
        self,
        observation: np.ndarray,
        state: State = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, State]:
        """Choose actions.

        Args:
            observation: (n, 101) float32, or (101,) for one env.
            state: what this policy returned last time, or None at the very start.
            episode_start: (n,) bool, true where an episode has just begun; None means as `state is
                None` says.
            deterministic: whether a stochastic policy should act by its mean.

        Returns:
            Actions (n, len(levers)) float32 in [-1, 1], and the state to pass next time.
        """
        ...


class PlanSpec(NamedTuple):
    """The public facts of a task: what a merchant's own settings page shows."""

    levers: tuple[str, ...]
    table: tuple[Lever, ...]  # of every lever, in the engine's order
    ticks: int  # per plan; an episode may hold several
    ticks_per_day: int


def plan_spec(setting: Setting) -> PlanSpec:
    """The description of a task that policies are built from."""
    scenario = setting.scenario
    ticks = setting.ticks // scenario.seasons.plans(setting.days)
    return PlanSpec(
        tuple(setting.levers), tuple(lever_table(scenario)), ticks, scenario.clock.ticks_per_day
    )


class Reading:
    """A batch of observations read by feature name."""

    def __init__(self, observation: np.ndarray):
        self.values = np.atleast_2d(observation)

    def __getitem__(self, name: str) -> np.ndarray:
        """One feature, (n,) float64."""
        return self.values[:, _INDEX[name]].astype(float)

    def each(self, names: list[str]) -> np.ndarray:
        """Several features, (n, len(names)) float64."""
        return self.values[:, [_INDEX[name] for name in names]].astype(float)

    def __len__(self) -> int:
        return len(self.values)


_INDEX = {name: i for i, name in enumerate(FEATURE_NAMES)}
