"""Shifts of a rule in a benchmark: rows of their own kind, and the learner's adaptivity."""

import io
import json

import pytest
from chengfang.experiments.benchmark.config import load_benchmark, validated_benchmark
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.benchmark.run import HERE, benchmark
from chengfang.experiments.report.task_report import load_report
from rich.console import Console

RULE = {"rule": "PID", "rule_task": "{task}"}
SHIFT = {"algorithm": "Shift", "num_envs": 4, "steps": 192, "training_env": RULE}
PPO = {"algorithm": "PPO", "num_envs": 4, "steps": 96, "n_steps": 4, "batch_size": 16}
CONFIG = {
    "episodes": 8,
    "seeds": [0],
    "tasks": {
        "Bidding": {
            "rules": ["PID"],
            "learners": {
                "PPO": PPO,
                "PID-constant": SHIFT,
                "PID-facts": SHIFT | {"form": "start_facts"},
            },
        }
    },
}


def test_a_shift_is_of_its_own_kind():
    config = validated_benchmark(CONFIG)
    assert config.agents("Bidding") == {
        "PID": "rule",
        "PPO": "learner",
        "PID-constant": "shift",
        "PID-facts": "shift",
    }
    spec = next(s for s in plan_runs(config) if s.agent == "PID-facts")
    assert (spec.kind, spec.is_trained, spec.options["form"]) == ("shift", True, "start_facts")
    assert spec.options["training_env"]["rule_parameters"]  # tuned values, spelled out


@pytest.mark.parametrize("name", ["shifts"])
def test_the_shipped_shifts_stand_on_each_tasks_best_rule(name):
    from chengfang.agents.rules.tuned import best_rule
    from chengfang.experiments.benchmark.config import FOLDER

    config = load_benchmark(FOLDER / f"{name}.yaml")
    for task, plan in config.tasks.items():
        shifts = {n: s for n, s in plan.learners.items() if config.agents(task)[n] == "shift"}
        assert {s.form for s in shifts.values() if s.algorithm == "Shift"} == {
            "constant",
            "schedule",
            "start_facts",
        }
        rules = {s.training_env.rule for s in shifts.values() if s.training_env}
        assert rules == {best_rule(task)}, task


@pytest.mark.slow
def test_the_learner_is_compared_with_the_best_shift(tmp_path):
    console = Console(file=io.StringIO(), width=120)
    made = benchmark(validated_benchmark(CONFIG), tmp_path, console, where=HERE._replace(workers=0))
    assert (made.failed, made.missing) == ({}, [])
    found = made.reports[0].verdict.adaptivity
    assert found is not None
    assert (found.agent, found.rule[:4]) == ("PPO", "PID-")
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "Adaptivity, paired on the same episodes: PPO " in text
    assert "| PID-facts | shift |" in text
    for name in ("results.tex", "report.html", "results.csv"):
        assert "PID-constant" in (tmp_path / name).read_text(encoding="utf-8")
    rows = {row["agent"]: row for row in json.loads((tmp_path / "summary.json").read_text())}
    assert rows["PID-constant"]["ticks"] > 2 * 192  # doing nothing and the tuning of PID, too
    again = load_report(tmp_path, "Bidding")
    assert again is not None
    assert again.verdict.adaptivity == found
    assert (tmp_path / "runs/Bidding/PID-facts-seed0/policy.json").is_file()
    verdict = made.reports[0].verdict
    assert verdict.learner is not None
    assert verdict.learner.agent == "PPO"  # a shift is no learner
