"""The main job from end to end, small: what it writes, that it resumes, and that it gives the same
numbers again.
"""

import csv
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
from chengfang.experiments.benchmark import comparison as module
from chengfang.experiments.benchmark import run as run_module
from chengfang.experiments.benchmark.comparison import (
    Changes,
    compare,
    load_comparison,
    named_agent,
    rich_table,
)
from chengfang.experiments.benchmark.config import load_benchmark, validated_benchmark
from chengfang.experiments.benchmark.run import Interrupted, Where
from chengfang.experiments.report.task_report import load_report
from chengfang.experiments.runs.evaluate import evaluate
from chengfang.experiments.runs.pool import Options
from rich.console import Console

pytestmark = pytest.mark.slow  # its fixtures play whole benchmarks or markets

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
HERE = Where(0)


def small(**changes):
    """Bidding, one day, 24 test merchants, two rules and a tiny PPO."""
    plan = {"rules": ["FixedBid", "PID"], "learners": {"PPO": PPO}}
    plan |= {name: changes.pop(name) for name in ("rules", "learners", "agents") if name in changes}
    data = {"episodes": 24, "seeds": [0], "tuned": False, "tasks": {"Bidding": plan}}
    return validated_benchmark(data | changes)


def run(config, folder, where=HERE, **keywords):
    lines = io.StringIO()
    console = Console(file=lines, width=100)
    made = compare(config, folder, console, where, Options("off", True), **keywords)
    return made, lines.getvalue()


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def figures(folder):
    return (folder / "results.csv").read_text(encoding="utf-8")


