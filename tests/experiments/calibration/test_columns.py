"""Logs of other layouts: more fields, a header line, a mapping given by the caller."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from chengfang.experiments.calibration.auction_log import LogError, read_log
from chengfang.experiments.calibration.calibrate import calibrate, cli_calibrate
from chengfang.experiments.calibration.columns import FIELDS, ColumnError, parse_columns

LOG = Path(__file__).parents[4] / "shared" / "data" / "ipinyou-2259.tsv"
OWN = ("time", "won at", "bid", "clicked", "site")  # a log of somebody else's
ROWS = (
    ("20131022135101295", "205", "277", "0", "a"),
    ("20131026235959999", "12", "294", "1", "b"),
    ("20131027000000000", "99", "294", "0", "c"),
)
MAPPING = {"timestamp": "time", "paying price": "won at", "bidding price": "bid", "click": "4"}


def write(folder: Path, *rows: Sequence[str]) -> Path:
    path = folder / "log.tsv"
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def real() -> list[list[str]]:
    """Cells of a part of the real log."""
    if not LOG.is_file():
        pytest.skip(f"real log absent: {LOG}")
    lines = LOG.read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[::8]]


def same_log(one, other) -> bool:
    return all(
        np.array_equal(a, b)
        for name, a, b in zip(one._fields, one, other, strict=True)
        if name not in ("file", "sha256", "note")
    )


def test_rows_of_29_fields_are_read_as_those_of_27(tmp_path, real):
    (tmp_path / "short").mkdir()
    short = write(tmp_path / "short", *real)
    long = write(tmp_path, *([*row, row[0], "0"] for row in real))
    usual = read_log(short)
    found = read_log(long)
    assert same_log(usual, found)
    assert usual.note == ""
    assert "29 fields" in found.note
    assert "not read" in found.note
    made = calibrate(long)
    assert found.note in made.notes
    plain = calibrate(short)
    assert made.landscape == plain.landscape
    assert made.scenario.auction == plain.scenario.auction


@pytest.mark.parametrize("names", [FIELDS, tuple(name.title() for name in FIELDS)])
def test_a_header_line_names_the_fields_in_any_order(tmp_path, real, names):
    order = np.random.default_rng(0).permutation(len(FIELDS))
    (tmp_path / "plain").mkdir()
    plain = read_log(write(tmp_path / "plain", *real))
    named = [tuple(row[i] for i in order) for row in [names, *real]]
    found = read_log(write(tmp_path, *named))
    assert same_log(plain, found)
    assert "the header line says where the fields are; 7 of 27 are read" in found.note


def test_the_publications_own_header_is_understood(tmp_path, real):
    """As wnzhang/make-ipinyou-data spells it."""
    names = dict(zip(FIELDS, FIELDS, strict=True)) | {
        "bid id": "bidid",
        "log type": "logtype",
        "bidding price": "bidprice",
        "paying price": "payprice",
    }
    found = read_log(write(tmp_path, tuple(names[name] for name in FIELDS), *real))
    assert found.rows == len(real)


def test_a_mapping_by_name_and_by_position(tmp_path):
    log = read_log(write(tmp_path, OWN, *ROWS), MAPPING)
    assert log.click.tolist() == [0, 1, 0]
    assert log.paying_price.tolist() == [205, 12, 99]
    assert log.bid_price.tolist() == [277, 294, 294]
    assert log.hour.tolist() == [13, 23, 0]
    assert log.weekday.tolist() == [2, 6, 0]  # Sunday first
    assert log.won.all()
    assert "no log type: every row counts as won" in log.note
    assert "weekday and hour follow from the timestamp" in log.note
    by_position = {"timestamp": "1", "paying_price": "2", "bidprice": "3", "click": "4"}
    assert same_log(log, read_log(write(tmp_path, *ROWS), by_position))
    assert same_log(log, read_log(write(tmp_path, OWN, *ROWS), by_position))


def test_rows_are_counted_with_the_header(tmp_path):
    wrong = ("20131022135101295", "205", "277", "7", "a")
    with pytest.raises(LogError, match="row 5, click is '7'; allowed are whole numbers from 0"):
        read_log(write(tmp_path, OWN, *ROWS, wrong), MAPPING)
    with pytest.raises(LogError, match="row 3 has 4 fields"):
        read_log(write(tmp_path, OWN, ROWS[0], ROWS[1][:4]), MAPPING)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"price": "2"}, "names the field 'price'; allowed are click, timestamp"),
        (MAPPING | {"click": "6"}, "click is column 6; a row has columns 1 to 5"),
        (MAPPING | {"click": "0"}, "click is column 0"),
        (
            MAPPING | {"click": "clk"},
            "click is the column 'clk', which the first row does not name",
        ),
        (
            {"click": "4", "timestamp": "1"},
            "does not say where bidding price, paying price; it has",
        ),
    ],
)
def test_a_wrong_mapping_is_a_sentence(tmp_path, columns, words):
    with pytest.raises(LogError) as caught:
        read_log(write(tmp_path, OWN, *ROWS), columns)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_header_that_lacks_a_field_says_which(tmp_path):
    with pytest.raises(LogError, match="the header line does not name paying price; it has click"):
        read_log(write(tmp_path, ("click", "timestamp", "bidding price"), ("0", "1", "2")))


def test_a_header_without_rows_is_refused(tmp_path):
    with pytest.raises(LogError, match="has a header line and no rows"):
        read_log(write(tmp_path, OWN), MAPPING)


def test_an_unknown_layout_points_to_the_mapping(tmp_path):
    with pytest.raises(LogError, match=r"row 1 has 5 fields.*--columns says where the fields"):
        read_log(write(tmp_path, *ROWS))


def test_texts_of_a_mapping():
    assert parse_columns(["click=1, paying_price = won at", "time stamp=3"]) == {
        "click": "1",
        "paying price": "won at",
        "timestamp": "3",
    }
    for wrong in ("click", "click=", "clicks=3"):
        with pytest.raises(ColumnError, match="--columns"):
            parse_columns([wrong])


def test_the_command_says_how_it_read_the_log(tmp_path, real, capsys):
    log = write(tmp_path, *([*row, row[0], "0"] for row in real))
    assert cli_calibrate(log, tmp_path / "new.yaml") == 0
    assert "note: rows of 29 fields" in " ".join(capsys.readouterr().out.split())
    assert cli_calibrate(log, tmp_path / "other.yaml", columns=["clicks=3"]) == 2
    assert "allowed are click" in capsys.readouterr().err
    assert not (tmp_path / "other.yaml").exists()
