"""Spaces and step information shared by the three faces of the market (world 3)."""

from typing import Any

import numpy as np
from gymnasium.spaces import Box

from ..interface.features import N_FEATURES
from ..interface.feedback import COSTS
from ..market.engine import Market
from ..market.observation import LIMIT
from ..scenario import Scenario


def observation_space() -> Box:
    """Float32 Box of the reported metrics, each within plus or minus 10."""
    return Box(-float(LIMIT), float(LIMIT), (N_FEATURES,), np.float32)


def action_space(levers: tuple[str, ...]) -> Box:
    """Float32 Box(-1, 1), one entry per controlled lever."""
    return Box(-1.0, 1.0, (len(levers),), np.float32)


def cost_limits(scenario: Scenario) -> dict[str, float]:
    """Limit of each cost summed over an episode; the ROI part is signed and may not end above 0.

    Ad load and refund rate only where the scenario limits them.
    """
    limits = {"roi": 0.0, "budget": 1.0, "subsidy": 1.0}
    if scenario.constraints.ad_load < 1:
        limits["ad_load"] = 0.0
    if scenario.constraints.refund_rate < 1:
        limits["refund_rate"] = 0.0
    return limits


def step_costs(market: Market, names: tuple[str, ...]) -> dict[str, Any]:
    """Cost parts of the latest tick by name, (num_envs,) float32 each."""
    return {name: market.costs[:, COSTS.index(name)].copy() for name in names}
