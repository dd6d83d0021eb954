"""The local pool: the figures of one process, in any order; what dies takes only its cell; Ctrl-C
stops with checkpoints.
"""

import os
import pickle
import signal

import numpy as np
import pytest
from chengfang.experiments.benchmark.config import plan_cells, validated_benchmark
from chengfang.experiments.runs import pool as parallel
from chengfang.experiments.runs.cells import (
    fingerprint,
    finished_training,
    run_path,
    training_fingerprint,
    unpack,
)
from chengfang.experiments.runs.pool import Outcome, attempt, run_pool, run_serial

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


def cells(**settings):
    return plan_cells(
        validated_benchmark(
            CONFIG
            | {
                "tasks": {
                    "Bidding": {"rules": ["PID"], "learners": {"PPO": PPO | settings}},
                    "Coupon": {"rules": ["PID"]},
                }
            }
        )
    )


def test_pool_and_one_process_agree_bit_for_bit(tmp_path):
    alone = {o.cell.name: o for o in run_serial(cells(), tmp_path / "alone")}
    beside = {o.cell.name: o for o in run_pool(cells(), tmp_path / "beside", 2)}
    assert beside.keys() == alone.keys()
    for name, outcome in alone.items():
        left = unpack(outcome.data)
        right = unpack(beside[name].data)
        assert left.figures.keys() == right.figures.keys()
        assert all((left.figures[key] == right.figures[key]).all() for key in left.figures), name
        assert left.facts["fingerprint"] == right.facts["fingerprint"]
    for cell in cells():
        if cell.kind == "learner":
            files = [
                run_path(tmp_path / part, cell) / "policy.safetensors"
                for part in ("alone", "beside")
            ]
            assert files[0].read_bytes() == files[1].read_bytes()


def test_an_error_is_an_outcome_with_its_trace(tmp_path):
    [cell] = [c for c in cells() if c.kind == "rule" and c.task == "Bidding"]
    broken = attempt(
        parallel.Cell(**{**vars(cell), "options": {"rule": "PID", "parameters": {"no_such": 1.0}}}),
        tmp_path,
    )
    assert broken.data is None
    assert broken.error.startswith("ValueError: PID has no parameter no_such")
    assert "Traceback" in broken.trace


def test_a_killed_worker_loses_only_its_cell(tmp_path):
    """The long training's process is killed; the others finish, the pool goes on with a new
    process.
    """
    killed, found = [], []

    def kill(text):
        if not killed:
            [child] = [
                p for p in parallel.multiprocessing.active_children() if p.name not in killed
            ]
            killed.append(child.name)
            os.kill(child.pid, signal.SIGKILL)

    long = [c for c in cells(steps=50_000_000) if c.kind == "learner"][:1]
    rest = [c for c in cells() if c.kind != "learner"]
    for outcome in run_pool([*long, *rest], tmp_path, 1, kill):
        found.append(outcome)
    assert found[0].cell == long[0]
    assert found[0].error == "its process ended with exit code -9"
    assert [o.error for o in found[1:]] == [""] * len(rest)


def test_a_half_done_training_starts_again_unless_told_to_go_on(tmp_path):
    [cell] = [c for c in cells() if c.seed == 0 and c.kind == "learner"]
    folder = run_path(tmp_path, cell)
    seen = []

    def stop(text):
        raise KeyboardInterrupt

    whole = unpack(attempt(cell, run_path(tmp_path / "whole", cell)).data)
    with pytest.raises(KeyboardInterrupt):
        attempt(cell, folder, stop)
    assert (folder / "checkpoint.pt").is_file()
    (folder / "checkpoint.pt").write_bytes(b"not read")
    again = attempt(cell, folder, seen.append)
    assert (unpack(again.data).figures["score"] == whole.figures["score"]).all()
    assert finished_training(folder) == training_fingerprint(cell)


def test_fingerprints_tell_cells_apart():
    made = [fingerprint(c) for c in [*cells(), *cells(gamma=0.5)]]
    assert len(set(made)) == len(cells()) + 2  # the two seeds of the changed learner are new
    assert made[: len(cells())] == [fingerprint(c) for c in cells()]


def test_outcomes_travel_as_plain_data():
    cell = cells()[0]
    assert pickle.loads(pickle.dumps(Outcome(cell, b"x"))) == Outcome(cell, b"x")
    assert (cell.seeds == np.arange(cell.test_seed, cell.test_seed + 8)).all()
