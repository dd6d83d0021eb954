"""The upper bound: equal to a linear program where nothing lasts, above every policy where
things do.
"""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.references import Search, clairvoyant, upper_bound
from chengfang.agents.references.bound.ad_market import ad_market
from chengfang.agents.references.bound.free_quality import signal_envelope
from chengfang.agents.references.bound.order_terms import Prices, order_values
from chengfang.agents.references.bound.price_of_winning import (
    auction_yield,
    bend_table,
    yield_table,
)
from chengfang.agents.references.bound.relaxation import relax
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import Setting, load_scenario, select_levers
from chengfang.envs.market import layout as rows
from chengfang.experiments.runs.evaluate import evaluate
from scipy.optimize import linprog
from scipy.sparse import coo_matrix, vstack
from scipy.special import ndtr

BIDDING = select_levers("bidding")
SEEDS = np.arange(1_000_000, 1_000_004)
STATIC = {
    "traffic.shock_volatility": 0.0,
    "traffic.dispersion": 0.0,
    "auction.shock_volatility": 0.0,
    "auction.reaction": 0.0,
    "click.creative_gain": 0.0,
    "click.pressure": 0.0,
    "quality.speed": 0.0,
    "quality.refund_penalty": 0.0,
    "quality.spill_over": {"natural": 0.0, "transaction": 0.0},
    "boost.default": 0.0,
    "merchants.quality_sd": 0.0,
    "tiers.heat_elasticity": 0.0,
}
MANY = {
    f"traffic.{pool}": dict.fromkeys(("feed", "live", "mall", "search"), 2e7)
    for pool in ("natural", "transaction", "ad")
}


def linear_program(scenario, seeds):
    """Most settled GMV under budget and ROI target when each cell and tick mixes bids freely, CNY:
    HiGHS on each seed's tape.
    """
    o = relax(Setting(scenario, BIDDING, 1), seeds)
    first = scenario.auction.price_rule == "first"
    found = []
    for i in range(len(seeds)):
        merchant = o.merchants[i : i + 1]
        cells = o.cells[i : i + 1]
        ad = slice(rows.AD, rows.N_LANES)
        one = np.ones(1)
        none = np.zeros(1)
        settled = order_values(o.constants, cells, BIDDING, Prices(one, none, none))[0][0]
        net = order_values(
            o.constants, cells, BIDDING, Prices(one, merchant["roi_target"].astype(float), none)
        )[0][0]
        free = o.traffic[i, :, : rows.AD] * o.click[i, :, : rows.AD] * o.reach[i, 0]
        base = (free * settled[: rows.AD]).sum()
        slack = (free * net[: rows.AD]).sum()
        mu = (cells[0, rows.PRICE_MU, ad] + np.tile(o.price[i], rows.N_SEGMENTS))[..., None]
        sigma = cells[0, rows.PRICE_SIGMA, ad][:, None]
        at = np.linspace(-3.5, 1.5, 70)
        won = np.broadcast_to(ndtr(at), (*mu.shape[:2], 70))
        bids = np.exp(mu + sigma * at)
        cost = won * bids if first else np.exp(mu + sigma**2 / 2) * ndtr(at - sigma)
        impressions = o.traffic[i, :, ad][..., None] * won
        spend = o.traffic[i, :, ad][..., None] * cost * 0.1
        worth = impressions * (o.click[i, :, ad] * settled[ad])[..., None]
        gain = (
            impressions * (o.click[i, :, ad] * net[ad])[..., None]
            - float(merchant["roi_target"][0]) * spend
        )
        count = worth.shape[0] * worth.shape[1]
        pick = coo_matrix(
            (np.ones(worth.size), (np.repeat(np.arange(count), len(at)), np.arange(worth.size)))
        )
        limits = vstack(
            [pick, coo_matrix(spend.ravel()[None]), coo_matrix(-gain.ravel()[None])]
        ).tocsr()
        right = np.concatenate([np.ones(count), merchant["budget"].astype(float), [slack]])
        solved = linprog(-worth.ravel(), A_ub=limits, b_ub=right, method="highs")
        assert solved.status == 0
        found.append((base - solved.fun) / 100)
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["first", "second"])
def test_where_nothing_lasts_it_is_the_linear_program(rule):
    scenario = load_scenario("default", STATIC | MANY | {"auction.price_rule": rule})
    program = linear_program(scenario, SEEDS[:3])
    bound = upper_bound(Setting(scenario, select_levers("bidding"), 1), SEEDS[:3])
    assert (bound.lagrangian >= program * (1 - 1e-6)).all()
    assert (bound.lagrangian <= program * 1.005).all()
    assert (bound.value >= bound.lagrangian * (1 - 1e-9)).all()


