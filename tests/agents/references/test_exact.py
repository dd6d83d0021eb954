"""The exact optimum of the tiny market: its law is the engine's, nothing beats it, and what knows
the future does better.
"""

import itertools
import math
from functools import cache

import numpy as np
import pytest
from chengfang.agents import RULES, make_rule, plan_spec
from chengfang.agents.learners import PPOSettings
from chengfang.agents.learners.training import train
from chengfang.agents.references import Search, clairvoyant, replay, upper_bound
from chengfang.agents.references.exact import OnGrid, exact, score_table
from chengfang.agents.references.hindsight import hindsight
from chengfang.agents.references.tick_law import offer, read_tiny, transition
from chengfang.agents.references.tiny import PLAIN, tiny_scenario
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import Market, Setting, load_scenario
from chengfang.envs.market import layout as rows
from scipy.stats import chi2

pytestmark = pytest.mark.slow  # its fixtures play whole benchmarks or markets

LEVERS = ("bid",)
HOURS = 5
GRID = np.round(np.linspace(-0.4, 0.4, 9), 3)
EPISODES = 50_000


@pytest.fixture(scope="module")
def scenario():
    return tiny_scenario(HOURS)


@pytest.fixture(scope="module")
def plan(scenario):
    return exact(scenario, GRID)


@pytest.fixture(scope="module")
def optimal_scores(scenario, plan):
    return play(scenario, plan.policy, EPISODES)


class Constant:
    def __init__(self, action):
        self.action = action

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        return np.full((len(observation), 1), self.action, np.float32), state


def play(scenario, policy, episodes, ticks=HOURS):
    """Scores of the first episodes of seeds 0, 1, ...; nothing happens after the hours with
    traffic.
    """
    scores = []
    for first in range(0, episodes, 10_000):
        seeds = np.arange(first, min(first + 10_000, episodes))
        market = Market(scenario, len(seeds), days=1, levers=LEVERS, split="test")
        observation = market.reset(seeds=seeds)
        state = None
        fresh = np.ones(len(seeds), bool)
        for _ in range(ticks):
            action, state = policy.predict(observation.copy(), state, fresh)
            observation = market.step(action)
            fresh = np.zeros(len(seeds), bool)
        scores.append(market.dashboard()["score"])
    return np.concatenate(scores)


def error(scores):
    return scores.std() / math.sqrt(len(scores))


def test_every_merchant_is_the_same(scenario):
    for split in ("train", "test"):
        market = Market(scenario, 50, days=1, levers=LEVERS, split=split)
        market.reset(seeds=np.arange(50))
        assert (market.merchants == market.merchants[0]).all()
        assert (market.cells == market.cells[0]).all()
    assert read_tiny(scenario, split="train")[1:] == read_tiny(scenario, split="test")[1:]


@pytest.mark.slow
def test_playing_the_plan_earns_its_value(plan, optimal_scores):
    assert abs(optimal_scores.mean() - plan.value) < 3 * error(optimal_scores)
    assert plan.truncation < 1e-9


def test_nothing_happens_after_the_last_hour(scenario, plan):
    assert (play(scenario, plan.policy, 500) == play(scenario, plan.policy, 500, ticks=24)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("spent", "action"), [(0, 0.0), (70, 0.2), (104, 0.4), (107, 0.1)])
def test_one_tick_has_the_law(scenario, spent, action):
    """Pearson's test of (orders, fen charged) in the engine against the law, freely, throttled and
    cut; level 1e-4.
    """
    n = 12_000
    tiny = read_tiny(scenario)
    market = Market(scenario, n, days=1, levers=LEVERS, split="test")
    market.reset(seeds=np.arange(n))
    market.states["ledger"][:, rows.L_SPEND] = market.states["scene_spend"][:, 0] = market.states[
        "day_spend"
    ] = spent
    market.step(np.full((n, 1), action, np.float32))
    law = transition(tiny, offer(tiny, action), float(tiny.auctions[0]))[spent]
    seen = np.zeros_like(law)
    np.add.at(
        seen,
        (
            market.states["orders"].sum(1).astype(int),
            market.states["ledger"][:, rows.L_SPEND].astype(int),
        ),
        1,
    )
    assert seen[law == 0].sum() == 0  # not a fen that the law does not know
    usual = law * n >= 5
    expected = np.append(law[usual], law[~usual].sum()) * n
    found = np.append(seen[usual], seen[~usual].sum())
    expected, found = expected[expected > 0.5], found[expected > 0.5]
    assert ((found - expected) ** 2 / expected).sum() < chi2.isf(1e-4, len(expected) - 1)
    assert (
        market.states["ledger"][:, rows.L_GMV] == tiny.price * market.states["orders"].sum(1)
    ).all()


