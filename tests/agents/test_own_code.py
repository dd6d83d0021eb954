"""Code that users bring: found in the working directory or by entry point, told apart by source."""

import itertools
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest
from chengfang.agents.guard import AgentError
from chengfang.agents.own_code import (
    code_name,
    load_code,
    own_digest,
    own_function,
    own_sources,
    registered,
)

NUMBER = itertools.count()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of a name of its own into the working directory; returns the name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text, name=None):
        name = name or f"own_{os.getpid()}_{next(NUMBER)}"
        path = tmp_path / (name.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    return write


def register(folder, monkeypatch, lines, distribution="fake"):
    """A fake installed package that registers policies."""
    info = folder / f"{distribution}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[chengfang.policies]\n" + "\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


# Names
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("my_agents:Cautious", ("my_agents", "Cautious")),
        ("lab.agents:Outer.Inner", ("lab.agents", "Outer.Inner")),
        ("PID", None),
        ("C:/policies/best", None),
        ("runs/a:b", None),
        ("my agents:Cautious", None),
        (":Cautious", None),
        ("my_agents:", None),
    ],
)
def test_module_and_name(name, place):
    assert code_name(name) == place


def test_entry_points_are_names(tmp_path, monkeypatch):
    register(tmp_path, monkeypatch, ["Careful = careful_agents:Careful"])
    assert code_name("Careful") == ("careful_agents", "Careful")
    assert "Careful" in registered()
    assert code_name("Careless") is None


def test_a_name_registered_twice_is_refused(tmp_path, monkeypatch):
    register(tmp_path / "a", monkeypatch, ["Careful = one:Careful"], "one")
    register(tmp_path / "b", monkeypatch, ["Careful = two:Careful"], "two")
    with pytest.raises(AgentError, match="more than one package, as one:Careful and two:Careful"):
        code_name("Careful")


# Import
# --------------------------------------------------------------------------------------------------


def test_code_of_the_working_directory_is_found(module):
    name = module("class Cautious:\n    class Inner: pass\n\ndef train(): return 3\n")
    assert load_code(f"{name}:Cautious").__name__ == "Cautious"
    assert load_code(f"{name}:Cautious.Inner").__name__ == "Inner"
    assert own_function(f"{name}:train")() == 3


def test_code_of_an_entry_point_is_found(module, tmp_path, monkeypatch):
    name = module("class Careful: pass\n")
    register(tmp_path / "site", monkeypatch, [f"Careful = {name}:Careful"])
    assert load_code("Careful").__module__ == name


