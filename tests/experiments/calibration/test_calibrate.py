"""Calibration: what the log tells is fitted, what it does not stays, and nothing is written when
anything is wrong.
"""

import datetime
import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from chengfang.envs.scenario import SCENES, ScenarioError, load_scenario
from chengfang.experiments.calibration.auction_log import AuctionLog, LogError
from chengfang.experiments.calibration.calibrate import (
    Calibration,
    calibrate,
    cli_calibrate,
    fit_click,
    fresh_click_rate,
    print_report,
    write_calibration,
)
from chengfang.experiments.calibration.traffic import fit_traffic
from rich.console import Console
from scipy.stats import binomtest, truncnorm

LOG = Path(__file__).parents[4] / "shared" / "data" / "ipinyou-2259.tsv"
FLAT = np.ones(24)
CURVE = np.concatenate([np.full(8, 0.4), np.full(12, 1.2), np.full(4, 1.6)])
MONDAY = datetime.date(2013, 10, 14)


@pytest.fixture(scope="module")
def real() -> Calibration:
    """The calibration to the real log."""
    if not LOG.is_file():
        pytest.skip(f"real log absent: {LOG}")
    return calibrate(LOG)


def auctions(counts: np.ndarray, seed: int = 0, until: np.ndarray | None = None) -> AuctionLog:
    """A log with counts[d, h] rows, evenly over each hour, from a Monday on; rows after hour
    until[d] are cut off.
    """
    rng = np.random.default_rng(seed)
    day, hour = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), 24)
    second = rng.integers(0, 3600, len(day))
    price = np.rint(
        np.exp(truncnorm.rvs(-np.inf, np.log(294.5) - 4.2, 4.2, 1, len(day), random_state=rng))
    ).astype(int)
    if until is not None:
        keep = hour + second / 3600 < until[day]
        day = day[keep]
        hour = hour[keep]
        second = second[keep]
        price = price[keep]
    date = np.datetime64(MONDAY) + day
    return AuctionLog(
        np.zeros(len(day), int),
        (day + 1) % 7,
        hour,
        date,
        second,
        np.ones(len(day), int),
        np.full(len(day), 294),
        price,
        "log.tsv",
        "0" * 64,
    )


