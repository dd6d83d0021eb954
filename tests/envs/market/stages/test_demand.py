"""Clicks, coupons and orders: the formulas, their directions, rationing and cannibalisation."""

import numpy as np
import pytest
from chengfang.envs.market import layout as rows
from chengfang.envs.market.stages.demand import displace, expected_coupon_cost, ration_coupons, thin
from chengfang.envs.scenario import POOLS, SCENES, SEGMENTS, load_scenario
from scipy.special import expit

F = np.float32
SHAPE = (len(POOLS), len(SEGMENTS), len(SCENES))


def one_tick(harness, overrides=None, seed=1, **levers):
    """A rig of one market after one tick in expectation mode with the named levers set."""
    rig = harness.Rig(load_scenario(overrides or {}), sampled=False).reset([seed])
    rig.step(np.array([levers.get(name, 0.0) for name in rig.levers]))
    return rig


def lane(rig, row):
    return rig.scratch.lane[row].reshape(SHAPE).astype(float)


def test_click_rate_is_the_design_formula(harness):
    rig = one_tick(harness)
    click = rig.scenario.click
    m = rig.merchants[0]
    faded = 2 ** (-rig.scenario.creative.start_exposure / click.fatigue_half_life)
    appeal = click.creative_gain * float(m["start_creative"]) * faded
    expected = expit(rig.cells[0, rows.CLICK].reshape(SHAPE).astype(float) + appeal)
    np.testing.assert_allclose(lane(rig, rows.CTR), expected, rtol=1e-5)


def test_click_rate_fades_with_exposure_by_half_lives(harness):
    gain = {}
    for exposure in (0.0, 6.0, 12.0):
        rig = one_tick(harness, {"creative": {"start_exposure": exposure, "quality_sd": 0}})
        ctr = lane(rig, rows.CTR)
        gain[exposure] = (np.log(ctr / (1 - ctr)) - rig.cells[0, rows.CLICK].reshape(SHAPE)).mean()
    assert gain[6.0] / gain[0.0] == pytest.approx(0.5, rel=1e-3)
    assert gain[12.0] / gain[0.0] == pytest.approx(0.25, rel=1e-3)


def test_click_rate_falls_with_user_pressure(harness):
    rig = harness.Rig(load_scenario({"click": {"creative_gain": 0.0}}), sampled=False).reset([1])
    rig.states["pressure"] = [0.0, 0.5, 1.0, 4.0]
    rig.step(np.zeros(len(rig.levers)))
    ctr = lane(rig, rows.CTR)
    lost = rig.cells[0, rows.CLICK].reshape(SHAPE) - np.log(ctr / (1 - ctr))
    np.testing.assert_allclose(
        lost, 0.35 * np.array([0, 0.5, 1, 4])[None, :, None] * np.ones(SHAPE), atol=2e-5
    )


def test_order_rate_rises_and_saturates_with_coupon_depth(harness):
    rigs = [
        one_tick(
            harness,
            {"merchants": {"coupon_budget_low": 5, "coupon_budget_high": 5}},
            **{f"coupon_{p}": level for p in POOLS},
        )
        for level in np.linspace(-1, 1, 9)
    ]
    rates = np.array([lane(rig, rows.CVR) for rig in rigs])
    depths = np.array([lane(rig, rows.DEPTH).mean() for rig in rigs])
    rig = rigs[-1]
    assert depths[0] == 0
    assert (np.diff(rates, axis=0) > 0).all()
    logit = np.log(rates / (1 - rates))
    response = rig.cells[0, rows.RESPONSE].reshape(SHAPE).astype(float)
    expected = (
        response[None] * (1 - np.exp(-depths / rig.scenario.coupon.scale))[:, None, None, None]
    )
    np.testing.assert_allclose(logit - logit[0], expected, atol=1e-5)


@pytest.mark.parametrize(("everywhere", "reached"), [(True, (1, 1, 1)), (False, (0, 0, 1))])
def test_coupons_reach_the_pools_of_the_regime(everywhere, reached, harness):
    rig = one_tick(harness, {"regime": {"coupons_everywhere": everywhere}})
    np.testing.assert_array_equal(lane(rig, rows.DEPTH).max((1, 2)) > 0, np.array(reached, bool))


def test_depth_stays_below_its_maximum_whatever_the_tilt(harness):
    rig = one_tick(
        harness, **{f"coupon_{p}": 1 for p in POOLS}, **{f"tilt_{k}": 1 for k in SEGMENTS}
    )
    np.testing.assert_allclose(lane(rig, rows.DEPTH), rig.scenario.coupon.depth_max, rtol=1e-6)


@pytest.mark.parametrize(
    ("service", "field"), [("insurance", "insurance_lift"), ("interest_free", "interest_lift")]
)
def test_services_raise_the_order_logit_by_their_lift(service, field, harness):
    none, full = (lane(one_tick(harness, **{service: level}), rows.CVR) for level in (-1, 1))
    lift = getattr(load_scenario({}).services, field)
    np.testing.assert_allclose(
        np.log(full / (1 - full)) - np.log(none / (1 - none)), lift, atol=1e-5
    )


def test_refund_risk_up_with_insurance_and_depth_down_with_service(harness):
    base = lane(one_tick(harness), rows.RISK)
    assert (lane(one_tick(harness, insurance=1), rows.RISK) > base).all()
    assert (
        lane(one_tick(harness, coupon_natural=1, coupon_transaction=1, coupon_ad=1), rows.RISK)
        > base
    ).all()
    assert (lane(one_tick(harness, service=1), rows.RISK) < base).all()


