"""Lets autodoc read docstrings written as the manual of a class is: headings, fenced code, tables
and links of Markdown. Everything else in them is already what Sphinx expects.
"""

import re
from collections.abc import Callable

LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)]+)\)")


def convert(lines: list[str]) -> list[str]:
    """The lines of a docstring in reStructuredText."""
    result: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        indent = line[: len(line) - len(line.lstrip())]
        if line.lstrip().startswith("```"):
            block, position = until(lines, position + 1, lambda text: text.strip() == "```")
            language = line.strip().removeprefix("```") or "text"
            result += ["", f"{indent}.. code-block:: {language}", "", *indented(block), ""]
            position += 1
        elif line.lstrip().startswith("## "):
            result += ["", f"{indent}.. rubric:: {line.strip().removeprefix('## ')}", ""]
            position += 1
        elif line.lstrip().startswith("|"):
            block, position = until(lines, position, lambda text: not text.strip().startswith("|"))
            result += list_table(block, indent)
        else:
            result.append(LINK.sub(r"`\1 <\2>`__", line))
            position += 1
    return result


def until(lines: list[str], start: int, ends: Callable[[str], bool]) -> tuple[list[str], int]:
    """The lines from `start` to the one that ends them, and where that is."""
    stop = start
    while stop < len(lines) and not ends(lines[stop]):
        stop += 1
    return lines[start:stop], stop


def indented(lines: list[str]) -> list[str]:
    """A block's lines, deeper by a directive's indentation."""
    return [f"   {line}" if line.strip() else "" for line in lines]


def list_table(rows: list[str], indent: str) -> list[str]:
    """A Markdown table as a list-table; its second row only draws the line."""
    text = [f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
    for number, row in enumerate(rows):
        if number == 1:
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]
        for column, cell in enumerate(cells):
            text.append(f"{indent}   {'* -' if column == 0 else '  -'} {cell}")
    return ["", *text, ""]
