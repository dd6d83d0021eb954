"""A market fitted to an auction log: what the log can tell is replaced in a base scenario, the rest
stays a prior.

Fitted: the hourly curve, weekday factors (whole weeks only), the bid landscape (mu, sigma) and the
click rate, each with its standard error or interval. A log of one display campaign says nothing of
scenes, segments, orders, coupons or refunds, so the base scenario's differences between scenes and
everything behind the click are kept. The fitted sigma takes in all that moved prices for that one
campaign; the world's own price shocks come on top of it.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize import brentq
from scipy.special import expit

from ...envs.scenario import (
    POOLS,
    SCENES,
    SEGMENTS,
    Scenario,
    ScenarioError,
    load_scenario,
    save_scenario,
)
from .auction_log import AuctionLog, LogError, read_log
from .columns import ColumnError, Columns, parse_columns
from .landscape import Floats, Landscape, fit_landscape
from .traffic import HourlyFit, WeekdayFit, fit_traffic

LN_FEN_PER_CNY = log(100)
WILSON_Z = 1.959963984540054  # two-sided 95 %
SHIFT_LIMIT = 60.0  # logits; wide enough for any click rate a float can hold


class ClickFit(NamedTuple):
    """Click rate used, its Wilson 95 % interval, and the counts behind it."""

    rate: float
    low: float
    high: float
    clicks: int
    rows: int


class Line(NamedTuple):
    """One line of the report."""

    quantity: str
    value: str
    error: str
    rows: int
    ks: str
    before: str


@dataclass(frozen=True)
class Calibration:
    """A calibrated scenario and what was fitted: landscape in ln CNY per thousand, hourly shares in
    percent.
    """

    scenario: Scenario
    base: Scenario
    landscape: Landscape
    hourly: HourlyFit
    weekday: WeekdayFit | None
    click: ClickFit
    priors: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def lines(self) -> list[Line]:
        """The report: quantity, value, standard error or interval, rows, KS, value before."""
        return [*self._levels(), *self._hours(), *self._weekdays()]

    def _levels(self) -> list[Line]:
        fit = self.landscape
        click = self.click
        ks = f"{fit.ks:.3f}"
        before = [f"{_ad_mean(self.base, name):.3f}" for name in ("cpm_log_mean", "cpm_log_sigma")]
        interval = f"{100 * click.low:.4f} to {100 * click.high:.4f}"
        ctr = f"{100 * click.rate:.4f}"
        ctr_before = f"{100 * fresh_click_rate(self.base):.4f}"
        return [
            Line("mu (ln CPM)", f"{fit.mu:.3f}", f"± {fit.mu_error:.3f}", fit.rows, ks, before[0]),
            Line(
                "sigma (ln CPM)",
                f"{fit.sigma:.3f}",
                f"± {fit.sigma_error:.3f}",
                fit.rows,
                ks,
                before[1],
            ),
            Line("CTR (%)", ctr, interval, click.rows, "", ctr_before),
        ]

    def _hours(self) -> list[Line]:
        before = 100 * np.array(self.base.traffic.hourly) / sum(self.base.traffic.hourly)
        hours = zip(
            self.hourly.share,
            self.hourly.error,
            self.hourly.rows,
            self.hourly.covered,
            before,
            strict=True,
        )
        return [
            Line(
                f"{hour:02d}-{hour + 1:02d} h (%)",
                f"{share:.2f}",
                f"± {error:.2f}" if seen else "prior",
                int(rows),
                "",
                f"{old:.2f}",
            )
            for hour, (share, error, rows, seen, old) in enumerate(hours)
        ]

    def _weekdays(self) -> list[Line]:
        if self.weekday is None:
            return []
        names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
        days = zip(names, *self.weekday, self.base.traffic.weekday, strict=True)
        return [
            Line(f"{day} (factor)", f"{factor:.3f}", f"± {error:.3f}", int(rows), "", f"{old:.3f}")
            for day, factor, error, rows, old in days
        ]


def calibrate(
    log_path: str | Path,
    base: str | Path | Scenario = "default",
    name: str | None = None,
    columns: Columns | None = None,
) -> Calibration:
    """Fit a scenario to an auction log.

    Args:
        log_path: tab-separated log, see `auction_log`.
        base: scenario that everything the log cannot tell is taken from: a shipped name, a YAML
            file or a Scenario.
        name: of the new scenario; by default the log's file name without its ending.
        columns: where the fields of a log of another layout are, see `columns.find_layout`.

    Raises:
        LogError: the log is malformed or does not tell a landscape.
        ScenarioError: the base is wrong, or a fitted number lies outside the schema's range.
    """
    before = load_scenario(base)
    auctions = read_log(log_path, columns)
    if sum(before.traffic.ad.values()) <= 0:
        raise ScenarioError(
            before.name,
            ["traffic.ad sums to 0; calibration needs ad traffic to weigh the scenes by"],
        )
    landscape = _landscape(auctions, log_path)
    hourly, weekday = fit_traffic(auctions, np.array(before.traffic.hourly, float))
    click = fit_click(int(auctions.click.sum()), int(auctions.won.sum()))
    changes = _changes(before, landscape, hourly, weekday, click)
    texts = _provenance(before, auctions, landscape, click, weekday)
    texts["name"] = name or Path(log_path).stem
    notes = _notes(hourly, weekday, click, click.rate / fresh_click_rate(before))
    return Calibration(
        before.updated(changes | texts),
        before,
        landscape,
        hourly,
        weekday,
        click,
        _priors(weekday),
        (auctions.note, *notes) if auctions.note else notes,
    )


def fit_click(clicks: int, rows: int) -> ClickFit:
    """Click rate with its Wilson 95 % interval; where nobody or everybody clicked, the rate is its
    centre.
    """
    share = clicks / rows
    z2 = WILSON_Z**2
    centre = (clicks + z2 / 2) / (rows + z2)
    half = WILSON_Z * sqrt(share * (1 - share) * rows + z2 / 4) / (rows + z2)
    rate = share if 0 < clicks < rows else centre
    return ClickFit(rate, max(centre - half, 0.0), min(centre + half, 1.0), clicks, rows)


def fresh_click_rate(scenario: Scenario, shift: float = 0.0) -> float:
    """Mean click probability of ad traffic, over scenes and segments, with a fresh creative of mean
    quality.

    logistic(scene + shift + segment + pool ad + creative_gain * quality_mean): world 2.5 at E = 0
    and X = 0.
    """
    click = scenario.click
    logit = (
        np.array([click.scene[s] for s in SCENES])[:, None]
        + np.array([click.segment[k] for k in SEGMENTS])
        + click.pool["ad"]
        + click.creative_gain * scenario.creative.quality_mean
        + shift
    )
    segments = np.array([scenario.traffic.segments[k] for k in SEGMENTS])
    return float(_ad_weights(scenario) @ expit(logit) @ (segments / segments.sum()))


def write_calibration(result: Calibration, out_path: str | Path, force: bool = False) -> None:
    """Write the scenario as YAML, whole or not at all.

    Raises:
        OSError: the file exists and `force` is false, or it cannot be written; the message names
            the file.
    """
    target = Path(out_path)
    _check_target(target, force)
    try:
        save_scenario(result.scenario, target)
    except OSError as error:
        raise OSError(f"{target}: cannot be written: {error.strerror or error}") from None


def print_report(result: Calibration, console: Console) -> None:
    """Print what was fitted, its uncertainty and the value before, then what stayed a prior."""
    table = Table(title=f"{result.scenario.name}, calibrated", caption=result.scenario.source)
    for heading in Line._fields:
        title = {"error": "error or 95 %", "ks": "KS", "before": "prior before"}.get(
            heading, heading
        )
        table.add_column(title, justify="left" if heading == "quantity" else "right", no_wrap=True)
    for line in result.lines:
        table.add_row(*(str(item) for item in line))
    console.print(table)
    for note in result.notes:
        console.print(f"note: {note}", markup=False)
    console.print(f"stayed a prior: {', '.join(result.priors)}", markup=False)


def cli_calibrate(
    log: Path,
    output: Path,
    base: str = "default",
    name: str | None = None,
    force: bool = False,
    columns: Sequence[str] = (),
) -> int:
    """Calibrate, write and report: 0, or 2 with one line on stderr and no output file where
    anything is wrong. `columns` holds texts like `click=1`, see `columns.parse_columns`.
    """
    try:
        _check_target(output, force)
        if output.exists() and log.exists() and output.samefile(log):
            raise OSError(f"{output}: is the log itself; choose another output file")
        result = calibrate(log, base, name, parse_columns(columns))
        write_calibration(result, output, force)
    except (LogError, ColumnError, ScenarioError, OSError) as error:
        sentence = "; ".join(line.strip() for line in str(error).splitlines())
        print(f"error: {sentence}", file=sys.stderr)
        return 2
    console = Console()
    print_report(result, console)
    console.print(f"written to {output}", markup=False)
    return 0


def _check_target(target: Path, force: bool) -> None:
    if target.is_dir():
        raise OSError(f"{target}: is a folder; give the name of the YAML file to write")
    if target.exists() and not force:
        raise OSError(f"{target}: exists already; choose another name, or --force to replace it")


def _landscape(auctions: AuctionLog, path: str | Path) -> Landscape:
    """The landscape in ln CNY per thousand."""
    won = auctions.won
    if (auctions.paying_price[won] == auctions.bid_price[won]).all() and won.any():
        raise LogError(
            f"{path}: every won row pays its own bid; a first-price log does not show competing "
            "bids, a second-price log is needed"
        )
    try:
        return fit_landscape(auctions.paying_price, auctions.bid_price, won).shifted(
            -LN_FEN_PER_CNY
        )
    except ValueError as error:
        raise LogError(f"{path}: {error}") from None


def _ad_weights(scenario: Scenario) -> Floats:
    traffic = np.array([scenario.traffic.ad[s] for s in SCENES])
    return traffic / traffic.sum()


def _ad_mean(scenario: Scenario, table: str) -> float:
    return float(_ad_weights(scenario) @ [getattr(scenario.auction, table)[s] for s in SCENES])


def _changes(
    base: Scenario,
    landscape: Landscape,
    hourly: HourlyFit,
    weekday: WeekdayFit | None,
    click: ClickFit,
) -> dict[str, Any]:
    """What differs from the base: one common shift of prices, one of click logits, one sigma, the
    curves, and volumes.

    The log does not tell how many auctions a merchant could enter. Volumes are scaled so that fresh
    creatives bring a merchant as many clicks a day as in the base; otherwise a display log's click
    rate would leave it two orders a day.
    """
    price = landscape.mu - _ad_mean(base, "cpm_log_mean")
    found = brentq(
        lambda x: fresh_click_rate(base, x) - click.rate, -SHIFT_LIMIT, SHIFT_LIMIT, xtol=1e-12
    )
    logit = cast(float, found)  # without full_output brentq returns the root alone
    scale = fresh_click_rate(base) / click.rate
    traffic: dict[str, Any] = {
        pool: {s: getattr(base.traffic, pool)[s] * scale for s in SCENES} for pool in POOLS
    }
    traffic["hourly"] = [round(float(x), 4) for x in hourly.share]
    if weekday:
        traffic["weekday"] = [round(float(x), 4) for x in weekday.factor]
    return {
        "traffic": traffic,
        "click": {"scene": {s: base.click.scene[s] + logit for s in SCENES}},
        "auction": {
            "cpm_log_mean": {s: base.auction.cpm_log_mean[s] + price for s in SCENES},
            "cpm_log_sigma": dict.fromkeys(SCENES, landscape.sigma),
        },
    }


def _provenance(
    base: Scenario,
    auctions: AuctionLog,
    fit: Landscape,
    click: ClickFit,
    weekday: WeekdayFit | None,
) -> dict[str, str]:
    """Description and source: the file's name only, so that a scenario does not carry anybody's
    folders.
    """
    curves = "traffic.hourly, traffic.weekday" if weekday else "traffic.hourly"
    dates = f"{auctions.date.min()} to {auctions.date.max()}"
    rows = f"{auctions.rows} rows, {fit.losses} of them lost, {dates}"
    source = (
        f"{auctions.file} (SHA-256 {auctions.sha256[:12]}, {rows}): {curves}, "
        f"auction.cpm_log_mean (mu {fit.mu:.4f} ± {fit.mu_error:.4f}), "
        f"auction.cpm_log_sigma ({fit.sigma:.4f} ± {fit.sigma_error:.4f}), "
        f"click.scene (CTR {click.rate:.3g}, {click.clicks} clicks); "
        f"all else from {base.name} {base.hash}"
    )
    price = f"prices (median {exp(fit.mu):.2f} CNY per thousand)"
    description = f"{base.name} with hourly curve, {price} and CTR fitted to {auctions.file}"
    return {"description": description, "source": source}


def _priors(weekday: WeekdayFit | None) -> tuple[str, ...]:
    """Names of what the log could not tell: whole sections, and the rest of those it touched."""
    texts = ("name", "description", "source")
    touched = {
        "traffic": f"traffic (volumes at the base's clicks per day, segments, live_hourly, "
        f"{'' if weekday else 'weekday, '}shocks, events)",
        "auction": "auction (differences between scenes and segments, price rule, shocks, "
        "reaction)",
        "click": "click (differences between scenes, segments and pools, fatigue, pressure)",
    }
    return tuple(touched.get(field, field) for field in Scenario.model_fields if field not in texts)


def _notes(
    hourly: HourlyFit, weekday: WeekdayFit | None, click: ClickFit, change: float
) -> tuple[str, ...]:
    """What a reader must know before using the numbers; `change` is the CTR over the base's."""
    notes = ["live keeps its own hourly curve: a display log does not tell it"]
    bare = [str(hour) for hour in range(24) if not hourly.covered[hour]]
    if bare:
        notes.append(
            f"no day of the log reaches hours {', '.join(bare)} (the campaign or the log had "
            "stopped): they keep the base's shares"
        )
    if weekday is None:
        notes.append("weekday factors stay a prior: the log does not cover a whole week")
    if not 0 < click.clicks < click.rows:
        notes.append(
            f"{click.clicks} clicks on {click.rows} impressions: "
            "the CTR is the centre of the Wilson interval"
        )
    notes.append(
        f"the CTR is {change:.2g} times the base's; traffic volumes, which the log cannot tell, "
        f"are scaled by {1 / change:.3g} so that a merchant's clicks per day stay those of the base"
    )
    return tuple(notes)
