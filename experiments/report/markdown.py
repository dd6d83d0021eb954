"""The benchmark as text: one ranked table per task with its verdict, losing rows kept, and the
headroom ladder.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..analysis.headroom import NAMES, bound_gap, ladder
from ..analysis.summary import LEAST_GAIN, Summary, ranked
from ..analysis.verdicts import Verdict, bars_sentence, interval, percent, risk_sentence, sentence

LEGEND = (
    "**score**: inter-quartile mean (IQM), over runs and held-out episodes, of settled GMV · min(1, (ROI/target)²), as "
    "a multiple of doing nothing on the same merchant and random numbers. **95 % CI**: bootstrap over runs and over "
    "episodes, which are the same merchants for every run. **clairv.**, **bound**: IQM of (score − nothing) / "
    "(reference − nothing). **violated**: episodes with ROI under 0.98 of the target. **short**: mean of "
    "max(0, 1 − ROI/target). **budget**: mean share spent. **Δ GMV**, **profit**: mean per episode, CNY; Δ is above doing "
    "nothing."
)


class Column(NamedTuple):
    """A column of the tables: its head and how a row shows in it."""

    head: str
    show: Callable[[Summary], str]
    left: bool = False


def _share(row: Summary, name: str) -> str:
    found = getattr(row, name).iqm
    return percent(found.value if found else None)


def money(value: float | None) -> str:
    """Whole CNY with thousands separated; a dash for None."""
    return "–" if value is None else f"{value:,.0f}"


COLUMNS = (
    Column("agent", lambda r: r.agent, True),
    Column("kind", lambda r: r.kind, True),
    Column("score", lambda r: f"{r.score.value:.3f}"),
    Column("95 % CI", lambda r: f"{r.score.low:.3f}–{r.score.high:.3f}"),
    Column("clairv.", lambda r: _share(r, "clairvoyant")),
    Column("bound", lambda r: _share(r, "bound")),
    Column("violated", lambda r: percent(r.violation_rate)),
    Column("short", lambda r: percent(r.mean_shortfall, 2)),
    Column("budget", lambda r: percent(r.budget_use, 0)),
    Column("Δ GMV", lambda r: money(r.incremental_gmv)),
    Column("profit", lambda r: money(r.profit)),
    Column("seeds", lambda r: str(r.seeds)),
)


def markdown(rows: list[Summary], verdicts: list[Verdict], title: str) -> str:
    """The whole of `results.md`."""
    parts = [f"# {title}", LEGEND]
    if rows:
        parts += ["## Headroom", headroom_table(rows)]
    for verdict in verdicts:
        mine = [row for row in rows if row.task == verdict.task]
        parts += [f"## {_cell(verdict.task)}", sentence(verdict)]
        parts += [
            text for text in (bars_sentence(verdict), risk_sentence(mine), left_out(mine)) if text
        ]
        parts.append(task_table(mine))
    return "\n\n".join(parts) + "\n"


def task_table(rows: list[Summary]) -> str:
    """One task's Markdown table, best first, learners in bold."""
    body = []
    for row in ranked(rows):
        cells = [_cell(column.show(row)) for column in COLUMNS]
        body.append([f"**{cells[0]}**" if row.kind == "learner" else cells[0], *cells[1:]])
    return _table([column.head for column in COLUMNS], body, [column.left for column in COLUMNS])


def headroom_table(rows: list[Summary]) -> str:
    """Every task's ladder, as gains above doing nothing, with the gap between bound and
    clairvoyant.
    """
    body = []
    for task in dict.fromkeys(row.task for row in rows):
        rungs = {rung.name: rung for rung in ladder(rows, task)}
        gains = [
            f"{100 * (rungs[name].score.value - 1):.0f} %" if name in rungs else "–"
            for name in NAMES
        ]
        gains = [
            f"{gain} ({rungs[name].agent})"
            if name in ("best rule", "best learner") and name in rungs
            else gain
            for name, gain in zip(NAMES, gains, strict=True)
        ]
        count = next(row.common_episodes for row in rows if row.task == task)
        body.append(
            [_cell(cell) for cell in (task, f"{count:,}", *gains, percent(bound_gap(rows, task)))]
        )
    table = _table(["task", "episodes", *NAMES, "bound over clairvoyant"], body, [True])
    return (
        "IQM of the score above doing nothing, of all rungs on the same first episodes, those that every reference knows; the "
        f"last column compares mean gains.\n\n{table}"
    )


def left_out(rows: list[Summary]) -> str:
    """Which episodes the references and the shares do without; `rows` are of one task, empty if
    they do without none.
    """
    return " ".join(
        text for text in (_finalists(rows), _covered(rows), _idle_left_out(rows)) if text
    )


def _finalists(rows: list[Summary]) -> str:
    found = [row for row in rows if row.final]
    names = ", ".join(f"{row.agent} {interval(row.final, 4)}" for row in found if row.final)
    return (
        (
            f"The table is of the first {found[0].episodes:,} episodes, whose merchants differ from others by more than the best "
            f"agents do from each other; so these play on in a final of {found[0].final_episodes:,}: {names}."
        )
        if found
        else ""
    )


def _covered(rows: list[Summary]) -> str:
    """References cost much to find and may speak of the first episodes alone."""
    most = max(row.episodes for row in rows)
    parts = [
        f"{row.episodes:,} ({row.agent})"
        for row in rows
        if row.kind == "reference" and row.episodes < most
    ]
    return (
        (
            f"References are known for the first {', '.join(parts)} of {most:,} episodes; shares are taken there, "
            "scores over all."
        )
        if parts
        else ""
    )


def _idle_left_out(rows: list[Summary]) -> str:
    counts = {
        name: max((getattr(row, name).left_out for row in rows), default=0)
        for name in ("clairvoyant", "bound")
    }
    parts = [f"{count} in the share of the {name}" for name, count in counts.items() if count]
    return (
        f"Episodes left out because the reference gains less than {LEAST_GAIN:.1%} there: {', '.join(parts)}."
        if parts
        else ""
    )


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _table(heads: list[str], body: list[list[str]], left: list[bool]) -> str:
    marks = ["---" if i < len(left) and left[i] else "---:" for i in range(len(heads))]
    lines = [heads, marks, *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
