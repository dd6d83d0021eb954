"""What the shop is worth when an episode ends: so that ending early is no free lunch."""

import numpy as np
import pytest
from chengfang.envs import Market, load_scenario

N = 32
NAMES = ("customers", "quality", "supply", "creatives")
ALL = {f"left_over.{name}": 1.0 for name in NAMES}
COMING = {"repeat.rate": 0.3, "repeat.stay_days": 30}


def ended(changes, moved=(), days=4, reward="settled_gmv", **options):
    """The market after held actions, and the sum of its rewards in CNY; `moved`: (lever, value)
    held from the middle of the episode on.
    """
    market = Market(
        load_scenario("default", changes),
        N,
        days=days,
        levers="all",
        sampled=False,
        reward=reward,
        **options,
    )
    market.reset(seeds=np.arange(N))
    action = np.zeros((N, len(market.levers)), np.float32)
    total = np.zeros(N)
    for t in range(market.ticks):
        if t == market.ticks // 2:
            for name, value in moved:
                action[:, market.levers.index(name)] = value
        market.step(action)
        assert (market.states["left_over"] == 0).all() or market.dones.all()
        total += market.rewards
    scale = market.merchants["budget"] * market.merchants["roi_target"].astype(float) / 100
    return market, total * scale


@pytest.mark.parametrize(
    ("name", "worse"),
    [
        ("creatives", [("creative", -1.0)]),
        ("supply", [("commission_natural", -1.0)]),
        ("quality", [("service", -1.0)]),
        ("customers", [("bid", -1.0)]),
    ],
)
def test_ending_early_leaves_less(name, worse):
    changes = {f"left_over.{name}": 1.0, **COMING}
    kept, _ = ended(changes)
    spared, _ = ended(changes, worse)
    assert spared.states["left_over"].sum() < kept.states["left_over"].sum()


def test_it_counts_in_settled_gmv_profit_and_score_alone():
    for reward in ("settled_gmv", "profit", "score"):
        _, without = ended(COMING, reward=reward)
        market, total = ended(COMING | ALL, reward=reward)
        left = market.states["left_over"] / 100
        if reward == "profit":
            left = left * (market.merchants["margin"] - 0.006)
        if reward == "score":
            left = left * (1 - market.dashboard()["shortfall"]) ** 2
        np.testing.assert_allclose(total - without, left, rtol=1e-3, atol=1.0)


def test_the_dashboard_shows_it_where_it_counts():
    market, total = ended(COMING | ALL, reward="score")
    shown = market.dashboard()
    np.testing.assert_allclose(shown["left_over"], market.states["left_over"] / 100)
    np.testing.assert_allclose(shown["score"], total, rtol=1e-4)
    plain, _ = ended(COMING)
    assert "left_over" not in plain.dashboard()


def test_a_customer_is_worth_what_it_will_bring():
    """Twice the usual customers leave the usual repeat sales of their whole stay."""
    market, _ = ended({"left_over.customers": 1.0, **COMING}, days=1)
    market.reset(seeds=np.arange(N))
    m = market.merchants
    other = market.get_state()
    other.states["tick"] = 23
    base = []
    for more in (0.0, 1.0):
        market.set_state(other)
        market.states["customers"] += more * m["customers"]
        market.step(np.zeros((N, len(market.levers)), np.float32))
        base.append(market.states["left_over"].copy())
    expected = m["customer_share"] * m["free_settled"].sum(1) * 30
    np.testing.assert_allclose(base[1] - base[0], expected, rtol=0.01)
