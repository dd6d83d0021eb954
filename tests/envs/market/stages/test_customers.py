"""Customers who come back: doing nothing keeps them, and what is acquired pays later."""

import numpy as np
import pytest
from chengfang.envs import Market, ScenarioError, load_scenario

N = 48
COMING = {"repeat.rate": 0.3, "repeat.delay_days": 2, "repeat.stay_days": 30}
# A market whose free traffic does not move by itself.
STEADY = {
    "quality.speed": 0.0,
    "quality.refund_penalty": 0.0,
    "quality.spill_over.natural": 0.0,
    "quality.spill_over.transaction": 0.0,
    "tiers.growth": 0.0,
    "tiers.ageing": {"hot": 0.0, "trending": 0.0, "potential": 0.0},
    "tiers.inflow": 0.0,
    "click.creative_gain": 0.0,
    "click.pressure": 0.0,
}


def played(changes, days=20, advertise=0, noop=False, **options):
    """The market at its end, and free impressions by day; ads on the first days only."""
    market = Market(
        load_scenario("default", changes), N, days=days, levers="all", sampled=False, **options
    )
    market.reset(seeds=np.arange(N))
    still = np.zeros((N, len(market.levers)), np.float32)
    shown, before = [], 0.0
    for t in range(market.ticks):
        market.noop = noop or t >= advertise * 24 if t % 24 == 0 else market.noop
        market.step(still)
        if t % 24 == 23:
            total = market.states["impressions"][:, :8].sum()
            shown.append(total - before)
            before = total
    return market, np.array(shown)


def test_doing_nothing_keeps_its_customers_and_its_traffic():
    market, shown = played(COMING | STEADY)
    ratio = market.states["customers"] / market.merchants["customers"]
    assert (np.abs(ratio - 1) < 0.05).all()
    _, without = played(STEADY)
    np.testing.assert_allclose(shown, without, rtol=0.02)


def test_the_usual_share_of_repeat_orders_is_what_the_fields_say():
    """A kept order brings rate * stay / 30 more."""
    market, _ = played(COMING, days=1)
    share = market.merchants["customer_share"]
    assert (share < 0.3).all()
    assert (share > 0.15).all()
    assert (market.merchants["customers"] > 0).all()


def test_what_is_acquired_pays_later():
    _, quiet = played(COMING | STEADY)
    _, acquired = played(COMING | STEADY, advertise=5)
    more = acquired / quiet - 1
    assert more[0] < 0.01
    assert more[5] > 0.02
    assert more[8] > more[5] / 3
    assert more[19] < more[8:].max()  # they leave in the end
    assert more[19] > 0.005


def test_without_a_rate_nobody_comes_back():
    _, with_none = played({"repeat.rate": 0.0, "repeat.stay_days": 30}, days=3, advertise=2)
    _, plain = played({}, days=3, advertise=2)
    np.testing.assert_array_equal(with_none, plain)


def test_sales_may_not_feed_themselves():
    with pytest.raises(ScenarioError, match="an order brings 2 more"):
        load_scenario("default", {"repeat.rate": 1.0, "repeat.stay_days": 60})
