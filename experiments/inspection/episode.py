"""One episode with one policy: a table to read and a picture to look at."""

from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from ...agents import Policy, make_rule, plan_spec
from ...agents.learners import ArtefactError, load_policy
from ...agents.rules.tuned import tuned_parameters
from ...envs import Market, Setting
from ...envs.api.rendering import plan_figure, snapshot
from ...envs.files import whole_file
from ...envs.market.dashboard import single
from ...envs.scenario import POOLS, SCENES


def find_policy(
    name: str, setting: Setting, task: str | None = None, caution: float | None = None
) -> Policy:
    """A rule by name, or a saved policy by its folder.

    Args:
        name: a rule's name or a folder.
        setting: what is played.
        task: take the values a rule was tuned to on this task; None for its defaults.
        caution: margin on the ROI target, for saved policies trained to take one.

    Raises:
        ArtefactError: if the folder is no saved policy, or was trained for other levers.
        ValueError: if there is neither a rule nor a folder of that name.
    """
    if Path(name).exists():
        policy = load_policy(name, caution)
        if policy.levers != setting.levers:
            raise ArtefactError(
                f"{name} acts on the levers {', '.join(policy.levers)}; this task has {', '.join(setting.levers)}"
            )
        return policy
    if caution is not None:
        raise ValueError(
            f"--caution is {caution:g}; only saved policies trained to take a margin have one, {name} is a rule"
        )
    try:
        values = tuned_parameters(name, task) if task else {}
        return make_rule(name, plan_spec(setting), **values)
    except ValueError as error:
        raise ValueError(f"{error}; or the folder of a saved policy") from None


def simulate(
    policy: Policy, setting: Setting, seed: int
) -> tuple[Market, list[dict[str, Any]], dict[str, float]]:
    """Play one episode; returns the market at its end, a snapshot per tick, and the dashboard."""
    market = Market.of(setting, 1)
    observation = market.reset(seeds=np.array([seed]))
    frames = [snapshot(market, 0)]
    state = None
    start = np.ones(1, bool)
    for _ in range(market.ticks):
        action, state = policy.predict(observation.copy(), state, start)
        observation = market.step(action)
        start = np.zeros(1, bool)
        frames.append(snapshot(market, 0))
    return (
        market,
        frames,
        single(market.dashboard()),
    )


def plan_table(plan: dict[str, float], title: str) -> Table:
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
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
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
