"""Registers the newest version of every task with Gymnasium: a single and a native vector entry
point each.
"""

import gymnasium as gym

from ..interface.tasks import newest_tasks


def register_all() -> None:
    """Register the ids that are not registered yet; importing `chengfang` calls this.

    Asked for an older version, `gymnasium.make` says that it is deprecated and names the newest.
    """
    for task in newest_tasks():
        if task.id not in gym.registry:
            gym.register(
                task.id,
                entry_point="chengfang.envs.api.gymnasium_env:SuperPlanEnv",
                vector_entry_point="chengfang.envs.api.vector_env:PromotionVectorEnv",
                kwargs={"scenario": task.scenario, "levers": task.levers, "days": task.days},
            )
