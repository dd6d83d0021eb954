"""The platform's own bidder: it spends a division of the money evenly, holds the target, and winds
nothing up.
"""

import numpy as np
import pytest
from chengfang.envs import FEATURE_NAMES, LEVER_SETS, Market, load_scenario
from chengfang.envs.market import layout as rows
from chengfang.envs.scenario import SCENES

N = 64
LEVERS = LEVER_SETS["division"]
SPEND = rows.LEDGER_NAMES.index("spend")


def markets(changes=None, *, n=N, days=1, sampled=False, noop=False):
    scenario = load_scenario("default", {"bidder.platform": True, **(changes or {})})
    market = Market(scenario, n, days=days, levers="division", sampled=sampled, noop=noop)
    market.reset(seeds=np.arange(n))
    return market


def play(market, action=None, on_tick=None):
    still = np.zeros((market.num_envs, len(market.levers)), np.float32)
    while market.ticks_left:
        market.step(still if action is None else action)
        if on_tick:
            on_tick(market)
    return market


def action(**values):
    chosen = np.zeros((N, len(LEVERS)), np.float32)
    for name, value in values.items():
        chosen[:, LEVERS.index(name)] = value
    return chosen


def spent(market):
    """Share of the budget spent, and ROI over the target."""
    ledger = market.states["ledger"][:, SPEND] / market.merchants["budget"]
    earned = market.states["accrued"]
    roi = earned[:, rows.A_SETTLED] / earned[:, rows.A_COST] / market.merchants["roi_target"]
    return ledger, roi


@pytest.mark.parametrize("days", [1, 3])
def test_the_budget_is_spent_or_the_target_is_met(days):
    money, roi = spent(play(markets(days=days)))
    bound = money > 0.9
    assert bound.mean() > 0.4
    assert np.quantile(money[bound], 0.1) > 0.95
    held = ~bound & (roi < 1.1)
    assert np.quantile(roi[held], 0.05) > 0.98
    assert (roi < 1).mean() < 0.1
    assert (bound | held).mean() > 0.9


def test_money_is_spent_evenly_with_traffic():
    """Where only the budget binds, what is left of it follows the traffic that is left."""
    market = markets({"bidder.margin": -0.5, "merchants.budget_high": 0.5})
    gaps = []

    def note(market):
        tick = market.states["tick"]
        ahead = market.world.remaining[market.states["calendar"], market.states["weekday"], tick]
        gaps.append(1 - market.states["ledger"][:, SPEND] / market.merchants["budget"] - ahead)

    play(market, on_tick=note)
    assert np.abs(gaps[8:]).max(0).mean() < 0.05
    assert (spent(market)[0] > 0.95).mean() > 0.9


def test_a_scene_spends_its_share():
    market = markets({"bidder.margin": -0.5, "merchants.budget_high": 0.5})
    play(market, action(divide_feed=0.4, divide_search=-0.4))
    share = market.states["scene_spend"] / market.states["ledger"][:, SPEND, None]
    weight = np.exp([1.0, 0, 0, -1.0])
    np.testing.assert_allclose(np.median(share, 0), weight / weight.sum(), rtol=0.2)


def test_a_change_of_division_is_followed_within_hours():
    market = markets({"bidder.margin": -0.5, "merchants.budget_high": 0.5})
    for tick in range(24):
        market.step(action(divide_live=1 if tick >= 12 else -1))
        if tick in (11, 15):
            part = market.states["tick_spend"] / market.states["tick_spend"].sum(1)[:, None]
            live = np.median(part[:, SCENES.index("live")])
            assert live < 0.08 if tick == 11 else live > 0.5


def test_where_the_target_binds_nothing_winds_up():
    """Multipliers of all scenes lie at the one that holds the target, not above it."""
    market = markets({"bidder.margin": 0.5})
    most = []

    def note(market):
        levels = market.states["pace_level"]
        most.append((levels.max(1) / np.maximum(market.states["cost_level"], 1e-6)).max())

    play(market, on_tick=note)
    assert max(most) < np.exp(2) * 1.01  # what the target's multiplier moves at once
    assert (market.states["cost_level"] < market.world.constants[0]["level_most"]).all()


def test_multipliers_do_not_oscillate():
    """They turn around a few times a day, not every other tick."""
    market = markets()
    levels = []
    play(market, on_tick=lambda m: levels.append(np.log(m.states["pace_level"].astype(float))))
    step = np.diff(np.array(levels), axis=0)[4:]
    turns = (np.sign(step[1:]) * np.sign(step[:-1]) < 0) & (np.abs(step[1:]) > 0.03)
    assert turns.mean() < 0.1


def test_the_dashboard_shows_the_multipliers_in_force():
    market = markets()
    column = [f"bid_{scene}" for scene in SCENES]
    for _ in range(6):
        market.step(action())
    shown = market.observations[:, [FEATURE_NAMES.index(name) for name in column]]
    np.testing.assert_allclose(np.exp(shown), market.states["pace_level"], rtol=1e-4)


