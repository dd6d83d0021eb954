"""The headroom of tasks as text, table and picture, from one JSON per task."""

import json
from pathlib import Path
from typing import Any

from ...agents.rules.tuned import tuned_parameters
from ...envs import TASKS, short_name
from ...envs.files import whole_file
from ..benchmark.config import load_benchmark
from ..benchmark.plan import plan_runs
from ..benchmark.ticks import ticks_of, tuning_ticks
from ..report.markdown import millions
from ..report.plots import PALETTE, new_figure, save_figure
from ..runs.manifest import write_json
from ..studies.outputs import table

LEVELS = ("nothing", "best rule", "rule + constant", "learner", "informed")  # of the short table
WORTHS = (
    ("knowing", PALETTE[0]),
    ("timing", PALETTE[1]),
    ("own_timing", PALETTE[3]),
    ("reacting", PALETTE[2]),
)
SUMMARY = {  # name in summary.json -> row
    "best_rule": "best rule",
    "constant": "rule + constant",
    "schedule": "rule + schedule",
    "start_facts": "rule + start facts",
    "memoryless": "memoryless",
    "best_learner": "learner",
    "informed": "informed",
}
COLOURS = {"best rule": "#2563a8", "learner": "#c2410c", "informed": "#15803d"}
SHIFT = "#7c3aed"
INTRODUCTION = """\
Mean score over that of doing nothing, of merchants of the {split} split. Everybody meets the same
merchants, the same exogenous path of demand and prices, and the same noises, which nothing was
fitted on; intervals are 95 %, bootstrapped over merchants. *Informed* is the best plan found for a
merchant and a path that are known while the noise is not: a value that is reached, not a bound.
*Share* is of its gain above doing nothing. Shifts of the rule are fitted on training merchants;
*ticks* and CPU seconds are those of finding a row here; *before* are ticks that it builds on: the
rule's tuning, the learner's training and what that inherited."""
LEVERS = """\
What each lever is worth alone, in % of the score of the rule with its constant, which plays all
other levers. *Knowing*: one constant per merchant against the best one for all. *Timing*: a shift
by day and hour, the same for all merchants, against that constant. *Own timing*: a shift by tick
that is a merchant's own, against its own constant. *Reacting*: the same fitted to the known path of
demand and prices, against the one that is fitted to no path in particular. All are climbed by the
market's derivative and judged on noises that they were not fitted on. What is no better on noises
kept for choosing is not played: then it is worth 0.00 without an interval. *Best constants*: the
quartiles of the merchants' own, as what is played on average in [-1, 1]; *corner*: the share of
merchants whose own constant holds the lever at an end of it."""


def write_headroom(folder: Path, data: dict[str, Any]) -> str:
    """Keep a task's headroom and draw its picture; write the page of all that are in the folder.

    Args:
        folder: of the results.
        data: of a task, as `measure.as_dict` gives it.

    Returns:
        The text about this task.
    """
    for row in data["rows"]:
        row["ticks_before"] = ticks_before(data["task"], data["rows"], row["name"])
    write_json(folder / f"{data['task']}.json", data)
    headroom_picture(data, folder / f"{data['task']}.png")
    everything = read_headroom(folder)
    known = [one for one in everything.values() if "gain" in one["rows"][0]]
    write_json(folder / "summary.json", [summary_of(one) for one in known])
    parts = ["# What there is to win", INTRODUCTION.format(split=data["split"])]
    parts += [overview(everything), "## Levers", LEVERS]
    parts += [task_text(one) for one in everything.values()]
    with whole_file(folder / "results.md") as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return task_text(data)


def summary_of(data: dict[str, Any]) -> dict[str, Any]:
    """A task's levels and levers in a line: `no_op` is the score of doing nothing, all others are
    inter-quartile means above it in the same unit, each with its interval as `<name>_ci`; levers
    are shares of the score. What was not played is None.
    """
    rows = {row["name"]: row for row in data["rows"]}
    line: dict[str, Any] = {"task": data["task"], "no_op": rows["nothing"]["score"]["value"]}
    for name, row in SUMMARY.items():
        gain = rows[row]["gain"] if row in rows else None
        line[name] = gain and gain["value"]
        line[f"{name}_ci"] = gain and [gain["low"], gain["high"]]
    line["levers"] = {
        one["lever"]: {
            name: one[name]["value"] for name in ("knowing", "timing", "own_timing", "reacting")
        }
        for one in data["levers"]
    }
    return line


