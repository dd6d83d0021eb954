"""The README says what the committed evidence says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.learners import load_policy
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import TASKS, Setting, find_task, load_scenario, select_levers, short_name
from chengfang.experiments.analysis.statistics import iqm
from chengfang.experiments.benchmark.config import load_benchmark
from chengfang.experiments.headroom.report import overview, read_headroom
from chengfang.experiments.runs.evaluate import evaluate, play_noop

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "results" / "benchmark"
NAMES = [short_name(task) for task in TASKS if task.id.endswith("-v0")]
COLUMNS = {
    "task",
    "agent",
    "kind",
    "seeds",
    "episodes",
    "iqm",
    "ci_low",
    "ci_high",
    "violation_rate",
    "mean_shortfall",
    "budget_use",
    "share_of_clairvoyant",
    "share_of_bound",
}


def _rows() -> list[dict]:
    return json.loads((EVIDENCE / "summary.json").read_text(encoding="utf-8"))


def _table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def _between(name: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name}:begin -->(.*)<!-- {name}:end -->", text, re.S)
    assert found, name
    return found.group(1)


def _chapter(name: str) -> str:
    text = (EVIDENCE / "results.md").read_text(encoding="utf-8")
    return text.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


def test_the_headroom_in_the_readme_is_the_committed_one() -> None:
    assert _table(_between("headroom")) == _table(_chapter("Headroom"))


def test_the_informed_plans_in_the_readme_are_the_committed_ones() -> None:
    committed = read_headroom(ROOT / "results" / "studies" / "headroom")
    assert _table(_between("informed")) == _table(overview(committed))


@pytest.mark.parametrize("task", NAMES)
def test_the_verdicts_in_the_readme_are_the_committed_ones(task: str) -> None:
    assert _chapter(task).strip().split("\n\n")[0] in " ".join(_between("results").split())


def test_the_evidence_is_complete_and_of_the_shipped_markets() -> None:
    manifest = json.loads((EVIDENCE / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"] is True
    assert not manifest["failed"]
    assert not manifest["code"].endswith("+changes")
    assert {task: facts["hash"] for task, facts in manifest["scenarios"].items()} == {
        name: load_scenario(find_task(name).scenario).hash for name in NAMES
    }
    played = load_benchmark(EVIDENCE / "config.yaml").model_dump()
    shipped = load_benchmark().model_dump()
    for config in (played, shipped):
        for task in config["tasks"].values():
            task.pop("scenario")  # named in the one, the task's own in the other; compared above
    for name in ("SuperPlan", "WholeShop"):  # a bound was made of long tasks then
        played["tasks"][name]["references"].pop("upper_bound")
    assert played == shipped


def test_the_summary_has_every_agent_of_the_configuration() -> None:
    rows = _rows()
    config = load_benchmark()
    assert {(row["task"], row["agent"], row["kind"]) for row in rows} == {
        (task, agent, kind) for task in NAMES for agent, kind in config.agents(task).items()
    }
    assert all(set(row) >= COLUMNS for row in rows)
    assert all(row["seeds"] == 5 for row in rows if row["kind"] == "learner")
    assert all(row["episodes"] >= 256 for row in rows if row["kind"] != "reference")


def test_no_committed_agent_exceeds_the_bound() -> None:
    shares = [row["share_of_bound"] for row in _rows() if row["agent"] != "upper_bound"]
    assert all(share is None or share < 1 for share in shares)


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["OnlineLP", "DoNothing"])
def test_a_committed_row_is_made_again(agent: str) -> None:
    """One rule of the table, on the same merchants: the same figures to the last digit that
    matters.
    """
    config = load_benchmark(EVIDENCE / "config.yaml")
    task = find_task("Bidding")
    setting = Setting(load_scenario(task.scenario), select_levers(task.levers), task.days, "test")
    count = config.held_out("Bidding")
    rule = make_rule(
        agent,
        plan_spec(setting),
        **tuned_parameters(agent, "Bidding"),
    )
    plans = evaluate(rule, setting, count, config.test_seed, nothing={}).plans
    nothing = play_noop(setting, np.arange(config.test_seed, config.test_seed + count))["score"]
    committed = next(row for row in _rows() if row["task"] == "Bidding" and row["agent"] == agent)
    assert iqm(plans["score"] / nothing) == pytest.approx(committed["iqm"], rel=1e-5)
    assert plans["violated"].mean() == pytest.approx(committed["violation_rate"], abs=1e-5)
    assert plans["budget_use"].mean() == pytest.approx(committed["budget_use"], rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Bidding", "Coupon"])
def test_the_saved_learners_score_as_committed(name: str) -> None:
    """The median run of the best learner, from its folder alone, scores about what all five runs
    did.
    """
    config = load_benchmark(EVIDENCE / "config.yaml")
    task = find_task(name)
    setting = Setting(load_scenario(task.scenario), select_levers(task.levers), task.days, "test")
    policy = load_policy(EVIDENCE / "best" / name)
    count = 2048
    plans = evaluate(policy, setting, count, config.test_seed, nothing={}).plans
    rule = make_rule(
        "OnlineLP",
        plan_spec(setting),
        **tuned_parameters("OnlineLP", name),
    )
    ruled = evaluate(rule, setting, count, config.test_seed, nothing={}).plans
    rows = {row["agent"]: row["iqm"] for row in _rows() if row["task"] == name}
    best = max(row["iqm"] for row in _rows() if row["task"] == name and row["kind"] == "learner")
    # on the first quarter of the merchants: the ratio to a rule is what carries over
    nothing = play_noop(setting, np.arange(config.test_seed, config.test_seed + count))["score"]
    ratio = iqm(plans["score"] / nothing) / iqm(ruled["score"] / nothing)
    assert ratio == pytest.approx(best / rows["OnlineLP"], rel=1e-2)
