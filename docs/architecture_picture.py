"""Draws docs/architecture.svg: the way of the data from a scenario to an action and back.

Run it from the repository root: `python docs/architecture_picture.py`.
"""

from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK = "#1f2933"
MUTED = "#52606d"
FLOORS = (
    ("experiments/", "what is run", 6.05, 2.0, "#fdf3e1", "#d9a441"),
    ("agents/", "who acts", 4.05, 1.7, "#e6f4ea", "#4c9f70"),
    ("envs/", "the world", 0.15, 3.6, "#e7f0fa", "#4a82b8"),
)
Spot = tuple[float, float]


def floor(
    ax: Axes, name: str, about: str, bottom: float, height: float, fill: str, edge: str
) -> None:
    """A band across the picture: one of the three floors."""
    band = FancyBboxPatch(
        (0.1, bottom), 13.8, height, boxstyle="round,pad=0,rounding_size=0.15", fc=fill, ec=edge
    )
    ax.add_patch(band)
    ax.text(0.3, bottom + height - 0.32, name, fontsize=14, weight="bold", color=edge, va="center")
    ax.text(2.62, bottom + height - 0.32, about, fontsize=11, color=MUTED, va="center")


def box(ax: Axes, corner: Spot, size: Spot, title: str, text: str = "") -> None:
    """A white box with a title and at most two lines."""
    x, y = corner
    width, height = size
    shape = FancyBboxPatch(
        corner, width, height, boxstyle="round,pad=0,rounding_size=0.1", fc="white", ec=INK, lw=1.2
    )
    ax.add_patch(shape)
    middle = x + width / 2
    ax.text(
        middle,
        y + height - 0.27,
        title,
        fontsize=12,
        weight="bold",
        color=INK,
        ha="center",
        va="center",
    )
    ax.text(
        middle,
        y + (height - 0.45) / 2,
        text,
        fontsize=10,
        color=MUTED,
        ha="center",
        va="center",
        linespacing=1.35,
    )


def arrow(
    ax: Axes, start: Spot, end: Spot, label: str = "", at: Spot = (0, 0), side: str = "left"
) -> None:
    """An arrow with a label beside it."""
    ax.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=18, lw=2, color=INK, shrinkA=0, shrinkB=0
        )
    )
    ax.text(*at, label, fontsize=10.5, color=INK, ha=side, va="center", style="italic")


def draw() -> plt.Figure:
    """The whole picture."""
    figure, ax = plt.subplots(figsize=(9.8, 5.7))
    ax.set(xlim=(0, 14), ylim=(0, 8.2))
    ax.axis("off")
    for name, about, bottom, height, fill, edge in FLOORS:
        floor(ax, name, about, bottom, height, fill, edge)

    box(ax, (0.4, 0.5), (2.8, 1.4), "scenario", "every number with\nunit, range and source")
    box(ax, (4.4, 0.5), (5.2, 1.4), "market", "one tick: demand, auction, orders,\nledger, shop")
    box(ax, (10.9, 0.5), (2.7, 1.4), "dashboard", "the plan's results,\nin CNY to the fen")
    box(ax, (4.4, 2.55), (2.2, 0.8), "levers", "bids, coupons, …")
    box(ax, (7.4, 2.55), (2.2, 0.8), "observation", "101 reported figures")
    box(ax, (4.4, 4.3), (5.2, 1.2), "policy", "rules, learners, planners: one predict()")
    box(ax, (10.9, 6.25), (2.7, 1.2), "runs", "test merchants,\npool or Ray")
    box(ax, (7.4, 6.25), (2.2, 1.2), "analysis", "paired differences,\nintervals")
    box(ax, (4.4, 6.25), (2.2, 1.2), "report", "tables, figures,\none page")
    box(ax, (0.4, 6.25), (2.8, 1.2), "results/", "committed evidence")

    arrow(ax, (3.2, 1.2), (4.4, 1.2))
    arrow(ax, (9.6, 1.2), (10.9, 1.2))
    arrow(ax, (5.5, 4.3), (5.5, 3.35), "action in [−1, 1]", (5.35, 3.9), "right")
    arrow(ax, (5.5, 2.55), (5.5, 1.9))
    arrow(ax, (8.5, 1.9), (8.5, 2.55), "latent truth stays here", (8.7, 2.2))
    arrow(ax, (8.5, 3.35), (8.5, 4.3), "learners: also reward and cost", (8.7, 3.9))
    arrow(ax, (12.25, 1.9), (12.25, 6.25), "each episode", (12.4, 4.9))
    arrow(ax, (10.9, 6.85), (9.6, 6.85))
    arrow(ax, (7.4, 6.85), (6.6, 6.85))
    arrow(ax, (4.4, 6.85), (3.2, 6.85))
    figure.subplots_adjust(0, 0, 1, 1)
    return figure


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "architecture"  # the same file at every run
    draw().savefig(Path(__file__).with_name("architecture.svg"), metadata={"Date": None})
