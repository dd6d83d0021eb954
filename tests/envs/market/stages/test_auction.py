"""The auction's closed forms against Monte Carlo, and the hard limits on what ads may cost."""

import numpy as np
import pytest
from chengfang.envs import Market
from chengfang.envs.market import layout as rows
from chengfang.envs.market.stages.auction import second_price_payment, win_probability
from chengfang.envs.scenario import load_scenario

F = np.float32
DRAWS = 1_000_000
STANDARD_ERRORS = 4.5
CASES = [
    (mean, sigma, bid)
    for mean, sigma in ((2.85, 0.95), (3.3, 0.5), (1.0, 1.5))
    for bid in (3.0, 12.0, 25.0, 80.0)
]


def competing(mean, sigma):
    return np.random.default_rng(7).lognormal(mean, sigma, DRAWS)


def assert_mean(samples, expected):
    assert abs(samples.mean() - expected) < STANDARD_ERRORS * samples.std() / np.sqrt(samples.size)


@pytest.mark.parametrize(("mean", "sigma", "bid"), CASES)
def test_win_probability(mean, sigma, bid):
    assert_mean(
        (competing(mean, sigma) < bid).astype(float),
        win_probability(F(np.log(bid)), F(mean), F(sigma)),
    )


@pytest.mark.parametrize(("mean", "sigma", "bid"), CASES)
def test_second_price_payment(mean, sigma, bid):
    z = competing(mean, sigma)
    assert_mean(np.where(z < bid, z, 0), second_price_payment(F(np.log(bid)), F(mean), F(sigma)))


@pytest.mark.parametrize(("mean", "sigma", "bid"), CASES)
def test_first_price_payment(mean, sigma, bid):
    z = competing(mean, sigma)
    assert_mean(np.where(z < bid, bid, 0), bid * win_probability(F(np.log(bid)), F(mean), F(sigma)))


def test_win_and_payment_rise_with_the_bid_and_payment_stays_below_it():
    bids = np.geomspace(0.01, 1e4, 400).astype(F)
    won = np.array([win_probability(F(np.log(b)), F(3), F(0.9)) for b in bids])
    paid = np.array([second_price_payment(F(np.log(b)), F(3), F(0.9)) for b in bids])
    assert (np.diff(won) >= -3e-7).all()
    assert (np.diff(paid) >= -3e-7 * paid[1:]).all()
    assert (paid <= bids * won * (1 + 2e-6)).all()
    assert paid[-1] == pytest.approx(
        np.exp(3 + 0.9**2 / 2), rel=1e-5
    )  # whoever always wins pays the mean


@pytest.mark.parametrize("rule", ["first", "second"])
def test_price_paid_stays_below_the_bid_in_every_lane(rule, harness):
    rig = harness.Rig(load_scenario({"auction": {"price_rule": rule}}), sampled=False).reset([3])
    for level in (-0.9, -0.3, 0.0, 0.6, 1.0):
        rig.step(np.where(np.char.startswith(rig.levers, "bid"), level, 0.0))
        price = rig.scratch.lane[rows.PAY, rows.AD :]
        offer = rig.scratch.lane[rows.OFFER, rows.AD :]
        assert (price <= offer).all()
        assert (price > 0).all()


@pytest.mark.parametrize("rule", ["first", "second"])
def test_spend_rises_with_the_bid_lever_and_is_nothing_at_its_end(rule, harness):
    scenario = load_scenario(
        {"auction": {"price_rule": rule}, "merchants": {"budget_low": 40, "budget_high": 50}}
    )
    rig = harness.Rig(scenario, 21, levers="bidding", sampled=False).reset([5] * 21)
    rig.step(np.linspace(-1, 1, 21)[:, None] * np.ones(4))
    spend = rig.ledger("spend")
    assert spend[0] == 0
    assert (np.diff(spend)[spend[1:] > 0] > 0).all()


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("budget", [0.01, 0.1, 1.0])
def test_budget_is_met_never_exceeded(budget, sampled, harness):
    scenario = load_scenario(
        {
            "merchants": {"budget_low": budget, "budget_high": budget},
            "constraints": {"scene_share": 1.0},
        }
    )
    rig = harness.Rig(scenario, 64, levers="bidding", sampled=sampled).reset()
    for _ in range(rig.ticks):
        rig.step(np.ones(4))
        assert (rig.ledger("spend") <= rig.merchants["budget"]).all()
    assert (rig.ledger("spend") >= 0.99 * rig.merchants["budget"] - 200).all()


