"""Shifts fitted by the market's derivative: they find what a bad rule lacks, and repeat."""

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.learners.settings import ShiftSettings
from chengfang.agents.learners.shifts.fit import _summed, fit_shift
from chengfang.agents.learners.shifts.policy import load_shift
from chengfang.envs import Market, task_setting
from chengfang.experiments.benchmark.ticks import training_ticks
from chengfang.experiments.runs.evaluate import evaluate

SETTING = task_setting("Bidding", split="validation")
LOW = {"multiplier": 0.3}  # a fixed bid far too low


def settings(form, **changes):
    training_env = {"rule": "FixedBid", "rule_parameters": LOW}
    data = {"form": form, "num_envs": 32, "steps": 32 * 24 * 12, "learning_rate": 0.1}
    return ShiftSettings.model_validate(data | changes | {"training_env": training_env})


@pytest.mark.slow
@pytest.mark.parametrize("form", ["constant", "schedule", "start_facts"])
def test_it_finds_what_a_bad_rule_lacks(form, tmp_path):
    notes = []
    policy = fit_shift(settings(form), SETTING, 0, tmp_path, notes.append, {"task": "Bidding"})
    assert [note.steps for note in notes] == [32 * 24 * i for i in range(1, 13)]
    assert notes[-1].score > notes[0].score
    rule = make_rule("FixedBid", plan_spec(SETTING), **LOW)
    before, after = (evaluate(p, SETTING, 256).relative_score for p in (rule, policy))
    assert (after - before).mean() > 0.1
    shift = policy.shift
    assert np.abs(shift.constant).max() > 0.05
    assert (np.abs(shift.hours).max() > 0) == (form == "schedule")
    assert (np.abs(shift.facts).max() > 0) == (form == "start_facts")
    assert np.array_equal(load_shift(tmp_path).shift.constant, shift.constant)
    assert load_shift(tmp_path).description["settings"]["form"] == form


@pytest.mark.slow
def test_compiled_it_finds_the_same(tmp_path):
    found = [
        fit_shift(settings("constant", compiled=compiled), SETTING, 0, tmp_path / str(compiled))
        for compiled in (False, True)
    ]
    one, two = (policy.shift.constant for policy in found)
    assert np.abs(one).max() > 0.05
    np.testing.assert_allclose(one, two, atol=2e-3)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_shift(tmp_path):
    made = [
        fit_shift(settings("start_facts", steps=32 * 24 * 3), SETTING, seed, tmp_path / str(i))
        for i, seed in enumerate((0, 0, 1))
    ]
    one, two, other = (np.concatenate([v.ravel() for v in p.shift]) for p in made)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.slow
def test_it_simulates_what_its_settings_say(monkeypatch, tmp_path):
    splits, ticks = set(), 0
    step = Market.step

    def counted(market, actions):
        nonlocal ticks
        splits.add(market.split)
        ticks += int((market.states["done"] == 0).sum())
        return step(market, actions)

    monkeypatch.setattr(Market, "step", counted)
    chosen = settings("constant", steps=1000)
    fit_shift(chosen, SETTING.of("test"), 0, tmp_path)
    assert ticks == training_ticks(chosen, SETTING.ticks).total
    assert splits == {"train"}


@pytest.mark.slow
def test_a_shift_that_was_led_astray_is_not_kept(tmp_path):
    """A rate that throws the levers about ends at the rule itself."""
    tuned = {"rule": "MCKPCoupon", "rule_task": "Bidding"}
    wild = {"form": "schedule", "steps": 12 * 24 * 8, "num_envs": 8, "learning_rate": 1.0}
    chosen = ShiftSettings.model_validate(wild | {"training_env": tuned})
    policy = fit_shift(chosen, SETTING, 0, tmp_path)
    assert not any(getattr(policy.shift, name).any() for name in ("constant", "days", "hours"))


def test_ticks_that_share_a_place_are_summed():
    by_tick = np.arange(6.0).reshape(6, 1)
    assert _summed(by_tick, np.arange(6) % 3, 3).ravel().tolist() == [3, 5, 7]


def test_settings_need_a_rule():
    with pytest.raises(ValueError, match="a shift needs the rule that it shifts"):
        ShiftSettings.model_validate({"training_env": {}})
