"""Agents of the user's own in a benchmark: played as they are, or trained with the user's function.

A run's options say which: `{"policy": name}` names a policy as every command does (`module:Name`,
an installed entry point, a saved policy's folder, a rule, `best`, `best-rule`);
`{"train": "module:function", "steps": n}` names a function that trains one.
"""

import hashlib
import inspect
from pathlib import Path
from typing import Any

from ...agents import Policy
from ...agents.catalog import BEST, find_policy, is_own
from ...agents.guard import AgentError, GuardedPolicy, error_sentence
from ...agents.own_code import own_digest, own_function, own_sources
from ...agents.rules.tuned import load_tuned
from .spec import RunSpec

BEST_FOLDER = Path(__file__).resolve().parent.parent.parent / "results" / "benchmark" / "best"


def own_policy(spec: RunSpec, folder: Path) -> Policy:
    """The policy of a run, trained first if it names a function that trains.

    Args:
        spec: of kind `own`.
        folder: where the user's training may keep what it likes.

    Raises:
        AgentError: one sentence naming agent and task.
    """
    if "train" in spec.options:
        return _trained(spec, folder)
    return find_policy(spec.options["policy"], spec.setting(), spec.task)


def _trained(spec: RunSpec, folder: Path) -> Policy:
    function = own_function(spec.options["train"])
    folder.mkdir(parents=True, exist_ok=True)
    offered = {
        "task": spec.task,
        "seed": spec.seed,
        "folder": folder,
        "steps": spec.options.get("steps"),
        "setting": spec.setting("train"),
    }
    try:
        taken = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        taken = ()
    everything = any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken)
    names = {parameter.name for parameter in taken}
    given = {name: value for name, value in offered.items() if everything or name in names}
    where = f"{spec.agent} on {spec.task}"
    if "steps" in given and given["steps"] is None:
        raise AgentError(f"{where}: {spec.options['train']} takes steps; say how many")
    try:
        policy = function(**given)
    except (Exception, SystemExit) as error:
        raise AgentError(
            f"{where}: {spec.options['train']} failed: {error_sentence(error)}"
        ) from error
    return GuardedPolicy(policy, spec.agent, spec.task, spec.levers)


def agent_digest(options: dict[str, Any], task: str) -> str:
    """Digest of what stands behind a name: the source text of the user's module, the files of a
    saved policy, or the tuned values that a rule's name or `best` stands for.
    """
    name = options.get("train") or options["policy"]
    if is_own(name):
        return own_digest(name, task)
    folder = BEST_FOLDER / task if name.lower() == BEST else Path(name)
    files = sorted(folder.glob("policy.*"))
    data = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(data or repr(load_tuned().get(task)).encode()).hexdigest()[:16]


def sources_of(specs: list[RunSpec]) -> dict[str, bytes]:
    """Source files of all own agents among runs: what another machine needs to import them."""
    names = {
        spec.options.get("train") or spec.options["policy"] for spec in specs if spec.kind == "own"
    }
    found: dict[str, bytes] = {}
    for name in sorted(filter(is_own, names)):
        found |= own_sources(name)
    return found
