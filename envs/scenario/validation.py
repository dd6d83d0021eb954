"""Errors of a scenario in sentences: every wrong field, what was given, what is allowed."""

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Checked = TypeVar("Checked", bound=BaseModel)


class ScenarioError(ValueError):
    """A scenario that cannot be used; `problems` holds one sentence per wrong field."""

    def __init__(self, origin: str, problems: list[str]):
        self.origin = origin
        self.problems = problems
        super().__init__(
            f"{origin}: " + "\n".join(problems)
            if len(problems) == 1
            else f"{origin} has {len(problems)} problems:\n"
            + "\n".join(f"  - {p}" for p in problems)
        )


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` merged in, dict by dict; lists and scalars are replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = (
            merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return result


def validated(model: type[Checked], data: dict[str, Any], origin: str = "scenario") -> Checked:
    """A scenario of class `model` from a complete nested dict; raises ScenarioError with one
    sentence per problem.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(
            origin, [s for item in error.errors() for s in _sentences(model, dict(item))]
        ) from None


def _sentences(model: type[BaseModel], item: dict[str, Any]) -> list[str]:
    kind = item["type"]
    given = item["input"]
    context = item.get("ctx", {})
    path = ".".join(str(part) for part in item["loc"] if part != "[key]")
    if kind == "value_error":
        return [f"{path}.{line}" if path else line for line in str(context["error"]).splitlines()]
    if kind == "extra_forbidden" or item["loc"][-1:] == ("[key]",):
        near = difflib.get_close_matches(path, field_paths(model), 1, 0.5)
        return [f"{path} is not a field" + (f"; did you mean {near[0]}?" if near else "")]
    shown = repr(given) if len(repr(given)) <= 60 else repr(given)[:57] + "..."
    bounds = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in bounds:
        key, words = bounds[kind]
        return [f"{path} is {shown}; it must be {words} {context[key]:g}"]
    return [f"{path} is {shown}; {item['msg'][0].lower()}{item['msg'][1:]}"]


def field_paths(model: type[BaseModel]) -> list[str]:
    """Dotted paths of every field, tables included, for suggestions."""
    return [path for name, value in model().model_dump().items() for path in _walk(name, value)]


def _walk(path: str, value: Any) -> list[str]:
    inner = (
        [p for key, item in value.items() for p in _walk(f"{path}.{key}", item)]
        if isinstance(value, dict)
        else []
    )
    return [path, *inner]
