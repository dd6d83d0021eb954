"""Agents of the user's own in a benchmark: among committed rows, trained per seed, or broken."""

import io
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from chengfang.agents.guard import AgentError
from chengfang.experiments.benchmark import command
from chengfang.experiments.benchmark.command import Request, run_request
from chengfang.experiments.benchmark.committed import EVIDENCE, task_runs
from chengfang.experiments.benchmark.config import load_benchmark, validated_benchmark
from chengfang.experiments.benchmark.config_file import ConfigError
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.benchmark.run import Finished, Where, benchmark
from chengfang.experiments.runs import execute as execute_module
from chengfang.experiments.runs.fingerprint import identified
from chengfang.experiments.runs.pool import Options
from chengfang.experiments.runs.ray_pool import RayError
from chengfang.experiments.runs.spec import FIGURES
from chengfang.experiments.runs.store import unpack
from rich.console import Console

NUMBER = itertools.count()
HERE = Where(0)
AGENTS = """
from pathlib import Path
import numpy as np

class Steady:
    def __init__(self, spec=None, level=LEVEL):
        self.levers = len(spec.levers) if spec else 4
        self.level = level

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        tick = 0 if state is None else state
        if tick == FAILS_AT:
            raise RuntimeError("out of ideas")
        return np.full((len(observation), self.levers), self.level, np.float32), tick + 1

def train(task, seed, folder, steps):
    (Path(folder) / "note.txt").write_text(f"{task} {seed} {steps}")
    return Steady(level=0.1 * seed)

def forgets(seed):
    pass
"""
PPO = {
    "algorithm": "PPO",
    "num_envs": 16,
    "steps": 16 * 24 * 2,
    "n_steps": 12,
    "batch_size": 96,
    "n_epochs": 1,
    "hidden": [8],
}
COMMITTED = {
    "episodes": 8,
    "seeds": [0],
    "tasks": {
        "Bidding": {
            "rules": ["PID", "FixedBid"],
            "learners": {"PPO": PPO},
            "references": {"clairvoyant": {"chunk": 4}},
        }
    },
}


def clairvoyant(spec):
    figures = {name: np.ones(spec.episodes) for name in FIGURES}
    return figures | {"score": 1e5 + spec.seeds.astype(float)}


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(execute_module.REFERENCES, "clairvoyant", clairvoyant)


def module(level=0.0, fails_at=-1):
    """A file of agents in the working directory; its module's name is nobody else's."""
    name = f"benchmark_own_{os.getpid()}_{next(NUMBER)}"
    text = AGENTS.replace("LEVEL", str(level)).replace("FAILS_AT", str(fails_at))
    Path(f"{name}.py").write_text(text)
    return name


def run(config, folder, where=HERE, **keywords):
    lines = io.StringIO()
    console = Console(file=lines, width=200)
    made = benchmark(config, folder, console, where=where, **keywords)
    return made, lines.getvalue()


def with_agents(agents):
    task = COMMITTED["tasks"]["Bidding"] | {"agents": agents}
    return validated_benchmark(COMMITTED | {"tasks": {"Bidding": task}})


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """A committed benchmark: reports, and figures of references only, as in a repository."""
    folder = tmp_path_factory.mktemp("evidence") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(execute_module.REFERENCES, "clairvoyant", clairvoyant)
        run(validated_benchmark(COMMITTED), folder)
    for path in (folder / "cells").rglob("*-seed*.npz"):
        path.unlink()
    shutil.rmtree(folder / "runs")
    return folder


def rows_of(folder):
    rows = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    return {row["agent"]: row for row in rows}


