"""The first policies of the -v1 tasks: what is said of them holds on merchants of no table."""

from pathlib import Path

import pytest
from chengfang.agents import find_policy
from chengfang.agents.learners import load_best
from chengfang.envs import find_task, select_levers, task_setting
from chengfang.experiments.headroom.report import ticks_before
from chengfang.experiments.runs.evaluate import evaluate

BEST = Path(__file__).parents[3] / "results" / "headroom" / "best"
LEAST = {"Bidding-v1": 0.01, "SuperPlan-v1": 0.15}  # of the rule's gain above doing nothing


def test_every_committed_policy_is_one_of_a_task():
    assert {path.name for path in BEST.iterdir()} == set(LEAST)
    for task in LEAST:
        assert load_best(task).levers == select_levers(find_task(task).levers)


@pytest.mark.parametrize("row", ["best rule", "learner", "informed", "nothing"])
def test_ticks_of_a_task_that_no_benchmark_knows(row):
    """A headroom of half an hour was lost at its last step."""
    rows = [{"name": "best rule", "agent": "MCKPCoupon"}, {"name": "learner", "agent": "APG"}]
    found = ticks_before("SuperPlan-v1", rows, row)
    assert found is None if row in ("learner", "informed") else found >= 0


@pytest.mark.slow
@pytest.mark.parametrize("task", list(LEAST))
def test_it_is_above_the_tuned_rule_and_keeps_the_target(task):
    setting = task_setting(task, split="train")
    first, count = 8_000_000_000, 1024 if setting.days == 1 else 256
    played = evaluate(load_best(task), setting, count, first)
    rule = find_policy("best-rule", setting, task)
    ruled = evaluate(rule, setting, count, first, played.nothing)
    gain = (played.relative_gain - ruled.relative_gain).mean()
    assert gain > LEAST[task] * ruled.relative_gain.mean()
    assert played.plans["violated"].mean() <= 0.07
    lost = (played.plans["profit"] < 0) & (played.nothing["profit"] >= 0)
    assert lost.mean() <= 0.1
