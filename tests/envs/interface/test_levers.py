"""What -1, 0 and +1 mean, that the engine means the same, and that every lever does something."""

import numpy as np
import pytest
from chengfang.envs import (
    LEVER_NAMES,
    LEVER_SETS,
    Market,
    lever_table,
    lever_value,
    load_scenario,
    select_levers,
)
from chengfang.envs.market import layout as rows
from chengfang.envs.scenario import scenario_names
from hypothesis import given, settings
from hypothesis import strategies as st

TABLE = lever_table(load_scenario())
BY_NAME = {lever.name: lever for lever in TABLE}
PROPERTY = settings(max_examples=60, derandomize=True, deadline=None, database=None)
ACTION = st.floats(-1, 1, width=32)


# The table
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", scenario_names())
def test_table_is_in_the_engines_order(name):
    table = lever_table(load_scenario(name))
    assert tuple(lever.name for lever in table) == LEVER_NAMES
    assert len(table) == rows.N_LEVERS
    for lever in table:
        assert lever.unit
        assert lever.meaning
        assert lever.low <= lever.default <= lever.high, lever.name


def test_layout_names_the_first_of_each_run():
    for name, column in (
        ("bid", rows.LEVER_BID),
        ("bid_feed", rows.LEVER_SCENE_BID),
        ("share_feed", rows.LEVER_SHARE),
        ("coupon_natural", rows.LEVER_COUPON),
        ("tilt_new", rows.LEVER_TILT),
        ("creative", rows.LEVER_CREATIVE),
        ("commission_natural", rows.LEVER_COMMISSION_NATURAL),
        ("commission_ad", rows.LEVER_COMMISSION_AD),
        ("insurance", rows.LEVER_INSURANCE),
        ("interest_free", rows.LEVER_INTEREST),
        ("service", rows.LEVER_SERVICE),
        ("boost", rows.LEVER_BOOST),
        ("tier_hot", rows.LEVER_TIER),
        ("mix_feed", rows.LEVER_MIX),
        ("mix_natural", rows.LEVER_MIX_NATURAL),
        ("pace_natural", rows.LEVER_PACE),
        ("divide_feed", rows.LEVER_DIVIDE),
        ("subsidy_natural", rows.LEVER_SUBSIDY),
        ("budget_pace", rows.LEVER_BUDGET_PACE),
        ("target", rows.LEVER_TARGET),
    ):
        assert LEVER_NAMES.index(name) == column, name


@pytest.mark.parametrize("lever", TABLE, ids=LEVER_NAMES)
def test_ends_and_middle(lever):
    """lever_value: -1 is low (nothing, for bids), 0 the default, +1 high."""
    assert lever_value(lever, 0.0) == pytest.approx(lever.default, abs=1e-12)
    assert lever_value(lever, -1.0) == pytest.approx(lever.low, abs=1e-12)
    assert lever_value(lever, 1.0) == pytest.approx(lever.high)
    if lever.name.startswith(("bid", "share", "coupon", "creative")):
        assert lever.low == 0.0


@pytest.mark.parametrize("lever", TABLE, ids=LEVER_NAMES)
@given(a=ACTION, b=ACTION)
@PROPERTY
def test_value_is_monotone(lever, a, b):
    low, high = sorted((a, b))
    assert lever_value(lever, low) <= lever_value(lever, high) + 1e-12
    assert lever.low - 1e-9 <= lever_value(lever, low) <= lever.high + 1e-9


def test_bids_span_their_factor():
    scenario = load_scenario("default", {"auction.bid_span": 4.0, "auction.bid_default": 0.5})
    table = {lever.name: lever for lever in lever_table(scenario)}
    assert lever_value(table["bid"], 1.0) == pytest.approx(0.5 * 5)
    assert lever_value(table["bid_feed"], 1.0) == pytest.approx(5)
    for a in (-0.7, 0.3):
        assert lever_value(table["bid"], a) == pytest.approx(0.5 * (4**a - 1 / 4) / (1 - 1 / 4))


def test_defaults_are_the_scenarios():
    scenario = load_scenario(
        "default",
        {"coupon.depth_default": 0.07, "services.service_default": 0.9, "boost.default": 0.3},
    )
    table = {lever.name: lever for lever in lever_table(scenario)}
    assert [table[n].default for n in ("coupon_natural", "service", "boost")] == [0.07, 0.9, 0.3]