# Among the committed rows
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_committed_rows_are_taken_and_only_the_comparison_is_played(evidence, tmp_path):
    config = with_agents({"Mine": {"policy": f"{module()}:Steady"}})
    made, text = run(config, tmp_path / "out", evidence=evidence)
    assert sorted(path.name for path in (tmp_path / "out/cells").rglob("*.npz")) == [
        "Mine-seed0.npz",
        f"{best_rule(evidence)}-seed0.npz",
        "nothing-seed0.npz",
    ]
    assert (made.ran, made.missing) == (3, [])
    assert "4 rows are taken as committed" in text
    rows = rows_of(tmp_path / "out")
    mine = rows.pop("Mine")
    assert rows == rows_of(evidence)
    assert mine["kind"] == "own"
    assert mine["share_of_clairvoyant"] is not None
    texts = (tmp_path / "out" / "results.md").read_text(encoding="utf-8")
    [said] = [text for text in texts.splitlines() if text.startswith("Paired") and "Mine" in text]
    assert f" the best rule, {best_rule(evidence)}" in said
    assert "| **Mine** | own |" in texts
    again, _ = run(config, tmp_path / "out", evidence=evidence)
    assert (again.ran, again.rows) == (0, made.rows)


def best_rule(folder):
    rules = [row for row in rows_of(folder).values() if row["kind"] == "rule"]
    return max(rules, key=lambda row: row["iqm"])["agent"]


@pytest.mark.slow
def test_the_row_is_that_of_a_benchmark_that_plays_everything(evidence, tmp_path):
    config = with_agents({"Mine": {"policy": f"{module(0.1)}:Steady"}})
    taken, _ = run(config, tmp_path / "taken", evidence=evidence)
    played, _ = run(config, tmp_path / "played", evidence=None)
    assert played.ran == 7
    assert taken.rows == played.rows
    assert taken.reports[0].verdict.own == played.reports[0].verdict.own
    assert taken.reports[0].verdict.gain == played.reports[0].verdict.gain
    reports = [
        json.loads((tmp_path / name / "tasks" / "Bidding.json").read_text())
        for name in ("taken", "played")
    ]
    for row in (*reports[0]["rows"], *reports[1]["rows"]):
        row.pop("cpu_seconds")  # never the same
    for name in ("rows", "gain", "improvements", "profiles", "own"):
        assert reports[0][name] == reports[1][name], name


@pytest.mark.slow
def test_a_committed_benchmark_as_it_is_plays_nothing(evidence, tmp_path):
    made, _ = run(validated_benchmark(COMMITTED), tmp_path / "out", evidence=evidence)
    assert made.ran == 0
    assert rows_of(tmp_path / "out") == rows_of(evidence)


def test_nothing_is_taken_for_other_merchants(evidence):
    other = validated_benchmark(COMMITTED | {"test_seed": 3})
    planned = [identified(spec) for spec in plan_runs(other)]
    runs = task_runs("Bidding", planned, evidence)
    assert runs.taken is None
    assert runs.to_play == planned


@pytest.mark.slow
def test_changed_code_is_played_again(evidence, tmp_path):
    name = module()
    config = with_agents({"Mine": {"policy": f"{name}:Steady"}})
    run(config, tmp_path / "out", evidence=evidence)
    text = Path(f"{name}.py").read_text()
    Path(f"{name}.py").write_text(text + "# a comment more\n")
    made, _ = run(config, tmp_path / "out", evidence=evidence)
    assert made.ran == 1


# Its configuration
# --------------------------------------------------------------------------------------------------


def test_agents_alone_stand_on_the_shipped_benchmark():
    """With every fingerprint of the committed runs, so that every committed row is taken."""
    agents = {"Mine": {"policy": f"{module()}:Steady"}}
    config = validated_benchmark({"agents": agents, "tasks": {"Bidding": {}, "Coupon": None}})
    shipped = load_benchmark()
    for task in ("Bidding", "Coupon"):
        mine = config.tasks[task]
        assert mine.model_copy(update={"agents": {}}) == shipped.tasks[task]
    assert (config.episodes, config.seeds) == (shipped.episodes, shipped.seeds)
    same = validated_benchmark({"defaults": {"agents": agents}, "tasks": {"Bidding": {}}})
    assert same.tasks["Bidding"] == config.tasks["Bidding"]
    planned = [identified(spec) for spec in plan_runs(same)]
    runs = task_runs("Bidding", planned)
    report = json.loads((EVIDENCE / "tasks" / "Bidding.json").read_text(encoding="utf-8"))
    assert runs.taken_agents == {row["agent"] for row in report["rows"]}
    assert [spec.name for spec in runs.to_play] == [
        "Bidding/nothing-seed0",
        "Bidding/OnlineLP-seed0",
        "Bidding/Mine-seed0",
    ]
    assert {spec.episodes for spec in runs.to_play} == {config.episodes}
    assert len(runs.per_episode) == 4 + 16


