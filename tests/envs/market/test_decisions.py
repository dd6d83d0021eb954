"""A decision that stands for several ticks: actions in between are not read."""

import numpy as np
import pytest
from chengfang.envs import Market, load_scenario
from chengfang.envs.scenario import ScenarioError

N = 8
HOLD = 6
STANDING = {"clock.decision_hours": 6}


def opened(changes=STANDING, **options):
    market = Market(load_scenario("default", changes), N, days=1, levers="super_plan", **options)
    market.reset(seeds=np.arange(N))
    return market


def some_actions(market):
    shape = (market.ticks, N, len(market.levers))
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def played(market, actions):
    for action in actions:
        market.step(action)
    return market


def outcome(market):
    """Everything but the decision that is kept."""
    return [market.states[name].tobytes() for name in market.states.dtype.names]


def test_a_decision_that_stands_is_that_decision_in_every_tick():
    market = opened()
    actions = some_actions(market)
    repeated = np.repeat(actions[::HOLD], HOLD, 0)
    assert outcome(played(market, actions)) == outcome(played(opened({}), repeated))


def test_where_decisions_stand_for_a_tick_every_action_counts():
    actions = some_actions(opened())
    repeated = np.repeat(actions[::HOLD], HOLD, 0)
    assert outcome(played(opened({}), actions)) != outcome(played(opened({}), repeated))


def test_actions_in_between_are_not_read_but_have_to_be_numbers():
    actions = some_actions(opened())
    other = actions.copy()
    other[1::HOLD] = 0.9
    assert outcome(played(opened(), actions)) == outcome(played(opened(), other))
    market = opened()
    market.step(actions[0])
    with pytest.raises(ValueError, match="allowed are finite numbers"):
        market.step(np.full_like(actions[1], np.nan))


def test_a_saved_state_keeps_the_decision():
    market = opened()
    actions = some_actions(market)
    played(market, actions[:8])
    kept = market.get_state()
    end = outcome(played(market, actions[8:]))
    again = opened()
    again.set_state(kept)
    assert outcome(played(again, actions[8:])) == end


def test_the_platform_goes_on_bidding_between_decisions():
    market = opened(STANDING | {"bidder.platform": True}, sampled=False)
    levels = []
    for action in some_actions(market)[:HOLD]:
        market.step(action)
        levels.append(market.states["pace_level"].copy())
    assert (np.abs(np.diff(np.array(levels), axis=0)).max(0) > 0).mean() > 0.5


def test_a_day_has_the_same_decisions_in_short_ticks():
    scenario = load_scenario("default", STANDING | {"clock.ticks_per_day": 96})
    assert scenario.clock.decision_ticks == 24


@pytest.mark.parametrize("hours", [5, 7, 9])
def test_hours_that_do_not_make_up_a_day_are_refused(hours):
    with pytest.raises(ScenarioError, match="allowed are 0 and divisors of 24"):
        load_scenario("default", {"clock.decision_hours": hours})
