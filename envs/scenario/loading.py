"""Scenario <-> YAML: named markets, files, overrides, and errors in sentences.

A file holds only what differs from the scenario it `extends` (another name or nothing: the schema's own defaults).
YAML is loaded with the safe loader: a scenario is data, never code.
"""

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ..files import whole_file
from .scenario import Scenario

FOLDER = Path(__file__).parent.parent / "scenarios"

# The platform's own names for some of our fields (design 1), accepted wherever a scenario is read.
ALIASES = {
    "qcpx_mode": "regime.coupons_everywhere",
    "compensate_status": "money.protection",
    "commission_info.natural_rate": "influencer.commission_natural",
    "commission_info.ad_rate": "influencer.commission_ad",
}


class ScenarioError(ValueError):
    """A scenario that cannot be used; `problems` holds one sentence per wrong field."""

    def __init__(self, origin: str, problems: list[str]):
        self.origin, self.problems = origin, problems
        super().__init__(f"{origin}: " + "\n".join(problems) if len(problems) == 1
                         else f"{origin} has {len(problems)} problems:\n" + "\n".join(f"  - {p}" for p in problems))


def scenario_names() -> list[str]:
    """Names of the shipped markets, `default` first."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(names, key=lambda name: name != "default")


def load_scenario(what: "str | Path | Scenario | dict[str, Any]" = "default",
                  overrides: dict[str, Any] | None = None) -> Scenario:
    """Read a market by name, from a YAML file, from a nested dict, or take a Scenario as it is.

    Args:
        what: a shipped name (`scenario_names()`), a path to a YAML file, a dict of differences, or a Scenario.
        overrides: changes by dotted path, for example {"auction.price_rule": "second"}, applied last.

    Raises:
        ScenarioError: naming every unknown field (with the nearest known one) and every value out of range.
    """
    if isinstance(what, Scenario):
        data, origin = what.model_dump(), what.name
    elif isinstance(what, dict):
        data, origin = _extended(what, "scenario", ()), "scenario"
    else:
        origin = str(what)
        data = _extended(_read(what), origin, (origin,))
    for path, value in (overrides or {}).items():
        data = merged(data, _nested(path, value))
    if isinstance(what, Scenario) and not overrides:
        return what
    return validated(data, origin)


def save_scenario(scenario: Scenario, path: "str | Path") -> None:
    """Write every number of a scenario as YAML; the file appears whole or not at all."""
    text = yaml.safe_dump(scenario.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` merged in, dict by dict; lists and scalars are replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def validated(data: dict[str, Any], origin: str = "scenario") -> Scenario:
    """A Scenario from a complete nested dict; raises ScenarioError with one sentence per problem."""
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(origin, [s for item in error.errors() for s in _sentences(dict(item))]) from None


def parse_override(text: str) -> tuple[str, Any]:
    """Split `a.b=v` into its path and YAML value; raises ScenarioError when there is no `=`."""
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise ScenarioError("--set", [f"'{text}' is not of the form field=value, for example auction.price_rule=second"])
    try:
        return path.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ScenarioError("--set", [f"the value of '{text}' is not valid YAML"]) from None


def _read(what: "str | Path") -> dict[str, Any]:
    named = FOLDER / f"{what}.yaml"
    path = named if isinstance(what, str) and what in scenario_names() else Path(what)
    if not path.is_file():
        near = difflib.get_close_matches(str(what), scenario_names(), 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ScenarioError(str(what), [f"no scenario or file of that name{hint} Shipped: {', '.join(scenario_names())}"])
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ScenarioError(str(what), [f"not readable as plain YAML{where}; a scenario is data: names, numbers, lists"]) from None
    if not isinstance(data, dict):
        raise ScenarioError(str(what), ["a scenario file holds fields and values; this one holds "
                                        f"{'nothing' if data is None else type(data).__name__}"])
    return data


def _extended(data: dict[str, Any], origin: str, seen: tuple[str, ...]) -> dict[str, Any]:
    """Lays `data` over the scenario it extends, resolving aliases and checking names on the way."""
    data = _without_aliases(dict(data))
    base = data.pop("extends", None)
    if base is None:
        foundation = Scenario().model_dump()
    elif base in seen:
        raise ScenarioError(origin, [f"extends '{base}', which extends it in turn"])
    else:
        foundation = _extended(_read(str(base)), str(base), (*seen, str(base)))
    return merged(foundation, data)


def _without_aliases(data: dict[str, Any]) -> dict[str, Any]:
    for alias, path in ALIASES.items():
        parts, holder = alias.split("."), data
        for part in parts[:-1]:
            holder = holder.get(part, {}) if isinstance(holder, dict) else {}
        if isinstance(holder, dict) and parts[-1] in holder:
            data = merged(data, _nested(path, holder[parts[-1]]))
            if len(parts) == 1:
                del data[alias]
            else:
                data[parts[0]] = {k: v for k, v in data[parts[0]].items() if k != parts[-1]}
                if not data[parts[0]]:
                    del data[parts[0]]
    return data


def _nested(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(ALIASES.get(path, path).split(".")):
        value = {part: value}
    return value


def _sentences(item: dict[str, Any]) -> list[str]:
    kind, given, context = item["type"], item["input"], item.get("ctx", {})
    path = ".".join(str(part) for part in item["loc"] if part != "[key]")
    if kind == "value_error":
        return [f"{path}.{line}" if path else line for line in str(context["error"]).splitlines()]
    if kind == "extra_forbidden" or item["loc"][-1:] == ("[key]",):
        near = difflib.get_close_matches(path, field_paths(), 1, 0.5)
        return [f"{path} is not a field" + (f"; did you mean {near[0]}?" if near else "")]
    shown = repr(given) if len(repr(given)) <= 60 else repr(given)[:57] + "..."
    bounds = {"greater_than_equal": ("ge", "at least"), "less_than_equal": ("le", "at most")}
    if kind in bounds:
        key, words = bounds[kind]
        return [f"{path} is {shown}; it must be {words} {context[key]:g}"]
    return [f"{path} is {shown}; {item['msg'][0].lower()}{item['msg'][1:]}"]


def field_paths() -> list[str]:
    """Dotted paths of every field, tables included, for suggestions."""
    return [path for name, value in Scenario().model_dump().items() for path in _walk(name, value)]


def _walk(path: str, value: Any) -> list[str]:
    inner = [p for key, item in value.items() for p in _walk(f"{path}.{key}", item)] if isinstance(value, dict) else []
    return [path, *inner]
