"""Training: the same seed gives the same policy, and an interruption loses nothing that was
learned.
"""

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from chengfang.agents.learners import PPOSettings, SACSettings, load_policy
from chengfang.agents.learners.settings import TrainingEnv
from chengfang.agents.learners.training import actor, make_training_env, progress, train
from chengfang.agents.learners.training.input_scaling import scale_inputs
from chengfang.agents.learners.training.networks import FINAL_RATE, build_model, public_entries
from chengfang.agents.learners.training.run import TrainingRun
from chengfang.envs import Setting, load_scenario, select_levers
from stable_baselines3.common.policies import ActorCriticPolicy

LEVERS = select_levers("bidding")
UPDATE = 8 * 12  # environment steps between two updates of the tiny PPO
PPO = PPOSettings(num_envs=8, steps=6 * UPDATE, n_steps=12, batch_size=48, n_epochs=2, hidden=[16])
SAC = SACSettings(
    num_envs=8,
    steps=8 * 40,
    batch_size=16,
    gradient_steps=1,
    learning_starts=64,
    buffer_size=2_000,
    hidden=[16],
)
both = pytest.mark.parametrize("settings", [PPO, SAC], ids=["PPO", "SAC"])


def learn(settings, folder, seed=0, on_progress=None, **keywords):
    setting = Setting(load_scenario(), LEVERS, 1)
    return train(settings, setting, seed, folder, on_progress, **keywords)


def weights(folder):
    return (folder / "policy.safetensors").read_bytes()


def steps(folder):
    return json.loads((folder / "policy.json").read_text())["steps"]


@pytest.mark.slow
@both
def test_same_seed_same_policy(settings, tmp_path):
    for name in ("one", "two"):
        learn(settings, tmp_path / name, seed=3)
    learn(settings, tmp_path / "three", seed=4)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert weights(tmp_path / "one") != weights(tmp_path / "three")


