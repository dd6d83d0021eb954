"""What learners by the market's derivative share."""

import numpy as np
import pytest
import torch
from chengfang.agents.learners.gradient.ascent import (
    LEAST_NOOP,
    cut,
    schedule,
    score_weights,
    updates_of,
)
from chengfang.envs import Market, task_setting


def test_a_long_gradient_is_cut():
    gradient = torch.ones(3, 5, 2)
    gradient[:, 0] = 1000
    shorter = cut(gradient)
    assert torch.equal(shorter[:, 1:], gradient[:, 1:])
    assert shorter[:, 0].numpy() == pytest.approx(10.0)


@pytest.mark.parametrize("warm", [5, 10])
def test_the_rate_rises_and_falls(warm):
    rates = [schedule(i, 100, warm) for i in range(100)]
    assert rates[0] < rates[warm // 2] < rates[warm - 1]
    assert rates[warm - 1] > rates[50] > rates[99] > 0.02


def test_updates_are_whole():
    assert updates_of(1, 8, 24) == 1
    assert updates_of(8 * 24, 8, 24) == 1
    assert updates_of(8 * 24 + 1, 8, 24) == 2


def test_weights_make_the_mean_score_over_doing_nothing():
    idle = Market.of(task_setting("Bidding", split="train"), 6, reward="score", noop=True)
    idle.reset(seeds=np.arange(6))
    weights = score_weights(idle).numpy()
    scale = idle.merchants["budget"] * idle.merchants["roi_target"] / 100  # fen to CNY
    noop = idle.dashboard()["score"] / scale
    assert (noop > LEAST_NOOP).any()
    np.testing.assert_allclose(weights * np.maximum(noop, LEAST_NOOP) * 6, 1, rtol=1e-4)
