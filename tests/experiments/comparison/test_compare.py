"""The main job from end to end, small: what it writes, that it resumes, and that it gives the same
numbers again.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from chengfang.agents.learners import load_policy
from chengfang.envs import Setting
from chengfang.experiments.comparison import compare as module
from chengfang.experiments.comparison.compare import Interrupted, compare, jobs
from chengfang.experiments.comparison.config import load_config
from rich.console import Console

PPO = {
    "algorithm": "PPO",
    "num_envs": 16,
    "steps": 16 * 24 * 8,
    "n_steps": 12,
    "batch_size": 96,
    "n_epochs": 2,
    "hidden": [16],
}
WRITTEN = (
    "results.md",
    "results.csv",
    "learning_curves.png",
    "pacing.png",
    "manifest.json",
    "config.yaml",
)


def small(**changes):
    """Bidding, one day, 24 test merchants, two rules and a tiny PPO."""
    base = {
        "task": "Bidding",
        "episodes": 24,
        "seeds": [0],
        "days": 1,
        "rules": ["FixedBid", "PID"],
    }
    config = load_config(None, base | changes)
    return config.model_validate(
        config.model_dump() | {"learners": changes.get("learners", {"PPO": PPO})}
    )


def run(config, folder, **keywords):
    console = Console(file=io.StringIO(), width=100)
    rows = compare(config, folder, console, "off", **keywords)
    return rows, console.file.getvalue()


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def figures(folder):
    return (folder / "results.csv").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished comparison: its folder, rows and what it printed."""
    folder = tmp_path_factory.mktemp("compare") / "latest"
    rows, text = run(small(), folder)
    return folder, rows, text


# What it writes
# --------------------------------------------------------------------------------------------------


def test_everything_is_written(finished):
    folder, rows, _ = finished
    for name in WRITTEN:
        assert (folder / name).stat().st_size > 0, name
    for name in ("learning_curves.png", "pacing.png"):
        assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert {row.agent for row in rows} == {"FixedBid", "PID", "PPO"}
    assert {row.kind for row in rows if row.agent == "PPO"} == {"learner"}
    assert all(row.episodes == 24 for row in rows)
    assert not list(folder.rglob("*.part"))


def test_tables_agree_with_the_rows(finished):
    folder, rows, text = finished
    read = {line.split(",")[0]: line.split(",") for line in figures(folder).splitlines()[1:]}
    for row in rows:
        assert float(read[row.agent][4]) == row.score.value
        assert row.agent in text
    markdown = (folder / "results.md").read_text(encoding="utf-8")
    assert "Bidding on default" in markdown
    assert "interrupted" not in markdown


def test_manifest_says_what_made_it(finished):
    data = manifest(finished[0])
    assert data["complete"] is True
    assert data["scenario"] == "default"
    assert data["scenario_hash"] == small().load_scenario().hash
    assert data["fingerprint"] == small().fingerprint
    assert data["episodes"] == 24
    assert data["training_seeds"] == [0]
    assert data["wall_seconds"] > 0
    assert {"numpy", "torch", "stable-baselines3", "gymnasium", "numba"} <= set(data["versions"])
    assert data["code"]
    assert "PPO-seed0" in data["training_seconds"]


def test_policy_is_saved_and_loads(finished):
    policy = load_policy(finished[0] / "runs" / "PPO-seed0")
    assert policy.levers == small().setting().levers
    assert policy.description["scenario_hash"] == small().load_scenario().hash


def test_learners_are_trained_on_the_train_split_and_judged_on_the_other(tmp_path):
    config = small()
    assert config.setting().split == "test"
    [job] = jobs(config, tmp_path, "off")
    assert job.setting.split == "train"
    assert (job.name, job.seed) == ("PPO-seed0", 0)


# Resuming
# --------------------------------------------------------------------------------------------------------


