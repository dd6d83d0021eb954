"""Safety margins: drawn for every episode and shown."""

import numpy as np
import pytest
from chengfang.agents.wrappers import SafetyMargin


def test_margins_are_drawn_per_episode_and_shown(markets, play, random_actions):
    env = SafetyMargin(markets(), -0.02, 0.05, seed=7)
    first = env.reset()[:, -1]
    choose = random_actions(0)
    for i in range(23):
        assert np.array_equal(np.asarray(env.step(choose(i))[0])[:, -1], first)
    seen, _, dones, infos = env.step(choose(23))
    assert isinstance(seen, np.ndarray)
    assert dones.all()
    assert [info["terminal_observation"][-1] for info in infos] == first.tolist()
    assert not np.array_equal(seen[:, -1], first)
    rng = np.random.default_rng(7)
    expected = [rng.uniform(-0.02, 0.05, 6).astype(np.float32) for _ in range(2)]
    assert np.array_equal(np.stack([first, seen[:, -1]]), expected)


def test_a_margin_moves_nothing_by_itself(markets, play, random_actions):
    plain = play(markets(), random_actions(0))
    margin = play(SafetyMargin(markets(), 0.1, 0.2), random_actions(0))
    assert np.array_equal(plain.rewards, margin.rewards)
    assert [i["plan"] for i in plain.infos] == [i["plan"] for i in margin.infos]


@pytest.mark.parametrize("margins", [(0.2, 0.1), (-0.6, 0.0), (0.0, 0.7)])
def test_margins_out_of_range_are_refused(markets, margins):
    with pytest.raises(ValueError, match="they must rise within"):
        SafetyMargin(markets(), *margins)
