"""The market as stable-baselines3 would have it: the same trajectories, its conventions."""

import numpy as np
import pytest
from chengfang.envs import Market, PromotionVectorEnv, load_scenario
from chengfang.envs.api.sb3_vec_env import PromotionVecEnv
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

SIZE = 6
EPISODE = 24


def batch(count=SIZE, **keywords):
    return PromotionVecEnv(count, **{"days": 1, "levers": "super_plan", "seed": 3} | keywords)


def moves(env, ticks, seed=0):
    return (
        np.random.default_rng(seed)
        .uniform(-1, 1, (ticks, env.num_envs, *env.action_space.shape))
        .astype(np.float32)
    )


@pytest.mark.parametrize("reward", ["settled_gmv", "incremental"])
def test_same_trajectory_as_the_vector_env(reward):
    ours = batch(reward=reward)
    theirs = PromotionVectorEnv(SIZE, days=1, levers="super_plan", reward=reward)
    assert ours.reset().tobytes() == theirs.reset(seed=3)[0].tobytes()
    for action in moves(ours, 2 * EPISODE + 5):
        seen, reward_, done, infos = ours.step(action)
        wanted, wanted_reward, terminated, _, vector_infos = theirs.step(action)
        assert isinstance(seen, np.ndarray)
        assert seen.tobytes() == wanted.tobytes()
        assert np.array_equal(reward_, wanted_reward)
        assert np.array_equal(done, terminated)
        assert np.array_equal(ours.costs, vector_infos["cost"])
        for i in np.flatnonzero(done):
            assert (
                infos[i]["terminal_observation"].tobytes() == vector_infos["final_obs"][i].tobytes()
            )
            assert infos[i]["TimeLimit.truncated"] is False
            assert infos[i]["plan"] == {
                name: values[i] for name, values in vector_infos["final_info"]["plan"].items()
            }


def test_dtypes_and_spaces():
    env = batch()
    seen = env.reset()
    assert seen.dtype == np.float32
    assert env.observation_space.contains(seen[0])
    seen, reward, done, infos = env.step(moves(env, 1)[0])
    assert (reward.dtype, done.dtype, len(infos)) == (np.float32, np.bool_, SIZE)


def test_episode_statistics_are_sums():
    env = batch()
    env.reset()
    rewards = np.zeros(SIZE)
    costs = np.zeros(SIZE)
    finished = 0
    for action in moves(env, 2 * EPISODE):
        _, reward, done, infos = env.step(action)
        rewards += reward
        costs += env.costs
        for i in np.flatnonzero(done):
            assert infos[i]["episode"]["r"] == pytest.approx(rewards[i], rel=1e-6)
            assert infos[i]["episode"]["l"] == EPISODE
            assert infos[i]["episode"]["t"] >= 0
            assert infos[i]["cost"] == pytest.approx(costs[i], rel=1e-5, abs=1e-6)
            plan = infos[i]["plan"]
            assert infos[i]["episode"]["r"] == pytest.approx(
                plan["settled_gmv"] / (plan["budget"] * plan["roi_target"]), rel=1e-5
            )
            finished += 1
        rewards[done], costs[done] = 0, 0
    assert finished == 2 * SIZE


def test_infos_of_unfinished_envs_are_empty():
    env = batch()
    env.reset()
    for action in moves(env, EPISODE - 1):
        *_, infos = env.step(action)
        assert infos == [{}] * SIZE


def test_latest_state_is_from_before_the_restart():
    env = batch()
    env.reset()
    done, infos = np.zeros(SIZE, bool), []
    for action in moves(env, EPISODE):
        *_, done, infos = env.step(action)
    assert done.all()
    assert env.market.states["tick"].tolist() == [0] * SIZE
    assert env.latest("tick").tolist() == [EPISODE] * SIZE
    spends = [info["plan"]["spend"] for info in infos]
    assert np.allclose(env.latest("scene_spend").sum(1) / 100, spends)
    env.step(moves(env, 1)[0])
    assert env.latest("tick").tolist() == [1] * SIZE


def test_seed_is_honoured_at_the_next_reset_once():
    env = batch(seed=None)
    env.seed(5)
    first = env.reset()
    assert env.market.states["seed"].tolist() == list(range(5, 5 + SIZE))
    second = env.reset()
    assert env.market.states["episode"].tolist() == [1] * SIZE
    assert not np.array_equal(first, second)
    env.seed(5)
    assert env.reset().tobytes() == first.tobytes()


def test_seed_of_the_constructor_counts_for_the_first_reset():
    assert (
        batch(seed=5).reset().tobytes()
        == PromotionVectorEnv(SIZE, days=1).reset(seed=5)[0].tobytes()
    )


def test_results_handed_out_are_not_overwritten():
    env = batch()
    held = [(first := env.reset(), first.tobytes())]
    for action in moves(env, EPISODE + 1):
        seen, reward, done, infos = env.step(action)
        assert isinstance(seen, np.ndarray)
        held += [(a, a.tobytes()) for a in (seen, reward, done, env.costs)]
        held += [
            (i["terminal_observation"], i["terminal_observation"].tobytes()) for i in infos if i
        ]
    assert all(array.tobytes() == kept for array, kept in held)


