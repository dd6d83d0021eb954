"""Scaled rewards: for the learner, not for the statistics."""

import numpy as np
import pytest
from chengfang.agents.wrappers import ScaleReward


def test_rewards_are_scaled_and_statistics_are_not(markets, play, random_actions):
    plain = play(markets(), random_actions(0))
    scaled = play(ScaleReward(markets(), 50.0), random_actions(0))
    assert np.allclose(scaled.rewards, 50 * plain.rewards, rtol=1e-5)
    assert [i["episode"]["r"] for i in scaled.infos] == [i["episode"]["r"] for i in plain.infos]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_only_positive_scales(markets, scale):
    with pytest.raises(ValueError, match=f"scale is {scale}; it must be above 0"):
        ScaleReward(markets(), scale)