# Selection
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEVER_SETS)
def test_sets_are_selected_by_name_in_order(name):
    chosen = select_levers(name)
    assert chosen == LEVER_SETS[name]
    assert [LEVER_NAMES.index(n) for n in chosen] == sorted(LEVER_NAMES.index(n) for n in chosen)


def test_selected_names_come_in_the_engines_order():
    assert select_levers(["boost", "bid_live", "bid"]) == ("bid", "bid_live", "boost")


@pytest.mark.parametrize("wrong", ["bids", "", "all "])
def test_unknown_set_is_refused(wrong):
    with pytest.raises(ValueError, match="allowed are the sets bidding, allocation") as caught:
        select_levers(wrong)
    assert repr(wrong) in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [(["bid", "bids"], "'bids'"), (["x", "y"], "'x', 'y'"), ([], "no entry"), ([3], "3")],
)
def test_unknown_lever_is_refused(wrong, named):
    with pytest.raises(ValueError, match="allowed are bid, bid_feed") as caught:
        select_levers(wrong)
    assert named in str(caught.value)


# The engine
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["default", "dual_track"])
def test_engine_means_the_same(name):
    """The control in force after a tick is lever_value of the action, for every lever and all over
    [-1, 1].
    """
    scenario = load_scenario(name)
    grid = np.linspace(-1, 1, 41).astype(np.float32)
    market = Market(scenario, len(grid), days=1, levers="all")
    market.reset(seeds=np.zeros(len(grid), int))
    market.step(np.repeat(grid[:, None], len(LEVER_NAMES), 1))
    wanted = np.array(
        [[lever_value(lever, float(a)) for lever in lever_table(scenario)] for a in grid]
    )
    np.testing.assert_allclose(market.states["control"], wanted, rtol=2e-5, atol=1e-6)


def test_exact_zero_at_the_bottom():
    market = Market(load_scenario(), 1, days=1, levers="all")
    market.reset(seeds=np.array([0]))
    market.step(np.full((1, len(LEVER_NAMES)), -1, np.float32))
    control = market.states["control"][0]
    for j, name in enumerate(LEVER_NAMES):
        if BY_NAME[name].low == 0:
            assert control[j] == 0.0, name
    assert market.states["scene_spend"].sum() == 0


def test_actions_outside_the_box_are_clipped_like_its_edge():
    inside, outside = (Market(load_scenario(), 1, days=1, levers="all") for _ in range(2))
    for market, scale in ((inside, 1), (outside, 40)):
        market.reset(seeds=np.array([0]))
        market.step(scale * np.resize(np.array([1, -1], np.float32), (1, len(LEVER_NAMES))))
    assert np.array_equal(inside.states, outside.states)


def test_levers_not_controlled_stay_at_their_defaults():
    market = Market(load_scenario(), 2, days=1, levers=("bid_mall",))
    market.reset(seeds=np.arange(2))
    market.step(np.ones((2, 1), np.float32))
    wanted = np.array(
        [lever_value(lever, 1.0 if lever.name == "bid_mall" else 0.0) for lever in TABLE]
    )
    np.testing.assert_allclose(market.states["control"], np.tile(wanted, (2, 1)), rtol=2e-5)


def test_a_subset_of_levers_acts_like_all_with_the_rest_at_zero():
    names = ("bid_feed", "coupon_ad", "service")
    part, whole = (Market(load_scenario(), 8, days=1, levers=levers) for levers in (names, "all"))
    part.reset(seeds=np.arange(8))
    whole.reset(seeds=np.arange(8))
    columns = [LEVER_NAMES.index(n) for n in names]
    rng = np.random.default_rng(0)
    for _ in range(part.ticks):
        action = rng.uniform(-1, 1, (8, 3)).astype(np.float32)
        full = np.zeros((8, len(LEVER_NAMES)), np.float32)
        full[:, columns] = action
        part.step(action)
        whole.step(full)
    assert part.states.tobytes() == whole.states.tobytes()


# No lever that changes nothing
# -----------------------------------------------------------------------------------


PLATFORM = (*LEVER_SETS["division"], *LEVER_SETS["seat"])


