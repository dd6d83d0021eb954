"""Everything the benchmark leaves to read: summary.json, results.md, .csv, .tex, figures and one
interactive page.
"""

from pathlib import Path
from typing import Any

from ...envs.files import whole_file
from ..analysis.summary import csv_text, plain_row
from ..runs.manifest import write_json
from .figures import write_figures
from .html import html_report
from .latex import latex_tables
from .markdown import markdown
from .task_report import TaskReport


def write_report(folder: Path, reports: list[TaskReport], title: str) -> list[dict[str, Any]]:
    """Write summary.json, results.md, results.csv, results.tex, report.html and figures/*.png.

    Args:
        folder: where; it is made if it is not there.
        reports: of every task, in the order of tables and tabs.
        title: of tables and page.

    Returns:
        The rows of summary.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for report in reports for row in report.rows]
    verdicts = [report.verdict for report in reports]
    curves = {report.task: report.curves for report in reports}
    plain = [plain_row(row) for row in rows]
    write_json(folder / "summary.json", plain)
    texts = {
        "results.md": markdown(rows, verdicts, title),
        "results.csv": csv_text(rows),
        "results.tex": latex_tables(rows, title),
        "report.html": html_report(rows, verdicts, curves, title),
    }
    for name, text in texts.items():
        with whole_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")
    write_figures(folder / "figures", rows, curves)
    return plain
