"""Learners: APG by the market's derivative, PPO and SAC from stable-baselines3, and saved policies
that load without running code.

What needs torch is imported when it is asked for, so that rules, saved policies and the
environments stay light: `save_policy`, `import_sb3`, `PlanCallback`, `training`, and the wrappers
that training stands on (`agents.wrappers`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .best import load_best
from .saved_policy import ArtefactError, SavedPolicy, load_policy
from .settings import APGSettings, PPOSettings, SACSettings

if TYPE_CHECKING:
    from .plan_callback import PlanCallback
    from .sb3_models import import_sb3, save_policy

_LATE = {
    "PlanCallback": "plan_callback",
    "import_sb3": "sb3_models",
    "save_policy": "sb3_models",
}

__all__ = [
    "APGSettings",
    "ArtefactError",
    "PPOSettings",
    "PlanCallback",
    "SACSettings",
    "SavedPolicy",
    "import_sb3",
    "load_best",
    "load_policy",
    "save_policy",
]


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")
