"""Models of stable-baselines3 as saved policies: they act as the model does, or are refused."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from chengfang.agents import Policy, make_rule, plan_spec
from chengfang.agents.learners import (
    ArtefactError,
    import_sb3,
    load_best,
    load_policy,
    save_policy,
)
from chengfang.agents.wrappers import (
    HoldAction,
    PrivilegedObservation,
    ResidualAction,
    SafetyMargin,
)
from chengfang.envs import FEATURE_NAMES, PromotionVecEnv, select_levers, task_setting
from gymnasium.wrappers import (
    FlattenObservation,
    NormalizeObservation,
    RescaleAction,
    TransformObservation,
)
from sb3_contrib import TQC, TRPO, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize
from torch import nn

LEVERS = select_levers("bidding")
ENVS = 8
ON_POLICY = {PPO, A2C, TRPO, RecurrentPPO}
# Enough to move the weights, little enough for a test.
QUICK: dict[type, dict[str, Any]] = {
    PPO: {"n_steps": 12, "batch_size": 12, "n_epochs": 2},
    TRPO: {"n_steps": 12, "batch_size": 12},
    A2C: {"n_steps": 8},
    RecurrentPPO: {"n_steps": 12, "batch_size": 12, "n_epochs": 2},
}
OFF_POLICY: dict[str, Any] = {
    "learning_rate": 1e-4,
    "learning_starts": 16,
    "buffer_size": 500,
    "batch_size": 16,
}


def market(**more):
    return PromotionVecEnv(ENVS, days=1, levers=LEVERS, seed=0, **more)


def stepped(env, action):
    """Observations and dones after one step; ours are arrays, never dictionaries."""
    seen, _, done, _ = env.step(action)
    assert isinstance(seen, np.ndarray)
    return seen, done


def trained(kind, env=None, policy=None, steps=ENVS * 24, **more):
    """A model after a few updates, so that no weight is what its initialisation made it."""
    name = policy or ("MlpLstmPolicy" if kind is RecurrentPPO else "MlpPolicy")
    options: dict[str, Any] = {"learning_rate": 0.01, "seed": 0, "device": "cpu"}
    options |= QUICK.get(kind, OFF_POLICY)
    model = kind(name, env or market(), **(options | more))
    return model.learn(steps)


@pytest.fixture(scope="module")
def observations():
    env = PromotionVecEnv(64, days=1, levers=LEVERS, seed=1)
    rng = np.random.default_rng(0)
    seen = [env.reset()]
    for _ in range(6):
        seen.append(stepped(env, rng.uniform(-1, 1, (64, 4)).astype(np.float32))[0])
    return np.concatenate(seen)


def check(model, folder, observations, task="Bidding"):
    """The folder's policy acts as the model does, and moves with what it sees."""
    saved = save_policy(model, folder, task)
    loaded = load_policy(folder)
    assert isinstance(loaded, Policy)
    wanted, _ = model.predict(observations, deterministic=True)
    given, _ = loaded.predict(observations)
    np.testing.assert_allclose(given, wanted, atol=1e-5)
    np.testing.assert_array_equal(saved.predict(observations)[0], given)
    assert np.ptp(given, 0).max() > 1e-3
    return loaded


# Feed-forward
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PPO, A2C, SAC, TD3, DDPG, TQC, TRPO])
def test_every_algorithm(kind, observations, tmp_path):
    policy = check(trained(kind), tmp_path, observations)
    said = policy.description
    assert said["algorithm"] == kind.__name__
    assert (said["task"], policy.levers, said["steps"]) == ("Bidding", LEVERS, ENVS * 24)


@pytest.mark.parametrize(
    "activation",
    [
        nn.Tanh,
        nn.ReLU,
        nn.ELU,
        nn.LeakyReLU,
        nn.SELU,
        nn.SiLU,
        nn.GELU,
        nn.Mish,
        nn.Softplus,
        nn.Sigmoid,
    ],
)
def test_every_activation(activation, observations, tmp_path):
    options = {"activation_fn": activation, "net_arch": {"pi": [24, 12], "vf": [8]}}
    check(trained(PPO, policy_kwargs=options), tmp_path, observations)


@pytest.mark.parametrize("hidden", [[], [5], [16, 8, 4]])
@pytest.mark.parametrize("kind", [PPO, SAC, TD3])
def test_any_depth(kind, hidden, observations, tmp_path):
    check(trained(kind, policy_kwargs={"net_arch": hidden}), tmp_path, observations)


