"""Rules that steer one bid multiplier by feedback on the budget, on ROI, or on both."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule, pace_error
from .numbers import numbers


class EvenPacing(Rule):
    """Spend evenly with traffic: multiplicative feedback on budget left against traffic left; blind
    to ROI.

    Adaptive pacing after Balseiro & Gur (2019), with the expected traffic curve in place of uniform
    time.
    """

    common, defaults = numbers("EvenPacing")

    def start(self, reading: Reading) -> Memory:
        """The multiplier of a new episode."""
        return {"multiplier": self.start_at * np.exp(self.lean(reading))}

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Raise the multiplier when behind the curve, lower it when ahead."""
        step = self.gain * np.clip(pace_error(reading), -2, 1)
        memory["multiplier"] = np.clip(memory["multiplier"] * np.exp(step), self.low, self.high)
        self.bid(reading, action, memory["multiplier"])


class ManualOperator(Rule):
    """What people do by hand: every few ticks, 10 % down when ROI is under target, 10 % up when it
    is over and money is left.

    The operating practice that platform guides describe (world 5); no paper claims it is good.
    """

    common, defaults = numbers("ManualOperator")

    def start(self, reading: Reading) -> Memory:
        """The multiplier, and ticks since the last look."""
        return {
            "multiplier": self.start_at * np.exp(self.lean(reading)),
            "age": np.zeros(len(reading)),
        }

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Look, change by a fixed step, wait."""
        memory["age"] += 1
        look = memory["age"] >= self.every
        error = self.roi_error(reading, memory)
        behind = pace_error(reading)
        up = look & (error > self.dead_band) & (behind > -0.1)
        down = look & ((error < -self.dead_band) | (behind < -0.3))
        factor = np.where(down, 1 - self.change, np.where(up, 1 + self.change, 1.0))
        memory["age"][look] = 0.0
        memory["multiplier"] = np.clip(memory["multiplier"] * factor, self.low, self.high)
        self.bid(reading, action, memory["multiplier"])


class PID(Rule):
    """A PID controller of the log bid on min(pace error, ROI error): the binding constraint steers.

    Yang et al. 2019 (1905.10928, M-PID) control cost and CPC by two PID loops; here the two loops
    are pace and ROI, and the more cautious one acts. The integral is bounded against wind-up.
    """

    common, defaults = numbers("PID")

    def start(self, reading: Reading) -> Memory:
        """The integral and the last error."""
        return {"integral_sum": np.zeros(len(reading)), "last_error": np.zeros(len(reading))}

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """ln bid = ln start + kp e + ki sum(e) + kd (e - last e)."""
        error = np.minimum(
            np.clip(pace_error(reading), -1, 1),
            np.clip(self.roi_weight * (self.roi_error(reading, memory) - self.margin), -1, 1),
        )
        total = np.clip(memory["integral_sum"] + error, -30, 30)
        log_bid = (
            np.log(self.start_at)
            + self.lean(reading)
            + self.proportional * error
            + self.integral * total
            + self.derivative * (error - memory["last_error"])
        )
        memory["integral_sum"] = total
        memory["last_error"] = error
        self.bid(reading, action, np.clip(np.exp(log_bid), self.low, self.high))


class MinPacing(Rule):
    """The smaller of two multipliers, one that paces the budget and one that keeps ROI, each
    steered by its own error alone.

    Min-pacing of Balseiro et al. 2023 (2302.08530, a field guide for pacing budget and ROS
    constraints): simple to run as two services, and close to the joint dual. A multiplier that does
    not bind is not let more than `slack` (ln) above the one that does, or it would take long to
    come back.
    """

    common, defaults = numbers("MinPacing")

    def start(self, reading: Reading) -> Memory:
        """ln of both multipliers, (n, 2): budget, ROI."""
        first = np.log(self.start_at) + self.lean(reading)
        return {"log_multipliers": np.stack([first, first], 1)}

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Step both, bid the smaller with a proportional part of its error."""
        error = np.stack(
            [np.clip(pace_error(reading), -1, 1), np.clip(self.roi_error(reading, memory), -1, 1)],
            1,
        )
        log = memory["log_multipliers"] + np.array([self.gain_pace, self.gain_roi]) * error
        log = np.minimum(log, log.min(1, keepdims=True) + self.slack)
        memory["log_multipliers"] = np.clip(log, np.log(self.low), np.log(self.high))
        self.bid(
            reading,
            action,
            np.clip(
                np.exp((memory["log_multipliers"] + self.now * error).min(1)), self.low, self.high
            ),
        )