def write(path: Path, log: AuctionLog, clicks: int = 0) -> Path:
    """The log as a file, its first `clicks` rows clicked."""
    lines = []
    for i in range(log.rows):
        clock = f"{log.hour[i]:02d}{log.second[i] // 60:02d}{log.second[i] % 60:02d}000"
        stamp = str(log.date[i]).replace("-", "") + clock
        lines.append(
            "\t".join(
                [
                    str(int(i < clicks)),
                    str(log.weekday[i]),
                    str(log.hour[i]),
                    f"bid{i}",
                    stamp,
                    "1",
                    *["x"] * 16,
                    str(log.bid_price[i]),
                    str(log.paying_price[i]),
                    "null",
                    "2259",
                    "",
                ]
            )
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a whole week of about 6,000 rows and 12 clicks."""
    counts = np.random.default_rng(1).poisson(35 * np.tile(CURVE, (7, 1)))
    return write(tmp_path_factory.mktemp("logs") / "week one.tsv", auctions(counts), clicks=12)


def test_fit_traffic_has_the_multinomial_law_where_every_day_is_whole() -> None:
    counts = np.random.default_rng(2).poisson(60 * np.tile(CURVE, (14, 1)))
    hourly, weekday = fit_traffic(auctions(counts), FLAT)
    n = counts.sum()
    seen = counts.sum(axis=0)
    smoothed = (seen + 0.5) / (n + 12)
    assert hourly.share == pytest.approx(100 * smoothed, rel=2e-3)
    assert hourly.error == pytest.approx(100 * np.sqrt(smoothed * (1 - smoothed) / n), rel=2e-2)
    assert hourly.share.sum() == pytest.approx(100)
    assert hourly.covered.all()
    assert weekday is not None
    assert (np.abs(weekday.factor - 1) < 4 * weekday.error).all()


def test_fit_traffic_recovers_weekdays_monday_first() -> None:
    factors = np.array([0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3])
    counts = np.random.default_rng(3).poisson(80 * np.outer(np.tile(factors, 2), CURVE))
    _, weekday = fit_traffic(auctions(counts), FLAT)
    assert weekday is not None
    assert weekday.factor.mean() == pytest.approx(1)
    assert (np.abs(weekday.factor - factors) < 4 * weekday.error).all()


def test_fit_traffic_does_not_take_a_stopped_campaign_for_a_quiet_evening() -> None:
    counts = np.random.default_rng(4).poisson(400 * np.outer([1, 2, 0.5], CURVE))
    hourly, weekday = fit_traffic(auctions(counts, until=np.array([23.99, 19.3, 18.0])), CURVE)
    truth = 100 * CURVE / CURVE.sum()
    assert (np.abs(hourly.share - truth) < 4 * hourly.error).all()
    assert hourly.error[23] > 1.5 * hourly.error[15]  # one day instead of three
    assert weekday is None


def test_hours_no_day_reaches_keep_the_prior() -> None:
    counts = np.random.default_rng(5).poisson(50 * np.tile(FLAT, (3, 1)))
    hourly, _ = fit_traffic(auctions(counts, until=np.full(3, 20.0)), CURVE)
    assert hourly.share[20:] == pytest.approx(100 * CURVE[20:] / CURVE.sum())
    assert not hourly.covered[20:].any()
    assert (hourly.error[20:] == 0).all()
    assert (np.abs(hourly.share[:20] - hourly.share[:20].mean()) < 4 * hourly.error[:20]).all()


def test_a_sparse_log_is_not_taken_for_a_stopped_one() -> None:
    counts = np.random.default_rng(6).poisson(np.full((200, 24), 0.1))
    counts = counts[counts.sum(axis=1) > 0]
    hourly, _ = fit_traffic(auctions(counts), FLAT)
    late = hourly.share[18:].sum()
    early = hourly.share[:6].sum()
    error = np.sqrt((hourly.error[18:] ** 2).sum() + (hourly.error[:6] ** 2).sum())
    assert abs(late - early) < 4 * error


def test_an_hour_without_rows_is_not_impossible() -> None:
    counts = np.full((7, 24), 20)
    counts[:, 3] = 0
    hourly, _ = fit_traffic(auctions(counts), FLAT)
    assert 0 < hourly.share[3] < 0.03
    assert hourly.error[3] > 0


def test_fit_click_is_wilsons_interval() -> None:
    fit = fit_click(5, 8355)
    assert fit.rate == pytest.approx(5 / 8355)
    assert (fit.low, fit.high) == pytest.approx(binomtest(5, 8355).proportion_ci(method="wilson"))
    assert fit_click(0, 100).rate == pytest.approx(1.959964**2 / 2 / (100 + 1.959964**2))
    assert fit_click(0, 100).low == 0
    assert fit_click(7, 7).rate < 1


def test_calibrate_moves_levels_and_keeps_differences(week: Path) -> None:
    result = calibrate(week)
    base = result.base
    new = result.scenario
    ad = np.array([base.traffic.ad[s] for s in SCENES])
    means, sigmas = (
        [table[s] for s in SCENES]
        for table in (new.auction.cpm_log_mean, new.auction.cpm_log_sigma)
    )
    assert np.average(means, weights=ad) == pytest.approx(result.landscape.mu)
    assert set(sigmas) == {result.landscape.sigma}
    for old, now in (
        (base.auction.cpm_log_mean, new.auction.cpm_log_mean),
        (base.click.scene, new.click.scene),
    ):
        assert len({round(now[s] - old[s], 9) for s in SCENES}) == 1
    assert fresh_click_rate(new) == pytest.approx(result.click.rate)
    assert result.click.rate == pytest.approx(12 / result.click.rows)
    assert new.traffic.hourly == pytest.approx(result.hourly.share, abs=1e-4)
    assert result.weekday is not None
    assert new.traffic.weekday == pytest.approx(result.weekday.factor, abs=1e-4)
    assert new.traffic.live_hourly == base.traffic.live_hourly
    same = {
        "order",
        "coupon",
        "tiers",
        "refund",
        "quality",
        "creative",
        "influencer",
        "services",
        "money",
        "merchants",
    }
    assert all(getattr(new, section) == getattr(base, section) for section in same)
    assert same < set(result.priors)


def test_the_landscape_is_in_cny(week: Path) -> None:
    fit = calibrate(week).landscape
    assert abs(fit.mu - (4.2 - np.log(100))) < 4 * fit.mu_error  # the prices were drawn in fen
    assert abs(fit.sigma - 1) < 4 * fit.sigma_error


def test_texts_name_the_file_and_no_folder(week: Path) -> None:
    new = calibrate(week).scenario
    assert new.name == "week one"
    for text in (new.description, new.source):
        assert "week one.tsv" in text
        assert str(week.parent) not in text
    assert "2013-10-14 to 2013-10-20" in new.source
    assert calibrate(week, name="mine").scenario.name == "mine"
    assert calibrate(week, name="mine").scenario.hash == new.hash


def test_no_clicks_use_the_intervals_centre_and_say_so(tmp_path: Path) -> None:
    result = calibrate(write(tmp_path / "log.tsv", auctions(np.full((2, 24), 20))))
    assert 0 < result.click.rate < 0.01
    assert any("centre of the Wilson interval" in note for note in result.notes)
    assert any("whole week" in note for note in result.notes)
    assert result.scenario.traffic.weekday == result.base.traffic.weekday


def test_written_scenario_loads_with_the_same_hash(week: Path, tmp_path: Path) -> None:
    result = calibrate(week)
    path = tmp_path / "new.yaml"
    write_calibration(result, path)
    assert load_scenario(path) == result.scenario
    assert load_scenario(path).hash == result.scenario.hash
    assert os.listdir(tmp_path) == ["new.yaml"]
    with pytest.raises(OSError, match="exists already"):
        write_calibration(result, path)
    write_calibration(result, path, force=True)


def test_report_shows_values_errors_and_priors(week: Path) -> None:
    page = io.StringIO()
    print_report(calibrate(week), Console(file=page, width=140))
    text = page.getvalue()
    words = (
        "mu (ln CPM)",
        "sigma (ln CPM)",
        "CTR",
        "23-24 h",
        "Sun (factor)",
        "±",
        "KS",
        "prior before",
        "stayed a prior",
        "refund",
        "live keeps its own hourly curve",
    )
    assert [word for word in words if word not in text] == []


def test_the_real_log(real: Calibration) -> None:
    assert real.landscape.mu == pytest.approx(0.146, abs=0.001)
    assert real.landscape.sigma == pytest.approx(1.454, abs=0.001)
    assert real.landscape.ks < 0.05
    assert real.click == fit_click(5, 8355)
    assert real.weekday is None
    assert real.hourly.covered.tolist() == [True] * 20 + [False] * 4
    assert any("hours 20, 21, 22, 23" in note for note in real.notes)
    assert real.scenario.name == "ipinyou-2259"


def test_the_shipped_default_holds_what_the_real_log_gives(real: Calibration) -> None:
    default = load_scenario("default")
    assert default.traffic.hourly == pytest.approx(real.scenario.traffic.hourly, abs=0.02)
    assert default.auction.cpm_log_sigma == pytest.approx(
        real.scenario.auction.cpm_log_sigma, abs=1e-3
    )


def test_cli_writes_and_reports(
    week: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.yaml"
    assert cli_calibrate(week, out, "default", "mine", False) == 0
    assert load_scenario(out).name == "mine"
    assert "stayed a prior" in capsys.readouterr().out
    assert cli_calibrate(week, out, "default", None, False) == 2
    assert capsys.readouterr().err == (
        f"error: {out}: exists already; choose another name, or --force to replace it\n"
    )
    assert load_scenario(out).name == "mine"
    assert cli_calibrate(week, out, "default", None, True) == 0
    assert load_scenario(out).name == "week one"


def spoil(row: int, field: int, value: str) -> Callable[[str], str]:
    """An edit of a log's text: one field of one row (both from 1 and 0)."""

    def edit(text: str) -> str:
        lines = text.splitlines()
        fields = lines[row - 1].split("\t")
        fields[field] = value
        return "\n".join([*lines[: row - 1], "\t".join(fields), *lines[row:]]) + "\n"

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (spoil(3, 0, "7"), "row 3, click is '7'"),
        (spoil(4, 2, "24"), "row 4, hour is '24'"),
        (spoil(5, 22, "x"), "row 5, bidding price is 'x'"),
        (spoil(6, 23, "-1"), "row 6, paying price is '-1'"),
        (spoil(7, 23, "295"), "row 7, paying price is '295'; it is above the bidding price 294"),
        (spoil(8, 25, "a\tb"), "row 8 has 28 fields"),
        (lambda text: text.replace("\t", ","), "row 1 has 1 field"),
        (lambda text: "", "is empty"),
        (lambda text: "\0" + text, "binary"),
        (lambda text: "\n".join(text.splitlines()[:1]), "1 different prices"),
    ],
    ids=[
        "click",
        "hour",
        "text price",
        "negative",
        "above bid",
        "fields",
        "commas",
        "empty",
        "binary",
        "one row",
    ],
)
def test_cli_refuses_a_malformed_log_in_one_line(
    week: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[str], str],
    words: str,
) -> None:
    log = tmp_path / "bad.tsv"
    out = tmp_path / "out" / "new.yaml"
    out.parent.mkdir()
    log.write_text(edit(week.read_text(encoding="utf-8")), encoding="utf-8")
    assert cli_calibrate(log, out, "default", None, False) == 2
    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.err.count("\n") == 1
    assert str(log) in shown.err
    assert shown.out == ""
    assert list(out.parent.iterdir()) == []


