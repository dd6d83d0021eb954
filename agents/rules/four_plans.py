"""Four separate plans, one per scene: what the super plan replaces."""

import numpy as np

from ...envs.scenario import SCENES
from ..policy import Reading
from .base import Memory, Rule
from .numbers import numbers


class FourPlans(Rule):
    """Each scene is its own plan: a fixed share of the budget, its own ROI target, its own PID;
    nobody sees the whole.

    This is standard promotion before omni-domain promotion (world 5). A scene's ROI counts its ad
    sales only, so its target is the plan's target times `ad_part`: the ad share of GMV over the ad
    share of cost.
    """

    common, defaults = numbers("FourPlans")

    def start(self, reading: Reading) -> Memory:
        """One integral per scene."""
        return {"integral_sum": np.zeros((len(reading), len(SCENES)))}

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Control each scene on min(its pace error, its ROI error) within its own share of the
        budget.
        """
        share = np.array([self.parameters[f"share_{scene}"] for scene in SCENES])
        spent = reading.each([f"spent_{scene}" for scene in SCENES])
        left = np.maximum(1 - spent / share, 1e-3)
        pace = np.log(left / np.maximum(reading["traffic_left"], 1e-3)[:, None])
        roi = (
            reading.each([f"roi_{scene}" for scene in SCENES])
            - np.log(self.ad_part)
            - self.safety_margin
        )
        roi = roi - self.delay * np.log(memory["arrived"])[:, None]
        roi = np.where(spent > 0, roi, 0.0)
        error = np.minimum(np.clip(pace, -1, 1), np.clip(roi, -1, 1))
        memory["integral_sum"] = np.clip(memory["integral_sum"] + error, -30, 30)
        start = np.log(self.start_at) + self.lean(reading)[:, None]
        log_bid = start + self.proportional * error + self.integral * memory["integral_sum"]
        bids = np.clip(np.exp(log_bid), self.low, self.high)
        bids[spent >= share] = 0.0
        self.bid(reading, action, bids)
        for s, scene in enumerate(SCENES):
            self.control(action, f"share_{scene}", share[s])
