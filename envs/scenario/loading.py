"""Scenario <-> YAML: named markets, files, overrides, and errors in sentences.

A file holds only what differs from the scenario it `extends` (another name or nothing: the schema's
own defaults).
YAML is loaded with the safe loader: a scenario is data, never code.
"""

import difflib
from pathlib import Path
from typing import Any

import yaml

from ..files import whole_file
from .scenario import Scenario
from .validation import ScenarioError, merged, validated

FOLDER = Path(__file__).parent / "presets"

# The platform's own names for some of our fields (world 1), accepted wherever a scenario is read.
ALIASES = {
    "qcpx_mode": "regime.coupons_everywhere",
    "compensate_status": "money.protection",
    "commission_info.natural_rate": "influencer.commission_natural",
    "commission_info.ad_rate": "influencer.commission_ad",
}


def scenario_names() -> list[str]:
    """Names of the shipped markets, `default` first."""
    names = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    return sorted(names, key=lambda name: name != "default")


def load_scenario(
    what: "str | Path | Scenario | dict[str, Any]" = "default",
    overrides: dict[str, Any] | None = None,
) -> Scenario:
    """Read a market by name, from a YAML file, from a nested dict, or take a Scenario as it is.

    Args:
        what: a shipped name (`scenario_names()`), a path to a YAML file, a dict of differences, or
            a Scenario.
        overrides: changes by dotted path, for example {"auction.price_rule": "second"}, applied
            last.

    Raises:
        ScenarioError: naming every unknown field (with the nearest known one) and every value out
            of range.
    """
    if isinstance(what, Scenario):
        data = what.model_dump()
        origin = what.name
    elif isinstance(what, dict):
        data = _extended(what, "scenario", ())
        origin = "scenario"
    else:
        origin = str(what)
        data = _extended(_read(what), origin, (origin,))
    for path, value in (overrides or {}).items():
        data = merged(data, _nested(path, value))
    if isinstance(what, Scenario) and not overrides:
        return what
    return validated(Scenario, data, origin)


def save_scenario(scenario: Scenario, path: "str | Path") -> None:
    """Write every number of a scenario as YAML; the file appears whole or not at all."""
    text = yaml.safe_dump(scenario.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def parse_override(text: str) -> tuple[str, Any]:
    """Split `a.b=v` into its path and YAML value; raises ScenarioError when there is no `=`."""
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise ScenarioError(
            "--set",
            [f"'{text}' is not of the form field=value, for example auction.price_rule=second"],
        )
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
        raise ScenarioError(
            str(what),
            [f"no scenario or file of that name{hint}; shipped are {', '.join(scenario_names())}"],
        )
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ScenarioError(
            str(what),
            [f"not readable as plain YAML{where}; a scenario is data: names, numbers, lists"],
        ) from None
    if not isinstance(data, dict):
        raise ScenarioError(
            str(what),
            [
                "a scenario file holds fields and values; this one holds "
                f"{'nothing' if data is None else type(data).__name__}"
            ],
        )
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
        parts = alias.split(".")
        holder = data
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
