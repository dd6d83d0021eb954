"""One training as a job, whatever the settings are of."""

import json

import numpy as np
import pytest
from chengfang.agents.learners import APGSettings, load_policy
from chengfang.envs import task_setting
from chengfang.experiments.report.learning_curves import make_curve
from chengfang.experiments.runs.tracking import read_metrics
from chengfang.experiments.runs.training_job import Job, cpu_seconds, train_job

UPDATE = 8 * 24  # ticks
SHOWN = ("score", "violation", "budget_use")  # by the learning curves


@pytest.mark.slow
def test_apg_is_trained_and_says_how_far_it_is(tmp_path):
    settings = APGSettings(width=8, num_envs=8, steps=2 * UPDATE)
    setting = task_setting("Bidding", split="train")
    job = Job("APG-seed0", settings, setting, 0, tmp_path, "off", {"task": "Bidding"})
    notes = []
    train_job(job, notes.append)
    assert [note.steps for note in notes] == [UPDATE, 2 * UPDATE]
    assert notes[-1].figures["score"] > 0
    policy = load_policy(tmp_path)
    assert policy.description["task"] == "Bidding"
    assert policy.description["algorithm"] == "APG"
    assert (cpu_seconds(tmp_path) or 0) > 0
    assert json.loads((tmp_path / "policy.json").read_text())["cells"] == ["gru"]
    curve = make_curve("APG", read_metrics(tmp_path))
    assert curve.steps.tolist() == [UPDATE, 2 * UPDATE]
    assert 0 < curve.cpu_seconds[0] < curve.cpu_seconds[1]
    assert all(np.isfinite(curve.figures[name]).all() for name in SHOWN)
