"""Ticks as a specification states them are the ticks that are simulated."""

from dataclasses import replace

import numpy as np
import pytest
from chengfang.agents.learners.settings import APGSettings, PPOSettings, SACSettings
from chengfang.agents.rules.tuned import tuned_parameters, tuned_study
from chengfang.envs import Market, task_setting
from chengfang.experiments.benchmark.config import load_benchmark
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.benchmark.ticks import (
    Ticks,
    ticks_of,
    training_ticks,
    tuning_seconds,
    tuning_ticks,
)

SMALL = {"num_envs": 4, "n_steps": 4, "batch_size": 16, "n_epochs": 1, "hidden": [8]}
SAC_SMALL = {"num_envs": 4, "batch_size": 8, "gradient_steps": 1, "hidden": [8]}


class Counter:
    """Counts the ticks of unfinished markets, copies included."""

    def __init__(self, monkeypatch):
        self.ticks = 0
        step = Market.step

        def counted(market, actions):
            playing = int((market.states["done"] == 0).sum())
            self.ticks += playing * (1 if market.counterfactual is None else 2)
            return step(market, actions)

        monkeypatch.setattr(Market, "step", counted)


@pytest.fixture
def counter(monkeypatch):
    return Counter(monkeypatch)


RECIPES = {
    "plain": PPOSettings.model_validate(SMALL | {"steps": 60}),
    "incremental": PPOSettings.model_validate(SMALL | {"steps": 60, "reward": "incremental"}),
    "no-op beside": PPOSettings.model_validate(SMALL | {"steps": 150, "training_env": {"hold": 6}}),
    "rule and no-op beside": PPOSettings.model_validate(
        SMALL
        | {
            "steps": 150,
            "training_env": {"rule": "PID", "hold": 3, "counterfactual": "rule"},
        }
    ),
    "ensemble": PPOSettings.model_validate(
        SMALL | {"steps": 200, "ensemble": 2, "training_env": {"hold": 6}}
    ),
    "demonstrations": PPOSettings.model_validate(
        SMALL | {"steps": 48, "demonstrations": 1, "training_env": {"hold": 6}}
    ),
    "no-op for the critic alone": PPOSettings.model_validate(
        SMALL
        | {
            "steps": 150,
            "training_env": {"hold": 6, "counterfactual": "none", "relative": False},
        }
    ),
    "no copies": PPOSettings.model_validate(
        SMALL
        | {
            "steps": 150,
            "training_env": {
                "hold": 6,
                "counterfactual": "none",
                "relative": False,
                "privileged": False,
            },
        }
    ),
    "measured inputs": PPOSettings.model_validate(
        SMALL | {"steps": 150, "input_spread": 0.3, "training_env": {"hold": 6}}
    ),
    "started by APG": PPOSettings.model_validate(
        SMALL
        | {
            "steps": 150,
            "actor": "apg",
            "hidden": [8, 8],
            "start": {"num_envs": 4, "steps": 250},
            "training_env": {"hold": 6},
        }
    ),
    "SAC": SACSettings.model_validate(SAC_SMALL | {"steps": 50}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_a_training_simulates_what_its_settings_say(name, counter, tmp_path):
    from chengfang.agents.learners.training import train

    setting = task_setting("Bidding", split="train")
    train(RECIPES[name], setting, 0, tmp_path)
    assert training_ticks(RECIPES[name], setting.ticks).total == counter.ticks


@pytest.mark.slow
@pytest.mark.parametrize("training_env", [None, {"rule": "PID"}])
def test_the_gradient_learner_simulates_what_its_settings_say(training_env, counter, tmp_path):
    from chengfang.agents.learners.gradient import train_apg

    setting = task_setting("Bidding", split="train")
    settings = APGSettings.model_validate(
        {"num_envs": 4, "steps": 250, "width": 8, "training_env": training_env}
    )
    train_apg(settings, setting, 0, tmp_path)
    assert training_ticks(settings, setting.ticks).total == counter.ticks


@pytest.mark.slow
@pytest.mark.parametrize("agent", ["clairvoyant", "best_constant"])
def test_a_search_simulates_what_its_options_say(agent, counter):
    from chengfang.experiments.runs.execute import REFERENCES

    options = {"iterations": 2, "population": 4}
    config = load_benchmark(None, {"tasks": {"Bidding": {"references": {}}}})
    spec = next(s for s in plan_runs(config, ["Bidding"]) if s.agent == agent and s.part == 0)
    known = {name: spec.options[name] for name in ("starts",) if name in spec.options}
    spec = replace(spec, options=options | known, episodes=2)
    REFERENCES[agent](spec)
    found = ticks_of([spec])
    assert found is not None
    assert found.total == counter.ticks


def test_a_tuning_simulates_no_more_than_it_says(counter, tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("cmaes")
    from chengfang.experiments.tuning.study import Budget
    from chengfang.experiments.tuning.tune import tune

    budget = Budget(2000, merchants=(4, 6), check=4, finalists=1)
    study = tune("PID", "Bidding", folder=tmp_path, target=tmp_path / "t.json", budget=budget)
    noop = (4 + 6 + 4) * 24
    assert counter.ticks <= study["steps_in_all"] + noop
    assert counter.ticks > 0.8 * study["steps_in_all"]
    assert study["cpu_seconds"] > 0


def test_a_learner_inherits_the_tuning_of_the_rule_underneath():
    settings = PPOSettings.model_validate(
        {"training_env": {"rule": "OnlineLP", "rule_task": "Bidding"}}
    )
    study = tuned_study("OnlineLP", "Bidding")
    tuning = training_ticks(settings, 24).tuning
    assert tuning >= study.get("steps_in_all", study["steps"])
    assert tuning == tuning_ticks("OnlineLP", tuned_parameters("OnlineLP", "Bidding"))
    assert tuning_ticks("OnlineLP", {}) == 0


def test_every_committed_agent_has_its_ticks():
    config = load_benchmark()
    for task in config.tasks:
        runs: dict[str, list] = {}
        for spec in plan_runs(config, [task]):
            runs.setdefault(spec.agent, []).append(spec)
        for agent, specs in runs.items():
            found = ticks_of(specs)
            assert found is not None, agent
            assert (found.total > 0) == (agent not in ("nothing", "DoNothing")), agent
    residual = next(s for s in plan_runs(config, ["Bidding"]) if s.agent == "PPO-residual")
    found = ticks_of([residual])
    assert found is not None
    assert found.copies >= 1.9 * found.training  # the rule and doing nothing, beside its markets
    assert found.tuning >= 6_000_000


def test_seconds_of_a_tuning_are_known_where_they_were_noted():
    runs = {s.agent: s for s in plan_runs(load_benchmark(), ["Bidding"]) if s.kind == "rule"}
    assert tuning_seconds(runs["DoNothing"]) == 0
    assert tuning_seconds(runs["OnlineLP"]) is None


def test_ticks_in_words():
    assert str(Ticks(12_000_000, 24_000_000)) == "36.0 M ticks (training 12.0 M, copies 24.0 M)"
    assert str(Ticks(1200)) == "1,200 ticks"
    assert Ticks(*np.ones(5, int).tolist()).total == 5


def test_a_committed_row_that_lacks_a_later_column_is_the_same():
    from chengfang.experiments.benchmark.reproduce import differences

    old = {"iqm": 3.0, "profit_gain": None}
    assert differences(old, {"iqm": 3.0, "profit_gain": -0.2, "ticks": 7}) == ""
    assert differences(old | {"ticks": 6}, {"iqm": 3.0, "ticks": 7}) == "ticks 6 -> 7"
    assert differences(old, {"iqm": 3.1}) == "iqm 3.0 -> 3.1"
