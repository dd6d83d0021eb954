"""What all settings share: defaults from YAML, and fields read under their first names, too."""

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULTS: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent.parent / "defaults.yaml").read_text(encoding="utf-8")
)
FIRST_NAMES = {
    "training_env": "practice",
    "demonstrations": "warm_start",
    "demonstration_epochs": "warm_epochs",
    "ensemble": "members",
    "safety_margin": "caution",
    "margin_range": "caution_range",
}  # of fields, as in configurations and policies written before they were renamed
Share = Annotated[float, Field(ge=0, le=1)]
Layers = list[Annotated[int, Field(ge=1, le=4096)]]
Rate = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Markets = Annotated[int, Field(ge=1, le=65_536)]


class RenamedFields(BaseModel):
    """A model that is read under the names its fields had first, too."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for name, first in FIRST_NAMES.items():
            if first not in data or name not in cls.model_fields:
                continue
            if name in data:
                raise ValueError(f"{first} is the former name of {name}; only one is allowed")
            data[name] = data.pop(first)
        return data
