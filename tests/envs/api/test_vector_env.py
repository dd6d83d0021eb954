"""The batch equals the single env bit for bit, whatever its size, threads and way of resetting."""

import hashlib
import pickle
from typing import Any, cast

import numpy as np
import pytest
from chengfang.envs import LEVER_NAMES, PromotionVectorEnv, SuperPlanEnv
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode

SIZE = 5
N_LEVERS = len(LEVER_NAMES)
SEED = 11
LEVERS = "all"
EPISODE = 24
MODES = [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED]
NOTHING: tuple[np.ndarray, dict[str, Any]] = (np.zeros(0, bool), {})  # before the first step


def batch(count=SIZE, **keywords):
    return PromotionVectorEnv(count, **{"days": 1, "levers": LEVERS} | keywords)


def moves(count, ticks, seed=0):
    """Actions (ticks, count, levers) that do not depend on the number of envs."""
    return np.stack(
        [
            np.random.default_rng((seed, i)).uniform(-1.2, 1.2, (ticks, N_LEVERS))
            for i in range(count)
        ],
        1,
    ).astype(np.float32)


def single_episodes(i, actions, episodes=2, **keywords):
    """Rows of (observation, reward, done, roi cost, plan or None) of env i alone, and each
    episode's first observation.
    """
    env = SuperPlanEnv(**{"days": 1, "levers": LEVERS} | keywords)
    rows = []
    firsts = []
    t = 0
    for episode in range(episodes):
        observation, _ = env.reset(seed=SEED + i if episode == 0 else None)
        firsts.append(observation)
        done = False
        while not done:
            observation, reward, done, _, info = env.step(actions[t, i])
            rows.append((observation, reward, done, info["cost"], info.get("plan")))
            t += 1
    return rows, firsts


def digest(env, actions, seed=0, rows=slice(None)):
    """Hash of everything that the envs of some rows return."""
    total = hashlib.sha256(env.reset(seed=seed)[0][rows].tobytes())
    for action in actions:
        observation, reward, terminated, truncated, infos = env.step(action)
        for part in (
            observation,
            reward,
            terminated,
            truncated,
            infos["cost"],
            *infos["costs"].values(),
        ):
            total.update(np.ascontiguousarray(part[rows]).tobytes())
    return total.hexdigest()


# Equal to the single env
# -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", ["settled_gmv", "incremental"])
@pytest.mark.parametrize("levers", ["all", "bidding"])
def test_same_step_equals_single(reward, levers):
    actions = moves(SIZE, 2 * EPISODE)
    if levers == "bidding":
        actions = actions[:, :, :4].copy()
    env = batch(reward=reward, levers=levers)
    alone = [single_episodes(i, actions, reward=reward, levers=levers) for i in range(SIZE)]
    first, _ = env.reset(seed=SEED)
    assert first.tobytes() == np.array([a[1][0] for a in alone]).tobytes()
    for t, action in enumerate(actions):
        observation, reward_, terminated, truncated, infos = env.step(action)
        assert not truncated.any()
        for i, (rows, firsts) in enumerate(alone):
            wanted, wanted_reward, done, cost, plan = rows[t]
            assert reward_[i] == wanted_reward
            assert terminated[i] == done
            assert infos["cost"][i] == cost
            if not done:
                assert observation[i].tobytes() == wanted.tobytes()
                continue
            assert infos["_final_obs"][i]
            assert infos["final_obs"][i].tobytes() == wanted.tobytes()
            final = infos["final_info"]
            assert {name: values[i] for name, values in final["plan"].items()} == plan
            assert final["cost"][i] == cost
            if t + 1 < len(actions):
                assert observation[i].tobytes() == firsts[1].tobytes()
        assert ("final_obs" in infos) == terminated.any()


def test_next_step_equals_single():
    """A finished env returns its last observation; its next step ignores the action, resets it and
    pays nothing.
    """
    actions = moves(SIZE, 2 * EPISODE)
    alone = [single_episodes(i, actions) for i in range(SIZE)]
    env = batch(autoreset_mode=AutoresetMode.NEXT_STEP)
    env.reset(seed=SEED)
    terminated, infos = NOTHING
    for t in range(EPISODE):
        observation, reward, terminated, _, infos = env.step(actions[t])
        for i, (rows, _) in enumerate(alone):
            assert observation[i].tobytes() == rows[t][0].tobytes()
            assert (reward[i], terminated[i], infos["cost"][i]) == rows[t][1:4]
    assert terminated.all()
    assert infos["_plan"].all()
    assert {name: values[0] for name, values in infos["plan"].items()} == alone[0][0][EPISODE - 1][
        4
    ]
    observation, reward, terminated, truncated, infos = env.step(
        np.full((SIZE, N_LEVERS), 1.0, np.float32)
    )
    assert observation.tobytes() == np.array([firsts[1] for _, firsts in alone]).tobytes()
    assert not reward.any()
    assert not terminated.any()
    assert not truncated.any()
    assert not infos["cost"].any()
    for t in range(EPISODE, 2 * EPISODE):
        observation, reward, terminated, _, infos = env.step(actions[t])
        for i, (rows, _) in enumerate(alone):
            assert observation[i].tobytes() == rows[t][0].tobytes(), t
            assert (reward[i], terminated[i], infos["cost"][i]) == rows[t][1:4]


