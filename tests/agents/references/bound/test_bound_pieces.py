"""Each piece of the upper bound against random controls on the market's own recursions: never
below what they reach.
"""

import numpy as np
import pytest
from chengfang.agents.references import upper_bound
from chengfang.agents.references.bound.creatives import wear_kernel
from chengfang.agents.references.bound.creators import supply_goals
from chengfang.agents.references.bound.free_traffic import (
    CreatorTick,
    FreePrices,
    FreeTick,
    best_free,
)
from chengfang.agents.references.bound.order_terms import _best_commission
from chengfang.agents.references.bound.relaxation import relax
from chengfang.agents.references.bound.tiers import best_mix
from chengfang.envs import Market, Setting, load_scenario, select_levers
from chengfang.envs.market import layout as rows

MANY = {
    f"traffic.{pool}": dict.fromkeys(("feed", "live", "mall", "search"), 2e7)
    for pool in ("natural", "transaction", "ad")
}
RNG = np.random.default_rng(0)


def constants(levers: str, days: int = 1) -> np.void:
    market = Market(
        load_scenario("default"), 1, days=days, levers=select_levers(levers), split="test"
    )
    record = market.world.constants[0].copy()
    market.close()
    return record


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("trial", range(20))
def test_free_traffic_is_worth_no_more(trial):
    """Any commission, supply, extra quality, wear and share shown, paying the same rents and tolls,
    stays below `best_free`.
    """
    rng = np.random.default_rng(trial)
    w = constants("super_plan")
    rates = np.concatenate([[0.0], np.geomspace(0.002, 0.35, 20)])
    goals, slack = supply_goals(w, rates)
    logit = rng.uniform(-2.5, -1.8, (2, 4))
    low = -1.5
    high = 1.2
    room = rng.uniform(0.1, 0.6, 2)
    lift = np.array([0.3, 0.08])
    pull = np.array([0.9, 1.1])
    few = 0.02

    def most_shown(s, g):
        return logistic(logit + lift[:, None] * s + pull[:, None] * g * room[:, None])

    reach = np.array([[most_shown(s, g) for g in (0, 1)] for s in (low, high)])
    gross = rng.uniform(1, 9, 4)
    tax = rng.uniform(1, 9, 4)
    transaction = rng.uniform(1, 9, 4)
    natural = np.maximum(gross - rates[:, None] * tax, 0.0)
    people = rng.uniform(0.1, 2, (2, 4))
    toll = rng.uniform(0, 2, 4)
    worn = rng.uniform(0.5, 1, 4)
    share = rng.uniform(0.6, 1)
    credit = rng.uniform(0, 2)
    rent = rng.uniform(0, 1)
    gain = rng.uniform(0, 0.6, 4)
    rents = rng.uniform(0, 0.3, (2, 4))
    found = slack * credit + best_free(
        FreeTick(natural, transaction, people, np.full((2, 4), few), reach),
        CreatorTick(np.array([low, high]), goals, credit, rent),
        FreePrices(worn, gain, rents, toll),
        share,
    )
    for _ in range(400):
        k = rng.uniform(0, 0.35)
        s = rng.uniform(low, high)
        g = rng.uniform(0, 1, (2, 4))
        d = rng.integers(2) * rng.uniform(0, 1, 4)
        most = most_shown(s, g)
        shown = few + rng.choice([0.0, 1.0, rng.uniform()], (2, 4)) * (most - few)
        full = np.stack([np.maximum(gross - k * tax, 0.0), transaction]) * share * worn**d
        got = (
            credit * np.log(max(k, 0.002) / float(w["commission_reference"]))
            - rent * s
            - (rents * g).sum()
            + (gain * d).sum()
        )
        got += (shown * full - (shown - few) * people * toll).sum()
        assert got <= found + 1e-9


