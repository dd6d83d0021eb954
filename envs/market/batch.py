"""The compiled loops over a batch: the two functions that Python calls.

Both take the address of a frame (see `kernels.frame`), which names what they read and write.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..kernels.compiled import digest_of, entry, inlined, kernel
from ..kernels.frame import cube_at, frame_dtype, matrix_at, record_at, vector_at
from ..kernels.numerics import is_finite
from ..kernels.streams import episode_key
from . import layout as rows
from .constants import WORLD
from .generator import draw_merchant
from .layout import Plan, Tables, Work
from .observation import observe, show_shop
from .tick import set_controls, tick

F = np.float32

FRAME = frame_dtype(
    ("first", "last", "noop"),  # markets first to last - 1; whether their plans do nothing
    (
        "constants",  # (2,) WORLD: the scenario, and its unified form that merchants are drawn in
        "base",  # (CELL_ROWS, N_LANES) float32: cells of an average merchant
        "hours",
        "ahead",
        "calendar",
        "clock",
        "remaining",
        "merchants",  # (n,) MERCHANT
        "cells",  # (n,) CELL
        "states",  # (n,) STATE
        "actions",  # (n, levers) float32
        "levers",  # (levers,) int64: which lever each action entry moves
        "mask",  # (n,) bool: which markets to reset
        "observations",  # (n, N_FEATURES) float32
        "rewards",  # (n,) float32
        "dones",  # (n,) bool
        "costs",  # (n, N_COSTS) float32
        "lane",
        "scene",
        "group",
        "draws",  # (2, DRAWS) float32: uniform and normal draws of a merchant
    ),
)


@kernel
def tables_of(frame):
    """The scenario's tables in a frame."""
    return Tables(
        matrix_at(frame.hours, F),
        matrix_at(frame.ahead, F),
        matrix_at(frame.calendar, F),
        matrix_at(frame.clock, F),
        cube_at(frame.remaining, F),
    )


class Markets(NamedTuple):
    """The records of all markets of a frame, one entry each."""

    merchants: Any
    cells: Any
    states: Any
    observations: Any


@kernel
def markets_of(frame):
    """The markets in a frame."""
    return Markets(
        vector_at(frame.merchants, rows.MERCHANT),
        vector_at(frame.cells, rows.CELL),
        vector_at(frame.states, rows.STATE),
        matrix_at(frame.observations, F),
    )


@inlined
def work_of(frame: Any) -> Any:
    """The work space in a frame."""
    group = record_at(frame.group.address, rows.GROUP)
    return Work(
        record_at(frame.lane.address, rows.LANE),
        record_at(frame.scene.address, rows.SCENE),
        group,
        group.rows[rows.G_SPEND],
    )


@kernel
def first_not_finite(actions, first, last):
    """The first market of a range with an action that is not finite; -1 if there is none."""
    for i in range(first, last):
        for j in range(actions.shape[1]):
            if not is_finite(actions[i, j]):
                return i
    return -1


def _entries(sources):
    """The functions Python calls; `sources` in their closures ties the compiled cache to the text
    they were made of.
    """

    @entry
    def step_batch(address):
        """Step the unfinished markets of a frame by one tick.

        No-op plans bid and grant nothing, and their observations and dones are left as they are.

        Returns the first market whose action is not finite, before anything has changed, or -1.
        """
        _ = sources
        frame = record_at(address, FRAME)
        world = record_at(frame.constants.address, WORLD)
        tables = tables_of(frame)
        work = work_of(frame)
        merchants, cells, states, observations = markets_of(frame)
        actions = matrix_at(frame.actions, F)
        levers = vector_at(frame.levers, np.int64)
        rewards = vector_at(frame.rewards, F)
        dones = vector_at(frame.dones, np.bool_)
        costs = matrix_at(frame.costs, F)
        wrong = first_not_finite(actions, frame.first, frame.last)
        if wrong >= 0:
            return wrong
        for i in range(frame.first, frame.last):
            if states[i].done:
                continue
            plan = Plan(world, merchants[i], cells[i], states[i])
            set_controls(world, states[i], actions[i], levers, frame.noop)
            rewards[i] = tick(plan, work, tables, costs[i])
            if not frame.noop:
                dones[i] = states[i].done
                observe(plan, tables, work.lane, observations[i])
        return -1

    @entry
    def reset_batch(address):
        """Draw a new merchant and day for every masked market of a frame, keyed by its record's
        seed and episode.
        """
        _ = sources
        frame = record_at(address, FRAME)
        constants = vector_at(frame.constants, WORLD)
        base = matrix_at(frame.base, F)
        tables = tables_of(frame)
        work = work_of(frame)
        merchants, cells, states, observations = markets_of(frame)
        mask = vector_at(frame.mask, np.bool_)
        draws = matrix_at(frame.draws, F)
        for i in range(frame.first, frame.last):
            if mask[i]:
                state = states[i]
                state.key = episode_key(state.seed, state.episode, constants[0].split)
                state.path_key = state.key
                drawn = Plan(constants[1], merchants[i], cells[i], state)
                draw_merchant(drawn, work, base, tables, draws[0], draws[1])
                plan = Plan(constants[0], merchants[i], cells[i], state)
                show_shop(plan.world, state)
                observe(plan, tables, work.lane, observations[i])

    return step_batch, reset_batch


HERE = Path(__file__).parent
step_batch, reset_batch = _entries(
    digest_of(HERE, HERE.parent / "kernels", HERE.parent / "interface")
)
