"""The mean of a policy's weights over the last part of its training.

Late in training the weights wander about a good policy, moved by the noise of each batch; their
mean is nearer to it than where they happen to stop (Polyak & Juditsky 1992; for networks Izmailov
et al. 2018, 1803.05407). The weights that go on learning are left alone.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback


class WeightAverage(BaseCallback):
    """Adds up the weights after every update, once `begin` decisions are done.

    Args:
        begin: decisions after which weights count.
    """

    def __init__(self, begin: int):
        super().__init__()
        self.begin = begin
        self.count = 0
        self.sums: dict[str, torch.Tensor] = {}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._note()  # what the latest update left

    def _on_training_end(self) -> None:
        self._note()

    def _note(self) -> None:
        if self.model.num_timesteps <= self.begin:
            return
        self.count += 1
        for name, value in self.model.policy.state_dict().items():
            self.sums[name] = (
                self.sums[name] + value.double() if name in self.sums else value.double()
            )

    def state(self) -> dict[str, Any]:
        """For a checkpoint: tensors and numbers alone."""
        return {"count": self.count, "sums": dict(self.sums)}

    def restore(self, saved: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.count = int(saved["count"])
        self.sums = dict(saved["sums"])

    @contextlib.contextmanager
    def shown(self, policy: Any) -> Iterator[None]:
        """Within, the policy has the mean weights; afterwards its own again. Before `begin` they
        are the same.
        """
        own = {name: value.clone() for name, value in policy.state_dict().items()}
        if self.count:
            policy.load_state_dict(
                {
                    name: (self.sums[name] / self.count).to(value.dtype)
                    for name, value in own.items()
                }
            )
        try:
            yield
        finally:
            policy.load_state_dict(own)
