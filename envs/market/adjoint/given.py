"""What a tick takes from outside: the calendar, and the market's noise as the engine drew it."""

from typing import NamedTuple

import numpy as np
import torch

from .. import layout as rows
from ..constants.world import World

Tensor = torch.Tensor


class Given(NamedTuple):
    """Inputs of one tick that no action moves, of n markets, each (width, n)."""

    traffic: Tensor  # opportunity factor by scene: hour * weekday * event * e^shock (world 2.1)
    price_shift: Tensor  # of the event, log price
    order_shift: Tensor  # of the event, order logit
    jump_order: Tensor  # by scene, logit
    jump_coupon: Tensor  # factor on coupon response
    jump_refund: Tensor  # logit
    hour_cos: Tensor  # cosine and sine of the time of day
    hour_sin: Tensor
    hour_share: Tensor  # of the day's traffic in this tick, by scene
    hours_ahead: Tensor  # and from it on
    same_day: Tensor  # 1, and 0 on a day's first tick
    remembered: Tensor  # share of what was learned of a scene that the tick's edit leaves
    last: Tensor  # 1 on the episode's last tick
    creative_wait: Tensor  # hours to the creative that is waited for; below 0 if there is none
    price_shock: Tensor  # by scene, as it came out
    auctions: Tensor  # entered, by scene, as they came out
    budget: Tensor  # of the plan, fen
    coupon_budget: Tensor
    roi_target: Tensor
    plan_over: Tensor  # 1 on a plan's last tick, but not the episode's


N = rows.N_SCENES
WIDTHS = (N, 1, 1, N, 1, 1, 1, 1, N, N, 1, N, 1, 1, N, N, 1, 1, 1, 1)


class Before(NamedTuple):
    """What has to be noted before the engine plays a tick, (n,)."""

    tick: np.ndarray
    creative_wait: np.ndarray
    bid_in_force: np.ndarray  # (n, scenes)
    jump: np.ndarray  # (n, jumps)
    plan: np.ndarray
    budget: np.ndarray
    coupon_budget: np.ndarray
    roi_target: np.ndarray


def note(states: np.ndarray) -> Before:
    """Copy what the tick is about to overwrite."""
    return Before(*(states[name].copy() for name in Before._fields))


def read(before: Before, states: np.ndarray, world: World, dtype: torch.dtype) -> Tensor:
    """Inputs of the tick that led from `before` to the engine's `states`, (sum of widths, n)."""
    constants = world.constants[0]
    day, tick_of_day = np.divmod(before.tick, constants["ticks_per_day"])
    today = states["calendar"] + day
    weekday = constants["weekday"][(states["weekday"] + day) % rows.N_WEEKDAYS]
    common = weekday * world.calendar[rows.CALENDAR_TRAFFIC, today]
    shock = np.exp(states["demand_shock"].T - constants["demand_correction"])
    jump = before.jump.T
    factor = np.exp(jump - constants["jump_correction"][:, None])
    table = (
        common * world.hours[:, tick_of_day] * shock * factor[: rows.N_SCENES],
        world.calendar[rows.CALENDAR_PRICE, today][None],
        world.calendar[rows.CALENDAR_ORDER, today][None],
        jump[rows.JUMP_ORDER : rows.JUMP_COUPON],
        factor[rows.JUMP_COUPON][None],
        jump[rows.JUMP_REFUND][None],
        world.clock[rows.HOUR_COS, tick_of_day][None],
        world.clock[rows.HOUR_SIN, tick_of_day][None],
        world.hours[:, tick_of_day] / constants["ticks_per_day"],
        world.ahead[:, tick_of_day],
        (tick_of_day != 0)[None],
        _remembered(before, states, constants),
        (before.tick + 1 >= constants["ticks"])[None],
        before.creative_wait[None],
        states["price_shock"].T,
        states["tick_auctions"].T,
        before.budget[None],
        before.coupon_budget[None],
        before.roi_target[None],
        (states["plan"] != before.plan)[None],
    )
    width = np.float64 if dtype.itemsize > 4 else np.float32
    return torch.from_numpy(np.concatenate(table, dtype=width))


def _remembered(before: Before, states: np.ndarray, constants: np.void) -> np.ndarray:
    """What the tick's edits have left of the evidence, (scenes, n) (world 2.3)."""
    old, new = (np.log(np.maximum(x, 1e-3)) for x in (before.bid_in_force, states["bid_in_force"]))
    edited = (np.abs(new - old) > constants["edit_log_limit"]) & (before.bid_in_force >= 0)
    return np.where(edited, constants["edit_keep"], 1).T


def unpack(table: Tensor) -> Given:
    """Rows under names."""
    return Given(*table.split(WIDTHS))
