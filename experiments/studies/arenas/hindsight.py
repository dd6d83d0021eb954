"""The best constant plan of each merchant in hindsight: a grid, then a coordinate search around its
best point.

A constant plan sees nothing and learns nothing, so what it gains from a change of the world is the
world's gain and not a better controller's. Every merchant is searched on its own realised random
numbers; all merchants of an arena are searched side by side.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .arena import Arena, Plans

Objective = Callable[[Plans], np.ndarray]
Knobs = Mapping[
    str, Sequence[str]
]  # name of a knob -> the levers that it sets to one and the same action


class Held(NamedTuple):
    """A constant plan per merchant and what it earned."""

    action: np.ndarray  # (n, levers)
    plans: Plans  # dashboard figures, each (n,)


class Effort(NamedTuple):
    """How hard to search."""

    bids: int = 8  # grid points of the bid knob
    depths: int = 4  # grid points of the coupon knob
    rounds: int = 2  # passes over the knobs, each with half the step of the one before


FULL = Effort()
BIDS = (-0.92, 0.45)  # actions: 0.03 to 2.5 times the reference bid of the default market
DEPTHS = (-1.0, 0.25)  # actions: no coupon to 9 % of the order value in the default market
BID_STEP = 0.09
DEPTH_STEP = 0.2


def score(plans: Plans) -> np.ndarray:
    """What everybody is judged by: settled GMV * min(1, (ROI / target)^2), CNY."""
    return plans["score"]


def profit(plans: Plans) -> np.ndarray:
    """Merchant's profit, CNY."""
    return plans["profit"]


def grid_search(
    arena: Arena, base: np.ndarray, objectives: Sequence[Objective], effort: Effort = FULL
) -> list[Held]:
    """The best of a grid of bids (one for all scenes) and coupon depths (one for all pools),
    refined, for each objective.

    Args:
        arena: the episodes.
        base: (n, levers) action of every lever that is not searched.
        objectives: each is maximised on its own; they share the grid's runs.
        effort: how hard to search.
    """
    knobs = plan_knobs(arena)
    best: list[Held | None] = [None] * len(objectives)
    for bid in np.linspace(*BIDS, effort.bids):
        for depth in np.linspace(*DEPTHS, effort.depths):
            action = base.copy()
            _set(arena, action, knobs["bid"], bid)
            _set(arena, action, knobs["coupon"], depth)
            tried = Held(action, arena.hold(action))
            best = [
                _better(old, tried, objective)
                for old, objective in zip(best, objectives, strict=True)
            ]
    return [
        refine(arena, held, knobs, objective, effort.rounds)
        for held, objective in zip(best, objectives, strict=True)
        if held is not None
    ]


def refine(
    arena: Arena,
    start: Held,
    knobs: Knobs,
    objective: "Objective | Mapping[str, Objective]",
    rounds: int,
    bid_step: float = BID_STEP,
) -> Held:
    """Coordinate search: every knob up and down a step, keep what is better for that merchant,
    halve the step.

    Args:
        arena: the episodes.
        start: where to begin.
        knobs: what is moved, one after another.
        objective: what a move must improve; a mapping gives every knob its own (four plans that do
            not talk to each other).
        rounds: passes over the knobs.
        bid_step: first step of a bid, in action units.
    """
    held = start
    for level in range(rounds):
        for name, levers in knobs.items():
            goal = objective[name] if isinstance(objective, Mapping) else objective
            step = (DEPTH_STEP if name.startswith("coupon") else bid_step) / 2**level
            for sign in (1, -1):
                action = held.action.copy()
                columns = [arena.column[lever] for lever in levers]
                action[:, columns] = np.clip(action[:, columns] + sign * step, -1, 1)
                held = _better(held, Held(action, arena.hold(action)), goal)
    return held


def plan_knobs(arena: Arena) -> dict[str, list[str]]:
    """One bid for all scenes and one coupon depth for all pools."""
    return {
        "bid": [n for n in arena.levers if n.startswith("bid")],
        "coupon": [n for n in arena.levers if n.startswith("coupon_")],
    }


def scene_knobs(arena: Arena) -> dict[str, list[str]]:
    """A bid for each scene."""
    return {n: [n] for n in arena.levers if n.startswith("bid_")}


def _better(old: Held | None, new: Held, objective: Objective) -> Held:
    """Merchant by merchant, the plan that the objective prefers."""
    if old is None:
        return new
    wins = objective(new.plans) > objective(old.plans)
    plans = {name: np.where(wins, new.plans[name], values) for name, values in old.plans.items()}
    return Held(np.where(wins[:, None], new.action, old.action), plans)


def _set(arena: Arena, action: np.ndarray, levers: Sequence[str], value: float) -> None:
    action[:, [arena.column[lever] for lever in levers]] = value
