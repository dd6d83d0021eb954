"""What must hold in every market at every tick, whatever the scenario and the actions (world 2.9,
2.10, 3).
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args, get_origin

import numpy as np
import pytest
from chengfang.envs.market import layout as rows
from chengfang.envs.market.dashboard import with_earlier_plans
from chengfang.envs.scenario import Scenario, ScenarioError, load_scenario
from chengfang.envs.scenario.quantity import Section
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

HARNESS = "chengfang_reference_harness"
ENVS = 4
PROPERTY = settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)
LINES = {name: i for i, name in enumerate(rows.LEDGER_NAMES)}


@pytest.fixture(scope="module", autouse=True)
def _loaded(harness):
    """Hypothesis forbids function fixtures under @given; the rig is found by its module name."""


def rig_of(scenario, **options):
    return sys.modules[HARNESS].Rig(scenario, ENVS, **options)


# Scenarios within the schema
# -------------------------------------------------------------------------------------


def bounds(metadata: list[Any]) -> tuple[float, float]:
    """The ge and le of an annotation."""
    items = [
        part
        for item in metadata
        for part in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    return (
        next(x.ge for x in items if hasattr(x, "ge")),
        next(x.le for x in items if hasattr(x, "le")),
    )


def numeric_fields(
    model: type[Section] = Scenario, prefix: str = ""
) -> dict[str, tuple[Any, float, float]]:
    """Dotted path -> (type, low, high) of every bounded number of the schema, tables entry by
    entry.
    """
    found: dict[str, tuple[Any, float, float]] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        path = f"{prefix}{name}"
        if isinstance(kind, type) and issubclass(kind, Section):
            found |= numeric_fields(kind, f"{path}.")
        elif kind in (int, float):
            found[path] = (kind, *bounds(field.metadata))
        elif get_origin(kind) is dict and get_origin(get_args(kind)[1]) is not dict:
            low, high = bounds(list(get_args(kind)[1].__metadata__))
            found |= {f"{path}.{key}": (float, low, high) for key in get_args(get_args(kind)[0])}
    return found


FIELDS = {
    path: facts
    for path, facts in numeric_fields().items()
    if path not in ("clock.ticks_per_day", "clock.days", "seasons.plan_days")
}
SWITCHES = {
    "regime.preset": ("unified", "dual_track"),
    "regime.incremental_ads": (None, True, False),
    "regime.coupons_everywhere": (None, True, False),
    "regime.low_fee": (None, True, False),
    "auction.price_rule": ("first", "second"),
    "refund.window": ("1h", "7d", "14d", "90d"),
    "money.protection": (True, False),
    "constraints.roi": ("overall", "net", "pay"),
    "clock.ticks_per_day": (24, 48),
    "money.cost_commission": (True, False),
    "money.cost_coupon": (True, False),
    "seasons.plan_days": (0, 1),
}
SMALL_BUDGETS = {
    "merchants.budget_low": (0.01, 0.1, 0.3),
    "merchants.coupon_budget_low": (0.0, 0.001, 0.06),
}  # limits bind


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """Overrides of the default market: up to 16 numbers anywhere in their ranges, ends included,
    and any switches.
    """
    overrides: dict[str, Any] = {}
    for path in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=16, unique=True)):
        kind, low, high = FIELDS[path]
        number = st.integers(int(low), int(high)) if kind is int else st.floats(low, high)
        overrides[path] = draw(st.one_of(st.sampled_from([kind(low), kind(high)]), number))
    for path, options in SWITCHES.items():
        overrides[path] = draw(st.sampled_from(options))
    if draw(st.booleans()):
        overrides["traffic.events"] = [
            {"day": draw(st.integers(-3, 3)), "traffic": draw(st.floats(0.2, 10))}
        ]
    for path, options in SMALL_BUDGETS.items():
        overrides.setdefault(path, draw(st.sampled_from(options)))
    return overrides


def market(overrides: dict[str, Any]) -> Scenario:
    """The scenario of these overrides; contradictory ones are not of interest here."""
    try:
        return load_scenario("default", overrides)
    except ScenarioError:
        assume(False)
        raise


# Markets at the edge of what the schema allows; each once showed a mistake or could show one.
NONE = dict.fromkeys(("feed", "live", "mall", "search"), 0.0)
SMALL = {"merchants.budget_low": 0.01, "merchants.coupon_budget_low": 0.0}
EDGES = {
    "spend beyond float32": {
        "merchants.categories": [{"order_value": 1e5, "margin": 0.98, "conversion": 5, "price": -4}]
    },
    "coupons of few fen": {
        "merchants.categories": [{"order_value": 1.0, "margin": 0.0, "conversion": 0}],
        **SMALL,
    },
    "a delay of minutes": {
        "order.fast_hours": 0.1,
        "order.slow_hours": 0.1,
        "auction.bid_default": 0.01,
        **SMALL,
    },
    "no ad traffic": {"traffic.ad": NONE},
    "no traffic": {"traffic.ad": NONE, "traffic.natural": NONE, "traffic.transaction": NONE},
    "one weekday": {"traffic.weekday": [0.0, 0, 0, 0, 0, 1, 0]},
    "one hour": {"traffic.hourly": [0.0] * 23 + [1.0], "traffic.live_hourly": [1.0] + [0.0] * 23},
    "one segment": {
        "traffic.segments": {"new": 0.0, "price_sensitive": 0, "regular": 0, "loyal": 1.0}
    },
    "five festivals at once": {"traffic.events": [{"day": 1, "traffic": 10.0}] * 5},
    "wild shocks": {
        "traffic.shock_volatility": 1.0,
        "traffic.shock_persistence": 0.999,
        "auction.shock_volatility": 1.0,
        "auction.shock_persistence": 0.999,
        "auction.reaction": 3.0,
        "traffic.dispersion": 1.0,
    },
}


PATTERNS = ("nothing", "everything", "default", "random", "beyond", "switching")


def action(pattern: str, rng: np.random.Generator, tick: int, levers: int) -> np.ndarray:
    return {
        "nothing": np.full(levers, -1.0),
        "everything": np.ones(levers),
        "default": np.zeros(levers),
        "random": rng.uniform(-1, 1, levers),
        "beyond": rng.choice([-1e30, -1.5, 1.5, 1e30], levers),
        "switching": np.full(levers, 1.0 if tick % 2 else -1.0),
    }[pattern]


# The invariants
# -------------------------------------------------------------------------------------------------


def check_limits(rig: Any, before: np.ndarray) -> None:
    now = rig.states
    m = rig.states  # budgets of the plan in force
    s = rig.scenario
    assert (now["ledger"][:, LINES["spend"]] <= m["budget"]).all()
    assert (
        now["day_spend"] <= np.maximum(np.floor(s.constraints.daily_cap * m["budget"]), 0)
    ).all()
    share = now["control"][:, rows.LEVER_SHARE : rows.LEVER_SHARE + rows.N_SCENES].astype(float)
    cap = np.floor(share * m["budget"][:, None])
    assert (now["scene_spend"] <= np.maximum(cap, before["scene_spend"])).all()
    if not s.seasons.plan_days:  # else coupons of an earlier plan arrive in this one
        assert (rig.ledger("coupon_merchant") <= now["coupon_committed"]).all()
    assert (now["coupon_committed"] <= m["coupon_budget"]).all()
    assert (now["boost_spend"] <= s.boost.budget_share * m["budget"]).all()


def check_books(rig: Any, before: np.ndarray) -> None:
    book = rig.states["ledger"] + rig.states["season_ledger"]
    old = before["ledger"] + before["season_ledger"]
    line = {name: book[:, i] for name, i in LINES.items()}
    assert (book == np.floor(book)).all()
    assert (book >= 0).all()
    assert (book >= old).all()
    np.testing.assert_array_equal(
        line["gmv"], line["user_paid"] + line["coupon_merchant"] + line["coupon_platform"]
    )
    np.testing.assert_array_equal(
        line["refund_gmv"],
        line["refund_user_paid"] + line["refund_coupon_merchant"] + line["refund_coupon_platform"],
    )
    for name in (
        "gmv",
        "user_paid",
        "coupon_merchant",
        "coupon_platform",
        "commission",
        "fee",
        "goods",
    ):
        assert (line[f"refund_{name}"] <= line[name]).all(), name
    for settled, refund in (
        ("gmv", "gmv"),
        ("coupon", "coupon_merchant"),
        ("commission", "commission"),
    ):
        assert (line[f"settled_refund_{settled}"] <= line[f"refund_{refund}"]).all()
    assert (rig.states["refunds"] >= 0).all()
    np.testing.assert_array_equal(rig.states["refunds"], np.floor(rig.states["refunds"]))
    np.testing.assert_array_equal(rig.states["ledger"] - rig.states["last_ledger"], book - old)


def check_totals(rig: Any) -> None:
    several = rig.world.constants[0]["plans"] > 1
    s = with_earlier_plans(rig.states)
    np.testing.assert_array_equal(s["gmv"].sum(1), rig.ledger("gmv"))
    np.testing.assert_array_equal(
        s["coupon"].sum(1), rig.ledger("coupon_merchant") + rig.ledger("coupon_platform")
    )
    np.testing.assert_array_equal(s["scene_spend"].sum(1), rig.ledger("spend"))
    assert (s["clicks"] <= s["impressions"]).all()
    slack = (
        0 if rig.world.constants[0]["sampled"] else 1e-9 * s["clicks"]
    )  # arrivals leave compartments in pieces
    assert (s["orders"] <= s["clicks"] + slack).all()
    assert (s["refunded_orders"] <= s["orders"].sum(1) * (1 + 1e-9)).all()
    if several:
        return
    waiting = s["pending"][:, rows.ORDERS].sum(1)
    np.testing.assert_allclose(s["orders"].sum(1) + waiting, s["placed"], rtol=1e-9)


def balances(rig: Any) -> dict[str, np.ndarray]:
    """What each account has received less paid so far, fen."""
    net = {name: rig.ledger(name).copy() for name in LINES}
    for name in (
        "gmv",
        "user_paid",
        "coupon_merchant",
        "coupon_platform",
        "commission",
        "fee",
        "goods",
    ):
        net[name] -= rig.ledger(f"refund_{name}")
    support = net["rebate"] + net["protection"]
    outlay = net["extras"] + net["service"] + net["creative"]
    return {
        "buyers": -net["user_paid"],
        "merchant": (
            net["gmv"]
            - net["coupon_merchant"]
            - net["commission"]
            - net["fee"]
            - net["goods"]
            - outlay
            - net["spend"]
            + support
        ),
        "platform": net["spend"] + net["fee"] - net["coupon_platform"] - support,
        "influencers": net["commission"],
        "suppliers": net["goods"] + outlay,
    }


def check_numbers(rig: Any) -> None:
    for array in (rig.states, rig.merchants):
        for name in array.dtype.names:
            assert np.isfinite(array[name]).all(), name
    for name in ("cells", "observations", "rewards", "costs"):
        assert np.isfinite(getattr(rig, name)).all(), name
    assert (np.abs(rig.observations) <= 10).all()


def check_end(rig: Any, rewards: np.ndarray, costs: np.ndarray) -> None:
    s = with_earlier_plans(rig.states)
    m = rig.merchants
    w = rig.scenario
    assert rig.dones.all()
    assert (s["done"] == 1).all()
    assert (s["pending"][:, : rows.AT_RISK] == 0).all()
    assert (s["refunds"] == 0).all()
    account = balances(rig)
    target = m["roi_target"].astype(float)
    settled = rig.ledger("gmv") - rig.ledger("settled_refund_gmv")
    cost = (
        rig.ledger("spend")
        + w.money.cost_commission
        * (rig.ledger("commission") - rig.ledger("settled_refund_commission"))
        + w.money.cost_coupon
        * (rig.ledger("coupon_merchant") - rig.ledger("settled_refund_coupon"))
        + w.money.cost_creative * rig.ledger("creative")
        + w.money.cost_service * (rig.ledger("service") + rig.ledger("extras"))
    )
    expected = np.stack(
        [settled, rig.ledger("gmv"), cost, account["merchant"], account["platform"]], 1
    )
    np.testing.assert_allclose(s["accrued"], expected, rtol=1e-12, atol=1e-3)
    scale = m["budget"] * target
    moved = np.abs(rewards).sum(0) * scale
    np.testing.assert_allclose(
        rewards.sum(0) * scale,
        settled + s["left_over"],
        atol=(1e-6 * moved + 1e-3).max(),
        rtol=1e-6,
    )
    if rig.world.constants[0]["plans"] > 1:
        return
    value, paid = {
        "overall": (settled, cost),
        "net": (settled, rig.ledger("spend")),
        "pay": (rig.ledger("gmv"), rig.ledger("spend")),
    }[w.constraints.roi]
    slack = 1e-6 * np.abs(costs).sum(0) + 1e-9
    assert (np.abs(costs[..., 0].sum(0) - (target * paid - value) / scale) <= slack[:, 0]).all()
    assert (np.abs(costs[..., 1].sum(0) - rig.ledger("spend") / m["budget"]) <= slack[:, 1]).all()
    assert (
        np.abs(costs[..., 2].sum(0) - s["coupon_committed"] / np.maximum(m["coupon_budget"], 1))
        <= slack[:, 2]
    ).all()


def run_episode(scenario: Scenario, pattern: str, seed: int, sampled: bool) -> None:
    """Two days of ENVS markets under every invariant."""
    rig = rig_of(scenario, days=2, sampled=sampled).reset(
        np.arange(ENVS, dtype=np.uint64) + np.uint64(seed)
    )
    rng = np.random.default_rng(seed)
    check_numbers(rig)
    rewards, costs = [], []
    for tick in range(rig.ticks):
        before = rig.states.copy()
        rig.step(action(pattern, rng, tick, len(rig.levers)))
        check_numbers(rig)
        check_limits(rig, before)
        check_books(rig, before)
        check_totals(rig)
        assert (np.sum(list(balances(rig).values()), axis=0) == 0).all()
        rewards.append(rig.rewards.astype(float))
        costs.append(rig.costs.astype(float))
    check_end(rig, np.array(rewards), np.array(costs))


@pytest.mark.slow
@pytest.mark.parametrize("sampled", [True, False])
@given(overrides=changes(), pattern=st.sampled_from(PATTERNS), seed=st.integers(0, 2**64 - ENVS))
@PROPERTY
def test_every_market_keeps_its_books_and_limits(sampled, overrides, pattern, seed):
    run_episode(market(overrides), pattern, seed, sampled)


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("edge", sorted(EDGES))
def test_markets_at_the_edge_keep_their_books_and_limits(edge, pattern, sampled):
    run_episode(market(EDGES[edge]), pattern, 5, sampled)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["unified", "dual_track"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_default_market_keeps_its_books_and_limits(pattern, preset):
    for seed in range(0, 200, ENVS):
        run_episode(market({"regime.preset": preset}), pattern, seed, True)


@pytest.mark.parametrize(("limit", "sign"), [(0.0, 1), (1.0, -1)])
@pytest.mark.parametrize("column", [3, 4])
def test_ad_load_and_refund_rate_are_reported_as_costs(column, limit, sign):
    """All ads or refunds are beyond a limit of nothing; none are beyond a limit of everything."""
    rig = rig_of(market({"constraints.ad_load": limit, "constraints.refund_rate": limit})).reset()
    total = np.zeros(ENVS)
    for _ in range(rig.ticks):
        rig.step(np.zeros(len(rig.levers)))
        total += rig.costs[:, column]
    assert (np.sign(total) == sign).all()


@given(overrides=changes(), pattern=st.sampled_from(PATTERNS), seed=st.integers(0, 2**32))
@settings(PROPERTY, max_examples=15)
def test_dual_track_with_unified_switches_is_unified(overrides, pattern, seed):
    switches = {"incremental_ads": True, "coupons_everywhere": True, "low_fee": True}
    rigs = [
        rig_of(market(overrides).updated({"regime": {"preset": preset, **switches}})).reset(
            seed + np.arange(ENVS)
        )
        for preset in ("unified", "dual_track")
    ]
    rngs = [np.random.default_rng(seed), np.random.default_rng(seed)]
    for tick in range(rigs[0].ticks):
        for rig, rng in zip(rigs, rngs, strict=True):
            rig.step(action(pattern, rng, tick, len(rig.levers)))
        assert [rigs[0].digest(i) for i in range(ENVS)] == [rigs[1].digest(i) for i in range(ENVS)]


@given(overrides=changes(), seed=st.integers(0, 2**32))
@settings(PROPERTY, max_examples=15)
def test_actions_beyond_the_box_act_as_its_edge(overrides, seed):
    rigs = [rig_of(market(overrides)).reset(seed + np.arange(ENVS)) for _ in range(2)]
    rng = np.random.default_rng(seed)
    for _ in range(6):
        wild = rng.uniform(-3, 3, len(rigs[0].levers))
        rigs[0].step(wild)
        rigs[1].step(np.clip(wild, -1, 1))
        assert rigs[0].states.tobytes() == rigs[1].states.tobytes()


@given(overrides=changes(), seed=st.integers(0, 2**32))
@settings(PROPERTY, max_examples=15)
def test_a_noop_plan_spends_and_grants_nothing(overrides, seed):
    rig = rig_of(market(overrides), noop=True).reset(seed + np.arange(ENVS))
    for _ in range(rig.ticks):
        rig.step(np.ones(len(rig.levers)))
    for line in ("spend", "coupon_merchant", "coupon_platform"):
        assert (rig.ledger(line) == 0).all()
    assert (rig.states["done"] == 1).all()


# The same bits, however it is run
# --------------------------------------------------------------------------------

WATCHED = (0, 1, 17, 63)
STEPS = 30


def batch(harness, n):
    return harness.Rig(
        load_scenario({"traffic": {"events": [{"day": 1}]}}), n, days=2, levers="super_plan"
    ).reset()


def actions_of(rig, tick):
    """Actions that depend on the env's number and the tick alone."""
    number = np.arange(len(rig.states))[:, None] + 1
    return np.sin(number * 1.7 + np.arange(len(rig.levers)) * 0.9 + tick * 0.31)


