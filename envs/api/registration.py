"""Registers every task with Gymnasium: a single and a native vector entry point each."""

import gymnasium as gym

from ..interface.tasks import TASKS


def register_all() -> None:
    """Register the ids that are not registered yet; importing `chengfang` calls this."""
    for task in TASKS:
        if task.id not in gym.registry:
            gym.register(
                task.id,
                entry_point="chengfang.envs.api.gymnasium_env:SuperPlanEnv",
                vector_entry_point="chengfang.envs.api.vector_env:PromotionVectorEnv",
                kwargs={"scenario": task.scenario, "levers": task.levers, "days": task.days},
            )
