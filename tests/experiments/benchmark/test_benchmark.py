"""The benchmark from end to end, small: it resumes, trusts only its own runs, loses nothing to an
error, and is reproduced.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from chengfang.agents import make_rule, plan_spec
from chengfang.agents.learners import PPOSettings, load_policy
from chengfang.agents.learners.settings import training_env as settings_module
from chengfang.experiments.benchmark import run as module
from chengfang.experiments.benchmark.command import Request, run_request
from chengfang.experiments.benchmark.config import (
    load_benchmark,
    quick,
    save_benchmark,
    validated_benchmark,
)
from chengfang.experiments.benchmark.config_file import FOLDER, ConfigError
from chengfang.experiments.benchmark.outcome import best_learner, collect
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.benchmark.reproduce import reproduce
from chengfang.experiments.benchmark.run import Where, benchmark
from chengfang.experiments.runs import execute as execute_module
from chengfang.experiments.runs.code_digest import bare, code_digest
from chengfang.experiments.runs.fingerprint import identified
from chengfang.experiments.runs.pool import Options
from chengfang.experiments.runs.spec import FIGURES
from chengfang.experiments.runs.store import read_run, unpack
from rich.console import Console

pytestmark = pytest.mark.slow  # its fixtures play whole benchmarks or markets

PPO = {
    "algorithm": "PPO",
    "num_envs": 16,
    "steps": 16 * 24 * 2,
    "n_steps": 12,
    "batch_size": 96,
    "n_epochs": 1,
    "hidden": [8],
}
SMALL = {
    "episodes": 8,
    "seeds": [0, 1],
    "defaults": {"rules": ["PID", "FixedBid"]},
    "tasks": {"Bidding": {"learners": {"PPO": PPO}}, "Coupon": None},
}
HERE = Where(0)


def run(config, folder, *args, where=HERE, **keywords):
    lines = io.StringIO()
    console = Console(file=lines, width=120)
    made = benchmark(config, folder, console, *args, where=where, **keywords)
    return made, lines.getvalue()


def figures(folder):
    return {
        path.relative_to(folder).as_posix(): unpack(path.read_bytes()).figures
        for path in sorted(folder.rglob("*.npz"))
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished small benchmark: its configuration, folder and what the call returned."""
    folder = tmp_path_factory.mktemp("benchmark") / "out"
    config = validated_benchmark(SMALL)
    return config, folder, run(config, folder)[0]


# What it writes
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_everything_is_written(finished):
    _, folder, made = finished
    assert made.ran == 8
    assert made.failed == {}
    assert made.missing == []
    for name in (
        "summary.json",
        "manifest.json",
        "config.yaml",
        "best/Bidding/policy.json",
        "best/Bidding/policy.safetensors",
    ):
        assert (folder / name).stat().st_size > 0, name
    assert not list(folder.rglob("*.part"))
    assert len(figures(folder)) == 8


@pytest.mark.slow
def test_rows_are_one_per_task_and_agent(finished):
    _, folder, made = finished
    rows = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert rows == json.loads(json.dumps(made.rows))
    assert {(r["task"], r["agent"], r["kind"], r["seeds"], r["episodes"]) for r in rows} == {
        ("Bidding", "PID", "rule", 1, 8),
        ("Bidding", "FixedBid", "rule", 1, 8),
        ("Bidding", "PPO", "learner", 2, 8),
        ("Coupon", "PID", "rule", 1, 8),
        ("Coupon", "FixedBid", "rule", 1, 8),
    }


