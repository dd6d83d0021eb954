"""`chengfang evaluate`: figures, the comparison with another policy, and JSON."""

import json

import numpy as np
import pytest
from chengfang.agents import find_policy
from chengfang.agents.learners.best import best_folder
from chengfang.agents.rules.tuned import best_rule
from chengfang.envs import TASKS, load_scenario, short_name, task_setting
from chengfang.experiments.analysis.results import AgentResult
from chengfang.experiments.analysis.statistics import Interval
from chengfang.experiments.analysis.summary import summary_rows
from chengfang.experiments.cli.main import app
from chengfang.experiments.inspection import evaluation
from chengfang.experiments.inspection.evaluation import Judged, difference_in_words
from chengfang.experiments.runs.evaluate import evaluate
from typer.testing import CliRunner

TINY = ["--task", "Bidding", "--episodes", "8"]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def call(*words, code=0):
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, (result.output, result.exception)
    return result


def judged(*words):
    """The JSON that `evaluate` prints."""
    return json.loads(call("evaluate", *words, *TINY, "--json").stdout)


@pytest.mark.parametrize("task", [short_name(t) for t in TASKS[:3]])
def test_evaluate_prints_json(task):
    data = json.loads(call("evaluate", "PID", "--task", task, "--episodes", "8", "--json").stdout)
    assert data["agent"] == "PID"
    assert data["kind"] == "rule"
    assert data["episodes"] == 8
    assert data["task"] == task
    assert data["scenario_hash"] == load_scenario().hash
    assert data["ci_low"] <= data["iqm"] <= data["ci_high"]
    assert 0 <= data["violation_rate"] <= 1


def test_evaluate_prints_a_table():
    text = call("evaluate", "EvenPacing", *TINY).stdout
    assert "EvenPacing" in text
    assert "Bidding on default, 8 episodes" in text


def test_evaluate_plays_the_scenario_asked_for(tmp_path):
    plain = json.loads(call("evaluate", "PID", *TINY, "--json").stdout)
    changed = json.loads(
        call("evaluate", "PID", *TINY, "--json", "--set", "auction.price_rule=second").stdout
    )
    assert (
        changed["scenario_hash"] == load_scenario("default", {"auction.price_rule": "second"}).hash
    )
    assert changed["iqm"] != plain["iqm"]
    call("scenarios", "new", "mine.yaml", "--set", "auction.price_rule=second")
    mine = json.loads(call("evaluate", "PID", *TINY, "--json", "--scenario", "mine.yaml").stdout)
    assert mine["iqm"] == changed["iqm"]


# As the benchmark judges
# --------------------------------------------------------------------------------------------------


def test_evaluate_prints_one_object_with_the_benchmarks_names():
    result = call("evaluate", "OnlineLP", *TINY, "--seed", "7", "--json")
    assert len(result.stdout.splitlines()) == 1
    data = json.loads(result.stdout)
    assert (data["task"], data["agent"], data["kind"]) == ("Bidding", "OnlineLP", "rule")
    assert (data["episodes"], data["seed"]) == (8, 7)
    assert data["ci_low"] <= data["iqm"] <= data["ci_high"]
    assert all(
        isinstance(data[name], float) for name in ("violation_rate", "mean_shortfall", "budget_use")
    )


def test_evaluate_says_what_the_summary_of_a_benchmark_would():
    setting = task_setting("Bidding")
    played = evaluate(find_policy("OnlineLP", setting, "Bidding"), setting, 8, 7)
    [row] = summary_rows(
        [
            AgentResult(
                "Bidding",
                "OnlineLP",
                "rule",
                {name: v[None] for name, v in played.plans.items()},
                played.nothing,
                None,
                None,
            )
        ]
    )
    data = json.loads(call("evaluate", "OnlineLP", *TINY, "--seed", "7", "--json").stdout)
    for name in ("iqm", "ci_low", "ci_high", "violation_rate", "mean_shortfall", "budget_use"):
        assert data[name] == pytest.approx(row[name], rel=1e-12), name


def test_untuned_rules_play_their_defaults():
    tuned, plain = (
        json.loads(call("evaluate", "OnlineLP", *TINY, "--json", *words).stdout)
        for words in ([], ["--untuned"])
    )
    assert tuned["iqm"] != plain["iqm"]


def test_untuned_is_said_of_rules_only_for_the_policy_itself():
    found = judged("OnlineLP", "--untuned", "--against", "OnlineLP")
    assert found["against"]["difference"] != 0


# Against another
# --------------------------------------------------------------------------------------------------


