"""Runs on a Ray cluster: the figures of one process, with a node killed half-way, and errors in
sentences.
"""

import os
import time
from dataclasses import replace

import pytest
from chengfang.experiments.benchmark.config import validated_benchmark
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.runs import ray_pool
from chengfang.experiments.runs.fingerprint import identified
from chengfang.experiments.runs.pool import attempt, run_serial
from chengfang.experiments.runs.ray_pool import RayError, run_ray
from chengfang.experiments.runs.store import unpack

PPO = {
    "algorithm": "PPO",
    "num_envs": 16,
    "steps": 16 * 24 * 4,
    "n_steps": 12,
    "batch_size": 96,
    "n_epochs": 2,
    "hidden": [8],
}
CONFIG = {
    "episodes": 8,
    "seeds": [0],
    "tasks": {"Bidding": {"rules": ["PID", "FixedBid"], "learners": {"PPO": PPO}}},
}
SLOW = 2  # seconds that a run takes on the cluster: long enough to lose its node meanwhile


def planned(config=CONFIG):
    return [identified(spec) for spec in plan_runs(validated_benchmark(config))]


def same(left, right):
    return left.keys() == right.keys() and all((left[name] == right[name]).all() for name in left)


def test_a_missing_ray_is_said_in_one_sentence(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(RayError, match=r"pip install 'chengfang\[ray\]'"):
        next(run_ray(planned(), "auto"))


def test_no_cluster_is_said_in_one_sentence():
    pytest.importorskip("ray")
    with pytest.raises(RayError, match=r"--ray is '127\.0\.0\.1:1'"):
        next(run_ray(planned(), "127.0.0.1:1"))


def test_a_node_that_gives_other_figures_refuses(tmp_path):
    spec = replace(planned()[0], fingerprint="another")
    outcome = ray_pool._on_node(ray_pool._Attempt(attempt, ray_pool.PLAIN, {}), spec)
    assert outcome.data is None
    assert "install the same chengfang on every node" in outcome.error


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::FutureWarning",
    "ignore::DeprecationWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)  # Ray's own
def test_a_node_killed_half_way_changes_nothing(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    specs = planned()
    starts = tmp_path / "starts"
    lost = []
    alone = {outcome.spec.name: outcome for outcome in run_serial(specs, tmp_path / "alone")}
    starts.mkdir()

    def slow(spec, folder, on_progress, options):
        node = ray.get_runtime_context().get_node_id()
        (starts / f"{spec.name.replace('/', ':')},{node},{os.getpid()},{time.time_ns()}").touch()
        time.sleep(SLOW)
        return attempt(spec, folder, on_progress, options)

    def just_started(node):
        """Runs whose work on a node began within the last half second."""
        started = [path.name.split(",") for path in starts.iterdir()]
        return [
            name
            for name, where, _, stamp in started
            if where == node and time.time_ns() - int(stamp) < 5e8
        ]

    health = {
        "health_check_period_ms": 1000,
        "health_check_timeout_ms": 3000,
        "health_check_failure_threshold": 3,
    }
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": 80_000_000, "_system_config": health},
    )  # a lost node is missed sooner
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=80_000_000) for _ in range(2)]
        ray.init(
            address=cluster.address,
            log_to_driver=False,
            logging_level="ERROR",
            configure_logging=False,
        )
        there = {}
        assert cluster.address is not None
        for outcome in run_ray(specs, cluster.address, attempt=slow):
            there[outcome.spec.name] = outcome
            if len(there) == 1:  # half-way: kill a node that is at work
                until = time.monotonic() + 20
                while not (lost := just_started(nodes[0].node_id)) and time.monotonic() < until:
                    time.sleep(0.02)
                cluster.remove_node(nodes[0], allow_graceful=False)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert lost
    again = [path.name.split(",")[0] for path in starts.iterdir()]
    assert all(again.count(name) > 1 for name in lost)
    assert there.keys() == alone.keys()
    for name, outcome in there.items():
        assert outcome.error == ""
        here = alone[name]
        assert outcome.data is not None
        assert here.data is not None
        assert same(unpack(outcome.data).figures, unpack(here.data).figures)
    weights = (
        tmp_path / "alone" / "runs" / "Bidding" / "PPO-seed0" / "policy.safetensors"
    ).read_bytes()
    assert there["Bidding/PPO-seed0"].files["policy.safetensors"] == weights
