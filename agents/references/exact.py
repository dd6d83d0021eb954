"""The true optimum of a tiny market, by dynamic programming: rules, learners, plans in hindsight
and bounds are checked against it.

In `tiny.tiny_scenario` one tick depends on the past through spend alone, and the score through
spend and orders, so (tick, spend, orders) is a sufficient state and backward induction over it
finds the largest expected score of all policies that choose among the given bids and know the past,
however they remember or randomise (Bellman 1957; Puterman 1994, theorem 4.4.2).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import poisson

from ...envs import Scenario
from ...envs.interface.units import FEN_PER_CNY
from ...envs.market.score import score
from ..policy import Policy, Reading
from .tick_law import TAIL, Offer, Tiny, largest, means, offer, read_tiny, transition

BIDS = tuple(np.round(np.linspace(-0.4, 0.4, 9), 3).tolist())  # actions of the bid lever

Laws = dict[float, list[np.ndarray]]


class ExactPlan(NamedTuple):
    """The best policy on the grid of bids, and its value."""

    # CNY: expected score, all outcomes inside the tails; the truth is at most `truncation` above
    value: float
    truncation: float  # CNY: what the tails left out of the counts can be worth
    # (ticks, budget + 1, orders + 1) int16: index of the best bid, by tick, fen spent and orders so
    # far
    table: np.ndarray
    values: np.ndarray  # (ticks + 1, budget + 1, orders + 1) CNY: expected score from there on
    offers: tuple[Offer, ...]
    tiny: Tiny

    @property
    def policy(self) -> "TablePolicy":
        """The plan as a policy of the lever set ("bid",)."""
        return TablePolicy(self.table, self.offers, self.tiny)

    def judge(self, *tables: np.ndarray) -> np.ndarray:
        """Expected scores, CNY, of other tables of bids of the same shape."""
        laws = _laws(self.tiny, self.offers)
        return np.array([_worth(self.tiny, laws, table)[0, 0] for table in tables])


class TablePolicy:
    """Acts from a table over (tick, fen spent, orders), which it reads off the dashboard: budget
    left and settled GMV are exact.
    """

    def __init__(self, table: np.ndarray, offers: Sequence[Offer], tiny: Tiny):
        self.table = table
        self.tiny = tiny
        self.actions = np.array([o.action for o in offers], np.float32)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """Act on a batch; see `Policy.predict`. Needs no memory."""
        reading = Reading(observation)
        tiny = self.tiny
        tick = np.rint((1 - reading["time_left"]) * len(self.table))
        spend = np.rint((1 - reading["budget_left"]) * tiny.budget)
        orders = np.rint(reading["settled_share"] * tiny.budget * tiny.target / tiny.price)
        place = [
            np.clip(x, 0, n - 1).astype(int)
            for x, n in zip((tick, spend, orders), self.table.shape, strict=True)
        ]
        action = self.actions[self.table[tuple(place)]][:, None]
        return (action if np.ndim(observation) > 1 else action[0]), state


class OnGrid:
    """A policy whose bids are moved to the nearest of a few: one of those that the dynamic program
    has compared.
    """

    def __init__(self, policy: Policy, bids: "Sequence[float] | np.ndarray" = BIDS):
        self.policy = policy
        self.bids = np.asarray(bids, np.float32)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """Act on a batch; see `Policy.predict`."""
        action, state = self.policy.predict(observation, state, episode_start, deterministic)
        return self.bids[np.abs(action - self.bids).argmin(-1)][..., None], state


def exact(
    scenario: Scenario,
    actions: Sequence[float] | np.ndarray = BIDS,
    days: int = 1,
    split: str = "test",
) -> ExactPlan:
    """Solve a tiny market for the largest expected score among all policies that choose among
    `actions` of the bid lever.

    Args:
        scenario: a market like `tiny_scenario()`.
        actions: the bids, as actions in [-1, 1].
        days: length of the plan.
        split: "train" or "test"; the merchant is the same in both.

    Raises:
        ValueError: if the scenario is not plain, has more than one ad lane, or counts too large to
            be drawn exactly.
    """
    if len(actions) == 0 or min(actions) < -1 or max(actions) > 1:
        raise ValueError(
            f"actions are {list(actions)}; at least one, each within -1 to 1, is needed"
        )
    tiny = read_tiny(scenario, days, split)
    offers = tuple(offer(tiny, float(action)) for action in actions)
    table, values = _induction(tiny, _laws(tiny, offers), most_orders(tiny, offers) + 1)
    return ExactPlan(float(values[0, 0, 0]), truncation(tiny, offers), table, values, offers, tiny)


def score_table(tiny: Tiny, orders: int) -> np.ndarray:
    """`score`, CNY, of every spend in fen and number of orders: (budget + 1, orders)."""
    settled = tiny.price * np.arange(orders, dtype=float)[None]
    spend = np.arange(tiny.budget + 1, dtype=float)[:, None]
    return score(settled, settled, spend, tiny.target) / FEN_PER_CNY


def _laws(tiny: Tiny, offers: Sequence[Offer]) -> Laws:
    """The law of a tick under each bid, by the tick's mean auctions."""
    return {n: [transition(tiny, o, n) for o in offers] for n in _live(tiny)}


