"""Which code made a run: a digest of the sources of its kind that comments and docstrings do not
change.

A run's fingerprint sees the world and the rules by what they do. What a training or a search does
cannot be tried out in a moment, so their sources are noted beside the figures, and a benchmark that
goes on with other sources says so.
"""

import ast
import functools
import hashlib
from pathlib import Path

from ..analysis.results import Kind

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES: dict[Kind, tuple[str, ...]] = {
    "rule": (),
    "learner": (
        "agents/learners/**/*.py",
        "agents/wrappers/*.py",
        "agents/rules/**/*.py",
        "envs/api/sb3_vec_env.py",
        "envs/market/adjoint/**/*.py",
    ),
    "shift": (
        "agents/learners/shifts/*.py",
        "agents/rules/**/*.py",
        "envs/market/adjoint/**/*.py",
    ),
    "reference": ("agents/references/**/*.py", "agents/rules/**/*.py"),
    "own": (),  # its own source is in its fingerprint
}
REPORTS = ("experiments/analysis/*.py",)


@functools.lru_cache
def code_digest(kind: Kind) -> str:
    """Digest of the code that makes runs of a kind; the same after a change of comments,
    docstrings or layout.
    """
    return _digest(SOURCES[kind])


@functools.lru_cache
def report_digest() -> str:
    """Digest of the code that makes a task's report of its runs."""
    return _digest(REPORTS)


def _digest(patterns: tuple[str, ...]) -> str:
    paths = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return hashlib.sha256(
        "".join(bare(path.read_text(encoding="utf-8")) for path in paths).encode()
    ).hexdigest()[:12]


def bare(source: str) -> str:
    """A module's syntax without comments, docstrings and positions."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
