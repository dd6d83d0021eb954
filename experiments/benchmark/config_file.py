"""Configurations as YAML: read as plain data, and what is wrong with them in sentences."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

FOLDER = Path(__file__).parent.parent / "configs"
SHIPPED = ("benchmark", "compare")


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names each field, the value and what is
    allowed.
    """


def read_config(path: Path) -> dict[str, Any]:
    """The fields of a YAML file, or of the `config.yaml` in a folder of results.

    Raises:
        ConfigError: there is no such file, or it is no plain YAML with fields and values.
    """
    if path.is_dir():
        path = path / "config.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: no such configuration ({error.strerror}); shipped are {', '.join(SHIPPED)}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"{path}: not readable as plain YAML{where}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration holds fields and values")
    return data


def sentences(error: ValidationError, known: Iterable[str], within: tuple[str, ...] = ()) -> str:
    """A line per problem: field, value (its first characters) and what is allowed.

    Args:
        error: what pydantic found.
        known: names of fields, among which a misspelt one finds what was meant.
        within: path of what was validated.
    """
    return "\n".join(
        f"{'.'.join(map(str, (*within, *item['loc'])))} is {shortened(repr(item['input']))}; "
        + (
            _no_field(str(item["loc"][-1]), known)
            if item["type"] == "extra_forbidden"
            else item["msg"]
        )
        for item in error.errors()
    )


def _no_field(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, [field for field in known if field != name], 1)
    return "there is no such field" + (f", did you mean {near[0]}?" if near else "")


def shortened(text: str, limit: int = 80) -> str:
    """The text, or its first `limit` characters and three dots."""
    return text if len(text) <= limit else text[:limit] + "..."
