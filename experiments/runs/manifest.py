"""What a result was made by: code, versions, machine, scenario, seeds and time."""

import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from ...envs import Scenario
from ...envs.files import whole_file

PACKAGES = (
    "chengfang",
    "gymnasium",
    "stable-baselines3",
    "numpy",
    "numba",
    "torch",
    "pydantic",
    "wandb",
    "matplotlib",
)


def manifest(scenario: Scenario, **facts: Any) -> dict[str, Any]:
    """Everything needed to make a result again."""
    return {
        "scenario": scenario.name,
        "scenario_hash": scenario.hash,
        "code": code_version(),
        "versions": versions(),
        "python": platform.python_version(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        **facts,
    }


def versions() -> dict[str, str]:
    """Versions of the packages results depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code_version() -> str:
    """Commit of the checkout, with `+changes` when files other than results differ from it;
    `unknown` outside a checkout.
    """
    root = Path(__file__).resolve().parent.parent.parent
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit + (
            "+changes"
            if _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
            else ""
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=20
    ).stdout.strip()


def write_json(path: Path, data: Any, indent: int | None = 2) -> None:
    """Write JSON so that the file appears whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(data, indent=indent) + "\n", encoding="utf-8")
