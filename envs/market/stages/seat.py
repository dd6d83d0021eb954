"""The merchant's own seat (world 2.16): a daily budget and a target for the platform's bidder, and
the platform's rules of editing them.
"""

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import ZERO
from .. import layout as rows
from .plans import plan_tick

F = np.float32


@scalar
def budget_of_day(world, state):
    """Most that the day may spend, fen: the scenario's daily cap, and the merchant's daily budget
    where there is one.
    """
    cap = np.floor(world.daily_cap * state.budget)
    if world.seat_open:
        even = state.budget * world.days_inverse
        cap = min(cap, np.floor(np.float64(state.budget_told) * even))
    return cap


@scalar
def told_target(world, state):
    """The ROI target that the platform's bidder is told."""
    if world.seat_open:
        return state.roi_target * state.target_told
    return state.roi_target


@kernel
def edit_budget(world, state, first):
    """Put the daily budget asked for in force, if it is an edit and one is left today; it is not
    below `budget_floor` times what the day has spent. A plan's first value is no edit.
    """
    asked = state.control[rows.LEVER_BUDGET_PACE]
    even = state.budget * world.days_inverse
    allowed = abs(asked - state.budget_told) > world.budget_step
    allowed = allowed and state.budget_edits < world.most_budget_edits
    state.budget_edited = 1 if first or allowed else 0
    if state.budget_edited:
        state.budget_told = max(asked, F(world.budget_floor * state.day_spend / even))
        state.budget_edits += 0 if first else 1


@kernel
def edit_target(world, state, first):
    """The same of the target: edits lie `target_hours` apart, and too many in a day void the cost
    protection.
    """
    asked = state.control[rows.LEVER_TARGET]
    state.target_age += world.hours_per_tick
    allowed = abs(asked - state.target_told) > world.target_step * state.target_told
    allowed = allowed and state.target_age >= world.target_hours
    state.target_edited = 1 if first or allowed else 0
    if state.target_edited:
        state.target_told = asked
        state.target_age = ZERO
        state.target_edits += 0 if first else 1
        if state.target_edits > world.most_target_edits:
            state.unprotected = 1


@kernel
def take_edits(world, state):
    """Take the tick's edits, and put what is in force into the controls, for the dashboard."""
    if state.tick % world.ticks_per_day == 0:
        state.budget_edits, state.target_edits = 0, 0
    first = plan_tick(world, state) == 0
    if first:
        state.unprotected = 0
    edit_budget(world, state, first)
    edit_target(world, state, first)
    state.control[rows.LEVER_BUDGET_PACE] = state.budget_told
    state.control[rows.LEVER_TARGET] = state.target_told