def test_cli_refuses_missing_things_in_one_line(
    week: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new.yaml"
    for log, target, base, words in (
        (tmp_path / "absent.tsv", out, "default", "no such file"),
        (tmp_path, out, "default", "is a folder"),
        (week, out, "defualt", "did you mean 'default'"),
        (week, tmp_path, "default", "is a folder"),
        (week, tmp_path / "no" / "new.yaml", "default", "cannot be written"),
    ):
        assert cli_calibrate(log, target, base, None, False) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_cli_never_replaces_the_log(week: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = week.read_bytes()
    assert cli_calibrate(week, week, "default", None, True) == 2
    assert "is the log itself" in capsys.readouterr().err
    assert week.read_bytes() == before


def test_a_full_disk_leaves_nothing_behind(
    week: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(draft: Path, text: str, encoding: str) -> None:
        draft.write_bytes(text.encode(encoding)[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    assert cli_calibrate(week, tmp_path / "new.yaml", "default", None, False) == 2
    assert "new.yaml: cannot be written: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_first_price_log_is_refused(tmp_path: Path) -> None:
    log = auctions(np.full((2, 24), 5))
    with pytest.raises(LogError, match="first-price log does not show competing bids"):
        calibrate(write(tmp_path / "log.tsv", log._replace(paying_price=log.bid_price)))


def test_a_base_without_ad_traffic_is_refused(week: Path) -> None:
    base = load_scenario("default", {"traffic.ad": dict.fromkeys(SCENES, 0.0)})
    with pytest.raises(ScenarioError, match=r"traffic\.ad sums to 0"):
        calibrate(week, base)
