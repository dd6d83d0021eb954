"""What a study writes down: every trial while it runs, the best of them when it is over."""

import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.files import whole_file
from .trial_merchants import Trial, TrialMerchants

Figures = dict[str, float]


class TrialLog:
    """Every trial of a running study, one JSON line each, so that an interrupted study goes on
    where it was.
    """

    def __init__(self, path: Path):
        self.path = path
        self._known: dict[str, dict[str, Any]] = {}
        self.cpu_seconds = 0.0  # of the trials scored so far, in whichever call
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:  # being written when the study was stopped
                    break
                self._known[entry["key"]] = entry

    def scored(self, key: str, parameters: dict[str, float], merchants: TrialMerchants) -> Figures:
        """Figures of a setting: remembered if this very setting was the trial before, else
        simulated and noted.
        """
        entry = self._known.get(key)
        if entry and entry["parameters"] == parameters and entry["steps"] == merchants.steps:
            self.cpu_seconds += entry.get("cpu_seconds", 0.0)
            return entry["figures"]
        begin = time.process_time()
        figures = merchants.score(parameters)
        seconds = time.process_time() - begin
        self.cpu_seconds += seconds
        entry = {
            "key": key,
            "steps": merchants.steps,
            "parameters": parameters,
            "figures": figures,
            "cpu_seconds": round(seconds, 4),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        return figures


def write_trials(
    path: Path, names: list[str], trials: list[Trial], finals: list[tuple[Trial, Figures]]
) -> None:
    """Write the trials that were the best so far of their stage, and the finalists with their score
    on the check merchants, as CSV.
    """
    best: dict[str, float] = {}
    with whole_file(path) as draft, draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "stage", "score", "violation_rate", *names])
        for trial in trials:
            if trial.value > best.get(trial.stage, -np.inf):
                best[trial.stage] = trial.value
                writer.writerow(_row(trial, trial.stage, trial.value, trial.violation))
        for trial, figures in finals:
            writer.writerow(_row(trial, "check", figures["score"], figures["violation_rate"]))


def _row(trial: Trial, stage: str, score: float, violation: float) -> list[Any]:
    values = trial.parameters.values()
    return [trial.number, stage, f"{score:.6f}", f"{violation:.4f}", *values]
