"""A comparison's configuration: validated, complete, hashed and run again."""

import pytest
import yaml
from chengfang.agents import RULES
from chengfang.agents.learners import PPOSettings, SACSettings
from chengfang.envs import LEVER_SETS, load_scenario
from chengfang.experiments.comparison.config import (
    FOLDER,
    CompareConfig,
    ConfigError,
    load_config,
    save_config,
)


def write(folder, text):
    path = folder / "compare.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def told(*arguments, **keywords):
    with pytest.raises(ConfigError) as caught:
        load_config(*arguments, **keywords)
    return str(caught.value)


def test_shipped_configuration_loads_by_name_and_path():
    config = load_config("compare")
    assert config == load_config(FOLDER / "compare.yaml")
    config.load_scenario()
    assert config.setting().levers


def test_a_benchmark_is_not_a_comparison():
    message = told("benchmark")
    assert "tasks" in message
    assert "chengfang benchmark" in message
    assert len(message) < 200


def test_a_long_value_is_shortened():
    assert len(told(None, {"rules": {str(i): i for i in range(1000)}})) < 200


def test_default_is_the_shipped_comparison():
    config = load_config()
    assert config == load_config("compare")
    assert config.task == "SuperPlan"
    assert set(config.rules) == set(RULES)
    assert isinstance(config.learners["PPO"], PPOSettings)
    assert isinstance(config.learners["SAC"], SACSettings)


def test_setting_is_the_tasks():
    setting = load_config(None, {"task": "bidding"}).setting("train")
    assert (setting.levers, setting.days, setting.split) == (LEVER_SETS["bidding"], 1, "train")
    assert load_config(None, {"days": 3}).setting().days == 3
    assert load_config().setting().split == "test"


def test_changes_are_laid_on_top():
    config = load_config(None, {"episodes": 16, "learners": {"PPO": {"steps": 5}}})
    assert config.episodes == 16
    assert config.learners["PPO"].steps == 5
    assert config.learners["PPO"].num_envs == load_config().learners["PPO"].num_envs


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"episodes": 1}, ["episodes is 1", "2"]),
        ({"episodes": "many"}, ["episodes is 'many'"]),
        ({"seeds": []}, ["seeds is []"]),
        ({"task": "Auction"}, ["task is 'Auction'", "allowed are Bidding"]),
        ({"rules": ["PDI"]}, ["PDI", "allowed are DoNothing"]),
        ({"episods": 3}, ["episods"]),
        ({"learners": {"PPO": {"steps": 0}}}, ["learners.PPO", "steps is 0"]),
        ({"learners": {"DQN": {"algorithm": "DQN"}}}, ["DQN", "'PPO', 'SAC'"]),
        ({"days": 0}, ["days is 0"]),
        ({"test_seed": -1}, ["test_seed is -1"]),
    ],
)
def test_wrong_fields_are_named(changes, parts):
    text = told(None, changes)
    for part in parts:
        assert part in text


def test_all_problems_at_once():
    assert len(told(None, {"episodes": 1, "days": 0, "x": 1}).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds fields and values"),
        ("- 1\n", "holds fields and values"),
        ("task: {", "not readable as plain YAML"),
        ("task: !!python/name:os.system ''\n", "not readable as plain YAML"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, said):
    assert said in told(write(tmp_path, text))


def test_binary_file(tmp_path):
    path = tmp_path / "compare.yaml"
    path.write_bytes(bytes(range(256)))
    assert "not readable as plain YAML" in told(path)


def test_missing_file_names_what_is_shipped(tmp_path):
    text = told(tmp_path / "nowhere.yaml")
    assert "no such configuration" in text
    assert "compare" in text


def test_folder_is_no_configuration(tmp_path):
    assert "no such configuration" in told(tmp_path)


def test_saved_configuration_stands_alone(tmp_path):
    """Written with every number of its scenario, so that it runs again where the shipped market has
    changed.
    """
    config = load_config(None, {"scenario": "beauty_contested", "episodes": 8})
    save_config(config, tmp_path / "config.yaml")
    again = load_config(tmp_path / "config.yaml")
    assert again.fingerprint == config.fingerprint
    assert again.load_scenario() == load_scenario("beauty_contested")
    data = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert data["scenario"]["auction"]["price_rule"]
    assert data["fingerprint"] == config.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "changes",
    [
        {"episodes": 8},
        {"seeds": [1]},
        {"days": 2},
        {"task": "Coupon"},
        {"rules": ["PID"]},
        {"test_seed": 3},
        {"scenario": "dual_track"},
        {"scenario": {"auction": {"reaction": 0.2}}},
        {"learners": {"PPO": {"gamma": 0.5}}},
    ],
)
def test_fingerprint_changes_with_what_decides_the_numbers(changes):
    assert load_config(None, changes).fingerprint != load_config().fingerprint


def test_fingerprint_ignores_names():
    base = load_config()
    renamed = load_scenario(base.scenario, {"name": "other", "description": "x"}).model_dump(
        mode="json"
    )
    assert load_config(None, {"scenario": renamed}).fingerprint == base.fingerprint


def test_configuration_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        CompareConfig().episodes = 3
