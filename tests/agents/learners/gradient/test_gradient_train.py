"""APG: it learns, repeats itself, loses nothing to an interruption, and plays the train split."""

import numpy as np
import pytest
import torch
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.learners import APGSettings, load_policy
from chengfang.agents.learners.gradient import train_apg
from chengfang.agents.learners.gradient.train import Boxed, inputs_of
from chengfang.envs import Market, task_setting
from chengfang.experiments.benchmark.ticks import training_ticks
from chengfang.experiments.runs.evaluate import evaluate
from pydantic import ValidationError

SETTING = task_setting("Bidding", split="validation")
BATCH = 16
UPDATE = BATCH * 24  # ticks
AROUND = {"rule": "PID", "margin_range": (-0.1, 0.2), "safety_margin": 0.05}


def settings(updates=3, **changes):
    data = {"width": 8, "num_envs": BATCH, "steps": updates * UPDATE}
    return APGSettings.model_validate(data | changes)


def learn(folder, chosen=None, seed=0, on_progress=None):
    return train_apg(chosen or settings(), SETTING, seed, folder, on_progress)


def weights(folder):
    return (folder / "policy.safetensors").read_bytes()


def interrupt_at(update):
    def on_progress(learned):
        if learned.steps == update * UPDATE:
            raise KeyboardInterrupt

    return on_progress


@pytest.mark.slow
def test_the_same_seed_gives_the_same_policy(tmp_path):
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        learn(tmp_path / name, seed=seed)
    assert weights(tmp_path / "one") == weights(tmp_path / "two")
    assert weights(tmp_path / "one") != weights(tmp_path / "other")


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3])
def test_an_interruption_changes_no_bit(stop, tmp_path):
    chosen = settings(4, average_last=0.5)
    learn(tmp_path / "whole", chosen)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "parts", chosen, on_progress=interrupt_at(stop))
    assert load_policy(tmp_path / "parts").description["steps"] == stop * UPDATE
    notes = []
    learn(tmp_path / "parts", chosen, on_progress=notes.append)
    assert [note.steps for note in notes] == [i * UPDATE for i in range(stop + 1, 5)]
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_an_update_that_was_cut_short_is_done_again(tmp_path, monkeypatch):
    learn(tmp_path / "whole")
    step = torch.optim.Adam.step
    calls = []

    def cut_short(self, *arguments):
        step(self, *arguments)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(torch.optim.Adam, "step", cut_short)
    with pytest.raises(KeyboardInterrupt):
        learn(tmp_path / "parts")
    assert load_policy(tmp_path / "parts").description["steps"] == UPDATE
    learn(tmp_path / "parts")
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


@pytest.mark.slow
def test_another_training_does_not_go_on_from_a_checkpoint(tmp_path):
    learn(tmp_path / "used", seed=1)
    learn(tmp_path / "used")
    learn(tmp_path / "fresh")
    assert weights(tmp_path / "used") == weights(tmp_path / "fresh")


@pytest.mark.slow
def test_it_reports_every_update(tmp_path):
    notes = []
    learn(tmp_path, on_progress=notes.append)
    assert [note.steps for note in notes] == [UPDATE, 2 * UPDATE, 3 * UPDATE]
    assert {note.total for note in notes} == {3 * UPDATE}
    assert notes[-1].steps_per_second > 0
    assert set(notes[-1].figures) >= {"score", "score_over_nothing", "violation", "budget_use"}


def test_it_simulates_what_its_settings_say(monkeypatch, tmp_path):
    splits, ticks = set(), 0
    step = Market.step

    def counted(market, actions):
        nonlocal ticks
        splits.add(market.split)
        ticks += int((market.states["done"] == 0).sum())
        return step(market, actions)

    monkeypatch.setattr(Market, "step", counted)
    chosen = settings(steps=1000)
    train_apg(chosen, SETTING.of("test"), 0, tmp_path)
    assert ticks == training_ticks(chosen, SETTING.ticks).total
    assert splits == {"train"}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["gru", "mlp"])
def test_it_learns_from_scratch(policy, tmp_path):
    chosen = settings(40, policy=policy, width=32, num_envs=32, steps=40 * 32 * 24)
    learned = learn(tmp_path, chosen)
    score = evaluate(learned, SETTING, 256).relative_score.mean()
    fixed = evaluate(make_rule("FixedBid", plan_spec(SETTING)), SETTING, 256)
    assert score > fixed.relative_score.mean()


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["gru", "mlp"])
def test_around_a_rule_it_begins_at_the_rule_and_takes_a_margin(policy, tmp_path):
    chosen = settings(2, policy=policy, training_env=AROUND, learning_rate=1e-9)
    learned = learn(tmp_path, chosen)
    assert learned.safety_margin == 0.05
    found = evaluate(learned, SETTING, 64).relative_score.mean()
    rule = evaluate(make_rule("PID", plan_spec(SETTING)), SETTING, 64).relative_score.mean()
    assert found == pytest.approx(rule, rel=0.05)
    careful = load_policy(tmp_path, safety_margin=0.2)
    assert careful.safety_margin == 0.2


def test_what_the_network_reads_is_what_the_saved_policy_reads(tmp_path):
    learned = learn(tmp_path, settings(1, training_env=AROUND))
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(5, 101)).astype(np.float32)
    proposal = rng.uniform(-1, 1, (5, len(learned.levers))).astype(np.float32)
    margins = np.full(5, 0.05, np.float32)
    given = inputs_of(seen, margins, proposal).numpy()
    np.testing.assert_array_equal(given, learned.inputs(seen, proposal))


def test_an_action_outside_is_only_drawn_back():
    x = torch.tensor([1.5, 1.5, -1.5, -1.5, 0.5], requires_grad=True)
    y = Boxed.apply(x)
    assert y.tolist() == [1, 1, -1, -1, 0.5]
    y.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [1, 0, 0, -1, 1]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"policy": "lstm"}, "policy"),
        ({"n_steps": 24}, "n_steps"),
        ({"gamma": 0.9}, "gamma"),
        ({"training_env": {"hold": 6}}, "training_env.hold is 6, which APG does not use"),
        ({"training_env": {"relative": False}}, "training_env.relative is False"),
        ({"width": 0}, "width"),
    ],
)
def test_settings_that_do_not_apply_are_refused(data, sentence):
    with pytest.raises(ValidationError, match=sentence):
        APGSettings.model_validate(data)


@pytest.mark.slow
def test_compiled_it_learns_the_same(tmp_path):
    def learned(name, updates, compiled):
        learn(tmp_path / name, settings(updates, compiled=compiled, average_last=0.0))
        policy = load_policy(tmp_path / name)
        return np.concatenate([part.ravel() for layer in policy.layers for part in layer])

    early = learned("early", 1, False)
    eager, fused = learned("eager", 6, False), learned("fused", 6, True)
    moved = np.linalg.norm(eager - early)
    assert moved > 0.01
    assert np.linalg.norm(fused - eager) < 0.02 * moved
