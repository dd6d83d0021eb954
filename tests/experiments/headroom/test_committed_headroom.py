"""The committed headroom: complete, consistent, and found again."""

import json
from pathlib import Path

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.references.informed import new_keys
from chengfang.agents.references.known_path import KnownPath
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import TASKS, short_name, task_setting
from chengfang.experiments.headroom.measure import JUDGE_SEED
from chengfang.experiments.headroom.report import overview, read_headroom

COMMITTED = Path(__file__).parents[3] / "results" / "studies" / "headroom"
NAMES = [short_name(task) for task in TASKS]


def test_every_task_is_there_and_on_the_page():
    everything = read_headroom(COMMITTED)
    assert list(everything) == NAMES
    assert overview(everything) in (COMMITTED / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", NAMES)
def test_levels_are_in_their_order(task):
    data = read_headroom(COMMITTED)[task]
    rows = {row["name"]: row for row in data["rows"]}
    setting = task_setting(task, split="test")
    assert (data["scenario_hash"], data["split"]) == (setting.scenario.hash, "test")
    assert rows["nothing"]["score"]["value"] == 1
    assert rows["informed"]["share"] == pytest.approx(1)
    assert rows["informed"]["score"]["value"] > rows["learner"]["score"]["value"] - 0.01
    assert ("bound" in rows) == (setting.days == 1)
    assert [one["lever"] for one in data["levers"]] == list(setting.levers)
    climb = data["effort"]["climb"]
    assert climb["steps"] * climb["noises"] >= 64


@pytest.mark.slow
def test_the_rules_score_is_found_again():
    data = json.loads((COMMITTED / "Bidding.json").read_text(encoding="utf-8"))
    row = next(row for row in data["rows"] if row["name"] == "best rule")
    setting = task_setting("Bidding", split="test")
    first, count = data["first_seed"], data["effort"]["merchants"]
    path = KnownPath(setting, np.arange(first, first + count))
    keys = new_keys(np.random.default_rng(JUDGE_SEED), data["effort"]["noises"])
    draws = path.draw(keys, nothing=True)
    rule = make_rule(row["agent"], plan_spec(setting), **tuned_parameters(row["agent"], "Bidding"))
    assert draws.nothing is not None
    found = path.scores(draws, rule).mean(1) / draws.nothing.mean(1)
    assert found.mean() == pytest.approx(row["score"]["value"], rel=1e-6)
