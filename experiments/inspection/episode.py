"""One episode with one policy: a table to read and a picture to look at."""

from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from ...agents import Policy, rollout
from ...envs import Market, Setting
from ...envs.api.rendering import plan_figure, snapshot
from ...envs.files import whole_file
from ...envs.market.dashboard import single
from ...envs.scenario import POOLS, SCENES


def simulate(
    policy: Policy, setting: Setting, seed: int
) -> tuple[Market, list[dict[str, Any]], dict[str, float]]:
    """Play one episode; returns the market at its end, a snapshot per tick, and the dashboard."""
    market = Market.of(setting, 1)
    frames: list[dict[str, Any]] = []
    plan = rollout(
        policy, market, np.array([seed]), on_tick=lambda played: frames.append(snapshot(played, 0))
    )
    return market, frames, single(plan)


def plan_table(plan: dict[str, float]) -> Table:
    """The dashboard: a line per scene, per pool, and for the plan; money in CNY."""
    metrics = {
        "impressions": "shown",
        "clicks": "clicks",
        "orders": "orders",
        "gmv": "GMV",
        "settled_gmv": "settled",
        "coupon_cost": "coupons",
        "spend": "spend",
    }
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for heading in metrics.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for part in (SCENES, POOLS):
        for name in part:
            table.add_row(
                name,
                *(f"{plan[f'{m}_{name}']:,.0f}" if f"{m}_{name}" in plan else "" for m in metrics),
            )
        table.add_section()
    table.add_row("plan", *(f"{plan[m]:,.0f}" for m in metrics), style="bold")
    return table


def totals_table(plan: dict[str, float]) -> Table:
    """What the plan cost and earned, CNY."""
    table = Table(show_header=False, box=box.SIMPLE)
    for name in (
        "budget",
        "spend",
        "coupon_budget",
        "coupon_cost",
        "commission",
        "service_fee",
        "creative_cost",
        "service_cost",
        "overall_cost",
        "gmv",
        "user_paid",
        "refunded_gmv",
        "settled_gmv",
        "profit",
        "score",
    ):
        table.add_row(name, f"{plan[name]:,.2f} CNY")
    for name in ("roi_target", "overall_roi", "net_roi", "pay_roi"):
        table.add_row(name, f"{plan[name]:.3f}")
    return table


def save_picture(frames: list[dict[str, Any]], market: Market, path: Path) -> None:
    """The four-panel picture of the episode as PNG."""
    with whole_file(path) as draft:
        plan_figure(frames, market).savefig(draft, format="png")
