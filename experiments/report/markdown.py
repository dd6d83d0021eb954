"""The benchmark as text: one ranked table per task with its verdict, losing rows kept, and the
headroom.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..analysis.headroom import NAMES, bound_gap, headroom
from ..analysis.summary import LEAST_GAIN, Summary, ranked
from ..analysis.verdicts import (
    Verdict,
    adaptivity_sentence,
    bars_sentence,
    change,
    interval,
    own_sentences,
    percent,
    risk_sentence,
    sentence,
)

LEGEND = (
    "**score**: inter-quartile mean (IQM), over runs and held-out episodes, of settled GMV · "
    "min(1, (ROI/target)²), as a multiple of doing nothing on the same merchant and random "
    "numbers. **95 % CI**: bootstrap over runs and over episodes, which are the same "
    "merchants for every run. **over rule**: IQM over that of the task's best rule, less 1, "
    "paired on the same episodes, with its 95 % interval. **clairv.**, **bound**: IQM of (score − "
    "nothing) / (reference − nothing). **violated**: episodes with ROI under 0.98 of the target. "
    "**short**: mean of max(0, 1 − ROI/target). **budget**: mean share spent. **Δ GMV**, "
    "**profit**: mean per episode, CNY; Δ is above doing nothing. **Δ profit**: median of the "
    "profit above doing nothing, of the latter's. **losing**: episodes with less profit than doing "
    "nothing. **ticks**, **CPU s**: market ticks, copies and inherited tuning included, and CPU "
    "seconds of one training, of a tuning or of a search; – where it was not recorded."
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


def gained(value: float | None) -> str:
    """+12 %; a dash for None."""
    return "–" if value is None else f"{100 * value:+.0f} %"


def millions(ticks: int | None) -> str:
    """12.3 M ticks; a dash for what is not known."""
    if ticks is None:
        return "–"
    return f"{ticks / 1e6:.1f} M" if ticks >= 50_000 else f"{ticks:,}"


COLUMNS = (
    Column("agent", lambda r: r.agent, True),
    Column("kind", lambda r: r.kind, True),
    Column("score", lambda r: f"{r.score.value:.3f}"),
    Column("95 % CI", lambda r: f"{r.score.low:.3f}–{r.score.high:.3f}"),
    Column("over rule", lambda r: change(r.over_rule) if r.over_rule else "–"),
    Column("clairv.", lambda r: _share(r, "clairvoyant")),
    Column("bound", lambda r: _share(r, "bound")),
    Column("violated", lambda r: percent(r.violation_rate)),
    Column("short", lambda r: percent(r.mean_shortfall, 2)),
    Column("budget", lambda r: percent(r.budget_use, 0)),
    Column("Δ GMV", lambda r: money(r.incremental_gmv)),
    Column("profit", lambda r: money(r.profit)),
    Column("Δ profit", lambda r: gained(r.profit_gain)),
    Column("losing", lambda r: percent(r.losing_share)),
    Column("ticks", lambda r: millions(r.ticks)),
    Column("CPU s", lambda r: money(r.cpu_seconds)),
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
        parts += [*own_sentences(verdict), *filter(None, [adaptivity_sentence(verdict)])]
        parts.append(task_table(mine))
    return "\n\n".join(parts) + "\n"


def task_table(rows: list[Summary]) -> str:
    """One task's Markdown table, best first, learners and own agents in bold."""
    columns = shown_columns(rows)
    body = []
    for row in ranked(rows):
        cells = [_cell(column.show(row)) for column in columns]
        bold = row.kind in ("learner", "own")
        body.append([f"**{cells[0]}**" if bold else cells[0], *cells[1:]])
    return _table([column.head for column in columns], body, [column.left for column in columns])


def shown_columns(rows: list[Summary]) -> list[Column]:
    """The columns in which at least one row has something to say."""
    return [column for column in COLUMNS if any(column.show(row) != "–" for row in rows)]


