"""The local pool: the figures of one process, in any order; what dies takes only its run; Ctrl-C
stops with checkpoints.
"""

import os
import pickle
import signal
from dataclasses import replace

import numpy as np
import pytest
from chengfang.experiments.benchmark.config import validated_benchmark
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.runs import pool as parallel
from chengfang.experiments.runs.execute import finished_training
from chengfang.experiments.runs.fingerprint import identified
from chengfang.experiments.runs.pool import Outcome, attempt, run_pool, run_serial
from chengfang.experiments.runs.store import training_folder, unpack

PPO = {
    "algorithm": "PPO",
    "num_envs": 16,
    "steps": 16 * 24 * 4,
    "n_steps": 12,
    "batch_size": 96,
    "n_epochs": 2,
    "hidden": [8],
}
CONFIG = {"episodes": 8, "seeds": [0, 1]}


def specs(**settings):
    """The runs of a small benchmark, identified."""
    tasks = {
        "Bidding": {"rules": ["PID"], "learners": {"PPO": PPO | settings}},
        "Coupon": {"rules": ["PID"]},
    }
    return [identified(spec) for spec in plan_runs(validated_benchmark(CONFIG | {"tasks": tasks}))]


def result_of(outcome: Outcome):
    """What a run that went well left."""
    assert outcome.data is not None, outcome.error
    return unpack(outcome.data)


@pytest.mark.slow
def test_pool_and_one_process_agree_bit_for_bit(tmp_path):
    alone = {o.spec.name: o for o in run_serial(specs(), tmp_path / "alone")}
    beside = {o.spec.name: o for o in run_pool(specs(), tmp_path / "beside", 2)}
    assert beside.keys() == alone.keys()
    for name, outcome in alone.items():
        left = result_of(outcome)
        right = result_of(beside[name])
        assert left.figures.keys() == right.figures.keys()
        assert all((left.figures[key] == right.figures[key]).all() for key in left.figures), name
        assert left.facts["fingerprint"] == right.facts["fingerprint"]
    for spec in specs():
        if spec.kind == "learner":
            files = [
                training_folder(tmp_path / part, spec) / "policy.safetensors"
                for part in ("alone", "beside")
            ]
            assert files[0].read_bytes() == files[1].read_bytes()


def test_an_error_is_an_outcome_with_its_trace(tmp_path):
    [spec] = [c for c in specs() if c.kind == "rule" and c.task == "Bidding"]
    broken = attempt(
        replace(spec, options={"rule": "PID", "parameters": {"no_such": 1.0}}),
        tmp_path,
    )
    assert broken.data is None
    assert broken.error.startswith("ValueError: PID has no parameter no_such")
    assert "Traceback" in broken.trace


@pytest.mark.slow
def test_a_killed_worker_loses_only_its_run(tmp_path):
    """The long training's process is killed; the others finish, the pool goes on with a new
    process.
    """
    killed, found = [], []

    def kill(progress):
        if not killed:
            [child] = [
                p for p in parallel.multiprocessing.active_children() if p.name not in killed
            ]
            killed.append(child.name)
            assert child.pid is not None
            os.kill(child.pid, signal.SIGKILL)

    long = [c for c in specs(steps=50_000_000) if c.kind == "learner"][:1]
    rest = [c for c in specs() if c.kind != "learner"]
    for outcome in run_pool([*long, *rest], tmp_path, 1, kill):
        found.append(outcome)
    assert found[0].spec == long[0]
    assert found[0].error == "its process ended with exit code -9"
    assert [o.error for o in found[1:]] == [""] * len(rest)


def test_a_half_done_training_starts_again_unless_told_to_go_on(tmp_path):
    [spec] = [c for c in specs() if c.seed == 0 and c.kind == "learner"]
    folder = training_folder(tmp_path, spec)
    seen = []

    def stop(progress):
        if progress.steps:
            raise KeyboardInterrupt

    whole = result_of(attempt(spec, training_folder(tmp_path / "whole", spec)))
    with pytest.raises(KeyboardInterrupt):
        attempt(spec, folder, stop)
    assert (folder / "checkpoint.pt").is_file()
    (folder / "checkpoint.pt").write_bytes(b"not read")
    again = attempt(spec, folder, seen.append)
    assert (result_of(again).figures["score"] == whole.figures["score"]).all()
    assert finished_training(folder) == spec.training


def test_fingerprints_tell_runs_apart():
    made = [spec.fingerprint for spec in [*specs(), *specs(gamma=0.5)]]
    assert len(set(made)) == len(specs()) + 2  # the two seeds of the changed learner are new
    assert made[: len(specs())] == [spec.fingerprint for spec in specs()]


def test_outcomes_travel_as_plain_data():
    spec = specs()[0]
    assert pickle.loads(pickle.dumps(Outcome(spec, b"x"))) == Outcome(spec, b"x")
    assert (spec.seeds == np.arange(spec.test_seed, spec.test_seed + 8)).all()
