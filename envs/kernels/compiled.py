"""How the engine is compiled: strict IEEE results, no GIL, and a cache that knows its sources.

`kernel` compiles the short functions, `entry` the few that Python calls. Numba's cache looks at the
file of the entry alone; a change in any other file of the engine must recompile too. So an entry is
made by a factory whose closure holds a digest of the engine's folders (`digest_of`): closure values
are part of Numba's cache key.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.extending import register_jitable

# nnan/ninf/nsz let min, max and select vectorise and change no finite result; "contract" (FMA)
# would differ between processors, and "reassoc" between vector widths.
_FLAGS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"nnan", "ninf", "nsz"},
}


def digest_of(*folders: Path) -> str:
    """SHA-256 of the text of every module in the folders and below: what an entry's machine code
    was made of.
    """
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def scalar(function: Callable[..., Any]) -> Any:
    """Compile a function of numbers that loops over lanes use; always inlined, else LLVM keeps such
    a loop scalar.
    """
    return njit(forceinline=True, **_FLAGS)(function)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a short function that other compiled functions call."""
    return njit(**_FLAGS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Put a function's text where it is called: for those that return records in a bundle, which
    compiled functions cannot return.
    """
    return njit(inline="always", **_FLAGS)(function)


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, and keep the machine code on disk."""
    return njit(cache=True, **_FLAGS)(function)


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let compiled functions call a function of numbers that Python calls with arrays: one formula
    for both.
    """
    return register_jitable(**_FLAGS)(function)