def test_apart_features_extractors(observations, tmp_path):
    options = {"share_features_extractor": False}
    check(trained(PPO, policy_kwargs=options), tmp_path, observations)


@pytest.mark.parametrize(
    ("kind", "options"), [(PPO, {}), (PPO, {"squash_output": True}), (SAC, {})]
)
def test_state_dependent_exploration(kind, options, observations, tmp_path):
    check(trained(kind, use_sde=True, policy_kwargs=options), tmp_path, observations)


def test_clipped_mean_is_clipped(observations, tmp_path):
    model = trained(SAC, use_sde=True)
    with torch.no_grad():
        model.actor.get_submodule("mu.0").get_parameter("weight").mul_(50)
    policy = check(model, tmp_path, observations)
    assert policy.description["mean_limit"] == 2.0
    assert np.abs(policy.predict(observations)[0]).max() == pytest.approx(np.tanh(2), abs=1e-6)


def test_actions_are_clipped_to_the_box(observations, tmp_path):
    model = trained(PPO)
    with torch.no_grad():
        model.policy.get_parameter("action_net.weight").mul_(10)
    assert (np.abs(check(model, tmp_path, observations).predict(observations)[0]) == 1).any()


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_rescaled_actions(kind, observations, tmp_path):
    """RescaleAction is linear, so the levers are the model's actions brought back to [-1, 1]."""
    low = np.array([0, -2, -1, 3], np.float32)
    high = np.array([1, 2, 5, 4], np.float32)

    def make():
        return RescaleAction(gym.make("chengfang/Bidding-v1"), low, high)

    model = trained(kind, env=DummyVecEnv([make] * 2), steps=48)
    saved = save_policy(model, tmp_path, "Bidding")
    wanted, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(
        saved.predict(observations)[0], 2 * (wanted - low) / (high - low) - 1, atol=1e-5
    )


def test_plain_wrappers_do_no_harm(observations, tmp_path):
    def make():
        return FlattenObservation(gym.make("chengfang/Bidding-v1"))

    check(trained(PPO, env=DummyVecEnv([make] * 2), steps=24), tmp_path, observations)
    rewards_only = VecNormalize(market(), norm_obs=False)
    check(trained(PPO, env=rewards_only), tmp_path, observations)


class Recorded(PromotionVecEnv):
    """Markets that keep what was seen and done at every tick."""

    def __init__(self):
        super().__init__(ENVS, days=1, levers=LEVERS, seed=0)
        self.seen = []
        self.done = []

    def step_wait(self):
        self.seen.append(self.market.observations.copy())
        self.done.append(self._actions)
        return super().step_wait()


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", [PPO, SAC, RecurrentPPO])
@pytest.mark.parametrize("kind", ["hold", "residual", "margin residual hold"])
def test_wrappers_are_taken_along(algorithm, kind, tmp_path):
    """On what the market shows, a saved policy does what the model and its wrappers do together."""

    def wrapped():
        env = base = Recorded()
        if "margin" in kind:
            env = SafetyMargin(env, 0.02, 0.02, seed=0)
        if "residual" in kind:
            rule = make_rule("OnlineLP", plan_spec(task_setting("Bidding")))
            env = ResidualAction(env, rule, 0.5)
        if "hold" in kind:
            env = HoldAction(env, 3)
        return base, env

    model = trained(algorithm, env=wrapped()[1], steps=ENVS * 16)
    save_policy(model, tmp_path, "Bidding")
    policy = load_policy(tmp_path)
    assert (policy.hold, policy.safety_margin) == (
        3 if "hold" in kind else 1,
        pytest.approx(0.02) if "margin" in kind else None,
    )
    base, env = wrapped()
    view = env.reset()
    start = np.ones(ENVS, bool)
    state = None
    while len(base.seen) < 40:
        action, state = model.predict(view, state, start, deterministic=True)
        view, start = stepped(env, action)
    state = None
    for tick, (seen, wanted) in enumerate(zip(base.seen, base.done, strict=True)):
        given, state = policy.predict(seen, state, np.full(ENVS, tick % 24 == 0))
        np.testing.assert_allclose(given, wanted, atol=1e-5)


