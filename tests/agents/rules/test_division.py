"""Rules that divide money above the platform's bidder."""

import numpy as np
import pytest
from chengfang.agents import Policy, Reading, find_policy, make_rule, plan_spec, rollout
from chengfang.agents.rules import DIVISION_RULES, RULES
from chengfang.agents.rules.division import LEVELS, desired_spend, log_softmax
from chengfang.agents.rules.estimates.landscape import bid_depth
from chengfang.agents.rules.numbers import numbers
from chengfang.envs import FEATURE_NAMES, LEVER_SETS, Market, Setting, load_scenario
from scipy.special import ndtr

N = 96
rules = pytest.mark.parametrize("name", DIVISION_RULES)
SCENARIO = load_scenario("default", {"bidder.platform": True, "predictor.noise": 0.5})


def market_of(size=N, levers="division", sampled=True, noop=False):
    return Market(SCENARIO, size, days=1, levers=levers, sampled=sampled, noop=noop)


def score(market):
    plan = market.dashboard()
    target = market.merchants["roi_target"].astype(float)
    roi = plan["settled_gmv"] / np.maximum(plan["overall_cost"], 1e-9)
    return plan["settled_gmv"] * np.minimum(1, (roi / target) ** 2)


def played(name, market, **parameters):
    rollout(make_rule(name, plan_spec(market.setting), **parameters), market, np.arange(N))
    return score(market)


def test_they_stand_apart_and_are_found_by_name():
    assert not set(DIVISION_RULES) & set(RULES)
    setting = Setting(SCENARIO, LEVER_SETS["division"], 1)
    for name, rule in DIVISION_RULES.items():
        assert isinstance(find_policy(name.lower(), setting), rule)
        assert (rule.common, rule.defaults) == tuple(numbers(name))
        assert rule.__doc__


@rules
@pytest.mark.parametrize("levers", ["division", "all", "bidding"])
def test_actions_are_finite_in_the_box_and_of_the_right_shape(name, levers):
    market = market_of(8, levers)
    rule = make_rule(name, plan_spec(market.setting))
    assert isinstance(rule, Policy)

    def check(seen, action):
        assert action.shape == (8, len(market.levers))
        assert action.dtype == np.float32
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1

    rollout(rule, market, np.arange(8), on_action=check)


@rules
def test_batch_equals_one_by_one(name):
    whole, alone = market_of(4), market_of(1)
    actions, single = [], []
    rule = make_rule(name, plan_spec(whole.setting))
    rollout(rule, whole, np.arange(4), on_action=lambda seen, action: actions.append(action))
    rollout(rule, alone, np.array([2]), on_action=lambda seen, action: single.append(action))
    np.testing.assert_array_equal(np.array(actions)[:, 2], np.array(single)[:, 0])


@rules
def test_extreme_observations_are_survived(name):
    rng = np.random.default_rng(0)
    seen = rng.choice([-10, -3, 0, 1e-3, 1, 10], (256, len(FEATURE_NAMES))).astype(np.float32)
    rule = make_rule(name, plan_spec(market_of(1).setting))
    state = None
    for _ in range(5):
        action, state = rule.predict(seen, state, np.full(256, state is None))
        assert np.isfinite(action).all()
        seen = rng.permutation(seen)


def test_even_division_leaves_everything_to_the_platform():
    market = market_of(4)
    actions = []
    rule = make_rule("EvenDivision", plan_spec(market.setting))
    rollout(rule, market, np.arange(4), on_action=lambda seen, action: actions.append(action))
    assert not np.any(actions)


def test_marginal_division_earns_more_than_the_even_one():
    market = market_of()
    even, marginal = played("EvenDivision", market), played("MarginalDivision", market)
    assert marginal.mean() > 1.005 * even.mean()


def test_all_scenes_together_spend_what_is_allowed_at_one_marginal_cost():
    rng = np.random.default_rng(0)
    price, worth = rng.normal(0, 0.4, (50, 4)), rng.normal(0, 0.3, (50, 4))
    usage, sigma = rng.uniform(0.2, 2, (50, 4)), 1.3
    rate = rng.uniform(0.3, 1.5, 50)
    spend = desired_spend(price, usage, worth, rate, sigma)
    np.testing.assert_allclose(spend.sum(1), rate, rtol=1e-6)
    for i in range(3):  # each scene's spend, found again on a fine grid of the common cost
        depth = bid_depth(np.linspace(-3, 3, 6001)[:, None] + worth[i] - price[i], sigma)
        fine = usage[i] * np.exp(price[i] + sigma * depth) * ndtr(depth)
        at = np.abs(fine.sum(1) - rate[i]).argmin()
        np.testing.assert_allclose(spend[i], fine[at], rtol=0.02)
    assert LEVELS[0] < LEVELS[-1]


def test_a_scene_worth_more_is_given_more():
    worth = np.array([[0.5, 0, 0, 0]])
    spend = desired_spend(np.zeros((1, 4)), np.ones((1, 4)), worth, np.ones(1), 1.3)
    assert spend[0, 0] > 1.3 * spend[0, 1]
    np.testing.assert_allclose(spend[0, 1:], spend[0, 1])


def test_what_it_starts_from_is_the_scenarios_division():
    market = market_of(4)
    rule = make_rule("MarginalDivision", plan_spec(market.setting))
    market.reset(seeds=np.arange(4))
    memory = rule.start(Reading(market.observations))
    np.testing.assert_allclose(memory["log_share"], np.log(0.25))
    np.testing.assert_allclose(np.exp(log_softmax(np.array([0.0, 1, -1, 0.3]))).sum(), 1)