@pytest.mark.slow
def test_finalists_play_more_episodes_and_the_rest_is_as_without_a_final(finished, tmp_path):
    _, folder, _ = finished
    final = {
        "tasks": {
            "Bidding": {
                "learners": {"PPO": PPO},
                "final": {"agents": ["PPO", "PID"], "episodes": 24},
            },
            "Coupon": None,
        }
    }
    made, _ = run(validated_benchmark(SMALL | final), tmp_path)
    mine = [row for row in made.rows if row["task"] == "Bidding"]
    assert {row["agent"]: row.get("final_episodes") for row in mine} == {
        "PPO": 24,
        "PID": 24,
        "FixedBid": None,
    }
    assert {row["episodes"] for row in mine} == {8}
    assert all(
        row["final_ci_low"] <= row["final_iqm"] <= row["final_ci_high"]
        for row in mine
        if row["agent"] != "FixedBid"
    )
    usual = {
        (row["task"], row["agent"]): row["iqm"]
        for row in json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    }
    assert usual == {(row["task"], row["agent"]): row["iqm"] for row in made.rows}
    before = figures(folder / "cells")
    after = figures(tmp_path / "cells")
    for name, values in before.items():
        for figure, old in values.items():
            np.testing.assert_array_equal(
                old, after[name][figure][: len(old)], err_msg=f"{name} {figure}"
            )
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert "in a final of 24 held-out episodes" in text
    assert "so these play on in a final of 24: " in text
    assert (tmp_path / "report.html").is_file()


def test_manifest_says_what_made_it(finished):
    config, folder, _ = finished
    data = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert data["complete"] is True
    assert data["scenarios"] == {
        task: {"name": "default", "hash": config.scenario(task).hash}
        for task in ("Bidding", "Coupon")
    }
    assert data["episodes"] == 8
    assert data["training_seeds"] == [0, 1]
    assert len(data["cells"]) == 8
    learner = data["cells"]["Bidding/PPO-seed1"]
    assert learner["seconds"] > 0
    assert learner["steps_per_second"] > 0
    assert 0 < learner["training_cpu_seconds"] < learner["cpu_seconds"]
    assert 0 < learner["validation"] < 10
    assert learner["steps"] == 8 * 24 + PPO["steps"]
    assert {"numpy", "torch", "numba"} <= data["versions"].keys()


@pytest.mark.slow
def test_the_configuration_beside_results_runs_again(finished, tmp_path):
    config, folder, _ = finished
    assert load_benchmark(folder) == load_benchmark(folder / "config.yaml")
    assert [c.name for c in plan_runs(load_benchmark(folder))] == [
        c.name for c in plan_runs(config)
    ]
    made, _ = run(load_benchmark(folder), folder)
    assert made.ran == 0


def test_best_learner_is_a_typical_run_of_the_best(finished):
    config, folder, _ = finished
    specs = [identified(spec) for spec in plan_runs(config)]
    found = {spec.name: run for spec in specs if (run := read_run(folder, spec))}
    assert len(found) == len(specs)
    results = collect(specs, found)
    facts = {name: run.facts for name, run in found.items()}
    best = best_learner(results, "Bidding", facts)
    assert best is not None
    result, index = best
    assert result.agent == "PPO"
    assert load_policy(folder / "best" / "Bidding").description["seed"] == [0, 1][index]
    assert best_learner(results, "Coupon") is None


