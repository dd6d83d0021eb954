"""The clairvoyant: exact in replay, never worse than where it starts, its own search for every
episode.
"""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.references import Search, clairvoyant, replay, replay_on_fresh_noise
from chengfang.agents.references.clairvoyant import default_starts
from chengfang.envs import Setting, load_scenario, select_levers
from chengfang.experiments.runs.evaluate import evaluate

SCENARIO = load_scenario()
LEVERS = select_levers("coupon")
SEEDS = np.arange(70, 78)
SHORT = Search(population=12, iterations=6)


@pytest.fixture(scope="module")
def found():
    return clairvoyant(Setting(SCENARIO, LEVERS, 1), SEEDS, search=SHORT)


def test_replay_gives_exactly_the_value_it_claims(found):
    again = replay(Setting(SCENARIO, LEVERS, 1), SEEDS, found.actions)
    assert all(np.array_equal(again[name], found.plans[name], equal_nan=True) for name in again)
    assert found.actions.shape == (8, 24, len(LEVERS))
    assert np.abs(found.actions).max() <= 1


def test_never_worse_than_any_start(found):
    assert (found.plans["score"] >= found.start).all()
    spec = plan_spec(Setting(SCENARIO, LEVERS, 1))
    for name in ("DoNothing", "PID", "DualMirrorDescent", "UniformCoupon"):
        rule = evaluate(
            make_rule(name, spec), Setting(SCENARIO, LEVERS, 1), len(SEEDS), int(SEEDS[0]), {}
        )
        assert (found.plans["score"] >= rule.plans["score"]).all(), name


def test_search_finds_more(found):
    assert (found.plans["score"] > found.start).mean() > 0.5
    longer = clairvoyant(Setting(SCENARIO, LEVERS, 1), SEEDS, search=SHORT._replace(iterations=20))
    assert longer.plans["score"].mean() > found.plans["score"].mean()


def test_every_episode_has_its_own_search(found):
    """Neither the other episodes nor the batch they are searched in change a plan."""
    some = clairvoyant(Setting(SCENARIO, LEVERS, 1), SEEDS[3:5], search=SHORT._replace(batch=12))
    assert np.array_equal(some.actions, found.actions[3:5])


def test_own_starts():
    spec = plan_spec(Setting(SCENARIO, LEVERS, 1))
    only = clairvoyant(
        Setting(SCENARIO, LEVERS, 1),
        SEEDS[:2],
        search=SHORT._replace(iterations=0),
        starts=[make_rule("PID", spec)],
    )
    assert np.array_equal(only.plans["score"], only.start)
    assert len(default_starts(Setting(SCENARIO, LEVERS, 1))) > 10


@pytest.mark.parametrize(
    ("field", "value"), [("population", 1), ("memory", 1.0), ("per_day", -1), ("elite_share", 0)]
)
def test_bad_settings_are_named(field, value):
    with pytest.raises(ValueError, match=rf"search.{field} is {value}"):
        clairvoyant(Setting(SCENARIO, LEVERS, 1), SEEDS, search=Search()._replace(**{field: value}))


def test_on_fresh_noise_the_plans_lose_what_they_were_fitted_to():
    """Constant plans searched hard on few orders: the claim is above what they earn elsewhere; each
    seed meets the same noises in any batch.
    """
    setting = Setting(SCENARIO, LEVERS, 1)
    seeds = np.arange(90, 114)
    fitted = clairvoyant(setting, seeds, search=SHORT._replace(iterations=12, per_day=6))
    fresh = replay_on_fresh_noise(setting, seeds, fitted.actions, noises=6)
    assert fresh.shape == (24, 6)
    assert fresh.mean() < fitted.plans["score"].mean()
    some = replay_on_fresh_noise(setting, seeds[3:5], fitted.actions[3:5], noises=6)
    assert np.array_equal(some, fresh[3:5])
    assert len(np.unique(fresh[0])) == 6


def test_a_replay_refuses_what_does_not_fit(found):
    setting = Setting(SCENARIO, LEVERS, 1)
    with pytest.raises(ValueError, match="noises is 0; allowed is 1 or more"):
        replay_on_fresh_noise(setting, SEEDS, found.actions, noises=0)
    with pytest.raises(
        ValueError, match=r"actions has shape \(7, 24, 8\); allowed is \(8, 24, 8\)"
    ):
        replay_on_fresh_noise(setting, SEEDS, found.actions[:7])
