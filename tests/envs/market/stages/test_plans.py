"""Several plans in one episode: each reads as a fresh one, and nothing is counted twice."""

from itertools import pairwise

import numpy as np
import pytest
from chengfang.envs import FEATURE_NAMES, Market, load_scenario
from chengfang.envs.market import layout as rows

N = 64
PLAN = 48  # ticks
COLUMN = {name: i for i, name in enumerate(FEATURE_NAMES)}
SEASON = {"seasons.plan_days": 2}
FRESH = {"time_left": 1, "budget_left": 1, "coupon_budget_left": 1, "traffic_left": 1}
EMPTY = ("settled_share", "cost_share", "roi_slack", "roi_gap", "refund_rate", "spent_feed")


def opened(changes=SEASON, n=N, days=6, **options):
    """Markets at the start of a season."""
    market = Market(load_scenario("default", changes), n, days=days, levers="super_plan", **options)
    market.reset(seeds=np.arange(n))
    return market


def some_actions(market, seed=0, ticks=None):
    shape = (ticks or market.ticks, market.num_envs, len(market.levers))
    return np.random.default_rng(seed).uniform(-0.6, 0.6, shape).astype(np.float32)


def season(market, seed=0):
    """States before every tick and after the last, and the sums of rewards and costs."""
    states = [market.states.copy()]
    rewards = np.zeros(market.rewards.shape)
    costs = np.zeros(market.costs.shape)
    for action in some_actions(market, seed):
        market.step(action)
        rewards += market.rewards
        costs += market.costs
        states.append(market.states.copy())
    return states, rewards, costs


@pytest.mark.parametrize("reward", ["score", "settled_gmv", "profit"])
def test_rewards_sum_to_what_all_plans_have_brought(reward):
    market = opened(reward=reward)
    _, rewards, _ = season(market)
    scale = market.merchants["budget"] * market.merchants["roi_target"].astype(float) / 100
    result = market.dashboard()[reward]
    np.testing.assert_allclose(rewards * scale, result, rtol=1e-5, atol=1e-5 * result.max())


def test_the_first_plan_is_the_merchants_own():
    several, one = opened(), opened({}, days=2)
    for i, action in enumerate(some_actions(one)):
        several.step(action)
        one.step(action)
        if i < PLAN - 1:
            assert several.observations.tobytes() == one.observations.tobytes()
            assert several.rewards.tobytes() == one.rewards.tobytes()
    assert one.dones.all()
    assert not several.dones.any()
    for name in ("budget", "coupon_budget", "roi_target"):
        assert (one.states[name] == one.merchants[name]).all()
        assert (several.merchants[name] == one.merchants[name]).all()


def test_a_plan_begins_with_empty_books_and_a_shop_that_goes_on():
    market = opened()
    for action in some_actions(market, ticks=PLAN - 1):
        market.step(action)
    before = market.states.copy()
    market.step(some_actions(market)[-1])
    after = market.states
    for name, value in FRESH.items():
        assert (market.observations[:, COLUMN[name]] == value).all(), name
    for name in EMPTY:
        assert (market.observations[:, COLUMN[name]] == 0).all(), name
    for name in ("ledger", "accrued", "scene_spend", "coupon_committed", "boost_spend", "placed"):
        assert (after[name] == 0).all(), name
    assert (after["pending"].sum((1, 2)) > 0).all()
    assert (after["refunds"].sum((1, 2)) > 0).all()
    assert (np.abs(after["quality"] - before["quality"]) < 0.05).all()
    assert (after["exposure"] > 1).all()
    moved = after["ledger"] - after["last_ledger"]
    np.testing.assert_array_equal(
        moved, after["season_ledger"] - before["ledger"] - before["season_ledger"]
    )


@pytest.mark.parametrize("sampled", [True, False])
def test_money_is_conserved_over_the_season_to_the_fen(sampled):
    """After the end the plans' results sum to the books, though orders settle in later plans."""
    market = opened(sampled=sampled)
    states, _, _ = season(market)
    s = states[-1]
    book = s["ledger"] + s["season_ledger"]
    line = {name: book[:, i] for i, name in enumerate(rows.LEDGER_NAMES)}
    accrued = s["accrued"] + s["season_accrued"]
    assert (s["pending"][:, : rows.AT_RISK] == 0).all()
    settled = line["gmv"] - line["settled_refund_gmv"]
    np.testing.assert_allclose(accrued[:, rows.A_SETTLED], settled, atol=0.01)
    np.testing.assert_allclose(accrued[:, rows.A_GMV], line["gmv"], atol=0.01)
    np.testing.assert_array_equal(
        line["gmv"], line["user_paid"] + line["coupon_merchant"] + line["coupon_platform"]
    )
    assert (s["opening"][:, rows.A_SETTLED] > 0).all()


def test_budgets_are_hard_in_every_plan():
    market = opened({**SEASON, "merchants.budget_low": 0.05, "merchants.budget_high": 0.3})
    states, _, _ = season(market)
    used = []
    for before, after in pairwise(states):
        went_on = after["plan"] == before["plan"]
        spend = np.where(
            went_on,
            after["ledger"][:, rows.L_SPEND],
            after["season_ledger"][:, rows.L_SPEND] - before["season_ledger"][:, rows.L_SPEND],
        )
        assert (spend <= before["budget"]).all()
        assert (before["coupon_committed"] <= before["coupon_budget"]).all()
        if not went_on.all():
            used.append(spend / before["budget"])
    assert len(used) == 2
    assert (np.array(used) > 0.999).mean() > 0.5


