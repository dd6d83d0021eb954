"""What is played: a market, the levers an agent holds, the length of an episode, the merchants."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..scenario import Scenario, load_scenario
from .levers import select_levers
from .tasks import find_task


@dataclass(frozen=True, init=False)
class Setting:
    """Everything that makes a market but the seeds; `Market.of(setting, n)` opens n of them.

    Args:
        scenario: the world.
        levers: what is controlled: a lever set's name or lever names; kept as a tuple of names.
        days: length of an episode.
        split: whose merchants are met: train, validation or test.
    """

    scenario: Scenario
    levers: tuple[str, ...]
    days: int
    split: str = "test"

    def __init__(
        self,
        scenario: Scenario,
        levers: "str | Sequence[str]",
        days: int,
        split: str = "test",
    ):
        values = {
            "scenario": scenario,
            "levers": select_levers(levers),
            "days": days,
            "split": split,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def ticks(self) -> int:
        """Decisions in an episode."""
        return self.days * self.scenario.clock.ticks_per_day

    def of(self, split: str) -> "Setting":
        """The same with the merchants of another split."""
        return replace(self, split=split)


def task_setting(
    task: str,
    scenario: "str | Scenario | dict[str, Any] | None" = None,
    changes: dict[str, Any] | None = None,
    split: str = "test",
) -> Setting:
    """The setting of a task, in its own market or another.

    Args:
        task: id or short name, see `find_task`.
        scenario: what `load_scenario` takes; None for the task's own.
        changes: overrides of scenario fields by dotted path.
        split: train, validation or test.

    Raises:
        ValueError: an unknown task.
        ScenarioError: a scenario that cannot be used.
    """
    found = find_task(task)
    market = load_scenario(found.scenario if scenario is None else scenario, changes)
    return Setting(market, found.levers, found.days, split)
