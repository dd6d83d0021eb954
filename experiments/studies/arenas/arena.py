"""The same merchants in different worlds: what every study compares in.

A merchant's budget and ROI target do not depend on the regime, but other fields of a scenario (the
platform's share of coupons, for one) would move its target. An arena takes merchants, targets and
budgets from a reference world and plays them in another, so that a difference between two arenas is
the world's alone: the same merchant, budget, target and random numbers.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ....agents import Policy, rollout
from ....envs import Market, Scenario, Setting

Plans = dict[str, np.ndarray]
TERMS = ("budget", "coupon_budget", "roi_target")  # of the plan in force


class Arena:
    """Episodes of one world, played again and again from the same start.

    Args:
        setting: what is played.
        seeds: (n,) streams; the first episode of each is played.
        reference: the world whose merchants, targets and budgets are taken; default: the same.
    """

    def __init__(self, setting: Setting, seeds: np.ndarray, reference: Scenario | None = None):
        self.setting = setting
        self.seeds = np.asarray(seeds)
        self.market = Market.of(setting, len(self.seeds))
        self.market.reset(seeds=self.seeds)
        if reference is not None and reference.hash != setting.scenario.hash:
            other = Market.of(replace(setting, scenario=reference), len(self.seeds))
            self.market.observations[:] = other.reset(seeds=self.seeds)
            self.market.merchants[:] = other.merchants
            for name in TERMS:
                self.market.states[name] = other.states[name]
        self.start = self.market.get_state()

    @property
    def scenario(self) -> Scenario:
        """The world that is played."""
        return self.setting.scenario

    @property
    def levers(self) -> tuple[str, ...]:
        """What is controlled."""
        return self.setting.levers

    @property
    def count(self) -> int:
        """Number of episodes."""
        return len(self.seeds)

    @property
    def column(self) -> dict[str, int]:
        """Index of each lever in an action."""
        return {name: i for i, name in enumerate(self.levers)}

    def add_budget(self, fen: np.ndarray) -> None:
        """Raise every merchant's ad budget by (n,) fen, rounded down; targets and coupon budgets
        stay.
        """
        self.start.merchants["budget"] += np.floor(fen)
        self.start.states["budget"] += np.floor(fen)  # of the plan in force

    def play(self, policy: Policy) -> Plans:
        """Dashboard figures, each (n,), of a policy."""
        self.market.set_state(self.start)
        return rollout(policy, self.market)

    def hold(self, action: np.ndarray) -> Plans:
        """Dashboard figures, each (n,), of plans that hold one action (n, levers) from the first
        tick to the last.
        """
        return self.play(Constant(action))

    def noop(self) -> Plans:
        """Dashboard figures, each (n,), of doing nothing: no ads, no coupons."""
        market = Market.of(self.setting, self.count, noop=True)
        market.set_state(self.start)
        return rollout(Constant(np.zeros((self.count, len(self.levers)))), market)


class Constant:
    """A policy that always takes one action (n, levers)."""

    def __init__(self, action: np.ndarray):
        self.action = np.ascontiguousarray(action, np.float32)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """See `Policy.predict`."""
        return self.action, state
