"""The merchant's seat: what is in force follows what is asked for by the rules of editing."""

import numpy as np
import pytest
from chengfang.envs import LEVER_SETS, Market, load_scenario
from chengfang.envs.market import layout as rows

N = 48
LEVERS = LEVER_SETS["seat"]
SPEND = rows.LEDGER_NAMES.index("spend")


def markets(changes=None, days=2, platform=True):
    scenario = load_scenario(
        "default", {"bidder.platform": platform, "seat.open": True, **(changes or {})}
    )
    market = Market(scenario, N, days=days, levers="seat", sampled=False)
    market.reset(seeds=np.arange(N))
    return market


def step(market, budget=0.0, target=0.0):
    market.step(np.repeat(np.array([[budget, target]], np.float32), N, 0))


def told(market):
    """The target in force of the first market, times its own."""
    return float(market.states["target_told"][0])


def test_a_day_spends_no_more_than_its_budget():
    market = markets(days=4)
    for tick in range(market.ticks):
        step(market, budget=-0.6)  # 0.4 of the even daily budget
        if tick % 24 == 23:
            most = 0.4 * market.merchants["budget"] / 4
            assert (market.states["day_spend"] <= most * (1 + 1e-6)).all()
            assert np.median(market.states["day_spend"] / most) > 0.95


def test_a_higher_target_told_is_kept():
    market = markets()
    for _ in range(market.ticks):
        step(market, target=0.6)  # 1.3 times the own target
    earned = market.states["accrued"]
    roi = earned[:, rows.A_SETTLED] / earned[:, rows.A_COST] / market.merchants["roi_target"]
    assert (roi > 1.3 * 0.99).mean() > 0.9


def test_a_small_change_is_no_edit():
    market = markets({"seat.target_step": 0.1, "seat.budget_step": 0.3})
    step(market)
    step(market, budget=0.1, target=0.1)  # 1.2 and 1.05
    assert (market.states["target_told"] == 1).all()
    assert (market.states["budget_told"] == 1).all()
    assert (market.states["target_edits"] == 0).all()
    step(market, budget=0.2, target=0.5)  # 1.4 and 1.25
    np.testing.assert_allclose(market.states["target_told"], 1.25)
    np.testing.assert_allclose(market.states["budget_told"], 1.4, rtol=1e-6)
    assert (market.states["target_edits"] == 1).all()


def test_edits_of_the_target_lie_hours_apart():
    market = markets({"seat.target_hours": 3})
    step(market)
    seen = []
    for i in range(7):
        step(market, target=0.1 * (i + 1))
        seen.append(round(told(market), 3))
    assert seen == [1, 1, 1.15, 1.15, 1.15, 1.3, 1.3]


def test_a_days_edits_of_the_budget_run_out():
    market = markets({"seat.budget_edits": 2})
    step(market)
    seen = []
    for tick in range(25):
        step(market, budget=0.1 * (tick % 5 + 1))
        seen.append(round(float(market.states["budget_told"][0]), 3))
    assert seen[:4] == [1.2, 1.4, 1.4, 1.4]
    assert seen[-2] != 1.4  # the next day


def test_a_budget_is_not_cut_below_what_is_spent():
    market = markets({"bidder.margin": -0.5})
    for _ in range(15):
        step(market)
    spent = market.states["day_spend"] / (market.merchants["budget"] / 2)
    step(market, budget=-1)
    np.testing.assert_allclose(market.states["budget_told"], 1.05 * spent, rtol=1e-5)


@pytest.mark.parametrize(("edits", "paid"), [(2, True), (3, False)])
def test_too_many_edits_void_the_protection(edits, paid):
    protected = {
        "money.protection": True,
        "money.protection_threshold": 1.0,
        "money.protection_min_orders": 0,
        "bidder.margin": -0.4,
        "merchants.budget_low": 2.0,
        "merchants.budget_high": 3.0,
    }
    market = markets(protected, days=1)
    for tick in range(24):
        step(market, target=-0.2 * min(tick // 2, edits))
    repaid = market.states["ledger"][:, rows.LEDGER_NAMES.index("protection")]
    assert (market.states["unprotected"] == (not paid)).all()
    assert (repaid > 0).any() == paid


def test_where_there_is_no_seat_the_levers_change_nothing():
    ends = []
    for a in (0.0, 0.7):
        market = Market(load_scenario("default"), N, days=1, levers="seat")
        market.reset(seeds=np.arange(N))
        for _ in range(market.ticks):
            step(market, a, -a)
        ends.append(market.states["ledger"].copy())
    assert np.array_equal(*ends)
    assert len(LEVERS) == 2


def test_a_plan_begins_protected_and_its_first_values_are_no_edits():
    market = markets({"seasons.plan_days": 1, "seat.target_edits": 1}, days=2)
    for tick in range(24):
        step(market, target=-0.2 * min(tick // 2, 2))
    assert (market.states["unprotected"] == 1).all()
    step(market, budget=0.4, target=0.4)
    assert (market.states["unprotected"] == 0).all()
    assert (market.states["target_edits"] == 0).all()
    assert (market.states["budget_edits"] == 0).all()
    assert (market.states["target_edited"] == 1).all()
    np.testing.assert_allclose(told(market), 1.2, rtol=1e-6)
