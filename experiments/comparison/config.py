"""What a comparison is: a validated configuration, read from YAML and written beside its results."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ...agents import RULES
from ...agents.learners.settings import LearnerSettings
from ...envs import Scenario, Setting, Task, find_task, load_scenario, short_name
from ...envs.files import whole_file
from ...envs.scenario.validation import merged
from ..runs.evaluate import TEST_SEED

FOLDER = Path(__file__).parent.parent / "configs"


class ConfigError(ValueError):
    """A configuration that cannot be used; the message names each field, the value and what is
    allowed.
    """


class CompareConfig(BaseModel):
    """One comparison, complete: run again it gives the same numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str = "SuperPlan"
    scenario: str | dict[str, Any] = "default"
    episodes: int = Field(default=512, ge=2, le=1_000_000)
    test_seed: int = Field(default=TEST_SEED, ge=0)
    seeds: list[int] = Field(default=[0], min_length=1, max_length=1000)
    days: int | None = Field(default=None, ge=1, le=90)
    rules: list[str] = list(RULES)
    learners: dict[str, LearnerSettings] = {}

    @field_validator("task")
    @classmethod
    def _task(cls, value: str) -> str:
        return short_name(find_task(value))

    @field_validator("rules")
    @classmethod
    def _rules(cls, value: list[str]) -> list[str]:
        unknown = [name for name in value if name not in RULES]
        if unknown:
            raise ValueError(f"unknown rules {', '.join(unknown)}; allowed are {', '.join(RULES)}")
        return value

    @property
    def task_spec(self) -> Task:
        """The task's entry in the table of ids."""
        return find_task(self.task)

    def load_scenario(self) -> Scenario:
        """The scenario this comparison plays."""
        return load_scenario(self.scenario)

    def setting(self, split: str = "test") -> Setting:
        """What is played: scenario, levers, length and split."""
        from ...envs import select_levers

        task = self.task_spec
        return Setting(
            self.load_scenario(), select_levers(task.levers), self.days or task.days, split
        )

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides the numbers, the scenario's own numbers included."""
        data = self.model_dump(mode="json", exclude={"scenario"}) | {
            "scenario_hash": self.load_scenario().hash
        }
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


def load_config(
    what: "str | Path | None" = None, changes: dict[str, Any] | None = None
) -> CompareConfig:
    """Read a configuration by shipped name or path (default: `compare`), with nested changes on
    top.

    Raises:
        ConfigError: one sentence per problem.
    """
    path = FOLDER / "compare.yaml" if what is None else Path(what)
    shipped = FOLDER / f"{what}.yaml"
    if what is not None and not path.is_file() and shipped.is_file():
        path = shipped
    if not path.is_file():
        raise ConfigError(
            f"{path}: no such configuration; shipped are {', '.join(sorted(p.stem for p in FOLDER.glob('*.yaml')))}"
        )
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{path}: not readable as plain YAML") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: a configuration holds fields and values")
    data.pop("fingerprint", None)
    return validated_config(merged(data, changes or {}))


def validated_config(data: dict[str, Any]) -> CompareConfig:
    """A configuration from a complete dict; raises ConfigError with one sentence per problem."""
    if "tasks" in data:
        raise ConfigError(
            "tasks is a field of a benchmark, which `chengfang benchmark` plays; a comparison has one task"
        )
    try:
        return CompareConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(sentences(error)) from None


def sentences(error: ValidationError) -> str:
    """A line per problem: field, value (its first characters) and what is allowed."""
    return "\n".join(
        f"{'.'.join(map(str, item['loc']))} is {shortened(repr(item['input']))}; {item['msg']}"
        for item in error.errors()
    )


def shortened(text: str, limit: int = 80) -> str:
    """The text, or its first `limit` characters and three dots."""
    return text if len(text) <= limit else text[:limit] + "..."


def save_config(config: CompareConfig, path: Path) -> None:
    """Write the configuration with the scenario spelled out, so that it can be run again anywhere."""
    data = config.model_dump(mode="json") | {
        "scenario": config.load_scenario().model_dump(mode="json"),
        "fingerprint": config.fingerprint,
    }
    with whole_file(path) as draft:
        draft.write_text(
            yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
