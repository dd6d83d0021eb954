"""PPO's exploration on a schedule instead of learned."""

from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback


class FallingNoise(BaseCallback):
    """Lets the logarithm of the action's standard deviation go from one value to another, in a
    straight line over the training; the optimiser does not move it.

    A ROI target is an edge: with much noise the plan that scores best keeps far away from it. What
    is judged is the actor without noise, so the noise has to go before training ends.

    Args:
        start: logarithm of the standard deviation at the first decision.
        end: the same at the last.
        total: decisions of the whole training.
    """

    def __init__(self, start: float, end: float, total: int):
        super().__init__()
        self.start = start
        self.end = end
        self.total = total

    def _on_training_start(self) -> None:
        self._set()

    def _on_rollout_start(self) -> None:
        self._set()

    def _on_step(self) -> bool:
        return True

    def _set(self) -> None:
        done = min(self.model.num_timesteps / self.total, 1.0)
        policy: Any = self.model.policy
        policy.log_std.requires_grad_(False)
        with torch.no_grad():
            policy.log_std.fill_(self.start + (self.end - self.start) * done)
