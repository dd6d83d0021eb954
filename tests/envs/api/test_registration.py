"""Every registered id, as Gymnasium and stable-baselines3 would have it."""

import copy
import pickle
import subprocess
import sys
import warnings

import chengfang
import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from chengfang.envs import (
    LEVER_SETS,
    TASKS,
    PromotionVectorEnv,
    SuperPlanEnv,
    find_task,
    load_scenario,
    short_name,
)
from chengfang.envs.interface.tasks import newest_tasks
from gymnasium.utils.env_checker import check_env as gymnasium_check
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker

NEWEST = newest_tasks()
IDS = [task.id for task in NEWEST]
tasks = pytest.mark.parametrize("task", NEWEST, ids=IDS)


def short(task):
    """Days of the shortest episode that the task's market can have."""
    return load_scenario(task.scenario).seasons.plan_days or 1


def actions(env, count, seed=0):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(count)]


def unwrapped(env: gym.Env) -> SuperPlanEnv:
    """The environment inside Gymnasium's wrappers."""
    inner = env.unwrapped
    assert isinstance(inner, SuperPlanEnv)
    return inner


def roll(env, count, seed=None, actions_=None):
    """Observations, rewards, ends and costs of some steps as bytes, for comparison bit by bit."""
    observation, _ = env.reset(seed=seed)
    trace = [observation.tobytes()]
    for action in actions_ if actions_ is not None else actions(env, count):
        observation, reward, terminated, truncated, info = env.step(action)
        trace.append(
            (
                observation.tobytes(),
                reward,
                terminated,
                truncated,
                tuple(sorted(info["costs"].items())),
            )
        )
        if terminated or truncated:
            break
    return trace


# Making
# -------------------------------------------------------------------------------------------------


def test_ids_are_those_of_the_design():
    assert {
        "chengfang/Bidding-v1",
        "chengfang/Allocation-v1",
        "chengfang/Coupon-v1",
        "chengfang/SuperPlan-v1",
        "chengfang/WholeShop-v1",
        "chengfang/Seasons-v1",
        "chengfang/Merchant-v1",
    } == set(IDS)
    assert set(IDS) == {name for name in gym.registry if name.startswith("chengfang/")}


@tasks
def test_gym_make(task):
    env = gym.make(task.id)
    assert isinstance(env.unwrapped, SuperPlanEnv)
    assert env.unwrapped.levers == LEVER_SETS[task.levers]
    assert env.unwrapped.market.days == task.days
    assert env.unwrapped.scenario.name == task.scenario
    assert env.action_space.shape == (len(LEVER_SETS[task.levers]),)
    assert env.spec is not None
    assert env.spec.id == task.id
    env.close()


@tasks
def test_gym_make_vec(task):
    env = gym.make_vec(
        task.id, num_envs=3, vectorization_mode="vector_entry_point", days=short(task)
    )
    assert isinstance(env.unwrapped, PromotionVectorEnv)
    assert env.num_envs == 3
    observation, _ = env.reset(seed=0)
    assert observation.shape == (3, 101)
    env.close()


def test_gym_make_vec_of_single_envs_works_too():
    env = gym.make_vec("chengfang/Bidding-v1", num_envs=2, vectorization_mode="sync")
    observation, _ = env.reset(seed=0)
    assert observation.shape == (2, 101)
    env.step(env.action_space.sample())
    env.close()


def test_module_prefix_imports_by_itself():
    code = (
        "import sys, gymnasium as gym; assert 'chengfang' not in sys.modules; "
        "env = gym.make('chengfang:chengfang/SuperPlan-v1'); print(env.spec.id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "chengfang/SuperPlan-v1", done.stderr


def test_registering_twice_is_harmless():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chengfang.register_all()


def test_arguments_are_passed_on():
    env = gym.make(
        "chengfang/SuperPlan-v1",
        scenario="beauty_contested",
        levers=["bid", "boost"],
        days=2,
        reward="profit",
        split="test",
        sampled=False,
    )
    market = unwrapped(env).market
    assert (
        market.scenario.name,
        market.levers,
        market.days,
        market.reward,
        market.split,
        market.sampled,
    ) == ("beauty_contested", ("bid", "boost"), 2, "profit", "test", False)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("SuperPlan", 0),
        ("superplan", 0),
        ("SuperPlan-v0", 0),
        ("SuperPlan-v1", 1),
        ("chengfang/superplan-v1", 1),
    ],
)
def test_find_task(name, version):
    assert find_task(name).id == f"chengfang/SuperPlan-v{version}"


