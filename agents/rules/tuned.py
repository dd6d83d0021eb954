"""Tuned parameters of the rules, with the studies that found them (`chengfang tune`); see
docs/rules.md.
"""

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

from . import ALL_RULES
from .base import RENAMED, present_names

FILE = Path(__file__).with_name("tuned.json")


def tuned_parameters(rule: str, task: str) -> dict[str, float]:
    """What a study on training merchants found for a rule on a task; empty if there was none.

    Args:
        rule: the rule's name, case does not matter.
        task: a task's short name such as "Bidding", case does not matter.

    Raises:
        ValueError: if the rule is unknown, or the file holds what the rule does not take.
    """
    study = tuned_study(rule, task)
    return {name: float(value) for name, value in study["parameters"].items()} if study else {}


def tuned_study(rule: str, task: str) -> dict[str, Any]:
    """Everything kept of a study: parameters, value, value of the defaults, budget, seeds; empty if
    there was none.
    """
    name = next((known for known in ALL_RULES if known.lower() == rule.lower()), None)
    if name is None:
        raise ValueError(f"rule is {rule!r}; allowed are {', '.join(ALL_RULES)}")
    studies = next(
        (rules for known, rules in load_tuned().items() if known.lower() == task.lower()), {}
    )
    return studies.get(name, {})


def best_rule(task: str) -> str:
    """The rule with the best tuned score on a task: on its study's check merchants, which are of
    the training split, never on test merchants.

    Args:
        task: a task's short name such as "Bidding", case does not matter.

    Raises:
        ValueError: if no rule is tuned for the task.
    """
    tuned = load_tuned()
    found = next((rules for known, rules in tuned.items() if known.lower() == task.lower()), {})
    scores = {rule: study["score"] for rule, study in found.items() if "score" in study}
    if not scores:
        raise ValueError(f"task is {task!r}; rules are tuned for {', '.join(tuned)}")
    return max(scores, key=lambda rule: scores[rule])


@cache
def load_tuned(path: Path = FILE) -> dict[str, dict[str, dict[str, Any]]]:
    """{task: {rule: study}} of a tuned.json, validated; empty if there is no such file.

    Raises:
        ValueError: naming the entry that is wrong.
    """
    if not path.is_file():
        return {}
    data = json.loads(path.read_text(encoding="utf-8"))
    for task, rules in data.items():
        for name, study in rules.items():
            _check(f"{path.name}, {task}, {name}", name, study)
            study["parameters"] = present_names(study["parameters"])
    return data


def _check(where: str, name: str, study: dict[str, Any]) -> None:
    if name not in ALL_RULES:
        raise ValueError(f"{where}: the rule is {name!r}; allowed are {', '.join(ALL_RULES)}")
    if not isinstance(study, dict) or not isinstance(study.get("parameters"), dict):
        raise ValueError(f"{where}: a study is {study!r}; it must be an object with `parameters`")
    known = ALL_RULES[name].common | ALL_RULES[name].defaults
    for key, value in study["parameters"].items():
        if key not in known and key not in RENAMED:
            raise ValueError(
                f"{where}: {name} has no parameter {key!r}; allowed are {', '.join(known)}"
            )
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not math.isfinite(value)
        ):
            raise ValueError(f"{where}: parameter {key} is {value!r}; allowed are finite numbers")
