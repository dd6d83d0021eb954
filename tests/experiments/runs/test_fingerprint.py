"""Fingerprints: what was committed is recognised, whatever its settings are called now."""

import json
from pathlib import Path

import chengfang
import pytest
from chengfang.experiments.benchmark.config import load_benchmark
from chengfang.experiments.benchmark.plan import plan_runs
from chengfang.experiments.runs.fingerprint import identified

EVIDENCE = Path(chengfang.__file__).parent / "results" / "benchmark"


@pytest.fixture(scope="module")
def planned():
    """The committed configuration's runs as they are fingerprinted now."""
    return {spec.name: identified(spec) for spec in plan_runs(load_benchmark(EVIDENCE))}


@pytest.mark.slow
def test_every_committed_run_is_recognised(planned):
    manifest = json.loads((EVIDENCE / "manifest.json").read_text(encoding="utf-8"))
    reports = [json.loads(path.read_text()) for path in sorted((EVIDENCE / "tasks").glob("*"))]
    for cells in (manifest["cells"], *(report["cells"] for report in reports)):
        known = {name: facts["fingerprint"] for name, facts in cells.items()}
        assert {name: planned[name].fingerprint for name in known} == known
        trained = {name: facts["training"] for name, facts in cells.items() if "training" in facts}
        assert {name: planned[name].training for name in trained} == trained
    assert planned.keys() == manifest["cells"].keys()


@pytest.mark.slow
def test_the_shipped_configuration_plans_the_committed_runs(planned):
    """But for the bounds of long tasks, which are no longer computed."""
    shipped = {spec.name: identified(spec).fingerprint for spec in plan_runs(load_benchmark())}
    dropped = ("SuperPlan/upper_bound", "WholeShop/upper_bound")
    assert shipped == {
        name: spec.fingerprint for name, spec in planned.items() if not name.startswith(dropped)
    }
