"""The environment ids: which levers, how long, in which market, and what each asks (world 3)."""

from typing import NamedTuple


class Task(NamedTuple):
    """One registered environment id."""

    id: str
    levers: str
    days: int
    scenario: str
    asks: str


TASKS: tuple[Task, ...] = (
    Task("chengfang/Bidding-v0", "bidding", 1, "default", "pace one budget under one ROI target"),
    Task("chengfang/Allocation-v0", "allocation", 1, "default", "where to spend"),
    Task("chengfang/Coupon-v0", "coupon", 1, "default", "whom to subsidise"),
    Task(
        "chengfang/SuperPlan-v0",
        "super_plan",
        7,
        "default",
        "the whole plan: ads, coupons and the shop's levers",
    ),
    Task(
        "chengfang/WholeShop-v0",
        "whole_shop",
        28,
        "festival_28d",
        "the long game: fatigue, refunds, growth, a festival",
    ),
)


def find_task(name: str) -> Task:
    """A task by id, with or without the namespace and version; raises ValueError naming what is
    allowed.
    """
    for task in TASKS:
        if name.lower() in (
            task.id.lower(),
            short_name(task).lower(),
            task.id.split("/")[1].lower(),
        ):
            return task
    raise ValueError(f"task is {name!r}; allowed are {', '.join(short_name(t) for t in TASKS)}")


def short_name(task: Task) -> str:
    """The id without namespace and version, for example SuperPlan."""
    return task.id.split("/")[1].rsplit("-v", 1)[0]
