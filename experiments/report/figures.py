"""Figures of the benchmark, per task: scores, profiles, chances, risk; and the headroom of all
tasks.
"""

from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.curves import PROFILE, Curves, family, frontier, playing
from ..analysis.headroom import headroom
from ..analysis.statistics import Interval, Profile
from ..analysis.summary import Summary, best, ranked
from ..analysis.verdicts import VIOLATION_BAR
from .plots import new_figure, save_figure

Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels
COLOURS = {
    "learner": "#c2410c",
    "rule": "#2563a8",
    "shift": "#7c3aed",
    "reference": "#6b7280",
    "own": "#0f766e",
}
LEVELS = {
    "nothing": "#9ca3af",
    "best constant": "#a78bfa",
    "best rule": "#2563a8",
    "best learner": "#c2410c",
    "clairvoyant": "#15803d",
    "upper bound": "#374151",
}
WARM = (  # lines of learners
    "#c2410c",
    "#e11d48",
    "#d99a06",
    "#8b5cf6",
    "#be4bdb",
    "#a8623a",
    "#ef6f9f",
    "#7f8c1f",
)
GREEN = ("#0f766e", "#65a30d", "#14b8a6", "#166534")  # lines of the user's own agents
LINES = ("#2563a8", "#15803d", "#0f172a", "#0891b2")  # of rules, with their dashes
DASHES = ((0, (5, 2)), (0, (2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)))
DPI = 120
KEY = "learners orange, rules blue"  # which colour is whose
BESIDE = 12  # pixels from a point within which a name needs no hair
ABOVE = 15  # pixels that a name above its point, where the line may lie between, counts as farther
SHOWN_RULES = 4  # of the best, in a profile that is not interactive