def test_the_difference_is_paired_on_merchants_and_noise():
    setting = task_setting("Bidding")
    one, two = (
        evaluate(find_policy(name, setting, "Bidding"), setting, 8, 7).relative_score
        for name in ("PID", "OnlineLP")
    )
    found = judged("PID", "--against", "OnlineLP", "--seed", "7")
    against = found["against"]
    assert set(against) == {"agent", "difference", "ci_low", "ci_high", "violation_rate"}
    assert against["agent"] == "OnlineLP"
    assert against["difference"] == pytest.approx((one - two).mean(), rel=1e-12)
    assert against["ci_low"] <= against["difference"] <= against["ci_high"]
    mirrored = judged("OnlineLP", "--against", "PID", "--seed", "7")
    assert mirrored["against"]["difference"] == -against["difference"]
    assert mirrored["against"]["violation_rate"] == found["violation_rate"]
    assert mirrored["violation_rate"] == against["violation_rate"]


def test_the_difference_is_the_same_each_time():
    assert judged("PID", "--against", "OnlineLP") == judged("PID", "--against", "OnlineLP")


def test_nobody_differs_from_itself():
    against = judged("PID", "--against", "PID")["against"]
    assert (against["difference"], against["ci_low"], against["ci_high"]) == (0, 0, 0)


def test_best_rule_and_best_are_the_tasks():
    found = judged("best", "--against", "best-rule")
    assert (found["agent"], found["kind"]) == ("PPO-residual", "learner")
    assert found["against"]["agent"] == best_rule("Bidding")
    folder = judged(str(best_folder("Bidding")))
    assert folder["iqm"] == found["iqm"]


def test_a_title_is_one_line_at_any_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    title = "Bidding on default, 8 episodes from seed 7 of test"
    assert call("evaluate", "PID", *TINY, "--seed", "7").stdout.splitlines()[0] == title
    text = call("simulate", "PID", "--task", "bidding", "--seed", "7").stdout
    assert text.splitlines()[0] == "PID plays Bidding on default, seed 7"


def test_the_table_has_both_and_says_the_difference_in_words():
    text = call("evaluate", "PID", "--against", "best-rule", *TINY).stdout
    assert "PID" in text.splitlines()[1]
    assert best_rule("Bidding") in text.splitlines()[1]
    assert f"PID against {best_rule('Bidding')}: " in text
    assert "95 % interval" in text


def result_of(agent, level):
    scores = {"score": np.full((1, 4), level)}
    return AgentResult("Bidding", agent, "rule", scores, {"score": np.ones(4)}, None, None)


@pytest.mark.parametrize(
    ("difference", "value", "share", "end"),
    [
        ((0.06, 0.044, 0.08), "+0.060", "+1.5 %", "+0.044 to +0.080: better"),
        ((0.012, 0.004, 0.02), "+0.012", "+0.3 %", "+0.004 to +0.020: equal within 1 %"),
        ((-0.4, -0.5, -0.3), "-0.400", "-10.0 %", "-0.500 to -0.300: worse"),
        ((0.01, -0.1, 0.1), "+0.010", "+0.2 %", "-0.100 to +0.100: undecided"),
    ],
)
def test_the_words_say_that_the_difference_is_of_means(difference, value, share, end):
    one = Judged(result_of("A", 4.0), result_of("B", 4.0), Interval(*difference))
    assert difference_in_words(one) == (
        f"A against B: {value} in the mean score, paired by merchant ({share} of B's mean), "
        f"95 % interval {end}"
    )


def test_an_unknown_rival_is_refused_before_anything_is_played(monkeypatch):
    monkeypatch.setattr(evaluation, "play_noop", lambda *_: pytest.fail("played"))
    assert "policy is 'PDI'" in call("evaluate", "PID", "--against", "PDI", *TINY, code=2).stderr


# Options
# --------------------------------------------------------------------------------------------------


def test_many_episodes_are_played_in_blocks(monkeypatch):
    whole = judged("PID", "--against", "MPC")
    monkeypatch.setattr(evaluation, "BLOCK", 3)
    assert judged("PID", "--against", "MPC") == whole


def test_a_margin_is_for_policies_trained_to_take_one():
    assert judged("best", "--margin", "0.03")["iqm"] != judged("best")["iqm"]
    text = call("evaluate", "OnlineLP", *TINY, "--margin", "0.05", code=2).stderr
    assert "safety margin is 0.05; only saved policies" in text


def test_the_old_spelling_of_the_margin_is_refused_with_a_hint():
    text = call("evaluate", "best", *TINY, "--caution", "0.05", code=2).stderr
    assert "--caution is called --margin now" in text