def test_disabled_equals_single():
    actions = moves(SIZE, 2 * EPISODE)
    alone = [single_episodes(i, actions) for i in range(SIZE)]
    env = batch(autoreset_mode=AutoresetMode.DISABLED)
    env.reset(seed=SEED)
    for t in range(2 * EPISODE):
        if t == EPISODE:
            with pytest.raises(ValueError, match="has finished; reset it with options"):
                env.step(actions[t])
            observation, _ = env.reset(options={"reset_mask": np.ones(SIZE, bool)})
            assert observation.tobytes() == np.array([firsts[1] for _, firsts in alone]).tobytes()
        observation, reward, terminated, _, infos = env.step(actions[t])
        for i, (rows, _) in enumerate(alone):
            assert observation[i].tobytes() == rows[t][0].tobytes()
            assert (reward[i], terminated[i], infos["cost"][i]) == rows[t][1:4]
        assert ("plan" in infos) == terminated.all()


# Phases: envs that finish at different ticks
# ----------------------------------------------------------------------


def out_of_phase(mode):
    """Env 0 is 7 ticks behind the others."""
    env = batch(3, autoreset_mode=mode)
    env.reset(seed=SEED)
    actions = moves(3, 4 * EPISODE)
    for t in range(7):
        env.step(actions[t])
    env.reset(seed=SEED, options={"reset_mask": np.array([True, False, False])})
    return env, actions[7:]


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_envs_out_of_phase_finish_each_in_its_time(mode):
    env, actions = out_of_phase(mode)
    length = EPISODE + (mode == AutoresetMode.NEXT_STEP)
    ends: dict[int, list[int]] = {i: [] for i in range(3)}
    for t in range(2 * length):
        *_, terminated, _, _ = env.step(actions[t])
        for i in np.flatnonzero(terminated):
            ends[int(i)].append(t)
    wanted = [EPISODE - 8, EPISODE - 8 + length]
    assert ends == {0: [EPISODE - 1, EPISODE - 1 + length], 1: wanted, 2: wanted}


def test_envs_out_of_phase_can_be_reset_one_by_one():
    env, actions = out_of_phase(AutoresetMode.DISABLED)
    terminated, infos = NOTHING
    for t in range(EPISODE - 7):
        _, _, terminated, _, infos = env.step(actions[t])
    assert terminated.tolist() == [False, True, True]
    assert infos["_plan"].tolist() == [False, True, True]
    assert infos["plan"]["gmv"][0] == 0.0
    observation, _ = env.reset(options={"reset_mask": terminated})
    assert observation[:, 0].tolist() == pytest.approx([7 / EPISODE, 1, 1])
    env.step(actions[EPISODE])


def test_masked_reset_with_a_seed_touches_nobody_else():
    env = batch(4)
    env.reset(seed=0)
    for action in moves(4, 5):
        env.step(action)
    before = env.market.states.copy()
    mask = np.array([False, True, False, True])
    observation, _ = env.reset(seed=100, options={"reset_mask": mask})
    assert np.array_equal(env.market.states[~mask], before[~mask])
    assert env.market.states["seed"][mask].tolist() == [101, 103]
    alone, _ = SuperPlanEnv(days=1, levers=LEVERS).reset(seed=103)
    assert observation[3].tobytes() == alone.tobytes()


@pytest.mark.parametrize(
    "mask", [np.ones(3, bool), np.ones(SIZE), [True] * 3, np.ones((SIZE, 1), bool)]
)
def test_mask_of_another_kind_is_refused(mask):
    with pytest.raises(ValueError, match=r"reset_mask.*expected bool of shape \(5,\)"):
        batch().reset(options={"reset_mask": mask})


# Seeds
# -------------------------------------------------------------------------------------------------


