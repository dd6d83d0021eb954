"""Mean weights: what is saved is the mean, what learns is left alone."""

from typing import cast

import numpy as np
import pytest
import torch
from chengfang.agents.learners import PPOSettings, load_policy
from chengfang.agents.learners.training import progress, train
from chengfang.agents.learners.training.averaging import WeightAverage
from chengfang.envs import Setting, load_scenario, select_levers
from pydantic import ValidationError
from stable_baselines3.common.base_class import BaseAlgorithm

UPDATE = 8 * 12
PLAIN = PPOSettings(
    num_envs=8, steps=6 * UPDATE, n_steps=12, batch_size=48, n_epochs=2, hidden=[16]
)
MEAN = PLAIN.model_copy(update={"average_last": 0.5})


def learn(settings, folder, on_progress=None):
    setting = Setting(load_scenario(), select_levers("bidding"), 1)
    return train(settings, setting, 0, folder, on_progress)


def checkpoint(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


class Model:
    """As much of a model as the average looks at."""

    def __init__(self):
        self.policy = torch.nn.Linear(2, 1)
        self.num_timesteps = 0


def test_the_mean_is_of_the_weights_after_the_beginning():
    model = Model()
    average = WeightAverage(begin=10)
    average.model = cast(BaseAlgorithm, model)  # a stand-in on purpose
    for steps, level in ((5, 100.0), (10, 50.0), (15, 1.0), (20, 3.0)):
        model.num_timesteps = steps
        torch.nn.init.constant_(model.policy.weight, level)
        average._note()
    with average.shown(model.policy):
        assert model.policy.weight.tolist() == [[2.0, 2.0]]
    assert model.policy.weight.tolist() == [[3.0, 3.0]]
    assert average.count == 2


def test_before_the_beginning_the_weights_are_shown_as_they_are():
    model = Model()
    with WeightAverage(begin=10).shown(model.policy):
        torch.nn.init.constant_(model.policy.weight, 7.0)
    assert model.policy.weight.tolist() != [[7.0, 7.0]]


def test_learning_is_the_same_and_only_the_saved_actor_differs(tmp_path):
    for name, settings in (("plain", PLAIN), ("mean", MEAN)):
        learn(settings, tmp_path / name)
    plain = checkpoint(tmp_path / "plain")
    mean = checkpoint(tmp_path / "mean")
    assert all(torch.equal(plain["policy"][key], mean["policy"][key]) for key in plain["policy"])
    assert mean["average"]["count"] == 3  # after updates 4, 5 and 6 of 6
    last, averaged = (load_policy(tmp_path / name).layers[-1][0] for name in ("plain", "mean"))
    assert not np.array_equal(last, averaged)
    expected = (mean["average"]["sums"]["action_net.weight"] / 3).float().numpy()
    assert np.array_equal(averaged, expected)


def test_an_interrupted_run_goes_on_with_its_sums(tmp_path):
    def stop(progress):
        if progress.steps >= 5 * UPDATE:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            learn(MEAN, tmp_path, stop)
    assert checkpoint(tmp_path)["average"]["count"] == 1
    learn(MEAN, tmp_path)
    assert checkpoint(tmp_path)["average"]["count"] >= 3


def test_unused_it_leaves_a_description_as_it_was():
    assert "average_last" not in PLAIN.model_dump()
    assert PPOSettings.model_validate(MEAN.model_dump()) == MEAN
    with pytest.raises(ValidationError, match="average_last"):
        PPOSettings(average_last=1.5)
