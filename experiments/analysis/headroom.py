"""Headroom: what there is to win on a task, from doing nothing to an upper bound."""

from typing import NamedTuple

from .statistics import Interval
from .summary import Summary, best

NAMES = ("nothing", "best constant", "best rule", "best learner", "clairvoyant", "upper bound")


class Level(NamedTuple):
    """One level of the headroom."""

    name: str  # of NAMES
    agent: str
    # IQM of score / score of doing nothing, on the episodes that all of the task's references know
    score: Interval
    fresh: Interval | None = None  # of plans in hindsight: the same, replayed on fresh noise


def headroom(rows: list[Summary], task: str) -> list[Level]:
    """The levels that a task has, in the order of NAMES; a constant plan is the reference with
    `constant` in its name.
    """
    mine = [row for row in rows if row.task == task]
    references = {row.agent: row for row in mine if row.kind == "reference"}
    constant = next((row for name, row in references.items() if "constant" in name.lower()), None)
    found = (
        constant,
        best(mine, "rule"),
        best(mine, "learner"),
        references.get("clairvoyant"),
        references.get("upper_bound"),
    )
    return [
        Level("nothing", "no ads, no coupons", Interval(1.0, 1.0, 1.0)),
        *(
            Level(name, row.agent, row.common, row.fresh)
            for name, row in zip(NAMES[1:], found, strict=True)
            if row
        ),
    ]


def bound_gap(rows: list[Summary], task: str) -> float | None:
    """How much more than the clairvoyant's mean gain over doing nothing the upper bound allows: 0.1
    is 10 %.
    """
    clairvoyant = next(
        (row for row in rows if row.task == task and row.agent == "clairvoyant"), None
    )
    share = clairvoyant.bound.pooled if clairvoyant else None
    return 1 / share - 1 if share and share > 0 else None