def ticks_before(task: str, rows: list[dict[str, Any]], name: str) -> int | None:
    """Ticks that a row builds on: the tuning of its rule, the training of its learner.

    Args:
        task: its name.
        rows: of the task; the best rule and the learner are named there.
        name: of the row.

    Returns:
        None for a learner that the shipped benchmark does not know.
    """
    agents = {row["name"]: row["agent"] for row in rows}
    rule = agents["best rule"]
    tuned = tuning_ticks(rule, tuned_parameters(rule, task))
    if name.startswith("rule +") or name == "best rule":
        return tuned
    if name not in ("learner", "informed"):
        return 0
    benchmark = load_benchmark()
    if task not in benchmark.tasks:
        return None
    specs = [spec for spec in plan_runs(benchmark, [task]) if spec.agent == agents["learner"]]
    trained = ticks_of(specs) if specs else None
    if trained is None:
        return None
    return trained.total + (tuned if name == "informed" else 0)


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
            above = row["score"]["value"] - rows["nothing"]["score"]["value"]
            gain = f"{100 * above:.0f} %"
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
            millions(row["ticks_before"]) if row["ticks_before"] else "–",
            f"{row['cpu_seconds']:.0f}" if row["cpu_seconds"] else "–",
        ]
        for row in data["rows"]
    ]
    heads = ["row", "agent", "score", "over the rule", "share", "ticks", "before", "CPU s"]
    levers = [
        [
            one["lever"],
            *(_percent(one[name]) for name, _ in WORTHS),
            ", ".join(f"{value:+.2f}" for value in one["best"]),
            f"{100 * one['corner']:.0f} %",
        ]
        for one in data["levers"]
    ]
    lever_heads = [
        "lever",
        *(name.replace("_", " ") for name, _ in WORTHS),
        "best constants",
        "corner",
    ]
    starts = ", ".join(f"{name} {count}" for name, count in data["chosen"].items() if count)
    effort = data["effort"]
    few = effort["levers"]
    seen = few["climb"]["steps"] * few["climb"]["noises"]
    how = (
        f"{effort['merchants']} merchants, judged on {effort['noises']} noises each; the informed "
        f"plan saw {effort['climb']['steps'] * effort['climb']['noises']} noises of every merchant "
        f"from each start (chosen: {starts}). Levers: the first {few['merchants']} merchants, "
        f"{seen} noises of each for every shift. In all {millions(data['ticks'])} ticks, "
        f"{data['cpu_seconds']:.0f} CPU seconds."
    )
    return "\n\n".join(
        [f"### {data['task']}", how, table(heads, rows, 2), table(lever_heads, levers)]
    )


def headroom_picture(data: dict[str, Any], path: Path) -> None:
    """What rows gain over the best rule, paired, and what each lever is worth. Doing nothing and
    the bound lie far outside and are told in words.
    """
    levers = data["levers"]
    score = {row["name"]: row["score"]["value"] for row in data["rows"]}
    rule = next(row for row in data["rows"] if row["name"] == "best rule")
    unit = 100 / score["best rule"]
    rows = [row for row in data["rows"] if row["name"] not in ("nothing", "best rule", "bound")]
    figure = new_figure(11, 1.9 + 0.34 * max(len(rows), len(levers)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.15))
    for y, row in enumerate(rows[::-1]):
        low, value, high = (unit * row["over_rule"][part] for part in ("low", "value", "high"))
        left.barh(y, value, color=COLOURS.get(row["name"], SHIFT), height=0.6)
        left.plot([low, high], [y, y], color="#111827", lw=1)
        left.text(max(high, 0), y, f"  {value:+.2f} %", va="center", fontsize=8)
    names = [
        f"{row['name']}: {row['agent']}" if row["name"] == "learner" else row["name"]
        for row in rows[::-1]
    ]
    left.axvline(0, color=COLOURS["best rule"], lw=1.5)
    left.set_yticks(range(len(rows)), names, fontsize=8)
    left.margins(x=0.22)
    left.set_xlabel(
        f"gain over the best rule, {rule['agent']}, % of its score; paired, 95 %", fontsize=8
    )
    bound = f", bound {score['bound']:.2f}" if "bound" in score else ""
    levels = f"nothing {score['nothing']:.2g}, best rule {score['best rule']:.2f}{bound}"
    left.set_title(
        f"{data['task']}: {levels}",
        fontsize=10,
        loc="left",
        fontweight="bold",
    )
    right.set_title("each lever alone", fontsize=10, loc="left")
    for y, one in enumerate(levers[::-1]):
        for i, (name, colour) in enumerate(WORTHS):
            low, value, high = (100 * one[name][part] for part in ("low", "value", "high"))
            at = y + 0.2 * (1.5 - i)
            label = name.replace("_", " ") if y == 0 else None
            right.barh(at, value, color=colour, height=0.18, label=label)
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
