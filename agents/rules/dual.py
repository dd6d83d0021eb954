"""Online dual mirror descent: learn the prices of budget and ROI while bidding."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule
from .estimates.reported import expected_parts
from .numbers import numbers


class DualMirrorDescent(Rule):
    """Bid (1 + mu) v / (lambda + mu rho) with multiplicative dual updates on spend and ROI slack.

    Feng, Padmanabhan & Wang 2022 (2208.13713) and Balseiro & Gur (2019): lambda prices the budget,
    mu the ROI constraint value >= rho * cost. In units of the reference bid v / rho the multiplier
    is (1 + mu) / (lambda / rho + mu); we keep lambda / rho. Both papers assume second price;
    `shade` scales the bid for first price and for the costs beside ad spend. The gradient of mu
    uses the reported ROI slack, whose conversions arrive late, hence its smaller step.
    """

    common, defaults = numbers("DualMirrorDescent")

    def start(self, reading: Reading) -> Memory:
        """Both duals."""
        n = len(reading)
        return {
            "lambda": np.full(n, self.lambda_start),
            "mu": np.full(n, self.mu_start),
            "slack": np.zeros(n),
        }

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Mirror step on both duals, then bid."""
        started = reading["time_left"] < 1.0
        wanted = np.maximum(reading["budget_left"], 1e-3) / np.maximum(
            reading["traffic_left"], 1e-3
        )
        spend = np.expm1(reading["spend_pace"])
        usual = np.maximum(self.spec.ticks * _traffic_of_last_tick(reading, memory), 1e-3)
        slack = self.roi_slack(reading, memory)
        gain = (slack - memory["slack"]) * self.spec.ticks
        memory["lambda"] = np.where(
            started,
            memory["lambda"] * np.exp(self.lambda_step * np.clip(spend / usual - wanted, -1, 1)),
            memory["lambda"],
        )
        memory["mu"] = np.where(
            started,
            memory["mu"]
            * np.exp(-self.mu_step * np.clip(0.5 * gain / self.spec.ticks + slack, -1, 1)),
            memory["mu"],
        )
        memory["lambda"] = np.clip(memory["lambda"], 0.02, 20.0)
        memory["mu"] = np.clip(memory["mu"], 0.02, 20.0)
        memory["slack"] = slack
        multiplier = self.shade * (1 + memory["mu"]) / (memory["lambda"] + memory["mu"])
        multiplier = multiplier * np.exp(self.lean(reading))
        self.bid(reading, action, np.clip(multiplier, self.low, self.high))

    def roi_slack(self, reading: Reading, memory: Memory) -> np.ndarray:
        """(value - target * cost) / (budget * target), (n,), as this rule reads it."""
        if not (self.delay or self.refund or self.safety_margin):
            return reading["roi_slack"]
        value, cost = expected_parts(reading, memory["arrived"], self.delay, self.refund)
        return np.clip(value - (1 + self.safety_margin) * cost, -10, 10)


def _traffic_of_last_tick(reading: Reading, memory: Memory) -> np.ndarray:
    """Share of the episode's traffic that the last tick carried, from the public curve."""
    left = reading["traffic_left"]
    before = memory.get("traffic_left", np.ones_like(left))
    before = np.where(left > before, 1.0, before)
    memory["traffic_left"] = left
    return np.maximum(before - left, 1e-6)
