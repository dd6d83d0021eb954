"""Equal marginal cost across scenes."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule, pace_error
from .estimates.landscape import bid_depth, start_landscape, watch_landscape, watch_sales, worth
from .numbers import numbers


class MarginalROI(Rule):
    """Bid in every scene up to the same marginal cost of value; that level is paced on budget and
    ROI.

    HOB (2510.15238) buys from channels with different auctions at one common marginal cost. For a
    log-normal landscape under first price, derived here:

        b (1 + sigma Phi(x) / phi(x)) = level * kappa,  x = (ln b - m) / sigma.

    So a scene that is hard to win is shaded less than one that is easily won, and one whose ads
    sell more than predicted is bid up. m, kappa: `landscape`. The level is the smaller of two paced
    multipliers, as in `MinPacing`.
    """

    common, defaults = numbers("MarginalROI")

    def start(self, reading: Reading) -> Memory:
        """ln of both multipliers, (n, 2), and an unknown landscape."""
        first = np.log(self.start_at) + self.lean(reading)
        return {"log_multipliers": np.stack([first, first], 1)} | start_landscape(
            reading, self.price
        )

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Pace the level, then solve each scene's bid for it."""
        sigma = max(self.sigma, 0.1)
        bid = self.log_bid(reading)
        watch_sales(reading, memory, bid, 24.0 / self.spec.ticks_per_day)
        watch_landscape(reading, memory, bid, sigma, self.follow, 0.9)
        error = np.stack(
            [np.clip(pace_error(reading), -1, 1), np.clip(self.roi_error(reading, memory), -1, 1)],
            1,
        )
        log = memory["log_multipliers"] + np.array([self.gain_pace, self.gain_roi]) * error
        log = np.minimum(log, log.min(1, keepdims=True) + self.slack)
        memory["log_multipliers"] = np.clip(log, -4, 4)
        level = (memory["log_multipliers"] + self.now * error).min(1)
        kappa = worth(
            reading,
            memory,
            self.spec.ticks / self.spec.ticks_per_day,
            self.prior,
            self.plan_orders,
            self.scene_orders,
        )
        depth = bid_depth(level[:, None] + self.belief * np.log(kappa) - memory["price"], sigma)
        self.bid(
            reading, action, np.clip(np.exp(memory["price"] + sigma * depth), self.low, self.high)
        )
