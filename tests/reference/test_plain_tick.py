"""The compiled kernel is held to the plain float64 reference, tick by tick, over random markets.

Each tick starts from the kernel's own state, so deviations are those of one tick and do not pile
up.
"""

import numpy as np
import pytest
from chengfang.envs.interface.features import FEATURE_NAMES

MARKETS = 60
RELATIVE = 2e-4
FEN = 4.0  # rounding to whole fen: a line is the sum of 12 groups or 4 windows,
FEN_OF_SUMS = 16.0  # and what has accrued is a sum of lines
REWARDS = ("settled_gmv", "profit", "score", "platform")
# Fields in fen, compared by what the tick added; the others are plain numbers, compared as they
# are.
CUMULATIVE = (
    "ledger.",
    "pending.",
    "refunds.",
    "accrued.",
    "scene_spend",
    "day_spend",
    "boost_spend",
    "coupon_committed",
    "gmv",
    "coupon",
    "refunded",
    "opening",
    "left_over",
    "season_",
)
# After the last tick of a plan this is what the tick moved, to the fen.
MONEY = (
    *CUMULATIVE,
    "last_ledger.",
    "tick_spend",
    "tick_gmv",
    "smooth_spend",
    "smooth_gmv",
    "smooth_coupon",
)
NUMBERS = ("pending.orders", "pending.at_risk", "refunded_orders")


def assert_close(name: str, got: np.ndarray, expected: np.ndarray, before: np.ndarray) -> None:
    money = name.startswith(MONEY) and name not in NUMBERS
    base = before if money and name.startswith(CUMULATIVE) else np.zeros_like(before)
    fen = FEN_OF_SUMS if name.startswith("accrued.") else FEN
    slack = fen + RELATIVE * np.abs(expected - base).max() if money else 2e-5
    np.testing.assert_allclose(got - base, expected - base, rtol=RELATIVE, atol=slack, err_msg=name)


def random_market(seed, harness, sampled=False):
    rng = np.random.default_rng(seed)
    scenario = harness.random_scenario(rng)
    days = int(rng.integers(1, 4))
    rig = harness.Rig(scenario, days=days, reward=REWARDS[seed % 4], sampled=sampled).reset([seed])
    if not sampled:  # where the states that jump stay as they are
        sd = rig.world.constants[0]["jump_sd"]
        rig.states["jump"] = sd * rng.normal(size=sd.shape)
    actions = rng.uniform(-1.3, 1.3, (rig.ticks, len(rig.levers))).astype(np.float32) * np.float32(
        0.4 if seed % 3 else 1.0
    )
    return rig, actions


@pytest.mark.parametrize("seed", range(MARKETS))
def test_kernel_equals_the_plain_tick(seed, plain, harness):
    rig, actions = random_market(seed, harness)
    scale = rig.merchants["budget"][0] * min(1.0, rig.merchants["roi_target"][0])
    fen = FEN_OF_SUMS / scale + FEN / max(rig.merchants["coupon_budget"][0], 1.0)
    for tick, action in enumerate(actions):
        before = rig.states[0].copy()
        rig.step(action)
        ends = {rig.ticks // rig.days * day - 1 for day in range(1, rig.days)}
        if tick not in {0, 1, 2, 7, rig.ticks // 2, rig.ticks - 2, rig.ticks - 1, *ends}:
            continue
        expected = plain.plain_tick(
            rig.scenario,
            rig.days,
            rig.merchants[0],
            rig.cells[0],
            before,
            action,
            rig.levers,
            REWARDS[seed % 4],
        )
        old = plain.flat_state(plain.read_state(before))
        got = plain.flat_state(plain.read_state(rig.states[0]))
        for name, value in plain.flat_state(expected.state).items():
            assert_close(name, got[name], value, old[name])
        np.testing.assert_allclose(rig.rewards[0], expected.reward, rtol=RELATIVE, atol=1e-6 + fen)
        np.testing.assert_allclose(rig.costs[0], expected.costs, rtol=RELATIVE, atol=1e-6 + fen)
    assert rig.states["done"][0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, MARKETS, 2))
@pytest.mark.parametrize("sampled", [True, False])
def test_observation_shows_what_its_features_say(seed, sampled, plain, harness):
    rig, actions = random_market(seed, harness, sampled)
    for tick in range(rig.ticks + 1):
        if tick % 5 in (0, 1) or tick == rig.ticks:
            expected = plain.plain_observation(
                rig.scenario, rig.days, rig.merchants[0], rig.states[0]
            )
            assert len(expected) == len(FEATURE_NAMES) == rig.observations.shape[1]
            for name, shown, value in zip(
                FEATURE_NAMES, rig.observations[0], expected, strict=True
            ):
                np.testing.assert_allclose(
                    shown, value, rtol=1e-5, atol=1e-5, err_msg=f"{name} at tick {tick}"
                )
        if tick < rig.ticks:
            rig.step(actions[tick])


@pytest.mark.slow
def test_random_markets_reach_every_limit_and_branch(harness):
    seen = dict.fromkeys(
        ("budget", "day", "scene", "coupon", "boost", "protection", "creative", "refund", "rebate"),
        0,
    )
    for seed in range(MARKETS):
        rig, actions = random_market(seed, harness)
        m = rig.merchants[0]
        s = rig.scenario
        cap = np.floor(s.constraints.daily_cap * m["budget"])
        for action in actions:
            rig.step(action)
            seen["day"] += rig.states["day_spend"][0] >= cap - FEN and cap < m["budget"]
            shares = np.floor(rig.states["control"][0, 5:9].astype(float) * m["budget"])
            seen["scene"] += bool(
                (np.abs(rig.states["scene_spend"][0] - shares)[shares > 0] < FEN).any()
            )
        seen["budget"] += rig.ledger("spend")[0] >= m["budget"] - FEN
        seen["coupon"] += (
            rig.states["coupon_committed"][0] >= m["coupon_budget"] - FEN and m["coupon_budget"] > 0
        )
        seen["boost"] += 0 < m["budget"] * s.boost.budget_share - rig.states["boost_spend"][0] < FEN
        for name in ("protection", "creative", "refund", "rebate"):
            seen[name] += rig.ledger("refund_gmv" if name == "refund" else name)[0] > 0
    assert min(seen.values()) >= 3, seen
