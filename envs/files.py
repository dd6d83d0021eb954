"""Files that appear whole or not at all."""

import contextlib
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: "str | Path") -> Iterator[Path]:
    """Give a draft to write to; it takes the place of `path` at the end, or is gone if anything
    went wrong.

    Raises:
        OSError: as the writing raised it, naming `path` and not the draft (disk full, no such
            folder, no permission).
    """
    target = Path(path)
    draft = target.with_name(target.name + ".part")
    try:
        yield draft
        draft.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(target)
        raise
