"""Who the merchants are: disjoint splits, the scenario's distributions, and targets that can be
reached.
"""

import numpy as np
import pytest
from chengfang.envs.kernels import streams
from chengfang.envs.market import layout as rows
from chengfang.envs.market.generator import REACTIONS
from chengfang.envs.scenario import (
    FREE_POOLS,
    POOLS,
    SCENES,
    SEGMENTS,
    TIERS,
    WINDOWS,
    load_scenario,
)
from scipy import stats
from scipy.special import expit, ndtr

N = 4000
LEAST_P = 1e-6
SHAPE = (-1, len(POOLS), len(SEGMENTS), len(SCENES))
ALIKE = dict.fromkeys(
    (
        "size_sd",
        "order_value_sd",
        "margin_sd",
        "appeal_sd",
        "scene_sd",
        "price_sd",
        "coupon_sd",
        "refund_sd",
        "quality_sd",
    ),
    0.0,
)


@pytest.fixture(scope="module")
def population(harness):
    return harness.Rig(load_scenario(), N).reset()


def values(table, keys):
    return np.array([table[key] for key in keys])


# Streams
# -------------------------------------------------------------------------------------------------


def test_merchants_of_the_splits_are_disjoint(harness):
    drawn = []
    for split in (streams.TRAIN, streams.VALIDATION, streams.TEST):
        for episode in (0, 1):
            rig = harness.Rig(load_scenario(), N, split=int(split)).reset(episode=episode)
            drawn.append(
                {
                    (key, *merchant)
                    for key, merchant in zip(
                        rig.states["key"].tolist(),
                        rig.merchants[["budget", "size", "margin"]].tolist(),
                        strict=True,
                    )
                }
            )
    assert len(set.union(*drawn)) == 6 * N


def test_a_merchant_is_a_pure_function_of_seed_episode_and_split(harness):
    one = harness.Rig(load_scenario()).reset([17])
    many = harness.Rig(load_scenario(), 40).reset()
    assert one.merchants[0].tobytes() == many.merchants[17].tobytes()
    assert one.cells[0].tobytes() == many.cells[17].tobytes()
    assert one.states[0].tobytes() == many.states[17].tobytes()


def test_the_same_merchant_lives_in_every_regime_and_mode(harness):
    unified = harness.Rig(load_scenario("default", {"regime.preset": "unified"}), 50).reset()
    dual = harness.Rig(load_scenario("default", {"regime.preset": "dual_track"}), 50).reset()
    assert unified.merchants.tobytes() == dual.merchants.tobytes()
    assert unified.cells.tobytes() == dual.cells.tobytes()


# Distributions
# -------------------------------------------------------------------------------------------------


def test_categories_are_as_frequent_as_their_weights(population):
    weights = np.array([c.weight for c in population.scenario.merchants.categories])
    observed = np.bincount(population.merchants["category"], minlength=weights.size)
    assert stats.chisquare(observed, N * weights / weights.sum()).pvalue > LEAST_P


def test_size_order_value_and_margin_follow_their_laws(population):
    m = population.merchants
    s = population.scenario.merchants
    category = [s.categories[i] for i in m["category"]]
    size = (np.log(m["size"]) + s.size_sd**2 / 2) / s.size_sd
    value = (
        np.log(m["order_value"] / np.array([c.order_value for c in category])) / s.order_value_sd
    )
    margin = (m["margin"] - np.array([c.margin for c in category])) / s.margin_sd
    for z in (size, value, margin):
        assert stats.kstest(z, "norm").pvalue > LEAST_P
    assert abs(m["size"].mean() - 1) < 5 * m["size"].std() / np.sqrt(N)


def test_budgets_are_log_uniform_around_the_binding_spend(population):
    m = population.merchants
    s = population.scenario.merchants
    ratio = np.log(m["budget"] / m["binding_spend"])
    low = np.log(s.budget_low)
    high = np.log(s.budget_high)
    assert ratio.min() > low - 1e-3
    assert ratio.max() < high + 1e-3
    assert stats.kstest(ratio, "uniform", (low, high - low)).pvalue > LEAST_P
    share = m["coupon_budget"] / m["budget"]
    assert (
        stats.kstest(
            share, "uniform", (s.coupon_budget_low, s.coupon_budget_high - s.coupon_budget_low)
        ).pvalue
        > LEAST_P
    )
    for name in ("budget", "coupon_budget"):
        np.testing.assert_array_equal(m[name], np.floor(m[name]))