def headroom_table(rows: list[Summary]) -> str:
    """Every task's levels, as gains above doing nothing, with the gap between bound and
    clairvoyant.
    """
    body = []
    for task in dict.fromkeys(row.task for row in rows):
        levels = {level.name: level for level in headroom(rows, task)}
        gains = [
            f"{100 * (levels[name].score.value - 1):.0f} %" if name in levels else "–"
            for name in NAMES
        ]
        replayed = levels["clairvoyant"].fresh if "clairvoyant" in levels else None
        if replayed:
            at = NAMES.index("clairvoyant")
            gains[at] += f" (fresh noise: {100 * (replayed.value - 1):.0f} %)"
        gains = [
            f"{gain} ({levels[name].agent})"
            if name in ("best rule", "best learner") and name in levels
            else gain
            for name, gain in zip(NAMES, gains, strict=True)
        ]
        count = next(row.common_episodes for row in rows if row.task == task)
        body.append(
            [_cell(cell) for cell in (task, f"{count:,}", *gains, percent(bound_gap(rows, task)))]
        )
    table = _table(["task", "episodes", *NAMES, "bound over clairvoyant"], body, [True])
    return (
        "IQM of the score above doing nothing, of all levels on the same first episodes, those "
        "that every reference knows; the last column compares mean gains. The upper bound, of "
        "one-day tasks only, is argued and not proved in some steps (docs/upper_bound.md). "
        f"{hindsight_note(rows)}\n\n{table}"
    )


def hindsight_note(rows: list[Summary]) -> str:
    """What the clairvoyant's value is: fitted to luck, with or without its replay beside it."""
    found = [row for row in rows if row.agent == "clairvoyant"]
    if not found:
        return ""
    lacking = list(dict.fromkeys(row.task for row in found if not row.fresh))
    text = "The clairvoyant's plans are fitted to the luck of their own day"
    if not lacking:
        return f"{text}; what they earn on fresh noise stands beside it."
    return (
        f"{text}; of {', '.join(_cell(task) for task in lacking)} no replay on fresh noise was "
        "made, so its value there is no level that a policy can reach."
    )


def left_out(rows: list[Summary]) -> str:
    """Which episodes the references and the shares do without; `rows` are of one task, empty if
    they do without none.
    """
    parts = (_finalists(rows), _covered(rows), _small_gains(rows), _replayed(rows))
    return " ".join(text for text in parts if text)


def _replayed(rows: list[Summary]) -> str:
    """The clairvoyant's plans on fresh noise; that there is no such replay, where there is none."""
    row = next((row for row in rows if row.agent == "clairvoyant"), None)
    if row is None:
        return ""
    if row.fresh is None:
        return (
            "The clairvoyant's plans are fitted to the luck of their own day; they were not "
            "replayed on fresh noise here."
        )
    return f"On fresh noise the clairvoyant's plans score {interval(row.fresh, 3)}."


def _finalists(rows: list[Summary]) -> str:
    found = [row for row in rows if row.final]
    names = ", ".join(f"{row.agent} {interval(row.final, 4)}" for row in found if row.final)
    return (
        (
            f"The table is of the first {found[0].episodes:,} episodes, whose merchants differ "
            "from others by more than the best agents do from each other; so these play on in a "
            f"final of {found[0].final_episodes:,}: {names}."
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
            f"References are known for the first {', '.join(parts)} of {most:,} episodes; "
            "shares are taken there, scores over all."
        )
        if parts
        else ""
    )


def _small_gains(rows: list[Summary]) -> str:
    counts = {
        name: max((getattr(row, name).left_out for row in rows), default=0)
        for name in ("clairvoyant", "bound")
    }
    parts = [f"{count} in the share of the {name}" for name, count in counts.items() if count]
    return (
        f"Episodes left out because the reference gains less than {LEAST_GAIN:.1%} there: "
        f"{', '.join(parts)}."
        if parts
        else ""
    )


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _table(heads: list[str], body: list[list[str]], left: list[bool]) -> str:
    marks = ["---" if i < len(left) and left[i] else "---:" for i in range(len(heads))]
    lines = [heads, marks, *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
