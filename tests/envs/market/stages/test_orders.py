"""Orders on their way: each arrives exactly once, when the scenario says, and is refunded as often
as its risk says.

Driven through whole ticks: order books are written by hand into a market that has next to no
    visitors of its own.
"""

import numpy as np
import pytest
from chengfang.envs.market import layout as rows
from chengfang.envs.scenario import POOLS, SCENES, WINDOWS, load_scenario

GROUPS = rows.N_GROUPS
FAST = slice(0, GROUPS)
SLOW = slice(GROUPS, 2 * GROUPS)
MODES = pytest.mark.parametrize("sampled", [True, False])
MONEY = slice(rows.GMV, rows.AT_RISK)
NO_VISITORS = {pool: dict.fromkeys(SCENES, 1e-6) for pool in POOLS}
AT_ONCE = {"slow_hours": 0.1, "fast_hours": 0.1}  # compartments empty within a tick: e^-10 stays
NEVER = dict.fromkeys(WINDOWS, 3000.0)


def quiet(harness, n=1, sampled=True, **overrides):
    """A rig without visitors: whatever moves was put there by the test."""
    return harness.Rig(
        load_scenario({"traffic": NO_VISITORS, **overrides}), n, days=4, sampled=sampled
    ).reset()


def fill(rig, compartment, orders, risk=0.25, gmv=10_001, coupon=503, commission=801, extras=7):
    """Put `orders` into a compartment of every group of every env, the money lines per order."""
    lines = {
        rows.ORDERS: 1,
        rows.GMV: gmv,
        rows.COUPON: coupon,
        rows.COMMISSION: commission,
        rows.EXTRAS: extras,
        rows.AT_RISK: risk,
    }
    for line, each in lines.items():
        rig.states["pending"][:, line, compartment] += orders * each


def wait(rig):
    rig.step(np.full(len(rig.levers), -1.0))


# Delivery
# -------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("orders", [1, 3, 57])
def test_every_order_and_every_fen_arrives_exactly_once(orders, sampled, harness):
    rig = quiet(harness, 20, sampled)
    fill(rig, FAST, orders)
    fill(rig, SLOW, orders)
    placed = rig.states["pending"].sum(2)
    for _ in range(rig.ticks):
        wait(rig)
        waiting = rig.states["pending"].sum(2)
        np.testing.assert_allclose(
            rig.states["orders"].sum(1) + waiting[:, rows.ORDERS], placed[:, rows.ORDERS], rtol=1e-9
        )
        for line, name in (
            (rows.GMV, "gmv"),
            (rows.COMMISSION, "commission"),
            (rows.EXTRAS, "extras"),
        ):
            np.testing.assert_array_equal(rig.ledger(name) + waiting[:, line], placed[:, line])
        coupon = rig.ledger("coupon_merchant") + rig.ledger("coupon_platform")
        np.testing.assert_array_equal(coupon + waiting[:, rows.COUPON], placed[:, rows.COUPON])
    assert (rig.states["pending"][:, : rows.AT_RISK] == 0).all()


def test_sampled_orders_arrive_whole_and_no_money_without_its_order(harness):
    rig = quiet(harness, 50)
    fill(rig, FAST, 3)
    fill(rig, SLOW, 2)
    for _ in range(rig.ticks):
        wait(rig)
        waiting = rig.states["pending"][:, : rows.AT_RISK]
        np.testing.assert_array_equal(waiting, np.floor(waiting))
        assert (waiting >= 0).all()
        assert (waiting[:, MONEY].sum(1)[waiting[:, rows.ORDERS] == 0] == 0).all()


@MODES
@pytest.mark.parametrize("ticks_per_day", [24, 96])
@pytest.mark.parametrize(("compartment", "mean_hours"), [(FAST, 4.0), (SLOW, 9.0)])
def test_delays_are_exponential_with_the_scenarios_mean(
    compartment, mean_hours, ticks_per_day, sampled, harness
):
    """Mean hours tau less half a tick: an order waits from the middle of its tick."""
    rig = quiet(
        harness,
        50,
        sampled,
        clock={"ticks_per_day": ticks_per_day},
        order={"fast_hours": 4.0, "slow_hours": 9.0},
    )
    fill(rig, compartment, 100)
    total = 50 * GROUPS * 100
    seen = 0.0
    arrived = []
    for _ in range(rig.ticks - 1):
        wait(rig)
        arrived.append((rig.states["orders"].sum() - seen) / total)
        seen = rig.states["orders"].sum()
    arrived = np.array(arrived)
    n = np.arange(rig.ticks - 1)
    hours = 24 / ticks_per_day
    release = 1 - np.exp(-hours / mean_hours)
    law = release * (1 - release) ** n
    assert (
        np.abs(arrived - law) <= (5 * np.sqrt(law / total) + 5 / total if sampled else 1e-6)
    ).all()
    assert (arrived * n).sum() * hours == pytest.approx(mean_hours - hours / 2, rel=0.02)


@MODES
def test_orders_split_into_at_once_fast_and_slow(sampled, harness):
    scenario = load_scenario(
        {"order": {"at_once": 0.3, "fast_share": 0.6, "fast_hours": 200.0, "slow_hours": 2000.0}}
    )
    rig = harness.Rig(scenario, 400, sampled=sampled).reset()
    rig.step(np.zeros(len(rig.levers)))
    placed = rig.states["placed"].sum()
    release = 1 - np.exp(-1 / np.array([200.0, 2000.0]))
    waiting = rig.states["pending"][:, rows.ORDERS].reshape(-1, 2, GROUPS).sum((0, 2)) / placed
    error = 5 * 0.5 / np.sqrt(placed) if sampled else 1e-5
    np.testing.assert_allclose(waiting, 0.7 * np.array([0.6, 0.4]) * (1 - release), atol=error)
    np.testing.assert_allclose(rig.states["orders"].sum() / placed, 1 - waiting.sum(), rtol=1e-9)


