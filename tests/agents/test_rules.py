"""Rules: what all of them keep to, and what each is known for."""

import copy

import numpy as np
import pytest
from chengfang.agents import RULES, Policy, Reading, make_rule, plan_spec
from chengfang.agents.rules import lever_action
from chengfang.agents.rules.base import pace_error, roi_error
from chengfang.envs import (
    FEATURE_NAMES,
    LEVER_NAMES,
    TASKS,
    Market,
    dashboard,
    lever_value,
    load_scenario,
    select_levers,
    short_name,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SIZE = 48
rules = pytest.mark.parametrize("name", RULES)
tasks = pytest.mark.parametrize("task", TASKS, ids=[short_name(task) for task in TASKS])
COLUMN = {name: i for i, name in enumerate(FEATURE_NAMES)}


def spec_of(levers="super_plan", days=1, scenario="default"):
    return plan_spec(load_scenario(scenario), select_levers(levers), days)


def market_of(levers="super_plan", days=1, size=SIZE, scenario="default", **keywords):
    return Market(load_scenario(scenario), size, days=days, levers=levers, **keywords)


def play(policy, market, seed=0, watch=None):
    """One episode of every merchant; returns the dashboard."""
    seen = market.reset(seeds=np.arange(seed, seed + market.num_envs))
    state, start = None, np.ones(market.num_envs, bool)
    for _ in range(market.ticks):
        action, state = policy.predict(seen.copy(), state, start)
        if watch:
            watch(action, state)
        seen, start = market.step(action), np.zeros(market.num_envs, bool)
    return dashboard(market.states, market.merchants, market.world.constants[0])


# All rules -------------------------------------------------------------------------------------------------------

@tasks
@rules
def test_actions_are_finite_in_the_box_and_of_the_right_shape(name, task):
    market = market_of(task.levers, min(task.days, 2), 8, task.scenario)
    rule = make_rule(name, plan_spec(market.scenario, market.levers, market.days))
    assert isinstance(rule, Policy)

    def check(action, state):
        assert action.shape == (8, len(market.levers))
        assert action.dtype == np.float32
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1
        assert all(np.isfinite(values).all() for values in state.values())

    play(rule, market, watch=check)


@tasks
@rules
def test_batch_equals_one_by_one(name, task):
    market = market_of(task.levers, 1, 5, task.scenario)
    rule = make_rule(name, plan_spec(market.scenario, market.levers, 1))
    alone = [market_of(task.levers, 1, 1, task.scenario) for _ in range(5)]
    seen = market.reset(seeds=np.arange(5)).copy()
    for i, one in enumerate(alone):
        one.reset(seeds=np.array([i]))
    state, states, start = None, [None] * 5, np.ones(5, bool)
    for _ in range(market.ticks):
        action, state = rule.predict(seen, state, start)
        for i, one in enumerate(alone):
            single, states[i] = rule.predict(one.observations.copy(), states[i], start[:1])
            assert single[0].tobytes() == action[i].tobytes()
            one.step(single)
        seen, start = market.step(action).copy(), np.zeros(5, bool)


@rules
def test_one_observation_without_a_batch(name):
    rule = make_rule(name, spec_of())
    seen = market_of(size=3).reset(seeds=np.arange(3)).copy()
    batch, _ = rule.predict(seen)
    action, _ = rule.predict(seen[1])
    assert action.shape == (22,)
    assert action.tobytes() == batch[1].tobytes()


@rules
def test_episode_start_resets_memory(name):
    """A rule in its second episode acts as in its first, for those envs alone that have begun anew."""
    market = market_of(size=6)
    rule = make_rule(name, spec_of())
    first = market.reset(seeds=np.arange(6)).copy()
    wanted, fresh = rule.predict(first, None, np.ones(6, bool))
    fresh = copy.deepcopy(fresh)
    state, seen, action = None, first, wanted
    for t in range(10):
        action, state = rule.predict(seen, state, np.full(6, t == 0))
        seen = market.step(action).copy()
    mask = np.array([True, False, True, False, False, True])
    carried, _ = rule.predict(seen, copy.deepcopy(state), np.zeros(6, bool))
    mixed = np.where(mask[:, None], first, seen)
    action, state = rule.predict(mixed, state, mask)
    assert action[mask].tobytes() == wanted[mask].tobytes()
    assert action[~mask].tobytes() == carried[~mask].tobytes()
    for key, values in fresh.items():
        np.testing.assert_array_equal(state[key][mask], values[mask], err_msg=key)


def test_state_handed_in_stays_the_callers():
    """Planning from a remembered state needs that predict does not write into it."""
    written = []
    for name in RULES:
        market = market_of(size=4)
        rule = make_rule(name, spec_of())
        seen = market.reset(seeds=np.arange(4)).copy()
        action, state = rule.predict(seen)
        seen = market.step(action).copy()
        kept = copy.deepcopy(state)
        rule.predict(seen, state, np.zeros(4, bool))
        written += [f"{name}: {key}" for key, values in kept.items() if not np.array_equal(state[key], values)]
    assert not written


@rules
def test_observation_is_not_written_to(name):
    seen = market_of(size=4).reset(seeds=np.arange(4)).copy()
    kept = seen.tobytes()
    make_rule(name, spec_of()).predict(seen)
    assert seen.tobytes() == kept


@rules
def test_extreme_observations_are_survived(name):
    """Whatever the Box allows gives an action in the Box."""
    rng = np.random.default_rng(0)
    seen = rng.choice([-10, -3, 0, 1e-3, 1, 10], (256, len(FEATURE_NAMES))).astype(np.float32)
    rule = make_rule(name, spec_of("all"))
    state = None
    for _ in range(5):
        action, state = rule.predict(seen, state, np.full(256, state is None))
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1
        seen = rng.permutation(seen)


@rules
def test_unknown_parameters_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} has no parameter speeed; allowed are depth, "):
        make_rule(name, spec_of(), speeed=1.0)


