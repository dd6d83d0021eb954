"""Registers every task with Gymnasium: a single and a native vector entry point each."""

import gymnasium as gym

from .tasks import TASKS


def register_all() -> None:
    """Register the ids that are not registered yet; importing `chengfang` calls this."""
    for task in TASKS:
        if task.id not in gym.registry:
            gym.register(task.id, entry_point="chengfang.envs.super_plan:SuperPlanEnv",
                         vector_entry_point="chengfang.envs.vector:PromotionVectorEnv",
                         kwargs={"scenario": task.scenario, "levers": task.levers, "days": task.days})