def test_wrappers_in_another_order(tmp_path):
    rule = make_rule("PID", plan_spec(task_setting("Bidding")))
    model = fresh(ResidualAction(HoldAction(market(), 2), rule))
    assert "from the market up" in refused(model, tmp_path)
    assert "latent truth" in refused(fresh(PrivilegedObservation(market())), tmp_path)
    other = load_best("Bidding")
    assert "SavedPolicy" in refused(fresh(ResidualAction(market(), other)), tmp_path)


# Recurrent
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"lstm_hidden_size": 12},
        {"lstm_hidden_size": 7, "n_lstm_layers": 2, "net_arch": [9]},
        {"lstm_hidden_size": 8, "shared_lstm": True, "enable_critic_lstm": False},
        {"lstm_hidden_size": 8, "net_arch": [], "activation_fn": nn.ReLU},
    ],
)
def test_recurrent_policies_over_episodes_that_end(options, tmp_path):
    """Numpy and torch agree at every tick, with episodes ending at other ticks in each env."""
    model = trained(RecurrentPPO, policy_kwargs=options)
    save_policy(model, tmp_path, "Bidding")
    policy = load_policy(tmp_path)
    env = market(stagger=True)
    seen = env.reset()
    start = np.ones(ENVS, bool)
    states = (None, None)
    ends = 0
    for _ in range(40):
        wanted, theirs = model.predict(seen, states[1], start, deterministic=True)
        given, own = policy.predict(seen, states[0], start)
        np.testing.assert_allclose(given, wanted, atol=1e-5)
        states = (own, theirs)
        seen, start = stepped(env, wanted)
        ends += start.sum()
    assert ends >= ENVS


def test_recurrent_states_matter_and_start_anew(observations, tmp_path):
    policy = save_policy(trained(RecurrentPPO), tmp_path, "Bidding")
    n = 4
    opening, state = policy.predict(observations[:n])
    later = opening
    for _ in range(3):
        later, state = policy.predict(observations[:n], state)
    assert np.abs(later - opening).max() > 1e-5
    start = np.array([True, False, True, False])
    again, _ = policy.predict(observations[:n], state, start)
    np.testing.assert_array_equal(again[start], opening[start])
    assert np.abs(again[~start] - opening[~start]).max() > 1e-5


def test_one_env_is_a_batch_of_one(observations, tmp_path):
    policy = save_policy(trained(RecurrentPPO), tmp_path, "Bidding")
    states = (None, None)
    for row in observations[:3]:
        alone, one = policy.predict(row, states[0])
        batch, many = policy.predict(row[None], states[1])
        states = (one, many)
        assert alone.shape == (4,)
        np.testing.assert_array_equal(alone, batch[0])


# Refused
# --------------------------------------------------------------------------------------------------


def refused(model, folder, task="Bidding"):
    with pytest.raises(ArtefactError) as caught:
        save_policy(model, folder / "policy", task)
    assert not (folder / "policy").exists()
    text = str(caught.value)
    assert text.startswith(f"{type(model).__name__} cannot be a saved policy: ")
    assert "\n" not in text
    return text


def wrapped(wrapper):
    return DummyVecEnv([lambda: wrapper(gym.make("chengfang/Bidding-v1"))])


def fresh(env, kind=PPO, policy: Any = "MlpPolicy", **more):
    return kind(policy, env, device="cpu", **(QUICK.get(kind, OFF_POLICY) | more))


def test_normalised_observations(tmp_path):
    assert "VecNormalize" in refused(fresh(VecNormalize(market())), tmp_path)
    assert "rescaled" in refused(fresh(wrapped(NormalizeObservation)), tmp_path)


def test_stacked_frames(tmp_path):
    assert "(202,)" in refused(fresh(VecFrameStack(market(), 2)), tmp_path)


def test_dictionary_of_observations(tmp_path):
    def dictionary(env):
        space = gym.spaces.Dict({"plan": env.observation_space})
        return TransformObservation(env, lambda seen: {"plan": seen}, space)

    model = fresh(wrapped(dictionary), policy="MultiInputPolicy")
    assert "a Dict of plan" in refused(model, tmp_path)


class Choices(gym.ActionWrapper):
    """Three constant actions."""

    def __init__(self, env):
        super().__init__(env)
        self.action_space = gym.spaces.Discrete(3)

    def action(self, action):
        return np.full(len(LEVERS), action - 1, np.float32)


