"""A cell of the benchmark: one agent on one task with one seed, and what running it gives.

A cell is plain data and `run_cell` a function of it alone, so that it does not matter where or when
a cell runs. Its figures are kept with a fingerprint of everything that decides them; a file with
another fingerprint is never trusted.
"""

import functools
import hashlib
import inspect
import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from ...agents import Policy, make_rule, plan_spec
from ...agents.learners import load_policy
from ...agents.learners.settings import LearnerSettings
from ...agents.rules.tuned import tuned_parameters
from ...envs import Market, Setting, load_scenario
from ...envs.files import whole_file
from ..analysis.results import Kind
from .code_digest import code_digest
from .evaluate import evaluate, play_noop
from .manifest import write_json
from .recipe_names import recipe_names
from .tracking import Mode, read_metrics

# raise it to run every cell again: when the code of learners or references changes what all of them
# find
RECIPE = 1
BLOCK = 4096  # episodes played at once; bounds the memory of an evaluation
PROBE_TICKS = 48
FIGURES = (
    "score",
    "settled_gmv",
    "gmv",
    "spend",
    "budget",
    "coupon_cost",
    "coupon_budget",
    "overall_cost",
    "roi",
    "roi_target",
    "profit",
    "platform_take",
    "violated",
    "shortfall",
    "budget_use",
)
FACTS = "facts"
FINISHED = "finished.json"

Figures = dict[str, np.ndarray]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Cell:
    """What is run, complete: the scenario and every setting are spelled out."""

    task: str  # short name
    agent: str  # unique within the task
    kind: Kind
    seed: int  # training seed; 0 for rules and references
    scenario: dict[str, Any]  # every number
    levers: tuple[str, ...]
    days: int
    options: dict[
        str, Any
    ]  # rule: name and parameters; learner: its settings; reference: its settings
    test_seed: int  # first stream of the held-out episodes
    episodes: int
    part: int | None = None  # of an agent whose episodes are split among cells

    @property
    def name(self) -> str:
        """Where its files are: task/agent-seedK, or task/agent-partK."""
        return f"{self.task}/{self.agent}-" + (
            f"seed{self.seed}" if self.part is None else f"part{self.part}"
        )

    @property
    def seeds(self) -> np.ndarray:
        """(episodes,) streams of its held-out episodes."""
        return np.arange(self.test_seed, self.test_seed + self.episodes)

    def setting(self, split: str = "test") -> Setting:
        """What is played."""
        return Setting(load_scenario(self.scenario), self.levers, self.days, split)


class CellResult(NamedTuple):
    """What a finished cell left on disk."""

    figures: Figures  # each (episodes,)
    facts: dict[str, Any]  # fingerprint, seconds, environment steps


def run_cell(
    cell: Cell,
    folder: Path,
    tell: Tell = lambda text: None,
    track: Mode = "off",
    go_on: bool = False,
) -> bytes:
    """Run a cell; returns its figures and facts as the bytes of an .npz file.

    Args:
        cell: what to run.
        folder: where a learner keeps its run (policy, log, checkpoint); others leave nothing there.
        tell: hears a few words on the progress of a training.
        track: W&B mode of a training.
        go_on: continue a half-done training from its checkpoint. The same numbers as an undisturbed
            run are only
            certain without it: then a half-done training starts again.

    Raises:
        KeyboardInterrupt: after a learner's checkpoint.
    """
    begin = time.perf_counter()
    figures = _RUN[cell.kind](cell, folder, tell, track, go_on)
    facts = {
        "fingerprint": fingerprint(cell),
        "code": code_digest(cell.kind),
        "seconds": round(time.perf_counter() - begin, 3),
        "steps": steps_of(cell),
    }
    if cell.kind == "learner":
        facts |= {"training": training_fingerprint(cell), **_training_facts(folder)}
    return pack(figures, facts)


def steps_of(cell: Cell) -> int:
    """Environment steps that a cell plays at least: its episodes, and its training."""
    ticks = cell.days * int(cell.scenario["clock"]["ticks_per_day"])
    return cell.episodes * ticks + (int(cell.options["steps"]) if cell.kind == "learner" else 0)


# What decides the figures
# ----------------------------------------------------------------------------------------


def fingerprint(cell: Cell) -> str:
    """Hash of everything that decides a cell's figures: the cell, the engine's behaviour and, for a
    rule, the rule's.
    """
    key = _key(cell)
    data = _decides(cell, key) | {
        "task": cell.task,
        "agent": cell.agent,
        "kind": cell.kind,
        "part": cell.part,
        "test_seed": cell.test_seed,
        "episodes": cell.episodes,
    }
    if cell.kind == "rule":
        data["policy"] = _rule_print(key, json.dumps(cell.options, sort_keys=True))
    return _digest(json.dumps(data, sort_keys=True).encode())


