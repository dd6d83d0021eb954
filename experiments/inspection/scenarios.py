"""Markets for people: listed, shown with units and sources, measured, and made."""

from pathlib import Path
from typing import Any

import numpy as np
from pydantic.fields import FieldInfo
from rich import box
from rich.markup import escape
from rich.table import Table

from ...agents import make_rule, plan_spec
from ...envs import Scenario, Setting, load_scenario, save_scenario, scenario_names, select_levers
from ...envs.scenario import ScenarioError
from ...envs.scenario.quantity import Section
from ..runs.evaluate import evaluate, play_noop

BOUND = 0.02  # within this share of a limit, the limit binds
POPULATION = 256
SWEEP = np.geomspace(0.3, 2.5, 24)


def list_table() -> Table:
    """Names, hashes and what each market is for."""
    table = Table("name", "hash", "days", "price", "what it is for", box=box.SIMPLE_HEAD)
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for name in scenario_names():
        s = load_scenario(name)
        table.add_row(name, s.hash, str(s.clock.days), s.auction.price_rule, escape(s.description))
    return table


def field_list(scenario: Scenario, section: str | None = None) -> list[str]:
    """Lines of rich markup: each section's title, then each field with value, unit, allowed range,
    meaning and source.
    """
    names = [n for n, value in scenario if isinstance(value, Section)]
    if section is not None and section not in names:
        raise ScenarioError(
            "--section", [f"'{section}' is not a section; allowed are {', '.join(names)}"]
        )
    lines = []
    for name in names if section is None else [section]:
        part = getattr(scenario, name)
        lines.append(
            f"\n[bold]{name}[/]  [dim]{escape((type(part).__doc__ or '').splitlines()[0])}[/]"
        )
        for field, info in type(part).model_fields.items():
            facts: dict[str, Any] = (
                info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            )
            unit = "" if facts.get("unit") in (None, "choice") else f" {facts['unit']}"
            allowed = _range(facts, info)
            lines.append(
                f"  [cyan]{field}[/] = {escape(_shown(getattr(part, field)))}{escape(unit)}"
                + (f"  [dim]\\[{escape(allowed)}][/]" if allowed else "")
            )
            source = escape(str(facts.get("source", "")))
            lines.append(f"      {escape(info.description or '')} [dim]({source})[/]")
    return lines


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list) and value and isinstance(value[0], Section):
        return ", ".join(str(getattr(item, "name", item)) for item in value)
    if isinstance(value, list):
        return " ".join(_shown(item) for item in value)
    return str(value)


def _range(facts: dict[str, Any], info: FieldInfo) -> str:
    if "low" in facts:
        return f"{facts['low']:g} to {facts['high']:g}"
    text = str(info.annotation)
    for part in ("Ge(ge=", "Le(le="):
        if part not in text:
            return (
                ""
                if "Literal" not in text
                else text.split("Literal[")[1].split("]")[0].replace("'", "")
            )
    low, high = (float(text.split(part)[1].split(")")[0]) for part in ("Ge(ge=", "Le(le="))
    return f"each {low:g} to {high:g}"


HEADS = {"pays": "profit not below doing nothing", "ruined": "loses money"}


def binding_shares(
    scenario: Scenario, days: int | None = None, episodes: int = POPULATION, split: str = "train"
) -> dict[str, float]:
    """Share of merchants bound by budget, ROI, both or neither under the best constant multiplier
    in hindsight (world 2.11); of those whom that multiplier brings no less profit than doing
    nothing (`pays`); and of those who lose money by it and would not by doing nothing (`ruined`).
    """
    setting = Setting(scenario, select_levers("bidding"), days or scenario.clock.days, split)
    spec = plan_spec(setting)
    runs = [
        evaluate(make_rule("FixedBid", spec, multiplier=float(m)), setting, episodes, 0, {})
        for m in SWEEP
    ]
    best = np.array([run.plans["score"] for run in runs]).argmax(0)
    columns = np.arange(episodes)
    step = float(SWEEP[1] / SWEEP[0] - 1)
    use = np.array([run.plans["budget_use"] for run in runs])[best, columns]
    roi = np.array([run.plans["roi"] / run.plans["roi_target"] for run in runs])[best, columns]
    profit = np.array([run.plans["profit"] for run in runs])[best, columns]
    idle = play_noop(setting, np.arange(episodes))["profit"]
    budget = use > 1 - BOUND - step
    target = roi < 1 + BOUND + step
    return {
        "budget": float((budget & ~target).mean()),
        "roi": float((target & ~budget).mean()),
        "both": float((budget & target).mean()),
        "neither": float((~budget & ~target).mean()),
        "pays": float((profit >= idle).mean()),
        "ruined": float(((profit < 0) & (idle >= 0)).mean()),
    }


def population_table(scenario: Scenario) -> Table:
    """Who is bound by what, measured on train merchants."""
    table = Table(
        title="\nmerchants bound by, under the best constant bid multiplier in hindsight:",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        width=78,
    )
    shares = binding_shares(scenario)
    for name in shares:
        table.add_column(HEADS.get(name, name), justify="right")
    table.add_row(*(f"{100 * value:.0f} %" for value in shares.values()))
    return table


def write_new(
    path: Path, base: str, changes: dict[str, Any], name: str | None, force: bool
) -> Scenario:
    """Write a complete scenario file; refuses to replace one unless forced."""
    if path.exists() and not force:
        raise ScenarioError(
            str(path), ["already exists; give another name or --force to replace it"]
        )
    scenario = load_scenario(base, {"name": name or path.stem, **changes})
    save_scenario(scenario, path)
    return scenario
