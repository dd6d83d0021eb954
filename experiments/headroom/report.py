"""The headroom of tasks as text, table and picture, from one JSON per task."""

import json
from pathlib import Path
from typing import Any

from ...envs import TASKS, short_name
from ...envs.files import whole_file
from ..report.markdown import millions
from ..report.plots import PALETTE, new_figure, save_figure
from ..runs.manifest import write_json
from ..studies.outputs import table
from .measure import Headroom, as_dict

LEVELS = ("nothing", "best rule", "rule + constant", "learner", "informed")  # of the short table
WORTHS = (("knowing", PALETTE[0]), ("timing", PALETTE[1]), ("reacting", PALETTE[2]))
COLOURS = {
    "nothing": "#9ca3af",
    "best rule": "#2563a8",
    "learner": "#c2410c",
    "informed": "#15803d",
    "bound": "#374151",
}
SHIFT = "#7c3aed"
INTRODUCTION = """\
Mean score over that of doing nothing, of merchants of the {split} split. Everybody meets the same
merchants, the same exogenous path of demand and prices, and the same noises, which nothing was
fitted on; intervals are 95 %, bootstrapped over merchants. *Informed* is the best plan found for a
merchant and a path that are known while the noise is not: a value that is reached, not a bound.
*Share* is of its gain above doing nothing. Shifts of the rule are fitted on training merchants;
ticks and CPU seconds are those of finding a row, the rule's tuning and the learner's training
aside."""
LEVERS = """\
What each lever would lose, in % of the score of the rule with its constant, if it were not told
something: *knowing* the merchant (its own mean or everybody's), *timing* (what all merchants' plans
have in common by day and hour), *reacting* (the rest: this merchant's own days). Measured by taking
it from the informed plan around the rule, the other levers keeping theirs. *Alone*: one constant
per merchant against the best one for all, no other lever moved. *Best constants*: the merchants'
quartiles, in action units around the rule; *corner*: merchants whose best constant holds the lever
at an end. The sweep is over nine values."""


def write_headroom(folder: Path, found: Headroom) -> str:
    """Keep a task's headroom and draw its picture; write the page of all that are in the folder.

    Returns:
        The text about this task.
    """
    data = as_dict(found)
    write_json(folder / f"{found.task}.json", data)
    headroom_picture(data, folder / f"{found.task}.png")
    everything = read_headroom(folder)
    parts = ["# What there is to win", INTRODUCTION.format(split=found.split)]
    parts += [overview(everything), "## Levers", LEVERS]
    parts += [task_text(one) for one in everything.values()]
    with whole_file(folder / "results.md") as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return task_text(data)


def read_headroom(folder: Path) -> dict[str, dict[str, Any]]:
    """What a folder knows, by task, in the order of the tasks."""
    found = {}
    for task in map(short_name, TASKS):
        path = folder / f"{task}.json"
        if path.is_file():
            found[task] = json.loads(path.read_text(encoding="utf-8"))
    return found


def overview(everything: dict[str, dict[str, Any]]) -> str:
    """One line per task: gains above doing nothing, and shares of the informed plan's."""
    lines = []
    for task, data in everything.items():
        rows = {row["name"]: row for row in data["rows"]}
        cells = [task, str(data["effort"]["merchants"])]
        for name in LEVELS:
            row = rows[name]
            gain = f"{100 * (row['score']['value'] - 1):.0f} %"
            who = f" ({row['agent']})" if name in ("best rule", "learner") else ""
            cells.append(gain if name == "nothing" else f"{gain}{who}")
        cells += [f"{100 * rows[name]['share']:.1f} %" for name in ("best rule", "learner")]
        lines.append(cells)
    heads = ["task", "merchants", *LEVELS, "rule's share", "learner's share"]
    return table(heads, lines)


