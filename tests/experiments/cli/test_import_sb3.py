"""`chengfang import-sb3`: a zip becomes a policy, once it is trusted."""

import json

import pytest
from chengfang.agents.learners import load_policy
from chengfang.envs import PromotionVecEnv
from chengfang.experiments.cli.main import app
from stable_baselines3 import PPO
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small untrained model's zip."""
    path = tmp_path_factory.mktemp("model") / "model.zip"
    env = PromotionVecEnv(2, days=1, levers="bidding")
    PPO("MlpPolicy", env, n_steps=8, batch_size=16, device="cpu").save(path)
    return path


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_zip_becomes_a_policy_that_can_be_judged(model, tmp_path):
    folder = tmp_path / "policy"
    words = ("--algorithm", "PPO", "--task", "Bidding", "-o", folder, "--trust")
    done = run("import-sb3", model, *words)
    assert done.exit_code == 0, done.output
    assert "4 levers" in done.output
    assert load_policy(folder).description["task"] == "Bidding"
    judged = run("evaluate", folder, "--task", "Bidding", "--episodes", 4, "--json")
    assert json.loads(judged.stdout)["episodes"] == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "holds pickles"),
        (("--trust", "--task", "Coupon"), "(4,)"),
        (("--trust", "--task", "Bid"), "task is 'Bid'"),
        (("--trust", "--algorithm", "DQN"), "algorithm is 'DQN'"),
    ],
)
def test_refused_in_a_sentence(model, tmp_path, words, told):
    given = ("--algorithm", "PPO", "--task", "Bidding", "-o", tmp_path / "policy", *words)
    done = run("import-sb3", model, *given)
    assert done.exit_code == 2
    assert told in done.stderr
    assert not (tmp_path / "policy").exists()


def test_a_zip_that_is_not_there_is_said_before_pickles(tmp_path):
    done = run("import-sb3", tmp_path / "nofile.zip", "--algorithm", "PPO", "-o", tmp_path / "p")
    assert done.exit_code == 2
    assert "nofile.zip: there is no such file" in done.stderr
    assert "pickles" not in done.stderr