def training_fingerprint(cell: Cell) -> str:
    """Hash of what decides a learner's policy: `fingerprint` without the held-out episodes."""
    return _digest(json.dumps(_decides(cell, _key(cell)), sort_keys=True).encode())


def _decides(cell: Cell, key: str) -> dict[str, Any]:
    scenario, world = _world_print(key)
    data = {
        "options": recipe_names(cell.options),
        "seed": cell.seed,
        "scenario": scenario,
        "levers": cell.levers,
        "days": cell.days,
        "recipe": RECIPE,
        "world": world,
    }
    env = cell.options.get("training_env") or {}
    if env.get("rule"):  # a learner that acts relative to a rule, tuned elsewhere
        tuned = tuned_parameters(env["rule"], env["rule_task"]) if env.get("rule_task") else {}
        rule = {"rule": env["rule"], "parameters": tuned | env.get("rule_parameters", {})}
        data |= {
            "rule": recipe_names(rule),
            "rule_print": _rule_print(key, json.dumps(rule, sort_keys=True)),
        }
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _key(cell: Cell) -> str:
    return json.dumps([cell.scenario, cell.levers, cell.days], sort_keys=True)


def _setting(key: str) -> Setting:
    scenario, levers, days = json.loads(key)
    return Setting(load_scenario(scenario), tuple(levers), days)


@functools.lru_cache(maxsize=256)
def _world_print(key: str) -> tuple[str, str]:
    """A scenario's hash, and what the engine does with four plans and fixed random actions: it
    changes with the world's numbers.
    """
    setting = _setting(key)
    market = Market(setting.scenario, 4, days=setting.days, levers=setting.levers, split="test")
    market.reset(seeds=np.arange(4))
    rng = np.random.default_rng(0)
    for _ in range(market.ticks):
        market.step(rng.uniform(-0.5, 0.5, (4, len(setting.levers))).astype(np.float32))
    plans = market.dashboard()
    return setting.scenario.hash, _digest(
        b"".join(plans[name].tobytes() for name in FIGURES) + market.observations.tobytes()
    )


@functools.lru_cache(maxsize=4096)
def _rule_print(key: str, options: str) -> str:
    """What a rule does on the first ticks of two plans."""
    setting = _setting(key)
    chosen = json.loads(options)
    rule = make_rule(
        chosen["rule"],
        plan_spec(setting),
        **chosen["parameters"],
    )
    market = Market(setting.scenario, 2, days=setting.days, levers=setting.levers, split="test")
    observation = market.reset(seeds=np.arange(2))
    state = None
    start = np.ones(2, bool)
    seen = []
    for _ in range(min(market.ticks, PROBE_TICKS)):
        action, state = rule.predict(observation.copy(), state, start)
        observation = market.step(action)
        start = np.zeros(2, bool)
        seen.append(action.tobytes())
    return _digest(b"".join(seen))


# How each kind runs
# ----------------------------------------------------------------------------------------------


def _rule(cell: Cell, *_: Any) -> Figures:
    setting = cell.setting()
    rule = make_rule(
        cell.options["rule"],
        plan_spec(setting),
        **cell.options["parameters"],
    )
    return judged(rule, cell)


def judged(policy: Policy, cell: Cell) -> Figures:
    """The figures of a policy on a cell's held-out episodes."""
    firsts = range(cell.test_seed, cell.test_seed + cell.episodes, BLOCK)
    blocks = [
        evaluate(
            policy,
            cell.setting(),
            min(BLOCK, cell.test_seed + cell.episodes - first),
            first,
            nothing={},
        ).plans
        for first in firsts
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in FIGURES}


def _learner(cell: Cell, folder: Path, tell: Tell, track: Mode, go_on: bool) -> Figures:
    mark = folder / FINISHED
    if finished_training(folder) != training_fingerprint(cell):
        _train(cell, folder, tell, track, go_on)
        write_json(mark, {"training": training_fingerprint(cell)})
    return judged(load_policy(folder), cell)