@both
def test_learning_changes_the_policy(settings, tmp_path):
    short = settings.model_copy(update={"steps": settings.steps // 3})
    learn(short, tmp_path / "short")
    learn(settings, tmp_path / "long")
    assert weights(tmp_path / "short") != weights(tmp_path / "long")


def test_simulator_threads_do_not_matter(tmp_path):
    settings = PPO.model_copy(update={"num_envs": 64, "steps": 64 * 24})
    for threads in (1, 2):
        learn(settings, tmp_path / str(threads), threads=threads)
    assert weights(tmp_path / "1") == weights(tmp_path / "2")


@both
def test_folder_holds_policy_and_checkpoint_only(settings, tmp_path):
    policy = learn(settings, tmp_path / "run", origin={"task": "Bidding"})
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "checkpoint.pt",
        "policy.json",
        "policy.safetensors",
    ]
    seen = np.random.default_rng(0).normal(size=(5, 101)).astype(np.float32)
    assert (
        load_policy(tmp_path / "run").predict(seen)[0].tobytes()
        == policy.predict(seen)[0].tobytes()
    )


@both
def test_finished_run_is_not_trained_again(settings, tmp_path, monkeypatch):
    learn(settings, tmp_path)
    before = weights(tmp_path)

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("stable_baselines3.PPO.learn", never)
    monkeypatch.setattr("stable_baselines3.SAC.learn", never)
    learn(settings, tmp_path)
    assert weights(tmp_path) == before


class StopAfter:
    """Presses Ctrl-C after some steps; progress comes at every step of the batch."""

    def __init__(self, at, monkeypatch):
        self.at = at
        self.seen = []
        monkeypatch.setattr(progress, "SECONDS", 0.0)

    def __call__(self, progress):
        self.seen.append(progress)
        if progress.steps >= self.at:
            raise KeyboardInterrupt


@both
def test_interruption_leaves_checkpoint_and_policy(settings, tmp_path, monkeypatch):
    stop = StopAfter(settings.steps // 2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learn(settings, tmp_path, on_progress=stop)
    assert {p.name for p in tmp_path.iterdir()} == {
        "checkpoint.pt",
        "policy.json",
        "policy.safetensors",
    }
    assert settings.steps // 2 <= steps(tmp_path) < settings.steps
    load_policy(tmp_path)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["steps"] == steps(tmp_path)


@both
def test_resume_continues_where_it_stopped(settings, tmp_path, monkeypatch):
    stop = StopAfter(settings.steps // 2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learn(settings, tmp_path, on_progress=stop)
    half = steps(tmp_path)
    policy = weights(tmp_path)
    seen = []
    learn(settings, tmp_path, on_progress=seen.append)
    assert seen[0].steps > half
    assert seen[-1].steps == steps(tmp_path) >= settings.steps
    assert seen[-1].steps < settings.steps + UPDATE
    assert all(p.total == settings.steps for p in seen)
    assert weights(tmp_path) != policy


def test_learning_rate_goes_on_from_where_it_stopped(tmp_path, monkeypatch):
    """Linear from the rate to a tenth of it, over all of training and not anew after an
    interruption.
    """
    rates = []
    original = torch.optim.Adam.step

    def noted(self, *arguments, **keywords):
        rates.append(self.param_groups[0]["lr"])
        return original(self, *arguments, **keywords)

    monkeypatch.setattr(torch.optim.Adam, "step", noted)
    learn(PPO, tmp_path / "whole")
    whole = list(dict.fromkeys(rates))
    rates[:] = []
    stop = StopAfter(3 * UPDATE + 8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learn(PPO, tmp_path / "cut", on_progress=stop)
    learn(PPO, tmp_path / "cut")
    cut = list(dict.fromkeys(rates))
    assert whole == sorted(whole, reverse=True)
    assert cut == sorted(cut, reverse=True)
    assert whole[0] <= PPO.learning_rate
    assert whole[-1] >= FINAL_RATE * PPO.learning_rate
    assert cut[-1] == pytest.approx(whole[-1], rel=0.35)


def test_checkpoint_of_other_settings_is_not_taken(tmp_path):
    learn(PPO, tmp_path)
    other = PPO.model_copy(update={"learning_rate": 0.002})
    seen = []
    learn(other, tmp_path, on_progress=seen.append)
    assert seen[0].steps <= other.steps
    learn(other, tmp_path / "fresh")
    assert weights(tmp_path) == weights(tmp_path / "fresh")


def test_checkpoint_of_another_task_is_not_taken(tmp_path):
    """The folder's run was of other levers: begin anew or say so in a sentence, never fail deep in
    torch.
    """
    learn(PPO, tmp_path)
    with contextlib.suppress(ValueError):
        train(PPO, Setting(load_scenario(), select_levers("allocation"), 1), 0, tmp_path)
    assert load_policy(tmp_path).levers in (LEVERS, select_levers("allocation"))


def test_checkpoint_of_another_seed_is_not_taken(tmp_path):
    """A finished run of seed 0 is no policy of seed 1."""
    learn(PPO, tmp_path / "run", seed=0)
    learn(PPO, tmp_path / "run", seed=1)
    learn(PPO, tmp_path / "fresh", seed=1)
    assert weights(tmp_path / "run") == weights(tmp_path / "fresh")


def test_malicious_checkpoint_is_not_executed(tmp_path):
    proof = tmp_path / "executed"

    class Malice:
        def __reduce__(self):
            return (open, (str(proof), "w"))

    (tmp_path / "run").mkdir()
    torch.save(
        {"settings": PPO.model_dump_json(), "policy": Malice()}, tmp_path / "run" / "checkpoint.pt"
    )
    with pytest.raises(Exception, match=r"(?i)weights|checkpoint"):
        learn(PPO, tmp_path / "run")
    assert not proof.exists()


@both
def test_progress_is_of_finished_episodes(settings, tmp_path, monkeypatch):
    seen = []
    StopAfter(10**9, monkeypatch)
    learn(settings, tmp_path, on_progress=seen.append)
    assert [p.steps for p in seen] == sorted(p.steps for p in seen)
    assert sum(p.figures["episodes"] for p in seen) == settings.steps // 24 // 8 * 8
    first = next(p for p in seen if p.figures["episodes"])
    assert {
        "return",
        "cost",
        "score",
        "settled_gmv",
        "roi_over_target",
        "violation",
        "budget_use",
        "profit",
    } <= set(first.figures)
    assert all(np.isfinite(value) for value in first.figures.values())


WRAPPED = PPOSettings(
    num_envs=8,
    steps=8 * 24 * 4,
    n_steps=4,
    batch_size=16,
    n_epochs=2,
    hidden=[16],
    input_spread=0.3,
    training_env=TrainingEnv(rule="PID", hold=6, counterfactual="rule"),
)


def test_inputs_are_brought_to_one_spread():
    """Measured on other merchants than the check's, so the spreads agree only roughly."""
    model, env = wrapped()
    seen = [np.asarray(env.reset())]
    for _ in range(3):
        view = env.step(np.zeros((env.num_envs, len(LEVERS)), np.float32))[0]
        seen.append(np.asarray(view))
    mean, factor = scales(model)
    entries = (np.concatenate(seen) - mean.numpy()) * factor.numpy()
    moving = np.concatenate(seen).std(0) > 0.05
    assert np.abs(entries.mean(0)[moving]).max() < 0.06
    assert entries.std(0)[moving] == pytest.approx(0.3, rel=0.25)
    assert np.abs(entries).max() < 0.3 * 60


def wrapped(settings=WRAPPED, count=256):
    setting = Setting(load_scenario(), LEVERS, 1)
    env = make_training_env(settings.model_copy(update={"num_envs": count}), setting, 5)
    model = build_model(settings, env, 0)
    scale_inputs(model, TrainingRun(settings, setting, 0, Path()))
    return model, env


def scales(model):
    """Mean and factor of the extractor that scales its inputs."""
    extractor = model.policy.get_submodule("mlp_extractor")
    return extractor.get_buffer("mean"), extractor.get_buffer("factor")


def test_saved_actor_takes_inputs_as_they_are():
    """The artefact needs no scales: they are in its first layer."""
    model, env = wrapped()
    with torch.no_grad():
        model.policy.get_parameter("action_net.weight").mul_(10_000)
    seen = env.reset()
    assert isinstance(seen, np.ndarray)
    saved = actor(model, {"levers": list(LEVERS)})
    with torch.no_grad():
        policy = model.policy
        assert isinstance(policy, ActorCriticPolicy)
        law = policy.get_distribution(torch.as_tensor(seen)).distribution
        assert isinstance(law, torch.distributions.Normal)
        expected = law.mean.numpy()
    assert saved.output(seen[:, : public_entries(env)]) == pytest.approx(
        np.clip(expected, -1, 1), abs=1e-4
    )
    assert np.abs(expected).max() > 0.05


@pytest.mark.slow
def test_scaled_training_goes_on_after_an_interruption(tmp_path, monkeypatch):
    """Scales are measured again on the same episodes: the actor goes on seeing what it saw."""
    (mean, factor), (same_mean, same_factor) = (scales(wrapped()[0]) for _ in range(2))
    assert torch.equal(mean, same_mean)
    assert torch.equal(factor, same_factor)
    stop = StopAfter(WRAPPED.steps // 2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        learn(WRAPPED, tmp_path, on_progress=stop)
    assert not [
        name
        for name in torch.load(tmp_path / "checkpoint.pt", weights_only=True)["policy"]
        if "factor" in name
    ]
    learn(WRAPPED, tmp_path)
    assert steps(tmp_path) >= WRAPPED.steps


def test_hidden_layers_are_those_asked_for(tmp_path):
    policy = learn(PPO.model_copy(update={"hidden": [12, 10, 8], "steps": UPDATE}), tmp_path)
    assert [w.shape for w, _ in policy.layers] == [(12, 101), (10, 12), (8, 10), (4, 8)]


def test_no_hidden_layer_is_a_linear_policy(tmp_path):
    policy = learn(PPO.model_copy(update={"hidden": [], "steps": UPDATE}), tmp_path)
    assert [w.shape for w, _ in policy.layers] == [(4, 101)]
