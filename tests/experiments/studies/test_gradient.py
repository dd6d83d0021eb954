"""The committed study of gradients: what it says of its learners is found again."""

from pathlib import Path

import numpy as np
import pytest
from chengfang.agents import find_policy
from chengfang.agents.learners import load_policy
from chengfang.envs import task_setting
from chengfang.experiments.benchmark.config import load_benchmark
from chengfang.experiments.runs.evaluate import evaluate

STUDY = Path(__file__).parents[3] / "results" / "studies" / "gradient"
LEAST = {"Bidding": 0.001, "SuperPlan": 0.012, "WholeShop": 0.03}  # of the rule's mean


@pytest.mark.slow
@pytest.mark.parametrize("task", list(LEAST))
def test_the_kept_policy_is_above_the_tuned_rule_on_merchants_of_no_table(task):
    setting = task_setting(task, split="train")
    first, count = 7_000_000_000, 2048 if setting.days == 1 else 192
    played = evaluate(load_policy(STUDY / "best" / task), setting, count, first)
    rule = evaluate(find_policy("MCKPCoupon", setting, task), setting, count, first, played.nothing)
    one, two = played.relative_score, rule.relative_score
    assert np.mean(one - two) > LEAST[task] * two.mean()
    assert played.plans["violated"].mean() <= 0.03


def test_it_is_judged_on_validation_merchants_with_five_seeds():
    config = load_benchmark(STUDY / "config.yaml")
    assert config.split == "validation"
    assert all(len(config.training_seeds(task, "APG-GRU")) == 5 for task in LEAST)