def test_agents_alone_on_other_merchants_stand_among_the_rules():
    agents = {"Mine": {"policy": "PID"}}
    config = validated_benchmark({"episodes": 16, "agents": agents, "tasks": {"Bidding": {}}})
    plan = config.tasks["Bidding"]
    assert plan.rules == load_benchmark().tasks["Bidding"].rules
    assert (plan.learners, plan.references, plan.final) == ({}, {}, None)


def test_seeds_are_those_of_agents_that_are_trained():
    agents = {"A": {"train": "x:train", "steps": "5e6"}, "B": {"policy": "PID"}}
    config = validated_benchmark({"seeds": [3], "agents": agents, "tasks": {"Bidding": {}}})
    plan = config.tasks["Bidding"]
    assert (plan.agents["A"].steps, plan.agents["A"].seeds) == (5_000_000, [3])
    assert config.seeds == load_benchmark().seeds
    own = [(s.agent, s.seed) for s in plan_runs(config) if s.kind == "own"]
    assert sorted(own) == [("A", 3), ("B", 0)]


@pytest.mark.parametrize(
    ("agents", "words"),
    [
        ({"Mine": {}}, "an agent has either `policy` or `train`"),
        ({"Mine": {"policy": "a:B", "train": "a:b"}}, "an agent has either `policy` or `train`"),
        ({"Mine": {"policy": "a:B", "steps": 5}}, "`steps` and `seeds` go with `train`"),
        ({"Mine": {"train": "a:b", "steps": "many"}}, "steps is 'many'"),
        ({"Mine": {"train": "a:b", "seeds": [1, 1]}}, "named once"),
        ({"PID": {"policy": "a:B"}}, "an agent is called 'PID'"),
        ({"PPO": {"policy": "a:B"}}, "an agent is called 'PPO'"),
        ({"my:agent": {"policy": "a:B"}}, "an agent is called 'my:agent'"),
        (3, "agents is 3"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(agents, words):
    with pytest.raises(ConfigError) as problem:
        with_agents(agents)
    assert words in str(problem.value)


def test_the_committed_task_is_not_changed_by_the_way():
    agents = {"Mine": {"policy": "a:B"}}
    with pytest.raises(ConfigError, match="names days beside agents of your own"):
        validated_benchmark({"agents": agents, "tasks": {"Bidding": {"days": 2}}})


# Trained and played, here and elsewhere
# --------------------------------------------------------------------------------------------------


def small(agents):
    return validated_benchmark(
        {"episodes": 8, "seeds": [0, 2], "tasks": {"Bidding": {"rules": ["PID"], "agents": agents}}}
    )


def figures(folder):
    return {path.name: unpack(path.read_bytes()).figures["score"] for path in folder.rglob("*.npz")}


@pytest.mark.slow
def test_pool_and_one_process_agree(tmp_path):
    name = module(0.2)
    agents = {
        "Mine": {"policy": f"{name}:Steady"},
        "Trained": {"train": f"{name}:train", "steps": 5},
    }
    alone, _ = run(small(agents), tmp_path / "alone")
    beside, _ = run(small(agents), tmp_path / "beside", Where(2))
    assert (alone.failed, beside.failed, alone.ran) == ({}, {}, 5)
    one, two = figures(tmp_path / "alone"), figures(tmp_path / "beside")
    assert one.keys() == two.keys()
    assert all((one[key] == two[key]).all() for key in one)
    assert not (one["Trained-seed0.npz"] == one["Trained-seed2.npz"]).all()
    note = tmp_path / "beside/runs/Bidding/Trained-seed2/note.txt"
    assert note.read_text() == "Bidding 2 5"
    row = next(row for row in alone.rows if row["agent"] == "Trained")
    assert (row["kind"], row["seeds"]) == ("own", 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same_figures(tmp_path):
    ray = pytest.importorskip("ray")
    name = module(0.2)
    agents = {
        "Mine": {"policy": f"{name}:Steady"},
        "Trained": {"train": f"{name}:train", "steps": 5},
    }
    run(small(agents), tmp_path / "alone")
    try:
        made, _ = run(small(agents), tmp_path / "far", Where(ray="local"))
    finally:
        ray.shutdown()
    assert made.failed == {}
    one, two = figures(tmp_path / "alone"), figures(tmp_path / "far")
    assert all((one[key] == two[key]).all() for key in one)
    assert (tmp_path / "far/runs/Bidding/Trained-seed2/note.txt").read_text() == "Bidding 2 5"


# Broken
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("agent", "words"),
    [
        ({"policy": "{}:Steady"}, "on Bidding, tick 17: RuntimeError: out of ideas"),
        ({"train": "{}:forgets"}, "Mine on Bidding: None has no predict"),
        ({"train": "{}:train"}, "Mine on Bidding: {}:train takes steps; say how many"),
    ],
)
def test_a_broken_agent_is_a_failed_run_and_one_sentence(tmp_path, agent, words):
    name = module(fails_at=17)
    config = small({"Mine": {key: value.format(name) for key, value in agent.items()}})
    made, text = run(config, tmp_path / "out")
    assert all(run.startswith("Bidding/Mine-seed") for run in made.failed)
    assert made.failed
    assert made.own_failed
    assert words.format(name) in text
    assert "Traceback" not in text
    assert [row["agent"] for row in made.rows] == ["PID"]
    assert "Traceback" in (tmp_path / "out/errors/Bidding/Mine-seed0.txt").read_text()


def test_exit_code_of_a_broken_agent_is_2_and_finished_runs_are_kept(tmp_path):
    Path("mine.yaml").write_text(
        json.dumps(
            {
                "episodes": 4,
                "defaults": {"rules": ["PID"]},
                "agents": {"Mine": {"policy": f"{module(fails_at=3)}:Steady"}},
                "tasks": {"Bidding": {}},
            }
        )
    )
    console = Console(file=io.StringIO())
    code = run_request(Request(Path("mine.yaml")), console, HERE, Options())
    assert code == 2
    assert (tmp_path / "results/mine/cells/Bidding/PID-seed0.npz").is_file()


def test_a_missing_module_is_said_before_anything_is_played(tmp_path):
    words = "nowhere_at_all:Agent on Bidding: there is no module nowhere_at_all"
    with pytest.raises(AgentError, match=words):
        run(small({"Mine": {"policy": "nowhere_at_all:Agent"}}), tmp_path / "out")


def test_a_missing_ray_is_said_before_the_plan(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = io.StringIO()
    Path("mine.yaml").write_text('{"defaults": {"rules": ["PID"]}, "tasks": {"Bidding": {}}}')
    with pytest.raises(RayError, match="Ray is not installed"):
        run_request(Request(Path("mine.yaml")), Console(file=said), Where(ray="auto"), Options())
    assert said.getvalue() == ""


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        (1, "1 run of the configuration is not finished; "),
        (2, "2 runs of the configuration are not finished; "),
    ],
)
def test_unfinished_runs_are_counted(monkeypatch, runs, words):
    made = Finished([], {}, ["Bidding/PID-seed0"] * runs, 0)
    monkeypatch.setattr(command, "benchmark", lambda *_: made)
    said = io.StringIO()
    run_request(Request(), Console(file=said, width=200), HERE, Options())
    assert words in said.getvalue()
