"""Settings of learners: what is allowed, where defaults come from, and what fields were called
first.
"""

import pytest
from chengfang.agents.learners import PPOSettings, SACSettings
from chengfang.agents.learners.settings import DEFAULTS, TrainingEnv, rule_values
from chengfang.agents.learners.settings import training_env as module
from pydantic import ValidationError

WRAPPED = PPOSettings(input_spread=0.3, training_env=TrainingEnv(rule="PID"))


def test_unused_fields_are_left_out_of_a_dump():
    """A run made before a field was there is still the same run."""
    plain = PPOSettings().model_dump()
    assert not {"input_spread", "average_last", "ensemble"} & set(plain)
    assert WRAPPED.model_dump()["input_spread"] == 0.3
    for settings in (PPOSettings(), SACSettings(), WRAPPED):
        assert type(settings).model_validate(settings.model_dump()) == settings


def test_a_spread_needs_a_training_env():
    with pytest.raises(ValidationError, match="without a training_env only None is allowed"):
        PPOSettings(input_spread=0.3)


@pytest.mark.parametrize("kind", [PPOSettings, SACSettings])
def test_numbers_come_from_the_yaml(kind):
    name = kind().algorithm
    expected = DEFAULTS["shared"] | DEFAULTS[name]
    assert {field: getattr(kind(), field) for field in expected} == expected


def test_every_default_has_a_field():
    for part, model in (
        ("shared", PPOSettings),
        ("PPO", PPOSettings),
        ("SAC", SACSettings),
        ("training_env", TrainingEnv),
    ):
        assert set(DEFAULTS[part]) <= set(model.model_fields)


def test_a_default_list_is_no_ones_own():
    PPOSettings().hidden.append(7)
    assert PPOSettings().hidden == DEFAULTS["shared"]["hidden"] == [64, 64]


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"num_envs": 0},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"gamma": 1.1},
        {"hidden": [0]},
        {"reward": "gmv"},
        {"speed": 1},
        {"clip_range": 0},
        {"n_steps": 0},
        {"reward_scale": float("inf")},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ValidationError):
        PPOSettings(**wrong)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        PPOSettings().steps = 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hold", 0),
        ("residual_scale", 0),
        ("safety_margin", 2),
        ("margin_range", (0.2, 0.1)),
        ("rule_task", "Bidding"),
        ("rule_parameters", {"depth": 0.1}),
        ("counterfactual", "rule"),
        ("counterfactual", "twin"),
        ("objective", "profit"),
    ],
)
def test_wrong_training_envs_are_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        TrainingEnv(**{field: value})


def test_a_rules_own_values_go_before_the_tuned_ones(monkeypatch):
    monkeypatch.setattr(module, "tuned_parameters", lambda rule, task: {"depth": 0.1, "gain": 2.0})
    env = TrainingEnv(rule="PID", rule_task="Bidding", rule_parameters={"depth": 0.3})
    assert rule_values(env) == {"depth": 0.3, "gain": 2.0}
    assert rule_values(env.model_copy(update={"rule_task": None})) == {"depth": 0.3}


# First names
# -----------


def test_first_names_are_read():
    settings = PPOSettings.model_validate(
        {
            "practice": {"rule": "PID", "caution": 0.02, "caution_range": [-0.1, 0.1]},
            "warm_start": 8,
            "warm_epochs": 3,
            "members": 2,
        }
    )
    env = settings.training_env
    assert env is not None
    assert (env.safety_margin, env.margin_range) == (0.02, (-0.1, 0.1))
    assert settings.demonstrations == 8
    assert settings.demonstration_epochs == 3
    assert settings.ensemble == 2


@pytest.mark.parametrize(
    ("first", "now"),
    [
        ({}, "noop"),
        ({"paired": True}, "noop"),
        ({"paired": False}, "none"),
        ({"twin": True}, "rule"),
        ({"twin": False}, "noop"),
        ({"paired": False, "twin": True}, "rule"),
    ],
)
def test_what_was_taken_off_is_one_field_now(first, now):
    assert TrainingEnv.model_validate({"rule": "PID"} | first).counterfactual == now


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"safety_margin": 0.1, "caution": 0.1}, "caution is the former name of safety_margin"),
        ({"counterfactual": "noop", "twin": False}, "former names of counterfactual"),
        ({"twin": "yes"}, "allowed are true and false"),
    ],
)
def test_both_names_at_once_are_refused(data, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TrainingEnv.model_validate({"rule": "PID"} | data)
