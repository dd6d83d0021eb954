"""Free impressions moved over scenes, pools and hours: what is shown and what is lost make up the
allowance.
"""

import numpy as np
import pytest
from chengfang.envs import LEVER_SETS, Market, load_scenario
from chengfang.envs.market import layout as rows
from chengfang.envs.market.stages.scheduling import mix_pools

N = 24
LEVERS = LEVER_SETS["pools"]
FREE = (rows.N_FREE_POOLS, rows.N_SCENES)


def markets(changes=None, sampled=False):
    scenario = load_scenario("default", {"regime.pools_scheduled": True, **(changes or {})})
    market = Market(scenario, N, days=2, levers="pools", sampled=sampled, noop=True)
    market.reset(seeds=np.arange(N))
    return market


def actions(rng, width=1.0):
    return rng.uniform(-width, width, (N, len(LEVERS))).astype(np.float32)


def shown(market):
    """Impressions of the last tick by free pool and scene."""
    return market.states["tick_impressions"][:, : rows.AD_GROUP].reshape(-1, *FREE).astype(float)


def test_left_alone_the_pools_show_what_they_usually_do():
    """All levers at 0: as if nothing could be scheduled, to rounding, and nothing is held back."""
    plain = Market(load_scenario("default"), N, days=2, levers="pools", sampled=False, noop=True)
    plain.reset(seeds=np.arange(N))
    market = markets()
    still = np.zeros((N, len(LEVERS)), np.float32)
    for tick in range(market.ticks):
        market.step(still)
        plain.step(still)
        np.testing.assert_allclose(shown(market), shown(plain), rtol=2e-4)
        ahead = market.world.ahead[:, (tick + 1) % 24] * ((tick + 1) % 24 > 0)
        np.testing.assert_allclose(market.states["held"] - ahead, 0, atol=2e-6)
    np.testing.assert_allclose(market.states["accrued"], plain.states["accrued"], rtol=1e-4)


def test_what_is_released_and_what_is_lost_make_up_the_days_allowance():
    market = markets()
    rng = np.random.default_rng(0)
    hours = market.world.hours.astype(float) / 24
    for _ in range(2):
        released = np.zeros((N, *FREE))
        for tick in range(24):
            before = market.states["held"].copy() if tick else np.ones((N, *FREE))
            market.step(actions(rng))
            pace = (before - market.states["held"]) / hours[:, tick]
            assert (pace > -1e-5).all()
            assert (pace < 3 + 1e-4).all()
            released += before - market.states["held"]
        np.testing.assert_allclose(released + market.states["held"], 1, atol=1e-5)


def test_a_pool_that_is_held_back_has_more_to_show_later():
    """Nothing for twelve hours and then as fast as allowed: never more than the day's allowance."""
    market = markets({"free_traffic.match_cost": 0})
    plain = markets({"free_traffic.match_cost": 0})
    later, even = np.zeros((N, *FREE)), np.zeros((N, *FREE))
    still = np.zeros((N, len(LEVERS)), np.float32)
    for tick in range(24):
        action = still.copy()
        action[:, [LEVERS.index("pace_natural"), LEVERS.index("pace_transaction")]] = (
            -1 if tick < 12 else 1
        )
        market.step(action)
        plain.step(still)
        if tick < 12:
            assert (shown(market) == 0).all()
        later += shown(market)
        even += shown(plain)
    assert (later > 0.75 * even).all()  # at three times the pace the evening shows most of it
    assert (later < even * 1.05).all()  # what was not shown has worn no creative


@pytest.mark.parametrize("seed", range(5))
def test_the_mix_conserves_the_worth_of_what_is_shown(seed, harness):
    rng = np.random.default_rng(seed)
    scenario = load_scenario("default", {"free_traffic.mix_most": 20})
    rig = harness.Rig(scenario)
    work = rig.scratch
    work.lane[rows.MEAN_SEEN] = rng.uniform(0, 500, rows.N_LANES)
    control = np.zeros(rows.N_LEVERS, np.float32)
    control[rows.LEVER_MIX : rows.LEVER_MIX + 5] = rng.uniform(-1.2, 1.2, 5)
    world = rig.world.constants[0]
    scene = harness.block(work.scene, "SCENE")
    mix_pools(world, control, harness.block(work.lane, "LANE"), scene)
    more = work.scene[rows.S_SELECT, : rows.AD_GROUP].reshape(FREE).astype(float)
    lanes = work.lane[rows.MEAN_SEEN, : rows.AD].reshape(2, rows.N_SEGMENTS, rows.N_SCENES)
    worth = lanes.sum(1).astype(float) * world["free_worth"]
    assert (worth * more).sum() == pytest.approx(worth.sum(), rel=1e-5)
    level = np.log(more) - np.log(more[1, 0])
    asked = control[rows.LEVER_MIX : rows.LEVER_MIX + 4] - control[rows.LEVER_MIX]
    np.testing.assert_allclose(level[1], asked, atol=1e-5)
    np.testing.assert_allclose(level[0] - level[1], control[rows.LEVER_MIX_NATURAL], atol=1e-5)


