"""Results as a table: on the terminal, in Markdown and in CSV, with losing rows kept (world 6)."""

import csv
import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich import box
from rich.table import Table

from ...envs.files import whole_file
from ..analysis.statistics import Interval, bootstrap_iqm, iqm
from ..runs.evaluate import Episodes


class Row(NamedTuple):
    """One agent's results over all its episodes."""

    agent: str
    kind: str
    seeds: int
    episodes: int
    score: Interval  # IQM of score / score of doing nothing
    settled: float  # IQM of settled GMV / settled GMV of doing nothing
    violation: float  # share of episodes with ROI under 0.98 * target
    shortfall: float  # mean of max(0, 1 - ROI / target)
    budget_use: float
    coupon_use: float
    profit: float  # median profit / budget
    steps: int  # environment steps trained for


def make_row(agent: str, kind: str, runs: list[Episodes], steps: int = 0) -> Row:
    """Summarise the runs (training seeds) of an agent."""

    def pooled(name: str) -> np.ndarray:
        return np.concatenate([run.plans[name] for run in runs])

    settled = np.concatenate(
        [r.plans["settled_gmv"] / np.maximum(r.nothing["settled_gmv"], 1e-9) for r in runs]
    )
    coupons = pooled("coupon_cost").sum() / max(pooled("coupon_budget").sum(), 1e-9)
    return Row(
        agent,
        kind,
        len(runs),
        len(runs[0].seeds),
        bootstrap_iqm(np.array([r.relative_score for r in runs])),
        iqm(settled),
        float(pooled("violated").mean()),
        float(pooled("shortfall").mean()),
        float(pooled("budget_use").mean()),
        float(coupons),
        float(np.median(pooled("profit") / pooled("budget"))),
        steps,
    )


COLUMNS = (
    ("agent", lambda r: r.agent),
    ("kind", lambda r: r.kind),
    ("score", lambda r: f"{r.score.value:.3f}"),
    ("95 % CI", lambda r: f"{r.score.low:.2f}-{r.score.high:.2f}"),
    ("GMV", lambda r: f"{r.settled:.3f}"),
    ("violated", lambda r: f"{100 * r.violation:.1f} %"),
    ("short", lambda r: f"{100 * r.shortfall:.2f} %"),
    ("budget", lambda r: f"{100 * r.budget_use:.0f} %"),
    ("coupons", lambda r: f"{100 * r.coupon_use:.0f} %"),
    ("profit", lambda r: f"{r.profit:+.2f}"),
    ("seeds", lambda r: str(r.seeds)),
    ("steps", lambda r: f"{r.steps:,}" if r.steps else "-"),
)
ON_TERMINAL = (
    "agent",
    "score",
    "95 % CI",
    "GMV",
    "violated",
    "short",
    "budget",
    "coupons",
)  # fits 80 characters

LEGEND = (
    "score: inter-quartile mean of settled GMV * min(1, (ROI/target)^2), as a multiple of doing nothing on the same random "
    "numbers; GMV: the same of settled GMV alone; violated: episodes with ROI under 0.98 of the target; short: mean of "
    "max(0, 1 - ROI/target); budget, coupons: share used; profit (in the files): median of profit / budget."
)


def ranked(rows: list[Row]) -> list[Row]:
    """Best score first."""
    return sorted(rows, key=lambda r: -r.score.value)


def rich_table(rows: list[Row], title: str) -> Table:
    """The table for the terminal; learners in bold."""
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    columns = [(name, show) for name, show in COLUMNS if name in ON_TERMINAL]
    for i, (name, _) in enumerate(columns):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in ranked(rows):
        table.add_row(
            *(show(row) for _, show in columns), style="bold" if row.kind == "learner" else ""
        )
    return table


def markdown_table(rows: list[Row]) -> str:
    """The table for papers and READMEs."""
    lines = [
        "| " + " | ".join(name for name, _ in COLUMNS) + " |",
        "|" + "|".join(["---", "---"] + ["---:"] * (len(COLUMNS) - 2)) + "|",
    ]
    return "\n".join(
        lines + ["| " + " | ".join(show(row) for _, show in COLUMNS) + " |" for row in ranked(rows)]
    )


def csv_table(rows: list[Row]) -> str:
    """All figures unrounded."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "agent",
            "kind",
            "seeds",
            "episodes",
            "score_iqm",
            "score_low",
            "score_high",
            "settled_gmv",
            "violation_rate",
            "mean_shortfall",
            "budget_use",
            "coupon_use",
            "profit_per_budget",
            "steps",
        ]
    )
    for r in ranked(rows):
        writer.writerow(
            [
                r.agent,
                r.kind,
                r.seeds,
                r.episodes,
                *r.score,
                r.settled,
                r.violation,
                r.shortfall,
                r.budget_use,
                r.coupon_use,
                r.profit,
                r.steps,
            ]
        )
    return out.getvalue()


def verdict(rows: list[Row]) -> str:
    """Who wins, said as it is: the best learner against the best rule."""
    learners = [r for r in ranked(rows) if r.kind == "learner"]
    rules = [r for r in ranked(rows) if r.kind == "rule"]
    if not learners or not rules:
        return f"Best: {ranked(rows)[0].agent}." if rows else "No results yet."
    best = learners[0]
    rule = rules[0]
    ratio = 100 * (best.score.value / rule.score.value - 1)
    if best.score.low > rule.score.high:
        how = f"beats the best rule, {rule.agent}, by {ratio:.1f} % (intervals apart)"
    elif best.score.high < rule.score.low:
        how = f"loses to the best rule, {rule.agent}, by {-ratio:.1f} % (intervals apart)"
    else:
        how = f"and the best rule, {rule.agent}, cannot be told apart ({ratio:+.1f} %, intervals overlap)"
    seeds = f"{best.seeds} training seed{'s' if best.seeds > 1 else ''}"
    return f"The best learner, {best.agent}, {how}. Rules run with their default parameters; learners with {seeds}."


def write_tables(folder: Path, rows: list[Row], title: str) -> None:
    """Write results.md and results.csv."""
    text = f"# {title}\n\n{markdown_table(rows)}\n\n{LEGEND}\n\n{verdict(rows)}\n"
    for name, content in (("results.md", text), ("results.csv", csv_table(rows))):
        with whole_file(folder / name) as draft:
            draft.write_text(content, encoding="utf-8")
