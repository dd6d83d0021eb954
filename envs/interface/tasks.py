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
    Task(
        "chengfang/Bidding-v1",
        "bidding",
        1,
        "unlike_merchants",
        "find what a merchant's ads are worth under a predictor that lags",
    ),
    Task(
        "chengfang/Coupon-v1",
        "coupon",
        3,
        "unlike_merchants",
        "find who responds to coupons, while that changes",
    ),
    Task(
        "chengfang/SuperPlan-v1",
        "super_plan_pools",
        7,
        "unlike_merchants",
        "the whole plan, its free traffic included",
    ),
    Task(
        "chengfang/WholeShop-v1",
        "whole_shop_pools",
        28,
        "unlike_festival",
        "the long game with unlike merchants: fatigue, refunds, growth, a festival",
    ),
    Task(
        "chengfang/Allocation-v1",
        "division",
        1,
        "platform_bidder",
        "divide the money above the platform's own bidder",
    ),
    Task(
        "chengfang/Seasons-v1",
        "super_plan_pools",
        42,
        "seasons",
        "six weeks of one merchant: what a plan learns and whom it wins pay in the next",
    ),
    Task(
        "chengfang/Merchant-v1",
        "merchant",
        28,
        "merchant_seat",
        "what a merchant sets: a budget and a target for the platform's bidder, and the shop",
    ),
)


def newest_tasks() -> tuple[Task, ...]:
    """The newest version of every task: those that are registered with Gymnasium."""
    newest = {task.id.rsplit("-v", 1)[0]: task for task in TASKS}
    return tuple(newest.values())


def find_task(name: str) -> Task:
    """A task by id or short name; raises ValueError naming what is allowed."""
    for task in TASKS:
        if name.lower() in (
            task.id.lower(),
            short_name(task).lower(),
            task.id.split("/")[1].lower(),
        ):
            return task
    raise ValueError(f"task is {name!r}; allowed are {', '.join(short_name(t) for t in TASKS)}")


def short_name(task: Task) -> str:
    """The id without namespace, and without version where that is 0: SuperPlan, SuperPlan-v1."""
    return task.id.split("/")[1].removesuffix("-v0")