# Refunds
# -------------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("risk", [0.0, 0.02, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("orders", [1, 40, 3000])
def test_refund_rate_is_the_risk(orders, risk, sampled, harness):
    rig = quiet(harness, 200, sampled, order=AT_ONCE)
    fill(rig, SLOW, orders, risk)
    wait(rig)
    arrived = rig.states["orders"].sum()
    error = 5 * np.sqrt(arrived * risk * (1 - risk)) + 1e-6 * arrived
    assert abs(rig.states["refunded_orders"].sum() - arrived * risk) <= error
    assert (rig.states["refunded_orders"] <= rig.states["orders"].sum(1) * (1 + 1e-6)).all()


@MODES
def test_refunds_split_over_windows_and_reverse_every_line_in_proportion(sampled, harness):
    rig = quiet(harness, 1, sampled, order=AT_ONCE, refund={"mean_hours": NEVER})
    s = rig.scenario
    fill(rig, SLOW, 100_000)
    wait(rig)
    book = {name: rig.ledger(name)[0] for name in rows.LEDGER_NAMES}
    shares = np.array([s.refund.shares[w] for w in WINDOWS]) / sum(s.refund.shares.values())
    rate = rig.states["refunded_orders"][0] / rig.states["orders"][0].sum()
    total = np.array(
        [
            book["gmv"],
            book["coupon_merchant"] + book["coupon_platform"],
            book["coupon_merchant"],
            book["commission"],
            book["fee"],
            book["goods"],
        ]
    )
    waiting = rig.states["refunds"][0] / (1 - 1 / 3000)  # what the first hour already released
    np.testing.assert_allclose(
        waiting, np.outer(shares, total * rate), rtol=2e-3 if sampled else 1e-5, atol=30
    )


def test_refunds_mature_with_their_mean_delay_and_all_at_the_end(harness):
    rig = quiet(harness)
    mean_hours = np.array([rig.scenario.refund.mean_hours[w] for w in WINDOWS])
    waiting = np.tile([9e8, 4e8, 3e8, 2e8, 1e8, 5e8], (4, 1))
    rig.states["refunds"][0] = waiting
    for tick in range(rig.ticks):
        wait(rig)
        expected = (
            waiting * np.exp(-(tick + 1) / mean_hours)[:, None]
            if tick < rig.ticks - 1
            else np.zeros((4, 6))
        )
        np.testing.assert_allclose(rig.states["refunds"][0], expected, rtol=1e-6, atol=tick + 1000)
    back = {
        "gmv": 36e8,
        "coupon_merchant": 12e8,
        "coupon_platform": 4e8,
        "commission": 8e8,
        "fee": 4e8,
        "goods": 20e8,
    }
    assert {name: rig.ledger(f"refund_{name}")[0] for name in back} == back


@pytest.mark.parametrize(("window", "counted"), [("1h", 1), ("7d", 2), ("14d", 3), ("90d", 4)])
def test_only_refunds_within_the_window_are_settled(window, counted, harness):
    rig = quiet(harness, refund={"window": window})
    rig.states["refunds"][0, :, rows.R_GMV] = [1000, 200, 30, 4]
    for _ in range(rig.ticks):
        wait(rig)
    assert rig.ledger("settled_refund_gmv")[0] == sum([1000, 200, 30, 4][:counted])
    assert rig.ledger("refund_gmv")[0] == 1234


# A tick's draws against its expectation
# --------------------------------------------------------------------------

CALM = {
    "traffic": {"dispersion": 0.0, "shock_volatility": 0.0},
    "auction": {"shock_volatility": 0.0},
    "creative": {"quality_sd": 0.0},
    "merchants": {
        "budget_low": 40.0,
        "budget_high": 50.0,
        "coupon_budget_low": 5.0,
        "coupon_budget_high": 5.0,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["unified", "dual_track"])
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_sampled_ticks_is_the_expectation(seed, preset, harness):
    """20,000 draws of one merchant's tick: counts, money and delays within 5 standard errors and
    the fen of rounding.
    """
    n = 20_000
    scenario = load_scenario({**CALM, "regime": {"preset": preset}})
    sampled = harness.Rig(scenario, n).reset()
    expected = harness.Rig(scenario, 1, sampled=False).reset([seed])
    keys = sampled.states["key"].copy()
    sampled.merchants[:] = expected.merchants[0]
    sampled.cells[:] = expected.cells[0]
    sampled.states[:] = expected.states[0]
    sampled.states["key"] = keys
    actions = np.where(np.char.startswith(sampled.levers, "tier"), 0.0, 0.3)
    for rig in (sampled, expected):
        rig.step(actions)
    fields = [
        "placed",
        "impressions",
        "clicks",
        "orders",
        "gmv",
        "coupon",
        "scene_spend",
        "pending",
        "ledger",
        "coupon_committed",
        "refunded_orders",
        "tick_segment_clicks",
        "tick_segment_claims",
    ]
    for name in fields:
        drawn = sampled.states[name].astype(float).reshape(n, -1)
        mean = expected.states[name].astype(float).ravel()
        error = 5 * drawn.std(0) / np.sqrt(n) + 1e-4 * np.abs(mean)
        rounding = (
            20.0
            if name in ("ledger", "coupon_committed")
            else 2.0
            if name in ("gmv", "coupon", "scene_spend")
            else 1e-3
        )
        if name == "pending":
            rounding = np.where(np.arange(drawn.shape[1]) < 2 * GROUPS, 1e-3, 2.0)
        assert (np.abs(drawn.mean(0) - mean) <= error + rounding).all(), name
