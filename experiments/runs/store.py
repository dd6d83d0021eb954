"""What runs leave on disk: an .npz of figures for each, and the folder of a training.

The files of figures lie in `cells/`, the first name of what is called a run now: committed evidence
lies there and is never moved.
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...envs.files import whole_file
from .spec import RunSpec

FIGURES_FOLDER = "cells"
RUNS_FOLDER = "runs"
FACTS = "facts"

Figures = dict[str, np.ndarray]


class RunResult(NamedTuple):
    """What a finished run left on disk."""

    figures: Figures  # each (episodes,)
    facts: dict[str, Any]  # fingerprint, seconds, environment steps


def pack(figures: Figures, facts: dict[str, Any]) -> bytes:
    """An .npz of the figures, the facts beside them as JSON text."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **{FACTS: np.array(json.dumps(facts)), **figures})
    return out.getvalue()


def unpack(data: bytes) -> RunResult:
    """What `pack` packed; raises ValueError for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
        facts = json.loads(str(arrays.pop(FACTS)))
    except (KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"not the result of a run: {error}") from None
    return RunResult(arrays, facts)


def figures_path(folder: Path, spec: RunSpec) -> Path:
    """The file of a run's figures."""
    return folder / FIGURES_FOLDER / f"{spec.name}.npz"


def training_folder(folder: Path, spec: RunSpec) -> Path:
    """The folder of a run's training: policy, log, checkpoint."""
    return folder / RUNS_FOLDER / spec.name


def write_run(folder: Path, spec: RunSpec, data: bytes) -> None:
    """Keep a run's figures; the file appears whole or not at all."""
    path = figures_path(folder, spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        draft.write_bytes(data)


def read_run(folder: Path, spec: RunSpec) -> RunResult | None:
    """A run's figures from disk; None if there are none that can be read and were made by the same
    run. The run must be `identified`.
    """
    try:
        result = unpack(figures_path(folder, spec).read_bytes())
    except (OSError, ValueError):
        return None
    fits = (
        all(values.shape == (spec.episodes,) for values in result.figures.values())
        and "score" in result.figures
    )
    return result if fits and result.facts.get("fingerprint") == spec.fingerprint else None
