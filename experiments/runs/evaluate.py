"""Judge a policy: held-out merchants, common random numbers, one figure per episode (world 6)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...agents import Policy, rollout
from ...envs import Market, Setting, unit_of

TEST_SEED = 1_000_000


class Episodes(NamedTuple):
    """Results of a policy on n episodes: every dashboard figure as an (n,) array."""

    plans: dict[str, np.ndarray]
    nothing: dict[
        str, np.ndarray
    ]  # the same merchants and random numbers with no ads and no coupons
    seeds: np.ndarray

    @property
    def relative_score(self) -> np.ndarray:
        """Score in the unit that doing nothing sets, (n,), see `unit_of`."""
        return self.plans["score"] / unit_of(self.nothing)

    @property
    def relative_gain(self) -> np.ndarray:
        """Score above that of doing nothing, in the same unit, (n,)."""
        return (self.plans["score"] - self.nothing["score"]) / unit_of(self.nothing)

    @property
    def incremental_gmv(self) -> np.ndarray:
        """Settled GMV above doing nothing, CNY, (n,)."""
        return self.plans["settled_gmv"] - self.nothing["settled_gmv"]

    @property
    def incremental_roi(self) -> np.ndarray:
        """Settled GMV above doing nothing per overall cost above it, (n,); NaN where it costs no
        more.
        """
        cost = self.plans["overall_cost"] - self.nothing["overall_cost"]
        return np.where(cost > 0, self.incremental_gmv / np.where(cost > 0, cost, 1), np.nan)


def evaluate(
    policy: Policy,
    setting: Setting,
    episodes: int,
    seed: int = TEST_SEED,
    nothing: dict[str, np.ndarray] | None = None,
    threads: int = 1,
    watch: Callable[[Market], None] | None = None,
) -> Episodes:
    """Play one episode on each of the streams seed .. seed + episodes - 1, all in one batch.

    Args:
        policy: anything with `predict`.
        setting: what is played.
        episodes: number of merchants and days.
        seed: first stream; the streams of the splits never meet, whatever the seed.
        nothing: results of doing nothing on the same streams, if they are already known.
        threads: simulator threads; results do not depend on it.
        watch: called with the market after the reset and after every tick.
    """
    seeds = np.arange(seed, seed + episodes)
    market = Market.of(setting, len(seeds), threads=threads)
    plans = rollout(policy, market, seeds, on_tick=watch)
    market.close()
    return Episodes(
        plans, play_noop(setting, seeds, threads) if nothing is None else nothing, seeds
    )


def play_noop(setting: Setting, seeds: np.ndarray, threads: int = 1) -> dict[str, np.ndarray]:
    """What each merchant earns on the same random numbers without ads and coupons."""
    market = Market.of(setting, len(seeds), threads=threads, noop=True)
    market.reset(seeds=seeds)
    zeros = np.zeros((len(seeds), len(setting.levers)), np.float32)
    for _ in range(market.ticks):
        market.step(zeros)
    plans = market.dashboard()
    market.close()
    return plans