def forbid(monkeypatch, *names):
    def never(*_, **__):
        raise AssertionError("done again")

    for name in names:
        monkeypatch.setattr(module, name, never)


def test_second_call_does_nothing_twice(finished, monkeypatch):
    folder, rows, _ = finished
    weights = folder / "runs" / "PPO-seed0" / "policy.safetensors"
    before = figures(folder)
    stamp = weights.stat().st_mtime_ns
    forbid(monkeypatch, "play_noop", "run_job", "evaluate")
    again, text = run(small(), folder)
    assert again == rows
    assert figures(folder) == before
    assert weights.stat().st_mtime_ns == stamp
    assert "resuming" in text
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_another_comparison_is_moved_aside(tmp_path):
    folder = tmp_path / "latest"
    run(small(learners={}), folder)
    old = figures(folder)
    other, text = run(small(learners={}, episodes=16), folder)
    assert "another comparison" in text
    [aside] = [p for p in tmp_path.iterdir() if p != folder]
    assert aside.name.startswith("latest-")
    assert figures(aside) == old
    assert {r.episodes for r in other} == {16}


def test_two_moves_within_a_second_keep_both(tmp_path, monkeypatch):
    folder = tmp_path / "latest"
    monkeypatch.setattr(module.time, "strftime", lambda *_: "20260101-000000")
    for episodes in (8, 10, 12):
        run(small(learners={}, rules=["FixedBid"], episodes=episodes), folder)
    kept = {load_config(p / "config.yaml").episodes for p in tmp_path.iterdir()}
    assert kept == {8, 10, 12}


def test_fresh_begins_anew_and_keeps_the_old(tmp_path):
    folder = tmp_path / "latest"
    one, _ = run(small(learners={}), folder)
    two, text = run(small(learners={}), folder, fresh=True)
    assert one == two
    assert "earlier run" in text
    assert len(list(tmp_path.iterdir())) == 2


def test_folder_with_other_files_is_moved_aside_not_overwritten(tmp_path):
    folder = tmp_path / "latest"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    run(small(learners={}, rules=["FixedBid"]), folder)
    [aside] = [p for p in tmp_path.iterdir() if p != folder]
    assert (aside / "notes.txt").read_text() == "mine"


def test_runs_again_from_its_own_configuration(finished, tmp_path):
    """config.yaml beside the results gives identical numbers, training included."""
    folder, rows, _ = finished
    again, _ = run(load_config(folder / "config.yaml"), tmp_path / "again")
    assert again == rows
    assert figures(tmp_path / "again") == figures(folder)
    for name in ("policy.safetensors",):
        assert (tmp_path / "again/runs/PPO-seed0" / name).read_bytes() == (
            folder / "runs/PPO-seed0" / name
        ).read_bytes()


def test_seeds_are_trained_side_by_side(tmp_path):
    config = small(seeds=[0, 1], rules=["FixedBid"])
    one, _ = run(config, tmp_path / "one", workers=2)
    assert next(r for r in one if r.agent == "PPO").seeds == 2
    assert {p.name for p in (tmp_path / "one/runs").iterdir()} == {"PPO-seed0", "PPO-seed1"}
    policies = [
        (tmp_path / f"one/runs/PPO-seed{s}/policy.safetensors").read_bytes() for s in (0, 1)
    ]
    assert policies[0] != policies[1]


def test_corrupt_piece_is_made_again(tmp_path):
    """A file of episodes that cannot be read must not be taken for results."""
    folder = tmp_path / "latest"
    rows, _ = run(small(learners={}), folder)
    (folder / "episodes" / "PID.npz").write_bytes(b"broken")
    again, _ = run(small(learners={}), folder)
    assert again == rows


# Interruption
# ----------------------------------------------------------------------------------------------------