def test_listed_seeds_are_each_envs_own():
    env = batch(3)
    observation, _ = env.reset(seed=[7, 3, 5])
    for i, seed in enumerate((7, 3, 5)):
        assert (
            observation[i].tobytes()
            == SuperPlanEnv(days=1, levers=LEVERS).reset(seed=seed)[0].tobytes()
        )


def test_none_in_a_list_goes_on_with_the_envs_own_stream():
    env = batch(3)
    env.reset(seed=[7, 3, 5])
    observation, _ = env.reset(seed=[None, 9, None])
    assert env.market.states["seed"].tolist() == [7, 9, 5]
    assert env.market.states["episode"].tolist() == [1, 0, 1]
    alone = SuperPlanEnv(days=1, levers=LEVERS)
    alone.reset(seed=5)
    assert observation[2].tobytes() == alone.reset()[0].tobytes()


def test_list_of_another_length_is_refused():
    with pytest.raises(ValueError, match="seed has 2 entries; expected 5, one per env"):
        batch().reset(seed=[1, 2])


def test_without_a_seed_every_env_is_another_world():
    env = batch(4)
    observation, _ = env.reset()
    other, _ = batch(4).reset()
    assert len({row.tobytes() for row in np.concatenate([observation, other])}) == 8


def test_numpy_integer_is_a_seed():
    seed = cast(int, np.int64(SEED))  # declared as int, and numpy's integers are taken too
    assert batch().reset(seed=seed)[0].tobytes() == batch().reset(seed=SEED)[0].tobytes()


def test_large_seeds_are_taken():
    env = batch(2)
    env.reset(seed=2**64 - 1)
    assert env.market.states["seed"].tolist() == [2**64 - 1, 0]


# Independent of batch size, threads, and interruptions
# ------------------------------------------------------------


@pytest.mark.slow
def test_env_zero_does_not_depend_on_the_size_of_the_batch():
    hashes = set()
    for count in (1, 64, 4096):
        env = batch(count)
        actions = moves(1, 2 * EPISODE + 3)
        spread = np.zeros((len(actions), count, N_LEVERS), np.float32)
        spread[:, :1] = actions
        hashes.add(digest(env, spread, rows=slice(0, 1)))
    assert len(hashes) == 1


def test_all_envs_do_not_depend_on_the_size_of_the_batch():
    actions = moves(100, EPISODE + 2)
    assert digest(batch(64), actions[:, :64]) == digest(batch(100), actions, rows=slice(0, 64))


@pytest.mark.parametrize("reward", ["settled_gmv", "incremental"])
def test_threads_change_nothing(reward):
    actions = moves(128, EPISODE + 2)
    hashes = set()
    for threads in (1, 2, 3):
        env = batch(128, threads=threads, reward=reward)
        hashes.add(digest(env, actions))
        env.close()
    assert len(hashes) == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "through",
    [lambda state: state, lambda state: pickle.loads(pickle.dumps(state))],
    ids=["memory", "pickle"],
)
@pytest.mark.parametrize("at", [9, EPISODE])
def test_state_resumes_identically(mode, through, at):
    env = batch(autoreset_mode=mode, reward="incremental")
    actions = moves(SIZE, EPISODE + 12)
    env.reset(seed=SEED)
    for action in actions[:at]:
        env.step(action)
    state = through(env.get_state())

    def rest(target):
        result = []
        for action in actions[at:]:
            if mode == AutoresetMode.DISABLED and target._finished.any():
                target.reset(options={"reset_mask": target._finished.copy()})
            result.append([part.tobytes() for part in target.step(action)[:4]])
        return result

    first = rest(env)
    env.set_state(state)
    assert rest(env) == first
    fresh = batch(autoreset_mode=mode, reward="incremental")
    fresh.reset(seed=999)
    fresh.set_state(state)
    assert rest(fresh) == first


def test_state_is_a_copy():
    env = batch()
    env.reset(seed=0)
    state = env.get_state()
    kept = state.states.tobytes()
    env.step(moves(SIZE, 1)[0])
    assert state.states.tobytes() == kept


def test_results_handed_out_are_not_overwritten():
    env = batch()
    first, _ = env.reset(seed=0)
    actions = moves(SIZE, EPISODE + 1)
    held = [(first, first.tobytes())]
    for action in actions:
        observation, reward, terminated, _, infos = env.step(action)
        for array in (observation, reward, terminated, infos["cost"], *infos["costs"].values()):
            held.append((array, array.tobytes()))
        if "final_obs" in infos:
            held.append((infos["final_obs"], infos["final_obs"].tobytes()))
    assert all(array.tobytes() == kept for array, kept in held)


