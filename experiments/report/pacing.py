"""How plans pace, allocate and subsidise: the same held-out merchants under each policy."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agents import Policy
from ...envs import FEATURE_NAMES, Market, Setting
from ...envs.api.rendering import COLOURS
from ...envs.interface.units import FEN_PER_CNY
from ...envs.market import layout
from ...envs.scenario import POOLS, SCENES
from ..runs.evaluate import evaluate
from .plots import new_figure, save_figure

MOST_ROI = 9.0  # of the target; before the first ad is paid for it has no limit


class Watched(NamedTuple):
    """Series over one batch of test episodes: medians and quartiles are drawn from them."""

    time: np.ndarray  # (ticks + 1,) days
    spent: np.ndarray  # (ticks + 1, n) share of budget
    roi: np.ndarray  # (ticks + 1, n) ROI / target, what is on its way included
    scene_spend: np.ndarray  # (ticks + 1, 4) CNY, all episodes
    pool_gmv: np.ndarray  # (ticks + 1, 3)
    depth: np.ndarray  # (ticks + 1, 3) mean coupon depth by pool
    traffic: np.ndarray  # (ticks + 1,) mean share of expected traffic gone by


def watch(policy: Policy, setting: Setting, episodes: int, seed: int) -> Watched:
    """Play held-out episodes and keep the series that the pacing figure needs."""
    frames: list[dict[str, Any]] = []
    traffic_left = FEATURE_NAMES.index("traffic_left")
    depth = slice(layout.LEVER_COUPON, layout.LEVER_COUPON + len(POOLS))

    def note(market: Market) -> None:
        plan = market.dashboard()
        state = market.states
        frames.append(
            {
                "time": state["tick"][0] / market.ticks * market.days,
                "spent": plan["spend"] / plan["budget"],
                "roi": np.minimum(plan["roi"] / plan["roi_target"], MOST_ROI),
                "scene_spend": state["scene_spend"].sum(0) / FEN_PER_CNY,
                "pool_gmv": state["gmv"].reshape(-1, len(POOLS), len(SCENES)).sum((0, 2))
                / FEN_PER_CNY,
                "depth": state["control"][:, depth].mean(0),
                "traffic": float(np.mean(1 - market.observations[:, traffic_left])),
            }
        )

    evaluate(policy, setting, episodes, seed, nothing={}, watch=note)
    return Watched(*(np.array([frame[name] for frame in frames]) for name in Watched._fields))


def pacing_figure(plans: dict[str, Watched], path: Path) -> None:
    """One row per policy: pacing, ROI, spend by scene, GMV by pool with coupon depth, over the same
    merchants.
    """
    figure = new_figure(15, 3.4 * len(plans))
    axes = figure.subplots(len(plans), 4, squeeze=False)
    for row, (name, w) in zip(axes, plans.items(), strict=True):
        _band(row[0], w.time, w.spent, "#2b6cb0")
        row[0].plot(w.time, w.traffic, "--", color="grey", lw=1, label="traffic gone by")
        row[0].set_ylim(0, 1.02)
        row[0].set_title(f"{name}: budget spent", fontsize=10)
        row[0].legend(fontsize=8, loc="upper left")
        _band(row[1], w.time[1:], w.roi[1:], "#2f855a")
        row[1].axhline(1, color="#c53030", ls="--", lw=1)
        row[1].set_ylim(0, 4)
        row[1].set_title("ROI / target", fontsize=10)
        _area(row[2], w.time, w.scene_spend, SCENES, "ad spend by scene, share")
        _area(row[3], w.time, w.pool_gmv, POOLS, "GMV by pool, share; coupon depth dotted")
        depth = row[3].twinx()
        for p, pool in enumerate(POOLS):
            depth.plot(w.time[1:], 100 * w.depth[1:, p], ":", color=COLOURS[pool], lw=1.6)
        depth.set_ylim(0, 26)
        depth.set_ylabel("%", fontsize=8)
        for axis in row:
            axis.set_xlabel("day", fontsize=8)
            axis.set_xlim(0, w.time[-1])
    figure.suptitle(
        "The same test merchants under each policy: median and middle half (bands)", fontsize=11
    )
    save_figure(figure, path)


def _band(axis: Any, time: np.ndarray, values: np.ndarray, colour: str) -> None:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
    axis.fill_between(time, low, high, color=colour, alpha=0.2)
    axis.plot(time, middle, color=colour, label="median")
    axis.grid(alpha=0.25)


def _area(
    axis: Any, time: np.ndarray, totals: np.ndarray, names: tuple[str, ...], title: str
) -> None:
    """Shares of what each day-part added, stacked."""
    added = np.diff(totals, axis=0)
    share = added / np.maximum(added.sum(1, keepdims=True), 1e-9)
    axis.stackplot(time[1:], share.T, labels=names, colors=[COLOURS[n] for n in names], alpha=0.85)
    axis.set_ylim(0, 1)
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=7, loc="lower left")
