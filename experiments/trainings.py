"""Hyper-parameters of trainings that belong to no benchmark: `configs/trainings.yaml`."""

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent / "configs" / "trainings.yaml"


def training_options(name: str) -> dict[str, Any]:
    """What the file says of a training, as `PPOSettings.model_validate` takes it.

    Raises:
        KeyError: the file has no such training.
    """
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))[name]
