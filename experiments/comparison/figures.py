"""Figures of a comparison: learning curves, and how two plans pace, allocate and subsidise."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agents import Policy
from ...envs import Market, Setting
from ...envs.api.rendering import COLOURS
from ...envs.files import whole_file
from ...envs.scenario import POOLS, SCENES
from ..runs.evaluate import Episodes, evaluate

PALETTE = ("#2b6cb0", "#dd6b20", "#2f855a", "#805ad5", "#c53030", "#319795", "#b7791f")


class Curve(NamedTuple):
    """One learner's curve: environment steps and figures of the training episodes."""

    name: str
    steps: np.ndarray
    figures: dict[str, np.ndarray]


def make_curve(name: str, lines: list[dict[str, float]]) -> Curve:
    """A curve from a run's log; reports in which no episode finished are left out."""
    kept = [line for line in lines if line.get("episodes", 0) > 0]
    steps = np.array([line["step"] for line in kept], float)
    names = ("score", "violation", "budget_use", "roi_over_target")
    return Curve(
        name, steps, {n: np.array([line.get(n, np.nan) for line in kept], float) for n in names}
    )


def learning_figure(curves: list[Curve], path: Path) -> None:
    """Score, violation and budget use over environment steps, on training merchants."""
    figure = _figure(11, 3.6)
    axes = figure.subplots(1, 3)
    titles = {
        "score": "score / (budget * target)",
        "violation": "share of episodes under 0.98 target",
        "budget_use": "budget use",
    }
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        for i, curve in enumerate(curves):
            axis.plot(
                np.maximum(curve.steps, 1),
                _smooth(curve.figures[name]),
                color=PALETTE[i % len(PALETTE)],
                label=curve.name,
            )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("environment steps")
        axis.set_xscale("log")
        axis.grid(alpha=0.25)
    if curves:
        axes[0].legend(fontsize=8)
    figure.suptitle("Learning curves on training merchants, exploration included", fontsize=11)
    _save(figure, path)


def _smooth(values: np.ndarray, window: int = 7) -> np.ndarray:
    if len(values) < window:
        return values
    padded = np.concatenate(
        [np.repeat(values[:1], window // 2), values, np.repeat(values[-1:], window // 2)]
    )
    return np.convolve(padded, np.ones(window) / window, "valid")


class Watched(NamedTuple):
    """Series over one batch of test episodes: medians and quartiles are drawn from them."""

    time: np.ndarray  # (ticks + 1,) days
    spent: np.ndarray  # (ticks + 1, n) share of budget
    roi: np.ndarray  # (ticks + 1, n) ROI / target, what is on its way included
    scene_spend: np.ndarray  # (ticks + 1, 4) CNY, all episodes
    pool_gmv: np.ndarray  # (ticks + 1, 3)
    depth: np.ndarray  # (ticks + 1, 3) mean coupon depth by pool
    traffic: np.ndarray  # (ticks + 1,) mean share of expected traffic gone by


def watch(
    policy: Policy, setting: Setting, episodes: int, seed: int, nothing: dict[str, np.ndarray]
) -> tuple[Watched, Episodes]:
    """Play test episodes and keep the series that the pacing figure needs."""
    frames: list[dict[str, Any]] = []

    def note(market: Market) -> None:
        from ...envs.market import layout as rows

        plan = market.dashboard()
        state = market.states
        frames.append(
            {
                "time": state["tick"][0] / market.ticks * market.days,
                "spent": plan["spend"] / plan["budget"],
                "roi": np.minimum(plan["roi"] / plan["roi_target"], 9.0),
                "scene": state["scene_spend"].sum(0) / 100,
                "pool": state["gmv"].reshape(-1, len(POOLS), len(SCENES)).sum((0, 2)) / 100,
                "depth": state["control"][:, rows.LEVER_COUPON : rows.LEVER_COUPON + 3].mean(0),
                "traffic": float(np.mean(1 - market.observations[:, 7])),
            }
        )

    result = evaluate(policy, setting, episodes, seed, nothing, watch=note)
    names = ("time", "spent", "roi", "scene", "pool", "depth", "traffic")
    return Watched(*(np.array([frame[name] for frame in frames]) for name in names)), result


def pacing_figure(plans: dict[str, Watched], path: Path) -> None:
    """One row per policy: pacing, ROI, spend by scene, GMV by pool with coupon depth, over the same
    merchants.
    """
    figure = _figure(15, 3.4 * len(plans))
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
    _save(figure, path)


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


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _save(figure: Any, path: Path) -> None:
    with whole_file(path) as draft:
        figure.savefig(draft, format="png")
