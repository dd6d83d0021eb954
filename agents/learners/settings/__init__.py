"""What a training is: validated hyper-parameters, read from YAML by the experiments.

Numbers that a learner's settings leave out come from `defaults.yaml`. Settings that were written
under the names fields had first are read as well (`FIRST_NAMES`).
"""

from typing import Annotated

from pydantic import Field

from .by_gradient import APG_USES, CHOOSING, SHARES, APGSettings, ShiftSettings, Start
from .fields import DEFAULTS, FIRST_NAMES
from .stable_baselines import PPOSettings, SACSettings
from .training_env import TrainingEnv, rule_values

__all__ = [
    "CHOOSING",
    "DEFAULTS",
    "FIRST_NAMES",
    "SCALE_MARKETS",
    "SHARES",
    "APGSettings",
    "LearnerSettings",
    "PPOSettings",
    "SACSettings",
    "ShiftSettings",
    "Start",
    "TrainingEnv",
    "all_steps",
    "rule_values",
    "start_settings",
]

SCALE_MARKETS = 1024  # whose episodes the inputs of a PPO are measured over
LearnerSettings = Annotated[
    PPOSettings | SACSettings | ShiftSettings | APGSettings, Field(discriminator="algorithm")
]


def all_steps(settings: LearnerSettings) -> int:
    """Environment steps of a training, those of its start included, copies aside."""
    start = settings.start if isinstance(settings, PPOSettings) else None
    return settings.steps + (start.steps if start else 0)


def start_settings(settings: LearnerSettings) -> APGSettings | None:
    """The training by which the actor of a PPO starts; None where it starts from nothing."""
    if not isinstance(settings, PPOSettings) or settings.start is None or not settings.training_env:
        return None
    env = settings.training_env.model_dump(include=APG_USES)
    data = settings.start.model_dump() | {"policy": "mlp", "width": settings.hidden[0]}
    return APGSettings.model_validate(data | {"training_env": env})
