"""The first names of options: what was dumped when the committed runs were made, to the letter."""

import json
from pathlib import Path

import pytest
from chengfang.experiments.benchmark.config import load_benchmark
from chengfang.experiments.benchmark.plan import resolved
from chengfang.experiments.runs.recipe_names import recipe_names

ROOT = Path(__file__).parents[3]
RECORDED = json.loads(
    (ROOT / "tests" / "recorded" / "learner_options.json").read_text(encoding="utf-8")
)  # by task and learner, dumped by the code that trained the committed policies


@pytest.mark.parametrize("path", [None, ROOT / "results" / "benchmark" / "config.yaml"])
def test_every_learner_of_the_benchmark_is_dumped_as_it_was(path):
    """From the shipped configuration under the names of now, and from the committed one."""
    config = load_benchmark(path)
    dumped = {
        task: {
            name: recipe_names(resolved(settings).model_dump(mode="json"))
            for name, settings in plan.learners.items()
        }
        for task, plan in config.tasks.items()
    }
    assert dumped == RECORDED


def test_rules_inside_options_are_renamed_too():
    assert recipe_names({"rule": "PID", "parameters": {"safety_margin": 0.1, "depth": 0.2}}) == {
        "rule": "PID",
        "parameters": {"caution": 0.1, "depth": 0.2},
    }
    starts = {"starts": {"MPC": {"safety_margin": 0.1}}, "iterations": 3}
    assert recipe_names(starts) == {"starts": {"MPC": {"caution": 0.1}}, "iterations": 3}


@pytest.mark.parametrize(
    ("now", "paired", "twin"), [("none", False, False), ("noop", True, False), ("rule", True, True)]
)
def test_a_counterfactual_was_two_fields(now, paired, twin):
    assert recipe_names({"counterfactual": now}) == {"paired": paired, "twin": twin}


def test_options_themselves_are_left_alone():
    options = {"training_env": {"safety_margin": 0.1}}
    recipe_names(options)
    assert options == {"training_env": {"safety_margin": 0.1}}
