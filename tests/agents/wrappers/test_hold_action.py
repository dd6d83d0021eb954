"""Held actions: one step is as many ticks of the same action."""

import numpy as np
import pytest
from chengfang.agents.wrappers import HoldAction, ObjectiveReward, ResidualAction


@pytest.mark.parametrize("hold", [1, 2, 3, 8, 24])
def test_a_step_is_so_many_ticks(markets, play, pid, hold):
    actions = np.random.default_rng(hold).uniform(-1, 1, (24 // hold, 6, 4)).astype(np.float32)

    def stack():
        return ResidualAction(ObjectiveReward(markets()), pid, 0.4)

    every = play(stack(), lambda i: actions[i // hold], 24)
    held = play(HoldAction(stack(), hold), lambda i: actions[i], 24 // hold)
    assert np.allclose(every.rewards, held.rewards, atol=1e-5)
    assert [i["plan"] for i in every.infos] == [i["plan"] for i in held.infos]
    assert [i["episode"] | {"t": 0} for i in every.infos] == [
        i["episode"] | {"t": 0} for i in held.infos
    ]


@pytest.mark.parametrize("hold", [0, 5, 48])
def test_an_action_is_never_held_across_an_end(markets, hold):
    with pytest.raises(ValueError, match=f"hold is {hold}; it must divide the episode's 24 ticks"):
        HoldAction(markets(), hold)
