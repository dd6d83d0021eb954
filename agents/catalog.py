"""Every policy by its name: rules, saved policies, and what users bring themselves.

A name is one of

- a rule's, `PID`: with the values tuned for the task;
- `best-rule`: the task's best rule by tuning's own check on training merchants, which need not be
  the best of the benchmark's table;
- `best`: the task's best committed policy;
- the folder of a saved policy;
- `module:Name`, a class or function of one's own, or a name that an installed package registers
  under the entry point group `chengfang.policies`.
"""

import difflib
import inspect
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..envs import Setting, find_task, short_name
from .guard import AgentError, GuardedPolicy, error_sentence
from .learners import ArtefactError, SavedPolicy, load_best
from .learners.artefact import load_artefact
from .learners.shifts import ShiftedRule
from .own_code import code_name, load_code, own_digest, own_function, registered
from .policy import PlanSpec, Policy, plan_spec
from .rules import ALL_RULES, make_rule
from .rules.tuned import best_rule, tuned_parameters

__all__ = ["Described", "describe", "find_policy", "is_own", "own_digest", "own_function"]

BEST_RULE = "best-rule"
BEST = "best"
SPEC_NAMES = ("spec", "plan_spec")  # an optional argument of these names is given the PlanSpec

Kind = Literal["rule", "learner", "own"]


class Described(NamedTuple):
    """What a policy's name stands for."""

    agent: str  # a rule's own name, a saved policy's folder, or the name as given
    kind: Kind


def find_policy(
    name: str,
    setting: Setting,
    task: str | None = None,
    *,
    tuned: bool = True,
    safety_margin: float | None = None,
) -> Policy:
    """A policy by its name, ready to play.

    A class or function of one's own is called with the task's `PlanSpec` if it needs an argument,
    or has one called `spec`; what it returns is held to `Policy` by a `GuardedPolicy`.

    Args:
        name: see this module.
        setting: what is played.
        task: the task, id or short name: whose tuned values, best rule and best policy are meant.
        tuned: False for a rule's default values.
        safety_margin: margin on the ROI target to act with, for saved policies trained to take one.

    Raises:
        ArtefactError: if a folder is no saved policy, or was trained for other levers.
        AgentError: if code of one's own cannot be used.
        ValueError: if nothing has that name.
    """
    short = None if task is None else short_name(find_task(task))
    kind = _kind(name)
    if safety_margin is not None and kind not in (BEST, "folder"):
        raise ValueError(
            f"the safety margin is {safety_margin:g}; only saved policies trained to take a margin "
            f"have one, {name} is {'a rule' if kind != 'own' else 'code of your own'}"
        )
    if kind == "own":
        return _own_policy(name, setting, short or "this task")
    if kind == "folder":
        return _fitting(load_artefact(name, safety_margin), name, setting)
    if kind == BEST:
        return _fitting(load_best(_needed(short, name), safety_margin), name, setting)
    rule = _rule_name(name, short)
    values = tuned_parameters(rule, short) if tuned and short is not None else {}
    return make_rule(rule, plan_spec(setting), **values)


def is_own(name: str) -> bool:
    """Whether a name stands for code of the user's: `module:Name` or an entry point's name."""
    return _kind_or_none(name) == "own"


def describe(name: str, task: str | None = None) -> Described:
    """How a policy is called in tables, and of what kind it is.

    Raises:
        ValueError: if nothing has that name.
    """
    kind = _kind(name)
    if kind == "own":
        return Described(name, "own")
    if kind == "folder":
        return Described(Path(name).resolve().name, "learner")
    short = None if task is None else short_name(find_task(task))
    if kind == BEST:
        origin = load_best(_needed(short, name)).description
        return Described(str(origin.get("agent", BEST)), "learner")
    return Described(_rule_name(name, short), "rule")


# Names
# --------------------------------------------------------------------------------------------------


