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
    # for the platform's bidder: usual traffic by scene, of the plan's rest and of the day's in
    # this tick, and over the last tick's; the same of the plan; 1 but for its first tick; share of
    # the traffic to come, and over that of the last hours; value and cost as it believes them, fen
    flow_share: Tensor
    day_share: Tensor
    flow_grown: Tensor
    plan_share: Tensor
    plan_grown: Tensor
    started: Tensor
    ahead: Tensor
    rest: Tensor
    believed_value: Tensor
    believed_cost: Tensor
    budget_told: Tensor  # in force
    budget_edited: Tensor  # 1 where the tick edited it, and the next
    target_edited: Tensor
    unprotected: Tensor  # after the tick


N = rows.N_SCENES
RARE = 1e-20
LEAST_FLOW = 1e-9
OF_PLANS = (1, 1, 1, 1)
OF_BIDDER = (N, N, N, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)
WIDTHS = (N, 1, 1, N, 1, 1, 1, 1, N, N, 1, N, 1, 1, N, N, *OF_PLANS, *OF_BIDDER)


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
        *_flows(before, states, world),
        states["believed_value"][None],
        states["believed_cost"][None],
        states["budget_told"][None],
        states["budget_edited"][None],
        states["target_edited"][None],
        states["unprotected"][None],
    )
    width = np.float64 if dtype.itemsize > 4 else np.float32
    return torch.from_numpy(np.concatenate(table, dtype=width))


def _remembered(before: Before, states: np.ndarray, constants: np.void) -> np.ndarray:
    """What the tick's edits have left of the evidence, (scenes, n) (world 2.3)."""
    old, new = (np.log(np.maximum(x, 1e-3)) for x in (before.bid_in_force, states["bid_in_force"]))
    edited = (np.abs(new - old) > constants["edit_log_limit"]) & (before.bid_in_force >= 0)
    return np.where(edited, constants["edit_keep"], 1).T


def _flows(before: Before, states: np.ndarray, world: World) -> tuple[np.ndarray, ...]:
    """What of usual traffic a tick is, see `Given` from `flow_share` to `rest` (world 2.15)."""
    constants = world.constants[0]
    per_day = constants["ticks_per_day"]
    tick = np.minimum(before.tick, constants["ticks"] - 1)  # of a market that has ended: any
    begun = before.plan * constants["plan_ticks"]
    left = _left(begun + constants["plan_ticks"], states, world)
    many = np.arange(len(tick))
    last = np.maximum(tick - 1, 0)
    now, rest = _flow(tick, left, world)
    then, _ = _flow(last, left, world)
    ahead = left[many, tick]
    plan_now, plan_then = ahead - left[many, tick + 1], left[many, last] - ahead
    of_day = world.hours[:, tick % per_day] / per_day
    started = tick > begun
    return (
        now / np.maximum(rest, RARE),
        of_day / np.maximum(world.ahead[:, tick % per_day], RARE),
        np.where(started, now / np.maximum(then, RARE), 1),
        (plan_now / np.maximum(ahead, RARE))[None],
        np.where(started, plan_now / np.maximum(plan_then, RARE), 1)[None],
        started[None],
        ahead[None],
        np.where(started, ahead / np.maximum(states["recent_flow"], LEAST_FLOW), 0)[None],
    )


def _left(end: np.ndarray, states: np.ndarray, world: World) -> np.ndarray:
    """Share of a plan's traffic from each tick on, 0 at the end of the one in force: (n, ticks +
    1).
    """
    left = world.remaining[states["calendar"], states["weekday"]].astype(float)
    left[np.arange(len(end)), np.minimum(end, left.shape[1] - 1)] = 0
    return left


def _flow(tick: np.ndarray, left: np.ndarray, world: World) -> tuple[np.ndarray, np.ndarray]:
    """Shares of a scene's usual traffic in a tick and from it on, (scenes, n) each."""
    per_day = world.constants[0]["ticks_per_day"]
    many = np.arange(len(tick))
    now = tick % per_day
    later = left[many, tick - now + per_day]
    day = left[many, tick - now] - later
    return day * world.hours[:, now] / per_day, day * world.ahead[:, now] + later


def unpack(table: Tensor) -> Given:
    """Rows under names."""
    return Given(*table.split(WIDTHS))
