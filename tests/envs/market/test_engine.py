"""A market of one stepped alone is the batch's market, and wrong actions change nothing."""

import copy
import pickle

import numpy as np
import pytest
from chengfang.envs import FEATURES, Market, task_setting

FIELDS = ("states", "merchants", "cells", "observations", "rewards", "dones", "costs")


def market(n=1, **options):
    found = Market.of(task_setting("Bidding"), n, **options)
    found.reset(seeds=np.arange(n) + 5)
    return found


def bits(of, i=0):
    """Everything market i is, field by field: what lies between the fields of a record is free."""
    values = [getattr(of, field)[i] for field in FIELDS]
    return [
        part.tobytes()
        for value in values
        for part in ([value[name] for name in value.dtype.names] if value.dtype.names else [value])
    ]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_step_single_is_a_step(kind):
    single, batch = market(), market(3)
    action = np.linspace(-1.2, 1, len(single.levers)).astype(kind)
    done = False
    for _ in range(single.ticks):
        observation, reward, done, costs = single.step_single(action)
        batch.step(np.tile(action, (3, 1)))
        assert bits(single) == bits(batch)
        assert observation.tobytes() == batch.observations[0].tobytes()
        assert (reward, done) == (batch.rewards[0], batch.dones[0])
        assert costs == batch.costs[0].tolist()
    assert done is True


@pytest.mark.parametrize("options", [{"reward": "incremental"}, {"noop": True}])
def test_step_single_of_a_market_with_more_to_do(options):
    single, batch = market(**options), market(2, **options)
    action = np.zeros(len(single.levers), np.float32)
    for _ in range(3):
        single.step_single(action)
        batch.step(np.tile(action, (2, 1)))
        assert bits(single) == bits(batch)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_changes_nothing(wrong):
    single = market()
    before = bits(single)
    action = np.zeros(len(single.levers), np.float32)
    action[2] = wrong
    with pytest.raises(ValueError, match=f"lever {single.levers[2]}, is {wrong}"):
        single.step_single(action)
    with pytest.raises(ValueError, match="finite"):
        single.step(action[None])
    assert bits(single) == before


@pytest.mark.parametrize("shape", [(), (1,), (7,), (1, 4)])
def test_an_action_of_another_shape_changes_nothing(shape):
    single = market()
    before = bits(single)
    with pytest.raises(ValueError, match=r"expected \(1, 4\)"):
        single.step_single(np.zeros(shape, np.float32))
    assert bits(single) == before


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("reward", ["settled_gmv", "incremental"])
def test_copies_go_on_alone(clone, reward):
    first = market(reward=reward)
    action = np.full(len(first.levers), 0.3, np.float32)
    first.step_single(action)
    other = clone(first)
    assert bits(other) == bits(first)
    first.step_single(action)
    assert bits(other) != bits(first)
    other.step_single(action)
    assert bits(other) == bits(first)


def test_a_state_without_counterfactuals_is_refused_in_sentences():
    with pytest.raises(ValueError, match="1 markets without counterfactuals; expected 1 with rew"):
        market(reward="incremental").set_state(market().get_state())


def test_batches_of_one_batch_api_and_single_steps_can_be_mixed():
    single, other = market(), market()
    action = np.full(len(single.levers), -0.4, np.float32)
    single.step_single(action)
    single.step(action[None])
    single.step_single(action)
    for _ in range(3):
        other.step_single(action)
    assert bits(single) == bits(other)


@pytest.mark.parametrize("size", [1, 3])
def test_no_op_can_be_switched_on_and_off(size):
    """As a market that was opened to do nothing, and as one that was not."""
    setting = task_setting("Bidding")
    switched = Market.of(setting, size)
    start = switched.reset(seeds=np.arange(size)).copy()
    state = switched.get_state()
    actions = np.ones((size, len(setting.levers)), np.float32)
    scores = {}
    for noop in (True, False):
        opened = Market.of(setting, size, noop=noop)
        opened.reset(seeds=np.arange(size))
        switched.set_state(state)
        switched.noop = noop
        for _ in range(switched.ticks):
            opened.step(actions)
            if size == 1:
                switched.step_single(actions[0])
            else:
                switched.step(actions)
        scores[noop] = switched.dashboard()["spend"]
        assert (scores[noop] == opened.dashboard()["spend"]).all()
    assert (scores[True] == 0).all()
    assert (scores[False] > 0).all()
    assert start.shape == (size, len(FEATURES))


@pytest.mark.parametrize("name", ["states", "observations", "merchants"])
def test_arrays_are_written_into_not_replaced(name):
    market = Market.of(task_setting("Bidding"), 2)
    before = getattr(market, name)
    with pytest.raises(AttributeError, match=f"market.{name}"):
        setattr(market, name, before.copy())
    assert getattr(market, name) is before