@pytest.mark.parametrize(
    ("text", "attribute", "said"),
    [
        ("class Cautious: pass\n", "Cautius", "there is no Cautius in {}; did you mean Cautious?"),
        ("class A: pass\ndef b(): pass\n", "Other", "there is no Other in {}; it has A, b"),
        ("import numpy\n", "Other", "there is no Other in {}; it has nothing"),
        ("def f(:\n", "f", "importing {0} failed: SyntaxError: invalid syntax ({0}.py, line 1)"),
        ("\n1 / 0\n", "f", "ZeroDivisionError: division by zero ({}.py, line 2)"),
        ("raise SystemExit(3)\n", "f", "importing {} failed: SystemExit: 3"),
        ("import there_is_none\n", "f", "ModuleNotFoundError: No module named 'there_is_none'"),
    ],
    ids=["typo", "other names", "no names", "syntax", "raises", "exits", "needs another module"],
)
def test_what_cannot_be_imported_is_said(module, text, attribute, said):
    name = module(text)
    with pytest.raises(AgentError) as caught:
        load_code(f"{name}:{attribute}", "Bidding")
    assert str(caught.value).startswith(f"{name}:{attribute} on Bidding: ")
    assert said.format(name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there_is_said(module, tmp_path):
    with pytest.raises(AgentError) as caught:
        load_code("own_nowhere:Cautious")
    assert str(caught.value) == (
        f"own_nowhere:Cautious: there is no module own_nowhere, neither in {tmp_path} nor installed"
    )
    package = module("", f"own_package_{next(NUMBER)}.__init__").partition(".")[0]
    with pytest.raises(AgentError, match=f"there is no module {package}.missing, "):
        load_code(f"{package}.missing:Cautious")


def test_what_is_no_function_is_refused(module):
    name = module("train = 3\n")
    with pytest.raises(AgentError, match="train is a int; it must be a function"):
        own_function(f"{name}:train")


def test_what_names_no_code_is_refused():
    with pytest.raises(AgentError, match="it must be module:Name, for example my_agents:Cautious"):
        load_code("Cautious")


# Source text
# --------------------------------------------------------------------------------------------------


def test_the_digest_follows_the_source_text(module, tmp_path):
    name = module("A = 1\n")
    first = own_digest(f"{name}:A")
    assert own_digest(f"{name}:B") == first
    (tmp_path / f"{name}.py").write_text("A = 2\n")
    assert own_digest(f"{name}:A") != first
    (tmp_path / f"{name}.py").write_text("A = 1\n")
    assert own_digest(f"{name}:A") == first


def test_nothing_is_imported_for_a_digest(module):
    name = module("raise RuntimeError\n")
    own_digest(f"{name}:A")
    assert name not in sys.modules


def test_a_package_counts_whole(module):
    top = f"own_package_{next(NUMBER)}"
    module("", f"{top}.__init__")
    module("A = 1\n", f"{top}.agents.__init__")
    module("B = 1\n", f"{top}.numbers")
    (Path(top) / "notes.txt").write_text("no code")
    assert list(own_sources(f"{top}.agents:A")) == [
        f"{top}/__init__.py",
        f"{top}/agents/__init__.py",
        f"{top}/numbers.py",
    ]


def test_neighbours_that_are_imported_count(module):
    last = module("C = 1\n")
    middle = module(f"def f():\n    from {last} import C\n")
    module("unused = 1\n")
    name = module(f"import numpy, chengfang\nimport {middle}\n")
    assert set(own_sources(f"{name}:A")) == {f"{n}.py" for n in (name, middle, last)}


def test_neighbours_of_installed_code_do_not_count(module, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    neighbour = module("", f"own_neighbour_{next(NUMBER)}")
    os.rename(f"{neighbour}.py", f"site/{neighbour}.py")
    name = module(f"import {neighbour}\n")
    os.rename(f"{name}.py", f"site/{name}.py")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert set(own_sources(f"{name}:A")) == {f"{name}.py"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("own_nowhere:A", "there is no module own_nowhere"), ("math:sin", "no source file")],
)
def test_what_has_no_source_is_said(module, name, said):
    if name == "math:sin" and hasattr(sys.modules["math"], "__file__"):
        name = "itertools:chain"
    with pytest.raises(AgentError, match=said):
        own_digest(name)


# Elsewhere
# --------------------------------------------------------------------------------------------------


def _read(name, pipe):
    pipe.send(load_code(name))


@pytest.mark.slow
def test_spawned_workers_find_it(module):
    name = module("from own_helper import LEVEL\n")
    module("LEVEL = 7\n", "own_helper")
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    process = context.Process(target=_read, args=(f"{name}:LEVEL", far))
    process.start()
    assert near.poll(60)
    assert near.recv() == 7
    process.join()


def test_sources_are_installed_where_the_files_are_not(module, tmp_path):
    helper = module("LEVEL = 7\n")
    name = module(f"from {helper} import LEVEL\n")
    sources = own_sources(f"{name}:LEVEL")
    (tmp_path / "elsewhere").mkdir()
    code = (
        "from chengfang.agents.own_code import install_sources, load_code, own_digest\n"
        f"install_sources({sources!r})\ninstall_sources({sources!r})\n"
        f"print(load_code('{name}:LEVEL'), own_digest('{name}:LEVEL'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path / "elsewhere",
        check=False,
    )
    assert done.stdout.split() == ["7", own_digest(f"{name}:LEVEL")], done.stderr