# Spaces, infos
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levers", ["bidding", "super_plan"])
def test_spaces(levers):
    env = batch(levers=levers)
    width = len(env.levers)
    assert env.single_action_space == Box(-1, 1, (width,), np.float32)
    assert env.action_space == Box(-1, 1, (SIZE, width), np.float32)
    assert env.single_observation_space == Box(-10, 10, (101,), np.float32)
    assert env.observation_space == Box(-10, 10, (SIZE, 101), np.float32)
    single = SuperPlanEnv(days=1, levers=levers)
    assert (env.single_action_space, env.single_observation_space) == (
        single.action_space,
        single.observation_space,
    )
    observation, infos = env.reset(seed=0)
    assert observation in env.observation_space
    assert infos == {}
    observation, reward, terminated, truncated, infos = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)
    assert {a.shape for a in (reward, terminated, truncated, infos["cost"])} == {(SIZE,)}


@pytest.mark.parametrize("mode", MODES)
def test_metadata_tells_the_autoreset_mode(mode):
    assert batch(autoreset_mode=mode).metadata["autoreset_mode"] == mode
    assert batch(autoreset_mode=mode.name).metadata["autoreset_mode"] == mode
    assert batch(autoreset_mode=mode.value).autoreset_mode == mode
    assert PromotionVectorEnv.metadata["autoreset_mode"] == AutoresetMode.SAME_STEP


def test_costs_are_arrays_that_add_up():
    env = batch(autoreset_mode=AutoresetMode.DISABLED)  # the last state stays to be read
    env.reset(seed=0)
    sums = {name: np.zeros(SIZE) for name in ("roi", "budget", "subsidy")}
    infos = {}
    for action in moves(SIZE, EPISODE):
        *_, infos = env.step(action)
        assert set(infos["costs"]) == set(env.cost_limits) == set(sums)
        assert np.array_equal(infos["cost"], infos["costs"]["roi"])
        for name, values in infos["costs"].items():
            assert values.shape == (SIZE,)
            sums[name] = sums[name] + values.astype(float)
    committed = env.market.states["coupon_committed"] / env.market.merchants["coupon_budget"]
    np.testing.assert_allclose(sums["budget"], infos["plan"]["budget_use"], rtol=1e-5)
    np.testing.assert_allclose(sums["subsidy"], committed, rtol=1e-5)
    assert (committed > 0).all()
    assert (sums["budget"] <= env.cost_limits["budget"] + 1e-6).all()
    assert (sums["subsidy"] <= env.cost_limits["subsidy"] + 1e-6).all()


def test_final_info_is_of_finished_envs_only():
    env, actions = out_of_phase(AutoresetMode.SAME_STEP)
    observation = np.empty(0)
    terminated, infos = NOTHING
    for action in actions[: EPISODE - 7]:
        observation, _, terminated, _, infos = env.step(action)
    assert (
        infos["_final_obs"].tolist()
        == infos["_final_info"].tolist()
        == infos["final_info"]["_plan"].tolist()
    )
    assert infos["_final_obs"].tolist() == terminated.tolist() == [False, True, True]
    assert infos["final_obs"].dtype == np.float32
    assert all(values[0] == 0 for values in infos["final_info"]["plan"].values())
    assert infos["final_obs"][0].tobytes() == observation[0].tobytes()


@pytest.mark.parametrize(
    "shape", [(SIZE,), (N_LEVERS,), (SIZE + 1, N_LEVERS), (SIZE, N_LEVERS - 1), (1, SIZE, N_LEVERS)]
)
def test_actions_of_another_shape_are_refused(shape):
    env = batch()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=rf"actions have shape .* expected \(5, {N_LEVERS}\)"):
        env.step(np.zeros(shape, np.float32))


def test_nan_names_market_and_lever_and_changes_nothing():
    env = batch()
    env.reset(seed=0)
    before = env.market.states.tobytes()
    action = np.zeros((SIZE, N_LEVERS), np.float32)
    action[3, 2] = np.nan
    with pytest.raises(ValueError, match="action of market 3, lever bid_live, is nan"):
        env.step(action)
    assert env.market.states.tobytes() == before


def test_record_episode_statistics_wraps_it():
    from gymnasium.wrappers.vector import RecordEpisodeStatistics

    env = RecordEpisodeStatistics(batch())
    env.reset(seed=0)
    total, infos = 0.0, {}
    for action in moves(SIZE, EPISODE):
        _, reward, _, _, infos = env.step(action)
        total = total + reward
    np.testing.assert_allclose(infos["episode"]["r"], total)


def test_close_is_harmless_twice():
    env = batch(threads=2)
    env.close()
    env.close()