def test_an_older_version_is_not_made_and_names_the_newest():
    with (
        pytest.warns(DeprecationWarning, match="out of date"),
        pytest.raises(gym.error.DeprecatedEnv, match="use `chengfang/SuperPlan-v1` instead"),
    ):
        gym.make("chengfang/SuperPlan-v0")


def test_find_task_names_what_is_allowed():
    with pytest.raises(
        ValueError, match="allowed are Bidding, Allocation, Coupon, SuperPlan, WholeShop"
    ):
        find_task("Auction")


def test_short_names():
    assert [short_name(task) for task in TASKS] == [
        "Bidding",
        "Allocation",
        "Coupon",
        "SuperPlan",
        "WholeShop",
        "Bidding-v1",
        "Coupon-v1",
        "SuperPlan-v1",
        "WholeShop-v1",
        "Allocation-v1",
        "Seasons-v1",
        "Merchant-v1",
    ]


# Checkers
# -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@tasks
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasium_checker(task, render_mode):
    env = gym.make(task.id, days=short(task), render_mode=render_mode).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gymnasium_check(env, skip_render_check=render_mode is None)


@pytest.mark.slow
@tasks
@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_stable_baselines_checker(task, render_mode):
    from stable_baselines3.common.env_checker import check_env

    env = gym.make(task.id, days=short(task), render_mode=render_mode).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, warn=True, skip_render_check=render_mode is None)


@tasks
def test_passive_checker_is_in_place_and_silent(task):
    env = gym.make(task.id, days=short(task))
    assert isinstance(env, OrderEnforcing)
    assert isinstance(env.env, PassiveEnvChecker)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roll(env, 24, seed=0)


@pytest.mark.slow
@tasks
def test_frame(task):
    env = gym.make(task.id, days=short(task), render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    for action in actions(env, 3):
        env.step(action)
    frame = env.render()
    assert isinstance(first, np.ndarray)
    assert isinstance(frame, np.ndarray)
    for picture in (first, frame):
        assert picture.shape == (600, 1000, 3)
        assert picture.dtype == np.uint8
    assert not np.array_equal(first, frame)
    env.close()


def test_no_frame_without_render_mode():
    env = SuperPlanEnv(days=1)
    env.reset(seed=0)
    assert env.render() is None


def test_rendering_does_not_change_the_world():
    plain = SuperPlanEnv(days=1)
    shown = SuperPlanEnv(days=1, render_mode="rgb_array")
    assert roll(plain, 5, seed=1, actions_=actions(plain, 5)) == roll(
        shown, 5, seed=1, actions_=actions(plain, 5)
    )


# Copies
# -------------------------------------------------------------------------------------------------

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "cloudpickle": lambda env: cloudpickle.loads(cloudpickle.dumps(env)),
}


@tasks
@pytest.mark.parametrize("kind", COPIES)
def test_copy_continues_alike_and_apart(task, kind):
    env = gym.make(task.id, days=short(task)).unwrapped
    moves = actions(env, 12)
    env.reset(seed=3)
    for action in moves[:4]:
        env.step(action)
    copied = COPIES[kind](env)
    one = [env.step(action) for action in moves[4:]]
    other = [copied.step(action) for action in moves[4:]]
    for (a, ra, *_), (b, rb, *_) in zip(one, other, strict=True):
        assert a.tobytes() == b.tobytes()
        assert ra == rb


