"""The site says what the code is: every lever, feature and public name has its place."""

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import chengfang
import pytest
from chengfang.envs import (
    FEATURE_NAMES,
    TASKS,
    find_task,
    load_scenario,
    select_levers,
    short_name,
)

DOCS = Path(chengfang.__file__).parent / "docs"
ORDER = [
    "Description",
    "Action Space",
    "Observation Space",
    "Rewards",
    "Starting State",
    "Episode End",
    "Arguments",
    "Vectorized environment",
    "Version History",
]


def helper(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module beside docs/conf.py."""
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


@pytest.mark.parametrize("name", [short_name(task) for task in TASKS])
def test_an_environment_page_is_a_manual(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gymnasium's sections in Gymnasium's order, with every lever and every feature."""
    pages = helper("environment_pages", monkeypatch).write(tmp_path)
    task = find_task(name)
    page = next(p for p in pages if p.stem == task.id.split("/")[1]).read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", page, re.M) == ORDER
    actions = page.split("## Action Space")[1].split("## ")[0]
    assert re.findall(r"^\| \d+ \| `(\w+)`", actions, re.M) == list(select_levers(task.levers))
    observations = page.split("## Observation Space")[1].split("## ")[0]
    assert re.findall(r"^\| \d+ \| `(\w+)`", observations, re.M) == list(FEATURE_NAMES)
    ticks = task.days * load_scenario(task.scenario).clock.ticks_per_day
    assert f"**{ticks} ticks**" in page


@pytest.mark.parametrize(
    ("module", "page"),
    [
        ("chengfang", "index"),
        ("chengfang.envs", "envs"),
        ("chengfang.agents", "agents"),
        ("chengfang.agents.learners", "learners"),
        ("chengfang.agents.wrappers", "wrappers"),
    ],
)
def test_every_public_name_is_in_the_reference(module: str, page: str) -> None:
    text = (DOCS / "api" / f"{page}.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\.\. [\w:]+:: (?:[\w.]+\.)?(\w+)", text, re.M))
    assert set(importlib.import_module(module).__all__) <= described


def test_every_page_is_in_the_navigation() -> None:
    """Pages of docs/ itself; Sphinx warns of the others, and a warning is an error."""
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([\w/]+)$", index, re.M))
    assert {path.stem for path in DOCS.glob("*.md")} - {"index"} <= listed


def test_committed_tables_are_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links that work on GitHub lead to the page on the site."""
    pages = helper("evidence_pages", monkeypatch)
    link = "[Table](../results/studies/unified/results.md#a)"
    assert pages.relinked(link, 0) == "[Table](evidence/unified.md#a)"
    deeper = "[rows](../../results/benchmark/results.md)"
    assert pages.relinked(deeper, 1) == "[rows](../evidence/benchmark.md)"


def test_markdown_in_docstrings_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    convert = helper("markdown_docstrings", monkeypatch).convert
    text = "One.\n\n## Cost\nA `b`.\n\n```python\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |"
    made = "\n".join(convert(text.splitlines()))
    assert ".. rubric:: Cost" in made
    assert ".. code-block:: python\n\n   x = 1" in made
    assert "   * - 1\n     - 2" in made


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_needs_no_network(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"),
            *("-E", "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html")),
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "html").rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        loaded = re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="(http[^"]+)', page.read_text())
        assert not loaded, f"{page.name} loads {loaded[0]}"
    world = (tmp_path / "html" / "world.html").read_text(encoding="utf-8")
    assert "_static/mathjax/tex-chtml.js" in world
    assert (tmp_path / "html" / "_static" / "mathjax" / "tex-chtml.js").is_file()