def test_means_are_the_engines_own_in_expectation_mode(scenario):
    tiny = read_tiny(scenario)
    market = Market(scenario, len(GRID), days=1, levers=LEVERS, split="test", sampled=False)
    market.reset(seeds=np.arange(len(GRID)))
    market.step(GRID.astype(np.float32)[:, None])
    bids = [offer(tiny, float(a)) for a in GRID]
    shown = np.minimum(
        tiny.auctions[0] * np.array([b.won for b in bids]),
        [tiny.budget / (float(b.cpm) * 0.1) for b in bids],
    )
    np.testing.assert_allclose(market.states["impressions"].sum(1), shown, rtol=5e-6)
    np.testing.assert_allclose(
        market.states["orders"].sum(1), shown * tiny.click * tiny.order, rtol=5e-6
    )
    np.testing.assert_allclose(
        market.states["control"][:, rows.LEVER_BID], [b.multiplier for b in bids], rtol=1e-7
    )


def test_the_induction_agrees_with_a_plain_recursion():
    """Two hours, three bids, every outcome in a Python loop; an impression is dear, so nearly all
    ticks are throttled or cut.
    """
    scenario = tiny_scenario(hours=2, auctions=1.2, price=4.0, competitor=600.0, budget_ratio=1.5)
    actions = (-0.2, 0.1, 0.3)
    tiny = read_tiny(scenario)

    def chances(mean):
        return [math.exp(-mean) * mean**n / math.factorial(n) for n in range(13)]

    @cache
    def outcomes(left, action):
        """{(orders, fen charged): probability}"""
        bid = offer(tiny, action)
        price = float(bid.cpm) / 10
        shown = tiny.auctions[0] * bid.won
        shown *= min(1, left / (shown * price))
        rates = (
            shown * (1 - tiny.click),
            shown * tiny.click * (1 - tiny.order),
            shown * tiny.click * tiny.order,
        )
        table = {}
        for drawn in itertools.product(*(enumerate(chances(rate)) for rate in rates)):
            counts = [n for n, _ in drawn]
            chance = math.prod(p for _, p in drawn)
            if sum(counts) * price > left:
                share = left / (sum(counts) * price)
                counts = [math.floor(n * share + 0.5) for n in counts]
            result = (counts[2], min(math.floor(sum(counts) * price), left))
            table[result] = table.get(result, 0) + chance
        return table

    @cache
    def worth(tick, left, sold):
        if tick == 2:
            spend = tiny.budget - left
            gmv = sold * tiny.price
            met = min(1, gmv / (tiny.target * spend)) if spend else 1
            return gmv * met**2 / 100
        return max(
            sum(
                p * worth(tick + 1, left - paid, sold + more)
                for (more, paid), p in outcomes(left, a).items()
            )
            for a in actions
        )

    assert exact(scenario, actions).value == pytest.approx(worth(0, tiny.budget, 0), abs=1e-7)


@pytest.mark.slow
def test_no_other_table_is_better(plan):
    """Neither a constant bid nor any change of one entry helps; a change of the first bid hurts."""
    rng = np.random.default_rng(5)
    others = [np.full_like(plan.table, k) for k in range(len(GRID))]
    elsewhere = [
        (rng.integers(1, HOURS), rng.integers(0, plan.tiny.budget), rng.integers(0, 12))
        for _ in range(4)
    ]
    for place in [(0, 0, 0)] * 2 + elsewhere:
        others.append(plan.table.copy())
        others[-1][place] = (plan.table[place] + rng.integers(1, len(GRID))) % len(GRID)
    own, *values = plan.judge(plan.table, *others)
    assert own == pytest.approx(plan.value, abs=1e-12)
    assert max(values) <= plan.value + 1e-12
    assert max(values[: len(GRID) + 2]) < plan.value - 1e-4


def test_more_bids_are_worth_more(scenario, plan):
    assert (
        exact(scenario, GRID[::2]).value < plan.value <= exact(scenario, (*GRID, -0.05, 0.05)).value
    )


def test_the_value_falls_with_spend_and_rises_with_orders(plan):
    """At the end of the day, by the definition of the score."""
    last = score_table(plan.tiny, plan.table.shape[2])
    assert (np.diff(last, axis=1) > 0).all()
    assert (np.diff(last, axis=0) <= 0).all()
    assert (plan.values[-1] == last).all()


@pytest.mark.slow
@pytest.mark.parametrize("values", ["default", "tuned"])
@pytest.mark.parametrize("name", sorted(RULES))
def test_no_rule_on_the_grid_beats_it(scenario, optimal_scores, name, values):
    """With the shipped defaults and with the values tuned for the one-day bidding task."""
    n = 2_000
    parameters = tuned_parameters(name, "Bidding") if values == "tuned" else {}
    scores = play(
        scenario, OnGrid(make_rule(name, plan_spec(Setting(scenario, LEVERS, 1)), **parameters)), n
    )
    gap = scores - optimal_scores[:n]  # common random numbers
    assert gap.mean() <= 3 * error(gap)


