"""Divisions of the money above the platform's own bidder: even, or by marginal return."""

import numpy as np
from scipy.special import ndtr

from ...envs.scenario import POOLS, SCENES
from ..policy import PlanSpec, Reading
from .base import LEAST, Memory, Rule
from .estimates.landscape import (
    bid_depth,
    reach,
    start_landscape,
    watch_landscape,
    watch_sales,
    worth,
)
from .numbers import numbers

LEVELS = np.linspace(-3.0, 3.0, 61)  # ln of marginal costs that are looked at
POOL_GMV = [f"gmv_pace_{pool}" for pool in POOLS]


class EvenDivision(Rule):
    """Leave the division of money where the scenario has it, and all bids to the platform.

    What a merchant gets who sets a budget and a target and nothing else; the zero of divisions.
    """

    common, defaults = numbers("EvenDivision")

    def run_coupons(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Depths are the platform's, which paces them itself: leave their levers at the default."""

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Leave bids and divisions at their defaults."""


class MarginalDivision(EvenDivision):
    """Divide money over scenes so that the last CNY sells as much in each, and coupon money over
    pools by what they sell.

    HOB (2510.15238) buys from channels with different auctions at one common marginal cost; here
    the platform holds the bids, so the rule says what each scene would spend at that cost. For a
    log-normal landscape under first price a scene whose half-way price is m, whose ads sell kappa
    times what is predicted and which spends k b W(b) per unit of traffic is bid up to

        b (1 + sigma Phi(x) / phi(x)) = level * kappa,  x = (ln b - m) / sigma

    (see `MarginalROI`). The level is the one at which all scenes together spend what the plan may:
    the money left per traffic left, or what it spends now where the target holds the bids down. The
    money that is not spent then goes where bids are highest, since the platform holds them anyway.
    m, k and kappa: `estimates.landscape`. Coupons of equal depth sell in proportion to a pool's
    sales, so a pool's share is its share of reported GMV, times a constant per pool.
    """

    common, defaults = numbers("MarginalDivision")

    def __init__(self, spec: PlanSpec, **parameters: float):
        super().__init__(spec, **parameters)
        table = {lever.name: lever for lever in spec.table}
        self._scenes = np.array([table[f"divide_{scene}"].default for scene in SCENES])
        self._pools = np.array([table[f"subsidy_{pool}"].default for pool in POOLS])
        lean = [self.parameters[f"lean_{scene}"] for scene in SCENES]
        self._usual = self._scenes + np.array(lean)

    def start(self, reading: Reading) -> Memory:
        """An unknown landscape, nothing spent, nothing sold."""
        n = len(reading)
        return {
            "spend_rate": np.zeros(n),
            "log_share": np.repeat(log_softmax(self._usual)[None], n, 0),
            "sold": np.zeros((n, len(POOLS))),
        } | start_landscape(reading, self.price)

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Estimate, divide, and move a part of the way."""
        self.divide_money(reading, memory)
        for s, scene in enumerate(SCENES):
            self.control(action, f"divide_{scene}", self.lever_of(memory["log_share"])[:, s])
        subsidy = self.lever_of(self.divide_coupons(reading, memory))
        for p, pool in enumerate(POOLS):
            self.control(action, f"subsidy_{pool}", subsidy[:, p])

    def lever_of(self, log_share: np.ndarray) -> np.ndarray:
        """Logits within the levers' reach whose softmax is nearest to the shares, (n, entries)."""
        middle = 0.5 * (log_share.max(1) + log_share.min(1))
        return log_share - middle[:, None]

    def divide_money(self, reading: Reading, memory: Memory) -> None:
        """Move the logs of the scenes' shares towards equal marginal returns."""
        sigma = max(self.sigma, 0.1)
        bid = self.log_bid(reading)
        watch_sales(reading, memory, bid, 24.0 / self.spec.ticks_per_day)
        watch_landscape(reading, memory, bid, sigma, self.follow, self.keep)
        traffic = np.maximum(memory["traffic"], LEAST)
        rate = memory["paid"].sum(1) / traffic
        fresh = memory["spend_rate"] <= 0
        moved = memory["spend_rate"] + self.follow * (rate - memory["spend_rate"])
        memory["spend_rate"] = np.where(fresh, rate, moved)
        wanted = desired_spend(
            memory["price"],
            reach(memory),
            np.log(self.worth_of(reading, memory)) * self.belief,
            self.allowed_rate(reading, memory),
            sigma,
        )
        planned = reading["budget_left"] / np.maximum(reading["traffic_left"], 1e-3)
        # what the target keeps from being spent goes where the most is wanted
        spare = np.maximum(planned - wanted.sum(1), 0.0)[:, None]
        best = wanted / np.maximum(wanted.max(1, keepdims=True), LEAST)
        best = best**self.focus
        wanted = wanted + spare * best / np.maximum(best.sum(1, keepdims=True), LEAST)
        known = (memory["known"].min(1) > 0) & (wanted.sum(1) > LEAST)
        trust = memory["seen"] / (memory["seen"] + self.prior_traffic)
        goal = np.log(np.maximum(wanted, LEAST) / np.maximum(wanted.sum(1), LEAST)[:, None])
        goal = trust[:, None] * goal + (1 - trust)[:, None] * log_softmax(self._usual)
        step = np.where(known, self.rate, 0.0)[:, None]
        memory["log_share"] = memory["log_share"] + step * (goal - memory["log_share"])

    def worth_of(self, reading: Reading, memory: Memory) -> np.ndarray:
        """kappa per scene, (n, 4)."""
        days = self.spec.ticks / self.spec.ticks_per_day
        return worth(reading, memory, days, self.prior, self.plan_orders, self.scene_orders) / max(
            self.prior, LEAST
        )

    def allowed_rate(self, reading: Reading, memory: Memory) -> np.ndarray:
        """Spend per unit of traffic, share of the budget, (n,): what is left, or what is spent."""
        planned = reading["budget_left"] / np.maximum(reading["traffic_left"], 1e-3)
        return np.minimum(planned, np.maximum(memory["spend_rate"], LEAST))

    def divide_coupons(self, reading: Reading, memory: Memory) -> np.ndarray:
        """Logs of the pools' shares of the coupon money, (n, 3)."""
        sold = np.maximum(np.exp(reading.each(POOL_GMV)) - 1, 0.0)
        memory["sold"] = np.clip(memory["sold"] + sold * memory["traffic"][:, None], 0, 1e4)
        lean = np.array([self.parameters[f"pool_lean_{pool}"] for pool in POOLS])
        total = memory["sold"].sum(1, keepdims=True)
        share = memory["sold"] / np.maximum(total, LEAST)
        trust = memory["seen"] / (memory["seen"] + self.prior_traffic) * (total[:, 0] > LEAST)
        usual = log_softmax(self._pools)[None] + lean
        goal = self.by_sales * np.log(np.maximum(share, 0.01)) + lean
        return trust[:, None] * goal + (1 - trust)[:, None] * usual


def desired_spend(
    price: np.ndarray, usage: np.ndarray, log_worth: np.ndarray, rate: np.ndarray, sigma: float
) -> np.ndarray:
    """Spend of every scene per unit of traffic at the common marginal cost at which they spend
    `rate` together, (n, 4).

    Args:
        price: (n, 4) ln bid that wins half of the auctions.
        usage: (n, 4) spend per unit of traffic at bid one and every auction won.
        log_worth: (n, 4) ln of true over predicted value.
        rate: (n,) spend per unit of traffic, all scenes together.
        sigma: spread of ln competing bids.
    """
    depth = bid_depth(LEVELS[:, None, None] + log_worth - price, sigma)  # (levels, n, 4)
    spend = usage * np.exp(price + sigma * depth) * ndtr(depth)
    total = spend.sum(2)  # (levels, n), increasing
    above = np.clip((total < rate).sum(0), 1, len(LEVELS) - 1)
    plans = np.arange(len(price))
    low, high = total[above - 1, plans], total[above, plans]
    part = np.clip((rate - low) / np.maximum(high - low, LEAST), 0, 1)[:, None]
    return spend[above - 1, plans] * (1 - part) + spend[above, plans] * part


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """ln of the shares that logits (entries,) stand for."""
    return logits - np.log(np.exp(logits).sum())
