"""Every sequence of bids tried on the realised random numbers of a tiny market: the true optimum in
hindsight on a grid.

Two sequences that have spent and sold the same by a tick have the same future there (see `tiny`),
so only one of them is carried on: breadth first, with the engine itself doing every step.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...envs import Market, MarketState, Scenario
from ...envs.market import layout as rows
from .tick_law import read_tiny

TOGETHER = 2  # episodes searched together


class Hindsight(NamedTuple):
    """The best sequence of bids of each of n episodes."""

    value: np.ndarray  # (n,) CNY: its score
    actions: np.ndarray  # (n, ticks, 1) float32
    tried: int  # engine steps taken


def hindsight(
    scenario: Scenario,
    actions: Sequence[float] | np.ndarray,
    seeds: Sequence[int] | np.ndarray,
    days: int = 1,
    split: str = "test",
) -> Hindsight:
    """The largest score that any sequence of `actions` of the bid lever reaches in the first
    episode of each seed.

    Raises:
        ValueError: as `exact` does, if the scenario is not tiny.
    """
    auctions = read_tiny(scenario, days, split).auctions
    grid = np.asarray(actions, np.float32)
    seeds = np.asarray(seeds)
    parts = [
        _search(scenario, grid, seeds[i : i + TOGETHER], auctions, days, split)
        for i in range(0, len(seeds), TOGETHER)
    ]
    return Hindsight(
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.actions for p in parts]),
        sum(p.tried for p in parts),
    )


def _search(
    scenario: Scenario,
    grid: np.ndarray,
    seeds: np.ndarray,
    auctions: np.ndarray,
    days: int,
    split: str,
) -> Hindsight:
    """All sequences of a few episodes, tick by tick; one of those that have come to the same books
    is carried on.
    """
    market = Market(scenario, len(seeds), days=days, levers=("bid",), split=split)
    market.reset(seeds=seeds)
    episode = np.arange(len(seeds))
    tried = 0
    paths = np.full((len(seeds), len(auctions)), grid[0], np.float32)
    last = int(np.flatnonzero(auctions)[-1])  # afterwards nothing is bought or sold
    for tick in range(last + 1):
        choices = grid if auctions[tick] > 0 else grid[:1]
        each = np.repeat(np.arange(len(paths)), len(choices))
        market = _copies(market, each)
        paths = paths[each]
        episode = episode[each]
        paths[:, tick] = np.resize(choices, len(paths))
        market.step(paths[:, tick, None])
        tried += len(paths)
        book = np.column_stack([episode, market.states["ledger"][:, [rows.L_SPEND, rows.L_GMV]]])
        _, first = np.unique(book, axis=0, return_index=True)
        market = _copies(market, first)
        paths = paths[first]
        episode = episode[first]
    score = market.dashboard()["score"]
    best = np.array(
        [np.flatnonzero(episode == i)[score[episode == i].argmax()] for i in range(len(seeds))]
    )
    return Hindsight(score[best], paths[best, :, None], tried)


def _copies(market: Market, which: np.ndarray) -> Market:
    """A batch of the chosen markets, each as often as it is named."""
    copies = Market.of(market.setting, len(which))
    copies.set_state(
        MarketState(
            market.states[which],
            market.merchants[which],
            market.cells[which],
            None,
            market.observations[which],
        )
    )
    return copies