def test_segments_hours_and_scatter_of_prices_follow_their_laws(harness):
    unlike = {
        "order": {"hour_swing": 0.3},
        "merchants": {"coupon_segment_sd": 0.5, "price_sigma_spread": 0.28, "peak_sd": 2.0},
    }
    rig = harness.Rig(load_scenario(unlike), N).reset()
    plain = harness.Rig(load_scenario(), N).reset()
    s = rig.scenario
    cells = rig.cells.reshape(-1, rows.CELL_ROWS, *SHAPE[1:])
    own = cells[:, rows.RESPONSE] / plain.cells.reshape(cells.shape)[:, rows.RESPONSE]
    assert (own == own[:, :1, :, :1]).all()  # one number per segment
    z = (np.log(own[:, 0, :, 0]) + 0.5**2 / 2) / 0.5
    scatter = cells[:, rows.PRICE_SIGMA, 2, 0] / values(s.auction.cpm_log_sigma, SCENES)
    m = rig.merchants
    turn = np.arctan2(m["hour_sin"], m["hour_cos"]) / (2 * np.pi)  # of the clock at ticks' starts
    late = (turn * 24 + 0.5 - values(s.order.peak_hour, POOLS) + 12) % 24 - 12
    np.testing.assert_allclose(np.hypot(m["hour_sin"], m["hour_cos"]), 0.3, rtol=1e-5)
    for i in range(4):
        assert stats.kstest(z[:, i], "norm").pvalue > LEAST_P
        assert stats.kstest(np.log(scatter[:, i]), "uniform", (-0.28, 0.56)).pvalue > LEAST_P
    for p in range(3):
        assert stats.kstest(late[:, p] / 2, "norm").pvalue > LEAST_P
    assert np.abs(np.corrcoef(z.T) - np.eye(4)).max() < 0.1


def test_orders_are_likeliest_at_the_merchants_own_hour(harness):
    flat = {"hourly": [1.0] * 24, "live_hourly": [1.0] * 24}
    sold = []
    for swing in (0.0, 0.6):
        scenario = load_scenario({"order": {"hour_swing": swing, "at_once": 1.0}, "traffic": flat})
        rig = harness.Rig(scenario, 50, sampled=False, noop=True).reset()
        rates = []
        for _ in range(24):
            rig.step(np.zeros((50, len(rig.levers)), np.float32))
            rates.append(rig.states["tick_gmv"].reshape(50, 3, 4)[:, :2].sum(2))
        sold.append(np.array(rates))  # (hours, n, free pools)
    turn = np.arctan2(rig.merchants["hour_sin"], rig.merchants["hour_cos"]) / (2 * np.pi)
    best = (sold[1] / sold[0]).argmax(0)
    late = (best - turn[:, :2] * 24 + 12) % 24 - 12
    assert np.abs(late).max() < 1


def test_weekday_and_calendar_shift_are_uniform(harness):
    scenario = load_scenario(
        {"traffic": {"events": [{"day": 3}]}, "merchants": {"calendar_shift": 5}}
    )
    rig = harness.Rig(scenario, N).reset()
    for name, sides in (("weekday", 7), ("calendar", 6)):
        observed = np.bincount(rig.states[name], minlength=sides)
        assert observed.size == sides
        assert stats.chisquare(observed).pvalue > LEAST_P


def test_shocks_start_from_their_stationary_laws(population):
    traffic = population.scenario.traffic
    auction = population.scenario.auction
    for name, section in (("demand_shock", traffic), ("price_shock", auction)):
        sd = section.shock_volatility / np.sqrt(1 - section.shock_persistence**2)
        assert stats.kstest(population.states[name].ravel() / sd, "norm").pvalue > LEAST_P