def timeless(text):
    """Rows of a table without CPU seconds, which are never the same."""
    rows = list(csv.DictReader(io.StringIO(text)))
    assert all("cpu_seconds" in row for row in rows)
    return [{name: value for name, value in row.items() if name != "cpu_seconds"} for row in rows]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished comparison: its folder, rows and what it printed."""
    folder = tmp_path_factory.mktemp("compare") / "latest"
    made, text = run(small(), folder)
    return folder, made.rows, text


# What it writes
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_everything_is_written(finished):
    folder, rows, _ = finished
    for name in WRITTEN:
        assert (folder / name).stat().st_size > 0, name
    for name in ("learning_curves.png", "pacing.png"):
        assert (folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert {(row["agent"], row["kind"]) for row in rows} == {
        ("FixedBid", "rule"),
        ("PID", "rule"),
        ("PPO", "learner"),
    }
    assert all(row["episodes"] == 24 for row in rows)
    assert not list(folder.rglob("*.part"))


@pytest.mark.slow
def test_tables_agree_with_the_rows(finished):
    folder, rows, text = finished
    read = {row["agent"]: row for row in csv.DictReader(io.StringIO(figures(folder)))}
    for row in rows:
        assert float(read[row["agent"]]["iqm"]) == row["iqm"]
        assert row["agent"] in text
    markdown = (folder / "results.md").read_text(encoding="utf-8")
    assert "# Bidding on default\n" in markdown
    assert "not finished" not in markdown
    assert " the best rule, PID" in text
    assert "Rules play with their default values." in text


@pytest.mark.slow
def test_rules_play_with_their_defaults_or_tuned_values(finished, tmp_path):
    """As evaluating the rule alone does."""
    from chengfang.agents import make_rule, plan_spec
    from chengfang.agents.rules.tuned import tuned_parameters
    from chengfang.envs import task_setting
    from chengfang.experiments.analysis.statistics import iqm

    setting = task_setting("Bidding")
    tuned, _ = run(small(learners={}, tuned=True), tmp_path)
    for rows, values in ((finished[1], {}), (tuned.rows, tuned_parameters("PID", "Bidding"))):
        rule = make_rule("PID", plan_spec(setting), **values)
        alone = evaluate(rule, setting, 24).relative_score
        assert next(row["iqm"] for row in rows if row["agent"] == "PID") == iqm(alone)


@pytest.mark.slow
def test_the_terminal_s_table_fits_eighty_columns(finished):
    found = load_report(finished[0], "Bidding")
    assert found is not None
    rows = [
        row._replace(agent="DualMirrorDescent", violation_rate=0.123, cpu_seconds=1234.0)
        for row in found.rows
    ]
    lines = io.StringIO()
    Console(file=lines, width=80).print(rich_table(rows, "SuperPlan"))
    shown = lines.getvalue()
    assert "…" not in shown
    assert f"{rows[0].score.value:.3f}" in shown


def test_manifest_says_what_made_it(finished):
    data = manifest(finished[0])
    assert data["complete"] is True
    assert data["scenarios"]["Bidding"] == {
        "name": "default",
        "hash": small().scenario("Bidding").hash,
    }
    assert data["episodes"] == 24
    assert data["training_seeds"] == [0]
    assert data["wall_seconds_of_last_call"] > 0
    assert {"numpy", "torch", "stable-baselines3", "gymnasium", "numba"} <= set(data["versions"])
    assert data["code"]
    assert data["cells"]["Bidding/PPO-seed0"]["training_seconds"] > 0


def test_policy_is_saved_and_loads(finished):
    policy = load_policy(finished[0] / "runs" / "Bidding" / "PPO-seed0")
    assert policy.description["scenario_hash"] == small().scenario("Bidding").hash


# Resuming
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_second_call_does_nothing_twice(finished):
    folder, rows, _ = finished
    weights = folder / "runs" / "Bidding" / "PPO-seed0" / "policy.safetensors"
    before = figures(folder)
    stamp = weights.stat().st_mtime_ns
    again, text = run(small(), folder)
    assert (again.ran, again.rows) == (0, rows)
    assert figures(folder) == before
    assert weights.stat().st_mtime_ns == stamp
    assert "resuming" in text
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"episodes": 16},
        {"rules": ["PID"]},
        {"tuned": True},
        {"test_seed": 5},
        {"tasks": {"Coupon": {"rules": ["FixedBid", "PID"]}}},
    ],
)
def test_another_comparison_is_moved_aside(tmp_path, change):
    folder = tmp_path / "latest"
    run(small(learners={}), folder)
    old = figures(folder)
    _, text = run(small(learners={}, **change), folder)
    assert "another comparison" in text
    [aside] = [path for path in tmp_path.iterdir() if path != folder]
    assert aside.name.startswith("latest-")
    assert figures(aside) == old


@pytest.mark.slow
def test_one_with_more_agents_goes_on_with_what_is_there(tmp_path):
    folder = tmp_path / "latest"
    first, _ = run(small(learners={}, rules=["PID"]), folder)
    more = {"Mine": {"policy": "FixedBid"}}
    again, text = run(small(learners={}, agents=more), folder)
    assert (first.ran, again.ran) == (2, 2)
    assert "resuming" in text
    assert "Mine against the best rule, PID, is undecided: " in text
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


@pytest.mark.slow
def test_two_moves_within_a_second_keep_both(tmp_path, monkeypatch):
    folder = tmp_path / "latest"
    monkeypatch.setattr(module.time, "strftime", lambda *_: "20260101-000000")
    for episodes in (8, 10, 12):
        run(small(learners={}, rules=["FixedBid"], episodes=episodes), folder)
    kept = {load_benchmark(path).episodes for path in tmp_path.iterdir()}
    assert kept == {8, 10, 12}


@pytest.mark.slow
def test_fresh_begins_anew_and_keeps_the_old(tmp_path):
    folder = tmp_path / "latest"
    one, _ = run(small(learners={}), folder)
    two, text = run(small(learners={}), folder, fresh=True)
    assert one.rows == two.rows
    assert two.ran == 3
    assert "earlier run" in text
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_folder_with_other_files_is_moved_aside_not_overwritten(tmp_path):
    folder = tmp_path / "latest"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    run(small(learners={}, rules=["FixedBid"]), folder)
    [aside] = [path for path in tmp_path.iterdir() if path != folder]
    assert (aside / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_runs_again_from_its_own_configuration(finished, tmp_path):
    """config.yaml beside the results gives identical numbers, training included."""
    folder, rows, _ = finished
    again, _ = run(load_comparison(folder / "config.yaml"), tmp_path / "again")
    assert again.rows == rows
    assert timeless(figures(tmp_path / "again")) == timeless(figures(folder))
    weights = "runs/Bidding/PPO-seed0/policy.safetensors"
    assert (tmp_path / "again" / weights).read_bytes() == (folder / weights).read_bytes()


# Interruption
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_interruption_between_runs_leaves_what_is_finished(tmp_path, monkeypatch):
    folder = tmp_path / "latest"
    real = run_module.run_serial

    def stop(specs, *rest):
        yield from real([spec for spec in specs if spec.kind != "learner"], *rest)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "run_serial", stop)
        with pytest.raises(Interrupted):
            run(small(), folder)
    assert manifest(folder)["complete"] is False
    assert "(not finished)" in (folder / "results.md").read_text(encoding="utf-8")
    assert "PID" in figures(folder)
    assert "PPO" not in figures(folder)
    again, _ = run(small(), folder)
    assert again.ran == 1


@pytest.mark.slow
def test_failed_training_is_said(tmp_path):
    """A learner that cannot be built fails alone, with its own error."""
    config = small(learners={"PPO": PPO | {"num_envs": 1, "n_steps": 1, "batch_size": 1}})
    made, text = run(config, tmp_path / "latest")
    assert list(made.failed) == ["Bidding/PPO-seed0"]
    assert "failed Bidding/PPO-seed0: " in text
    assert manifest(tmp_path / "latest")["complete"] is False
    assert "PID" in figures(tmp_path / "latest")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_saves_a_checkpoint_and_the_same_command_goes_on(tmp_path):
    """The real thing: a process group, Ctrl-C in the middle of training, exit 130, and the same
    command again.
    """
    config = tmp_path / "small.yaml"
    long = PPO | {"num_envs": 64, "steps": 600_000, "n_steps": 24, "batch_size": 512}
    plan = {"rules": ["PID"], "learners": {"PPO": long}}
    config.write_text(json.dumps({"episodes": 8, "seeds": [0], "tasks": {"Bidding": plan}}))
    command = [sys.executable, "-m", "chengfang", "compare", "-c", str(config), "--track", "off"]
    command += ["-o", str(tmp_path / "latest")]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=tmp_path,
    )
    run_folder = tmp_path / "latest/runs/Bidding/PPO-seed0"
    log = run_folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while (
        time.monotonic() < deadline
        and process.poll() is None
        and not (log.is_file() and log.read_text())
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert manifest(tmp_path / "latest")["complete"] is False
    assert {"checkpoint.pt", "policy.json", "policy.safetensors"} <= {
        path.name for path in run_folder.iterdir()
    }
    assert 0 < load_policy(run_folder).description["steps"] < 600_000
    again = subprocess.run(
        command, capture_output=True, text=True, timeout=240, check=False, cwd=tmp_path
    )
    assert again.returncode == 0, again.stderr
    assert "resuming" in again.stdout
    assert manifest(tmp_path / "latest")["complete"] is True
    steps = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    assert steps == sorted(steps)
    assert load_policy(run_folder).description["steps"] >= 600_000


# Names
# --------------------------------------------------------------------------------------------------


def test_agents_are_named_after_what_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "best").mkdir(parents=True)
    assert named_agent("my_agents:Cautious") == ("Cautious", "my_agents:Cautious")
    assert named_agent("Mine=my_agents:Cautious") == ("Mine", "my_agents:Cautious")
    assert named_agent("runs/best") == ("best", "runs/best")
    with pytest.raises(ValueError, match="--agent names A twice"):
        load_comparison(None, Changes(agents=["x:A", "y:A"]))


# Evaluation
# --------------------------------------------------------------------------------------------------


def test_evaluation_shares_its_random_numbers():
    """Everybody meets the same merchants and days: figures do not depend on how many episodes, or
    threads.
    """
    from chengfang.agents import make_rule, plan_spec
    from chengfang.envs import task_setting

    setting = task_setting("Bidding")
    rule = make_rule("PID", plan_spec(setting))
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
    from chengfang.envs import task_setting

    setting = task_setting("SuperPlan")
    one_day = Setting(setting.scenario, setting.levers, 1)
    result = evaluate(make_rule("DoNothing", plan_spec(one_day)), one_day, 16)
    np.testing.assert_array_equal(result.relative_score, 1.0)
    np.testing.assert_array_equal(result.incremental_gmv, 0.0)
