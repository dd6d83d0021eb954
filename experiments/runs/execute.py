"""Execute a run: play a rule, train and judge a learner, search a reference; figures are bytes.

What a run leaves behind are its figures alone, so that it may be executed anywhere; only a training
keeps a folder of its own.
"""

import inspect
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from ...agents import Policy, make_rule, plan_spec
from ...agents.learners.artefact import load_artefact
from ...agents.learners.settings import LearnerSettings, all_steps
from ..analysis.statistics import iqm
from .code_digest import code_digest
from .evaluate import evaluate, play_noop
from .manifest import write_json
from .own_agents import own_policy
from .spec import FIGURES, FRESH, RunSpec
from .store import Figures, pack
from .tracking import Mode, read_metrics
from .training_job import Job, Note, cpu_seconds, train_job

VALIDATION = 2048  # merchants that agents are chosen on
BLOCK = 4096  # episodes played at once; bounds the memory of an evaluation
FINISHED = "finished.json"


class RunProgress(NamedTuple):
    """How far the training of a run is."""

    run: str  # its name
    steps: int
    total: int
    note: str = ""  # a few words, for example the score


OnProgress = Callable[[RunProgress], None]


def silent(progress: RunProgress) -> None:
    """Nobody listens."""


class _Call(NamedTuple):
    """How a run is executed here, and what it notes beside its figures."""

    folder: Path
    on_progress: OnProgress
    track: Mode
    go_on: bool
    notes: dict[str, Any]