# Resuming
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["deleted", "cut short", "of another run", "not figures"])
def test_only_what_is_missing_or_broken_is_run(finished, harm):
    config, folder, _ = finished
    whole = figures(folder)
    victim = folder / "cells" / "Bidding" / "PID-seed0.npz"
    data = victim.read_bytes()
    if harm == "deleted":
        victim.unlink()
    elif harm == "cut short":
        victim.write_bytes(data[: len(data) // 2])
    elif harm == "of another run":
        victim.write_bytes((folder / "cells" / "Coupon" / "PID-seed0.npz").read_bytes())
    else:
        victim.write_bytes(b"PK\x03\x04 nothing of use")
    others = {path: path.stat().st_mtime_ns for path in folder.rglob("*.npz") if path != victim}
    made, _ = run(config, folder)
    assert made.ran == 1
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in others.items())
    again = figures(folder)
    assert all((whole[name][key] == again[name][key]).all() for name in whole for key in FIGURES)


@pytest.mark.slow
def test_a_lost_evaluation_does_not_train_again(finished, monkeypatch):
    config, folder, _ = finished
    (folder / "cells" / "Bidding" / "PPO-seed0.npz").unlink()
    monkeypatch.setattr(execute_module, "_train", None)
    made, _ = run(config, folder)
    assert (made.ran, made.failed) == (1, {})


@pytest.mark.slow
def test_what_decides_the_figures_decides_what_is_run(tmp_path):
    rules = {"episodes": 8, "seeds": [0], "tasks": {"Bidding": {"rules": ["PID"]}}}
    assert run(validated_benchmark(rules), tmp_path)[0].ran == 2
    assert run(validated_benchmark(rules | {"seeds": [0, 1, 2]}), tmp_path)[0].ran == 0
    assert run(validated_benchmark(rules | {"test_seed": 5}), tmp_path)[0].ran == 2
    assert run(validated_benchmark(rules | {"split": "validation"}), tmp_path)[0].ran == 2
    other = {"Bidding": {"rules": ["PID"], "scenario": "dual_track"}}
    assert run(validated_benchmark(rules | {"tasks": other}), tmp_path)[0].ran == 2


def test_a_benchmark_on_validation_merchants_chooses_on_others_of_them(monkeypatch):
    rules = {"episodes": 16, "seeds": [0], "tasks": {"Bidding": {"rules": ["PID"]}}}
    on_test, on_validation = (
        plan_runs(validated_benchmark(rules | {"split": split}))[1]
        for split in ("test", "validation")
    )
    assert (on_test.setting().split, on_validation.setting().split) == ("test", "validation")
    assert on_validation.setting("train").split == "train"
    seen = []
    evaluate = execute_module.evaluate

    def noted(policy, setting, episodes, seed, *rest, **options):
        seen.append((setting.split, seed, seed + episodes))
        return evaluate(policy, setting, episodes, seed, *rest, **options)

    monkeypatch.setattr(execute_module, "evaluate", noted)
    for spec in (on_test, on_validation):
        rule = make_rule("PID", plan_spec(spec.setting()))
        execute_module.chosen_by(rule, spec)
        execute_module.judged(rule, spec)
    first = on_test.test_seed
    assert seen == [
        ("validation", first, first + 4),
        ("test", first, first + 16),
        ("validation", first + 16, first + 20),
        ("validation", first, first + 16),
    ]


def test_a_learner_may_have_seeds_of_its_own_and_a_shift_is_fitted_once():
    shift = {"algorithm": "Shift", "training_env": {"rule": "PID"}}
    learners = {"APG": {"algorithm": "APG"}, "MLP": {"algorithm": "APG"}, "moved": shift}
    plan = {"learners": learners, "seeds": {"MLP": [4, 7]}}
    config = validated_benchmark({"seeds": [0, 1, 2], "tasks": {"Bidding": plan}})
    seeds = {}
    for spec in plan_runs(config):
        seeds.setdefault(spec.agent, []).append(spec.seed)
    assert {name: sorted(found) for name, found in seeds.items()} == {
        "nothing": [0],
        "APG": [0, 1, 2],
        "MLP": [4, 7],
        "moved": [0],
    }
    assert config.training_seeds("Bidding", "MLP") == [4, 7]
    assert quick(config).training_seeds("Bidding", "MLP") == [4]
    for wrong, said in (
        ({"PPO": [0]}, "unknown learners in seeds PPO"),
        ({"MLP": []}, "seeds.MLP is empty"),
        ({"MLP": [1, 1]}, "named once"),
    ):
        with pytest.raises(ConfigError, match=said):
            validated_benchmark({"tasks": {"Bidding": plan | {"seeds": wrong}}})


def test_a_benchmark_is_not_judged_on_train():
    rules = {"split": "train", "tasks": {"Bidding": {"rules": ["PID"]}}}
    with pytest.raises(ConfigError, match=r"split.*'train'.*validation"):
        validated_benchmark(rules)


@pytest.mark.slow
def test_runs_of_other_code_are_kept_and_told_of(finished, monkeypatch):
    config, folder, _ = finished
    monkeypatch.setattr(
        module, "code_digest", lambda kind: "other" if kind == "learner" else code_digest(kind)
    )
    made, text = run(config, folder)
    assert made.ran == 0
    assert "2 finished runs were made by other code of learners" in text


def test_comments_and_docstrings_are_not_code():
    code = 'def f(x):\n    """Says."""\n    return x + 1\n'
    assert bare(code) == bare(
        '"""Module."""\n\ndef f(x):   # why\n    return (x +\n            1)\n'
    )
    assert bare(code) != bare(code.replace("1", "2"))


@pytest.mark.slow
def test_some_tasks_and_agents_first_the_rest_later(tmp_path):
    config = validated_benchmark(SMALL | {"tasks": {"Bidding": {}, "Coupon": {}}})
    made, _ = run(config, tmp_path, ["Bidding-v0"], ["PID"])
    assert (made.ran, [r["agent"] for r in made.rows], len(made.missing)) == (2, ["PID"], 4)
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["complete"] is False
    made, _ = run(config, tmp_path)
    assert (made.ran, len(made.rows), made.missing) == (4, 4, [])


@pytest.mark.slow
def test_a_failed_run_loses_no_other(tmp_path, monkeypatch):
    def broken(spec):
        raise RuntimeError("no luck")

    monkeypatch.setitem(execute_module.REFERENCES, "clairvoyant", broken)
    tasks = {"Bidding": {"rules": ["PID"], "references": {"clairvoyant": {"chunk": 4}}}}
    made, text = run(validated_benchmark({"episodes": 8, "seeds": [0], "tasks": tasks}), tmp_path)
    assert made.failed == {f"Bidding/clairvoyant-part{i}": "RuntimeError: no luck" for i in (0, 1)}
    assert [r["agent"] for r in made.rows] == ["PID"]
    assert "no luck" in text
    assert "Traceback" in (tmp_path / "errors" / "Bidding" / "clairvoyant-part0.txt").read_text(
        encoding="utf-8"
    )


def test_parts_of_a_reference_are_joined(tmp_path, monkeypatch):
    monkeypatch.setitem(
        execute_module.REFERENCES, "clairvoyant", lambda spec: {"score": spec.seeds.astype(float)}
    )
    tasks = {"Bidding": {"rules": ["PID"], "references": {"clairvoyant": {"chunk": 3}}}}
    config = validated_benchmark({"episodes": 8, "test_seed": 50, "seeds": [0], "tasks": tasks})
    specs = plan_runs(config)
    found = {spec.name: unpack(execute_module.execute(spec, tmp_path)) for spec in specs}
    results = {result.agent: result for result in collect(specs, found)}
    assert (results["PID"].clairvoyant == np.arange(50, 58)).all()
    assert results["PID"].bound is None
    assert results["clairvoyant"].figures["score"].shape == (1, 8)
    assert list(results["clairvoyant"].figures) == ["score"]  # as of a bound, which plays nothing


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    real = Path.write_bytes

    def full(path, data):
        if "PID" in path.name:
            real(path, data[:100])
            raise OSError(28, "No space left on device", str(path))
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    made, _ = run(validated_benchmark(SMALL | {"seeds": [0], "tasks": {"Bidding": {}}}), tmp_path)
    assert list(made.failed) == ["Bidding/PID-seed0"]
    assert "No space left on device" in made.failed["Bidding/PID-seed0"]
    assert sorted(path.name for path in (tmp_path / "cells").rglob("*.*")) == [
        "FixedBid-seed0.npz",
        "nothing-seed0.npz",
    ]


SCRIPT = """
import sys
from pathlib import Path
from rich.console import Console
from chengfang.experiments.benchmark.config import load_benchmark
from chengfang.experiments.benchmark.run import Interrupted, Where, benchmark
if __name__ == "__main__":
    try:
        benchmark(load_benchmark(sys.argv[1]), Path(sys.argv[2]), Console(), where=Where(1))
    except Interrupted:
        sys.exit(130)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_stops_cleanly_and_goes_on_later(tmp_path, number):
    """The whole process group hears Ctrl-C, as in a terminal."""
    (tmp_path / "run.py").write_text(SCRIPT, encoding="utf-8")
    config = tmp_path / "config.yaml"
    out = tmp_path / "out"
    long = PPO | {"steps": 50_000_000}
    save_benchmark(
        validated_benchmark(
            SMALL | {"seeds": [0], "tasks": {"Bidding": {"learners": {"PPO": long}}}}
        ),
        config,
    )
    process = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", config, out],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = out / "runs" / "Bidding" / "PPO-seed0" / "metrics.jsonl"
    until = time.monotonic() + 60
    while not (log.is_file() and log.stat().st_size) and time.monotonic() < until:
        time.sleep(0.1)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert (process.returncode, error) == (130, "")
    assert (out / "runs" / "Bidding" / "PPO-seed0" / "checkpoint.pt").is_file()
    assert not list(tmp_path.rglob("*.part"))
    assert {r["agent"] for r in json.loads((out / "summary.json").read_text(encoding="utf-8"))} == {
        "PID",
        "FixedBid",
    }
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["missing"] == [
        "Bidding/PPO-seed0"
    ]


# Reproducing
# --------------------------------------------------------------------------------------------------


def committed_copy(folder, target):
    """What a repository keeps of a benchmark: no runs, only the best learner's policy."""
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("runs"))
    return target


