"""Exploration on a schedule: where it starts and ends, and that the optimiser leaves it alone."""

import pytest
import torch
from chengfang.agents.learners import PPOSettings
from chengfang.agents.learners.training import train
from chengfang.envs import Setting, load_scenario, select_levers
from pydantic import ValidationError

UPDATE = 8 * 12
LEARNED = PPOSettings(
    num_envs=8, steps=4 * UPDATE, n_steps=12, batch_size=48, n_epochs=2, hidden=[16]
)
FALLING = LEARNED.model_copy(update={"log_std_start": -1.0, "log_std_end": -3.0})


def log_std(settings, folder):
    setting = Setting(load_scenario(), select_levers("bidding"), 1)
    train(settings, setting, 0, folder)
    return torch.load(folder / "checkpoint.pt", weights_only=True)["policy"]["log_std"]


def test_the_noise_falls_in_a_straight_line(tmp_path):
    found = log_std(FALLING, tmp_path)
    assert torch.allclose(found, torch.full_like(found, -2.5))  # at the last of four rollouts


def test_an_interrupted_training_goes_on_with_its_noise(tmp_path):
    longer = FALLING.model_copy(update={"steps": 8 * UPDATE})
    assert torch.allclose(log_std(longer, tmp_path), torch.tensor(-2.75))
    assert torch.allclose(log_std(longer, tmp_path), torch.tensor(-2.75))  # nothing is left to do


def test_by_default_it_is_learned(tmp_path):
    found = log_std(LEARNED, tmp_path)
    assert len(set(found.tolist())) > 1


def test_unused_it_leaves_a_description_as_it_was():
    assert "log_std_end" not in LEARNED.model_dump()
    assert PPOSettings.model_validate(FALLING.model_dump()) == FALLING
    with pytest.raises(ValidationError, match="log_std_end"):
        PPOSettings(log_std_end=3.0)
