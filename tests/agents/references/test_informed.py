"""Informed plans climb to what a case solved by trying says, and are chosen on other noise."""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.references.informed import (
    Climb,
    Start,
    acted,
    ascend,
    informed,
    mean_actions,
    new_keys,
    scores_of,
)
from chengfang.agents.references.known_path import KnownPath
from chengfang.envs import task_setting

SETTING = task_setting("Bidding", split="validation")
SMALL = Climb(steps=25, noises=8, learning_rate=0.08, choosing=16, compiled=False)


@pytest.fixture(scope="module")
def path():
    return KnownPath(SETTING, np.arange(70, 76))


@pytest.fixture(scope="module")
def judged(path):
    return path.draw(new_keys(np.random.default_rng(99), 64), nothing=True)


def low_bids():
    return make_rule("FixedBid", plan_spec(SETTING), multiplier=0.3)


@pytest.mark.slow
def test_a_constant_climbs_to_the_best_one_that_trying_finds(path, judged):
    levels = np.linspace(-1, 1, 21)
    tried = []
    for level in levels:
        shift = np.full((1, 1, len(SETTING.levers)), level)
        tried.append(path.scores(judged, None, shift).mean(1) / judged.nothing.mean(1))
    begin = np.full((6, path.ticks, len(SETTING.levers)), -0.5, np.float32)
    rng = np.random.default_rng(0)
    climb = SMALL._replace(steps=50, noises=16)
    found = ascend(path, None, begin, climb, rng, parts={"constant": 1.0})
    assert np.ptp(found, axis=1).max() < 1e-6  # a constant stays one
    reached = path.scores(judged, None, found).mean(1) / judged.nothing.mean(1)
    best = np.max(tried, axis=0)  # one level for all bids
    assert (reached > best - 0.03 * (best - 1)).all()
    assert reached.mean() >= best.mean() - 0.01


@pytest.mark.slow
def test_it_is_above_where_it_starts_and_not_below_the_best_start(path, judged):
    starts = {
        "low": Start(low_bids()),
        "rule": Start(make_rule("PID", plan_spec(SETTING))),
        "open": Start(make_rule("PID", plan_spec(SETTING)), open_loop=True),
    }
    steps = []
    found = informed(path, starts, SMALL, lambda *news: steps.append(news))
    assert len(steps) == 3 * SMALL.steps
    assert found.draws == SMALL.steps * SMALL.noises >= 64
    nothing = judged.nothing.mean(1)
    mine = scores_of(path, found, starts, judged).mean(1) / nothing
    plain = [path.scores(judged, s.policy).mean(1) / nothing for s in starts.values()]
    assert mine.mean() > plain[0].mean() + 0.3
    assert mine.mean() > np.max(plain, axis=0).mean() - 0.01
    again = informed(path, starts, SMALL)
    assert all(np.array_equal(again.shifts[name], found.shifts[name]) for name in starts)


def test_parts_that_are_common_are_the_same_for_all(path):
    begin = np.zeros((6, path.ticks, len(SETTING.levers)), np.float32)
    climb = SMALL._replace(steps=2, noises=2)
    rng = np.random.default_rng(1)
    shift = ascend(path, low_bids(), begin, climb, rng, parts={"hours": 1.0}, common=("hours",))
    assert np.abs(shift).max() > 0
    assert (shift == shift[:1]).all()


def test_an_open_loop_begins_at_what_the_policy_does(path):
    actions = mean_actions(path, low_bids(), new_keys(np.random.default_rng(2), 3))
    assert actions.shape == (6, path.ticks, len(SETTING.levers))
    assert actions[:, 0].max() < -0.4  # a third of the usual bid
    starts = {"open": Start(low_bids(), open_loop=True)}
    found = informed(path, starts, SMALL._replace(steps=1, noises=2, choosing=2))
    assert acted(found, starts, 0)[0] is None
    assert acted(found, starts, 1) == (starts["open"].policy, None)


def test_it_starts_from_something(path):
    with pytest.raises(ValueError, match="starts is empty"):
        informed(path, {})