def quiet():
    return Console(file=io.StringIO())


@pytest.mark.slow
def test_committed_rows_are_made_again_from_what_is_committed(finished, tmp_path, monkeypatch):
    committed = committed_copy(finished[1], tmp_path / "committed")
    monkeypatch.setattr(execute_module, "_train", None)
    found = reproduce(committed, tmp_path / "again", quiet(), ["Bidding"], where=HERE)
    assert found.same == ["Bidding/FixedBid", "Bidding/PID", "Bidding/PPO"]
    assert found.different == {}
    [taken] = found.taken  # of the two runs one has its policy committed; the other is taken over
    best = load_policy(committed / "best" / "Bidding").description["seed"]
    assert taken == f"Bidding/PPO-seed{1 - best}"
    assert f"Bidding/PPO-seed{best}" in found.played


@pytest.mark.slow
def test_a_row_made_again_alone_keeps_its_shares(tmp_path, monkeypatch):
    """The references it is measured against are taken from what is committed."""
    monkeypatch.setitem(
        execute_module.REFERENCES,
        "clairvoyant",
        lambda spec: {"score": 1e5 + spec.seeds.astype(float)},
    )
    tasks = {"Bidding": {"references": {"clairvoyant": {"chunk": 4}}}}
    run(validated_benchmark(SMALL | {"tasks": tasks}), tmp_path / "out")
    committed = committed_copy(tmp_path / "out", tmp_path / "committed")
    monkeypatch.setitem(execute_module.REFERENCES, "clairvoyant", None)
    found = reproduce(committed, tmp_path / "again", quiet(), ["Bidding"], ["PID"], HERE)
    assert (found.same, found.different, found.played) == (
        ["Bidding/PID"],
        {},
        ["Bidding/nothing-seed0", "Bidding/PID-seed0"],
    )


