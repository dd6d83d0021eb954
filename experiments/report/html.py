"""One self-contained page: tables and charts to sort, filter and hover, with no network and no
other file.

The page is `templates/report.html` with its style, its script and the results as JSON put in. Names
and numbers enter the page as text nodes only; the JSON holds no `<`, so nothing in it can end its
script element.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

from ..analysis.curves import PROFILE, Curves, family, frontier
from ..analysis.headroom import bound_gap, headroom
from ..analysis.statistics import Interval
from ..analysis.summary import Summary, full_row, ranked
from ..analysis.verdicts import (
    SHORTFALL_BAR,
    VIOLATION_BAR,
    Verdict,
    adaptivity_sentence,
    own_sentences,
    sentence,
)
from .figures import SHOWN_RULES
from .markdown import LEGEND, left_out

TEMPLATES = Path(__file__).with_name("templates")
DIGITS = 5


def html_report(
    rows: list[Summary], verdicts: list[Verdict], curves: dict[str, Curves], title: str
) -> str:
    """The page.

    Args:
        rows: summaries of all agents.
        verdicts: one per task, in the order of the tabs.
        curves: per task.
        title: of the page.
    """
    data = {
        "legend": LEGEND.replace("**", ""),
        "tasks": [task_data(verdict, rows, curves[verdict.task]) for verdict in verdicts],
    }
    parts = {
        "title": html.escape(title),
        "style": _template("report.css"),
        "script": _template("report.js"),
        "data": embedded(data),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _template("report.html"))


def embedded(data: Any) -> str:
    """Strict JSON that is safe inside a script element: `<` and `>` are escaped, so no tag or
    comment can begin or end.
    """
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    escapes = {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
    }
    return "".join(escapes.get(c, c) for c in text)


def task_data(verdict: Verdict, rows: list[Summary], curves: Curves) -> dict[str, Any]:
    """What the page says about one task; numbers are rounded to what can be seen."""
    mine = ranked([row for row in rows if row.task == verdict.task])
    kinds = {row.agent: row.kind for row in mine}
    found = curves.profiles
    rules = [agent for agent in found if kinds[agent] == "rule"]
    shown = [a for a in found if kinds[a] in ("learner", "own")] + rules[:SHOWN_RULES]
    lines = [
        {
            "agent": agent,
            "kind": kinds[agent],
            "shown": agent in shown,
            "value": _numbers(one.value),
            "low": _numbers(one.low),
            "high": _numbers(one.high),
        }
        for agent, one in found.items()
    ]
    return {
        "name": verdict.task,
        "verdict": " ".join(
            [sentence(verdict), *own_sentences(verdict), adaptivity_sentence(verdict)]
        ).strip(),
        "bars": [bar._asdict() for bar in verdict.bars],
        "bar": VIOLATION_BAR,
        "shortfallBar": SHORTFALL_BAR,
        "leftOut": left_out(mine),
        "gap": _number(bound_gap(rows, verdict.task)),
        "rows": [_row(row) for row in mine],
        "frontier": [row.agent for row in frontier(mine)],
        "profile": {"x": _numbers(PROFILE), "agents": lines},
        "learner": verdict.learner.agent if verdict.learner else None,
        "chances": [
            {"rule": rule, "chance": _numbers(chance)} for rule, chance in curves.improvements
        ],
        "headroom": [
            {
                "name": level.name,
                "agent": level.agent,
                "score": _numbers(level.score),
                "fresh": _interval(level.fresh),
            }
            for level in headroom(rows, verdict.task)
        ],
    }


def _row(row: Summary) -> dict[str, Any]:
    full = full_row(row)
    return {
        "agent": row.agent,
        "kind": row.kind,
        "seeds": row.seeds,
        "episodes": row.episodes,
        "family": family(row.agent),
        "score": _numbers(row.score),
        "overRule": _interval(row.over_rule),
        "fresh": _interval(row.fresh),
        "share": _interval(row.clairvoyant.iqm),
        "bound": _interval(row.bound.iqm),
        "violation": _number(row.violation_rate),
        "shortfall": _number(row.mean_shortfall),
        "budget": _number(row.budget_use),
        "gmv": _number(full["incremental_gmv"]),
        "profit": _number(full["profit"]),
        "profitGain": _number(row.profit_gain),
        "losing": _number(row.losing_share),
        "ticks": row.ticks,
        "cpu": _number(row.cpu_seconds),
        "runs": [
            [_number(score), _number(violated)]
            for score, violated in zip(row.run_scores, row.run_violations, strict=True)
        ],
    }


def _interval(value: Interval | None) -> list[float | None] | None:
    return None if value is None else _numbers(value)


def _numbers(values: Any) -> list[float | None]:
    return [_number(float(value)) for value in values]


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