@pytest.mark.parametrize("ticks_per_day", [24, 96])
def test_cells_of_a_plain_merchant_are_the_scenario(ticks_per_day, harness):
    scenario = load_scenario(
        {
            "clock": {"ticks_per_day": ticks_per_day},
            "predictor": {"noise": 0.0, "bias": 0.2},
            "merchants": {
                **ALIKE,
                "categories": [
                    {
                        "order_value": 120.0,
                        "refund": 0.3,
                        "coupon": 1.5,
                        "conversion": -0.2,
                        "price": 0.4,
                    }
                ],
            },
        }
    )
    cells = harness.Rig(scenario).reset().cells[0].reshape(SHAPE)
    s = scenario
    share = values(s.traffic.segments, SEGMENTS)
    for p, pool in enumerate(POOLS):
        visits = values(getattr(s.traffic, pool), SCENES) / ticks_per_day
        np.testing.assert_allclose(
            cells[rows.TRAFFIC, p], np.outer(share / share.sum(), visits), rtol=1e-5
        )
        click = (
            values(s.click.scene, SCENES)
            + values(s.click.segment, SEGMENTS)[:, None]
            + s.click.pool[pool]
        )
        order = (
            values(s.order.scene, SCENES)
            + values(s.order.segment, SEGMENTS)[:, None]
            + s.order.pool[pool]
            - 0.2
        )
        np.testing.assert_allclose(cells[rows.CLICK, p], click, rtol=1e-5)
        np.testing.assert_allclose(cells[rows.ORDER, p], order, rtol=1e-5)
        value = np.outer(values(s.order.value_factor, SEGMENTS), np.full(4, 12000.0))
        np.testing.assert_allclose(cells[rows.VALUE, p], value, rtol=1e-5)
        response = np.outer(1.5 * values(s.coupon.response, SEGMENTS), np.ones(4))
        np.testing.assert_allclose(cells[rows.RESPONSE, p], response, rtol=1e-5)
        refund = np.tile(values(s.refund.scene, SCENES), (4, 1))
        np.testing.assert_allclose(
            expit(cells[rows.REFUND, p].astype(float) - 0.3), refund, rtol=1e-5
        )
    for p, pool in enumerate(FREE_POOLS):
        exposure = np.tile(values(s.free_traffic.exposure[pool], SCENES), (4, 1))
        np.testing.assert_allclose(cells[rows.EXPOSURE, p], exposure, rtol=1e-5)
    price = (
        values(s.auction.cpm_log_mean, SCENES)
        + values(s.auction.segment_price, SEGMENTS)[:, None]
        + 0.4
    )
    np.testing.assert_allclose(cells[rows.PRICE_MU, 2], price, rtol=1e-5)
    np.testing.assert_allclose(cells[rows.PREDICTION, 2], np.exp(0.2), rtol=1e-5)


# Targets
# -------------------------------------------------------------------------------------------------


