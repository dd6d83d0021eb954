"""Two coupled PID loops for the plan, and a trim per scene."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule, pace_error
from .estimates.landscape import ROI, SPENT
from .numbers import numbers

FEW = 1e-3


class CrossScenePID(Rule):
    """M-PID: a loop on pace and a loop on ROI, mixed across, and each scene trimmed towards the
    plan's ad ROI.

    Yang et al. 2019 (1905.10928) run one PID per constraint and mix the two control signals with a
    matrix [a, 1-a; 1-b, b], since each signal moves both results; a = b = 1 leaves two independent
    loops. The more cautious of the mixed signals sets the level. The trim (ours) is an integral of
    ln(scene's ad ROI / plan's ad ROI), counted in full once `trust` of the budget was spent in the
    scene.
    """

    common, defaults = numbers("CrossScenePID")

    def start(self, reading: Reading) -> Memory:
        """Integrals and last errors of both loops, (n, 2), and of the scenes' trims, (n, 4)."""
        n = len(reading)
        return {
            "integral_sum": np.zeros((n, 2)),
            "last_error": np.zeros((n, 2)),
            "trims": np.zeros((n, 4)),
        }

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """ln bid of a scene = ln start + min of the mixed signals + trim."""
        error = np.stack(
            [np.clip(pace_error(reading), -1, 1), np.clip(self.roi_error(reading, memory), -1, 1)],
            1,
        )
        total = np.clip(memory["integral_sum"] + error, -30, 30)
        signal = (
            np.array([self.pace_p, self.roi_p]) * error
            + np.array([self.pace_i, self.roi_i]) * total
            + np.array([self.pace_d, self.roi_d]) * (error - memory["last_error"])
        )
        memory["integral_sum"] = total
        memory["last_error"] = error
        mixed = np.minimum(
            self.mix_pace * signal[:, 0] + (1 - self.mix_pace) * signal[:, 1],
            self.mix_roi * signal[:, 1] + (1 - self.mix_roi) * signal[:, 0],
        )
        level = np.log(self.start_at) + self.lean(reading) + mixed
        gap = self._scene_gap(reading)
        memory["trims"] = np.clip(memory["trims"] + self.trim * gap, -1, 1)
        bids = np.exp(np.clip(level[:, None] + memory["trims"] + self.trim_now * gap, -20, 20))
        self.bid(reading, action, np.clip(bids, self.low, self.high))

    def _scene_gap(self, reading: Reading) -> np.ndarray:
        """ln(ad ROI of a scene / ad ROI of the plan), (n, 4), weighted down while little was spent
        there.
        """
        spent = np.clip(reading.each(SPENT), 0, 10)
        roi = reading.each(ROI)
        value = (np.exp(roi) * spent).sum(1)
        plan = np.log(np.maximum(value, FEW) / np.maximum(spent.sum(1), FEW))
        return np.clip(roi - plan[:, None], -1, 1) * spent / (spent + max(self.trust, FEW))
