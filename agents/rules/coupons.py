"""Coupon rules: one depth for everybody, or a depth per segment bought at one price of money."""

from functools import cache

import numpy as np

from ...envs import LEVER_NAMES
from ...envs.scenario import POOLS, SEGMENTS
from ..policy import Reading
from .base import LEAST, Memory
from .estimates.knapsack import Menu, best_rows, price_menu
from .numbers import numbers
from .online_lp import OnlineLP
from .pacing import PID

DEPTHS = np.linspace(0.0, 0.25, 16)


class UniformCoupon(PID):
    """One coupon depth for every pool and segment, as deep as the coupon budget lasts; bids by PID.

    The uniform policy that personalised allocation is measured against (BCORLE(lambda), NeurIPS
    2021).
    """

    common, defaults = numbers("UniformCoupon")

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Bid by PID and keep every segment's tilt at one."""
        super().decide(reading, memory, action)
        for name, column in self._column.items():
            if name.startswith("tilt_"):
                action[:, column] = 0.0


class MCKPCoupon(OnlineLP):
    """Give each segment the coupon with the best uplift - lambda * cost; lambda is what spends the
    coupon budget evenly.

    Coupon allocation as a multiple-choice knapsack, solved by its Lagrangian with bisection on
    lambda (BCORLE(lambda), NeurIPS 2021; 2406.05987). A segment of response r gains e^(r (1 - e^(-d
    / scale))) - 1 orders per order at depth d, and the share `use` (1 - e^(-d / use_scale)) of its
    buyers redeem: parameters, since no dashboard shows uplift. How much all that costs is learned
    from the coupon budget's own course. lambda is at least `least_price` * ROI target, as coupons
    count in the comprehensive cost. Bids by `OnlineLP`.
    """

    common, defaults = numbers("MCKPCoupon")

    def start_coupons(self, reading: Reading) -> Memory:
        """Coupon money committed, and what was predicted for it."""
        n = len(reading)
        return {"committed": np.zeros(n), "predicted": np.zeros(n), "rate": np.zeros(n)}

    def run_coupons(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Learn the cost level, solve for lambda, set pool depths and segment tilts."""
        if not any(name.startswith("coupon_") for name in self._column):
            return
        menu = self._menu()
        volume = np.maximum(reading.each([f"clicks_{k}" for k in SEGMENTS]), 0.0)
        volume = np.where(volume.sum(1, keepdims=True) > 0.1, volume, 1 / len(SEGMENTS))
        left = np.clip(reading["coupon_budget_left"], 0, 1)
        ahead = np.clip(reading["traffic_left"], 0, 1)
        memory["predicted"] = np.clip(
            memory["predicted"] + memory["traffic"] * memory["rate"], 0, 1e3
        )
        memory["committed"] = 1 - left
        first = (
            self.sales_start
            * np.exp(2 * np.clip(reading["roi_target"], -2, 2))
            / np.maximum(reading["coupon_budget"], 1e-2)
        )
        belief = max(self.sales_weight, 1e-3) / np.maximum(first, 1e-3)
        level = (memory["committed"] + belief * first) / (memory["predicted"] + belief)
        pace = left / np.maximum(ahead, 1e-2)
        allowed = np.where(
            reading["coupon_budget"] > 0, pace * np.clip(pace, 0.1, 3) ** self.urgency, 0.0
        )
        price = self.least_price * np.exp(
            2 * np.clip(reading["roi_target"], -2, 2)
            - self.room_coupon * self.room(reading, memory)
        )
        row = best_rows(menu, volume, allowed / np.maximum(level, LEAST), price)
        memory["rate"] = (volume * menu.cost[row]).sum(1)
        self._show(DEPTHS[menu.choice[row]], volume, action)

    def _menu(self) -> Menu:
        """What every segment is given at every price."""
        return coupon_menu(
            tuple(self.parameters[f"response_{k}"] for k in SEGMENTS),
            self.scale,
            tuple(self.parameters[f"use_{k}"] for k in SEGMENTS),
            self.use_scale,
        )

    def _show(self, depth: np.ndarray, volume: np.ndarray, action: np.ndarray) -> None:
        """Write depths (n, 4) as pool depth times segment tilt; without tilts, every segment gets
        the mean depth.
        """
        if "tilt_new" in self._column:
            most = self.spec.table[LEVER_NAMES.index("tilt_new")].high
            base = depth.max(1) / most
            for k, segment in enumerate(SEGMENTS):
                self.control(
                    action,
                    f"tilt_{segment}",
                    np.where(base > 0, depth[:, k] / np.maximum(base, LEAST), 1.0),
                )
        else:
            base = (depth * volume).sum(1) / volume.sum(1)
        for pool in POOLS:
            self.control(action, f"coupon_{pool}", base * self.parameters[f"pool_{pool}"])


@cache
def coupon_menu(
    response: tuple[float, ...], scale: float, use: tuple[float, ...], use_scale: float
) -> Menu:
    """The menu of `DEPTHS`: uplift and cost per order of every segment, both in order values."""
    orders = np.exp(np.array(response)[:, None] * (1 - np.exp(-DEPTHS / max(scale, 1e-3))))
    return price_menu(
        orders - 1,
        orders * np.array(use)[:, None] * (1 - np.exp(-DEPTHS / max(use_scale, 1e-3))) * DEPTHS,
    )
