"""The price of missing the ROI target, learned while training: a PID-controlled Lagrange
multiplier.
"""

from typing import Any

from ..settings import TrainingEnv

EPISODES = 512  # finished episodes between two updates
SMOOTHING = 0.5


class PIDMultiplier:
    """lambda = max(0, start + Kp e + Ki sum(e) + Kd max(0, e - last e)) with e = mean missed GMV -
    limit.

    Stooke, Achiam & Abbeel 2020 (2007.03964): the integral alone (plain dual ascent) overshoots and
    oscillates; the proportional and derivative parts damp it. The error is the mean over finished
    episodes of max(0, cost), where cost is `info["cost"]`: the GMV missing to the target, over
    budget * target. Merchants with slack do not make up for those without.

    Args:
        training_env: start, gains and limit.
    """

    def __init__(self, training_env: TrainingEnv):
        self.start = training_env.multiplier_start
        self.gains = training_env.multiplier_gains
        self.limit = training_env.shortfall_limit
        self.value = self.start
        self._sum = 0.0
        self._last = 0.0
        self._smooth = 0.0
        self._costs: list[float] = []

    @property
    def due(self) -> bool:
        """Whether enough episodes have ended for an update."""
        return len(self._costs) >= EPISODES

    def note(self, cost: float) -> None:
        """Take in the constraint value of a finished episode."""
        self._costs.append(max(cost, 0.0))

    def update(self) -> None:
        """Move the multiplier by what was noted since the last update."""
        error = sum(self._costs) / len(self._costs) - self.limit
        self._costs.clear()
        self._smooth = SMOOTHING * self._smooth + (1 - SMOOTHING) * error
        kp, ki, kd = self.gains
        self._sum = max(self._sum + error, -self.start / max(ki, 1e-9))  # no wind-up below zero
        self.value = max(
            0.0, self.start + kp * self._smooth + ki * self._sum + kd * max(0.0, error - self._last)
        )
        self._last = error

    def state(self) -> dict[str, Any]:
        """Everything that decides its future, as numbers."""
        return {
            "value": self.value,
            "sum": self._sum,
            "last": self._last,
            "smooth": self._smooth,
            "costs": list(self._costs),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.value = float(state["value"])
        self._sum = float(state["sum"])
        self._last = float(state["last"])
        self._smooth = float(state["smooth"])
        self._costs = [float(c) for c in state["costs"]]
