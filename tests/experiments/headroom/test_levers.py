"""Single levers: each alone, what is told may be ignored, and what helps everybody is found."""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.references.informed import Climb, new_keys
from chengfang.agents.references.known_path import KnownPath
from chengfang.envs import task_setting
from chengfang.experiments.headroom.levers import FORMS, WORTHS, LeverEffort, _Levers, lever_worths

SETTING = task_setting("Bidding", split="validation")
EFFORT = LeverEffort(4, Climb(6, 4, 0.05, choosing=8, compiled=False), 4)


@pytest.fixture(scope="module")
def path():
    return KnownPath(SETTING, np.arange(20, 24))


@pytest.fixture(scope="module")
def judging(path):
    return path.draw(new_keys(np.random.default_rng(5), 16), nothing=True)


def low_bids():
    return make_rule("FixedBid", plan_spec(SETTING), multiplier=0.3)


@pytest.mark.slow
def test_bids_that_are_too_low_are_raised_one_lever_at_a_time(path, judging):
    rng = np.random.default_rng(0)
    found = _Levers(path, low_bids(), judging.nothing.mean(1), EFFORT, rng)
    for name, form in FORMS.items():
        found.fit(name, form)
        shift = found.shifts[name].reshape(4, 4, path.ticks, 4)  # lever, merchant
        for lever in range(4):
            assert (np.delete(shift[lever], lever, axis=2) == 0).all()  # no other one is touched
        kept, extended = (
            found.relative(found.choosing[form.known], found.shifts[one]).mean(1)
            for one in (name, form.extends)
        )
        assert (kept >= extended).all()  # what is told may be ignored
    common = found.shifts["common"].reshape(4, 4, path.ticks, 4)
    assert (common == common[:, :1, :1]).all()  # one number for all merchants and ticks
    assert (common[np.arange(4), 0, 0, np.arange(4)] > 0.1).all()
    schedule = found.shifts["schedule"].reshape(4, 4, path.ticks, 4)
    assert (schedule == schedule[:, :1]).all()
    own = found.own_constants.reshape(4, 4, 4)
    assert np.ptp(own[np.arange(4), :, np.arange(4)], axis=1).max() > 0


def test_only_who_is_told_the_path_chooses_on_it(path, judging):
    found = _Levers(path, low_bids(), judging.nothing.mean(1), EFFORT, np.random.default_rng(0))
    told, untold = found.choosing[True], found.choosing[False]
    held = np.zeros((16, path.ticks, 4), np.float32)
    assert np.ptp(found.many.scores(untold, low_bids(), held)) > 0
    assert not np.array_equal(found.relative(told, held), found.relative(untold, held))


@pytest.mark.slow
def test_every_lever_has_its_worths(path, judging):
    said = []
    found = lever_worths(path, low_bids(), judging, EFFORT, np.random.default_rng(0), said.append)
    assert said == list(FORMS)
    assert [one.lever for one in found] == list(SETTING.levers)
    for one in found:
        for name in WORTHS:
            worth = getattr(one, name)
            assert worth.low <= worth.value <= worth.high
            assert abs(worth.value) < 1
        assert -1 <= one.best[0] <= one.best[1] <= one.best[2] <= 1
        assert 0 <= one.corner <= 1


def test_sweeps_begin_at_the_best_value(path, judging):
    found = _Levers(path, low_bids(), judging.nothing.mean(1), EFFORT, np.random.default_rng(0))
    own, common = (found._constants(shared) for shared in (False, True))
    assert own.shape == common.shape == (16, path.ticks, 4)
    assert found.swept.shape[1:] == (4, 4)
    mine = common.reshape(4, 4, path.ticks, 4)
    assert (mine == mine[:, :1]).all()
    assert (mine[np.arange(4), 0, 0, np.arange(4)] > 0).all()
