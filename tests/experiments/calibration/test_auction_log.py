"""Reading an auction log: right values, and one line about whatever is wrong."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from chengfang.experiments.calibration.auction_log import LogError, read_log
from chengfang.experiments.calibration.columns import FIELDS

LOG = Path(__file__).parents[4] / "shared" / "data" / "ipinyou-2259.tsv"
GOOD = (
    "0",
    "2",
    "13",
    "446f",
    "20131022135101295",
    "1",
    "user",
    "windows_chrome",
    "113.76.1.*",
    "216",
    "220",
    "2",
    "ea12",
    "b76f",
    "null",
    "19259",
    "200",
    "200",
    "FirstView",
    "Na",
    "13",
    "7319",
    "277",
    "205",
    "null",
    "2259",
    "11423",
)


def row(**changes: str) -> str:
    """A good row with fields changed; underscores stand for blanks in the field's name."""
    fields = dict(zip(FIELDS, GOOD, strict=True)) | {
        name.replace("_", " "): value for name, value in changes.items()
    }
    return "\t".join(fields[name] for name in FIELDS)


def write(folder: Path, *rows: str, end: str = "\n") -> Path:
    path = folder / "log.tsv"
    path.write_text(end.join(rows) + end, encoding="utf-8", newline="")
    return path


def complaint(path: Path) -> str:
    with pytest.raises(LogError) as caught:
        read_log(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def test_values_of_a_small_log(tmp_path: Path) -> None:
    late = row(click="1", weekday="6", hour="23", timestamp="20131026235959999", paying_price="0")
    path = write(
        tmp_path,
        row(),
        late,
        row(log_type="0", paying_price="9000", bidding_price="5"),
        row(user_tags="", log_type="3"),
    )
    log = read_log(path)
    assert log.rows == 4
    assert log.click.tolist() == [0, 1, 0, 0]
    assert log.weekday.tolist() == [2, 6, 2, 2]
    assert log.hour.tolist() == [13, 23, 13, 13]
    assert log.second.tolist() == [51 * 60 + 1, 59 * 60 + 59, 51 * 60 + 1, 51 * 60 + 1]
    assert log.date.astype(str).tolist() == ["2013-10-22", "2013-10-26", "2013-10-22", "2013-10-22"]
    assert log.won.tolist() == [True, True, False, True]
    assert log.bid_price.tolist() == [277, 277, 5, 277]
    assert log.paying_price.tolist() == [205, 0, 9000, 205]
    assert log.file == "log.tsv"
    assert log.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_quotes_are_plain_text(tmp_path: Path, end: str) -> None:
    path = write(
        tmp_path, row(user_agent='"open quote'), row(domain='a"b', user_tags='10"'), end=end
    )
    assert read_log(path).rows == 2
    assert read_log(str(path)).rows == 2


def test_a_last_row_without_line_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_text(row() + "\n" + row(), encoding="utf-8")
    assert read_log(path).rows == 2


def test_other_bytes_in_unread_fields_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "log.tsv"
    path.write_bytes(row(user_agent="AGENT").encode().replace(b"AGENT", b"\xc4\xe3\xff") + b"\n")
    assert read_log(path).rows == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"click": "2"}, "click is '2'; allowed are whole numbers from 0 to 1"),
        ({"click": "yes"}, "click is 'yes'"),
        ({"click": ""}, "click is empty"),
        ({"weekday": "7"}, "weekday is '7'; allowed are whole numbers from 0 to 6"),
        ({"hour": "24"}, "hour is '24'; allowed are whole numbers from 0 to 23"),
        ({"hour": "-1"}, "hour is '-1'"),
        ({"hour": "noon"}, "hour is 'noon'"),
        ({"timestamp": "2013-10-22"}, "timestamp is '2013-10-22'; allowed is yyyyMMddHHmmssSSS"),
        ({"timestamp": "20131322135101295"}, "timestamp is '20131322135101295'"),
        ({"log_type": "9"}, "log type is '9'; allowed are whole numbers from 0 to 3"),
        ({"bidding_price": "abc"}, "bidding price is 'abc'; allowed are whole numbers from 1"),
        ({"bidding_price": "0"}, "bidding price is '0'"),
        ({"paying_price": "-3"}, "paying price is '-3'; allowed are whole numbers from 0"),
        ({"paying_price": "20.5"}, "paying price is '20.5'"),
        ({"paying_price": "nan"}, "paying price is 'nan'"),
        ({"paying_price": "99999999999999999999"}, "paying price is '99999999999999999999'"),
        ({"paying_price": ""}, "paying price is empty"),
        (
            {"paying_price": "278"},
            "paying price is '278'; it is above the bidding price 277: in a second-price log",
        ),
        ({"log_type": "0", "click": "1"}, "click is '1'; a lost bid"),
    ],
)
@pytest.mark.parametrize("before", [0, 4])
def test_a_wrong_value_is_named_with_its_row(
    tmp_path: Path, changes: dict[str, str], words: str, before: int
) -> None:
    rows = [row()] * before + [row(**changes)] + [row()] * 3 + [row(hour="99")]
    text = complaint(write(tmp_path, *rows))
    assert f"row {before + 1}, {words}" in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row(), row().rsplit("\t", 3)[0]], "row 2 has 24 fields"),
        ([row(), row(), row() + "\textra"], "row 3 has 28 fields"),
        (
            [row().replace("\t", ",")],
            "row 1 has 1 field: '0,2,13,446f,20131022135101295,1,user,win...'; "
            "a row has 27 fields separated by tabs; it looks comma-separated",
        ),
        ([row().replace("\t", ";")], "row 1 has 1 field"),
        ([row(), "", row()], "row 2 is blank"),
    ],
)
def test_a_wrong_shape_is_named_with_its_row(tmp_path: Path, rows: list[str], words: str) -> None:
    assert words in complaint(write(tmp_path, *rows))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (gzip.compress((row() + "\n").encode()), "is gzip-compressed; unpack it first"),
        (b"PK\x03\x04 zipped", "is a binary file"),
        (b"\x7fELF\x00\x01\x02" * 9, "is a binary file"),
        ((row() + "\n").encode("utf-16"), "is a binary file"),
        (bytes(range(1, 256)) * 3, "row 1 has"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "log.tsv"
    path.write_bytes(content)
    assert words in complaint(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    assert "no such file" in complaint(tmp_path / "absent.tsv")
    assert "is a folder" in complaint(tmp_path)
    assert "no such file" in complaint(write(tmp_path, row()) / "below.tsv")


def test_a_long_value_is_cut_and_printable(tmp_path: Path) -> None:
    text = complaint(write(tmp_path, row(hour="9" * 500 + "\x1b[31m")))
    assert len(text) < 300
    assert text.isprintable()


def test_the_real_log_reads(tmp_path: Path) -> None:
    if not LOG.is_file():
        pytest.skip(f"real log absent: {LOG}")
    log = read_log(LOG)
    assert log.rows == 8355
    assert log.click.sum() == 5
    assert set(log.bid_price.tolist()) == {277, 294}
    assert (log.paying_price <= log.bid_price).all()
    # the weekday counts from Sunday: numpy's day 0, 1970-01-01, was a Thursday
    assert np.array_equal(log.weekday, (log.date.astype(int) + 4) % 7)
