"""Demonstrations: what the clairvoyant did, as far as the features tell it."""

import numpy as np
import torch
from chengfang.agents.learners.settings import TrainingEnv
from chengfang.agents.learners.training.demonstrations import Demonstrations, demonstrate, fit
from chengfang.agents.references import Search
from chengfang.envs import FEATURE_NAMES, Setting, load_scenario, select_levers

LEVERS = select_levers("bidding")
QUICK = Search(per_day=0, population=8, iterations=2)


def test_demonstrations_have_the_shapes_of_the_actor():
    env = TrainingEnv(rule="PID", hold=3, margin_range=(0.0, 0.1), residual_scale=0.5)
    shown = demonstrate(env, Setting(load_scenario(), LEVERS, 1), 5, search=QUICK)
    assert shown.inputs.shape == (5 * 8, len(FEATURE_NAMES) + 1 + len(LEVERS))
    assert shown.targets.shape == (5 * 8, len(LEVERS))
    assert np.abs(shown.targets).max() <= 1


def test_targets_without_a_rule_are_the_plan():
    shown = demonstrate(TrainingEnv(), Setting(load_scenario(), LEVERS, 1), 3, search=QUICK)
    assert shown.targets.shape == (3 * 24, len(LEVERS))
    assert shown.targets.std() > 0


def test_fit_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4096, 5)).astype(np.float32)
    y = np.tanh(x @ rng.standard_normal((5, 2)).astype(np.float32))
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(5, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))
    assert fit(net, list(net.parameters()), Demonstrations(x, y), 100, 0) < 0.1 * float(
        (y**2).mean()
    )
