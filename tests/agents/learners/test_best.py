"""The committed policies: read as they were written, under the names of now, never rewritten."""

import json

import chengfang
import numpy as np
import pytest
from chengfang.agents.learners import ArtefactError, SavedPolicy, load_best, load_policy
from chengfang.agents.learners import best as module
from chengfang.envs import TASKS, find_task, select_levers, short_name

NAMES = [short_name(task) for task in TASKS if task.id.endswith("-v0")]


@pytest.mark.parametrize("task", NAMES)
def test_every_task_has_a_best_policy(task):
    policy = chengfang.load_best(task)
    assert isinstance(policy, SavedPolicy)
    assert policy.description["task"] == task
    assert policy.levers == select_levers(find_task(task).levers)
    assert load_best(find_task(task).id).description == policy.description


@pytest.mark.parametrize("task", NAMES)
def test_the_first_format_is_read_under_the_names_of_now(task, tmp_path):
    folder = module.best_folder(task)
    said = json.loads((folder / "policy.json").read_text(encoding="utf-8"))
    assert said["format"] == "chengfang-policy-1"
    policy = load_best(task)
    assert policy.safety_margin == said["caution"]
    assert policy.description["safety_margin"] == said["caution"]
    assert "caution" not in policy.description
    policy.save(tmp_path)
    again = json.loads((tmp_path / "policy.json").read_text(encoding="utf-8"))
    assert again["format"] == "chengfang-policy-2"
    assert "caution" not in again
    seen = np.random.default_rng(0).normal(size=(32, 101)).astype(np.float32)
    np.testing.assert_array_equal(load_policy(tmp_path).predict(seen)[0], policy.predict(seen)[0])


def test_the_safety_margin_is_heard():
    seen = np.random.default_rng(0).normal(size=(32, 101)).astype(np.float32)
    plain = load_best("Bidding").predict(seen)[0]
    np.testing.assert_array_equal(load_best("Bidding", 0.0).predict(seen)[0], plain)
    assert np.abs(load_best("Bidding", safety_margin=0.03).predict(seen)[0] - plain).max() > 1e-4


@pytest.mark.parametrize("name", ["caution", "safety_margin"])
def test_rule_parameters_under_either_name(name):
    """A residual policy's rule is the same under its parameter's first name and its present one."""
    policy = load_best("Bidding")
    residual = policy.description["residual"]
    values = dict(residual["parameters"])
    values[name] = values.pop("safety_margin")
    facts = policy.description | {"residual": residual | {"parameters": values}}
    again = SavedPolicy(policy.layers, facts)
    seen = np.random.default_rng(0).normal(size=(32, 101)).astype(np.float32)
    np.testing.assert_array_equal(again.predict(seen)[0], policy.predict(seen)[0])


def test_rule_parameter_under_both_names(tmp_path):
    policy = load_best("Bidding")
    policy.save(tmp_path)
    said = json.loads((tmp_path / "policy.json").read_text(encoding="utf-8"))
    said["residual"]["parameters"]["caution"] = 0.0
    (tmp_path / "policy.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(ArtefactError, match="caution"):
        load_policy(tmp_path)


def test_unknown_task():
    with pytest.raises(ValueError, match="task is 'Bid'; allowed are Bidding"):
        load_best("Bid")


def test_task_without_a_committed_policy(tmp_path, monkeypatch):
    (tmp_path / "Coupon").mkdir()
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "NEXT", tmp_path / "none")
    with pytest.raises(ArtefactError, match="that have a committed policy are Coupon"):
        load_best("Bidding")


def test_it_says_what_it_is():
    text = repr(load_best("Bidding"))
    assert text.startswith("<SavedPolicy: agent PPO-residual; algorithm PPO; task Bidding; ")
    assert "levers bid_feed, bid_live, bid_mall, bid_search" in text
    assert text.endswith("on top of the rule OnlineLP>")
