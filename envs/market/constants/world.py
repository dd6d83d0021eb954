"""Everything of a scenario that the engine reads, built once and shared by all markets."""

from typing import NamedTuple

import numpy as np

from ...interface.feedback import REWARDS
from ...scenario import Scenario
from .cells import base_cells, free_worth
from .fill import fill_constants
from .record import WORLD
from .tables import ahead_table, calendar_table, clock_table, hour_table, remaining_table


class World(NamedTuple):
    """Arrays the engine reads; built once per scenario and shared by every market of a batch."""

    # (2,) WORLD: the scenario, and its unified form that merchants are drawn in
    constants: np.ndarray
    # (CELL_ROWS, N_LANES) float32: cells of an average merchant
    base: np.ndarray
    # (N_SCENES, ticks_per_day) float32: hour factor per scene, mean 1
    hours: np.ndarray
    # (N_SCENES, ticks_per_day) float32: share of the day's traffic from each tick on
    ahead: np.ndarray
    # (CALENDAR_ROWS, days + 2 + shift) float32: traffic factor, log price shift, order logit shift
    calendar: np.ndarray
    # (CLOCK_ROWS, ticks_per_day or 7) float32: sine and cosine of the hour, and of the weekday
    clock: np.ndarray
    # (shift + 1, 7, ticks + 1) float32: share of expected traffic still to come
    remaining: np.ndarray


def build_world(scenario: Scenario, days: int, split: int, reward: str, sampled: bool) -> World:
    """Translate a validated scenario into engine arrays.

    Args:
        scenario: the world.
        days: length of an episode.
        split: code of the merchants' stream, see `kernels.streams`.
        reward: one of `REWARDS`.
        sampled: whether counts are drawn, or are their means.
    """
    unified = scenario.updated(
        {
            "regime": {
                "preset": "unified",
                "incremental_ads": None,
                "coupons_everywhere": None,
                "low_fee": None,
            }
        }
    )
    constants = np.zeros(2, WORLD)
    base = base_cells(scenario)
    for i, variant in enumerate((scenario, unified)):
        fill_constants(constants[i], variant, days)
        constants[i]["free_worth"] = free_worth(variant, base)
        constants[i]["split"] = split
        constants[i]["reward"] = REWARDS.index(reward)
        constants[i]["sampled"] = sampled
        # without shocks their mean needs no correction
        constants[i]["demand_correction"] *= sampled
        constants[i]["jump_correction"] *= sampled
    calendar = calendar_table(scenario, days)
    hours = hour_table(scenario)
    return World(
        constants,
        base,
        hours,
        ahead_table(hours),
        calendar,
        clock_table(scenario),
        remaining_table(scenario, days, hours, calendar),
    )
