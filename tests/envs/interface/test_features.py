"""The observation: named, bounded, of order one, and made of reported metrics alone."""

import numpy as np
import pytest
from chengfang.envs import FEATURE_NAMES, FEATURES, LEVER_NAMES, Market, SuperPlanEnv, load_scenario
from chengfang.envs.api.spaces import observation_space
from chengfang.envs.interface import columns
from chengfang.envs.interface.features import N_FEATURES
from chengfang.envs.market import layout as rows
from chengfang.envs.market.observation import observe
from chengfang.envs.scenario import scenario_names

COLUMN = {name: i for i, name in enumerate(FEATURE_NAMES)}
# What nobody is shown: the engine's own view of the world and of the merchant.
LATENT_STATE = (
    "demand_shock",
    "price_shock",
    "voice",
    "pressure",
    "creative_quality",
    "pending",
    "refunds",
    "accrued",
    "placed",
    "held",
    "jump",
    "path_key",
    "evidence_expected",
    "bid_in_force",
    "pace_level",
    "cost_level",
    "depth_level",
    "tick_claims",
    "expected_gmv",
    "expected_waiting",
    "believed_value",
    "believed_cost",
    "recent_value",
    "recent_cost",
    "recent_flow",
    "budget_told",
    "target_told",
    "budget_edited",
    "target_edited",
    "budget_edits",
    "target_edits",
    "target_age",
    "unprotected",
    "key",
    "seed",
    "customers_waiting",
    "customers",
    "left_over",
    "opening",
    "season_ledger",
    "season_accrued",
    "season_score",
)
LATENT_MERCHANT = (
    "hour_cos",
    "hour_sin",
    "category",
    "size",
    "audience_scene",
    "audience_segment",
    "gpm_reference",
    "ctr_reference",
    "risk_reference",
    "ad_orders_reference",
    "start_quality",
    "start_creative",
    "binding_multiplier",
    "binding_spend",
    "customers",
    "customers_waiting",
    "customer_share",
    "free_settled",
)


def watch(market):
    """Observe the markets again as they stand."""
    world = market.world
    tables = rows.Tables(world.hours, world.ahead, world.calendar, world.clock, world.remaining)
    lane = np.zeros(1, rows.LANE)[0]
    out = np.zeros_like(market.observations)
    for i in range(market.num_envs):
        plan = rows.Plan(world.constants[0], market.merchants[i], market.cells[i], market.states[i])
        observe(plan, tables, lane, out[i])
    return out


@pytest.fixture(scope="module")
def played():
    """Random play of 128 merchants for a day: (ticks, envs, features)."""
    market = Market(load_scenario(), 128, days=1, levers="all")
    rng = np.random.default_rng(0)
    seen = [market.reset(seeds=np.arange(128)).copy()]
    for _ in range(market.ticks):
        seen.append(
            market.step(rng.uniform(-1, 1, (128, len(LEVER_NAMES))).astype(np.float32)).copy()
        )
    return np.array(seen)


def test_names_are_unique_and_as_many_as_the_engine_writes():
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES) == N_FEATURES
    assert observation_space().shape == (len(FEATURE_NAMES),)


def test_every_feature_has_its_column():
    """Columns of scenes, pools, segments and tiers are named by the first of them."""
    several = {
        **dict.fromkeys(["BID", "WIN_RATE", "CPM", "CTR", "SPENT", "SCENE_SPEND_PACE"], 4),
        **dict.fromkeys(["SCENE_GMV_PACE", "SCENE_ROI", "CLICKS", "CLAIMS"], 4),
        **dict.fromkeys(["POOL_GMV_PACE", "DEPTH", "HEAT"], 3),
        **dict.fromkeys(["FREE_PACE", "FREE_VALUE"], 8),
        "LEARNED": 4,
    }
    first = {
        name: value
        for name, value in vars(columns).items()
        if name.isupper() and isinstance(value, int)
    }
    taken = [first[name] + i for name in first for i in range(several.get(name, 1))]
    assert sorted(taken) == list(range(N_FEATURES))


def test_every_feature_is_documented():
    for feature in FEATURES:
        assert feature.meaning.strip(), feature.name
        assert "{" not in feature.meaning + feature.name


def test_manual_names_the_features_where_they_stand():
    """The table of the class docstring: index ranges and their first and last names."""
    manual = SuperPlanEnv.__doc__
    assert manual is not None
    for first, last, name, end in (
        (0, 7, "time_left", "traffic_left"),
        (8, 16, "budget_left", "coupon_budget"),
        (17, 23, "roi_gap", "smooth_gmv_pace"),
        (24, 55, "bid_feed", "roi_search"),
        (56, 58, "gmv_pace_natural", "gmv_pace_ad"),
        (59, 70, "coupon_pace", "claims_loyal"),
        (71, 80, "quality_natural", "refund_rate"),
        (81, 100, "free_pace_natural_feed", "learned_search"),
    ):
        assert f"| {first}-{last} |" in manual
        assert (FEATURE_NAMES[first], FEATURE_NAMES[last]) == (name, end)