def test_interruption_between_pieces_leaves_what_is_finished(tmp_path, monkeypatch):
    folder = tmp_path / "latest"

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_train", stop)
        with pytest.raises(Interrupted):
            run(small(), folder)
    assert manifest(folder)["complete"] is False
    assert "(interrupted)" in (folder / "results.md").read_text(encoding="utf-8")
    assert "PID" in figures(folder)
    assert "PPO" not in figures(folder)
    forbid(monkeypatch, "play_noop")
    monkeypatch.setattr(module, "_train", lambda *_: None)
    with pytest.raises(Exception, match="is no saved policy"):
        run(small(), folder)
    assert manifest(folder)["complete"] is False


def test_failed_training_is_told(tmp_path):
    """A learner that cannot be built ends the run with its own error, not with a hang."""
    config = small(learners={"PPO": PPO | {"num_envs": 1, "n_steps": 1, "batch_size": 1}})
    with pytest.raises(RuntimeError, match="training failed: PPO-seed0"):
        run(config, tmp_path / "latest")
    assert manifest(tmp_path / "latest")["complete"] is False


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_saves_a_checkpoint_and_the_same_command_goes_on(tmp_path):
    """The real thing: a process group, Ctrl-C in the middle of training, exit 130, and the same
    command again.
    """
    config = tmp_path / "small.yaml"
    config.write_text(
        json.dumps(
            {
                "task": "Bidding",
                "episodes": 8,
                "days": 1,
                "rules": ["PID"],
                "learners": {
                    "PPO": PPO
                    | {"num_envs": 64, "steps": 600_000, "n_steps": 24, "batch_size": 512}
                },
            }
        )
    )
    command = [
        sys.executable,
        "-m",
        "chengfang",
        "compare",
        "-c",
        str(config),
        "-o",
        str(tmp_path / "latest"),
        "--track",
        "off",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )
    log = tmp_path / "latest/runs/PPO-seed0/metrics.jsonl"
    deadline = time.monotonic() + 90
    while (
        time.monotonic() < deadline
        and process.poll() is None
        and not (log.is_file() and log.read_text())
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    run_folder = tmp_path / "latest/runs/PPO-seed0"
    assert manifest(tmp_path / "latest")["complete"] is False
    assert {"checkpoint.pt", "policy.json", "policy.safetensors"} <= {
        p.name for p in run_folder.iterdir()
    }
    done = load_policy(run_folder).description["steps"]
    assert 0 < done < 600_000
    again = subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stdout
    assert manifest(tmp_path / "latest")["complete"] is True
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == sorted(steps)
    assert load_policy(run_folder).description["steps"] >= 600_000


# Evaluation
# ------------------------------------------------------------------------------------------------------


def test_evaluation_shares_its_random_numbers():
    """Everybody meets the same merchants and days: figures do not depend on how many episodes, or
    threads.
    """
    from chengfang.agents import make_rule, plan_spec
    from chengfang.experiments.runs.evaluate import evaluate

    setting = small().setting()
    rule = make_rule("PID", plan_spec(Setting(setting.scenario, setting.levers, 1)))
    many = evaluate(rule, setting, 80, threads=2)
    few = evaluate(rule, setting, 10)
    for name, values in few.plans.items():
        np.testing.assert_array_equal(many.plans[name][:10], values, err_msg=name)
    np.testing.assert_array_equal(few.relative_score, (few.plans["score"] / few.nothing["score"]))
    np.testing.assert_allclose(
        few.incremental_gmv, few.plans["settled_gmv"] - few.nothing["settled_gmv"]
    )


def test_evaluating_nothing_gives_a_share_of_one():
    from chengfang.agents import make_rule, plan_spec
    from chengfang.experiments.runs.evaluate import evaluate

    setting = small(task="SuperPlan").setting()
    result = evaluate(
        make_rule("DoNothing", plan_spec(Setting(setting.scenario, setting.levers, 1))), setting, 16
    )
    np.testing.assert_array_equal(result.relative_score, 1.0)
    np.testing.assert_array_equal(result.incremental_gmv, 0.0)
