"""Committed reports: read as they are, without what is not shown any more."""

import json
from pathlib import Path

import pytest
from chengfang.experiments.analysis.headroom import headroom
from chengfang.experiments.analysis.statistics import Interval
from chengfang.experiments.report.markdown import headroom_table, hindsight_note, left_out
from chengfang.experiments.report.task_report import is_long, load_report

EVIDENCE = Path(__file__).parents[3] / "results" / "benchmark"


@pytest.mark.parametrize("task", ["SuperPlan", "WholeShop"])
def test_the_bound_of_a_long_task_is_read_and_left_out(task):
    data = json.loads((EVIDENCE / "tasks" / f"{task}.json").read_text(encoding="utf-8"))
    assert "upper_bound" in {row["agent"] for row in data["rows"]}  # the file is as it was
    report = load_report(EVIDENCE, task)
    assert report is not None
    assert len(report.rows) == len(data["rows"]) - 1
    assert all(row.agent != "upper_bound" and row.bound.iqm is None for row in report.rows)
    assert not [name for name in report.runs if "upper_bound" in name]
    assert "upper bound" not in {level.name for level in headroom(report.rows, task)}


def test_the_bound_of_a_day_stays():
    report = load_report(EVIDENCE, "Bidding")
    assert report is not None
    assert "upper_bound" in {row.agent for row in report.rows}
    assert is_long("SuperPlan")
    assert not is_long("Bidding")
    assert not is_long("a task of the user's own")


def test_the_clairvoyant_stands_beside_its_replay_or_the_table_says_there_is_none():
    report = load_report(EVIDENCE, "Bidding")
    assert report is not None
    assert "of Bidding no replay on fresh noise was made" in hindsight_note(report.rows)
    assert "not replayed on fresh noise" in left_out(report.rows)
    rows = [
        row._replace(fresh=Interval(2.9, 2.8, 3.0)) if row.agent == "clairvoyant" else row
        for row in report.rows
    ]
    assert "(fresh noise: 190 %)" in headroom_table(rows)
    assert "stands beside it" in hindsight_note(rows)
    assert "score 2.900 [2.800, 3.000]" in left_out(rows)
    assert hindsight_note([row for row in rows if row.agent != "clairvoyant"]) == ""
