"""Read an auction log, or say what is wrong with it.

A log is tab-separated, one row per bid. Its layout is iPinYou's as published by Ren et al. (27 or
29 fields, no header), or what a header line or the caller says; see `columns`. The log is
second-price: the paying price of a won row is the highest competing bid and at most the own bid. A
log may hold lost bids as rows of log type 0; their paying price is not read.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import polars as pl
from numpy.typing import NDArray

from .columns import FIELDS, ColumnError, Columns, Layout, find_layout

IMPRESSION = 1
LOST = 0  # log type of a bid that did not win; 1 impression, 2 click and 3 conversion are won
# 100,000 CNY per thousand: above any market, so a larger price is a wrong unit or a wrong column
MOST_FEN = 10_000_000
RANGES = {
    "click": (0, 1),
    "weekday": (0, 6),
    "hour": (0, 23),
    "log type": (0, 3),
    "bidding price": (1, MOST_FEN),
    "paying price": (0, MOST_FEN),
}
STAMP = "timestamp"
STAMP_PATTERN = r"^\d{8}([01]\d|2[0-3])[0-5]\d[0-5]\d\d{3}$"
HEAD_BYTES = 65_536
SHOWN = 40

Integers = NDArray[np.int64]


class LogError(ValueError):
    """A log that cannot be used: one line with the file, row (from 1), field, value and what is
    allowed.
    """


class AuctionLog(NamedTuple):
    """The fields that calibration reads, one entry a row; prices in CNY fen per thousand
    impressions.
    """

    click: Integers
    """0 or 1."""
    weekday: Integers
    """0-6, Sunday first, as iPinYou counts."""
    hour: Integers
    """0-23."""
    date: NDArray[np.datetime64]
    """Day of the timestamp."""
    second: Integers
    """Seconds after the full hour of the timestamp, 0-3599."""
    log_type: Integers
    """0 lost bid, 1 impression, 2 click, 3 conversion."""
    bid_price: Integers
    """Own bid."""
    paying_price: Integers
    """Highest competing bid where won."""
    file: str
    """Name of the file, without its folder."""
    sha256: str
    """Hex digest of the file."""
    note: str = ""
    """How the log was read, where that is not as usual."""

    @property
    def won(self) -> NDArray[np.bool_]:
        """(rows,) whether the bid won."""
        return self.log_type != LOST

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.click)


def read_log(path: str | Path, columns: Columns | None = None) -> AuctionLog:
    """Read and check every row of a log.

    Args:
        path: of the log.
        columns: where the fields of a log of another layout are, see `columns.find_layout`.

    Raises:
        LogError: the file is missing, a folder, empty, compressed, binary or not of this format;
            one line that names the first wrong row and field.
    """
    file = Path(path)
    try:
        _check_file(file)
        layout = _layout(file, columns)
        _check_fields(file, layout.width)
        table = _table(file, layout)
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise LogError(f"{file}: cannot be read: {error.strerror or error}") from None
    day = table[STAMP].str.slice(0, 8).str.to_date("%Y%m%d", strict=False)
    given = [name for name in RANGES if name in layout.at]
    numbers = {name: table[name].cast(pl.Int64, strict=False) for name in given}
    _check_values(file, layout, table, numbers, day)
    numbers |= _derived(table, day, [name for name in RANGES if name not in layout.at])
    rest = table[STAMP].str.slice(10, 4).cast(pl.Int64)
    return AuctionLog(
        *(numbers[name].to_numpy() for name in ("click", "weekday", "hour")),
        date=day.to_numpy().astype("datetime64[D]"),
        second=(rest // 100 * 60 + rest % 100).to_numpy(),
        log_type=numbers["log type"].to_numpy(),
        bid_price=numbers["bidding price"].to_numpy(),
        paying_price=numbers["paying price"].to_numpy(),
        file=file.name,
        sha256=digest,
        note=layout.note,
    )


def _derived(table: pl.DataFrame, day: pl.Series, names: list[str]) -> dict[str, pl.Series]:
    """Fields that the log does not have: from the timestamp, and every bid won."""
    found = {
        "weekday": (day.dt.weekday() % 7).cast(pl.Int64),  # Sunday first
        "hour": table[STAMP].str.slice(8, 2).cast(pl.Int64),
        "log type": pl.Series([IMPRESSION] * len(table), dtype=pl.Int64),
    }
    return {name: found[name] for name in names}


def _check_file(file: Path) -> None:
    if not file.exists():
        raise LogError(f"{file}: no such file; give the path of a tab-separated auction log")
    if not file.is_file():
        kind = "a folder" if file.is_dir() else "not a plain file"
        raise LogError(f"{file}: is {kind}; give the path of one log file")
    with file.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head.strip():
        raise LogError(
            f"{file}: is empty; a log has one row per bid and {len(FIELDS)} tab-separated fields a "
            "row"
        )
    if head[:2] == b"\x1f\x8b":
        raise LogError(f"{file}: is gzip-compressed; unpack it first (gunzip)")
    if b"\0" in head or head[:4] == b"PK\x03\x04":
        raise LogError(
            f"{file}: is a binary file; a log is text with {len(FIELDS)} tab-separated fields a row"
        )


def _layout(file: Path, columns: Columns | None) -> Layout:
    with file.open("rb") as stream:
        line = stream.readline(HEAD_BYTES).decode("utf-8", "replace").rstrip("\r\n")
    try:
        layout = find_layout(line.split("\t"), columns)
    except ColumnError as error:
        raise LogError(f"{file}: {error}") from None
    if layout is None:
        _wrong_row(file, 0, line, line.count("\t") + 1, len(FIELDS))
    return layout


def _check_fields(file: Path, width: int) -> None:
    """Count the tabs of every row on the raw bytes: the one check that must not depend on how a
    reader guesses.
    """
    data = np.memmap(file, np.uint8, "r")
    marks = np.flatnonzero((data == ord("\t")) | (data == ord("\n")))
    ends = np.flatnonzero(data[marks] == ord("\n"))
    if data[-1] != ord("\n"):  # the last row may end with the file
        ends = np.append(ends, len(marks))
    fields = np.diff(ends, prepend=-1)
    wrong = np.flatnonzero(fields != width)
    if not len(wrong):
        return
    row = int(wrong[0])
    start = int(marks[ends[row - 1]]) + 1 if row else 0
    line = bytes(data[start : start + HEAD_BYTES]).split(b"\n")[0].decode("utf-8", "replace")
    _wrong_row(file, row, line, int(fields[row]), width)


def _wrong_row(file: Path, row: int, line: str, fields: int, width: int) -> NoReturn:
    """Raise for a row (from 0) that has not as many fields as it should."""
    text = line.strip()
    found = "is blank" if not text else f"has {fields} field{'s' if fields > 1 else ''}"
    commas = fields == 1 and text.count(",") >= len(FIELDS) // 2
    hint = "; it looks comma-separated" if commas else ""
    other = "" if row else "; --columns says where the fields of another tab-separated log are"
    raise LogError(
        f"{file}: row {row + 1} {found}: {_shown(text)}; "
        f"a row has {width} fields separated by tabs{hint}{other}"
    )


def _table(file: Path, layout: Layout) -> pl.DataFrame:
    """The fields in use, as text, so that every conversion is ours to check."""
    try:
        table = pl.read_csv(
            file,
            separator="\t",
            has_header=False,
            skip_rows=int(layout.header),
            quote_char=None,
            infer_schema=False,
            encoding="utf8-lossy",
        )
    except pl.exceptions.NoDataError:
        raise LogError(f"{file}: has a header line and no rows") from None
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise LogError(f"{file}: cannot be read as tab-separated text: {reason}") from None
    names = table.columns
    return table.select(pl.col(names[place]).alias(name) for name, place in layout.at.items())


def _check_values(
    file: Path,
    layout: Layout,
    table: pl.DataFrame,
    numbers: dict[str, pl.Series],
    day: pl.Series,
) -> None:
    """Raise for the first row with a wrong value; within a row, in the order of the fields."""
    found = [
        (int(bad.arg_max() or 0), words, name)
        for name, bad, words in _rules(table, numbers, day)
        if bad.any()
    ]
    if not found:
        return
    row, words, name = min(found, key=lambda item: item[0])
    allowed = words.format(bid=table["bidding price"][row])
    place = row + 1 + layout.header
    raise LogError(f"{file}: row {place}, {name} is {_shown(table[name][row])}; {allowed}")


def _rules(
    table: pl.DataFrame, numbers: dict[str, pl.Series], day: pl.Series
) -> list[tuple[str, pl.Series, str]]:
    """(field, rows that break its rule, the rule in words) in the order of the fields."""
    rules = []
    for name, values in numbers.items():
        low, high = RANGES[name]
        unit = " fen per thousand" if name.endswith("price") else ""
        rules.append(
            (
                name,
                (values.is_null() | (values < low) | (values > high)).fill_null(True),
                f"allowed are whole numbers from {low} to {high}{unit}",
            )
        )
    digits = table[STAMP].str.contains(STAMP_PATTERN).fill_null(False)
    stamp = digits & day.is_not_null()
    rules.append((STAMP, ~stamp, "allowed is yyyyMMddHHmmssSSS, 17 digits"))
    kinds = numbers.get("log type", pl.Series([IMPRESSION] * len(table)))
    lost = kinds == LOST
    above = ~lost & (numbers["paying price"] > numbers["bidding price"])
    words = (
        "it is above the bidding price {bid}: in a second-price log a won row (log type 1-3) pays "
        "at most its bid"
    )
    rules.append(("paying price", above.fill_null(False), words))
    clicked = lost & (numbers["click"] == 1)
    words = "a lost bid (log type 0) cannot be clicked"
    rules.append(("click", clicked.fill_null(False), words))
    return rules


def _shown(value: str | None) -> str:
    """A value as one short printable line."""
    text = "".join(c if c.isprintable() else " " for c in value or "")
    return "empty" if not text else f"'{text[:SHOWN]}{'...' if len(text) > SHOWN else ''}'"