def execute(
    spec: RunSpec,
    folder: Path,
    on_progress: OnProgress = silent,
    track: Mode = "off",
    go_on: bool = False,
) -> bytes:
    """Execute a run; returns its figures and facts as the bytes of an .npz file.

    Args:
        spec: what to run, identified.
        folder: where a training keeps policy, log and checkpoint; others leave nothing there.
        on_progress: called now and then while it trains.
        track: W&B mode of a training.
        go_on: continue a half-done training from its checkpoint. The same numbers as those of an
            undisturbed run are only certain without it: then a half-done training starts again.

    Raises:
        KeyboardInterrupt: after a learner's checkpoint.
        AgentError: an agent of the user's own that cannot be found, trained or played.
    """
    begin, cpu = time.perf_counter(), time.process_time()
    notes: dict[str, Any] = {}
    figures = _KINDS[spec.kind](spec, _Call(folder, on_progress, track, go_on, notes))
    facts = {
        "fingerprint": spec.fingerprint,
        "code": code_digest(spec.kind),
        "seconds": round(time.perf_counter() - begin, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
        "steps": spec.steps,
        **notes,
    }
    if spec.is_learned:
        facts |= {"training": spec.training, **_training_facts(folder)}
    return pack(figures, facts)


def judged(policy: Policy, spec: RunSpec) -> Figures:
    """The figures of a policy on a run's held-out episodes."""
    last = spec.test_seed + spec.episodes
    blocks = [
        evaluate(policy, spec.setting(), min(BLOCK, last - first), first, nothing={}).plans
        for first in range(spec.test_seed, last, BLOCK)
    ]
    return _joined(blocks)


def chosen_by(policy: Policy, spec: RunSpec) -> float:
    """IQM of a policy's score over doing nothing on validation merchants, a quarter as many as it
    is judged on, none of them the same, and at most VALIDATION: what the best agent and the typical
    run are chosen by.
    """
    count = max(2, min(VALIDATION, spec.episodes // 4))
    first = spec.test_seed if spec.split == "test" else spec.test_seed + spec.episodes
    return iqm(evaluate(policy, spec.setting("validation"), count, first).relative_score)


def _joined(blocks: list[dict[str, np.ndarray]]) -> Figures:
    return {name: np.concatenate([block[name] for block in blocks]) for name in FIGURES}


# How each kind runs
# --------------------------------------------------------------------------------------------------


def _rule(spec: RunSpec, call: _Call) -> Figures:
    rule = make_rule(spec.options["rule"], plan_spec(spec.setting()), **spec.options["parameters"])
    call.notes["validation"] = chosen_by(rule, spec)
    return judged(rule, spec)


def _own(spec: RunSpec, call: _Call) -> Figures:
    if spec.is_trained and not call.go_on:
        shutil.rmtree(call.folder, ignore_errors=True)  # of a training that was never finished
    begin = time.process_time()
    policy = own_policy(spec, call.folder)
    if spec.is_trained:
        call.notes["training_cpu_seconds"] = round(time.process_time() - begin, 3)
    call.notes["validation"] = chosen_by(policy, spec)
    return judged(policy, spec)


def _learner(spec: RunSpec, call: _Call) -> Figures:
    if finished_training(call.folder) != spec.training:
        _train(spec, call)
        write_json(call.folder / FINISHED, {"training": spec.training})
    policy = load_artefact(call.folder)
    call.notes["validation"] = chosen_by(policy, spec)
    return judged(policy, spec)


def finished_training(folder: Path) -> str:
    """Fingerprint of the finished training in a run's folder; empty if there is none."""
    try:
        return json.loads((folder / FINISHED).read_text(encoding="utf-8"))["training"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _train(spec: RunSpec, call: _Call) -> None:
    (call.folder / FINISHED).unlink(missing_ok=True)
    if not call.go_on and call.folder.exists():
        shutil.rmtree(call.folder)  # checkpoint, logs and curves of a run that was never finished
    setting = spec.setting("train")
    origin = {
        "task": spec.task,
        "agent": spec.agent,
        "days": spec.days,
        "scenario": setting.scenario.name,
        "scenario_hash": setting.scenario.hash,
    }
    settings = TypeAdapter(LearnerSettings).validate_python(spec.options)

    def on_note(note: Note) -> None:
        score = f"score {note.figures['score']:.3f}" if "score" in note.figures else ""
        call.on_progress(RunProgress(spec.name, note.steps, all_steps(settings), score))

    call.on_progress(RunProgress(spec.name, 0, all_steps(settings), "compiling and starting"))
    name = spec.name.replace("/", "-")
    train_job(Job(name, settings, setting, spec.seed, call.folder, call.track, origin), on_note)


def _training_facts(folder: Path) -> dict[str, float]:
    """CPU seconds of a training, and wall seconds and median rate from its own log."""
    spent = cpu_seconds(folder)
    facts = {} if spent is None else {"training_cpu_seconds": spent}
    lines = [line for line in read_metrics(folder) if "steps_per_second" in line]
    if not lines:
        return facts
    rate = float(np.median([line["steps_per_second"] for line in lines]))
    return facts | {
        "training_seconds": round(lines[-1]["seconds"], 1),
        "steps_per_second": round(rate),
    }


# References
# --------------------------------------------------------------------------------------------------


def _reference(spec: RunSpec, _: _Call) -> Figures:
    return REFERENCES[spec.agent](spec)


def _nothing(spec: RunSpec) -> Figures:
    setting = spec.setting()
    return _joined(
        [play_noop(setting, spec.seeds[i : i + BLOCK]) for i in range(0, spec.episodes, BLOCK)]
    )


def _clairvoyant(spec: RunSpec) -> Figures:
    from ...agents.references import Search, clairvoyant, default_starts, replay_on_fresh_noise

    setting = spec.setting()
    options = dict(spec.options)
    plan = plan_spec(setting)
    tuned = [make_rule(name, plan, **values) for name, values in options.pop("starts", {}).items()]
    found = clairvoyant(
        setting, spec.seeds, search=Search(**options), starts=default_starts(setting) + tuned
    )
    fresh = replay_on_fresh_noise(setting, spec.seeds, found.actions).mean(1)
    return {name: found.plans[name] for name in FIGURES} | {FRESH: fresh}


def _best_constant(spec: RunSpec) -> Figures:
    from ...agents.references import Search, best_constant

    found = best_constant(spec.setting(), spec.seeds, search=Search(**spec.options))
    return {name: found.plans[name] for name in FIGURES}


def _upper_bound(spec: RunSpec) -> Figures:
    from ...agents.references import upper_bound

    return {"score": np.asarray(upper_bound(spec.setting(), spec.seeds, **spec.options).value)}


REFERENCES: dict[str, Callable[[RunSpec], Figures]] = {
    "nothing": _nothing,
    "best_constant": _best_constant,
    "clairvoyant": _clairvoyant,
    "upper_bound": _upper_bound,
}


def reference_options(agent: str) -> tuple[str, ...]:
    """Names of the settings that a reference has."""
    from ...agents import references

    if agent == "nothing":
        return ()
    if agent in ("clairvoyant", "best_constant"):
        return references.Search._fields
    arguments = inspect.signature(references.upper_bound).parameters
    return tuple(name for name in arguments if name not in ("setting", "seeds", "threads"))


_KINDS: dict[str, Callable[[RunSpec, _Call], Figures]] = {
    "rule": _rule,
    "learner": _learner,
    "shift": _learner,
    "reference": _reference,
    "own": _own,
}