def test_observations_are_within_bounds(played):
    assert np.isfinite(played).all()
    assert np.abs(played).max() <= observation_space().high.max()


def test_observations_are_of_order_one(played):
    flat = played.reshape(-1, played.shape[-1])
    for name, mean, spread in zip(FEATURE_NAMES, flat.mean(0), flat.std(0), strict=True):
        assert abs(mean) < 5, name
        assert spread < 5, name


# Constant on one day of one merchant, or without an event or a daily cap: the calendar's entries.
STILL = {"event_today", "event_tomorrow"}


@pytest.mark.parametrize("name", FEATURE_NAMES)
def test_every_feature_says_something(played, name):
    """No dead entries: each varies over merchants and ticks (events only where the calendar has
    some).
    """
    if name in STILL:
        market = Market(load_scenario("festival_28d"), 8, days=28, levers="bidding")
        market.reset(seeds=np.arange(8))
        seen = np.array(
            [
                market.step(np.zeros((8, 4), np.float32))[:, COLUMN[name]].copy()
                for _ in range(market.ticks)
            ]
        )
        assert seen.std() > 1e-3
    elif name.startswith("learned_"):
        market = Market(
            load_scenario("default", {"predictor.learns": True}), 64, days=1, levers=("bid",)
        )
        market.reset(seeds=np.arange(64))
        still = np.zeros((64, 1), np.float32)
        seen = np.array([market.step(still)[:, COLUMN[name]].copy() for _ in range(market.ticks)])
        assert 0 == seen.min() < seen.max() <= 1
        assert (played[..., COLUMN[name]] == 1).all()  # nothing has to be learned there
    elif name == "creative_due":  # a day is too short for most creatives
        market = Market(load_scenario(), 4, days=2, levers=("creative",))
        market.reset(seeds=np.arange(4))
        seen = np.array(
            [
                market.step(np.ones((4, 1), np.float32))[:, COLUMN[name]].copy()
                for _ in range(market.ticks)
            ]
        )
        assert seen.min() == 0.0
        assert seen.max() > 0.04
    else:
        assert played[..., COLUMN[name]].std() > 1e-4


@pytest.mark.parametrize("name", scenario_names())
def test_reset_shows_a_plan_that_has_not_begun(name):
    scenario = load_scenario(name)
    market = Market(scenario, 16, days=scenario.seasons.plan_days or 2, levers="all")
    seen = market.reset(seeds=np.arange(16))
    for feature, value in (
        ("time_left", 1),
        ("traffic_left", 1),
        ("budget_left", 1),
        ("coupon_budget_left", 1),
        ("boost_budget_left", 1),
        ("day_budget_left", 1),
        ("roi_gap", 0),
        ("roi_slack", 0),
        ("settled_share", 0),
        ("cost_share", 0),
        ("spend_pace", 0),
        ("refund_rate", 0),
    ):
        np.testing.assert_allclose(seen[:, COLUMN[feature]], value, atol=1e-6, err_msg=feature)


def test_time_and_traffic_run_out(played):
    time_left = played[..., COLUMN["time_left"]]
    traffic = played[..., COLUMN["traffic_left"]]
    np.testing.assert_allclose(
        time_left, np.linspace(1, 0, len(played))[:, None] * np.ones(128), atol=1e-6
    )
    assert (np.diff(traffic, axis=0) < 0).all()
    np.testing.assert_allclose(traffic[-1], 0, atol=1e-6)


def test_budgets_only_fall(played):
    for name in ("budget_left", "coupon_budget_left", "boost_budget_left"):
        values = played[..., COLUMN[name]]
        assert (np.diff(values, axis=0) <= 1e-6).all(), name
        assert values.min() >= 0, name