def _kind(name: str) -> str:
    """`rule`, `best-rule`, `best`, `folder` or `own`; raises ValueError if it is none of them."""
    kind = _kind_or_none(name)
    if kind is not None:
        if kind != "folder" and (Path(name) / "policy.json").is_file():
            raise ValueError(
                f"{name} is {_NAMED[kind]}, and the folder {name} holds a saved policy: "
                f"write ./{name} for the folder, or give the folder another name"
            )
        return kind
    if "/" in name:
        raise ValueError(f"policy is {name!r}; there is no such folder")
    raise ValueError(f"policy is {name!r};{_hint(name)} {_allowed()}")


def _hint(name: str) -> str:
    spellings = {known.lower(): known for known in (*ALL_RULES, BEST_RULE, BEST, *registered())}
    near = difflib.get_close_matches(name.lower(), spellings, 1)
    return f" did you mean {spellings[near[0]]}?" if near else ""


def _allowed() -> str:
    """What a policy may be called, in words."""
    of_packages = f"{', '.join(registered())} of installed packages, " if registered() else ""
    return (
        f"allowed are the rules {', '.join(ALL_RULES)}, {BEST_RULE}, {BEST}, {of_packages}"
        "the folder of a saved policy, and module:Name of your own code"
    )


_NAMED = {
    "rule": "a rule",
    BEST_RULE: "the task's best tuned rule",
    BEST: "the task's best committed policy",
    "own": "code of your own",
}


def _kind_or_none(name: str) -> str | None:
    if name.lower() in (BEST_RULE, BEST):
        return name.lower()
    if name.lower() in {rule.lower() for rule in ALL_RULES}:
        return "rule"
    if Path(name).exists():
        return "folder"
    return None if code_name(name) is None else "own"


def _rule_name(name: str, task: str | None) -> str:
    """The rule's own spelling."""
    if name.lower() == BEST_RULE:
        return best_rule(_needed(task, name))
    return next(rule for rule in ALL_RULES if rule.lower() == name.lower())


def _needed(task: str | None, name: str) -> str:
    if task is None:
        raise ValueError(f"policy is {name!r}; it is a task's, and no task is given")
    return task


# What the names stand for
# --------------------------------------------------------------------------------------------------


def _fitting(
    policy: SavedPolicy | ShiftedRule, name: str, setting: Setting
) -> SavedPolicy | ShiftedRule:
    if policy.levers != setting.levers:
        raise ArtefactError(
            f"{name} acts on the levers {', '.join(policy.levers)}; "
            f"this task has {', '.join(setting.levers)}"
        )
    return policy


def _own_policy(name: str, setting: Setting, task: str) -> GuardedPolicy:
    made = load_code(name, task)
    if inspect.isclass(made) or not hasattr(made, "predict"):
        made = _made(made, name, task, plan_spec(setting))
    return GuardedPolicy(made, name, task, setting.levers)


def _made(factory: Any, name: str, task: str, spec: PlanSpec) -> Any:
    """What a class or function returns, called with the PlanSpec if it takes one."""
    if not callable(factory):
        raise AgentError(
            f"{name} on {task}: it is a {type(factory).__name__}; it must be a class or function "
            "that returns a policy"
        )
    given, named = _arguments(factory, spec)
    try:
        return factory(*given, **named)
    except (Exception, SystemExit) as error:
        raise AgentError(f"{name} on {task} cannot be made: {error_sentence(error)}") from error


def _arguments(factory: Any, spec: PlanSpec) -> tuple[tuple[PlanSpec, ...], dict[str, PlanSpec]]:
    """The PlanSpec, by position or by name, or nothing: whatever the signature asks for."""
    try:
        parameters = list(inspect.signature(factory).parameters.values())
    except (TypeError, ValueError):  # written in C
        return (), {}
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if parameters and parameters[0].kind in by_position:
        first = parameters[0]
        if first.default is inspect.Parameter.empty or _is_spec(first):
            return (spec,), {}
    named = [p.name for p in parameters if _is_spec(p) and p.kind not in _VARIADIC]
    return (), dict.fromkeys(named[:1], spec)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _is_spec(parameter: inspect.Parameter) -> bool:
    annotation = parameter.annotation
    return (
        parameter.name in SPEC_NAMES
        or annotation is PlanSpec
        or (isinstance(annotation, str) and annotation.rpartition(".")[2] == "PlanSpec")
    )