def test_spec_makes_the_same_env():
    env = gym.make("chengfang/Bidding-v1", reward="profit")
    assert env.spec is not None
    again = gym.make(env.spec)
    assert unwrapped(again).market.reward == "profit"
    assert roll(env, 5, seed=0, actions_=actions(env, 5)) == roll(
        again, 5, seed=0, actions_=actions(env, 5)
    )


# Determinism, horizon
# --------------------------------------------------------------------------------------------


@tasks
def test_two_rollouts_are_identical(task):
    one = gym.make(task.id, days=short(task))
    two = gym.make(task.id, days=short(task))
    moves = actions(one, 24)
    assert roll(one, 24, seed=7, actions_=moves) == roll(two, 24, seed=7, actions_=moves)
    # and the next episode of the same stream as well
    assert roll(one, 24, actions_=moves) == roll(two, 24, actions_=moves)


@tasks
def test_other_seed_other_world(task):
    env = gym.make(task.id, days=short(task))
    moves = actions(env, 3)
    assert roll(env, 3, seed=1, actions_=moves) != roll(env, 3, seed=2, actions_=moves)


def test_seed_starts_the_stream_anew():
    env = SuperPlanEnv(days=1)
    moves = actions(env, 24)
    first = roll(env, 24, seed=5, actions_=moves)
    assert roll(env, 24, actions_=moves) != first
    assert roll(env, 24, seed=5, actions_=moves) == first


@tasks
def test_horizon_terminates_and_never_truncates(task):
    env = gym.make(task.id)
    observation, _ = env.reset(seed=0)
    inner = unwrapped(env)
    careful = np.zeros(len(inner.levers), np.float32)
    ticks = task.days * inner.scenario.clock.ticks_per_day
    for t in range(ticks):
        observation, _, terminated, truncated, info = env.step(careful)
        assert terminated == (t == ticks - 1)
        assert truncated is False
        assert ("plan" in info) == terminated
    assert observation[0] == 0.0


def test_observations_handed_out_are_not_overwritten():
    env = SuperPlanEnv(days=1)
    first, _ = env.reset(seed=0)
    kept = first.copy()
    second, *_ = env.step(actions(env, 1)[0])
    assert np.array_equal(first, kept)
    copy_ = second.copy()
    env.step(actions(env, 1)[0])
    assert np.array_equal(second, copy_)


def test_train_and_test_merchants_differ():
    merchants = {}
    for split in ("train", "test"):
        env = PromotionVectorEnv(64, days=1, levers="bidding", split=split)
        env.reset(seed=0)
        merchants[split] = {m.tobytes() for m in env.market.merchants}
    assert not merchants["train"] & merchants["test"]


# Bad input
# -------------------------------------------------------------------------------------------------


@tasks
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_action_that_is_not_finite_names_its_lever(task, bad):
    env = unwrapped(gym.make(task.id, days=short(task), disable_env_checker=True))
    env.reset(seed=0)
    before = env.market.states.tobytes()
    for column, lever in enumerate(env.levers):
        action = np.zeros(len(env.levers), np.float32)
        action[column] = bad
        with pytest.raises(ValueError, match=rf"lever {lever}, is") as caught:
            env.step(action)
        assert "allowed are finite numbers" in str(caught.value)
    assert env.market.states.tobytes() == before


def test_huge_but_finite_action_is_clipped():
    env = SuperPlanEnv(days=1, levers="bidding")
    one = roll(env, 1, seed=0, actions_=[np.full(4, 3e38, np.float32)])
    assert one == roll(env, 1, seed=0, actions_=[np.ones(4, np.float32)])


@tasks
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (99,)])
def test_action_of_another_shape_names_the_levers(task, shape):
    env = unwrapped(gym.make(task.id, days=short(task), disable_env_checker=True))
    env.reset(seed=0)
    with pytest.raises(ValueError) as caught:
        env.step(np.zeros(shape, np.float32))
    assert "shape" in str(caught.value)
    assert ", ".join(env.levers) in str(caught.value)


