"""What a merchant reads at the end of an episode: complete, balanced, and what the rewards and
costs summed to.
"""

import numpy as np
import pytest
from chengfang.envs import Market, PromotionVectorEnv, SuperPlanEnv, load_scenario
from chengfang.envs.interface.feedback import REWARDS
from chengfang.envs.market.dashboard import single
from chengfang.envs.scenario import POOLS, SCENES, scenario_names

REQUIRED = (
    "spend",
    "budget",
    "coupon_cost",
    "coupon_budget",
    "impressions",
    "clicks",
    "orders",
    "gmv",
    "user_paid",
    "settled_gmv",
    "refunded_gmv",
    "commission",
    "service_fee",
    "overall_cost",
    "pay_roi",
    "net_roi",
    "overall_roi",
    "roi_target",
    "profit",
    "score",
)
SPLIT = ("impressions", "clicks", "orders", "gmv", "settled_gmv", "coupon_cost")
SIZE = 24


def assert_near(actual, desired) -> None:
    """Equal but for a fen."""
    np.testing.assert_allclose(actual, desired, rtol=1e-9, atol=0.011)


def play(
    scenario="default",
    changes=None,
    size=SIZE,
    days=2,
    seed=0,
    high=1.0,
    noop=False,
    ticks=None,
    **keywords,
):
    """Random play of some merchants; returns the market at its end and the sums of rewards and
    costs.
    """
    market = Market(
        load_scenario(scenario, changes), size, days=days, levers="all", noop=noop, **keywords
    )
    market.reset(seeds=np.arange(size))
    rng = np.random.default_rng(seed)
    rewards = np.zeros(size)
    costs = np.zeros((size, market.costs.shape[1]))
    for _ in range(ticks or market.ticks):
        market.step(rng.uniform(-1, high, (size, len(market.levers))).astype(np.float32))
        rewards += market.rewards
        costs += market.costs
    return market, rewards, costs


def read(market):
    return market.dashboard()


@pytest.fixture(scope="module")
def played():
    market, _, _ = play()
    return market, read(market)


# What is on it
# -------------------------------------------------------------------------------------------------


def test_required_figures_are_there(played):
    _, plan = played
    assert set(REQUIRED) <= set(plan)
    for name, values in plan.items():
        assert values.shape == (SIZE,), name
        assert not np.isnan(values).any(), name


def test_figures_are_floats_in_the_single_env():
    env = SuperPlanEnv(days=1)
    env.reset(seed=0)
    done, info = False, {}
    while not done:
        *_, done, _, info = env.step(np.zeros(len(env.levers), np.float32))
    assert set(REQUIRED) <= set(info["plan"])
    assert all(type(value) is float for value in info["plan"].values())
    assert info["plan"] == env.plan()


@pytest.mark.parametrize("metric", SPLIT)
@pytest.mark.parametrize("part", [SCENES, POOLS], ids=["scenes", "pools"])
def test_splits_sum_to_the_total(played, metric, part):
    """Every order has arrived and every refund is counted at the end: nothing is left over, to the
    fen per entry.
    """
    _, plan = played
    total = sum(plan[f"{metric}_{name}"] for name in part)
    np.testing.assert_allclose(total, plan[metric], rtol=1e-9, atol=0.01 * len(part))


def test_spend_splits_by_scene(played):
    _, plan = played
    assert_near(sum(plan[f"spend_{scene}"] for scene in SCENES), plan["spend"])


def test_funnel_narrows(played):
    _, plan = played
    for suffix in ("", *(f"_{n}" for n in (*SCENES, *POOLS))):
        assert (plan[f"clicks{suffix}"] <= plan[f"impressions{suffix}"]).all()
        assert (plan[f"orders{suffix}"] <= plan[f"clicks{suffix}"]).all()
    assert (plan["refunded_orders"] <= plan["orders"]).all()