@pytest.mark.parametrize("effort", [1.2, 0.7])
def test_no_course_of_refreshes_sees_less_exposure_than_the_kernel(effort):
    w = constants("super_plan", 7)
    ticks = 168
    for levers in (("creative",), ()):
        wear, start = wear_kernel(w, levers, ticks)
        for _ in range(20):
            added = RNG.exponential(0.05, ticks)
            at = np.zeros(ticks)
            exposure = float(w["start_exposure"])
            progress = 0.0
            wait = -1.0
            for t in range(ticks):
                at[t] = exposure
                exposure += added[t]
                if wait >= 0:
                    wait -= float(w["hours_per_tick"])
                    if wait < 0:
                        wait = -1.0
                        exposure = exposure * (
                            1 - float(w["creative_mix_share"]) * (RNG.random() > 0.2)
                        )
                rate = (
                    effort * RNG.integers(0, 2)
                    if levers
                    else float(w["lever_default"][rows.LEVER_CREATIVE])
                )
                progress = min(
                    progress
                    + max(rate, effort * (t < 60) if levers else 0.0) * float(w["days_per_tick"]),
                    1.0,
                )
                if progress >= 1 - 1e-9 and wait < 0:
                    progress = 0.0
                    wait = float(w["creative_delay"])
            assert (at >= wear @ added + start * float(w["start_exposure"]) - 1e-9).all()


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 1.0, 1.3])
def test_no_course_of_mixes_exceeds_best_mix(weight):
    w = constants("whole_shop", 28)
    ticks = 400
    elasticity = float(w["heat_elasticity"])
    start = w["tier_stock"].astype(float)
    found = best_mix(w, start[None], ticks, weight)[0]
    for trial in range(60):
        heat = start.copy()
        mix = RNG.dirichlet(RNG.uniform(0.05, 3, 3))
        for t in range(ticks):
            if trial % 2 and RNG.random() < 0.05:
                mix = RNG.dirichlet(RNG.uniform(0.05, 3, 3))
            warmth = np.clip(heat / np.maximum(mix, 1e-3), 0.05, 20)
            logit = (
                mix * (w["tier_appeal"] + elasticity * (np.log(warmth) - w["log_warmth"]))
            ).sum()
            assert logit + weight * np.log((mix * w["tier_value"]).sum()) <= found[t] + 1e-6
            rising, emerging = (float(w["tier_growth"]) * mix[i] * heat[i] for i in (1, 2))
            heat = heat * w["tier_keep"] + [
                rising,
                emerging - rising,
                float(w["tier_inflow"]) - emerging,
            ]


def test_the_best_commission_on_ad_orders_is_not_below_any():
    w = constants("super_plan")
    lift = float(w["influencer_ad_lift"])
    high = float(w["lever_high"][rows.LEVER_COMMISSION_AD])
    for _ in range(200):
        top = RNG.uniform(-5, 0)
        net = RNG.uniform(-1, 10)
        base = RNG.uniform(0, 30)
        found = _best_commission(
            w, np.array(net), np.array(base), np.array(lift * (1 - logistic(top)))
        )
        k = np.linspace(0, high, 500)
        faded = RNG.uniform(0, 3)
        click = logistic(top - faded + lift * np.log(np.maximum(k, 0.002) / high)) / logistic(
            top - faded
        )
        assert (click * (net - k * base)).max() <= found + 1e-9


@pytest.mark.parametrize("levers", ["super_plan", "whole_shop"])
def test_no_random_plan_leaves_the_intervals(levers):
    """Free exposure stays between `fewest` and `reach`, creatives are no fresher and prices no
    lower than the bound assumes.
    """
    scenario = load_scenario("default", MANY)
    names = select_levers(levers)
    seeds = np.arange(1_000_000, 1_000_006)
    o = relax(Setting(scenario, names, 3), seeds)
    market = Market(scenario, len(seeds), days=3, levers=names, split="test")
    market.reset(seeds=seeds)
    w = market.world.constants[0]
    centre = RNG.uniform(-1, 1, (len(seeds), len(names)))
    for t in range(market.ticks):
        lift = (
            w["quality_lift"] * market.states["quality"]
            + w["influencer_lift"] * market.states["supply"][:, None]
        )
        shown = logistic(
            market.cells[:, rows.EXPOSURE, : rows.AD].astype(float) + np.repeat(lift, rows.BLOCK, 1)
        )
        assert (shown <= o.reach[:, 1, 1, t] + 1e-5).all()
        assert (shown >= o.fewest[:, t] - 1e-5).all()
        assert (market.states["exposure"] >= o.exposure[:, t] - 0.02).all()  # noise of a tick
        market.step(
            np.clip(centre + 0.4 * RNG.standard_normal(centre.shape), -1, 1).astype(np.float32)
        )
        assert (market.states["price_shock"] >= o.price[:, t] - 1e-5).all()
    market.close()


@pytest.mark.slow
def test_a_seed_has_the_same_bound_in_any_batch():
    scenario = load_scenario("default")
    seeds = np.arange(1_000_000, 1_000_003)
    together, apart = (
        upper_bound(Setting(scenario, select_levers("whole_shop"), 1), seeds, batch=size).value
        for size in (3, 1)
    )
    np.testing.assert_allclose(apart, together, rtol=1e-12)
