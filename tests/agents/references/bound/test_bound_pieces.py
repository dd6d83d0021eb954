"""Each piece of the upper bound against random controls on the market's own recursions: never
below what they reach.
"""

import numpy as np
import pytest
from chengfang.agents.references import upper_bound
from chengfang.agents.references.bound.ad_market import ad_market
from chengfang.agents.references.bound.creatives import wear_kernel
from chengfang.agents.references.bound.free_traffic import FreePrices, FreeTick, best_free
from chengfang.agents.references.bound.relaxation import relax
from chengfang.envs import Market, Setting, load_scenario, select_levers
from chengfang.envs.market import layout as rows

MANY = {
    f"traffic.{pool}": dict.fromkeys(("feed", "live", "mall", "search"), 2e7)
    for pool in ("natural", "transaction", "ad")
}
RNG = np.random.default_rng(0)


def logistic(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("trial", range(20))
def test_free_traffic_is_worth_no_more(trial):
    """Any extra quality, wear and share shown, paying the same rents and tolls, stays below
    `best_free`.
    """
    rng = np.random.default_rng(trial)
    logit = rng.uniform(-2.5, -1.8, (2, 4))
    room = rng.uniform(0.1, 0.6, 2)
    pull = np.array([0.9, 1.1])
    few = 0.02

    def most_shown(g):
        return logistic(logit + pull[:, None] * g * room[:, None])

    reach = np.array([most_shown(g) for g in (0, 1)])
    full = rng.uniform(1, 9, (2, 4))
    people = rng.uniform(0.1, 2, (2, 4))
    toll = rng.uniform(0, 2, 4)
    worn = rng.uniform(0.5, 1, 4)
    share = rng.uniform(0.6, 1)
    gain = rng.uniform(0, 0.6, 4)
    rents = rng.uniform(0, 0.3, (2, 4))
    found = best_free(
        FreeTick(full, people, np.full((2, 4), few), reach),
        FreePrices(worn, gain, rents, toll),
        share,
    )
    for _ in range(400):
        g = rng.uniform(0, 1, (2, 4))
        d = rng.integers(2) * rng.uniform(0, 1, 4)
        shown = few + rng.choice([0.0, 1.0, rng.uniform()], (2, 4)) * (most_shown(g) - few)
        got = (gain * d).sum() - (rents * g).sum()
        got += (shown * full * share * worn**d - (shown - few) * people * toll).sum()
        assert got <= found + 1e-9


@pytest.mark.parametrize("rate", [0.0, 0.6, 1.2])
def test_no_course_of_arrivals_sees_less_exposure_than_the_kernel(rate):
    """Creatives arrive at their usual rate and may be rejected."""
    scenario = load_scenario("default", {"creative.rate_default": rate})
    market = Market(scenario, 1, days=7, levers=select_levers("bidding"), split="test")
    w = market.world.constants[0].copy()
    market.close()
    ticks = 168
    wear, start = wear_kernel(w, ticks)
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
                    exposure *= 1 - float(w["creative_mix_share"]) * (RNG.random() > 0.2)
            step = float(w["lever_default"][rows.LEVER_CREATIVE]) * float(w["days_per_tick"])
            progress = min(progress + step, 1.0)
            if progress >= 1 - 1e-9 and wait < 0:
                progress = 0.0
                wait = float(w["creative_delay"])
        assert (at >= wear @ added + start * float(w["start_exposure"]) - 1e-9).all()


@pytest.mark.parametrize("levers", ["allocation", "coupon"])
def test_no_random_plan_leaves_the_intervals(levers):
    """Free exposure stays between `fewest` and `reach`, creatives are no fresher and prices no
    lower than the bound assumes.
    """
    scenario = load_scenario("default", MANY)
    names = select_levers(levers)
    seeds = np.arange(1_000_000, 1_000_006)
    o = relax(Setting(scenario, names, 1), seeds)
    market = Market(scenario, len(seeds), days=1, levers=names, split="test")
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
        assert (shown <= o.reach[:, 1, t] + 1e-5).all()
        assert (shown >= o.fewest[:, t] - 1e-5).all()
        assert (market.states["exposure"] >= o.exposure[:, t] - 1e-5).all()
        market.step(
            np.clip(centre + 0.4 * RNG.standard_normal(centre.shape), -1, 1).astype(np.float32)
        )
        assert (market.states["price_shock"] >= o.price[:, t] - 1e-5).all()
    market.close()


@pytest.mark.slow
@pytest.mark.parametrize("bid", [-1.0, 0.3, 1.0])
def test_what_lasts_stays_in_its_interval(bid):
    """Exposure, pressure and the competitors' answer of plans that buy nothing, much, or all."""
    names = select_levers("allocation")
    seeds = np.arange(1_000_000, 1_000_024)
    setting = Setting(load_scenario("default"), names, 1)
    o = relax(setting, seeds)
    ads = ad_market(o)
    market = Market.of(setting, len(seeds))
    market.reset(seeds=seeds)
    action = np.full((len(seeds), len(names)), 1.0, np.float32)
    for t in range(market.ticks):
        extra = market.states["exposure"] - o.exposure[:, t]
        assert (extra >= -1e-5).all()
        assert (extra <= ads.wear.most[:, t] + 1e-5).all()
        assert (market.states["pressure"] <= ads.pressure.most[:, t] + 1e-5).all()
        action[:, :4] = np.where(RNG.random((len(seeds), 4)) < 0.8, bid, -bid)
        market.step(action)
        answer = market.states["price_shock"] - o.price[:, t]
        assert (answer >= -1e-5).all()
        assert (answer <= ads.auctions.dearest[:, t][:, None] + 1e-5).all()
    market.close()


@pytest.mark.slow
def test_a_seed_has_the_same_bound_in_any_batch():
    scenario = load_scenario("default")
    seeds = np.arange(1_000_000, 1_000_003)
    together, apart = (
        upper_bound(Setting(scenario, select_levers("coupon"), 1), seeds, batch=size).value
        for size in (3, 1)
    )
    np.testing.assert_allclose(apart, together, rtol=1e-12)