# Identities
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", scenario_names())
def test_gmv_is_user_paid_and_coupons(name):
    days = load_scenario(name).seasons.plan_days or 1
    plan = read(play(name, days=days)[0])
    assert_near(plan["gmv"], plan["user_paid"] + plan["coupon_cost"] + plan["platform_coupon"])


def test_roi_definitions(played):
    _, plan = played
    for roi, top, bottom in (
        ("pay_roi", "gmv", "spend"),
        ("net_roi", "settled_gmv", "spend"),
        ("overall_roi", "settled_gmv", "overall_cost"),
    ):
        np.testing.assert_allclose(plan[roi], plan[top] / plan[bottom], rtol=1e-12)
    np.testing.assert_allclose(plan["roi"], plan["overall_roi"])
    np.testing.assert_allclose(
        plan["score"],
        plan["settled_gmv"] * np.minimum(1, plan["roi"] / plan["roi_target"]) ** 2,
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        plan["shortfall"], np.maximum(0, 1 - plan["roi"] / plan["roi_target"]), atol=1e-12
    )
    np.testing.assert_array_equal(plan["violated"], plan["roi"] < 0.98 * plan["roi_target"])
    np.testing.assert_allclose(plan["budget_use"], plan["spend"] / plan["budget"])


@pytest.mark.parametrize(
    ("kind", "roi"), [("overall", "overall_roi"), ("net", "net_roi"), ("pay", "pay_roi")]
)
def test_target_speaks_of_the_chosen_roi(kind, roi):
    plan = read(play(changes={"constraints.roi": kind}, days=1)[0])
    np.testing.assert_array_equal(plan["roi"], plan[roi])


def test_overall_cost_is_its_parts(played):
    """spend + commission + merchant's coupons + creative + service, less what refunds within the
    window gave back.
    """
    market, plan = played
    book = market.states["ledger"] / 100
    from chengfang.envs.market import layout as rows

    back = {
        name: book[:, rows.LEDGER_NAMES.index(f"settled_refund_{name}")]
        for name in ("coupon", "commission")
    }
    commission = book[:, rows.LEDGER_NAMES.index("commission")]
    parts = (
        plan["spend"]
        + commission
        - back["commission"]
        + plan["coupon_cost"]
        - back["coupon"]
        + plan["creative_cost"]
        + plan["service_cost"]
    )
    np.testing.assert_allclose(plan["overall_cost"], parts, rtol=1e-4)


@pytest.mark.parametrize(
    ("switch", "part"),
    [
        ("cost_commission", "commission"),
        ("cost_coupon", "coupon_cost"),
        ("cost_creative", "creative_cost"),
        ("cost_service", "service_cost"),
    ],
)
def test_each_part_of_the_overall_cost_can_be_left_out(switch, part):
    full = read(play(days=1)[0])
    less = read(play(changes={f"money.{switch}": False}, days=1)[0])

    # the budget is drawn against the target, so compare each plan with itself
    def outside(plan):
        return plan["overall_cost"] - plan["spend"]

    share = (outside(full) / full["spend"]).mean() - (outside(less) / less["spend"]).mean()
    if part != "creative_cost" or full[part].any():
        assert share > 0


def test_without_extra_costs_overall_cost_is_spend():
    off = {f"money.cost_{name}": False for name in ("commission", "coupon", "creative", "service")}
    plan = read(play(changes=off, days=1)[0])
    assert_near(plan["overall_cost"], plan["spend"])
    np.testing.assert_array_equal(plan["overall_roi"], plan["net_roi"])


def test_profit_is_what_is_left():
    """User paid + platform's coupons - refunds of both - every cost."""
    market, _, _ = play()
    plan = read(market)
    book = market.states["ledger"] / 100
    from chengfang.envs.market import layout as rows

    line = dict(zip(rows.LEDGER_NAMES, book.T, strict=True))
    income = (
        line["user_paid"]
        + line["coupon_platform"]
        - line["refund_user_paid"]
        - line["refund_coupon_platform"]
    )
    costs = (
        plan["spend"]
        + plan["commission"]
        + plan["service_fee"]
        + plan["goods_cost"]
        + plan["service_cost"]
        + plan["creative_cost"]
        - plan["rebate"]
        - plan["protection"]
    )
    np.testing.assert_allclose(plan["profit"], income - costs, rtol=1e-4, atol=1.0)


