"""A learner by its name: recipe, changes from a file, and what is wrong with them."""

import pytest
from chengfang.agents.learners import APGSettings, PPOSettings, SACSettings
from chengfang.envs import find_task, task_setting
from chengfang.experiments.benchmark.config_file import ConfigError
from chengfang.experiments.named_learners import FILE, learner_settings

TASKS = ("Bidding", "Allocation", "Coupon", "SuperPlan", "WholeShop")


def changes(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("task", TASKS)
def test_every_shipped_learner_has_settings_on_every_task(task):
    for name, kind in (("apg", APGSettings), ("PPO", PPOSettings), ("Sac", SACSettings)):
        known, settings = learner_settings(name, task)
        assert known == name.upper()
        assert isinstance(settings, kind)
    known, settings = learner_settings("ppo-from-apg", task)
    assert known == "PPO-from-APG"
    assert isinstance(settings, PPOSettings)
    assert settings.start is not None


@pytest.mark.parametrize("task", TASKS)
def test_held_actions_and_rollouts_fit_the_episode(task):
    for name in ("PPO", "PPO-from-APG"):
        _, settings = learner_settings(name, task)
        assert isinstance(settings, PPOSettings)
        assert settings.training_env is not None
        hold = settings.training_env.hold
        assert task_setting(task).ticks % (hold * settings.n_steps) == 0


def test_recipes_are_of_known_tasks():
    import yaml

    for recipes in yaml.safe_load(FILE.read_text(encoding="utf-8")).values():
        for task in recipes:
            find_task(task)


def test_a_file_and_steps_change_single_fields(tmp_path):
    path = changes(tmp_path, "policy: mlp\nsteps: 5\nwidth: 7\n")
    _, settings = learner_settings("APG", "Bidding", path)
    assert (settings.policy, settings.steps, settings.width) == ("mlp", 5, 7)
    assert learner_settings("APG", "Bidding", path, 9)[1].steps == 9


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("DQN", "", "algorithm is 'DQN'; allowed are APG, PPO, PPO-from-APG, SAC"),
        ("APG", "widht: 3\n", "widht is 3; there is no such field, did you mean width?"),
        ("APG", "policy: lstm\n", "policy is 'lstm'"),
        ("APG", "training_env: {rule: PID, hold: 3}\n", "training_env.hold is 3, which APG does"),
        ("PPO", "clip_rang: 0.1\n", "did you mean clip_range?"),
        ("PPO", "- 1\n", "holds fields and values"),
        ("SAC", "steps: {", "not readable as plain YAML"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, name, text, says):
    with pytest.raises(ConfigError) as caught:
        learner_settings(name, "Bidding", changes(tmp_path, text) if text else None)
    assert says in str(caught.value)
