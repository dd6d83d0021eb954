"""What of PPO goes by a schedule: its exploration, and when its actor begins to learn."""

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


class CriticFirst(BaseCallback):
    """Lets only the critic learn in the first updates.

    An actor that is good already is spoilt by a critic that knows nothing yet.

    Args:
        updates: in which the actor stays as it is.
        decisions: between two updates, of all markets together.
        learned_noise: whether the optimiser moves the exploration; it stays as well.
    """

    def __init__(self, updates: int, decisions: int, learned_noise: bool):
        super().__init__()
        self.until = updates * decisions
        self.learned_noise = learned_noise

    def _on_rollout_end(self) -> None:
        policy: Any = self.model.policy
        learns = self.model.num_timesteps > self.until
        actor = [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters()]
        for weights in actor + [policy.log_std] * self.learned_noise:
            weights.requires_grad_(learns)

    def _on_step(self) -> bool:
        return True