@rules
def test_parameters_are_taken(name):
    rule = make_rule(name.upper(), spec_of(), depth=0.01)
    assert rule.depth == 0.01
    assert set(rule.defaults) <= set(rule.parameters)
    with pytest.raises(AttributeError):
        _ = rule.speeed


@rules
def test_rules_can_be_copied(name):
    import pickle
    rule = make_rule(name, spec_of())
    seen = market_of(size=2).reset(seeds=np.arange(2)).copy()
    for twin in (copy.deepcopy(rule), pickle.loads(pickle.dumps(rule))):
        assert twin.predict(seen)[0].tobytes() == rule.predict(seen)[0].tobytes()


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="rule is 'PDI'; allowed are DoNothing, FixedBid"):
        make_rule("PDI", spec_of())


@rules
def test_rule_says_what_it_is(name):
    assert RULES[name].__doc__
    assert RULES[name].__name__ == name


# lever_action ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("lever", LEVER_NAMES)
@given(action=st.floats(-1, 1, width=32))
@settings(max_examples=40, derandomize=True, deadline=None, database=None)
def test_lever_action_inverts_lever_value(lever, action):
    spec = spec_of("all")
    entry = spec.table[LEVER_NAMES.index(lever)]
    value = lever_value(entry, action)
    back = lever_action(spec, lever, value)
    assert lever_value(entry, float(back)) == pytest.approx(value, rel=1e-5, abs=1e-6)
    if entry.mapping == "log" or entry.low < entry.default < entry.high:
        assert float(back) == pytest.approx(action, abs=2e-5)


@pytest.mark.parametrize("lever", LEVER_NAMES)
def test_lever_action_of_what_is_out_of_reach_is_the_nearest_end(lever):
    spec = spec_of("all")
    entry = spec.table[LEVER_NAMES.index(lever)]
    action = lever_action(spec, lever, np.array([-1e9, entry.low, entry.default, entry.high, 1e9]))
    np.testing.assert_allclose(action[[0, 2, 4]], [-1, 0, 1], atol=1e-6)
    assert action.dtype == np.float32


def test_rule_bids_what_it_means():
    """FixedBid's multiplier is the plan's bid over the reference, whether through one lever or four."""
    for levers in ("bidding", "coupon"):
        market = market_of(levers, size=4)
        play(make_rule("FixedBid", plan_spec(market.scenario, market.levers, 1), multiplier=0.6), market)
        control = market.states["control"]
        np.testing.assert_allclose(control[:, 0] * control[:, 1:5].T, 0.6, rtol=1e-4)


def test_rule_bids_what_it_means_under_another_default():
    scenario = load_scenario("default", {"auction.bid_default": 0.5})
    for levers in ("bidding", "coupon"):
        market = Market(scenario, 2, days=1, levers=levers)
        play(make_rule("FixedBid", plan_spec(scenario, market.levers, 1), multiplier=0.8), market)
        control = market.states["control"]
        np.testing.assert_allclose(control[:, 0] * control[:, 1:5].T, 0.8, rtol=1e-4, err_msg=levers)


def test_reading_by_name():
    seen = np.arange(3 * len(FEATURE_NAMES), dtype=np.float32).reshape(3, -1)
    reading = Reading(seen)
    assert len(reading) == 3
    assert reading["margin"].tolist() == seen[:, COLUMN["margin"]].tolist()
    assert reading.each(["time_left", "margin"]).shape == (3, 2)
    assert len(Reading(seen[0])) == 1
    with pytest.raises(KeyError):
        reading["price_shock"]


def test_errors_are_zero_on_plan():
    seen = np.zeros((1, len(FEATURE_NAMES)), np.float32)
    seen[0, [COLUMN["budget_left"], COLUMN["traffic_left"]]] = 0.4
    assert pace_error(Reading(seen))[0] == pytest.approx(0)
    assert roi_error(Reading(seen))[0] == 0
    seen[0, COLUMN["budget_left"]] = 0.8
    assert pace_error(Reading(seen))[0] == pytest.approx(np.log(2))


# What each is known for ------------------------------------------------------------------------------------------

