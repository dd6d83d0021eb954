"""A learner by its name: what it is trained with on a task."""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from ..agents.learners.settings import LearnerSettings
from .benchmark.comparison import load_comparison
from .benchmark.config_file import ConfigError, read_config, sentences

FILE = Path(__file__).parent / "configs" / "learners.yaml"
CHECK: TypeAdapter[Any] = TypeAdapter(LearnerSettings)


def learner_settings(
    name: str, task: str, changes: Path | None = None, steps: int | None = None
) -> tuple[str, Any]:
    """Name and settings of a learner on a task.

    Args:
        name: of a learner of `configs/learners.yaml`, or, on tasks that it does not name, of the
            shipped comparison; in any case.
        task: short name.
        changes: a YAML file of fields that go before the recipe's.
        steps: to train for, before both.

    Raises:
        ConfigError: an unknown learner, a file that cannot be read, or a field that is wrong.
    """
    recipes = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    [shipped] = load_comparison().tasks.values()
    known = dict.fromkeys(shipped.learners) | dict.fromkeys(recipes)
    found = next((one for one in known if one.lower() == name.lower()), None)
    if found is None:
        raise ConfigError(
            f"algorithm is {name!r}; allowed are {', '.join(known)}, and module:train of your own "
            "code"
        )
    own = recipes.get(found, {})
    if task in own or found not in shipped.learners:
        options = {"algorithm": found} | own.get(task, {})
    else:
        options = shipped.learners[found].model_dump()
    options |= {} if changes is None else read_config(changes)
    options |= {} if steps is None else {"steps": steps}
    try:
        return found, CHECK.validate_python(options)
    except ValidationError as error:
        origin = "" if changes is None else f"{changes}: "
        raise ConfigError(origin + sentences(error, _fields(options))) from None


def _fields(options: dict[str, Any]) -> list[str]:
    """Fields of the learner's settings, among which a misspelt one finds what was meant."""
    [union] = get_args(LearnerSettings)[:1]
    kinds = get_args(union)
    algorithm = options.get("algorithm")
    return [
        field
        for kind in kinds
        if kind.model_fields["algorithm"].default == algorithm
        for field in kind.model_fields
    ]
