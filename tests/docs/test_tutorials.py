"""Every block of code in docs/tutorials runs, page by page, from top to bottom, in an empty folder.

A block that begins with the comment `# some_name.py` (or .yaml) is a file that the reader saves;
`python` blocks share one namespace a page; `sh` blocks run line by line, `chengfang` being this
package's command line.
"""

import importlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import chengfang
import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(chengfang.__file__).parent
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
FILE_NAMES = (".py", ".yaml")


def saved(text: str) -> bool:
    """Save a block that names itself as a file in its first line; says whether it was one."""
    first = text.lstrip().splitlines()[0]
    name = first.removeprefix("# ").strip()
    if not first.startswith("# ") or " " in name or not name.endswith(FILE_NAMES):
        return False
    Path(name).write_text(text, encoding="utf-8")
    importlib.invalidate_caches()  # a module that has just been written is found
    return True


def run_shell(example: Example) -> None:
    """Run each line of a block as a command; a line that fails fails the block."""
    for line in example.parsed.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        if words[0] in ("chengfang", "python"):
            module = ["-m", "chengfang"] if words[0] == "chengfang" else []
            words = [sys.executable, *module, *words[1:]]
        done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def run_python(example: Example) -> None:
    """Run a block in the page's namespace, unless it is a file."""
    if not saved(example.parsed):
        PythonEvaluator()(example)


def save_file(example: Example) -> None:
    """A block of YAML is always a file."""
    assert saved(example.parsed), "a block of YAML must begin with the comment `# name.yaml`"


READER = Sybil(
    parsers=[
        CodeBlockParser("python", run_python),
        CodeBlockParser("yaml", save_file),
        CodeBlockParser("sh", run_shell),
    ]
)


def examples(page: Path) -> list[Example]:
    """The blocks of a page."""
    return list(READER.parse(page).examples())


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_tutorial_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *python_path()]))
    for name in ("my_agents", "my_learner"):
        sys.modules.pop(name, None)
    for example in examples(page):
        example.evaluate()


def python_path() -> list[str]:
    """The search path of this process, for those it starts."""
    given = os.environ.get("PYTHONPATH")
    return [given] if given else []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_tutorial_is_one_that_runs(page: Path) -> None:
    """No block hides from the tests behind a language they do not know."""
    if page.stem == "index":
        return
    fences = [line for line in page.read_text(encoding="utf-8").splitlines() if "```" in line]
    languages = {line.strip("`") for line in fences[::2]}
    assert languages <= {"python", "sh", "yaml", "text"}
    assert examples(page), "a tutorial without code"


def test_the_tutorials_are_all_in_the_table_of_contents() -> None:
    index = (ROOT / "docs" / "tutorials" / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert page.stem == "index" or f"]({page.name})" in index, page.name