@pytest.fixture(scope="module")
def digests(harness):
    """Hashes of the watched envs of a batch of 64 after STEPS ticks, and of all of them."""
    rig = batch(harness, 64)
    for tick in range(STEPS):
        rig.step(actions_of(rig, tick))
    return [rig.digest(i) for i in range(64)]


def test_a_batch_of_one_gives_the_same_bits(harness, digests):
    big = batch(harness, 64)
    for i in WATCHED:
        rig = batch(harness, 1).reset([i])
        for tick in range(STEPS):
            rig.step(actions_of(big, tick)[i])
        assert rig.digest(0) == digests[i]


def test_a_batch_of_4096_gives_the_same_bits(harness, digests):
    rig = batch(harness, 4096)
    for tick in range(STEPS):
        rig.step(actions_of(rig, tick))
    assert [rig.digest(i) for i in range(64)] == digests


def test_two_threads_give_the_same_bits(harness, digests):
    rig = batch(harness, 64)
    scratches = harness.Scratch(), harness.Scratch()
    with ThreadPoolExecutor(2) as pool:
        for tick in range(STEPS):
            jobs = [
                pool.submit(rig.step, actions_of(rig, tick), first, first + 32, scratch)
                for first, scratch in zip((0, 32), scratches, strict=True)
            ]
            for job in jobs:
                job.result()
    assert [rig.digest(i) for i in range(64)] == digests