class FluidMarket:
    """A merchant's market in float64 without shocks, at default levers, halfway through the
    creative's life (world 2.11).
    """

    def __init__(self, rig, i):
        s = rig.scenario
        m = rig.merchants[i]
        c = rig.cells[i].reshape(SHAPE).astype(float)
        mix = values(s.tiers.mix, TIERS) / sum(s.tiers.mix.values())
        renewed = 1 + s.creative.rate_default * rig.days * s.creative.mix_share
        exposure = s.creative.start_exposure + s.creative.audience * rig.days / renewed / 2
        depth = s.coupon.depth_default
        services = s.services
        appeal = (
            s.click.creative_gain
            * float(m["start_creative"])
            * 2 ** (-exposure / s.click.fatigue_half_life)
        )
        shift = (
            (mix * values(s.tiers.appeal, TIERS)).sum()
            + services.insurance_lift * self.levelled(s, services.insurance_default)
            + services.interest_lift * self.levelled(s, services.interest_default)
        )
        refund = (
            (mix * values(s.refund.tier, TIERS)).sum()
            + s.refund.insurance * services.insurance_default
            - s.refund.service * self.levelled(s, services.service_default)
            + s.refund.coupon_depth * depth
        )
        self.s = s
        self.days = rig.days
        self.depth = depth
        self.c = c
        self.ctr = expit(c[rows.CLICK] + appeal)
        self.cvr = expit(
            c[rows.ORDER]
            + shift
            + self.hours(rig, m)
            + c[rows.RESPONSE] * (1 - np.exp(-depth / s.coupon.scale))
        )
        self.use = c[rows.REDEMPTION] * (1 - np.exp(-depth / s.coupon.redemption_scale))
        self.risk = expit(c[rows.REFUND] + refund)
        self.price = np.floor(
            c[rows.VALUE] * (mix * values(s.tiers.value_factor, TIERS)).sum() + 0.5
        )
        lift = values(s.free_traffic.quality_lift, FREE_POOLS) * m["start_quality"].astype(float)
        self.free = c[rows.TRAFFIC, :2] * expit(c[rows.EXPOSURE, :2] + lift[:, None, None])

    @staticmethod
    def levelled(s, effort):
        """A share of a service's effect."""
        c = s.services.curvature
        return (1 - np.exp(-c * effort)) / (1 - np.exp(-c)) if c else effort

    @staticmethod
    def hours(rig, m):
        """What the time of day does to orders over a day, (pools, 1, scenes): ln of the mean."""
        n = rig.scenario.clock.ticks_per_day
        angle = 2 * np.pi * np.arange(n) / n
        part = np.outer(m["hour_cos"], np.cos(angle)) + np.outer(m["hour_sin"], np.sin(angle))
        return np.log(np.exp(part) @ rig.world.hours.T.astype(float) / n)[:, None]

    def answer(self, log_bid, steps):
        """Price shift per scene once competitors have answered our share of voice: xi = a voice(xi)
        / (1 - phi), by halves.
        """
        c = self.c[:, 2]
        auction = self.s.auction
        shift = np.zeros(4)
        for _ in range(steps):
            won = ndtr((log_bid - c[rows.PRICE_MU] - shift) / c[rows.PRICE_SIGMA])
            voice = (c[rows.TRAFFIC] * won).sum(0) / c[rows.TRAFFIC].sum(0)
            shift = (shift + auction.reaction / (1 - auction.shock_persistence) * voice) / 2
        return shift

    def ads(self, multiplier, steps=REACTIONS):
        """Spend and GMV per tick in fen when every auction is bid multiplier * predicted value."""
        c = self.c[:, 2]
        value = self.ctr[2] * self.cvr[2] * self.price[2]
        bid = multiplier * c[rows.PREDICTION] * value * 10
        mean = c[rows.PRICE_MU] + self.answer(np.log(bid), steps)
        x = (np.log(bid) - mean) / c[rows.PRICE_SIGMA]
        paid = (
            ndtr(x) * bid
            if self.s.auction.price_rule == "first"
            else np.exp(mean + c[rows.PRICE_SIGMA] ** 2 / 2) * ndtr(x - c[rows.PRICE_SIGMA])
        )
        entered = c[rows.TRAFFIC] * (1 - values(self.s.free_traffic.cannibalisation, SCENES))
        return (entered * paid).sum() / 10, (entered * ndtr(x) * value).sum()

    def roi(self, multiplier, steps=REACTIONS):
        """Overall ROI of free and ad sales together."""
        s = self.s
        sold = self.free * self.ctr[:2] * self.cvr[:2]
        worth = sold * self.price[:2]
        free, (spend, ads), (_, full) = (
            worth.sum(),
            self.ads(multiplier, steps),
            self.ads(1.0, steps),
        )
        gmv = free + ads
        theta = s.coupon.platform_share
        shares = values(s.refund.shares, WINDOWS)
        counted = shares[: WINDOWS.index(s.refund.window) + 1].sum() / shares.sum()
        kept = 1 - (sold * self.risk[:2]).sum() / sold.sum() * counted
        coupon = (worth * self.use[:2]).sum() * self.depth / free * (1 - theta)
        commission = (
            worth[0].sum() * s.influencer.commission_natural + full / 2 * s.influencer.commission_ad
        ) / (free + full / 2)
        v = s.services
        risk = (sold * self.risk[:2]).sum() / sold.sum()
        insurance = (v.insurance_cost + v.insurance_premium * risk) * v.insurance_default
        service = (insurance + v.service_cost * v.service_default) * 100 / (
            free / sold.sum()
        ) + v.interest_cost * v.interest_default
        creative = s.creative.fee * spend * min(s.creative.rate_default, 1)
        creative += s.creative.fee_cny * 100 * s.creative.rate_default / s.clock.ticks_per_day
        return gmv * kept / (spend + gmv * kept * (commission + coupon) + gmv * service + creative)

    def increment_roi(self, multiplier, margin):
        """What the ads add in settled GMV over what they add in cost, in units of break-even."""
        s = self.s
        sold = self.free * self.ctr[:2] * self.cvr[:2]
        worth = sold * self.price[:2]
        spend, ads = self.ads(multiplier)
        shares = values(s.refund.shares, WINDOWS)
        counted = shares[: WINDOWS.index(s.refund.window) + 1].sum() / shares.sum()
        risk = (sold * self.risk[:2]).sum() / sold.sum()
        settled = ads * (1 - risk * counted)
        coupon = (worth * self.use[:2]).sum() * self.depth / worth.sum()
        coupon *= 1 - s.coupon.platform_share
        v = s.services
        insurance = (v.insurance_cost + v.insurance_premium * risk) * v.insurance_default
        service = (insurance + v.service_cost * v.service_default) * 100 / (
            worth.sum() / sold.sum()
        ) + v.interest_cost * v.interest_default
        cost = spend + settled * (s.influencer.commission_ad + coupon) + ads * service
        return settled / cost * (margin - s.money.fee_unified)


