"""Model predictive control on monotone bid-to-spend curves."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule
from .estimates.forecast import Outlook, log_roi, outlook
from .estimates.landscape import start_sales, watch_sales, worth
from .numbers import numbers

KNOTS = 10
LEVELS = 13
WINDOW = 0.6  # farthest the level is looked for from where it is, ln


class MPC(Rule):
    """Each tick, choose the bid level whose projected end of the plan scores best; act one tick of
    it, and look again.

    A receding horizon over spend curves learned by isotonic regression: spending per traffic rises
    with the bid, whatever the auction (the monotone curve is how Wang et al. 2023, 2304.13477, and
    platform practice model a channel). Each scene keeps the spend seen per bid bin. Bins are pooled
    by min-max averages, and a power law through all data fills in for bins without data (weight
    `prior_weight`). Value per spend of a bid is kappa / bid, see `landscape`. The score is settled
    GMV * min(1, ROI / target)^2 (world 6).
    """

    common, defaults = numbers("MPC")

    def start(self, reading: Reading) -> Memory:
        """ln of the bid level, (n,), and empty curves: spend and traffic per scene and bid bin, (n,
        4, KNOTS).
        """
        n = len(reading)
        return {
            "log_level": np.log(self.start_at) + self.lean(reading),
            "bin_spend": np.zeros((n, 4, KNOTS)),
            "bin_traffic": np.zeros((n, 4, KNOTS)),
        } | start_sales(reading)

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Learn the curves, project every level, move towards the best."""
        bid = self.log_bid(reading)
        watch_sales(reading, memory, bid, 24.0 / self.spec.ticks_per_day)
        self._fill_bins(memory, bid)
        kappa = worth(
            reading,
            memory,
            self.spec.ticks / self.spec.ticks_per_day,
            self.prior,
            self.plan_orders,
            self.scene_orders,
        )
        shift = self.belief * np.log(kappa)
        shape = self.shape(reading)
        shift = shift if shape is None else shift + shape
        best = self._plan(reading, memory, kappa, shift)
        ready = (1 - reading["time_left"]) * self.spec.ticks >= self.wait - 0.5
        move = np.where(ready & (memory["volume"].sum(1) > 0), self.rate, 0.0)
        memory["log_level"] = memory["log_level"] + move * (best - memory["log_level"])
        bids = np.exp(memory["log_level"][:, None] + self.belief * np.log(kappa))
        self.bid(reading, action, np.clip(bids, self.low, self.high))

    def _fill_bins(self, memory: Memory, log_bid: np.ndarray) -> None:
        """Put the last tick's spend and traffic into the bins on both sides of its bid, by
        nearness.
        """
        low, step = self._grid()
        at = np.clip((log_bid - low) / step, 0, KNOTS - 1.001)
        near = np.clip(1 - np.abs(at[..., None] - np.arange(KNOTS)), 0, 1)
        memory["bin_spend"] = np.clip(
            self.keep * memory["bin_spend"] + near * memory["paid"][..., None], 0, 1e3
        )
        memory["bin_traffic"] = np.clip(
            self.keep * memory["bin_traffic"] + near * memory["traffic"][:, None, None], 0, 1e3
        )

    def _grid(self) -> tuple[float, float]:
        """First knot and step of the bins, ln bid."""
        low = np.log(self.low)
        high = np.log(self.high)
        return float(low), float(max(high - low, 0.1) / (KNOTS - 1))

    def _curves(self, memory: Memory) -> np.ndarray:
        """Spend per traffic at every knot, (n, 4, KNOTS), never falling."""
        low, step = self._grid()
        power = np.exp(self.elasticity * (low + step * np.arange(KNOTS)))
        scale = memory["bin_spend"].sum(2) / np.maximum(
            (memory["bin_traffic"] * power).sum(2), 1e-9
        )
        weight = memory["bin_traffic"] + max(self.prior_weight, 1e-6)
        total = memory["bin_spend"] + max(self.prior_weight, 1e-6) * scale[..., None] * power
        return isotonic(total / weight, weight)

    def _plan(
        self, reading: Reading, memory: Memory, kappa: np.ndarray, shift: np.ndarray
    ) -> np.ndarray:
        """ln of the level with the best projected score, (n,)."""
        low, step = self._grid()
        curves = self._curves(memory)
        levels = np.clip(
            memory["log_level"][:, None] + np.linspace(-WINDOW, WINDOW, LEVELS),
            np.log(self.low),
            np.log(self.high),
        )
        log_bid = np.clip(levels[:, None] + shift[..., None], low, np.log(self.high))
        at = np.clip((log_bid - low) / step, 0, KNOTS - 1.001)
        left = at.astype(int)
        spend = np.take_along_axis(curves, left, 2)
        spend = spend + (at - left) * (np.take_along_axis(curves, left + 1, 2) - spend)
        value = (spend * kappa[..., None] * np.exp(-log_bid)).sum(1)
        end = outlook(
            reading, memory, self.refund, self.free_start, self.free_weight, self.other_start
        )
        return _best_level(levels, end, spend.sum(1), value, self.spend_goal, self.safety_margin)


def _best_level(
    levels: np.ndarray,
    end: Outlook,
    spend: np.ndarray,
    value: np.ndarray,
    goal: float,
    margin: float,
) -> np.ndarray:
    """The level (n,), out of (n, levels), of the largest projected score; beyond the budget, the
    rest of the plan is cut short.
    """
    spent = end.spent[:, None]
    ahead = end.ahead[:, None]
    sales = end.sales[:, None]
    fits = np.clip((goal - spent) / np.maximum(ahead * spend, 1e-9), 0, 1)
    roi = log_roi(end, spend * fits, value * fits) - margin
    score = np.log(np.maximum(sales + ahead * value * fits, 1e-9)) + 2 * np.minimum(roi, 0)
    return levels[np.arange(len(levels)), score.argmax(1)]


def isotonic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The non-decreasing sequence nearest to `values` in weighted least squares, along the last
    axis.

    Min-max formula of isotonic regression (Barlow & Brunk 1972): fit_i = max over j <= i of min
    over k >= i of mean(j..k).
    """
    size = values.shape[-1]
    mass = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(weights, -1)], -1)
    total = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values * weights, -1)], -1)
    fit = np.full(values.shape, -np.inf)
    for j in range(size):
        weight = np.maximum(mass[..., j + 1 :] - mass[..., j : j + 1], 1e-300)
        mean = (total[..., j + 1 :] - total[..., j : j + 1]) / weight
        # min over k >= i, for i = j, j + 1, ...
        least = np.minimum.accumulate(mean[..., ::-1], -1)[..., ::-1]
        fit[..., j:] = np.maximum(fit[..., j:], least)
    return fit