@pytest.mark.parametrize("kind", [PPO, DQN])
def test_discrete_actions(kind, tmp_path):
    more: dict[str, Any] = {} if kind is PPO else {"buffer_size": 100}
    model = kind("MlpPolicy", wrapped(Choices), device="cpu", **more)
    assert "Discrete" in refused(model, tmp_path)


def test_levers_of_another_task(tmp_path):
    assert "trained on the levers bid_feed" in refused(fresh(market()), tmp_path, "Coupon")
    model = fresh(market())
    model.env = None
    assert "(4,)" in refused(model, tmp_path, "Coupon")


def test_unknown_task(tmp_path):
    with pytest.raises(ValueError, match="allowed are Bidding"):
        save_policy(fresh(market()), tmp_path, "Bid")


class Half(BaseFeaturesExtractor):
    """Sees half of everything."""

    def __init__(self, observation_space):
        super().__init__(observation_space, len(FEATURE_NAMES))

    def forward(self, observations):
        return observations / 2


@pytest.mark.parametrize("kind", [PPO, SAC])
def test_features_extractor_of_ones_own(kind, tmp_path):
    model = fresh(market(), kind, policy_kwargs={"features_extractor_class": Half})
    assert "features extractor of its own, Half" in refused(model, tmp_path)


@pytest.mark.parametrize("kind", [PPO, SAC, TD3])
def test_layers_that_are_not_known(kind, tmp_path):
    model = fresh(market(), kind, policy_kwargs={"activation_fn": lambda: nn.ELU(alpha=2)})
    assert "ELU(alpha=2)" in refused(model, tmp_path)


def test_normalised_layers(tmp_path):
    model = fresh(market())
    model.policy.mlp_extractor.policy_net.insert(1, nn.LayerNorm(64))
    assert "LayerNorm" in refused(model, tmp_path)


def test_activations_that_differ(tmp_path):
    model = fresh(market())
    model.policy.mlp_extractor.policy_net[1] = nn.ReLU()
    assert "relu, tanh" in refused(model, tmp_path)


def test_policy_class_of_ones_own(tmp_path):
    """What its layers do not show is found by comparing actions."""

    class Timid(PPO.policy_aliases["MlpPolicy"]):
        def _predict(self, observation, deterministic=False):
            return super()._predict(observation, deterministic) / 2

    model = fresh(market(), policy=Timid)
    with torch.no_grad():
        model.policy.get_parameter("action_net.weight").mul_(100)
    assert "acts otherwise" in refused(model, tmp_path)


# From a zip
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PPO, SAC, RecurrentPPO])
def test_imported_zip(kind, observations, tmp_path):
    model = trained(kind)
    model.save(tmp_path / "model.zip")
    path = tmp_path / "model.zip"
    saved = import_sb3(path, kind.__name__, "Bidding", tmp_path / "policy", trust=True)
    wanted, _ = model.predict(observations, deterministic=True)
    np.testing.assert_allclose(saved.predict(observations)[0], wanted, atol=1e-5)
    np.testing.assert_array_equal(
        load_policy(tmp_path / "policy").predict(observations)[0], saved.predict(observations)[0]
    )


def test_zip_is_not_opened_without_trust(tmp_path, monkeypatch):
    fresh(market()).save(tmp_path / "model.zip")
    monkeypatch.setattr(PPO, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(ArtefactError, match="pickles, which can run any code"):
        import_sb3(tmp_path / "model.zip", "PPO", "Bidding", tmp_path / "policy")


@pytest.mark.parametrize(
    ("name", "algorithm", "told"),
    [
        ("model.zip", "Ppo", "algorithm is 'Ppo'; allowed are PPO"),
        ("missing.zip", "PPO", "is no file"),
        ("text.zip", "PPO", "cannot be opened as a PPO model"),
        ("model.zip", "SAC", "cannot be opened as a SAC model"),
    ],
)
def test_zip_that_is_none(name, algorithm, told, tmp_path):
    fresh(market()).save(tmp_path / "model.zip")
    (tmp_path / "text.zip").write_text("nothing")
    with pytest.raises(ArtefactError, match=told):
        import_sb3(tmp_path / name, algorithm, "Bidding", tmp_path / "policy", trust=True)
    assert not (tmp_path / "policy").exists()
