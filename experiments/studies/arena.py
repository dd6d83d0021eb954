"""The same merchants in different worlds: what every study compares in.

A merchant's budget and ROI target do not depend on the regime, but other fields of a scenario (the
platform's share of coupons, for one) would move its target. An arena takes merchants, targets and
budgets from a reference world and plays them in another, so that a difference between two arenas is
the world's alone: the same merchant, budget, target and random numbers.
"""

import numpy as np

from ...agents import Policy
from ...envs import Market, Scenario

Plans = dict[str, np.ndarray]


class Arena:
    """Episodes of one world, played again and again from the same start.

    Args:
        scenario: the world that is played.
        levers: what is controlled.
        days: length of an episode.
        seeds: (n,) streams; the first episode of each is played.
        reference: the world whose merchants, targets and budgets are taken; default: the same.
        split: "test" or "train" merchants.
    """

    def __init__(
        self,
        scenario: Scenario,
        levers: tuple[str, ...],
        days: int,
        seeds: np.ndarray,
        reference: Scenario | None = None,
        split: str = "test",
    ):
        self.scenario = scenario
        self.levers = levers
        self.days = days
        self.seeds = np.asarray(seeds)
        self.market = Market(scenario, len(self.seeds), days=days, levers=levers, split=split)
        self.market.reset(seeds=self.seeds)
        if reference is not None and reference.hash != scenario.hash:
            twin = Market(reference, len(self.seeds), days=days, levers=levers, split=split)
            self.market.observations[:] = twin.reset(seeds=self.seeds)
            self.market.merchants[:] = twin.merchants
        self.start = self.market.get_state()

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

    def hold(self, action: np.ndarray) -> Plans:
        """Dashboard figures, each (n,), of plans that hold one action (n, levers) from the first
        tick to the last.
        """
        market = self.market
        market.set_state(self.start)
        action = np.ascontiguousarray(action, np.float32)
        for _ in range(market.ticks):
            market.step(action)
        return market.dashboard()

    def play(self, policy: Policy) -> Plans:
        """Dashboard figures, each (n,), of a policy."""
        market = self.market
        market.set_state(self.start)
        state = None
        fresh = np.ones(self.count, bool)
        for _ in range(market.ticks):
            action, state = policy.predict(
                market.observations.copy(), state, fresh, deterministic=True
            )
            market.step(np.asarray(action))
            fresh = np.zeros(self.count, bool)
        return market.dashboard()

    def idle(self) -> Plans:
        """Dashboard figures, each (n,), of doing nothing: no ads, no coupons."""
        market = self.market
        market.noop = True
        try:
            return self.hold(np.zeros((self.count, len(self.levers)), np.float32))
        finally:
            market.noop = False
