"""The training view: what it adds changes how one learns, never what is learned about."""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.learners.practice import PRIVILEGED, PracticeVecEnv
from chengfang.agents.learners.settings import Practice
from chengfang.envs import FEATURE_NAMES, Market, Setting, load_scenario, select_levers
from chengfang.experiments.runs.evaluate import play_noop
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

SCENARIO = load_scenario()
LEVERS = select_levers("bidding")
FEATURES = len(FEATURE_NAMES)
PLAIN = Practice(paired=False, relative=False, privileged=False)


def make(practice, count=6, seed=3, **keywords):
    env = PracticeVecEnv(count, SCENARIO, practice, levers=LEVERS, days=1, seed=seed, **keywords)
    return env, env.reset()


def play(env, choose, steps):
    """Total rewards per env and the infos of the finished episodes."""
    total = np.zeros(env.num_envs)
    infos = []
    for i in range(steps):
        _, rewards, _, found = env.step(choose(i))
        total += rewards
        infos += [info for info in found if info]
    return total, infos


def random_actions(seed, count=6):
    rng = np.random.default_rng(seed)
    return lambda i: rng.uniform(-1, 1, (count, len(LEVERS))).astype(np.float32)


def test_score_rewards_sum_to_the_score():
    env, _ = make(PLAIN)
    total, infos = play(env, random_actions(0), 24)
    scores = [
        info["plan"]["score"] / (info["plan"]["budget"] * info["plan"]["roi_target"])
        for info in infos
    ]
    assert np.allclose(total, scores, atol=1e-4)


def test_paired_rewards_are_above_doing_nothing_on_the_same_luck():
    env, _ = make(PLAIN.model_copy(update={"paired": True}))
    total, infos = play(env, random_actions(0), 24)
    nothing = play_noop(Setting(SCENARIO, LEVERS, 1, "train"), np.arange(3, 9))["settled_gmv"]
    scale = np.array([info["plan"]["budget"] * info["plan"]["roi_target"] for info in infos])
    assert np.allclose(
        total, (np.array([info["plan"]["score"] for info in infos]) - nothing) / scale, atol=1e-4
    )


def test_doing_nothing_earns_nothing_when_paired():
    levers = select_levers("coupon")  # bids and coupons all at nothing
    env = PracticeVecEnv(
        6, SCENARIO, PLAIN.model_copy(update={"paired": True}), levers=levers, days=1, seed=3
    )
    env.reset()
    total, _ = play(env, lambda i: np.full((6, len(levers)), -1, np.float32), 24)
    assert np.allclose(total, 0, atol=1e-5)


def test_a_twin_takes_off_what_the_rule_alone_earns():
    values = {"rule": "PID", "twin": True, "hold": 2}
    env, _ = make(PLAIN.model_copy(update=values))
    total, _ = play(env, lambda i: np.zeros((6, len(LEVERS)), np.float32), 12)
    assert np.allclose(total, 0, atol=1e-5)
    env, _ = make(PLAIN.model_copy(update=values | {"caution_range": (-0.02, 0.02)}))
    shifted, infos = play(env, random_actions(2), 12)
    alone, _ = make(PLAIN.model_copy(update={"rule": "PID", "hold": 2}))
    _, own = play(alone, lambda i: np.zeros((6, len(LEVERS)), np.float32), 12)
    assert all(
        info["plan"]["budget"] == other["plan"]["budget"]
        for info, other in zip(infos, own, strict=True)
    )
    assert np.abs(shifted).max() > 1e-3


def test_a_twin_needs_a_rule():
    with pytest.raises(ValueError, match="twin needs a rule"):
        Practice(twin=True)


def test_relative_rewards_are_shares_of_doing_nothing():
    count = 6
    one, _ = make(PLAIN)
    two, _ = make(PLAIN.model_copy(update={"relative": True}))
    plain, _ = play(one, random_actions(1), 24)
    shares, infos = play(two, random_actions(1), 24)
    nothing = play_noop(Setting(SCENARIO, LEVERS, 1, "train"), np.arange(3, 3 + count))[
        "settled_gmv"
    ]
    scale = np.array([info["plan"]["budget"] * info["plan"]["roi_target"] for info in infos])
    assert np.allclose(shares, plain * 0.4 / np.maximum(nothing / scale, 0.1), rtol=1e-4)


