"""The study of recipes: what is trained, which ticks count, and what is written."""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.rules.tuned import tuned_parameters, tuned_study
from chengfang.experiments.benchmark.ticks import training_ticks
from chengfang.experiments.studies import run_study
from chengfang.experiments.studies.recipes import (
    RecipeScore,
    judge,
    judged_setting,
    load_recipes,
    read_scores,
    write_scores,
)

SCORE = RecipeScore("Bidding", "mended", 0, 3.0, 3.1, 0.95, 0.001, 0.02, 0.7, 6_000_000, 60.0)


def test_every_recipe_is_read_and_names_a_task_with_a_rule():
    rules, recipes = load_recipes()
    assert len({recipe.name for recipe in recipes}) == len(recipes) >= 8
    assert {recipe.task for recipe in recipes} <= set(rules)
    assert all(
        recipe.settings.training_env is None or recipe.settings.training_env.rule is None
        for recipe in recipes
    ), "from scratch"


@pytest.mark.parametrize("task", ["Bidding", "Coupon", "SuperPlan"])
def test_no_recipe_simulates_more_than_the_rule_was_tuned_with(task):
    rules, recipes = load_recipes()
    budget = tuned_study(rules[task], task)["steps"]
    ticks = judged_setting(task).ticks
    for recipe in recipes:
        if recipe.task == task:
            assert training_ticks(recipe.settings, ticks).total <= 1.03 * budget, recipe.name


def test_the_rule_itself_has_all_of_its_gain():
    setting = judged_setting("Bidding")
    rule = make_rule("OnlineLP", plan_spec(setting), **tuned_parameters("OnlineLP", "Bidding"))
    found = judge("Bidding", "OnlineLP", rule, 32)
    assert found["share"] == 1
    assert found["share_error"] == pytest.approx(0, abs=1e-9)
    assert found["score"] == found["rule_score"] > 2


def test_scores_are_read_back_as_written(tmp_path):
    path = tmp_path / "results.csv"
    assert read_scores(path) == []
    write_scores(path, [SCORE, SCORE._replace(seed=1)])
    assert read_scores(path) == [SCORE, SCORE._replace(seed=1)]


@pytest.mark.slow
def test_a_quick_study_trains_judges_and_goes_on_where_it_stopped(tmp_path):
    said: list[str] = []
    folder, text = run_study("recipes", tmp_path, episodes=4, quick=True, on_progress=said.append)
    assert len(said) == 2
    scores = read_scores(folder / "results.csv")
    assert len(scores) == 2
    assert all(np.isfinite(score.share) for score in scores)
    assert scores[0].recipe in text
    assert "share of the rule's gain" in text
    run_study("recipes", tmp_path, episodes=4, quick=True, on_progress=said.append)
    assert len(said) == 2  # nothing was left to do
