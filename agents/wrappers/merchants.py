"""What several wrappers ask of merchants: their scales, and one plan an episode."""

import numpy as np

from ...envs import Market


def plan_scale(merchants: np.ndarray) -> np.ndarray:
    """The plan's size, budget * roi_target of each merchant, (n,) float64 in fen."""
    return merchants["budget"] * merchants["roi_target"].astype(float)


def refuse_several_plans(market: Market, wrapper: str) -> None:
    """Raise ValueError where an episode holds several plans: what a wrapper has noted of a plan
    would be taken for the episode's.
    """
    days = market.scenario.seasons.plan_days
    if days and days != market.days:
        raise ValueError(
            f"{wrapper} speaks of one plan, and seasons.plan_days is {days} in an episode of "
            f"{market.days} days; allowed are 0 and {market.days}, or the environment's own reward"
        )