def test_coupon_money_follows_its_division():
    scarce = {"merchants.coupon_budget_low": 0.01, "merchants.coupon_budget_high": 0.02}
    market = markets(scarce)
    claims = np.zeros((N, rows.N_POOLS))

    def note(market):
        claims[:] += market.states["tick_claims"]

    play(market, action(subsidy_ad=0.4), note)
    share = np.median(claims / claims.sum(1)[:, None], 0)
    weight = np.exp([0, 0, 1.0])
    np.testing.assert_allclose(share, weight / weight.sum(), rtol=0.2)
    assert (
        market.states["coupon_committed"] > 0.9 * market.merchants["coupon_budget"]
    ).mean() > 0.9


def test_a_daily_cap_is_paced_within_the_day():
    market = markets({"constraints.daily_cap": 0.2, "bidder.margin": -0.5}, days=3)
    days = []
    play(market, on_tick=lambda m: days.append(m.states["day_spend"] / m.merchants["budget"]))
    spends = np.array(days)
    assert (spends[23] < 0.2 + 1e-6).all()
    assert np.median(spends[23]) > 0.17
    assert np.median(spends[24 + 15]) < 0.16  # not all of it in the morning


def test_a_plan_that_does_nothing_bids_and_grants_nothing():
    market = play(markets(noop=True))
    assert (market.states["ledger"][:, SPEND] == 0).all()
    assert (market.states["coupon_committed"] == 0).all()


def test_where_the_platform_does_not_bid_the_levers_change_nothing():
    rng = np.random.default_rng(0)
    ends = []
    for width in (0, 1):
        market = Market(load_scenario("default"), N, days=1, levers="division")
        market.reset(seeds=np.arange(N))
        for _ in range(market.ticks):
            market.step(width * rng.uniform(-1, 1, (N, len(LEVERS))))
        ends.append(market.states["ledger"].copy())
    assert np.array_equal(*ends)


def test_the_platforms_own_moves_are_no_edits():
    """What it has learned is kept, however it moves its multipliers."""
    learns = {"predictor.learns": True, "predictor.memory_days": 1000}
    market = markets({**learns, "predictor.edit_keep": 0})
    play(market)
    assert (market.states["bid_in_force"] == 1).all()
    assert (market.states["evidence_expected"] > 0).all()


def test_a_market_is_the_same_alone_and_in_a_batch():
    whole = play(markets(sampled=True, n=3))
    alone = markets(sampled=True, n=1)
    alone.reset(seeds=np.array([2]))
    play(alone)
    assert alone.states[0].tobytes() == whole.states[2].tobytes()


def test_every_plan_spends_its_own_budget_or_meets_its_own_target():
    market = markets({"seasons.plan_days": 1}, days=3)
    still = action()
    for tick in range(market.ticks):
        before = market.states.copy()
        market.step(still)
        if tick in (23, 47):  # the plan that ends here
            season, earlier = market.states["season_ledger"], before["season_ledger"]
            money = (season - earlier)[:, SPEND] / before["budget"]
            season, earlier = market.states["season_accrued"], before["season_accrued"]
            value, cost = (season - earlier).T[[rows.A_SETTLED, rows.A_COST]]
            roi = value / cost / before["roi_target"]
            assert (money <= 1 + 1e-9).all()
            assert ((money > 0.9) | (roi < 1.1)).mean() > 0.85
            assert (roi < 0.98).mean() < 0.05


def test_levels_outlive_a_plan_and_its_sums_do_not():
    market = markets({"seasons.plan_days": 1}, days=2)
    for _ in range(24):
        market.step(action())
    before = market.states.copy()
    assert (before["recent_flow"] > 0).all()
    market.step(action())
    after = market.states
    allowed = np.minimum(before["pace_level"], after["cost_level"][:, None])
    np.testing.assert_allclose(after["pace_level"], allowed, rtol=1e-6)
    assert (after["pace_level"] == before["pace_level"]).mean() > 0.9
    assert (after["cost_level"] == before["cost_level"]).mean() > 0.9  # else held by the slack
    np.testing.assert_array_equal(after["depth_level"], before["depth_level"])
    assert (after["recent_flow"] == 0).all()
    assert (after["believed_value"] == 0).all()
    np.testing.assert_allclose(after["opening_waiting"], before["expected_waiting"].sum(1))


def test_old_orders_are_not_taken_for_the_plans_own():
    """What the platform believes of a young plan is near what the plan has accrued."""
    market = markets({"seasons.plan_days": 1}, days=2)
    for _ in range(28):
        market.step(action())
    believed, accrued = market.states["believed_value"], market.states["accrued"][:, rows.A_SETTLED]
    reported = market.states["ledger"][:, rows.LEDGER_NAMES.index("gmv")]
    assert np.abs(np.log(believed / accrued)).mean() < 0.35
    assert np.abs(np.log(believed / accrued)).mean() < np.abs(np.log(reported / accrued)).mean()
