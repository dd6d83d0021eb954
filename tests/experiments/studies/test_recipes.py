"""The study of recipes: what is trained, which ticks count, and what is written."""

from pathlib import Path

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.learners import PPOSettings
from chengfang.agents.rules.tuned import tuned_parameters, tuned_study
from chengfang.experiments.benchmark.ticks import training_ticks
from chengfang.experiments.studies import run_study
from chengfang.experiments.studies.recipes import (
    RecipeScore,
    judge,
    judged_setting,
    load_looks,
    load_recipes,
    look_at_gradients,
    read_scores,
    recipe_table,
    write_scores,
)

ROOT = Path(__file__).parents[3]
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


def test_every_look_is_at_a_recipe_with_a_checkpoint_of_ppo():
    _, recipes = load_recipes()
    named = {recipe.name: recipe for recipe in recipes}
    for look in load_looks():
        settings = named[look.recipe].settings
        assert isinstance(settings, PPOSettings)
        assert settings.training_env is not None
        assert settings.start is None, "from scratch"


def test_what_was_measured_is_drawn_and_not_measured_again(tmp_path):
    committed = ROOT / "results" / "studies" / "recipes" / "signals.csv"
    (tmp_path / "signals.csv").write_bytes(committed.read_bytes())
    _, recipes = load_recipes()
    said: list[str] = []
    text = look_at_gradients(tmp_path, recipes, load_looks(), said.append)
    assert said == []
    assert (tmp_path / "signals.csv").read_bytes() == committed.read_bytes()
    assert (tmp_path / "signals.png").is_file()
    assert text.count("| derivative |") == len(load_looks())


def test_the_committed_page_is_that_of_the_committed_numbers():
    folder = ROOT / "results" / "studies" / "recipes"
    _, recipes = load_recipes()
    table = recipe_table(recipes, read_scores(folder / "results.csv"))
    assert (folder / "results.md").read_text(encoding="utf-8").startswith(table)
