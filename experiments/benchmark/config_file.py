"""Configurations as YAML: read as plain data, and what is wrong with them in sentences."""

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
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path}: not readable as plain YAML") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration holds fields and values")
    return data


def sentences(error: ValidationError) -> str:
    """A line per problem: field, value (its first characters) and what is allowed."""
    return "\n".join(
        f"{'.'.join(map(str, item['loc']))} is {shortened(repr(item['input']))}; {item['msg']}"
        for item in error.errors()
    )


def shortened(text: str, limit: int = 80) -> str:
    """The text, or its first `limit` characters and three dots."""
    return text if len(text) <= limit else text[:limit] + "..."