def write_figures(folder: Path, rows: list[Summary], curves: dict[str, Curves]) -> None:
    """Write <task>-scores, -profile, -improvement and -frontier.png of every task, and
    headroom.png.

    Args:
        folder: where; it is made if it is not there.
        rows: summaries of all agents.
        curves: per task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for task, (found, chances) in curves.items():
        mine = [row for row in ranked(rows) if row.task == task]
        score_figure(mine, folder / f"{task}-scores.png")
        if playing(mine):
            frontier_figure(mine, folder / f"{task}-frontier.png")
        if found:
            profile_figure(found, mine, folder / f"{task}-profile.png")
        if chances:
            improvement_figure(chances, mine, folder / f"{task}-improvement.png")
    if rows:
        headroom_figure(rows, folder / "headroom.png")


def score_figure(rows: list[Summary], path: Path) -> None:
    """Score of every agent with its interval, best on top; references as lines."""
    agents = [row for row in rows if row.kind != "reference"][::-1]
    figure, axis = _figure(7.4, 1.3 + 0.27 * max(3, len(agents)))
    for y, row in enumerate(agents):
        axis.plot(
            [row.score.low, row.score.high],
            [y, y],
            color=COLOURS[row.kind],
            lw=5,
            alpha=0.3,
            solid_capstyle="butt",
        )
        axis.plot(row.score.value, y, "o", color=COLOURS[row.kind], ms=5)
    axis.axvline(1, color=LEVELS["nothing"], lw=1.2, ls=":", label="doing nothing")
    for name, style in (("clairvoyant", "--"), ("upper_bound", "-")):
        for row in (row for row in rows if row.agent == name):
            words = name.replace("_", " ")
            axis.axvline(
                row.score.value,
                color=LEVELS[words],
                lw=1.4,
                ls=style,
                label=f"{words} {row.score.value:.2f}",
            )
    axis.set_yticks(range(len(agents)), [row.agent for row in agents])
    for label, row in zip(axis.get_yticklabels(), agents, strict=True):
        label.set_color(COLOURS[row.kind])
    axis.set_ylim(-0.7, len(agents) - 0.3)
    axis.set_xlabel("score as a multiple of doing nothing: IQM and 95 % interval")
    _title(figure, f"{rows[0].task}: scores", _key(rows))
    _legend_below(figure, axis)
    save_figure(figure, path)


def profile_figure(found: dict[str, Profile], rows: list[Summary], path: Path) -> None:
    """Learners, own agents and the best rules: the share of episodes that end above a share of the
    clairvoyant's gain.
    """
    figure, axis = _figure(7.4, 4.6)
    kinds = {row.agent: row.kind for row in rows}
    learners = [agent for agent in found if kinds[agent] == "learner"]
    own = [agent for agent in found if kinds[agent] == "own"]
    rules = [agent for agent in found if kinds[agent] == "rule"][:SHOWN_RULES]
    who = "learners and your own agents" if own else "learners"
    lines = [(agent, WARM[i % len(WARM)], "-") for i, agent in enumerate(learners)]
    lines += [(agent, GREEN[i % len(GREEN)], "-") for i, agent in enumerate(own)]
    lines += [(agent, LINES[i], DASHES[i]) for i, agent in enumerate(rules)]
    for agent, colour, dash in lines:
        one = found[agent]
        width = 1.4 if agent in rules else 1.9
        axis.plot(one.thresholds, one.value, color=colour, lw=width, label=agent, ls=dash)
        axis.fill_between(one.thresholds, one.low, one.high, color=colour, alpha=0.13, lw=0)
    axis.set_xlim(PROFILE[0], PROFILE[-1])
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("share of the clairvoyant's gain above doing nothing")
    axis.set_ylabel("share of episodes above it")
    _title(
        figure,
        f"{rows[0].task}: performance profiles",
        f"{who}, and the {len(rules)} best rules dashed; 95 % bands",
    )
    _legend_below(figure, axis)
    save_figure(figure, path)


def improvement_figure(
    chances: list[tuple[str, Interval]], rows: list[Summary], path: Path
) -> None:
    """Chance that the best learner ends above each rule on the same episode."""
    figure, axis = _figure(7.4, 1.3 + 0.27 * max(3, len(chances)))
    for y, (_, chance) in enumerate(chances[::-1]):
        axis.plot(
            [chance.low, chance.high],
            [y, y],
            color=COLOURS["learner"],
            lw=5,
            alpha=0.3,
            solid_capstyle="butt",
        )
        axis.plot(chance.value, y, "o", color=COLOURS["learner"], ms=5)
    axis.axvline(0.5, color="#6b7280", lw=1.2, ls="--")
    axis.set_yticks(range(len(chances)), [rule for rule, _ in chances[::-1]])
    axis.set_ylim(-0.7, len(chances) - 0.3)
    axis.set_xlim(-0.02, 1.02)
    learner = best(rows, "learner")
    axis.set_xlabel(
        f"P({learner.agent if learner else 'learner'} scores more than the rule "
        "on the same episode), 95 % interval"
    )
    _title(
        figure,
        f"{rows[0].task}: probability of improvement",
        "the best learner over each rule; even odds dashed",
    )
    save_figure(figure, path)


def frontier_figure(rows: list[Summary], path: Path) -> None:
    """Score against violation rate; nobody beats those on the line in both."""
    figure, axis = _figure(7.4, 4.8)
    agents = playing(rows)
    line = frontier(rows)
    rates = [100 * (row.violation_rate or 0) for row in agents]
    axis.axvspan(-2, 100 * VIOLATION_BAR, color="#15803d", alpha=0.07, lw=0)
    axis.step(
        [100 * (row.violation_rate or 0) for row in line] + [max(rates) * 1.05 + 1],
        [row.score.value for row in line] + [line[-1].score.value],
        where="post",
        color="#374151",
        lw=1.1,
        zorder=1,
    )
    for name in dict.fromkeys(family(row.agent) for row in agents):
        relatives = sorted(
            (row for row in agents if family(row.agent) == name),
            key=lambda row: row.violation_rate or 0,
        )
        if len(relatives) > 1:
            axis.plot(
                [100 * (row.violation_rate or 0) for row in relatives],
                [row.score.value for row in relatives],
                color=COLOURS[relatives[0].kind],
                lw=1.2,
                ls=":",
            )
    for row, rate in zip(agents, rates, strict=True):
        axis.errorbar(
            rate,
            row.score.value,
            yerr=[[row.score.value - row.score.low], [row.score.high - row.score.value]],
            fmt="o",
            color=COLOURS[row.kind],
            ms=5,
            lw=0.9,
            elinewidth=0.9,
            alpha=0.9,
            zorder=2,
        )
    _risk_axis(axis, max(rates))
    _title(
        figure,
        f"{rows[0].task}: score against risk",
        f"{_key(rows)}; nobody is above the line for less risk",
    )
    _name_points(
        axis,
        [(rate, row.score.value, row.agent) for row, rate in zip(agents, rates, strict=True)],
        [(100 * (row.violation_rate or 0), row.score.value) for row in line],
    )
    save_figure(figure, path)


def _risk_axis(axis: Any, highest: float) -> None:
    """Scales for score against violation rate; low rates get most of the room."""
    axis.set_xlabel(
        "episodes with ROI under 0.98 of the target, %  "
        f"(green: at most {100 * VIOLATION_BAR:.0f} %)"
    )
    axis.set_ylabel("score, multiple of doing nothing")
    axis.set_xscale("symlog", linthresh=10, linscale=1.2)
    axis.set_xlim(-0.5, max(12, 1.12 * highest))
    ticks = [tick for tick in (0, 1, 2, 5, 10, 20, 40, 60, 100) if tick <= max(12, 1.12 * highest)]
    axis.set_xticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()


def headroom_figure(rows: list[Summary], path: Path) -> None:
    """Every task's levels from doing nothing to the upper bound."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    figure, axes = _figure(8.2, 0.7 + 1.75 * len(tasks), len(tasks))
    for axis, task in zip(axes, tasks, strict=True):
        levels = headroom(rows, task)[::-1]
        highest = max(level.score.high for level in levels)
        for y, level in enumerate(levels):
            axis.barh(y, level.score.value, color=LEVELS[level.name], height=0.72)
            for colour, width in (("white", 2.6), ("#111827", 1)):
                axis.plot([level.score.low, level.score.high], [y, y], color=colour, lw=width)
            said = f"{level.score.value:.2f}"
            if level.fresh:
                axis.plot(level.fresh.value, y, "D", color="white", markeredgecolor="#111827", ms=6)
                said += f", on fresh noise {level.fresh.value:.2f} (◇)"
            axis.text(
                level.score.high + 0.012 * highest,
                y,
                said,
                va="center",
                fontsize=8,
            )
        names = [
            f"{level.name}: {level.agent}"
            if level.name in ("best rule", "best learner")
            else level.name
            for level in levels
        ]
        axis.set_yticks(range(len(levels)), names, fontsize=8)
        replayed = any(level.fresh for level in levels)
        axis.set_xlim(0, (1.42 if replayed else 1.12) * highest)
        axis.set_title(task, fontsize=10, loc="left", fontweight="bold")
        axis.grid(axis="y", visible=False)
    axes[-1].set_xlabel("score as a multiple of doing nothing: IQM and 95 % interval")
    save_figure(figure, path)