def test_free_exposure_is_the_design_formula(harness):
    rig = one_tick(harness)
    s = rig.scenario
    quality = rig.merchants["start_quality"][0].astype(float)
    eta = rig.cells[0, rows.EXPOSURE].reshape(SHAPE)[:2].astype(float)
    lift = np.array([s.free_traffic.quality_lift[p] for p in POOLS[:2]]) * quality
    shown = rig.states["tick_impressions"][0].reshape(3, 4)[:2]
    visits = rig.cells[0, rows.TRAFFIC] * rig.scratch.lane[rows.FACTOR]
    expected = (visits.reshape(SHAPE)[:2] * expit(eta + lift[:, None, None])).sum(1)
    np.testing.assert_allclose(shown, expected, rtol=1e-5)


# Kernels on made-up lanes
# ----------------------------------------------------------------------------------------


@pytest.fixture
def made_up(harness):
    """Cells and lanes of a market that never was, as arrays and as the kernels take them."""
    rng = np.random.default_rng(0)
    cells = np.zeros((rows.CELL_ROWS, rows.N_LANES), F)
    work = np.zeros((rows.LANE_ROWS, rows.N_LANES), F)
    cells[rows.ORDER] = rng.normal(-3, 0.5, rows.N_LANES)
    work[rows.MEAN_SEEN] = rng.uniform(0, 5000, rows.N_LANES)
    work[rows.CTR] = rng.uniform(0.01, 0.2, rows.N_LANES)
    work[rows.USE] = rng.uniform(0, 0.7, rows.N_LANES)
    work[rows.CVR] = expit(cells[rows.ORDER] + rng.uniform(0, 0.8, rows.N_LANES))
    work[rows.PRICE] = np.floor(rng.uniform(500, 20000, rows.N_LANES))
    work[rows.DEPTH] = rng.uniform(0, 0.2, rows.N_LANES)
    return cells, work, harness.block(cells, "CELL"), harness.block(work, "LANE")


@pytest.mark.parametrize("keep", [0.0, 0.25, 0.9, 1.0])
def test_ration_coupons_costs_the_kept_share_and_leaves_the_rest_plain(keep, made_up):
    cells, work, cell_block, lane_block = made_up
    plain = expit(cells[rows.ORDER].astype(float))
    before = work.copy()
    cost = expected_coupon_cost(lane_block)
    ration_coupons(cell_block, lane_block, F(keep))
    assert expected_coupon_cost(lane_block) == pytest.approx(keep * cost, rel=1e-4, abs=1e-3)
    np.testing.assert_allclose(
        work[rows.CVR], keep * before[rows.CVR] + (1 - keep) * plain, rtol=1e-5
    )
    assert (work[rows.USE] <= before[rows.USE] * (1 + 1e-6)).all()


def test_thin_splits_impressions_into_four_outcomes(made_up):
    _, work, _, lane_block = made_up
    before = work.astype(float)
    thin(lane_block)
    shown, ctr, cvr, use = (before[row] for row in (rows.MEAN_SEEN, rows.CTR, rows.CVR, rows.USE))
    expected = (
        shown * (1 - ctr),
        shown * ctr * (1 - cvr),
        shown * ctr * cvr * (1 - use),
        shown * ctr * cvr * use,
    )
    np.testing.assert_allclose(work[rows.MEAN_SEEN : rows.MEAN_REDEEMED + 1], expected, rtol=1e-4)
    np.testing.assert_allclose(
        work[rows.MEAN_SEEN : rows.MEAN_REDEEMED + 1].sum(0, float), shown, rtol=1e-6
    )


def test_a_paid_impression_displaces_free_ones_with_probability_f(made_up, harness):
    _, work, _, lane_block = made_up
    world = harness.Rig(load_scenario()).world.constants[0]
    before = work[rows.MEAN_SEEN].reshape(SHAPE).astype(float)
    displace(world, lane_block)
    after = work[rows.MEAN_SEEN].reshape(SHAPE).astype(float)
    overlap = np.array(list(load_scenario().free_traffic.cannibalisation.values()))
    lost = (before[:2] - after[:2]).sum(0)
    np.testing.assert_allclose(lost, np.minimum(overlap * before[2], before[:2].sum(0)), rtol=1e-3)
    np.testing.assert_allclose(after[2], before[2])
    np.testing.assert_allclose(after[0] / before[0], after[1] / before[1], rtol=1e-5)


def test_dual_track_ads_take_free_traffic_and_unified_ads_do_not(harness):
    free = {}
    for incremental in (True, False):
        for bid in (-1, 1):
            rig = one_tick(harness, {"regime": {"incremental_ads": incremental}}, bid=bid)
            free[incremental, bid] = rig.states["tick_impressions"][0, :8].sum()
    assert free[True, 1] == free[True, -1]
    assert free[False, 1] < free[False, -1] == free[True, -1]


def test_traffic_of_a_week_averages_to_the_scenario(harness):
    """Hours, weekdays and no events: the mean factor of a week is one, in expectation mode as in
    the sampled one.
    """
    rig = harness.Rig(load_scenario(), days=7, sampled=False).reset([1])
    factor = []
    for _ in range(rig.ticks):
        rig.step(np.zeros(len(rig.levers)))
        factor.append(rig.scratch.lane[rows.FACTOR].reshape(SHAPE)[0, 0].copy())
    np.testing.assert_allclose(np.mean(factor, 0), 1, rtol=1e-4)
