"""What every learner by the market's derivative shares: its objective, and steady steps.

The objective is the mean score over that of doing nothing on the same merchant and noise, as
results are judged.
"""

import math

import numpy as np
import torch
from torch import Tensor

from ....envs import Market, unit_of

LEAST_NOOP = 0.02  # of budget * target: the least score of doing nothing to divide by
WIDEST = 10.0  # a market's gradient is cut to so many times the median one's
LAST_RATE = 0.03  # of the rate, at the end


def updates_of(steps: int, num_envs: int, ticks: int) -> int:
    """Batches of `num_envs` episodes of some ticks that hold at least so many steps."""
    return max(1, -(-steps // (num_envs * ticks)))


def score_weights(idle: Market) -> Tensor:
    """What each market's return counts in the mean score, in the unit of doing nothing, (n,).

    Args:
        idle: the same merchants doing nothing, reward `score`, just reset; it is played to the end.
    """
    still = np.zeros((idle.num_envs, len(idle.levers)), np.float32)
    for _ in range(idle.ticks):
        idle.step(still)
    plans = idle.dashboard()
    unit = unit_of(plans) / (plans["budget"] * plans["roi_target"])
    weights = 1 / np.maximum(unit, LEAST_NOOP) / idle.num_envs
    return torch.from_numpy(weights.astype(np.float32))


def cut(gradient: Tensor) -> Tensor:
    """The gradients (ticks, n, levers), none of a market far longer than the median one's."""
    norm = (gradient**2).sum((0, 2)).sqrt()
    most = WIDEST * norm.median()
    return gradient * (most / norm.clamp_min(1e-12)).clamp_max(1)[:, None]


def schedule(number: int, total: int, warm: int) -> float:
    """Share of the rate: it rises over `warm` updates and falls by a cosine."""
    falling = 0.5 * (1 + math.cos(math.pi * number / total))
    return min(1.0, (number + 1) / warm) * (LAST_RATE + (1 - LAST_RATE) * falling)
