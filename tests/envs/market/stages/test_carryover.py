"""Hidden states that jump: how often, from which law, and with any other noise."""

import numpy as np
import pytest
from chengfang.agents.references.informed import new_keys
from chengfang.agents.references.known_path import KnownPath, follow
from chengfang.envs import Market, Setting, load_scenario, select_levers
from chengfang.envs.market import layout as rows
from scipy import stats

N = 400
DAYS = 5
SD = {"traffic_sd": 0.2, "order_sd": 0.3, "coupon_sd": 0.5, "refund_sd": 0.4}
SPREADS = np.repeat([0.2, 0.3, 0.5, 0.4], [4, 4, 1, 1])


def scenario(**changes):
    return load_scenario("default", {"jumps": {"rate": 0.3, **SD, **changes}})


def played(market):
    """The states that jump before every tick and after the last, (ticks + 1, n, states)."""
    still = np.zeros((market.num_envs, len(market.levers)), np.float32)
    found = [market.states["jump"].copy()]
    for _ in range(market.ticks):
        market.step(still)
        found.append(market.states["jump"].copy())
    return np.array(found)


@pytest.fixture(scope="module")
def course():
    market = Market(scenario(), N, days=DAYS, levers="bidding", noop=True)
    market.reset(seeds=np.arange(N))
    return played(market)


def test_they_jump_as_often_as_the_scenario_says(course):
    jumps = (np.diff(course, axis=0) != 0).sum((0, 1))
    expected = N * DAYS * 24 * -np.expm1(-0.3 / 24)
    assert (np.abs(jumps - expected) < 4.5 * np.sqrt(expected)).all()


def test_they_keep_their_law_from_the_first_tick_to_the_last(course):
    for tick in (0, len(course) - 1):
        for j, sd in enumerate(SPREADS):
            assert stats.kstest(course[tick, :, j] / sd, "norm").pvalue > 1e-6


def test_without_spread_or_rate_nothing_jumps():
    for changes in ({"rate": 0.0}, dict.fromkeys(SD, 0.0)):
        market = Market(scenario(**changes), 8, days=1, levers="bidding", noop=True)
        market.reset(seeds=np.arange(8))
        found = played(market)
        assert (found == found[0]).all()


def test_traffic_is_what_it_was_on_average():
    plain, jumping = (
        Market(load_scenario("default", change), 4000, days=1, levers="bidding", noop=True)
        for change in ({}, {"jumps.traffic_sd": 0.5, "jumps.rate": 1.0})
    )
    shown = []
    for market in (plain, jumping):
        market.reset(seeds=np.arange(4000))
        played(market)
        shown.append(market.dashboard()["impressions"])
    ratio = shown[1] / shown[0]
    assert abs(ratio.mean() - 1) < 4.5 * ratio.std() / np.sqrt(4000)
    assert ratio.std() > 0.15


def test_a_known_path_jumps_alike_with_any_noise():
    setting = Setting(scenario(), select_levers("bidding"), 2, "train")
    path = KnownPath(setting, np.arange(6))
    keys = new_keys(np.random.default_rng(0), 3)
    known, unknown = (path.draw(keys, known=told) for told in (True, False))
    courses = []
    for draws in (known, unknown):
        market = path.market(draws)
        still = np.zeros((18, 4), np.float32)
        seen = []
        for tick in range(market.ticks):
            follow(market, draws.moves, tick)
            market.step(still)
            seen.append(market.states["jump"].reshape(6, 3, rows.N_JUMPS).copy())
        courses.append(np.array(seen))
    same, other = courses
    assert (same == same[:, :, :1]).all()
    assert (same[0] != same[-1]).any()
    assert (other != other[:, :, :1]).any()


def test_a_merchant_is_the_same_whether_its_market_jumps_or_not():
    """Budget and target are set where every state is at its mean."""
    drawn = []
    for changes in ({}, dict.fromkeys(SD, 0.0)):
        market = Market(scenario(**changes), 50, days=1, levers="bidding")
        market.reset(seeds=np.arange(50))
        drawn.append(market.merchants[["budget", "roi_target", "coupon_budget"]].tolist())
    np.testing.assert_allclose(*drawn, rtol=1e-5)


def test_an_order_state_moves_orders_and_a_refund_state_refunds():
    calm = scenario(rate=0.0).updated({"quality": {"refund_penalty": 0.0}})
    market = Market(calm, 64, days=1, levers="bidding", sampled=False, noop=True)
    results = []
    for column, value in ((None, 0.0), (rows.JUMP_ORDER, 0.5), (rows.JUMP_REFUND, 0.5)):
        market.reset(seeds=np.arange(64))
        if column is not None:
            market.states["jump"][:, column] = value
        played(market)
        results.append(market.dashboard())
    plain, orders, refunds = results
    assert (orders["gmv_feed"] > 1.3 * plain["gmv_feed"]).all()
    np.testing.assert_allclose(orders["gmv_live"], plain["gmv_live"], rtol=0.02)
    np.testing.assert_allclose(refunds["gmv"], plain["gmv"], rtol=0.02)
    assert (refunds["refunded_gmv"] > 1.3 * plain["refunded_gmv"]).all()
