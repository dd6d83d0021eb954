"""The adjoint's tick is held to the engine, column by column, in expectation mode."""

import numpy as np
import pytest
import torch
from chengfang.envs import Market, load_scenario
from chengfang.envs.market.adjoint import Episode, carried
from chengfang.envs.market.adjoint.tick import tick
from chengfang.envs.scenario import scenario_names

SCENARIOS = 24
ONE_STEP = 1e-3  # of a column's mean over markets
# Refunds expected of orders on their way are kept by group, not by order: as the mix of orders
# under way changes from tick to tick, so does their expectation. Profit and the platform's take are
# small differences of large lines, so their deviation is measured against GMV.
OF_MIXED_ORDERS = 3e-3
OF_GMV = ("profit", "platform")
BOUNDS: dict[str, float] = dict.fromkeys(("settled", "cost", *OF_GMV), OF_MIXED_ORDERS)
BOUNDS["voice"] = 3e-3  # where a cap of a small budget leaves a few fen, whole ones matter


def one_step_errors(market: Market, actions: np.ndarray) -> dict[str, float]:
    """Largest deviation over the episode, by carried quantity; each tick starts from the engine's
    own state.
    """
    episode = Episode(market, dtype=torch.float64)
    for action in actions:
        episode.step(action)
    worst = np.zeros(carried.N_CARRIED)
    course = episode.courses[0]
    for t, action in enumerate(episode.actions):
        before, outside, real = course.states[t], course.given[t], course.states[t + 1]
        after = tick(episode.constants, episode.merchants, before, action, outside)
        fen = FEN_ALLOWED * MONEY
        off = ((after - real).abs() - fen).clamp_min(0).mean(1)
        size = real.abs().mean(1).clamp_min(1e-9)
        for name in OF_GMV:
            size[carried.ROWS[name]] = size[carried.ROWS["gmv"]]
        worst = np.maximum(worst, (off / size).numpy())
    return {name: float(worst[columns].max()) for name, columns in carried.ROWS.items()}


def beyond(errors: dict[str, float]) -> dict[str, float]:
    """The deviations that are larger than allowed."""
    return {name: x for name, x in errors.items() if x > BOUNDS.get(name, ONE_STEP)}


# The engine books whole fen, group by group; so much a tick may round.
FEN_ALLOWED = 16.0
MONEY_NAMES = (
    "spend",
    "day_spend",
    "scene_spend",
    "boost_spend",
    "coupon_committed",
    "settled",
    "gmv",
    "cost",
    "profit",
    "platform",
    "transaction_gpm",
    "tick_spend",
    "tick_claims",
)
MONEY = torch.zeros(carried.N_CARRIED, 1, dtype=torch.float64)
for _name in MONEY_NAMES:
    MONEY[carried.ROWS[_name]] = 1.0


def random_actions(market: Market, rng: np.random.Generator, width: float) -> np.ndarray:
    shape = (market.ticks, market.num_envs, len(market.levers))
    return rng.uniform(-width, width, shape).astype(np.float32)


@pytest.mark.parametrize("preset", scenario_names())
def test_one_step_equals_the_engine_on_every_preset(preset):
    scenario = load_scenario(preset)
    days = scenario.seasons.plan_days or 2
    market = Market(scenario, 64, days=days, levers="all", sampled=False)
    market.reset(seeds=np.arange(64))
    errors = one_step_errors(market, random_actions(market, np.random.default_rng(0), 0.5))
    assert beyond(errors) == {}


@pytest.mark.parametrize("roi", ["overall", "pay"])
def test_one_step_equals_the_engine_where_the_platform_bids(roi):
    changes = {
        "bidder.platform": True,
        "seat.open": roi == "overall",
        "constraints.daily_cap": 0.6,
        "constraints.roi": roi,
    }
    market = Market(load_scenario("default", changes), 64, days=2, levers="all", sampled=False)
    market.reset(seeds=np.arange(64))
    errors = one_step_errors(market, random_actions(market, np.random.default_rng(0), 0.5))
    assert beyond(errors) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SCENARIOS))
def test_one_step_equals_the_engine_on_random_scenarios(seed, harness):
    rng = np.random.default_rng(seed)
    scenario = harness.random_scenario(rng)
    market = Market(scenario, 32, days=2, levers="all", sampled=False)
    market.reset(seeds=np.arange(32) + 1000 * seed)
    sd = market.world.constants[0]["jump_sd"]
    market.states["jump"] = sd * rng.normal(size=market.states["jump"].shape)
    errors = one_step_errors(market, random_actions(market, rng, 1.2 if seed % 2 else 0.5))
    assert beyond(errors) == {}


@pytest.mark.parametrize("levers", ["bidding", ["bid", "coupon_ad", "tier_hot"], "all"])
def test_controls_are_the_engines(levers):
    market = Market(load_scenario("default"), 64, days=1, levers=levers, sampled=False)
    market.reset(seeds=np.arange(64))
    episode = Episode(market)
    actions = random_actions(market, np.random.default_rng(1), 1.3)[0]
    episode.step(actions)
    from chengfang.envs.market.adjoint.stages.levers import controls

    ours = controls(episode.constants, torch.from_numpy(actions.T)).numpy().T
    np.testing.assert_allclose(ours, market.states["control"], rtol=2e-6, atol=1e-7)


def test_a_noop_market_has_no_derivative_in_bids_and_coupons():
    market = Market(load_scenario("default"), 8, days=1, levers="all", sampled=False, noop=True)
    market.reset(seeds=np.arange(8))
    episode = Episode(market)
    for action in random_actions(market, np.random.default_rng(1), 0.5):
        episode.step(action)
    gradient = episode.gradient()
    spends = [
        i
        for i, name in enumerate(market.levers)
        if name.startswith(("bid", "coupon", "tilt", "share"))
    ]
    assert (gradient[:, :, spends] == 0).all()
    assert (gradient != 0).any()


def test_it_runs_on_another_device():
    """Nothing in the tick names the CPU: it is traced on torch's `meta` device."""
    market = Market(load_scenario("default"), 4, days=1, levers="all", sampled=False)
    market.reset(seeds=np.arange(4))
    episode = Episode(market, device="meta")
    episode.step(np.zeros((4, len(market.levers)), np.float32))
    assert episode.gradient().shape == (1, 4, len(market.levers))
    assert episode.gradient().is_meta
