"""The world: markets under Gymnasium. Knows nothing of agents or experiments."""

from .dashboard import dashboard
from .features import FEATURE_NAMES, FEATURES
from .levers import LEVER_NAMES, LEVER_SETS, Lever, lever_table, lever_value, select_levers
from .market.batch import Market, MarketState
from .scenario import Scenario, ScenarioError, load_scenario, save_scenario, scenario_names
from .super_plan import SuperPlanEnv
from .tasks import TASKS, Task, find_task, short_name
from .vector import PromotionVectorEnv

__all__ = ["FEATURES", "FEATURE_NAMES", "LEVER_NAMES", "LEVER_SETS", "TASKS", "Lever", "Market", "MarketState",
           "PromotionVectorEnv", "Scenario", "ScenarioError", "SuperPlanEnv", "Task", "dashboard", "find_task",
           "lever_table", "lever_value", "load_scenario", "save_scenario", "scenario_names", "select_levers", "short_name"]