def _live(tiny: Tiny) -> list[float]:
    """The means that ticks with traffic have, each once."""
    return sorted({float(n) for n in tiny.auctions if n > 0})


def _induction(tiny: Tiny, laws: Laws, orders: int) -> tuple[np.ndarray, np.ndarray]:
    """The best bid and its value before every tick, by backward induction; numbers of orders beyond
    the table count as nothing.
    """
    ticks = len(tiny.auctions)
    values = np.zeros((ticks + 1, tiny.budget + 1, orders))
    table = np.zeros((ticks, tiny.budget + 1, orders), np.int16)
    values[ticks] = score_table(tiny, orders)
    for tick in range(ticks - 1, -1, -1):
        values[tick] = values[tick + 1]
        if tiny.auctions[tick] > 0:
            worth = np.stack(
                [_expected(law, values[tick + 1]) for law in laws[float(tiny.auctions[tick])]]
            )
            table[tick] = worth.argmax(0)
            values[tick] = worth.max(0)
    return table, values


def _worth(tiny: Tiny, laws: Laws, table: np.ndarray) -> np.ndarray:
    """Expected score of a table from every state before the first tick, (budget + 1, orders)."""
    value = score_table(tiny, table.shape[2])
    for tick in np.flatnonzero(tiny.auctions > 0)[::-1]:
        before = np.zeros_like(value)
        for bid in np.unique(table[tick]):
            here = table[tick] == bid
            before[here] = _expected(laws[float(tiny.auctions[tick])][bid], value)[here]
        value = before
    return value


def _expected(law: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Expected value before a tick, (spend, orders), from the value after it and the tick's law
    [before, orders, after].
    """
    spends, most, _ = law.shape
    most = min(most, after.shape[1])
    padded = np.concatenate([after, np.zeros((spends, most))], 1)
    shifted = np.concatenate(
        [padded[:, sold : sold + after.shape[1]] for sold in range(most)]
    )  # one product instead of many
    return law[:, :most].reshape(spends, -1) @ shifted


def most_orders(tiny: Tiny, offers: Sequence[Offer]) -> int:
    """Orders of a plan that no policy exceeds but with probability TAIL: all orders drawn are
    dominated by a Poisson count.
    """
    return int(poisson.isf(TAIL, _all_orders(tiny, offers)))


def _all_orders(tiny: Tiny, offers: Sequence[Offer]) -> float:
    """Expected orders of a plan that always makes the bid that wins most and is never throttled."""
    return sum(
        max(float(means(tiny, o, float(n))[2]) for o in offers) for n in tiny.auctions if n > 0
    )


def truncation(tiny: Tiny, offers: Sequence[Offer]) -> float:
    """CNY by which leaving out the tails of the counts can lower any policy's expected score.

    The score is never negative and at most price * (all orders drawn), so the loss is at most price
    * E[all orders; something is left out]. All orders N are dominated by a Poisson count of mean M,
    which gives E[N; N > n] <= M P(N >= n) for the end of the table. A tick's three counts X are
    independent of one another and, given the past, of the other ticks': that one exceeds its c has
    probability p at most the sum of its tails, which costs at most M p, and if it is the orders'
    own, E[X; X > c] = m P(X >= c) besides. All of this grows with the mean, and throttling only
    lowers it, so the worst bid bounds every policy. (Own derivation.)
    """
    everything = _all_orders(tiny, offers)
    total = everything * float(poisson.sf(most_orders(tiny, offers) - 1, everything))
    for auctions in tiny.auctions[tiny.auctions > 0]:
        drawn = [means(tiny, o, float(auctions)) for o in offers]
        most = [largest(tiny, o, float(auctions)) for o in offers]
        total += everything * max(
            float(poisson.sf(c, m).sum()) for c, m in zip(most, drawn, strict=True)
        )
        total += max(
            float(m[2] * poisson.sf(c[2] - 1, m[2])) for c, m in zip(most, drawn, strict=True)
        )
    return total * tiny.price / FEN_PER_CNY
