"""Read an auction log of the iPinYou kind: tab-separated, 27 fields, no header; or say what is
wrong.

The format is that of Ren et al. (KDD 2019, repository rk2900/DLF): iPinYou's fields after click,
weekday and hour. The log is second-price: the paying price of a won row is the highest competing
bid and at most the own bid. A log may hold lost bids as rows of log type 0; their paying price is
not read.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

FIELDS = (
    "click",
    "weekday",
    "hour",
    "bid id",
    "timestamp",
    "log type",
    "user id",
    "user agent",
    "IP",
    "region",
    "city",
    "ad exchange",
    "domain",
    "url",
    "anonymous url",
    "slot id",
    "slot width",
    "slot height",
    "slot visibility",
    "slot format",
    "slot floor price",
    "creative id",
    "bidding price",
    "paying price",
    "key page",
    "advertiser id",
    "user tags",
)
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

    @property
    def won(self) -> NDArray[np.bool_]:
        """(rows,) whether the bid won."""
        return self.log_type != LOST

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.click)


def read_log(path: str | Path) -> AuctionLog:
    """Read and check every row of a log.

    Raises:
        LogError: the file is missing, a folder, empty, compressed, binary or not of this format;
            one line that names the first wrong row and field.
    """
    file = Path(path)
    try:
        _check_file(file)
        _check_fields(file)
        table = _table(file)
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise LogError(f"{file}: cannot be read: {error.strerror or error}") from None
    numbers = {name: table[name].cast(pl.Int64, strict=False) for name in RANGES}
    day = table[STAMP].str.slice(0, 8).str.to_date("%Y%m%d", strict=False)
    _check_values(file, table, numbers, day)
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
    )


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
            f"{file}: is empty; a log has one row per bid and {len(FIELDS)} tab-separated fields a row"
        )
    if head[:2] == b"\x1f\x8b":
        raise LogError(f"{file}: is gzip-compressed; unpack it first (gunzip)")
    if b"\0" in head or head[:4] == b"PK\x03\x04":
        raise LogError(
            f"{file}: is a binary file; a log is plain text with {len(FIELDS)} tab-separated fields a row"
        )


def _check_fields(file: Path) -> None:
    """Count the tabs of every row on the raw bytes: the one check that must not depend on how a
    reader guesses.
    """
    data = np.memmap(file, np.uint8, "r")
    marks = np.flatnonzero((data == ord("\t")) | (data == ord("\n")))
    ends = np.flatnonzero(data[marks] == ord("\n"))
    if data[-1] != ord("\n"):  # the last row may end with the file
        ends = np.append(ends, len(marks))
    fields = np.diff(ends, prepend=-1)
    wrong = np.flatnonzero(fields != len(FIELDS))
    if not len(wrong):
        return
    row = int(wrong[0])
    start = int(marks[ends[row - 1]]) + 1 if row else 0
    text = (
        bytes(data[start : start + HEAD_BYTES]).split(b"\n")[0].decode("utf-8", "replace").strip()
    )
    found = "is blank" if not text else f"has {fields[row]} field{'s' if fields[row] > 1 else ''}"
    hint = (
        "; it looks comma-separated"
        if fields[row] == 1 and text.count(",") >= len(FIELDS) // 2
        else ""
    )
    raise LogError(
        f"{file}: row {row + 1} {found}: {_shown(text)}; "
        f"a row has {len(FIELDS)} fields separated by tabs{hint}"
    )


def _table(file: Path) -> pl.DataFrame:
    """The fields in use, as text, so that every conversion is ours to check."""
    used = [*RANGES, STAMP]
    try:
        table = pl.read_csv(
            file,
            separator="\t",
            has_header=False,
            quote_char=None,
            infer_schema=False,
            encoding="utf8-lossy",
            new_columns=list(FIELDS),
        )
    except pl.exceptions.PolarsError as error:
        raise LogError(
            f"{file}: cannot be read as tab-separated text: {str(error).splitlines()[0]}"
        ) from None
    return table.select(used)


def _check_values(
    file: Path, table: pl.DataFrame, numbers: dict[str, pl.Series], day: pl.Series
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
    header = "; a log has no header row" if row == 0 and table["click"][0] not in ("0", "1") else ""
    raise LogError(
        f"{file}: row {row + 1}, {name} is {_shown(table[name][row])}; {allowed}{header}"
    )


def _rules(
    table: pl.DataFrame, numbers: dict[str, pl.Series], day: pl.Series
) -> list[tuple[str, pl.Series, str]]:
    """(field, rows that break its rule, the rule in words) in the order of the fields."""
    rules = []
    for name, (low, high) in RANGES.items():
        values = numbers[name]
        unit = " fen per thousand" if name.endswith("price") else ""
        rules.append(
            (
                name,
                (values.is_null() | (values < low) | (values > high)).fill_null(True),
                f"allowed are whole numbers from {low} to {high}{unit}",
            )
        )
    stamp = (
        table[STAMP].str.contains(r"^\d{10}[0-5]\d[0-5]\d\d{3}$").fill_null(False)
        & day.is_not_null()
    )
    rules.append((STAMP, ~stamp, "allowed is yyyyMMddHHmmssSSS, 17 digits"))
    lost = numbers["log type"] == LOST
    rules.append(
        (
            "paying price",
            (~lost & (numbers["paying price"] > numbers["bidding price"])).fill_null(False),
            "it is above the bidding price {bid}: in a second-price log a won row (log type 1-3) pays at most "
            "its bid",
        )
    )
    rules.append(
        (
            "click",
            (lost & (numbers["click"] == 1)).fill_null(False),
            "a lost bid (log type 0) cannot be clicked",
        )
    )
    return rules


def _shown(value: str | None) -> str:
    """A value as one short printable line."""
    text = "".join(c if c.isprintable() else " " for c in value or "")
    return "empty" if not text else f"'{text[:SHOWN]}{'...' if len(text) > SHOWN else ''}'"