# Stagger
# --------


def test_stagger_starts_each_env_in_its_phase():
    env = batch(8, stagger=True)
    seen = env.reset()
    wanted = np.arange(8) * EPISODE // 8
    assert env.market.states["tick"].tolist() == wanted.tolist()
    np.testing.assert_allclose(seen[:, 0], 1 - wanted / EPISODE, atol=1e-6)


def test_stagger_advances_under_careful_actions():
    env = batch(4, stagger=True)
    env.reset()
    alone = Market(load_scenario(), 4, days=1, levers="super_plan")
    alone.reset(seeds=np.arange(3, 7))
    idle = np.zeros((4, len(alone.levers)), np.float32)
    for tick in range(EPISODE):
        for i in range(4):
            if tick == i * EPISODE // 4:
                assert env.market.states[i].tobytes() == alone.states[i].tobytes()
                assert env.market.observations[i].tobytes() == alone.observations[i].tobytes()
        alone.step(idle)


def test_stagger_finishes_one_env_after_another_with_true_lengths():
    env = batch(4, stagger=True)
    env.reset()
    ends = {}
    for t, action in enumerate(moves(env, 2 * EPISODE)):
        _, _, done, infos = env.step(action)
        for i in np.flatnonzero(done):
            ends.setdefault(int(i), []).append((t, infos[i]["episode"]["l"]))
    assert ends == {
        i: [(EPISODE - 1 - i * 6, EPISODE), (2 * EPISODE - 1 - i * 6, EPISODE)] for i in range(4)
    }


def test_stagger_of_more_envs_than_ticks():
    env = batch(50, stagger=True)
    env.reset()
    assert set(env.market.states["tick"].tolist()) == set(range(EPISODE))
    assert not env.market.states["done"].any()
    *_, done, _ = env.step(moves(env, 1)[0])
    assert done.any()


# Wrappers, SB3's own calls
# --------


def test_vec_monitor_counts_the_same():
    with pytest.warns(
        UserWarning, match="already wrapped"
    ):  # the batch counts by itself, and says so
        env = VecMonitor(batch())
    env.reset()
    rewards, infos = np.zeros(SIZE), []
    for action in moves(env, EPISODE):
        _, reward, _, infos = env.step(action)
        rewards += reward
    assert len(infos) == SIZE
    for i, info in enumerate(infos):
        assert info["episode"]["r"] == pytest.approx(rewards[i], rel=1e-5)
        assert info["episode"]["l"] == EPISODE


def test_vec_normalize_wraps_it():
    env = VecNormalize(batch())
    seen, reward = env.reset(), np.full(SIZE, np.nan)
    for action in moves(env, EPISODE + 1):
        seen, reward, _, _ = env.step(action)
    assert isinstance(seen, np.ndarray)
    assert np.isfinite(seen).all()
    assert np.isfinite(reward).all()


def test_attributes_and_methods_are_the_batchs():
    env = batch()
    assert env.get_attr("levers") == [env.levers] * SIZE
    assert env.get_attr("cost_limits", [0, 2]) == [env.cost_limits] * 2
    env.set_attr("render_mode", "human")
    assert env.render_mode == "human"


def test_counts_as_monitored_and_not_as_wrapped_otherwise():
    """SB3 asks for its own Monitor to decide whether episodes are counted; for other wrappers the
    answer is no.
    """
    from gymnasium.wrappers import TimeLimit
    from stable_baselines3.common.monitor import Monitor

    assert batch().env_is_wrapped(Monitor) == [True] * SIZE
    assert batch().env_is_wrapped(TimeLimit, [0]) == [False]


def test_evaluate_policy_takes_it():
    from stable_baselines3.common.evaluation import evaluate_policy

    model = PPO("MlpPolicy", batch(), n_steps=8, batch_size=48, seed=0, device="cpu")
    returns, lengths = evaluate_policy(
        model, batch(), n_eval_episodes=SIZE, return_episode_rewards=True
    )
    assert lengths == [EPISODE] * SIZE
    assert np.isfinite(returns).all()


@pytest.mark.parametrize(
    "wrong", [np.zeros((SIZE, 3), np.float32), np.full((SIZE, 22), np.nan, np.float32)]
)
def test_bad_actions_raise(wrong):
    env = batch()
    env.reset()
    with pytest.raises(ValueError, match=r"actions have shape|is nan"):
        env.step(wrong)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(PPO, {"n_steps": 8, "batch_size": 48, "n_epochs": 1}), (A2C, {"n_steps": 8})],
)
def test_learns_a_few_steps(kind, arguments):
    model = kind("MlpPolicy", batch(stagger=True), seed=0, device="cpu", **arguments)
    model.learn(8 * SIZE * 4)
    assert model.num_timesteps >= 8 * SIZE * 4
    assert len(model.ep_info_buffer) > 0
    action, _ = model.predict(model.get_env().reset(), deterministic=True)
    assert np.isfinite(action).all()