def finished_training(folder: Path) -> str:
    """Fingerprint of the finished training in a run's folder; empty if there is none."""
    try:
        return json.loads((folder / FINISHED).read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _train(cell: Cell, folder: Path, tell: Tell, track: Mode, go_on: bool) -> None:
    from .training_job import Job, Note, train_job

    (folder / FINISHED).unlink(missing_ok=True)
    if not go_on and folder.exists():
        shutil.rmtree(folder)  # checkpoint, logs and curves of a run that was never finished
    setting = cell.setting("train")
    origin = {
        "task": cell.task,
        "agent": cell.agent,
        "days": cell.days,
        "scenario": setting.scenario.name,
        "scenario_hash": setting.scenario.hash,
    }
    settings = TypeAdapter(LearnerSettings).validate_python(cell.options)

    def told(note: Note) -> None:
        score = f", score {note.figures['score']:.3f}" if "score" in note.figures else ""
        tell(f"{cell.name}: {min(100, 100 * note.steps // settings.steps)} %{score}")

    train_job(
        Job(cell.name.replace("/", "-"), settings, setting, cell.seed, folder, track, origin), told
    )


def _training_facts(folder: Path) -> dict[str, float]:
    """Wall seconds and median rate of a training, from its own log."""
    lines = [line for line in read_metrics(folder) if "steps_per_second" in line]
    if not lines:
        return {}
    return {
        "training_seconds": round(lines[-1]["seconds"], 1),
        "steps_per_second": round(float(np.median([line["steps_per_second"] for line in lines]))),
    }


def _reference(cell: Cell, *_: Any) -> Figures:
    return REFERENCES[cell.agent](cell)


def _nothing(cell: Cell) -> Figures:
    blocks = [
        play_noop(cell.setting(), cell.seeds[i : i + BLOCK]) for i in range(0, cell.episodes, BLOCK)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in FIGURES}


def _clairvoyant(cell: Cell) -> Figures:
    from ...agents.references import Search, clairvoyant, default_starts

    s = cell.setting()
    options = dict(cell.options)
    spec = plan_spec(s)
    tuned = [make_rule(name, spec, **values) for name, values in options.pop("starts", {}).items()]
    starts = default_starts(s) + tuned
    found = clairvoyant(
        s,
        cell.seeds,
        search=Search(**options),
        starts=starts,
    )
    return {name: found.plans[name] for name in FIGURES}


def _best_constant(cell: Cell) -> Figures:
    from ...agents.references import Search, best_constant

    s = cell.setting()
    found = best_constant(s, cell.seeds, search=Search(**cell.options))
    return {name: found.plans[name] for name in FIGURES}


def _upper_bound(cell: Cell) -> Figures:
    from ...agents.references import upper_bound

    s = cell.setting()
    return {"score": np.asarray(upper_bound(s, cell.seeds, **cell.options).value)}


REFERENCES: dict[str, Callable[[Cell], Figures]] = {
    "nothing": _nothing,
    "best_constant": _best_constant,
    "clairvoyant": _clairvoyant,
    "upper_bound": _upper_bound,
}


def reference_options(agent: str) -> tuple[str, ...]:
    """Names of the settings that a reference has."""
    from ...agents import references

    if agent in ("clairvoyant", "best_constant"):
        return references.Search._fields
    taken = ("scenario", "levers", "days", "seeds", "split", "threads")
    return (
        ()
        if agent == "nothing"
        else tuple(
            n for n in inspect.signature(references.upper_bound).parameters if n not in taken
        )
    )


_RUN: dict[str, Callable[..., Figures]] = {
    "rule": _rule,
    "learner": _learner,
    "reference": _reference,
}


# Files
# -----------------------------------------------------------------------------------------------------------


def pack(figures: Figures, facts: dict[str, Any]) -> bytes:
    """An .npz of the figures, the facts beside them as JSON text."""
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **{FACTS: np.array(json.dumps(facts)), **figures})
    return out.getvalue()


def unpack(data: bytes) -> CellResult:
    """What `pack` packed; raises ValueError for anything else."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
        facts = json.loads(str(arrays.pop(FACTS)))
    except (KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(f"not the result of a cell: {error}") from None
    return CellResult(arrays, facts)


def cell_path(folder: Path, cell: Cell) -> Path:
    """The file of a cell's figures."""
    return folder / "cells" / f"{cell.name}.npz"


def run_path(folder: Path, cell: Cell) -> Path:
    """The folder of a learner's run."""
    return folder / "runs" / cell.name


def write_cell(folder: Path, cell: Cell, data: bytes) -> None:
    """Keep a cell's figures; the file appears whole or not at all."""
    path = cell_path(folder, cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as draft:
        draft.write_bytes(data)


def read_cell(folder: Path, cell: Cell) -> CellResult | None:
    """A cell's figures from disk; None if there are none that can be read and were made by the same
    cell.
    """
    try:
        result = unpack(cell_path(folder, cell).read_bytes())
    except (OSError, ValueError):
        return None
    fits = (
        all(values.shape == (cell.episodes,) for values in result.figures.values())
        and "score" in result.figures
    )
    return result if fits and result.facts.get("fingerprint") == fingerprint(cell) else None
