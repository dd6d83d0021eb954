"""What engine, rules and committed policies did when `tests/recorded` was written, they do now."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "recorded"
ROUNDING = 2e-5  # actions: processors differ in the last bits of matrix products and exponentials


@pytest.fixture(scope="module")
def record() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chengfang_record", FOLDER / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_trajectories_are_the_same_bits(record: ModuleType) -> None:
    """All ids, single, vector and VecEnv, every reward, sampled and in expectation."""
    recorded = json.loads((FOLDER / "trajectories.json").read_text(encoding="utf-8"))
    now = record.trajectories()
    assert {name for name in recorded if now.get(name) != recorded[name]} == set()
    assert set(now) == set(recorded)


def test_rules_and_committed_policies_act_the_same(record: ModuleType) -> None:
    """Every rule with its own and its tuned values, and the best learner of every task."""
    recorded = np.load(FOLDER / "actions.npz", allow_pickle=False)
    now = record.actions()
    assert set(now) == set(recorded)
    moved = {
        name: float(np.abs(now[name] - recorded[name]).max())
        for name in recorded
        if not np.allclose(now[name], recorded[name], rtol=0, atol=ROUNDING)
    }
    assert moved == {}