def test_budgets_and_targets_are_drawn_about_the_merchants():
    changes = {"seasons.plan_days": 1, "seasons.budget_sd": 0.4}
    market = opened(changes, n=400, days=6, noop=True)
    found = []
    for t in range(market.ticks):
        if t % 24 == 0:
            found.append(market.states[["budget", "coupon_budget", "roi_target"]].copy())
        market.step(np.zeros((400, len(market.levers)), np.float32))
    m = market.merchants
    budget = np.log([f["budget"] / m["budget"] for f in found[1:]])
    coupons = np.log([f["coupon_budget"] / m["coupon_budget"] for f in found[1:]])
    target = np.array([f["roi_target"] / m["roi_target"] for f in found[1:]])
    assert abs(budget.mean() + 0.08) < 4.5 * 0.4 / np.sqrt(budget.size)
    assert abs(budget.std() - 0.4) < 0.03
    np.testing.assert_allclose(budget, coupons, atol=1e-3)
    assert (target >= 0.9 - 1e-6).all()
    assert (target <= 1.1 + 1e-6).all()
    assert abs(target.mean() - 1) < 4.5 * 0.2 / np.sqrt(12 * target.size)
    assert abs(np.corrcoef(budget[0], budget[1])[0, 1]) < 0.2
    assert abs(np.corrcoef(budget[0], target[0])[0, 1]) < 0.2


def test_neither_actions_nor_noise_move_the_terms():
    plain, acted, noop = opened(), opened(), opened(noop=True)
    acted.states["key"] += np.uint64(5)  # other noise
    acted.states["path_key"] += np.uint64(7)
    for market, seed in ((plain, 0), (acted, 1), (noop, 2)):
        season(market, seed)
    for name in ("budget", "coupon_budget", "roi_target"):
        assert (plain.states[name] == acted.states[name]).all()
        assert (plain.states[name] == noop.states[name]).all()


def test_the_noop_copies_have_the_same_terms_and_close_their_own_books():
    market = opened(reward="incremental")
    season(market)
    copies = market.counterfactual
    assert copies is not None
    assert (copies["budget"] == market.states["budget"]).all()
    assert (copies["season_ledger"][:, rows.L_SPEND] == 0).all()
    assert (copies["season_accrued"][:, rows.A_SETTLED] > 0).all()


def test_costs_sum_to_the_mean_of_the_plans_own():
    market = opened()
    states, _, costs = season(market)
    ends = [states[PLAN], states[2 * PLAN]]
    spent = [s["season_ledger"][:, rows.L_SPEND] for s in ends]
    spent = [spent[0], spent[1] - spent[0], states[-1]["ledger"][:, rows.L_SPEND]]
    budgets = [states[0]["budget"], ends[0]["budget"], ends[1]["budget"]]
    shares = [a / b for a, b in zip(spent, budgets, strict=True)]
    np.testing.assert_allclose(costs[:, 1], np.mean(shares, 0), rtol=1e-5)


def test_the_dashboard_judges_each_plan_by_its_own_target():
    market = opened()
    states, _, _ = season(market)
    scores, violated = [], []
    for s in (states[PLAN], states[2 * PLAN]):
        scores.append(s["season_score"] / 100)
        violated.append(s["season_violated"])
    shown = market.dashboard()
    assert (scores[1] > scores[0]).all()
    assert (shown["score"] > scores[1]).all()
    assert set(np.round(shown["violated"] * 3)) <= {0.0, 1.0, 2.0, 3.0}
    assert (shown["violated"] >= violated[1] / 3).all()
    budgets = sum(states[i]["budget"] for i in (0, PLAN, 2 * PLAN)) / 100
    np.testing.assert_allclose(shown["budget"], budgets)
    assert (shown["spend"] <= shown["budget"]).all()


def test_events_fall_on_their_day_in_later_plans():
    changes = {**SEASON, "traffic.events": [{"day": 3, "traffic": 3.0, "buildup": 0}]}
    market = opened(changes)
    shown = []
    for action in some_actions(market):
        market.step(action)
        shown.append(market.observations[:, COLUMN["event_today"]].mean())
    days = np.array([0.0, *shown[:-1]]).reshape(6, 24).mean(1)
    assert int(days.argmax()) == 3
    assert (days[[0, 1, 2, 4, 5]] == 0).all()
    left = market.world.remaining[0, 0]
    assert left[PLAN] == 1
    assert left[2 * PLAN - 24] > 0.7  # the event's day is still to come
    assert left[-1] == 0


@pytest.mark.parametrize("n", [1, 7])
def test_a_market_alone_has_the_bits_of_a_batch(n):
    big, small = opened(), opened(n=n)
    for action in some_actions(big):
        big.step(action)
        small.step(action[:n])
        assert small.observations.tobytes() == big.observations[:n].tobytes()
    assert small.states.tobytes() == big.states[:n].tobytes()


def test_threads_and_saved_states_give_the_same_bits():
    market, threaded = opened(n=N), opened(n=N, threads=2)
    kept = None
    for t, action in enumerate(some_actions(market)):
        if t == PLAN - 2:
            kept = threaded.get_state()
        market.step(action)
        threaded.step(action)
    assert market.states.tobytes() == threaded.states.tobytes()
    assert kept is not None
    threaded.set_state(kept)
    for action in some_actions(market)[PLAN - 2 :]:
        threaded.step(action)
    assert market.states.tobytes() == threaded.states.tobytes()


def test_an_episode_holds_whole_plans():
    with pytest.raises(ValueError, match="allowed are multiples of 4"):
        opened({"seasons.plan_days": 4})
