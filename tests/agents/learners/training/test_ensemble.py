"""Ensembles: their mean is one ordinary policy, trained as it would be again, and an interruption
loses nothing.
"""

import numpy as np
import pytest
from chengfang.agents.learners import PPOSettings, load_policy
from chengfang.agents.learners.training import loop, networks, train
from chengfang.agents.learners.training.ensemble import merged, network_seed
from chengfang.envs import FEATURE_NAMES, Setting, load_scenario, select_levers

LEVERS = select_levers("bidding")
PPO = PPOSettings(
    num_envs=8, steps=4 * 8 * 12, n_steps=12, batch_size=48, n_epochs=2, hidden=[16, 8], ensemble=2
)


def learn(settings, folder, seed=0, on_progress=None):
    return train(settings, Setting(load_scenario(), LEVERS, 1), seed, folder, on_progress)


def unclipped(policy, x):
    for weight, bias in policy.layers[:-1]:
        x = np.tanh(x @ weight.T + bias)
    return x @ policy.layers[-1][0].T + policy.layers[-1][1]


@pytest.mark.parametrize("hidden", [[], [16], [16, 8], [8, 8, 8]])
def test_the_mean_of_the_networks_acts(tmp_path, hidden):
    settings = PPO.model_copy(update={"hidden": hidden, "ensemble": 3, "steps": 3 * 8 * 12})
    whole = learn(settings, tmp_path)
    parts = [load_policy(tmp_path / f"network-{k}") for k in range(3)]
    x = np.random.default_rng(0).normal(size=(50, len(FEATURE_NAMES))).astype(np.float32)
    np.testing.assert_allclose(
        unclipped(whole, x), np.mean([unclipped(part, x) for part in parts], 0), atol=1e-6
    )
    assert np.ptp([unclipped(part, x) for part in parts], 0).max() > 0
    again = load_policy(tmp_path)
    np.testing.assert_array_equal(again.predict(x)[0], whole.predict(x)[0])


def test_every_network_is_the_training_it_would_be_alone(tmp_path):
    learn(PPO, tmp_path / "both", seed=5)
    alone = PPO.model_copy(update={"ensemble": 1, "steps": PPO.steps // 2})
    learn(alone, tmp_path / "alone", seed=network_seed(5, 1))
    assert (tmp_path / "both/network-1/policy.safetensors").read_bytes() == (
        tmp_path / "alone/policy.safetensors"
    ).read_bytes()


def test_the_description_counts_all_steps(tmp_path):
    learn(PPO, tmp_path, seed=3)
    said = load_policy(tmp_path).description
    assert (said["seed"], said["ensemble"], said["settings"]["ensemble"]) == (3, 2, 2)
    assert said["steps"] >= PPO.steps


def test_an_interrupted_run_goes_on_where_it_was(tmp_path, monkeypatch):
    learn(PPO, tmp_path / "whole")
    real = networks.PPO.train
    calls = []

    def stop_in_the_second(self):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        real(self)

    monkeypatch.setattr(networks.PPO, "train", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        learn(PPO, tmp_path / "cut")
    load_policy(tmp_path / "cut")  # usable as far as it has come
    first = (tmp_path / "cut/network-0/policy.safetensors").read_bytes()
    monkeypatch.setattr(networks.PPO, "train", real)
    learn(PPO, tmp_path / "cut")
    assert (
        (tmp_path / "cut/network-0/policy.safetensors").read_bytes()
        == first
        == (tmp_path / "whole/network-0/policy.safetensors").read_bytes()
    )
    assert (
        load_policy(tmp_path / "cut").description["steps"]
        == load_policy(tmp_path / "whole").description["steps"]
    )


def test_stopped_before_anything_was_learned_it_is_stopped_and_leaves_nothing(
    tmp_path, monkeypatch
):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "make_training_env", stop)
    with pytest.raises(KeyboardInterrupt):
        learn(PPO, tmp_path)
    assert not list(tmp_path.rglob("policy.*"))


def test_progress_is_of_the_whole(tmp_path, monkeypatch):
    seen = []
    learn(PPO, tmp_path, on_progress=seen.append)
    assert [p.total for p in seen] == [PPO.steps] * len(seen)
    assert [p.steps for p in seen] == sorted(p.steps for p in seen)
    assert seen[-1].steps >= PPO.steps


def test_one_network_leaves_a_description_as_it_was():
    assert "ensemble" not in PPO.model_copy(update={"ensemble": 1}).model_dump()


def test_merging_needs_networks_of_one_shape(tmp_path):
    one = learn(PPO.model_copy(update={"ensemble": 1}), tmp_path / "a")
    two = learn(PPO.model_copy(update={"ensemble": 1, "hidden": [8]}), tmp_path / "b")
    with pytest.raises(ValueError, match="zip"):
        merged([one, two], one.description)
