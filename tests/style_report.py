"""The figures of a code base that tell how it reads: `python tests/style_report.py [ROOT]`.

A thermometer, not a gate: what must hold is held by `tests/test_house.py` and by ruff.
"""

import ast
import io
import statistics
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SKIPPED = {"tests", "docs", "build", "results", "node_modules", "__pycache__"}
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
COLUMNS = 100
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Figures(NamedTuple):
    """What is measured of one tree; lengths are (median, 90th percentile, most)."""

    files: int
    file_lines: tuple[float, float, float]
    function_lines: tuple[float, float, float]
    function_tokens: tuple[float, float, float]
    tokens_a_line: float  # tokens of code / lines of code; comments and docstrings do not count
    long_lines: int  # above COLUMNS
    documented: float  # share of public functions and classes with a docstring
    most_parameters: list[tuple[int, str]]  # and whose, the largest first
    largest_folders: list[tuple[int, str]]  # modules and folder, the largest first


def sources(root: Path) -> list[Path]:
    """The modules of a tree, tests and hidden folders left out."""
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not any(part in SKIPPED or part.startswith(".") for part in parts):
            found.append(path)
    return found


def code_tokens(text: str, tree: ast.Module) -> list[tokenize.TokenInfo]:
    """Tokens without layout, comments and docstrings."""
    prose = {line for span in docstrings(tree) for line in range(span[0], span[1] + 1)}
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [t for t in tokens if t.type not in LAYOUT and t.start[0] not in prose]


def docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last line of every docstring."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | Function) or not node.body:
            continue
        if ast.get_docstring(node, clean=False) is not None:
            first = node.body[0]
            yield first.lineno, first.end_lineno or first.lineno


def parameters(function: Function) -> int:
    """How many parameters a function names."""
    a = function.args
    return len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs)


def spread(values: list[int]) -> tuple[float, float, float]:
    """Median, 90th percentile and maximum."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[int(0.9 * (len(ordered) - 1))], ordered[-1]


def measure(root: Path) -> Figures:
    """The figures of a tree."""
    counts = Counter[str]()
    file_lines, function_lines, function_tokens = [], [], []
    parameter_counts: list[tuple[int, str]] = []
    folders = Counter[str]()
    for path in sources(root):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        name = path.relative_to(root).as_posix()
        lines = text.splitlines()
        tokens = code_tokens(text, tree)
        folders[path.parent.relative_to(root).as_posix()] += 1
        file_lines.append(len(lines))
        counts["long"] += sum(len(line) > COLUMNS for line in lines)
        counts["tokens"] += len(tokens)
        counts["lines"] += len({n for t in tokens for n in range(t.start[0], t.end[0] + 1)})
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
                counts["public"] += 1
                counts["documented"] += ast.get_docstring(node) is not None
            if isinstance(node, Function):
                end = node.end_lineno or node.lineno
                function_lines.append(end - node.lineno + 1)
                function_tokens.append(sum(node.lineno <= t.start[0] <= end for t in tokens))
                parameter_counts.append((parameters(node), f"{name}: {node.name}"))
    return Figures(
        files=len(file_lines),
        file_lines=spread(file_lines),
        function_lines=spread(function_lines),
        function_tokens=spread(function_tokens),
        tokens_a_line=counts["tokens"] / counts["lines"],
        long_lines=counts["long"],
        documented=counts["documented"] / counts["public"],
        most_parameters=sorted(parameter_counts, reverse=True)[:5],
        largest_folders=[(count, folder) for folder, count in folders.most_common(5)],
    )


def report(figures: Figures) -> str:
    """The figures as Markdown."""

    def three(values: tuple[float, float, float]) -> str:
        return " / ".join(f"{value:g}" for value in values)

    rows = {
        "files": str(figures.files),
        "lines a file, median / p90 / most": three(figures.file_lines),
        "lines a function": three(figures.function_lines),
        "tokens a function": three(figures.function_tokens),
        "tokens a line of code": f"{figures.tokens_a_line:.1f}",
        f"lines above {COLUMNS} columns": str(figures.long_lines),
        "public docstrings": f"{figures.documented:.0%}",
        "most parameters": "; ".join(f"{n} ({name})" for n, name in figures.most_parameters),
        "modules in the largest folders": "; ".join(
            f"{n} ({p})" for n, p in figures.largest_folders
        ),
    }
    return "\n".join(
        ["| figure | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())]
    )


if __name__ == "__main__":
    print(report(measure(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent))))
