"""What a market is: a validated, hashed, readable schema and the named markets written in it."""

from .loading import (
    load_scenario,
    parse_override,
    save_scenario,
    scenario_names,
)
from .quantity import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS, WINDOWS
from .scenario import Scenario
from .validation import ScenarioError

__all__ = [
    "FREE_POOLS",
    "POOLS",
    "SCENES",
    "SEGMENTS",
    "TIERS",
    "WINDOWS",
    "Scenario",
    "ScenarioError",
    "load_scenario",
    "parse_override",
    "save_scenario",
    "scenario_names",
]