def test_no_more_is_shown_than_there_are_opportunities():
    market = markets(
        {
            "free_traffic.mix_most": 20,
            "free_traffic.exposure": {
                "natural": dict.fromkeys(("feed", "live", "mall", "search"), 1.0),
                "transaction": dict.fromkeys(("feed", "live", "mall", "search"), 1.0),
            },
            "traffic.dispersion": 0,
        }
    )
    rng = np.random.default_rng(1)
    for tick in range(24):
        market.step(actions(rng))
        cells = market.cells[:, rows.TRAFFIC, : rows.AD].reshape(N, 2, 4, 4).sum(2)
        weekday = market.world.constants[0]["weekday"][market.states["weekday"]]
        shock = np.exp(market.states["demand_shock"])
        most = cells * (market.world.hours[:, tick] * shock * weekday[:, None])[:, None]
        assert (shown(market) <= most * (1 + 1e-5)).all()


def test_selection_feeds_no_signal_of_quality():
    """Better matches of fewer impressions leave the smoothed click rate as it is."""
    plain = markets({"click.fatigue_half_life": 100})
    held = markets({"click.fatigue_half_life": 100})
    still = np.zeros((N, len(LEVERS)), np.float32)
    few = still.copy()
    few[:, LEVERS.index("pace_natural")] = -0.5
    few[:, LEVERS.index("mix_feed")] = -1
    for _ in range(8):
        plain.step(still)
        held.step(few)
    rate = [m.states["smooth_ctr"][:, rows.NATURAL] for m in (plain, held)]
    rate = [r[:, rows.HAPPENED] / r[:, rows.OUT_OF] for r in rate]
    np.testing.assert_allclose(rate[1], rate[0], rtol=0.02)
    assert (shown(held)[:, 0, 0] < 0.6 * shown(plain)[:, 0, 0]).all()


def test_selected_users_click_more():
    few, usual = markets(), markets()
    still = np.zeros((N, len(LEVERS)), np.float32)
    less = still.copy()
    less[:, LEVERS.index("pace_natural")] = -0.5
    few.step(less)
    usual.step(still)
    rate = []
    for market in (few, usual):
        clicks = market.states["tick_clicks"][:, : rows.N_SCENES].astype(float)
        rate.append(clicks / shown(market)[:, rows.NATURAL])
    cost = few.world.constants[0]["match_cost"]
    np.testing.assert_allclose(rate[0] / rate[1], 0.5**-cost, rtol=1e-3)


def test_where_pools_are_not_scheduled_the_levers_change_nothing():
    rng = np.random.default_rng(3)
    ends = []
    for chosen in (np.zeros((N, len(LEVERS)), np.float32), actions(rng)):
        market = Market(load_scenario("default"), N, days=1, levers="pools", noop=True)
        market.reset(seeds=np.arange(N))
        for _ in range(market.ticks):
            market.step(chosen)
        ends.append(market.states["ledger"].copy())
    assert np.array_equal(*ends)


def test_sampled_counts_follow_the_schedule():
    means, sums = np.zeros(FREE), np.zeros(FREE)
    less = np.zeros((N, len(LEVERS)), np.float32)
    less[:, LEVERS.index("mix_live")] = 1
    expected = markets({"traffic.shock_volatility": 0})
    sampled = markets({"traffic.shock_volatility": 0, "creative.quality_sd": 0}, sampled=True)
    for _ in range(12):
        expected.step(less)
        sampled.step(less)
        means += shown(expected).sum(0)
        sums += shown(sampled).sum(0)
    np.testing.assert_allclose(sums, means, rtol=0.04)
