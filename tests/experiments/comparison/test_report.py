"""Results as tables: every figure, every row, and the verdict as it is."""

import csv
import io

import numpy as np
import pytest
from chengfang.experiments.analysis.statistics import Interval
from chengfang.experiments.comparison.report import (
    COLUMNS,
    ON_TERMINAL,
    Row,
    csv_table,
    make_row,
    markdown_table,
    ranked,
    rich_table,
    verdict,
    write_tables,
)
from chengfang.experiments.runs.evaluate import Episodes
from rich.console import Console


def row(agent, kind, value, half=0.01, **changes):
    interval = Interval(value, value - half, value + half)
    return Row(agent, kind, 1, 64, interval, 1.2, 0.1, 0.02, 0.9, 0.8, 0.3, 0)._replace(**changes)


ROWS = [
    row("PID", "rule", 1.30),
    row("DoNothing", "rule", 1.0),
    row("PPO", "learner", 1.35, seeds=2, steps=5_000_000),
    row("SAC", "learner", 0.8),
]


def episodes(scale, n=32):
    base = np.linspace(1.0, 2.0, n)
    plan = {
        "score": scale * base,
        "settled_gmv": 1.1 * scale * base,
        "violated": (np.arange(n) % 4 == 0) * 1.0,
        "shortfall": np.full(n, 0.1),
        "budget_use": np.full(n, 0.75),
        "coupon_cost": np.full(n, 2.0),
        "coupon_budget": np.full(n, 4.0),
        "profit": np.full(n, 30.0),
        "budget": np.full(n, 100.0),
    }
    nothing = {"score": base, "settled_gmv": base}
    return Episodes(plan, nothing, np.arange(n))


def test_row_summarises_runs():
    made = make_row("PPO", "learner", [episodes(1.2), episodes(1.4)], 1000)
    assert (made.agent, made.kind, made.seeds, made.episodes, made.steps) == (
        "PPO",
        "learner",
        2,
        32,
        1000,
    )
    assert made.score.value == pytest.approx(1.3)
    assert made.settled == pytest.approx(1.1 * 1.3)
    assert made.violation == pytest.approx(0.25)
    assert made.shortfall == pytest.approx(0.1)
    assert made.budget_use == pytest.approx(0.75)
    assert made.coupon_use == pytest.approx(0.5)
    assert made.profit == pytest.approx(0.3)


def test_doing_nothing_scores_one():
    made = make_row("DoNothing", "rule", [episodes(1.0)])
    assert made.score == Interval(pytest.approx(1), pytest.approx(1), pytest.approx(1))


def test_without_coupons_their_use_is_zero():
    one = episodes(1.0)
    one.plans["coupon_budget"][:] = 0
    one.plans["coupon_cost"][:] = 0
    assert make_row("X", "rule", [one]).coupon_use == 0


def test_ranked_by_score():
    assert [r.agent for r in ranked(ROWS)] == ["PPO", "PID", "DoNothing", "SAC"]


def test_markdown_keeps_every_row_and_column():
    lines = markdown_table(ROWS).splitlines()
    assert len(lines) == 2 + len(ROWS)
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert {len(c) for c in cells} == {len(COLUMNS)}
    assert cells[0] == [name for name, _ in COLUMNS]
    assert [c[0] for c in cells[2:]] == ["PPO", "PID", "DoNothing", "SAC"]
    assert "1.350" in lines[2]
    assert "1.34" in lines[2]
    assert "1.36" in lines[2]
    assert "5,000,000" in lines[2]


def test_csv_reads_back_unrounded():
    read = list(csv.DictReader(io.StringIO(csv_table([*ROWS, row('Odd, "name"', "rule", 1 / 3)]))))
    assert [r["agent"] for r in read] == ["PPO", "PID", "DoNothing", "SAC", 'Odd, "name"']
    assert float(read[-1]["score_iqm"]) == 1 / 3
    assert {r["kind"] for r in read} == {"rule", "learner"}
    assert set(read[0]) == {
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
    }


def test_terminal_table_fits_eighty_characters():
    wide = [
        r._replace(agent=name)
        for r, name in zip(ROWS, ("DualMirrorDescent", "ManualOperator", "PPO", "SAC"), strict=True)
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(rich_table(wide, "SuperPlan on default"))
    text = console.file.getvalue()
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    for name in ON_TERMINAL:
        assert name in text
    for r in wide:
        assert r.agent in text


@pytest.mark.parametrize(
    ("learner", "said"),
    [
        (1.35, "beats the best rule, PID, by 3.8 % (intervals apart)"),
        (1.2, "loses to the best rule, PID, by 7.7 % (intervals apart)"),
        (1.305, "cannot be told apart (+0.4 %, intervals overlap)"),
    ],
)
def test_verdict_says_it_as_it_is(learner, said):
    assert said in verdict(
        [row("PID", "rule", 1.30), row("PPO", "learner", learner), row("SAC", "learner", 0.8)]
    )


def test_verdict_tells_the_seeds():
    assert "1 training seed" in verdict([*ROWS[:2], row("PPO", "learner", 1.4)])
    assert "3 training seeds" in verdict([*ROWS[:2], row("PPO", "learner", 1.4, seeds=3)])


def test_verdict_without_learners_or_rows():
    assert "PID" in verdict(ROWS[:2])
    assert verdict([]) == "No results yet."


def test_tables_are_written_whole(tmp_path):
    write_tables(tmp_path, ROWS, "SuperPlan on default")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results.csv", "results.md"]
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert text.startswith("# SuperPlan on default\n")
    assert markdown_table(ROWS) in text
    assert verdict(ROWS) in text
    assert (tmp_path / "results.csv").read_text(encoding="utf-8") == csv_table(ROWS)
