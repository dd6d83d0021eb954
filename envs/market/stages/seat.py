"""The merchant's own seat (world 2.13): a daily budget and a target for the platform's bidder, and
the platform's rules of editing them.
"""

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import ZERO
from .. import layout as rows

F = np.float32


@scalar
def budget_of_day(world, state, merchant):
    """Most that the day may spend, fen: the scenario's daily cap, and the merchant's daily budget
    where there is one.
    """
    cap = np.floor(world.daily_cap * merchant.budget)
    if world.seat_open:
        cap = min(
            cap, np.floor(np.float64(state.budget_told) * (merchant.budget * world.days_inverse))
        )
    return cap


@scalar
def told_target(world, state, merchant):
    """The ROI target that the platform's bidder is told."""
    if world.seat_open:
        return merchant.roi_target * state.target_told
    return merchant.roi_target


@kernel
def edit_budget(world, state, merchant):
    """Put the daily budget asked for in force, if it is an edit and one is left today; it is not
    below `budget_floor` times what the day has spent. The first tick's is no edit.
    """
    asked = state.control[rows.LEVER_BUDGET_PACE]
    even = merchant.budget * world.days_inverse
    first = state.tick == 0
    allowed = abs(asked - state.budget_told) > world.budget_step
    allowed = allowed and state.budget_edits < world.most_budget_edits
    state.budget_edited = 1 if first or allowed else 0
    if state.budget_edited:
        state.budget_told = max(asked, F(world.budget_floor * state.day_spend / even))
        state.budget_edits += 0 if first else 1


@kernel
def edit_target(world, state):
    """The same of the target: edits lie `target_hours` apart, and too many in a day void the cost
    protection.
    """
    asked = state.control[rows.LEVER_TARGET]
    first = state.tick == 0
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
def take_edits(world, state, merchant):
    """Take the tick's edits, and put what is in force into the controls, for the dashboard."""
    if state.tick % world.ticks_per_day == 0:
        state.budget_edits, state.target_edits = 0, 0
    edit_budget(world, state, merchant)
    edit_target(world, state)
    state.control[rows.LEVER_BUDGET_PACE] = state.budget_told
    state.control[rows.LEVER_TARGET] = state.target_told