PRICES_SETTLED = 60


@pytest.mark.parametrize("unlike", [{}, {"order.hour_swing": 0.4, "services.curvature": 2}])
def test_a_target_by_the_increment_lies_where_the_drawn_share_of_break_even_is_reached(
    unlike, harness
):
    changes = {"merchants.target_rule": "increment", **unlike}
    rig = harness.Rig(load_scenario("default", changes), 200, days=7).reset()
    s = rig.scenario.merchants
    inside, factors = 0, []
    for i in range(200):
        m = rig.merchants[i]
        market = FluidMarket(rig, i)
        multiplier = float(m["binding_multiplier"])
        spend = market.ads(multiplier)[0]
        share = spend / market.ads(1.0)[0]
        assert s.increment_reach_low * 0.95 < share < s.increment_reach_high * 1.03
        assert m["roi_target"] == pytest.approx(market.roi(multiplier), rel=1e-4)
        assert m["binding_spend"] == pytest.approx(spend * 24, rel=1e-4)
        factor = market.increment_roi(multiplier, float(m["margin"]))
        if s.increment_reach_low * 1.05 < share < s.increment_reach_high * 0.95:
            inside += 1
            factors.append(factor)
            assert s.increment_low * 0.98 < factor < s.increment_high * 1.02
        elif share < 0.5:
            assert factor < s.increment_high * 1.02  # nothing pays even there
        else:
            assert factor > s.increment_low * 0.98  # everything pays
    assert inside > 60
    assert np.ptp(factors) > 0.3


@pytest.mark.parametrize("rule", ["first", "second"])
def test_prices_in_the_target_have_settled(rule, harness):
    """The few damped steps of the draw are within 2 % of the fixed point's ROI."""
    rig = harness.Rig(load_scenario("default", {"auction.price_rule": rule}), 60, days=7).reset()
    for i in range(60):
        multiplier = float(rig.merchants["binding_multiplier"][i])
        assert FluidMarket(rig, i).roi(multiplier, PRICES_SETTLED) == pytest.approx(
            rig.merchants["roi_target"][i], rel=0.02
        )


UNLIKE = {
    "order.hour_swing": 0.5,
    "creative.fee_cny": 80,
    "services.curvature": 2,
    "services.insurance_premium": 4,
    "merchants.price_sigma_spread": 0.3,
    "merchants.coupon_segment_sd": 0.5,
}


@pytest.mark.parametrize("unlike", [{}, UNLIKE], ids=["plain", "unlike"])
@pytest.mark.parametrize("rule", ["first", "second"])
def test_roi_target_is_the_fluid_roi_at_the_binding_multiplier(rule, unlike, harness):
    scenario = load_scenario("default", {"auction.price_rule": rule, **unlike})
    rig = harness.Rig(scenario, 60, days=7).reset()
    low = rig.scenario.merchants.target_share_low
    high = rig.scenario.merchants.target_share_high
    for i in range(60):
        m = rig.merchants[i]
        market = FluidMarket(rig, i)
        multiplier = float(m["binding_multiplier"])
        spend, _ = market.ads(multiplier)
        assert m["roi_target"] == pytest.approx(market.roi(multiplier), rel=1e-4)
        assert m["binding_spend"] == pytest.approx(spend * 24, rel=1e-4)
        assert low - 2e-3 < spend / market.ads(1.0)[0] < high + 2e-3
        assert (
            market.roi(multiplier * 0.7) > m["roi_target"] > market.roi(min(multiplier * 1.4, 1.2))
        )


def test_target_draws_are_uniform_in_reachable_spend(harness):
    rig = harness.Rig(load_scenario(), 400).reset()
    shares = [
        m.ads(float(r["binding_multiplier"]))[0] / m.ads(1.0)[0]
        for m, r in ((FluidMarket(rig, i), rig.merchants[i]) for i in range(400))
    ]
    s = rig.scenario.merchants
    assert (
        stats.kstest(
            shares, "uniform", (s.target_share_low, s.target_share_high - s.target_share_low)
        ).pvalue
        > LEAST_P
    )
