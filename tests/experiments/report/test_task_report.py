"""The report of a task outlives its runs: the same tables without them, and none for other runs."""

import io
import json
import shutil

import pytest
from chengfang.experiments.benchmark import outcome
from chengfang.experiments.benchmark.config import validated_benchmark
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.benchmark.run import benchmark
from chengfang.experiments.report import task_report as report_module
from chengfang.experiments.report.task_report import read_report, report_path
from chengfang.experiments.runs.fingerprint import identified
from rich.console import Console

from ..benchmark.test_benchmark import HERE, SMALL

pytestmark = pytest.mark.slow  # its fixtures play whole benchmarks or markets

TEXTS = ("summary.json", "results.md", "results.csv", "results.tex", "report.html")
CONFIG = validated_benchmark(SMALL)


def run(folder, config=CONFIG, **keywords):
    return benchmark(config, folder, Console(file=io.StringIO(), width=120), where=HERE, **keywords)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks") / "out"
    run(folder)
    return folder


def texts(folder):
    return {name: (folder / name).read_text(encoding="utf-8") for name in TEXTS}


@pytest.mark.slow
def test_a_task_run_anew_leaves_the_others_as_they_were(whole, tmp_path):
    """As after a clone: no figures of rules and learners, only what was made of them."""
    folder = tmp_path / "clone"
    shutil.copytree(whole, folder)
    shutil.rmtree(folder / "cells")
    shutil.rmtree(folder / "runs")
    made = run(folder, tasks=["Coupon"])
    assert made.ran == 3
    assert made.missing == []
    assert texts(folder) == texts(whole)
    data, before = (json.loads((place / "manifest.json").read_text()) for place in (folder, whole))
    assert data["complete"] is True
    assert data["cells"].keys() == before["cells"].keys()
    assert (folder / "best" / "Bidding" / "policy.json").read_bytes() == (
        whole / "best" / "Bidding" / "policy.json"
    ).read_bytes()


@pytest.mark.slow
def test_a_report_of_other_runs_is_not_taken(whole, tmp_path):
    other = validated_benchmark(SMALL | {"episodes": 9})
    mine = [identified(spec) for spec in plan_runs(other) if spec.task == "Bidding"]
    assert read_report(whole, mine) is None
    folder = tmp_path / "other"
    shutil.copytree(whole, folder)
    made = run(folder, other, tasks=["Coupon"])
    assert {row["task"] for row in made.rows} == {"Coupon"}
    assert all(name.startswith("Bidding/") for name in made.missing)
    assert made.missing


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": {}}', '{"cells": 3}', "\x00"])
def test_a_broken_report_is_none(whole, tmp_path, text):
    folder = tmp_path / "broken"
    shutil.copytree(whole / "tasks", folder / "tasks")
    report_path(folder, "Bidding").write_text(text)
    assert (
        read_report(folder, [spec for spec in plan_runs(CONFIG) if spec.task == "Bidding"]) is None
    )


@pytest.mark.slow
def test_a_task_half_done_has_no_report(tmp_path):
    run(tmp_path / "half", agents=["PID"])
    assert not report_path(tmp_path / "half", "Bidding").exists()
    assert not report_path(tmp_path / "half", "Coupon").exists()


def test_figures_in_a_report_are_whole(whole):
    """Money and scores are not rounded; profiles, which are only drawn, are."""
    data = json.loads(report_path(whole, "Bidding").read_text())
    assert {row["agent"] for row in data["rows"]} == {"PID", "FixedBid", "PPO"}
    summary = {
        row["agent"]: row
        for row in json.loads((whole / "summary.json").read_text())
        if row["task"] == "Bidding"
    }
    for row in data["rows"]:
        assert row["score"]["value"] == summary[row["agent"]]["iqm"]
    assert set(data["cells"]) == {cell.name for cell in plan_runs(CONFIG) if cell.task == "Bidding"}


@pytest.mark.slow
def test_nothing_is_resampled_that_was_resampled_before(whole, tmp_path, monkeypatch):
    folder = tmp_path / "again"
    shutil.copytree(whole, folder)

    def never(*arguments, **more):
        raise AssertionError("the report is there")

    monkeypatch.setattr(outcome, "task_report", never)
    run(folder)
    assert texts(folder) == texts(whole)
    monkeypatch.setattr(report_module, "report_digest", lambda: "other code")
    with pytest.raises(AssertionError, match="the report is there"):
        run(folder)
