"""Online linear programming: re-solve for the price of money with what has been seen."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule
from .estimates.forecast import log_roi, outlook
from .estimates.landscape import (
    bid_depth,
    marginal_table,
    nearest,
    reach,
    start_landscape,
    watch_landscape,
    watch_sales,
    worth,
)
from .numbers import numbers

BISECTIONS = 7
WINDOW = 1.0  # farthest the level is looked for from where it is, ln


class OnlineLP(Rule):
    """Each tick, solve the LP of the rest of the plan on the landscape seen so far; bid by its dual
    price.

    Agrawal, Wang & Ye 2014 (a dynamic near-optimal algorithm for online linear programming) learn
    dual prices from the columns seen and re-solve as more come. Columns here are (scene, bid) pairs
    with their spend and value per unit of traffic. Both constraints, budget and ROI, tighten with
    the bid, and for any pair of dual prices the best columns maximise value - theta * spend for one
    theta, so the LP is solved by bisection on the marginal cost 1 / theta (derived here; see
    `landscape` for a scene's best bid at a marginal cost).
    """

    common, defaults = numbers("OnlineLP")

    def start(self, reading: Reading) -> Memory:
        """ln of the marginal cost bid up to, (n,), and an unknown landscape."""
        return {"log_level": np.log(self.start_at) + self.lean(reading)} | start_landscape(
            reading, self.price
        )

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Learn, solve, move towards the solution, bid."""
        sigma = max(self.sigma, 0.1)
        bid = self.log_bid(reading)
        watch_sales(reading, memory, bid, 24.0 / self.spec.ticks_per_day)
        watch_landscape(reading, memory, bid, sigma, self.follow, self.keep)
        kappa = worth(
            reading,
            memory,
            self.spec.ticks / self.spec.ticks_per_day,
            self.prior,
            self.plan_orders,
            self.scene_orders,
        )
        base = self.belief * np.log(kappa) - memory["price"]
        solved = self._solve(reading, memory, kappa, base, sigma)
        ready = (1 - reading["time_left"]) * self.spec.ticks >= self.wait - 0.5
        move = np.where(ready & (memory["usage"].sum(1) > 0), self.rate, 0.0)
        memory["log_level"] = memory["log_level"] + move * (solved - memory["log_level"])
        depth = bid_depth(memory["log_level"][:, None] + base, sigma)
        self.bid(
            reading, action, np.clip(np.exp(memory["price"] + sigma * depth), self.low, self.high)
        )

    def _solve(
        self, reading: Reading, memory: Memory, kappa: np.ndarray, base: np.ndarray, sigma: float
    ) -> np.ndarray:
        """ln of the largest marginal cost at which neither budget nor ROI is expected to be
        overdrawn, (n,).
        """
        end = outlook(
            reading, memory, self.refund, self.free_start, self.free_weight, self.other_start
        )
        table = marginal_table(sigma)
        scale = reach(memory)
        per_spend = scale * np.exp(memory["price"])
        per_value = scale * kappa
        low = memory["log_level"] - WINDOW
        high = memory["log_level"] + WINDOW
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            at = nearest(middle[:, None] + base)
            spend = (per_spend * table.paid[at]).sum(1)
            value = (per_value * table.won[at]).sum(1)
            fits = (end.spent + end.ahead * spend <= self.spend_goal) & (
                log_roi(end, spend, value) >= self.safety_margin
            )
            low = np.where(fits, middle, low)
            high = np.where(fits, high, middle)
        return np.clip(low, np.log(self.low) - 1, np.log(self.high) + 2)
