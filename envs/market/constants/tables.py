"""Clock and calendar of a scenario as tables: one look-up a tick instead of a calculation (world
2.1).
"""

import math

import numpy as np

from ...scenario import SCENES, Scenario
from ...scenario.traffic import Event
from .. import layout as rows
from .entries import values_of

HOURS = 24.0


def hour_table(s: Scenario) -> np.ndarray:
    """Traffic factor by scene and tick of day, (4, ticks_per_day) float32 of mean 1; linear between
    hour middles.
    """
    n = s.clock.ticks_per_day
    at = (np.arange(n) + 0.5) * HOURS / n
    table = []
    for scene in SCENES:
        curve = np.array(s.traffic.live_hourly if scene == "live" else s.traffic.hourly, float)
        values = np.interp(at, np.arange(24) + 0.5, curve, period=HOURS)
        table.append(values / values.mean())
    return np.array(table, np.float32)


def ahead_table(hours: np.ndarray) -> np.ndarray:
    """Share of a day's traffic from each tick on, the tick's own included, (4, ticks_per_day)
    float32, from the hour table.
    """
    exact = hours.astype(float)
    return (exact[:, ::-1].cumsum(1)[:, ::-1] / exact.sum(1, keepdims=True)).astype(np.float32)


def clock_table(s: Scenario) -> np.ndarray:
    """Sine and cosine of the time of day, then of the weekday: (CLOCK_ROWS, ticks_per_day) float32,
    the last two in 7 entries.
    """
    n = s.clock.ticks_per_day
    table = np.zeros((rows.CLOCK_ROWS, n))
    for sine, cosine, period in (
        (rows.HOUR_SIN, rows.HOUR_COS, n),
        (rows.WEEKDAY_SIN, rows.WEEKDAY_COS, rows.N_WEEKDAYS),
    ):
        angle = 2 * np.pi * np.arange(period) / period
        table[sine, :period] = np.sin(angle)
        table[cosine, :period] = np.cos(angle)
    return table.astype(np.float32)


def calendar_table(s: Scenario, days: int) -> np.ndarray:
    """Traffic factor, log price shift and order logit shift of each day, (CALENDAR_ROWS, days + 2 +
    shift) float32.
    """
    length = days + 2 + s.merchants.calendar_shift
    table = np.zeros((rows.CALENDAR_ROWS, length))
    for day in range(length):
        for event in s.traffic.events:
            strength, after = _event_phase(event, day)
            order = strength * event.conversion + after * event.hangover_conversion
            table[rows.CALENDAR_TRAFFIC, day] += strength * math.log(event.traffic)
            table[rows.CALENDAR_PRICE, day] += strength * math.log(event.price)
            table[rows.CALENDAR_ORDER, day] += order
    table[rows.CALENDAR_TRAFFIC] = np.exp(table[rows.CALENDAR_TRAFFIC])
    return table.astype(np.float32)


def _event_phase(event: Event, day: int) -> tuple[float, float]:
    """How much of the event's peak, and of its hangover, there is on a day: shares of one."""
    end = event.day + event.length
    if day < event.day:
        return max(0.0, 1 - (event.day - day) / (event.buildup + 1)), 0.0
    if day < end:
        return 1.0, 0.0
    if not event.hangover:
        return 0.0, 0.0
    return 0.0, max(0.0, 1 - (day - end) / event.hangover)


def remaining_table(s: Scenario, days: int, hours: np.ndarray, calendar: np.ndarray) -> np.ndarray:
    """Share of the plan's expected ad traffic still to come before each tick, by calendar shift and
    first weekday; the last entry, after the episode, is 0.
    """
    volume = np.array(values_of(s.traffic.ad, SCENES))
    if volume.sum() <= 0:  # without ads, the scenes' plain average
        volume = np.ones(len(SCENES))
    day_curve = (volume @ hours) / volume.sum()
    weekday = np.array(s.traffic.weekday)
    shifts = (s.merchants.calendar_shift if s.traffic.events else 0) + 1
    week = rows.N_WEEKDAYS
    table = np.zeros((shifts, week, days * s.clock.ticks_per_day + 1))
    for shift in range(shifts):
        for first in range(week):
            event = calendar[rows.CALENDAR_TRAFFIC, shift : shift + days]
            daily = np.array([weekday[(first + d) % week] * event[d] for d in range(days)])
            plans = (daily[:, None] * day_curve).reshape(s.seasons.plans(days), -1)
            left = [flow[::-1].cumsum()[::-1] / max(flow.sum(), 1e-300) for flow in plans]
            table[shift, first, :-1] = np.concatenate(left)
    return table.astype(np.float32)
