"""The world: markets under Gymnasium. Knows nothing of agents or experiments.

`PromotionVecEnv` needs stable-baselines3, so it is imported when it is asked for.
"""

from typing import TYPE_CHECKING, Any

from .api.gymnasium_env import SuperPlanEnv
from .api.safety_env import SafetyEnv, SafetyVectorEnv
from .api.vector_env import PromotionVectorEnv
from .interface.features import FEATURE_NAMES, FEATURES
from .interface.levers import (
    LEVER_NAMES,
    LEVER_SETS,
    Lever,
    lever_table,
    lever_value,
    select_levers,
)
from .interface.setting import Setting, task_setting
from .interface.tasks import TASKS, Task, find_task, short_name
from .market.dashboard import unit_of
from .market.engine import Market, MarketState
from .scenario import Scenario, ScenarioError, load_scenario, save_scenario, scenario_names

if TYPE_CHECKING:
    from .api.sb3_vec_env import PromotionVecEnv

__all__ = [
    "FEATURES",
    "FEATURE_NAMES",
    "LEVER_NAMES",
    "LEVER_SETS",
    "TASKS",
    "Lever",
    "Market",
    "MarketState",
    "PromotionVecEnv",
    "PromotionVectorEnv",
    "SafetyEnv",
    "SafetyVectorEnv",
    "Scenario",
    "ScenarioError",
    "Setting",
    "SuperPlanEnv",
    "Task",
    "find_task",
    "lever_table",
    "lever_value",
    "load_scenario",
    "save_scenario",
    "scenario_names",
    "select_levers",
    "short_name",
    "task_setting",
    "unit_of",
]


def __getattr__(name: str) -> Any:
    if name == "PromotionVecEnv":
        from .api.sb3_vec_env import PromotionVecEnv

        return PromotionVecEnv
    raise AttributeError(f"module {__name__} has no attribute {name}")