def task_text(data: dict[str, Any]) -> str:
    """One task's two tables."""
    rows = [
        [
            row["name"],
            row["agent"],
            _interval(row["score"], 3),
            _signed(row["over_rule"], 4),
            f"{100 * row['share']:.1f} %",
            millions(row["ticks"]) if row["ticks"] else "–",
            f"{row['cpu_seconds']:.0f}" if row["cpu_seconds"] else "–",
        ]
        for row in data["rows"]
    ]
    heads = ["row", "agent", "score", "over the rule", "share", "ticks", "CPU s"]
    levers = [
        [
            one["lever"],
            *(_percent(one[name]) for name, _ in WORTHS),
            _percent(one["alone"]),
            ", ".join(f"{value:+.2f}" for value in one["best"]),
            f"{100 * one['corner']:.0f} %",
        ]
        for one in data["levers"]
    ]
    lever_heads = ["lever", *(name for name, _ in WORTHS), "alone", "best constants", "corner"]
    starts = ", ".join(f"{name} {count}" for name, count in data["chosen"].items() if count)
    effort = data["effort"]
    how = (
        f"{effort['merchants']} merchants, judged on {effort['noises']} noises each; the informed "
        f"plan saw {effort['climb']['steps'] * effort['climb']['noises']} noises of every merchant "
        f"from each start (chosen: {starts}). In all {millions(data['ticks'])} ticks, "
        f"{data['cpu_seconds']:.0f} CPU seconds."
    )
    return "\n\n".join(
        [f"### {data['task']}", how, table(heads, rows, 2), table(lever_heads, levers)]
    )


def headroom_picture(data: dict[str, Any], path: Path) -> None:
    """Rows as gains above doing nothing, and what each lever is worth."""
    rows, levers = data["rows"], data["levers"]
    figure = new_figure(11, 1.6 + 0.3 * max(len(rows), len(levers)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    for y, row in enumerate(rows[::-1]):
        low, value, high = (row["score"][part] for part in ("low", "value", "high"))
        left.barh(y, value, color=COLOURS.get(row["name"], SHIFT), height=0.7)
        left.plot([low, high], [y, y], color="#111827", lw=1)
        left.text(high, y, f"  {value:.3f}", va="center", fontsize=8)
    names = [
        f"{row['name']}: {row['agent']}" if row["name"] in ("best rule", "learner") else row["name"]
        for row in rows[::-1]
    ]
    left.set_yticks(range(len(rows)), names, fontsize=8)
    left.set_xlim(0, 1.15 * max(row["score"]["high"] for row in rows))
    left.set_xlabel("score over doing nothing, 95 % over merchants", fontsize=8)
    left.set_title(data["task"], fontsize=10, loc="left", fontweight="bold")
    for y, one in enumerate(levers[::-1]):
        for i, (name, colour) in enumerate(WORTHS):
            low, value, high = (100 * one[name][part] for part in ("low", "value", "high"))
            at = y + 0.24 * (1 - i)
            right.barh(at, value, color=colour, height=0.22, label=name if y == 0 else None)
            right.plot([low, high], [at, at], color="#111827", lw=0.7)
    right.axvline(0, color="#111827", lw=0.8)
    right.axvline(0.5, color="#9ca3af", lw=0.8, ls=":")
    right.set_yticks(range(len(levers)), [one["lever"] for one in levers[::-1]], fontsize=8)
    right.set_xlabel("worth, % of the score (dotted: 0.5 %)", fontsize=8)
    right.legend(fontsize=8, loc="best", frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(axis="x", labelsize=8)
    save_figure(figure, path)


def _interval(one: dict[str, float], digits: int) -> str:
    return f"{one['value']:.{digits}f} [{one['low']:.{digits}f}, {one['high']:.{digits}f}]"


def _signed(one: dict[str, float], digits: int) -> str:
    return f"{one['value']:+.{digits}f} [{one['low']:+.{digits}f}, {one['high']:+.{digits}f}]"


def _percent(one: dict[str, float]) -> str:
    return f"{100 * one['value']:+.2f} [{100 * one['low']:+.2f}, {100 * one['high']:+.2f}]"