def test_incremental_ads_enter_only_the_increment(harness):
    auctions = {}
    for switch in (True, False):
        scenario = load_scenario({"regime": {"incremental_ads": switch}})
        rig = harness.Rig(scenario, sampled=False).reset([1])
        rig.step(np.zeros(len(rig.levers)))
        auctions[switch] = rig.states["tick_auctions"][0]
    overlap = np.array(list(scenario.free_traffic.cannibalisation.values()))
    np.testing.assert_allclose(auctions[True] / auctions[False], 1 - overlap, rtol=1e-5)


def test_market_answers_a_loud_bidder(harness):
    """xi' = phi xi + a * own share of voice."""
    rig = harness.Rig(
        load_scenario({"auction": {"reaction": 0.5, "shock_persistence": 0.9}}), sampled=False
    ).reset([1])
    shock = np.zeros(4)
    for _ in range(5):
        voice = rig.states["voice"][0].astype(float)
        rig.step(np.full(len(rig.levers), 0.5))
        shock = 0.9 * shock + 0.5 * voice
        np.testing.assert_allclose(rig.states["price_shock"][0], shock, rtol=1e-5)
    assert (shock > 0).all()


# A predictor that learns
# -------------------------------------------------------------------------------------------------


def learning(changes=None, n=40):
    """Markets whose predictor is wrong by one factor in every lane, and learns."""
    scenario = load_scenario(
        "default",
        {
            "predictor.learns": True,
            "predictor.noise": 0.0,
            "predictor.bias": 0.4,
            "predictor.memory_days": 1000,
            "order.at_once": 1.0,
            "merchants.budget_low": 50,
            "merchants.budget_high": 50,
            **(changes or {}),
        },
    )
    market = Market(scenario, n, days=7, levers="bidding", sampled=False)
    market.reset(seeds=np.arange(n))
    return market


def factor(market):
    prior = market.scenario.predictor.prior_orders
    reported, expected = (
        market.states[name].astype(float) for name in ("evidence_reported", "evidence_expected")
    )
    return (prior + reported) / (prior + expected)


def held(market, ticks, action=0.0):
    actions = np.full((market.num_envs, len(market.levers)), action, np.float32)
    for _ in range(ticks):
        market.step(actions)


def test_it_finds_out_what_it_was_wrong_by():
    market = learning()
    held(market, market.ticks)
    known = market.states["evidence_expected"] > 500
    assert known.sum() > 40
    np.testing.assert_allclose(factor(market)[known], np.exp(-0.4), rtol=0.03)
    few = market.states["evidence_expected"] < 5
    if few.any():
        assert (np.abs(factor(market)[few] - 1) < 0.1).all()  # shrunk to what was believed


def test_orders_on_their_way_make_it_think_less_of_them():
    late = learning({"predictor.bias": 0.0, "order.at_once": 0.2})
    held(late, 6)
    assert (factor(late) < 1 - 1e-6).all()
    assert factor(late).mean() < 0.97
    early = learning({"predictor.bias": 0.0})
    held(early, 6)
    np.testing.assert_allclose(factor(early), 1, rtol=1e-4)


def test_a_large_edit_makes_it_forget_and_a_small_one_does_not():
    small, large = learning(), learning()
    for market in (small, large):
        held(market, 12)
    before = small.states["evidence_expected"].copy()
    held(small, 1, 0.1)  # 1.25 times the bid, or less
    held(large, 1, 0.5)
    assert (small.states["evidence_expected"] > before * 0.999).all()
    grown = large.states["evidence_expected"] - before * large.scenario.predictor.edit_keep
    assert (grown < 0.5 * before).mean() > 0.9
    still = large.states["evidence_expected"].copy()
    held(large, 1, 0.5)  # the new bid held is no edit
    assert (large.states["evidence_expected"] > still * 0.999).all()


def test_it_moves_the_bids_and_nothing_else_of_the_tick():
    """At a factor g the market plays as if the bid levers were g times what they are."""
    market = learning(n=8)
    held(market, 24)
    g = factor(market)
    state = market.get_state()
    held(market, 1)
    learned = market.states["tick_spend"].copy()
    plain = Market(
        market.scenario.updated({"predictor": {"learns": False}}),
        8,
        days=7,
        levers="bidding",
        sampled=False,
    )
    plain.reset(seeds=np.arange(8))
    plain.set_state(state)
    span = plain.scenario.auction.bid_span
    actions = np.log(g * (1 - 1 / span) + 1 / span) / np.log(span)
    plain.step(actions.astype(np.float32))
    np.testing.assert_allclose(plain.states["tick_spend"], learned, rtol=2e-3, atol=2)