@pytest.mark.slow
@pytest.mark.parametrize("levers", ["bidding", "coupon"])
def test_without_noise_no_plan_in_hindsight_exceeds_it(levers):
    """In a market so large that counts are their means, a search on the realised tape has no noise
    to exploit.
    """
    scenario = load_scenario("default", MANY)
    bound = upper_bound(Setting(scenario, levers, 1), SEEDS)
    plan = clairvoyant(Setting(scenario, levers, 1), SEEDS, search=Search(per_day=2, iterations=40))
    assert (plan.plans["score"] <= bound.value).all()
    assert plan.plans["score"].sum() > 0.85 * bound.value.sum()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "levers"), [("Bidding", "bidding"), ("Allocation", "allocation"), ("Coupon", "coupon")]
)
def test_no_rule_exceeds_it_in_the_mean(task, levers):
    scenario = load_scenario("default")
    count = 64
    names = select_levers(levers)
    bound = upper_bound(Setting(scenario, levers, 1), np.arange(1_000_000, 1_000_000 + count)).value
    for rule in ("PID", "MinPacing", "OnlineLP", "MCKPCoupon"):
        made = make_rule(
            rule, plan_spec(Setting(scenario, names, 1)), **tuned_parameters(rule, task)
        )
        score = evaluate(
            made, Setting(scenario, names, 1, "test"), count, 1_000_000, nothing={}
        ).plans["score"]
        assert score.mean() < bound.mean()


@pytest.mark.slow
def test_a_seed_has_the_same_bound_in_any_batch():
    scenario = load_scenario("default")
    together = upper_bound(Setting(scenario, select_levers("bidding"), 1), SEEDS)
    apart = upper_bound(Setting(scenario, select_levers("bidding"), 1), SEEDS, batch=2)
    np.testing.assert_allclose(apart.value, together.value, rtol=1e-12)


def test_what_it_does_not_cover_is_refused():
    scenario = load_scenario("default", {"constraints.roi": "pay"})
    with pytest.raises(ValueError, match=r"constraints\.roi is 'pay'"):
        upper_bound(Setting(scenario, select_levers("bidding"), 1), SEEDS)
    plain = load_scenario("default")
    unlike = load_scenario("default", {"order.hour_swing": 0.2})
    with pytest.raises(ValueError, match=r"order\.hour_swing is 0\.2; upper_bound covers 0"):
        upper_bound(Setting(unlike, select_levers("bidding"), 1), SEEDS)
    with pytest.raises(ValueError, match="days is 7; upper_bound covers tasks of one day"):
        upper_bound(Setting(plain, select_levers("super_plan"), 7), SEEDS)
    with pytest.raises(ValueError, match="levers include 'creative'; upper_bound covers bids"):
        upper_bound(Setting(plain, select_levers("super_plan"), 1), SEEDS)
    with pytest.raises(ValueError, match="batch is 0"):
        upper_bound(Setting(load_scenario("default"), select_levers("bidding"), 1), SEEDS, batch=0)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.3, 1.454, 2.5])
@pytest.mark.parametrize("first", [True, False])
def test_the_yield_of_an_auction_is_never_too_small_and_hardly_too_large(sigma, first):
    rng = np.random.default_rng(0)
    value = rng.uniform(0.5, 50, 40)
    kappa = rng.uniform(0.2, 3, 40)
    mean = rng.normal(2, 1.5, 40)
    bids = np.exp(np.linspace(-12, 9, 20001))
    at = (np.log(bids) - mean[:, None]) / sigma
    cost = ndtr(at) * bids if first else np.exp(mean[:, None] + sigma**2 / 2) * ndtr(at - sigma)
    best = (value[:, None] * ndtr(at) - kappa[:, None] * cost).max(1)
    found = auction_yield(value, kappa, mean, yield_table(sigma, first))
    assert (found >= best - 1e-9 * value).all()
    assert (found <= best * 1.06 + 1e-3 * value).all()


def test_bends_cover_what_lies_above_a_chord():
    table = yield_table(1.454, True)
    bend = bend_table(1.454, True, 0.7)
    width = 140
    for start in range(0, len(table) - width, 97):
        chord = np.linspace(table[start], table[start + width], width + 1)
        assert (table[start : start + width + 1] - chord).max() <= bend[start] + 2e-3 * table[start]


def test_the_envelope_lies_above_the_signal_and_is_concave():
    x = np.linspace(0, 9, 2001)
    envelope = signal_envelope(x)
    assert (envelope >= np.tanh(x - 1) - 1e-9).all()
    assert (np.diff(envelope, 2) <= 1e-9).all()


def test_relaxation_is_kinder_than_what_happens():
    """A real run never sees a higher quality index, fresher creatives or cheaper competition than
    the bound assumes.
    """
    from chengfang.envs import Market

    scenario = load_scenario("default", MANY)
    seeds = SEEDS
    o = relax(Setting(scenario, BIDDING, 2), seeds)
    market = Market(scenario, len(seeds), days=2, levers=BIDDING, split="test")
    market.reset(seeds=seeds)
    action = np.full((len(seeds), len(BIDDING)), -0.3, np.float32)
    for tick in range(market.ticks):
        assert (market.states["exposure"] >= o.exposure[:, tick] - 1e-4).all()
        assert (market.states["creative_quality"] <= o.creative[:, tick] + 1e-4).all()
        market.step(action)
        assert (market.states["price_shock"] >= o.price[:, tick] - 1e-5).all()
    reached = 1 / (
        1
        + np.exp(
            -market.cells[:, rows.EXPOSURE, : rows.AD]
            - np.repeat(
                market.world.constants[0]["quality_lift"] * market.states["quality"], rows.BLOCK, 1
            )
        )
    )
    room = o.reach[:, 1, -1]
    assert (reached <= room + 1e-6).all()
    assert ad_market(o).pressure.most[:, 1:].min() > 0
