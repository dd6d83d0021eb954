"""The benchmark's tables for a paper: booktabs, one per task."""

from ..analysis.summary import Summary, best, ranked
from .markdown import Column, shown_columns

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "Δ": r"$\Delta$",
    "²": "$^2$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "·": r"$\cdot$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\n": " ",
}
HEAD = (
    r"% \usepackage{booktabs} and \usepackage{graphicx} in the preamble. "
    "Written by chengfang benchmark.\n"
)


def escape(text: str) -> str:
    """Plain text as LaTeX text; letters beyond ASCII need an engine that knows Unicode, as every
    one since 2018 does.
    """
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def latex_tables(rows: list[Summary], title: str) -> str:
    """The whole of `results.tex`: input it in a document that loads booktabs and graphicx."""
    tasks = dict.fromkeys(row.task for row in rows)
    return HEAD + "\n".join(
        task_table([row for row in rows if row.task == task], title) for task in tasks
    )


def task_table(rows: list[Summary], title: str) -> str:
    """One task's table, best first; the best learner and the best rule in bold, references below a
    rule of their own.
    """
    order = ranked(rows)
    bold = {row.agent for row in (best(rows, "learner"), best(rows, "rule")) if row}
    bold |= {row.agent for row in rows if row.kind == "own"}
    columns = shown_columns(rows)
    policies = [_line(row, columns, row.agent in bold) for row in order if row.kind != "reference"]
    references = [_line(row, columns, False) for row in order if row.kind == "reference"]
    body = policies + ([r"\midrule"] if policies and references else []) + references
    label = "".join(
        letter if letter.isalnum() and letter.isascii() else "-" for letter in rows[0].task.lower()
    )
    episodes = max(row.episodes for row in rows)
    caption = (
        f"{title}: {rows[0].task}, {episodes} held-out episodes. Score: inter-quartile mean as a "
        "multiple of doing nothing, with a 95 % bootstrap interval; over rule: paired "
        "gain over the best rule; clairv. and bound: share of the gain above doing nothing; "
        "Δ GMV and profit in CNY; Δ profit: median above doing nothing; losing: share of episodes "
        "with less profit than doing nothing; ticks and CPU seconds of one training, tuning or "
        "search."
    )
    return "\n".join(
        [
            r"\begin{table}[htbp]",
            r"\centering",
            rf"\caption{{{escape(caption)}}}",
            rf"\label{{tab:{label}}}",
            r"\resizebox{\linewidth}{!}{%",
            rf"\begin{{tabular}}{{{''.join('l' if c.left else 'r' for c in columns)}}}",
            r"\toprule",
            " & ".join(escape(column.head) for column in columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _line(row: Summary, columns: list[Column], bold: bool) -> str:
    cells = [escape(column.show(row)) for column in columns]
    return " & ".join([rf"\textbf{{{cells[0]}}}" if bold else cells[0], *cells[1:]]) + r" \\"
