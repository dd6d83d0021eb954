"""The hourly curve and the weekday factors of a log, from rows of days that may end early."""

from typing import NamedTuple

import numpy as np

from .auction_log import AuctionLog
from .landscape import Floats

HALF_ROW = 0.5  # the add-half rule: each hour starts with half a row at the base curve's rate
# a day whose rows all fall before their last with less chance than this was stopped, not quiet
CHANCE = 1e-4
SWEEPS = 60  # of the two-way fit; it converges geometrically, in about ten
# of the mean hour: a base curve with an empty hour must not forbid what the log shows
LEAST_RATE = 0.01


class HourlyFit(NamedTuple):
    """Percent of a day's traffic by hour with its standard error and rows; hours never covered keep
    the prior.
    """

    share: Floats
    error: Floats
    rows: Floats
    covered: np.ndarray


class WeekdayFit(NamedTuple):
    """Factors by weekday, Monday first, mean 1, with standard errors, and the rows of each."""

    factor: Floats
    error: Floats
    rows: Floats


def fit_traffic(auctions: AuctionLog, prior: Floats) -> tuple[HourlyFit, WeekdayFit | None]:
    """Hourly curve and, where every weekday and at least seven days are seen, weekday factors.

    A campaign whose daily budget is gone stops bidding, so a silent evening is not an evening
    without traffic. Rows of date d and hour h are Poisson with mean E[d,h] * level[d] * rate[h],
    where E is the part of the hour before the date's last row; the whole day counts where the base
    curve puts all of the date's rows so early with a chance above `CHANCE`. Where every date runs
    all day, shares and standard errors are the multinomial ones of add-half smoothing. Derived
    here.

    Args:
        auctions: the log; lost rows count too, since they were opportunities.
        prior: (24,) base curve, any scale: half a row's weight in each hour, and all of it in hours
            never covered.
    """
    days, day = np.unique(auctions.date, return_inverse=True)
    seen = (
        np.bincount(day * 24 + auctions.hour, minlength=24 * len(days))
        .reshape(-1, 24)
        .astype(float)
    )
    end = np.zeros(len(days))
    np.maximum.at(end, day, auctions.hour + (auctions.second + 1) / 3600)
    exposure = np.clip(end[:, None] - np.arange(24), 0, 1)
    exposure[0, : int(auctions.hour[day == 0].min())] = (
        0  # the log may begin in the middle of its first day
    )
    base = np.maximum(prior / prior.mean(), LEAST_RATE)
    base /= base.mean()
    exposure[(exposure @ base / 24) ** seen.sum(axis=1) > CHANCE] = 1
    rate, level = _two_way(seen, exposure, base)
    return _hourly(rate, seen.sum(axis=0), exposure.sum(axis=0) > 0), _weekday(auctions, level, day)


def _two_way(seen: Floats, exposure: Floats, base: Floats) -> tuple[Floats, Floats]:
    """(rate[h], level[d]) of Poisson rows with mean exposure * level * rate, rate of mean 1; (24,),
    (days,).

    The hours that the log covers share among themselves what the base curve gives to them together.
    """
    rate = base.copy()
    level = np.zeros(len(seen))
    covered = exposure.sum(axis=0) > 0
    for _ in range(SWEEPS):
        level = seen.sum(axis=1) / np.maximum(exposure @ rate, 1e-9)
        rate = (seen.sum(axis=0) + HALF_ROW) / (level @ exposure + HALF_ROW / base)
        rate[covered] *= base[covered].sum() / rate[covered].sum()
    return rate, level


def _hourly(rate: Floats, rows: Floats, covered: np.ndarray) -> HourlyFit:
    """Shares in percent, errors by the delta method from Poisson rows; uncovered hours have no
    error of their own.
    """
    share = rate / rate.sum()
    part = np.where(covered, share, 0) / share[covered].sum()
    variance = 1 / (rows + HALF_ROW)
    error = share * np.sqrt((1 - 2 * part) * variance + part**2 @ variance)
    return HourlyFit(100 * share, np.where(covered, 100 * error, 0), rows, covered)


def _weekday(auctions: AuctionLog, level: Floats, day: np.ndarray) -> WeekdayFit | None:
    """Mean level of the dates of each weekday; None unless seven dates and all seven weekdays are
    seen.
    """
    monday_first = (auctions.weekday - 1) % 7  # iPinYou counts from Sunday
    of_date = np.zeros(len(level), int)
    of_date[day] = monday_first
    dates = np.bincount(of_date, minlength=7)
    if dates.min() == 0:
        return None
    mean = np.bincount(of_date, level, 7) / dates
    rows = np.bincount(of_date[day], minlength=7).astype(float)
    return WeekdayFit(mean / mean.mean(), mean / mean.mean() / np.sqrt(rows), rows)
