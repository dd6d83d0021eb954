"""Pictures of a plan: pacing, ROI, allocation and coupons, drawn with matplotlib off screen."""

from typing import Any

import numpy as np

from ..interface.units import FEN_PER_CNY
from ..market import layout as rows
from ..market.engine import Market
from ..scenario import POOLS, SCENES

COLOURS = {
    "feed": "#2b6cb0",
    "live": "#dd6b20",
    "mall": "#2f855a",
    "search": "#805ad5",
    "natural": "#48bb78",
    "transaction": "#4299e1",
    "ad": "#ed8936",
}


def snapshot(market: Market, i: int) -> dict[str, Any]:
    """What the picture needs of market i after a tick: totals in CNY, controls in their units."""
    state = market.states[i]
    plan = market.dashboard(slice(i, i + 1))
    return {
        "time": state["tick"] / market.ticks * market.days,
        "spend": plan["spend"][0],
        "coupon": plan["coupon_cost"][0],
        "roi": plan["roi"][0],
        "scene_spend": state["scene_spend"] / FEN_PER_CNY,
        "pool_gmv": state["gmv"].reshape(3, 4).sum(1) / FEN_PER_CNY,
        "depth": state["control"][rows.LEVER_COUPON : rows.LEVER_COUPON + 3].copy(),
    }


def draw_dashboard(frames: list[dict[str, Any]], market: Market) -> np.ndarray:
    """The dashboard of market 0 as an RGB array, (600, 1000, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = plan_figure(frames, market)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def plan_figure(frames: list[dict[str, Any]], market: Market) -> Any:
    """A matplotlib Figure of four panels: pacing, ROI against target, spend by scene, GMV by pool
    with coupon depth.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6), dpi=100, layout="constrained")
    axes = figure.subplots(2, 2)
    merchant = market.merchants[0]
    time = np.array([f["time"] for f in frames])
    _pacing(axes[0, 0], time, frames, market, float(merchant["budget"]) / FEN_PER_CNY)
    _roi(axes[0, 1], time, frames, float(merchant["roi_target"]))
    _stack(
        axes[1, 0],
        time,
        np.array([f["scene_spend"] for f in frames]),
        SCENES,
        "ad spend by scene, CNY",
    )
    _stack(axes[1, 1], time, np.array([f["pool_gmv"] for f in frames]), POOLS, "GMV by pool, CNY")
    _depths(axes[1, 1].twinx(), time, frames)
    for axis in axes.flat:
        axis.set_xlim(0, market.days)
        axis.set_xlabel("day")
    figure.suptitle(
        f"{market.scenario.name}: budget {float(merchant['budget']) / 100:,.0f} CNY, "
        f"ROI target {float(merchant['roi_target']):.2f}",
        fontsize=11,
    )
    return figure


def _pacing(
    axis: Any, time: np.ndarray, frames: list[dict[str, Any]], market: Market, budget: float
) -> None:
    share = np.array([f["spend"] for f in frames]) / budget
    state = market.states[0]
    plan = 1 - market.world.remaining[state["calendar"], state["weekday"]]
    axis.plot(
        np.arange(len(plan)) / (len(plan) - 1) * market.days,
        plan,
        "--",
        color="grey",
        label="even with traffic",
    )
    axis.plot(time, share, color="#2b6cb0", label="budget spent")
    axis.set_ylim(0, 1.05)
    axis.set_title("pacing", fontsize=10)
    axis.legend(fontsize=8, loc="upper left")


def _roi(axis: Any, time: np.ndarray, frames: list[dict[str, Any]], target: float) -> None:
    roi = np.array([f["roi"] for f in frames])
    shown = np.isfinite(roi)
    axis.plot(time[shown], roi[shown], color="#2f855a", label="ROI so far, with what is on its way")
    axis.axhline(target, color="#c53030", ls="--", label="target")
    axis.set_ylim(0, max(2.5 * target, 0.1))
    axis.set_title("comprehensive ROI", fontsize=10)
    axis.legend(fontsize=8, loc="lower right")


def _stack(
    axis: Any, time: np.ndarray, values: np.ndarray, names: tuple[str, ...], title: str
) -> None:
    axis.stackplot(time, values.T, labels=names, colors=[COLOURS[n] for n in names], alpha=0.85)
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8, loc="upper left")


def _depths(axis: Any, time: np.ndarray, frames: list[dict[str, Any]]) -> None:
    for p, pool in enumerate(POOLS):
        axis.plot(
            time[1:], [100 * f["depth"][p] for f in frames[1:]], color=COLOURS[pool], lw=1, ls=":"
        )
    axis.set_ylabel("coupon depth, % (dotted)", fontsize=8)
    axis.set_ylim(bottom=0)