@pytest.mark.slow
def test_a_learner_comes_close_and_does_not_beat_it(scenario, optimal_scores, tmp_path):
    settings = PPOSettings(
        num_envs=64, steps=40_000, batch_size=512, learning_rate=3e-3, hidden=[32]
    )
    n = 5_000
    scores = play(scenario, OnGrid(train(settings, Setting(scenario, LEVERS, 1), 0, tmp_path)), n)
    gap = scores - optimal_scores[:n]
    assert gap.mean() <= 3 * error(gap)
    assert scores.mean() > 0.6 * optimal_scores[:n].mean()


@pytest.mark.slow
def test_free_bids_gain_little_over_the_grid(scenario, plan):
    """Finer bids are worth a percent or so, most of it whole fen; no constant bid between those of
    the grid beats the finest.
    """
    fine = exact(scenario, np.linspace(GRID[0], GRID[-1], 33).round(6)).value
    assert plan.value < fine < 1.02 * plan.value
    for action in (-0.04, 0.03, 0.07):
        scores = play(scenario, Constant(action), 4_000)
        assert scores.mean() - 3 * error(scores) < fine


@pytest.mark.slow
def test_a_constant_bid_earns_what_the_law_says(scenario, plan):
    scores = play(scenario, Constant(0.1), 20_000)
    assert abs(scores.mean() - plan.judge(np.full_like(plan.table, 5))[0]) < 3 * error(scores)


def test_hindsight_beats_every_policy_on_every_day(scenario, optimal_scores):
    best = hindsight(scenario, GRID, np.arange(8))
    assert (best.value >= optimal_scores[:8]).all()
    assert (
        replay(Setting(scenario, LEVERS, 1), np.arange(8), best.actions)["score"] == best.value
    ).all()


def test_hindsight_is_the_best_of_all_sequences():
    """Merging what has come to the same books loses nothing: all 4^3 sequences, none merged."""
    scenario = tiny_scenario(hours=3)
    grid = np.array([-0.3, -0.05, 0.1, 0.3], np.float32)
    seeds = np.arange(3)
    tapes = np.zeros((len(seeds), 4**3, 24, 1), np.float32)
    tapes[:, :, :3, 0] = np.array(list(itertools.product(grid, repeat=3)))
    scores = replay(Setting(scenario, LEVERS, 1), np.repeat(seeds, 4**3), tapes.reshape(-1, 24, 1))[
        "score"
    ].reshape(len(seeds), -1)
    assert (hindsight(scenario, grid, seeds).value == scores.max(1)).all()


def test_the_clairvoyant_lies_between_the_optimum_and_hindsight(scenario, optimal_scores):
    seeds = np.arange(24)
    found = clairvoyant(
        Setting(scenario, LEVERS, 1), seeds, search=Search(population=16, iterations=8)
    ).plans["score"]
    gap = found - optimal_scores[:24]
    assert gap.mean() > 2 * error(gap)


def test_a_free_search_finds_nearly_all_of_hindsight(scenario):
    """With a level for every tick the clairvoyant's search has the whole space that hindsight
    tries.
    """
    seeds = np.arange(6)
    found = clairvoyant(
        Setting(scenario, LEVERS, 1), seeds, search=Search(per_day=24, population=32, iterations=20)
    ).plans["score"]
    assert found.mean() >= 0.93 * hindsight(scenario, GRID, seeds).value.mean()


@pytest.mark.slow
def test_the_upper_bound_lies_above(scenario):
    """Above the optimum of a fine grid of bids, and not far: 15 % of it are allowances for whole
    fen in a budget of 114.
    """
    fine = exact(scenario, np.linspace(GRID[0], GRID[-1], 33).round(6)).value
    assert fine < upper_bound(Setting(scenario, LEVERS, 1), [0]).value[0] < 1.6 * fine


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"auction.reaction": 0.1}, "auction.reaction"),
        ({"order.at_once": 0.5}, "order.at_once"),
        ({"merchants.size_sd": 0.2}, "merchants.size_sd"),
        ({"merchants.budget_high": 2.0}, "merchants.budget_high"),
        ({"traffic.ad.mall": 10.0}, "2 ad lanes"),
        ({"traffic.ad.feed": 100.0}, "traffic.ad"),
    ],
)
def test_a_market_that_is_not_tiny_is_refused(scenario, change, named):
    with pytest.raises(ValueError, match=named):
        exact(load_scenario(scenario, change), GRID)


def test_bad_arguments_are_refused(scenario):
    with pytest.raises(ValueError, match="actions"):
        exact(scenario, ())
    with pytest.raises(ValueError, match="actions"):
        exact(scenario, (0.0, 1.5))
    with pytest.raises(ValueError, match="hours"):
        tiny_scenario(hours=25)


def test_the_default_market_breaks_most_of_what_exact_needs():
    with pytest.raises(ValueError, match=r"order\.at_once") as caught:
        exact(load_scenario("default"))
    assert len(str(caught.value).splitlines()) > len(PLAIN) // 2