def test_lagrangian_charges_what_is_missing():
    env, _ = make(PLAIN.model_copy(update={"objective": "lagrangian"}))
    env.multiplier = 2.0
    total, infos = play(env, lambda i: np.full((6, 4), 0.8, np.float32), 24)
    for got, info in zip(total, infos, strict=True):
        plan = info["plan"]
        scale = info["plan"]["budget"] * info["plan"]["roi_target"]
        missing = max(plan["roi_target"] * plan["overall_cost"] - plan["settled_gmv"], 0.0)
        assert got == pytest.approx((plan["settled_gmv"] - 2 * missing) / scale, abs=1e-4)
        assert max(info["cost"], 0) == pytest.approx(missing / scale, abs=1e-4)
    assert any(info["cost"] > 0 for info in infos)


def test_caution_raises_the_target_of_the_reward_only():
    careful = PLAIN.model_copy(update={"caution_range": (0.2, 0.2)})
    env, seen = make(careful)
    assert seen.shape == (6, FEATURES + 1)
    assert np.allclose(seen[:, -1], 0.2)
    total, infos = play(env, lambda i: np.full((6, 4), 0.3, np.float32), 24)
    for got, info in zip(total, infos, strict=True):
        plan = info["plan"]
        met = min(1.0, plan["roi"] / (1.2 * plan["roi_target"]))
        assert got == pytest.approx(
            plan["settled_gmv"] * met**2 / (plan["budget"] * plan["roi_target"]), abs=1e-4
        )


def test_no_residual_is_the_rule():
    """Zero actions over a rule play the rule itself, to the last bit, on every following episode
    too.
    """
    env, _ = make(PLAIN.model_copy(update={"rule": "PID"}))
    _, infos = play(env, lambda i: np.zeros((6, 4), np.float32), 48)
    rule = make_rule("PID", plan_spec(Setting(SCENARIO, LEVERS, 1)))
    market = Market(SCENARIO, 6, days=1, levers=LEVERS)
    for episode in range(2):
        market.reset(seeds=np.arange(3, 9)) if episode == 0 else market.reset()
        memory = None
        fresh = np.ones(6, bool)
        for _ in range(24):
            action, memory = rule.predict(market.observations.copy(), memory, fresh)
            fresh = np.zeros(6, bool)
            market.step(action)
        scores = market.dashboard()["score"]
        assert [
            info["plan"]["score"] for info in infos[6 * episode : 6 * episode + 6]
        ] == scores.tolist()


@given(hold=st.sampled_from([1, 2, 3, 8, 24]), scale=st.floats(0.1, 1.0), seed=st.integers(0, 100))
@settings(max_examples=12, deadline=None)
def test_held_actions(hold, scale, seed):
    """One step of a held action is `hold` steps of it; time and episodes add up."""
    practice = PLAIN.model_copy(update={"rule": "DualMirrorDescent", "residual_scale": scale})
    short, _ = make(practice, seed=seed)
    long, _ = make(practice.model_copy(update={"hold": hold}), seed=seed)
    actions = np.random.default_rng(seed).uniform(-1, 1, (24 // hold, 6, 4)).astype(np.float32)
    one, infos = play(short, lambda i: actions[i // hold], 24)
    two, held = play(long, lambda i: actions[i], 24 // hold)
    assert np.allclose(one, two, atol=1e-5)
    assert [i["plan"] for i in infos] == [i["plan"] for i in held]


def test_privileged_entries_come_last_and_are_finite():
    env, seen = make(Practice(rule="PID", caution_range=(0.0, 0.1)))
    assert env.public == FEATURES + 1 + len(LEVERS)
    assert seen.shape == (6, env.public + len(PRIVILEGED))
    for i in range(30):
        seen = env.step(random_actions(i)(0))[0]
        assert np.isfinite(seen).all()
        assert np.array_equal(seen[:, :FEATURES], env.market.observations)


def test_latent_truth_tells_merchants_apart():
    """The critic's entries know the merchant at the first tick: doing nothing's total is the
    episode's own.
    """
    env, seen = make(Practice())
    nothing = play_noop(Setting(SCENARIO, LEVERS, 1, "train"), np.arange(3, 9))["settled_gmv"]
    merchants = env.market.merchants
    total = nothing * 100 / (merchants["budget"] * merchants["roi_target"])
    assert np.allclose(seen[:, env.public], total, rtol=1e-4)
    assert np.allclose(seen[:, env.public + 1], total, rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hold", 0),
        ("residual_scale", 0),
        ("caution", 2),
        ("caution_range", (0.2, 0.1)),
        ("rule_task", "Bidding"),
        ("objective", "profit"),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        Practice(**{field: value})