@pytest.mark.slow
def test_retraining_gives_the_committed_row(finished, tmp_path):
    committed = committed_copy(finished[1], tmp_path / "committed")
    found = reproduce(
        committed, tmp_path / "again", quiet(), ["Bidding"], ["PPO"], HERE, retrain=True
    )
    assert (found.same, found.different, found.taken) == (["Bidding/PPO"], {}, [])


def test_a_wrong_committed_row_is_found(finished, tmp_path):
    committed = committed_copy(finished[1], tmp_path / "committed")
    rows = json.loads((committed / "summary.json").read_text(encoding="utf-8"))
    for row in rows:
        row["iqm"] *= 1.001 if row["agent"] == "PID" else 1
    (committed / "summary.json").write_text(json.dumps(rows), encoding="utf-8")
    found = reproduce(committed, tmp_path / "again", quiet(), ["Coupon"], where=HERE)
    assert found.same == ["Coupon/FixedBid"]
    assert list(found.different) == ["Coupon/PID"]
    assert "iqm" in found.different["Coupon/PID"]


def test_the_committed_folder_is_never_written_to(finished):
    with pytest.raises(ValueError, match="name another folder"):
        reproduce(finished[1], finished[1], quiet(), where=HERE)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(check=True, quick=True), "neither --quick nor --config"),
        (Request(retrain=True), "--retrain goes with --check"),
    ],
)
def test_options_that_do_not_go_together(request_, words):
    with pytest.raises(ValueError, match=words):
        run_request(request_, quiet(), HERE, Options())