def episodes(name, days=2, levers="super_plan", size=192, **parameters):
    market = market_of(levers, days, size, split="test")
    return play(make_rule(name, plan_spec(market.scenario, market.levers, days), **parameters), market)


@pytest.mark.parametrize("levers", ["bidding", "allocation", "coupon", "super_plan"])
def test_do_nothing_spends_nothing(levers):
    plan = episodes("DoNothing", 1, levers, 32)
    for name in ("spend", "impressions_ad", "boost_spend"):
        assert (plan[name] == 0).all(), name
    if levers in ("coupon", "super_plan"):
        assert (plan["coupon_cost"] == 0).all()


def test_do_nothing_is_the_passive_market():
    """The zero of every share: same merchants, same random numbers, same sales to the fen."""
    plan = episodes("DoNothing", 2, "super_plan", 32)
    market = market_of("super_plan", 2, 32, split="test", passive=True)
    market.reset(seeds=np.arange(32))
    idle = np.zeros((32, len(market.levers)), np.float32)
    for _ in range(market.ticks):
        market.step(idle)
    nothing = dashboard(market.states, market.merchants, market.world.constants[0])
    for name in ("settled_gmv", "gmv", "profit", "orders"):
        np.testing.assert_array_equal(plan[name], nothing[name], err_msg=name)


def test_fixed_bid_spends_more_the_higher_it_bids():
    spends = [episodes("FixedBid", multiplier=m)["spend"].mean() for m in (0.3, 0.6, 1.0, 1.5)]
    assert spends == sorted(spends)


def test_even_pacing_spends_the_budget_of_the_budget_bound():
    """Merchants whose budget a bid of 1.5 exhausts: EvenPacing uses most of it, and not all at once."""
    bound = episodes("FixedBid", multiplier=1.5)["budget_use"] > 0.98
    assert bound.mean() > 0.2
    plan = episodes("EvenPacing")
    assert np.median(plan["budget_use"][bound]) > 0.9


def test_even_pacing_follows_traffic():
    market = market_of("super_plan", 2, 192, split="test")
    rule = make_rule("EvenPacing", plan_spec(market.scenario, market.levers, 2))
    gaps = []
    plan = play(rule, market, watch=lambda action, state: gaps.append(
        market.observations[:, COLUMN["budget_left"]] - market.observations[:, COLUMN["traffic_left"]]))
    spends_all = plan["budget_use"] > 0.9
    assert spends_all.any()
    assert np.median(np.abs(np.array(gaps)[:, spends_all])) < 0.1


def test_pid_violates_the_target_less_often_than_a_loud_bid():
    loud, steered = episodes("FixedBid", multiplier=1.5), episodes("PID")
    assert steered["violated"].mean() < 0.6 * loud["violated"].mean()
    assert steered["score"].mean() > loud["score"].mean()


@pytest.mark.parametrize("name", ["ManualOperator", "DualMirrorDescent", "FourPlans", "UniformCoupon"])
def test_steering_rules_violate_less_than_a_loud_bid(name):
    assert episodes(name)["violated"].mean() < episodes("FixedBid", multiplier=1.5)["violated"].mean()


@pytest.mark.parametrize("name", [n for n in RULES if n != "DoNothing"])
def test_every_rule_beats_nothing(name):
    """Median score above the shop's own: ads and coupons are worth something under every rule."""
    assert np.median(episodes(name)["score"] / episodes("DoNothing")["score"]) > 1


def test_uniform_coupon_is_uniform_and_spends_its_budget():
    market = market_of("super_plan", 2, 64, split="test")
    columns = [i for i, n in enumerate(market.levers) if n.startswith("tilt_")]
    pools = [i for i, n in enumerate(market.levers) if n.startswith("coupon_")]

    def check(action, _):
        assert not action[:, columns].any()
        assert (action[:, pools] == action[:, pools[:1]]).all()

    plan = play(make_rule("UniformCoupon", plan_spec(market.scenario, market.levers, 2)), market, watch=check)
    assert plan["coupon_cost"].sum() > 0.6 * plan["coupon_budget"].sum()


def test_four_plans_keep_each_scene_to_its_share():
    market = market_of("super_plan", 2, 64, split="test")
    rule = make_rule("FourPlans", plan_spec(market.scenario, market.levers, 2))
    plan = play(rule, market)
    for scene in ("feed", "live", "mall", "search"):
        assert (plan[f"spend_{scene}"] <= rule.parameters[f"share_{scene}"] * plan["budget"] * 1.01 + 1).all(), scene


def test_manual_operator_moves_by_a_tenth_every_few_ticks():
    market = market_of("bidding", 1, 16)
    seen = []
    play(make_rule("ManualOperator", plan_spec(market.scenario, market.levers, 1)), market,
         watch=lambda action, state: seen.append(state["multiplier"].copy()))
    steps = np.round(np.exp(np.diff(np.log(np.array(seen)), axis=0)), 6)
    assert set(np.unique(steps)) <= {0.9, 1.0, 1.1}
    moved = steps != 1
    assert not (moved[1:] & moved[:-1]).any()