def test_reverse_order_and_dirty_scratch_give_the_same_bits(harness, digests):
    rig = batch(harness, 64)
    rng = np.random.default_rng(0)
    for tick in range(STEPS):
        for i in reversed(range(64)):
            for array in (rig.scratch.lane, rig.scratch.scene, rig.scratch.group):
                array[...] = rng.choice([-1e3, 0.0, 7.5, 1e6])
            rig.step(actions_of(rig, tick), i, i + 1)
    assert [rig.digest(i) for i in range(64)] == digests


def test_a_saved_state_goes_on_as_if_nothing_happened(harness, digests):
    rig = batch(harness, 64)
    for tick in range(STEPS):
        if tick == 11:
            kept = rig.states.copy()
            for later in range(12):
                rig.step(actions_of(rig, 50 + later))
            rig.states[:] = kept
        rig.step(actions_of(rig, tick))
    assert [rig.digest(i) for i in range(64)] == digests


def test_seeds_episodes_and_splits_give_other_trajectories(harness, digests):
    other = [batch(harness, 64).reset(episode=1), batch(harness, 64).reset(np.arange(64) + 1000)]
    for rig in other:
        for tick in range(STEPS):
            rig.step(actions_of(rig, tick))
        assert not set(digests) & {rig.digest(i) for i in range(64)}
