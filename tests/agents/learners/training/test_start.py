"""PPO that starts from APG: the actor is APG's to rounding, the critic learns first, and what is
saved stands by itself.
"""

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
from chengfang.agents.learners import PPOSettings, load_policy
from chengfang.agents.learners.gradient import train_apg
from chengfang.agents.learners.settings import all_steps, start_settings
from chengfang.agents.learners.training import actor, loop, make_training_env, progress, train
from chengfang.agents.learners.training.input_scaling import scale_inputs
from chengfang.agents.learners.training.networks import build_model
from chengfang.agents.learners.training.run import TrainingRun
from chengfang.envs import FEATURE_NAMES, Market, task_setting
from pydantic import ValidationError

SETTING = task_setting("Bidding", split="train")
UPDATE = 8 * 24  # environment steps between two updates
START = {"num_envs": 8, "steps": 2 * UPDATE}
SMALL = {
    "num_envs": 8,
    "n_steps": 8,
    "batch_size": 32,
    "n_epochs": 2,
    "steps": 4 * UPDATE,
    "hidden": [16, 16],
    "actor": "apg",
    "training_env": {"hold": 3},
}
AROUND = {"rule": "PID", "margin_range": (-0.1, 0.2), "safety_margin": 0.05, "hold": 3}


def settings(**changes):
    return PPOSettings.model_validate(SMALL | {"start": START} | changes)


def begun(chosen, folder):
    """The model before its first update, and what APG left."""
    env = make_training_env(chosen, SETTING, 0)
    model = build_model(chosen, env, 0)
    run = TrainingRun(chosen, SETTING, 0, folder)
    scale_inputs(model, run)
    loop._start(model, run, None)
    return model, run


@pytest.mark.slow
@pytest.mark.parametrize("training_env", [{"hold": 1}, AROUND], ids=["alone", "around"])
def test_before_the_first_update_it_acts_as_apg_does(training_env, tmp_path):
    chosen = settings(training_env=training_env)
    model, run = begun(chosen, tmp_path)
    learned = load_policy(tmp_path / "start")
    own = start_settings(chosen)
    assert own is not None
    alone = train_apg(own, SETTING, 0, tmp_path / "alone")
    assert all(
        np.array_equal(a, b)
        for one, two in zip(alone.layers, learned.layers, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    env: Any = model.env
    seen: np.ndarray = env.reset()
    extractor: Any = model.policy.mlp_extractor
    public = extractor.public
    wanted = learned.network(seen[:, :public].astype(np.float32), learned.opening_cells(8))[0]
    found, _ = model.predict(seen, deterministic=True)
    assert np.abs(found - wanted).max() < 1e-5
    assert np.abs(wanted).max() > 0
    exported = actor(model, run.description(0))
    market = Market.of(SETTING, 8)
    reported = market.reset(seeds=np.arange(8)).copy()
    assert reported.shape == (8, len(FEATURE_NAMES))
    ours, _ = exported.predict(reported)
    theirs, _ = learned.predict(reported)
    assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.slow
def test_what_is_saved_needs_nothing_else(tmp_path):
    policy = train(settings(), SETTING, 0, tmp_path / "run")
    seen = np.random.default_rng(0).normal(size=(5, 101)).astype(np.float32)
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("policy.json", "policy.safetensors"):
        (tmp_path / "run" / name).rename(moved / name)
    again = load_policy(moved)
    assert again.predict(seen)[0].tobytes() == policy.predict(seen)[0].tobytes()
    assert again.description["algorithm"] == "PPO"
    assert again.description["output"] == "tanh"
    start = load_policy(tmp_path / "run" / "start")
    assert not np.array_equal(start.layers[0][0], again.layers[0][0]), "PPO went on"


def stop_at(steps):
    def on_progress(note):
        if note.steps >= steps:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.slow
@pytest.mark.parametrize("stop", [UPDATE, 3 * UPDATE], ids=["in the start", "in PPO"])
def test_an_interrupted_training_goes_on(stop, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    train(settings(), SETTING, 0, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(settings(), SETTING, 0, tmp_path / "parts", stop_at(stop))
    assert load_policy(tmp_path / "parts").levers == SETTING.levers
    notes = []
    train(settings(), SETTING, 0, tmp_path / "parts", notes.append)
    assert notes[-1].total == all_steps(settings()) == 6 * UPDATE
    assert notes[-1].steps == 6 * UPDATE
    whole, parts = (load_policy(tmp_path / name / "start") for name in ("whole", "parts"))
    assert np.array_equal(whole.layers[0][0], parts.layers[0][0])
    if stop < 2 * UPDATE:  # before PPO began, nothing is lost
        both = [(tmp_path / n / "policy.safetensors").read_bytes() for n in ("whole", "parts")]
        assert both[0] == both[1]


def actor_weights(folder):
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["policy"]
    return {
        name: value
        for name, value in state.items()
        if name == "log_std" or "policy_net" in name or "action_net" in name
    }, state["value_net.weight"]


@pytest.mark.parametrize("noise", [None, -2.0])
def test_the_critic_learns_first(noise, tmp_path):
    chosen = settings(start=None, critic_first=2, log_std_end=noise, steps=3 * UPDATE)
    found = []
    for updates in (1, 2, 3):
        folder = tmp_path / str(updates)
        with contextlib.suppress(KeyboardInterrupt):
            train(chosen.model_copy(update={"steps": updates * UPDATE}), SETTING, 0, folder)
        found.append(actor_weights(folder))
    (one, value), (two, later), (three, _) = found
    for name, weights in one.items():
        if name != "log_std":
            assert torch.equal(weights, two[name])
            assert not torch.equal(weights, three[name])
    if noise is None:
        assert torch.equal(one["log_std"], two["log_std"])
        assert not torch.equal(one["log_std"], three["log_std"])
    else:
        assert torch.allclose(three["log_std"], torch.tensor(-1.0 - 2 / 3))
    assert not torch.equal(value, later)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"actor": "plain"}, "actor is 'plain'; with a start only 'apg' is allowed"),
        ({"training_env": None}, "actor is 'apg'; without a training_env only 'plain'"),
        (
            {"training_env": None, "actor": "plain", "start": None, "critic_first": 1},
            "critic_first",
        ),
        ({"input_spread": 0.3}, "input_spread is 0.3; the actor 'apg' has its own"),
        ({"ensemble": 2}, "ensemble is 2; with the actor 'apg' only 1 is allowed"),
        ({"demonstrations": 3}, "demonstrations is 3; with the actor 'apg' only 0"),
        ({"hidden": [16]}, r"hidden is \[16\]; with a start two layers of one width"),
        ({"start": {"width": 3}}, "width"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        settings(**wrong)


def test_unused_it_leaves_a_dump_as_it_was():
    plain = PPOSettings().model_dump()
    assert not {"actor", "start", "critic_first"} & set(plain)
    chosen = settings(critic_first=2)
    assert PPOSettings.model_validate(chosen.model_dump()) == chosen
