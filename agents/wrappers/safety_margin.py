"""A margin on the ROI target that a policy learns to act with."""

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from .promotion_wrapper import ObservationWrapper

LIMIT = 0.5  # of a margin, either way: a target half as high again asks for another plan altogether


class SafetyMargin(ObservationWrapper):
    """Draw a margin on the ROI target for every episode and show it.

    Description:
        A policy trained this way can be asked afterwards to be more or less careful about its
        target. The margin by itself moves nothing: an `ObjectiveReward` above counts the target as
        `roi_target * (1 + margin)`.
    Observation Space:
        One entry more, the margin.
    Starting State:
        Margins are uniform in [low, high], drawn in the order of the envs from a generator of the
        wrapper's own, at every reset and for every env that starts its next episode.
    Arguments:
        venv: a PromotionVecEnv, or wrappers of one.
        low, high: range of the margins, within -0.5 to 0.5.
        seed: of the generator; None draws from the operating system's entropy.

    Attributes:
        margins: of the running episodes, (num_envs,) float32.

    Raises:
        ValueError: if the range does not rise, or leaves -0.5 to 0.5.
    """

    def __init__(self, venv: VecEnv, low: float, high: float, seed: int | None = None):
        super().__init__(venv, added=1)
        if not -LIMIT <= low <= high <= LIMIT:
            raise ValueError(
                f"the margins are {low} to {high}; they must rise within {-LIMIT} to {LIMIT}"
            )
        self.low = low
        self.high = high
        self.margins = np.zeros(self.num_envs, np.float32)
        self._rng = np.random.default_rng(seed)

    def begin(self, started: np.ndarray) -> None:
        """Draw the margins of the episodes that have just begun."""
        drawn = self._rng.uniform(self.low, self.high, int(started.sum()))
        self.margins[started] = drawn.astype(np.float32)

    def entries(self, observations: np.ndarray) -> np.ndarray:
        """The margins, (num_envs, 1)."""
        return self.margins[:, None]

    def last_entries(self, which: np.ndarray) -> np.ndarray:
        """The margins of the finished episodes."""
        return self.margins[which, None]