@pytest.mark.parametrize("kind", [SuperPlanEnv, PromotionVectorEnv])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"reward": "gmv"},
            "reward is 'gmv'; allowed are settled_gmv, incremental, profit, score, platform",
        ),
        ({"split": "dev"}, "split is 'dev'; allowed are train, validation, test"),
        ({"days": 0}, "days is 0; it must be a whole number of at least 1"),
        ({"days": 1.5}, "days is 1.5; it must be a whole number of at least 1"),
        ({"levers": "everything"}, "levers is 'everything'; allowed are the sets bidding"),
        ({"levers": ["bid", "bida"]}, "levers has 'bida'; allowed are bid, bid_feed"),
        ({"render_mode": "human"}, "render_mode is 'human'"),
        ({"scenario": "defalt"}, "did you mean 'default'"),
        ({"scenario": {"auction": {"price_rul": 1}}}, "did you mean auction.price_rule"),
    ],
)
def test_bad_arguments_raise_sentences(kind, arguments, told):
    with pytest.raises(ValueError) as caught:
        kind(**arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"num_envs": 0}, "num_envs is 0; it must be a whole number of at least 1"),
        ({"num_envs": -3}, "num_envs is -3"),
        ({"threads": 0}, "threads is 0"),
        (
            {"autoreset_mode": "never"},
            "autoreset_mode is 'never'; allowed are NEXT_STEP, SAME_STEP, DISABLED",
        ),
    ],
)
def test_bad_arguments_of_the_batch_raise_sentences(arguments, told):
    with pytest.raises(ValueError) as caught:
        PromotionVectorEnv(**{"num_envs": 2, "days": 1} | arguments)
    assert told in str(caught.value)


@pytest.mark.parametrize("days", ["one", float("nan"), float("inf"), [1]])
def test_days_that_are_no_number_raise_a_sentence(days):
    with pytest.raises(ValueError, match=r"days is .*; it must be a whole number of at least 1"):
        SuperPlanEnv(days=days)


def test_step_before_reset_is_refused():
    env = gym.make("chengfang/Bidding-v1")
    with pytest.raises(gym.error.ResetNeeded):
        env.step(env.action_space.sample())


def test_state_of_another_market_is_refused():
    small = PromotionVectorEnv(2, days=1)
    large = PromotionVectorEnv(3, days=1)
    small.reset(seed=0)
    with pytest.raises(ValueError, match="this state holds 2 markets"):
        large.set_state(small.get_state())
    compared = PromotionVectorEnv(2, days=1, reward="incremental")
    with pytest.raises(ValueError, match="counterfactuals"):
        compared.set_state(small.get_state())


# What the docs call by name
# --------------------------------------------------------------------------------------


def test_cost_limits():
    assert SuperPlanEnv(days=1).cost_limits == {"roi": 0.0, "budget": 1.0, "subsidy": 1.0}
    env = SuperPlanEnv({"constraints": {"ad_load": 0.4, "refund_rate": 0.3}}, days=1)
    assert env.cost_limits == {
        "roi": 0.0,
        "budget": 1.0,
        "subsidy": 1.0,
        "ad_load": 0.0,
        "refund_rate": 0.0,
    }
    env.reset(seed=0)
    *_, info = env.step(np.zeros(len(env.levers), np.float32))
    assert set(info["costs"]) == set(env.cost_limits)
    assert info["cost"] == info["costs"]["roi"]


@tasks
def test_state_can_be_copied_and_resumed(task):
    env = unwrapped(gym.make(task.id, days=short(task)))
    moves = actions(env, 20)
    env.reset(seed=0)
    for action in moves[:8]:
        env.step(action)
    state = env.get_state()
    first = [env.step(action)[:2] for action in moves[8:]]
    env.set_state(state)
    second = [env.step(action)[:2] for action in moves[8:]]
    other = unwrapped(gym.make(task.id, days=short(task)))
    other.reset(seed=99)
    other.set_state(pickle.loads(pickle.dumps(state)))
    third = [other.step(action)[:2] for action in moves[8:]]
    for (a, ra), (b, rb), (c, rc) in zip(first, second, third, strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes()
        assert ra == rb == rc