class Play:
    """Episodes of 32 merchants in expectation mode under constant actions."""

    def __init__(self, **changes):
        scenario = load_scenario("default", {"regime.pools_scheduled": True, **changes})
        self.market = Market(scenario, 32, days=2, levers="all", sampled=False)
        self.careful = self()

    def __call__(self, **actions):
        market = self.market
        market.reset(seeds=np.arange(32))
        action = np.zeros((32, len(LEVER_NAMES)), np.float32)
        for name, value in actions.items():
            action[:, LEVER_NAMES.index(name)] = value
        for _ in range(market.ticks):
            market.step(action)
        plan = market.dashboard()
        return {name: plan[name] for name in plan if not name.startswith("settled_gmv_")}


@pytest.fixture(scope="module")
def play():
    return Play()


@pytest.fixture(scope="module")
def divided_play():
    """Where the platform bids, and the merchant has the seat above it."""
    return Play(**{"bidder.platform": True, "seat.open": True})


def moved(a, b, names=("settled_gmv", "overall_cost", "profit")):
    """Share of merchants whose result differs by more than a part in a million."""
    return min(float(np.mean(np.abs(a[n] - b[n]) > 1e-6 * np.abs(b[n]))) for n in names)


@pytest.mark.parametrize("name", LEVER_NAMES)
def test_lever_changes_the_outcome(play, divided_play, name):
    """Sales, cost and profit move at one end at least for nearly every merchant (a creative is not
    due at -1 in two days).
    """
    play = divided_play if name in PLATFORM else play
    assert (
        max(moved(play(**{name: -1}), play.careful), moved(play(**{name: 1}), play.careful)) > 0.7
    )


@pytest.mark.parametrize(
    "name", [n for n in LEVER_NAMES if not n.startswith(("share", "creative", "target"))]
)
def test_lever_changes_the_outcome_at_both_ends(play, divided_play, name):
    play = divided_play if name in PLATFORM else play
    assert moved(play(**{name: -1}), play.careful) > 0.7
    assert moved(play(**{name: 1}), play.careful) > 0.7


@pytest.mark.parametrize("scene", ["feed", "live", "mall", "search"])
def test_budget_share_frees_a_scene_that_wants_more(play, scene):
    """+1 lets one scene spend what its default share forbids, once all the rest is off."""
    alone = {f"bid_{s}": -1 for s in ("feed", "live", "mall", "search")} | {f"bid_{scene}": 1}
    capped = play(**alone)
    free = play(**alone, **{f"share_{scene}": 1})
    share = BY_NAME[f"share_{scene}"].default
    assert (capped[f"spend_{scene}"] <= share * capped["budget"] + 0.01).all()
    assert (free["spend"] <= free["budget"]).all()
    assert np.mean(free[f"spend_{scene}"] > 1.05 * share * capped["budget"]) > 0.2


def mean(plan, name):
    return float(plan[name].mean())


@pytest.mark.parametrize(
    ("lever", "metric", "sign"),
    [
        ("bid", "spend", 1),
        ("bid_feed", "spend_feed", 1),
        ("bid_live", "spend_live", 1),
        ("bid_mall", "spend_mall", 1),
        ("bid_search", "spend_search", 1),
        ("coupon_ad", "coupon_cost_ad", 1),
        ("coupon_natural", "coupon_cost_natural", 1),
        ("coupon_transaction", "coupon_cost_transaction", 1),
        ("tilt_price_sensitive", "coupon_cost", 1),
        ("commission_natural", "impressions_natural", 1),
        ("insurance", "service_cost", 1),
        ("interest_free", "service_cost", 1),
        ("service", "refunded_gmv", -1),
        ("commission_ad", "commission", 1),
        ("boost", "boost_spend", 1),
        ("creative", "creative_cost", 1),
    ],
)
def test_lever_pulls_its_own_way(play, lever, metric, sign):
    low = play(**{lever: -1})
    high = play(**{lever: 1})
    assert sign * (mean(high, metric) - mean(low, metric)) > 0


def test_coupons_sell_more(play):
    low = play(coupon_natural=-1, coupon_transaction=-1, coupon_ad=-1)
    high = play()
    assert (low["coupon_cost"] == 0).all()
    assert mean(high, "orders") > mean(low, "orders")