@pytest.mark.slow
def test_exit_codes_of_the_command(finished, tmp_path):
    committed = committed_copy(finished[1], tmp_path / "committed")
    request = Request(tasks=["Coupon"], out=tmp_path / "again", check=True, against=committed)
    assert run_request(request, quiet(), HERE, Options()) == 0
    (committed / "summary.json").write_text("[]", encoding="utf-8")
    assert run_request(request, quiet(), HERE, Options()) == 1


# The configuration
# --------------------------------------------------------------------------------------------------


def test_shipped_benchmark_is_usable():
    config = load_benchmark()
    assert set(config.tasks) == {"Bidding", "Allocation", "Coupon", "SuperPlan", "WholeShop"}
    assert config.episodes >= 256
    assert len(config.seeds) == 5
    small = quick(config)
    assert small.episodes == 16
    assert len(plan_runs(small)) < len(plan_runs(config))
    assert (
        yaml.safe_load((FOLDER / "benchmark.yaml").read_text(encoding="utf-8"))["tasks"].keys()
        == config.tasks.keys()
    )


def test_a_quick_benchmark_shortens_a_start_as_well():
    learner = PPO | {
        "actor": "apg",
        "start": {"steps": 9_000_000, "num_envs": 256},
        "hidden": [16, 16],
        "training_env": {},
    }
    plan = {"rules": [], "learners": {"PPO": learner}}
    small = quick(validated_benchmark({"tasks": {"Bidding": plan}}))
    settings = small.tasks["Bidding"].learners["PPO"]
    assert isinstance(settings, PPOSettings)
    assert settings.start is not None
    assert (settings.start.steps, settings.start.num_envs) == (100_000, 64)


def test_defaults_are_shared_and_null_takes_away():
    config = validated_benchmark(
        {
            "defaults": {"rules": ["PID"], "learners": {"PPO": PPO, "SAC": {"algorithm": "SAC"}}},
            "tasks": {
                "Bidding": {"learners": {"PPO": {"steps": 5}, "SAC": None}},
                "Coupon-v0": {"rules": []},
            },
        }
    )
    assert list(config.tasks["Bidding"].learners) == ["PPO"]
    assert config.tasks["Bidding"].learners["PPO"].steps == 5
    assert config.tasks["Bidding"].learners["PPO"].model_dump()["hidden"] == [8]
    assert config.tasks["Bidding"].rules == ["PID"]
    assert list(config.tasks["Coupon"].learners) == ["PPO", "SAC"]
    assert config.tasks["Coupon"].rules == []


