"""Figures of the studies."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.statistics import Interval
from ..report.plots import PALETTE
from ..report.plots import new_figure as _figure
from ..report.plots import save_figure as _save

LEAST_SIGNAL = 1e-3  # that a figure shows
Effects = Mapping[str, Mapping[str, Interval]]  # agent or part -> arm -> gain


def unified_figure(
    effects: Mapping[str, Effects], doses: list[tuple[float, Interval]], path: Path
) -> None:
    """Gain of every switch by market and agent, and what rests on the assumed displacement."""
    columns = 3
    rows = -(-(len(effects) + 1) // columns)
    figure = _figure(13, 3.6 * rows + 0.4)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in list(axes)[len(effects) + 1 :]:
        axis.set_visible(False)
    top = max(
        gain.high
        for agents in effects.values()
        for found in agents.values()
        for gain in found.values()
    )
    for i, (name, agents) in enumerate(effects.items()):
        _forest(axes[i], agents, name)
        axes[i].set_xlim(-0.05 * top, 1.05 * top)
        if i % columns:
            axes[i].set_yticklabels([])
    _legend_below(figure, axes[0])
    last = axes[len(effects)]
    factors = [dose for dose, _ in doses]
    low, middle, high = (
        np.array([getattr(i, part) for _, i in doses]) for part in ("low", "value", "high")
    )
    last.errorbar(
        factors, middle, yerr=[middle - low, high - middle], marker="o", color=PALETTE[2], capsize=3
    )
    last.axhline(0, color="grey", lw=0.8)
    last.set_xlabel("displacement, x assumed")
    last.set_title("default, PID: gain of incremental ads", fontsize=10)
    last.grid(alpha=0.25)
    figure.suptitle(
        "Gain in score over the dual track, in scores of doing nothing: the same merchants, "
        "budgets and targets; "
        "95 % intervals",
        fontsize=11,
    )
    _save(figure, path)


def scheduling_figure(effects: Effects, market: str, path: Path) -> None:
    """Gain of every world over the dual track by agent."""
    figure = _figure(8, 4.2)
    axis = figure.subplots()
    _forest(axis, effects, f"{market}: gain in score over the dual track")
    axis.set_xlabel("in the unit of doing nothing; paired, 95 %", fontsize=9)
    axis.spines[["top", "right"]].set_visible(False)
    _legend_below(figure, axis)
    _save(figure, path)


def _forest(
    axis: Any, agents: Mapping[str, Mapping[str, Interval]], title: str, factor: float = 1.0
) -> None:
    """Intervals by row (arm) and colour (agent); an agent may lack an arm."""
    rows = list(dict.fromkeys(row for found in agents.values() for row in found))
    for i, (agent, found) in enumerate(agents.items()):
        named = False
        for row, gain in found.items():
            value, low, high = (factor * x for x in gain)
            at = -rows.index(row) + 0.17 * ((len(agents) - 1) / 2 - i)
            axis.errorbar(
                value,
                at,
                xerr=[[value - low], [high - value]],
                marker="o",
                ms=4,
                color=PALETTE[i],
                capsize=2,
                label=None if named else agent,
            )
            named = True
    axis.axvline(0, color="grey", lw=0.8)
    axis.set_yticks(
        [-y for y in range(len(rows))], [row.replace(" and ", "\nand ") for row in rows]
    )
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.25, axis="x")


def _legend_below(figure: Any, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), fontsize=9, frameon=False
    )


def plans_figure(
    found: Mapping[str, tuple[Mapping[str, Interval], Mapping[str, Interval]]],
    doses: list[tuple[float, dict[str, Interval]]],
    path: Path,
) -> None:
    """Gains of coordination by market in hindsight, of one plan under rules, and how they grow with
    the scenes' differences.
    """
    figure = _figure(15, 4.2)
    axes = figure.subplots(1, 3)
    _bars(
        axes[0],
        {name: parts for name, (parts, _) in found.items()},
        "best constant plans in hindsight: gain of ...",
    )
    _bars(
        axes[1],
        {name: rules for name, (_, rules) in found.items()},
        "without hindsight: gain over FourPlans of ...",
    )
    for i, part in enumerate(doses[0][1]):
        at = [sd for sd, _ in doses]
        low, middle, high = np.array([parts[part]._replace()[:] for _, parts in doses])[
            :, [1, 0, 2]
        ].T
        axes[2].errorbar(
            at,
            middle,
            yerr=[middle - low, high - middle],
            marker="o",
            capsize=3,
            color=PALETTE[i],
            label=part,
        )
    axes[2].axhline(0, color="grey", lw=0.8)
    axes[2].set_xlabel("merchants.scene_sd")
    axes[2].set_title("default: how unlike a merchant's scenes are", fontsize=10)
    for axis in axes:
        axis.legend(fontsize=8)
        axis.grid(alpha=0.25, axis="y")
    axes[0].set_ylabel("scores of doing nothing")
    figure.suptitle(
        "One super plan against four per-scene plans: paired gains, 95 % intervals", fontsize=11
    )
    _save(figure, path)


def _bars(axis: Any, groups: Mapping[str, Mapping[str, Interval]], title: str) -> None:
    """A group of bars per market, a colour per part."""
    parts = list(next(iter(groups.values())))
    width = 0.8 / len(parts)
    for i, part in enumerate(parts):
        gains = [group[part] for group in groups.values()]
        error = [[g.value - g.low for g in gains], [g.high - g.value for g in gains]]
        at = np.arange(len(groups)) + (i - (len(parts) - 1) / 2) * width
        axis.bar(
            at, [g.value for g in gains], width, yerr=error, capsize=2, color=PALETTE[i], label=part
        )
    axis.axhline(0, color="grey", lw=0.8)
    axis.set_xticks(range(len(groups)), [name.replace("_", "\n") for name in groups], fontsize=8)
    axis.set_title(title, fontsize=10)


def money_figure(
    changes: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Interval]]]], last: str, path: Path
) -> None:
    """Who gains from each arrangement in the first market, by answer; and the platform's share of
    the last one in all markets.

    Args:
        changes: market -> arrangement -> answer -> account -> change.
        last: the arrangement of the last panel.
        path: of the PNG.
    """
    scenario, found = next(iter(changes.items()))
    answers = list(dict.fromkeys(answer for arms in found.values() for answer in arms))
    figure = _figure(15, 4.8)
    axes = figure.subplots(1, 4)
    for axis, account in zip(axes, ("merchant", "platform", "users' coupons"), strict=False):
        _forest(
            axis,
            {
                answer: {
                    label: arms[answer][account] for label, arms in found.items() if answer in arms
                }
                for answer in answers
            },
            f"{scenario}: {account}",
            100,
        )
    _forest(
        axes[3],
        {
            answer: {market: arms[last][answer]["platform"] for market, arms in changes.items()}
            for answer in answers
        },
        f"platform: {last}",
        100,
    )
    for axis in axes:
        axis.set_xlabel("change, % of settled GMV before", fontsize=8)
        axis.tick_params(labelsize=8)
    for axis in axes[1:3]:
        axis.set_yticklabels([])
    _legend_below(figure, axes[3])
    figure.suptitle(
        "Against a fee of 3 % and 20 % platform-funded coupons: totals over merchants, 95 % "
        "intervals",
        fontsize=11,
    )
    _save(figure, path)


def information_figure(gains: Mapping[str, Mapping[str, Interval]], path: Path) -> None:
    """What information on the merchant adds to the best rule, beside what the learner adds: one
    panel a task, each on its own scale.
    """
    figure = _figure(3.0 * len(gains) + 0.6, 3.0)
    axes = figure.subplots(1, len(gains), squeeze=False)[0]
    for axis, (task, found) in zip(axes, gains.items(), strict=True):
        names = list(found)
        values, low, high = (
            np.array([getattr(found[name], part) for name in names])
            for part in ("value", "low", "high")
        )
        axis.bar(
            range(len(names)),
            values,
            0.6,
            yerr=[values - low, high - values],
            capsize=4,
            color=PALETTE[: len(names)],
        )
        axis.axhline(0, color="grey", lw=0.8)
        axis.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names], fontsize=9)
        axis.set_title(task, fontsize=10)
        axis.grid(alpha=0.25, axis="y")
    axes[0].set_ylabel("gain, scores of doing nothing")
    figure.suptitle(
        "Over the best tuned rule, on the same merchants and noises; 95 % intervals", fontsize=11
    )
    _save(figure, path)


def signal_figure(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Signal to noise of a policy gradient over the noise in the actions, a panel per task."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    estimates = list(dict.fromkeys(row["estimate"] for row in rows))
    figure = _figure(4.6 * len(tasks) + 0.6, 4.2)
    axes = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for axis, task in zip(axes, tasks, strict=True):
        of_task = [row for row in rows if row["task"] == task]
        for i, estimate in enumerate(estimates):
            points = sorted(
                (float(row["noise"]), max(float(row["signal_to_noise"]), LEAST_SIGNAL))
                for row in of_task
                if row["estimate"] == estimate
            )
            axis.plot(*zip(*points, strict=True), marker="o", color=PALETTE[i], label=estimate)
        axis.axhline(1, color="grey", lw=0.8)
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("standard deviation of the actions' noise")
        axis.set_title(f"{task}, batches of {of_task[0]['episodes']} episodes", fontsize=10)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("signal to noise of one batch's gradient\n(less is drawn at 0.001)")
    _legend_below(figure, axes[0])
    _save(figure, path)
