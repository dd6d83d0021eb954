"""How much of a policy gradient is signal: the measure itself, and that PPO's estimate and the
derivative's are of the same thing.
"""

import numpy as np
import pytest
import torch
from chengfang.agents.learners import PPOSettings
from chengfang.agents.learners.training import train
from chengfang.agents.learners.training.run import TrainingRun
from chengfang.envs import task_setting
from chengfang.experiments.analysis.policy_gradient import _generalised, _signal, signals


def test_signal_and_noise_are_told_apart():
    rng = torch.Generator().manual_seed(0)
    direction = torch.zeros(400)
    direction[0] = 3.0
    found = direction + torch.randn(2000, 400, generator=rng)
    ratio, cosine, of_all = _signal(found, direction)
    assert ratio == pytest.approx(9 / 400, rel=0.15)
    assert cosine == pytest.approx(3 / 409**0.5, rel=0.1)
    assert of_all > 0.98
    noise = torch.randn(2000, 400, generator=rng)
    assert _signal(noise, direction)[0] < 1e-3


def test_advantages_are_returns_less_values_at_lambda_one():
    class Buffer:
        rewards = np.array([[1.0, 2.0], [0.5, 0.0], [3.0, 1.0]])
        values = np.array([[4.0, 1.0], [3.0, 2.0], [1.0, 1.0]])

    left = np.cumsum(Buffer.rewards[::-1], 0)[::-1]
    assert np.allclose(_generalised(Buffer, 1.0, 1.0), left - Buffer.values)
    after = np.concatenate([Buffer.values[1:], np.zeros((1, 2))])
    errors = Buffer.rewards + after - Buffer.values
    assert np.allclose(_generalised(Buffer, 0.0, 1.0), errors)


@pytest.mark.slow
def test_with_much_noise_and_many_episodes_both_point_the_same_way(tmp_path):
    setting = task_setting("Bidding", split="train")
    settings = PPOSettings.model_validate(
        {
            "num_envs": 64,
            "n_steps": 8,
            "batch_size": 64,
            "steps": 64 * 24,
            "gamma": 1.0,
            "hidden": [16, 16],
            "input_spread": 0.33,
            "training_env": {"hold": 3},
        }
    )
    train(settings, setting, 0, tmp_path)
    run = TrainingRun(settings, setting, 0, tmp_path)
    found = {s.estimate: s for s in signals("Bidding", "tiny", run, -1.0, 8, 512)}
    assert len(found) == 4
    assert found["derivative"].signal_to_noise > found["PPO, lambda 1"].signal_to_noise > 0
    assert found["PPO, lambda 1"].cosine_of_all > 0.8
    assert all(
        s.ticks == 512 * 24 and s.noise == pytest.approx(0.368, abs=0.001) for s in found.values()
    )
