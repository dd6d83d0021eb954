"""Shared by all tests: the plain reference of a tick and the rig that drives the compiled engine
directly.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

REFERENCE = Path(__file__).parent / "reference"


def _load(name: str) -> ModuleType:
    """Import tests/reference/<name>.py under a name of its own (tests are no package)."""
    full = f"chengfang_reference_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, REFERENCE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def plain() -> ModuleType:
    """The plain float64 reference of one tick."""
    return _load("plain_tick")


@pytest.fixture(scope="session")
def harness() -> ModuleType:
    """`Rig` and `random_scenario`."""
    return _load("harness")