def test_budgets_are_kept(played):
    _, plan = played
    assert (plan["spend"] <= plan["budget"] + 1e-9).all()
    assert (plan["coupon_cost"] <= plan["coupon_budget"] + 1e-9).all()
    assert (plan["boost_spend"] <= plan["spend"] + 1e-9).all()


def test_settled_is_gmv_less_refunds_within_the_window():
    for window, share in (("90d", 1.0), ("1h", 0.25)):
        plan = read(play(changes={"refund.window": window}, days=1)[0])
        back = 1 - plan["settled_gmv"].sum() / plan["gmv"].sum()
        assert back == pytest.approx(
            share * plan["refunded_gmv"].sum() / plan["gmv"].sum(), rel=0.15
        )


def test_what_costs_nothing_returns_infinitely():
    market, _, _ = play(days=1, noop=True)
    plan = read(market)
    assert (plan["spend"] == 0).all()
    assert np.isinf(plan["pay_roi"]).all()
    assert np.isinf(plan["net_roi"]).all()
    assert (plan["score"] <= plan["settled_gmv"]).all()


def test_single_is_the_first_plan(played):
    _, plan = played
    assert single(plan) == {name: float(values[0]) for name, values in plan.items()}


# Rewards sum to results
# ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("reward", REWARDS)
@pytest.mark.parametrize("scenario", ["default", "dual_track"])
def test_rewards_sum_to_the_result(scenario, reward, sampled):
    """An episode's return is its result over budget * roi_target, to a part in a hundred thousand
    (float32 rewards).
    """
    market, rewards, _ = play(scenario, reward=reward, sampled=sampled)
    plan = read(market)
    results = {name: plan[name] for name in ("settled_gmv", "profit", "score")} | {
        "platform": plan["platform_take"]
    }
    if reward == "incremental":
        nothing, _, _ = play(scenario, sampled=sampled, noop=True)
        result = plan["settled_gmv"] - read(nothing)["settled_gmv"]
    else:
        result = results[reward]
    scale = plan["budget"] * plan["roi_target"]
    np.testing.assert_allclose(rewards, result / scale, rtol=2e-5, atol=2e-6)


def test_noop_market_does_nothing_whatever_the_actions():
    one, _, _ = play(days=1, noop=True, seed=0)
    two, _, _ = play(days=1, noop=True, seed=1)
    plan = read(one)
    for name in (
        "spend",
        "coupon_cost",
        "platform_coupon",
        "impressions_ad",
        "clicks_ad",
        "orders_ad",
        "gmv_ad",
    ):
        assert (plan[name] == 0).all(), name
    assert (plan["gmv"] > 0).all()
    # other levers (commission, service) are the plan's own; bids and coupons are not
    assert not np.array_equal(plan["gmv"], read(two)["gmv"])