def _key(rows: list[Summary]) -> str:
    kinds = {row.kind for row in rows}
    shifts = ", shifts of a rule violet" if "shift" in kinds else ""
    return KEY + shifts + (", your own agents green" if "own" in kinds else "")


def _name_points(
    axis: Any, points: list[tuple[float, float, str]], line: list[tuple[float, float]]
) -> None:
    """Write each point's name as near to it as no name, point or step of the line is; a hair leads
    to names that are not beside their points. The highest scores choose first.
    """
    from matplotlib.patheffects import withStroke

    axis.figure.draw_without_rendering()  # the layout moves the axes: pixels are known after it
    axis.autoscale(False)
    taken = [axis.transData.transform((x, y)) for x, y, _ in points]
    boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in taken]
    boxes += _steps(axis, line)
    back = axis.transData.inverted().transform
    outline = withStroke(linewidth=2.5, foreground="white")
    for (x, y), (_, _, name) in sorted(
        zip(taken, points, strict=True), key=lambda pair: -pair[0][1]
    ):
        text = axis.text(0, 0, name, fontsize=7.5, color="#1f2937", va="bottom")
        size = text.get_window_extent()
        places = _places(x, y, size.width + 4, size.height)
        box = next((one for one in places if _is_free(one, boxes, axis.bbox)), None)
        if box is None:
            text.remove()
            continue
        boxes.append(box)
        text.set_position(back((box[0] + 2, box[1])))
        text.set_path_effects([outline])
        if _distance(box, x, y) > BESIDE:
            ends = [back((x, y)), back(_nearest(box, x, y))]
            axis.plot(*zip(*ends, strict=True), color="#9ca3af", lw=0.6, zorder=1.5)


def _steps(axis: Any, line: list[tuple[float, float]]) -> list[Box]:
    """Where the frontier is drawn, in pixels."""
    corners = [axis.transData.transform(point) for point in line]
    ends = [*(x for x, _ in corners[1:]), axis.bbox.x1]
    flat = [(x, y - 1, end, y + 1) for (x, y), end in zip(corners, ends, strict=True)]
    rises = [
        (x - 1, y, x + 1, up)
        for x, (_, y), (_, up) in zip(ends, corners, corners[1:], strict=False)
    ]
    return flat + rises


def _places(x: float, y: float, width: float, height: float) -> list[Box]:
    """Boxes for a name around its point, the nearest first."""
    found = []
    for up in range(-6, 7):
        bottom = y - height / 2 + 1.2 * up * height
        found += [
            (left, bottom, left + width, bottom + height)
            for left in (x + 8, x - 8 - width, x - width / 2, x + 30, x - 30 - width)
        ]
    return sorted(found, key=lambda box: _distance(box, x, y) + ABOVE * (box[1] > y))


def _distance(box: Box, x: float, y: float) -> float:
    near = _nearest(box, x, y)
    return float(np.hypot(near[0] - x, near[1] - y))


def _nearest(box: Box, x: float, y: float) -> tuple[float, float]:
    """The point of a box that is nearest to another."""
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])


def _is_free(box: Box, others: list[Box], edge: Any) -> bool:
    """Whether a box lies within the axes and on none of the others."""
    inside = edge.x0 <= box[0] and box[2] <= edge.x1 and edge.y0 <= box[1] and box[3] <= edge.y1
    return inside and all(
        box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in others
    )


def _figure(width: float, height: float, rows: int = 0) -> tuple[Any, Any]:
    """A figure with one axis, or with a column of axes."""
    figure = new_figure(width, height)
    figure.set_dpi(DPI)
    axes: Any = figure.subplots(rows, 1, squeeze=False)[:, 0] if rows else figure.subplots()
    for axis in axes if rows else [axes]:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, lw=0.7)
        axis.set_axisbelow(True)
        axis.tick_params(labelsize=8.5)
    return figure, axes


def _title(figure: Any, text: str, below: str) -> None:
    figure.axes[0].set_title(below, fontsize=8.5, color="#4b5563", loc="left")
    figure.suptitle(text, fontsize=11, fontweight="bold", x=0.01, ha="left")


def _legend_below(figure: Any, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
