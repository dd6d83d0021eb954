"""Where the fields that calibration reads stand in an auction log.

Known are the logs of Ren et al. (KDD 2019, repository rk2900/DLF), made from iPinYou's by
wnzhang/make-ipinyou-data: click, weekday and hour, then iPinYou's own 24 fields. Test logs of the
same publication have two more, the numbers of clicks and of conversions. A header line, or a
mapping that the caller gives, says where the fields of any other tab-separated log are.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

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
TEST_FIELDS = (*FIELDS, "clicks", "conversions")
NEEDED = ("click", "timestamp", "bidding price", "paying price")
DERIVED = ("weekday", "hour", "log type")  # from the timestamp; without a log type all bids won
READ = (*NEEDED, *DERIVED)
# spelt as in wnzhang/make-ipinyou-data, small letters only
ALIASES = {"bidprice": "bidding price", "payprice": "paying price"} | {
    re.sub("[^a-z]", "", name): name for name in READ
}
SHOWN = 40

Columns = Mapping[str, str]  # field -> position from 1, or name in the header line


class ColumnError(ValueError):
    """Fields that cannot be found; one sentence without the name of the file."""


class Layout(NamedTuple):
    """How to read the rows of a log."""

    width: int  # fields a row
    at: dict[str, int]  # field -> position from 0
    header: bool  # whether the first row names the fields
    note: str  # what the reader of the results should know; empty if nothing


def parse_columns(words: Iterable[str]) -> dict[str, str]:
    """The mapping of texts like `click=1`, or several in one text, separated by commas.

    Raises:
        ColumnError: for a text without `=` or an unknown field.
    """
    found = {}
    for word in (part for text in words for part in text.split(",")):
        name, equals, place = (part.strip() for part in word.partition("="))
        if not equals or not place:
            raise ColumnError(
                f"--columns has {word.strip()!r}; allowed is FIELD=POSITION or FIELD=NAME, "
                "for example click=1"
            )
        found[_field(name)] = place
    return found


def find_layout(first: list[str], columns: Columns | None = None) -> Layout | None:
    """The layout of a log whose first row has these cells; None if it is no log that is known.

    Args:
        first: cells of the first row.
        columns: where fields are, for logs of another layout. A position counts from 1; a name is
            looked up in the header line.

    Raises:
        ColumnError: if a field that is needed cannot be found.
    """
    header = _is_header(first, columns)
    if columns:
        at = {_field(name): _position(name, place, first) for name, place in columns.items()}
        _require(at, "--columns does not say where", first, header)
    elif header:
        named = {re.sub("[^a-z]", "", cell.lower()): i for i, cell in enumerate(first)}
        at = {field: named[alias] for alias, field in ALIASES.items() if alias in named}
        _require(at, "the header line does not name", first, header)
    elif len(first) in (len(FIELDS), len(TEST_FIELDS)):
        at = {name: FIELDS.index(name) for name in READ}
    else:
        return None
    return Layout(len(first), at, header, _note(len(first), at, header, bool(columns)))


def _field(name: str) -> str:
    field = ALIASES.get(re.sub("[^a-z]", "", name.lower()))
    if field is None:
        raise ColumnError(f"--columns names the field {name!r}; allowed are {', '.join(READ)}")
    return field


def _is_header(first: list[str], columns: Columns | None) -> bool:
    """A header line has no number, and a name that is known or that the caller gave."""
    if any(cell.strip().lstrip("-").isdigit() for cell in first):
        return False
    names = {re.sub("[^a-z]", "", cell.lower()) for cell in first}
    return bool(columns) or bool(names & set(ALIASES))


def _position(name: str, place: str, first: list[str]) -> int:
    cells = [cell.strip() for cell in first]
    if place in cells:
        return cells.index(place)
    if not place.isdigit():
        raise ColumnError(
            f"--columns says that {name} is the column {place!r}, which the first row does not "
            f"name: {_shown(cells)}"
        )
    if not 1 <= int(place) <= len(first):
        raise ColumnError(
            f"--columns says that {name} is column {place}; a row has columns 1 to {len(first)}"
        )
    return int(place) - 1


def _require(at: dict[str, int], problem: str, first: list[str], header: bool) -> None:
    missing = [name for name in NEEDED if name not in at]
    if missing:
        names = f"; it has {_shown(first)}" if header else ""
        raise ColumnError(
            f"{problem} {', '.join(missing)}{names}; "
            f"--columns '{missing[0]}=POSITION' or '{missing[0]}=NAME' says where it is"
        )


def _note(width: int, at: dict[str, int], header: bool, given: bool) -> str:
    parts = []
    if header or given:
        by = "--columns" if given else "the header line"
        parts.append(
            f"{by} says where the fields are; {len(at)} of {width} are read: {', '.join(at)}"
        )
    elif width == len(TEST_FIELDS):
        parts.append(
            f"rows of {width} fields, as in the publication's test logs: the first {len(FIELDS)} "
            "are those of its other logs, the last two (numbers of clicks and conversions) are "
            "not read"
        )
    absent = [name for name in DERIVED if name not in at]
    if "log type" in absent:
        parts.append("there is no log type: every row counts as won")
    if set(absent) - {"log type"}:
        times = " and ".join(name for name in absent if name != "log type")
        parts.append(f"{times} follow from the timestamp")
    return "; ".join(parts)


def _shown(cells: list[str]) -> str:
    text = ", ".join("".join(c if c.isprintable() else " " for c in cell) for cell in cells)
    return text if len(text) <= 4 * SHOWN else f"{text[: 4 * SHOWN]}..."