def test_a_shared_learner_stands_on_the_rule_of_its_own_task():
    settings = PPO | {"training_env": {"rule": "PID", "rule_task": "{task}"}}
    config = validated_benchmark(
        SMALL
        | {"defaults": {"learners": {"Residual": settings}}, "tasks": {"Bidding": {}, "Coupon": {}}}
    )
    for task, plan in config.tasks.items():
        env = plan.learners["Residual"].training_env
        assert env is not None
        assert env.rule_task == task


def test_a_learner_is_trained_again_when_its_rule_is_tuned_anew(monkeypatch):
    settings = PPO | {"training_env": {"rule": "PID", "rule_task": "Bidding"}}
    config = validated_benchmark(
        SMALL | {"tasks": {"Bidding": {"learners": {"Residual": settings}}}}
    )
    before = identified(plan_runs(config)[-1]).training
    assert identified(plan_runs(config)[-1]).training == before
    monkeypatch.setattr(settings_module, "tuned_parameters", lambda rule, task: {"depth": 0.01})
    assert identified(plan_runs(config)[-1]).training != before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"episodes": 1}, "episodes is 1"),
        ({"seeds": [0, 0]}, "named once"),
        ({"tasks": {"Nope": {}}}, "task is 'Nope'"),
        ({"tasks": {"Bidding": {"rules": ["Nope"]}}}, "unknown rules Nope; allowed are"),
        (
            {"tasks": {"Bidding": {"references": {"oracle": {}}}}},
            "unknown references oracle; allowed are",
        ),
        (
            {"tasks": {"Bidding": {"references": {"clairvoyant": {"options": {"depth": 1}}}}}},
            "unknown options of clairvoyant depth",
        ),
        (
            {"tasks": {"Bidding": {"learners": {"PID": PPO}, "rules": ["PID"]}}},
            "a learner is called 'PID'",
        ),
        ({"tasks": {"Bidding": {"learners": {"../x": PPO}}}}, "a learner is called '../x'"),
        (
            {"tasks": {"Bidding": {"final": {"agents": ["PIDD"], "episodes": 24}}}},
            "unknown agents in final PIDD; allowed are",
        ),
        (
            {"tasks": {"Bidding": {"final": {"agents": ["PID"], "episodes": 4}}}},
            "tasks.Bidding.final.episodes is 4",
        ),
        ({"tasks": {"Bidding": {"surprise": 1}}}, "tasks.Bidding.surprise is 1"),
        ({"tasks": {"Bidding": 3}}, "tasks.Bidding is 3"),
        ({"defaults": 3}, "defaults is 3"),
        ({"tasks": {}}, "tasks is {}"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(change, words):
    with pytest.raises(ConfigError) as problem:
        validated_benchmark(SMALL | change)
    assert words in str(problem.value)


def test_unknown_names_are_said_in_a_sentence(tmp_path):
    config = validated_benchmark(SMALL)
    with pytest.raises(ValueError, match="unknown tasks SuperPlan; allowed are Bidding, Coupon"):
        plan_runs(config, ["SuperPlan"])
    with pytest.raises(ValueError, match="unknown agents SAC; allowed are PID, FixedBid, PPO"):
        plan_runs(config, None, ["SAC"])
    with pytest.raises(ConfigError, match="no such configuration"):
        load_benchmark(tmp_path / "none.yaml")


def test_short_runs_come_first_then_the_longest():
    specs = plan_runs(
        validated_benchmark(
            SMALL | {"tasks": {"Bidding": {"learners": {"A": PPO, "B": PPO | {"steps": 10_000}}}}}
        )
    )
    assert [spec.agent for spec in specs[-4:]] == ["B", "B", "A", "A"]
    assert {spec.kind for spec in specs[:-4]} == {"rule", "reference"}


@pytest.mark.slow
def test_learning_is_drawn_where_it_was_trained(finished):
    _, folder, _ = finished
    drawn = sorted(path.name for path in (folder / "figures").glob("*-learning.png"))
    assert drawn == ["Bidding-learning.png"]
