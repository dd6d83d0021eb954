"""The rules' own numbers where nothing was tuned: `defaults.yaml`, read once."""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FILE = Path(__file__).with_name("defaults.yaml")


class Numbers(NamedTuple):
    """The parameters of a rule with their defaults."""

    common: dict[str, float]  # that every rule has
    own: dict[str, float]


def shared_numbers() -> dict[str, float]:
    """The parameters that all rules share, with their usual defaults."""
    return _number_table(_data()["common"])


def numbers(rule: str) -> Numbers:
    """The parameters of a rule: those it shares with all and its own, each after those of the rule
    it is like.

    Raises:
        ValueError: if the file has no such rule.
    """
    rules = _data()["rules"]
    if rule not in rules:
        raise ValueError(f"rule is {rule!r}; {FILE.name} has {', '.join(rules)}")
    entry = rules[rule]
    like = entry.get("like")
    base = numbers(like) if like else Numbers(shared_numbers(), {})
    return Numbers(
        base.common | _number_table(entry.get("common", {})),
        base.own | _number_table(entry.get("own", {})),
    )


@cache
def _data() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def _number_table(entries: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in entries.items()}
