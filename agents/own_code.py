"""Policies that users bring as code: `module:Name` from any working directory, or a name that an
installed package registers.

A package registers policies under the entry point group `chengfang.policies`:

    [project.entry-points."chengfang.policies"]
    Cautious = "my_package.agents:Cautious"
"""

import ast
import atexit
import difflib
import hashlib
import importlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from .guard import AgentError, error_sentence

GROUP = "chengfang.policies"
SPELLING = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class CodeName(NamedTuple):
    """Where a policy's code is."""

    module: str
    attribute: str

    @property
    def top(self) -> str:
        """The top-level module or package it belongs to."""
        return self.module.partition(".")[0]


def code_name(name: str) -> CodeName | None:
    """Where `module:Name` or an entry point's name leads; None if the name is neither.

    Raises:
        AgentError: if two installed packages register the name for different things.
    """
    if SPELLING.fullmatch(name):
        module, _, attribute = name.partition(":")
        return CodeName(module, attribute)
    found = {(point.module, point.attr) for point in entry_points(group=GROUP, name=name)}
    if len(found) > 1:
        places = " and ".join(sorted(":".join(place) for place in found))
        raise AgentError(f"{name} is registered by more than one package, as {places}; name one")
    return CodeName(*found.pop()) if found else None


def registered() -> list[str]:
    """Names that installed packages register, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load_code(name: str, task: str | None = None) -> Any:
    """The class, function or object that a name stands for; its module is imported.

    Args:
        name: `module:Name` or an entry point's.
        task: for which; errors name it.

    Raises:
        AgentError: if there is no such module or no such name in it, or the import fails.
    """
    place = _place(name)
    where = _where(name, task)
    value: Any = _module(where, place)
    for part in place.attribute.split("."):
        if not hasattr(value, part):
            raise AgentError(f"{where}: {_missing(value, place, part)}")
        value = getattr(value, part)
    return value


def own_function(name: str) -> Callable[..., Any]:
    """A function by name, for example one that trains a policy.

    Raises:
        AgentError: as `load_code`, or if it cannot be called.
    """
    value = load_code(name)
    if not callable(value):
        raise AgentError(f"{name} is a {type(value).__name__}; it must be a function")
    return value


# Source text
# --------------------------------------------------------------------------------------------------


def own_digest(name: str, task: str | None = None) -> str:
    """Digest of the source text that decides what a policy does: see `own_sources`."""
    digest = hashlib.sha256()
    for path, data in own_sources(name, task).items():
        digest.update(f"{path} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


def own_sources(name: str, task: str | None = None) -> dict[str, bytes]:
    """Source files of a policy by their path below the folder that holds them, sorted.

    They are its module, or all of its top-level package; of code in the working directory also the
    modules there that it imports. Nothing is imported for that.

    Args:
        name: `module:Name`, or an installed entry point.
        task: what it is wanted for, named in errors.

    Raises:
        AgentError: if there is no such module, or none with source files.
    """
    place = _place(name)
    root, files = _top_files(_where(name, task), place.top)
    waiting = [place.top] if root in (Path.cwd().resolve(), *_INSTALLED) else []
    seen = {place.top, "chengfang"}
    while waiting:
        for top in _imported_tops(_files_of(root, waiting.pop())):
            if top not in seen and _files_of(root, top):
                seen.add(top)
                waiting.append(top)
                files |= set(_files_of(root, top))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(files)}


def install_sources(sources: dict[str, bytes]) -> None:
    """Make policies importable in a process that may not have their files, such as a Ray worker.

    Args:
        sources: what `own_sources` gave elsewhere.
    """
    if sources:
        _install(tuple(sorted(sources.items())))


@cache
def _install(sources: tuple[tuple[str, bytes], ...]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="chengfang-code-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path, data in sources:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    _INSTALLED.append(folder)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


_INSTALLED: list[Path] = []


def _top_files(where: str, top: str) -> tuple[Path, set[Path]]:
    """The folder that holds a top-level module or package, and its source files."""
    look_in_working_directory()
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError) as error:
        raise AgentError(f"{where}: {error_sentence(error)}") from None
    if spec is None:
        raise AgentError(f"{where}: {_no_module(top)}")
    if spec.submodule_search_locations:
        package = Path(next(iter(spec.submodule_search_locations))).resolve()
        files = {path for path in package.rglob("*.py") if "__pycache__" not in path.parts}
    else:
        package = Path(spec.origin or "").resolve()
        files = {package} if spec.has_location and package.is_file() else set()
    if not files:
        raise AgentError(f"{where}: the module {top} has no source file")
    return package.parent, files


def _files_of(folder: Path, top: str) -> list[Path]:
    """Source files of a top-level module or package in a folder; none if it is not there."""
    if (folder / top / "__init__.py").is_file():
        return sorted((folder / top).rglob("*.py"))
    module = folder / f"{top}.py"
    return [module] if module.is_file() else []


def _imported_tops(files: list[Path]) -> Iterator[str]:
    """Top-level names that files import, wherever in them."""
    for path in files:
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # the import will say so
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


# Import
# --------------------------------------------------------------------------------------------------


def look_in_working_directory() -> None:
    """Put the working directory on the import path, as `python script.py` would."""
    here = os.getcwd()
    if here not in sys.path and not {"", "."} & set(sys.path):
        sys.path.insert(0, here)
    importlib.invalidate_caches()


def _where(name: str, task: str | None) -> str:
    """How errors begin."""
    return name if task is None else f"{name} on {task}"


def _place(name: str) -> CodeName:
    place = code_name(name)
    if place is None:
        raise AgentError(
            f"{name!r} names no code; it must be module:Name, for example my_agents:Cautious, or "
            f"registered by an installed package ({', '.join(registered()) or 'none is'})"
        )
    return place


def _module(where: str, place: CodeName) -> ModuleType:
    look_in_working_directory()
    try:
        return importlib.import_module(place.module)
    except ModuleNotFoundError as error:
        if error.name and f"{place.module}.".startswith(f"{error.name}."):
            raise AgentError(f"{where}: {_no_module(error.name)}") from None
        raise AgentError(
            f"{where}: importing {place.module} failed: {error_sentence(error)}"
        ) from error
    except (Exception, SystemExit) as error:
        raise AgentError(
            f"{where}: importing {place.module} failed: {error_sentence(error)}"
        ) from error


def _no_module(module: str) -> str:
    return f"there is no module {module}, neither in {os.getcwd()} nor installed"


def _missing(value: Any, place: CodeName, part: str) -> str:
    """What to say about a name that is not there."""
    public = [
        name
        for name, there in getattr(value, "__dict__", {}).items()
        if not name.startswith("_") and getattr(there, "__module__", None) == place.module
    ]
    near = difflib.get_close_matches(part, public, 1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(public) or 'nothing'}"
    return f"there is no {part} in {place.module}; {hint}"
