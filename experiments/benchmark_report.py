"""Everything the benchmark leaves to read: summary.json, results.md, .csv, .tex, figures and one interactive page."""

from pathlib import Path
from typing import Any

from ..envs.files import whole_file
from .benchmark_figures import task_curves, write_figures
from .benchmark_tables import markdown
from .html_report import html_report
from .latex import latex_tables
from .manifest import write_json
from .results import AgentResult
from .summary import csv_text, plain_row, summarise_all
from .verdicts import judge


def write_report(folder: Path, results: list[AgentResult], title: str) -> list[dict[str, Any]]:
    """Write summary.json, results.md, results.csv, results.tex, report.html and figures/*.png.

    Args:
        folder: where; it is made if it is not there.
        results: every agent on every task; agents of a task share their episodes.
        title: of tables and page.

    Returns:
        The rows of summary.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = summarise_all(results)
    verdicts = [judge(task, rows, results) for task in dict.fromkeys(row.task for row in rows)]
    curves = {verdict.task: task_curves(verdict.task, rows, results) for verdict in verdicts}
    plain = [plain_row(row) for row in rows]
    write_json(folder / "summary.json", plain)
    texts = {"results.md": markdown(rows, verdicts, title), "results.csv": csv_text(rows), "results.tex": latex_tables(rows, title),
             "report.html": html_report(rows, verdicts, curves, title)}
    for name, text in texts.items():
        with whole_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")
    write_figures(folder / "figures", rows, curves)
    return plain