def test_entries_are_the_dashboards():
    """What the plan's own dashboard reports is what is observed, scaled as documented."""
    market = Market(load_scenario(), 16, days=1, levers="all")
    seen = market.reset(seeds=np.arange(16))
    rng = np.random.default_rng(1)
    for _ in range(10):
        seen = market.step(rng.uniform(-0.5, 0.5, (16, len(LEVER_NAMES))).astype(np.float32))
    book = market.states["ledger"]
    merchant = market.merchants
    np.testing.assert_allclose(
        seen[:, COLUMN["budget_left"]], 1 - book[:, 0] / merchant["budget"], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        seen[:, COLUMN["roi_target"]], np.log(merchant["roi_target"]) / 2, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        seen[:, COLUMN["order_value"]],
        np.log(merchant["order_value"] / 100) / 2,
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        seen[:, COLUMN["budget_size"]],
        np.log(merchant["budget"] / 1e2 / 3000) / 2,
        rtol=1e-4,
        atol=1e-5,
    )
    np.testing.assert_allclose(seen[:, COLUMN["margin"]], merchant["margin"], rtol=1e-6)
    share = market.states["scene_spend"] / merchant["budget"][:, None]
    np.testing.assert_allclose(
        seen[:, COLUMN["spent_feed"] : COLUMN["spent_search"] + 1], share, rtol=1e-5, atol=1e-7
    )


@pytest.fixture
def market():
    """A market in the middle of its day."""
    made = Market(load_scenario(), 4, days=1, levers="all")
    made.reset(seeds=np.arange(4))
    rng = np.random.default_rng(2)
    for _ in range(12):
        made.step(rng.uniform(-0.5, 0.5, (4, len(LEVER_NAMES))).astype(np.float32))
    return made


@pytest.mark.slow
def test_observing_again_shows_the_same(market):
    assert np.array_equal(watch(market), market.observations)


@pytest.mark.parametrize("field", LATENT_STATE)
def test_latent_state_is_not_observed(market, field):
    before = watch(market)
    values = market.states[field]
    market.states[field] = (
        values + values.dtype.type(1) if values.dtype.kind in "ui" else values * 1.7 + 0.3
    )
    assert np.array_equal(watch(market), before)


@pytest.mark.parametrize("field", LATENT_MERCHANT)
def test_latent_merchant_is_not_observed(market, field):
    before = watch(market)
    values = market.merchants[field]
    market.merchants[field] = (values + 1) % 4 if values.dtype.kind == "i" else values * 1.7 + 0.3
    assert np.array_equal(watch(market), before)


def test_cells_are_not_observed(market):
    before = watch(market)
    market.cells *= 1.3
    assert np.array_equal(watch(market), before)


def test_latent_field_shows_only_after_it_has_changed_what_is_reported(market):
    """The next tick under a higher price shock reports other figures: it is felt, not seen."""
    state = market.get_state()
    careful = np.zeros((4, len(LEVER_NAMES)), np.float32)
    plain = market.step(careful).copy()
    market.set_state(state)
    market.states["price_shock"] += 1.0
    felt = market.step(careful)
    assert not np.array_equal(felt, plain)
    assert (felt[:, COLUMN["spend_pace"]] != plain[:, COLUMN["spend_pace"]]).any()


def test_the_shop_is_shown_once_a_day_and_to_its_step():
    changes = {"dashboard": {"shop_daily": True, "shop_step": 0.1}}
    market = Market(load_scenario("default", changes), 8, days=3, levers="all")
    market.reset(seeds=np.arange(8))
    names = [*(f"quality_{pool}" for pool in ("natural", "transaction")), "influencer_supply"]
    columns_shown = [COLUMN[name] for name in names]
    rng = np.random.default_rng(0)
    before = market.observations[:, columns_shown].copy()
    for tick in range(1, market.ticks + 1):
        seen = market.step(rng.uniform(-1, 1, (8, len(LEVER_NAMES))).astype(np.float32))
        now = seen[:, columns_shown].copy()
        np.testing.assert_allclose(now, np.round(now, 1), atol=1e-6)
        if tick % 24:
            np.testing.assert_array_equal(now, before)
        else:
            true = np.column_stack([market.states["quality"], market.states["supply"]])
            assert np.abs(now - true).max() <= 0.05 + 1e-6
        before = now
    assert before.std() > 0.05


def test_a_free_pools_worth_is_its_sales_over_what_the_exchange_rate_counts():
    market = Market(load_scenario("default"), 64, days=2, levers="all")
    market.reset(seeds=np.arange(64))
    for _ in range(market.ticks):
        seen = market.step(np.zeros((64, len(LEVER_NAMES)), np.float32))
    first = COLUMN["free_value_natural_feed"]
    rate = market.world.constants[0]["free_worth"].ravel().astype(float)
    gmv = market.states["gmv"][:, :8]
    counted = market.states["impressions"][:, :8] * rate
    worth = gmv / counted / (gmv.sum(1) / counted.sum(1))[:, None]
    expected = np.log(np.where(gmv > 0, worth, 1))
    found = seen[:, first : first + 8]
    known = (gmv > 0) & (np.abs(expected) < 3)
    assert known.mean() > 0.5
    np.testing.assert_allclose(found[known], expected[known], atol=1e-4)
    assert (found[gmv == 0] == 0).all()