@pytest.mark.parametrize("kind", ["overall", "net", "pay"])
@pytest.mark.parametrize("reward", ["settled_gmv", "score"])
def test_costs_sum_to_the_constraint(kind, reward):
    """sum of info["cost"] = (target * cost - value) / (budget * target)."""
    market, _, costs = play(changes={"constraints.roi": kind}, reward=reward)
    plan = read(market)
    value, cost = {
        "overall": ("settled_gmv", "overall_cost"),
        "net": ("settled_gmv", "spend"),
        "pay": ("gmv", "spend"),
    }[kind]
    wanted = (plan["roi_target"] * plan[cost] - plan[value]) / (plan["budget"] * plan["roi_target"])
    np.testing.assert_allclose(costs[:, 0], wanted, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(costs[:, 0] > 1e-5, plan["roi"] < plan["roi_target"] * (1 - 1e-5))


def test_costs_of_budgets_sum_to_the_shares_used():
    market, _, costs = play(high=1.0)
    plan = read(market)
    np.testing.assert_allclose(costs[:, 1], plan["spend"] / plan["budget"], rtol=1e-5)
    np.testing.assert_allclose(
        costs[:, 2],
        market.states["coupon_committed"] / market.merchants["coupon_budget"],
        rtol=1e-5,
    )
    assert (costs[:, 1:3] <= 1 + 1e-5).all()


def test_costs_of_optional_limits():
    changes = {"constraints.ad_load": 0.2, "constraints.refund_rate": 0.05}
    market, _, costs = play(changes=changes)
    plan = read(market)
    people = market.merchants["audience_scene"].sum(1)
    np.testing.assert_allclose(
        costs[:, 3],
        (plan["impressions_ad"] - 0.2 * plan["impressions"]) / people,
        rtol=1e-3,
        atol=1e-4,
    )
    refunds = plan["gmv"] - plan["settled_gmv"]
    np.testing.assert_allclose(
        costs[:, 4],
        (refunds - 0.05 * plan["gmv"]) / (plan["budget"] * plan["roi_target"]),
        rtol=1e-3,
        atol=1e-5,
    )


def test_infos_cost_sums_alike_in_the_single_env():
    env = SuperPlanEnv(days=1)
    env.reset(seed=4)
    env.action_space.seed(0)
    total = 0.0
    done, info = False, {}
    while not done:
        *_, done, _, info = env.step(env.action_space.sample())
        total += info["cost"]
    plan = info["plan"]
    wanted = (plan["roi_target"] * plan["overall_cost"] - plan["settled_gmv"]) / (
        plan["budget"] * plan["roi_target"]
    )
    assert total == pytest.approx(wanted, rel=1e-5, abs=1e-6)


def test_reward_parts_sum_to_the_plan():
    env = SuperPlanEnv(days=1, levers="all", reward_parts=True)
    env.reset(seed=1)
    env.action_space.seed(1)
    sums = {}
    done, info = False, {}
    while not done:
        *_, done, _, info = env.step(env.action_space.sample())
        for name, value in info["reward_parts"].items():
            sums[name] = sums.get(name, 0.0) + value
    plan = info["plan"]
    for part, total in (
        ("gmv", "gmv"),
        ("spend", "spend"),
        ("coupon_merchant", "coupon_cost"),
        ("creative", "creative_cost"),
        ("rebate", "rebate"),
        ("protection", "protection"),
    ):
        assert sums[part] == pytest.approx(plan[total], abs=0.01), part
    assert sums["service"] + sums["extras"] == pytest.approx(plan["service_cost"], abs=0.01)
    assert sums["gmv"] - sums["settled_refund_gmv"] == pytest.approx(plan["settled_gmv"], rel=1e-4)


def test_reward_parts_only_where_asked_for():
    env = SuperPlanEnv(days=1)
    env.reset(seed=1)
    *_, info = env.step(np.zeros(len(env.levers), np.float32))
    assert set(info) == {"cost", "costs"}


def test_plan_can_be_read_at_any_time():
    env = PromotionVectorEnv(3, days=1)
    env.reset(seed=0)
    before = env.market.dashboard()
    assert not before["gmv"].any()
    assert (before["roi_target"] > 0).all()
    middle, _, _ = play(days=1, ticks=9)
    plan = read(middle)
    assert (plan["settled_gmv"] > 0).all()
    assert (plan["spend"] < plan["budget"]).any()


def test_rewards_in_the_middle_are_what_has_accrued_so_far():
    market, rewards, _ = play(days=1, ticks=9)
    plan = read(market)
    np.testing.assert_allclose(
        rewards, plan["settled_gmv"] / (plan["budget"] * plan["roi_target"]), rtol=1e-5
    )
