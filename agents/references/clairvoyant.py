"""What a plan could have earned that knew the day beforehand: open-loop search on the realised
random numbers (world 5).

The same seed gives a market the same merchant, shocks and noise whatever is done in it, so a plan
found by trying many on one seed is a plan in hindsight for exactly that day, and replaying it gives
exactly the value claimed. It is achievable, not optimal, and fitted to that day's luck:
`replay_on_fresh_noise` says what the same plans earn without it, and a report that shows the one
shows the other too, or says that it has none.

How finely a plan may vary in time decides what it can exploit: with a level per hour it is fitted
to the noise of single orders. One level per lever and day is the default; docs/references.md has
the measurements behind that choice.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...envs import Market, Setting
from ..policy import Policy, plan_spec
from ..rollout import rollout
from ..rules import make_rule

SWEEP = np.geomspace(0.15, 2.4, 12)  # constant bids to start from
NOISES = 16  # on which a found plan is replayed
FRESH = 20_261_127  # seed of the noises on which found plans are replayed
START_RULES = ("DoNothing", "PID", "DualMirrorDescent", "UniformCoupon")


class Search(NamedTuple):
    """Settings of the cross-entropy search (Rubinstein 1999), one for each episode."""

    # levels per lever and day, as coefficients of cosines over the episode; always at least one
    per_day: float = 1.0
    population: int = 48
    iterations: int = 60
    elite_share: float = 0.2
    spread: float = 0.3  # standard deviation of the first shift of a lever, in action units
    least_spread: float = 0.01
    memory: float = 0.7  # share of the old spread kept
    seed: int = 0
    batch: int = 3072  # markets stepped together


USUAL = Search()


class Clairvoyant(NamedTuple):
    """The best plan found for each of n episodes."""

    actions: np.ndarray  # (n, ticks, levers) float32 in [-1, 1]
    plans: dict[str, np.ndarray]  # dashboard of its replay, each (n,), money in CNY
    start: np.ndarray  # (n,) score of the best plan the search started from, CNY


def clairvoyant(
    setting: Setting,
    seeds: "np.ndarray | Sequence[int]",
    search: Search = USUAL,
    threads: int = 1,
    starts: Sequence[Policy] | None = None,
) -> Clairvoyant:
    """Search a plan for the first episode of every seed, knowing everything that will happen.

    Args:
        setting: what is played.
        seeds: (n,) streams; the result for a seed does not depend on the others.
        search: how hard to search.
        threads: simulator threads.
        starts: policies whose own runs are the first candidates; default: a sweep of constant bids
            and four rules. The result is never worse than the best of them.

    Raises:
        ValueError: if a setting of the search is out of range.
    """
    _check(search)
    seeds = np.asarray(seeds)
    policies = default_starts(setting) if starts is None else list(starts)
    size = max(search.batch // search.population, 1)
    parts = []
    for first in range(0, len(seeds), size):
        some = seeds[first : first + size]
        tape, score = _best_tape(setting, some, threads, policies)
        parts.append((_refine(setting, some, threads, search, tape, score), score))
    actions = np.concatenate([plan for plan, _ in parts])
    plans = replay(setting, seeds, actions, threads)
    return Clairvoyant(actions, plans, np.concatenate([score for _, score in parts]))


def best_constant(
    setting: Setting,
    seeds: "np.ndarray | Sequence[int]",
    search: Search = USUAL,
    threads: int = 1,
) -> Clairvoyant:
    """The best plan in hindsight that never moves a lever: the same search with one level per lever
    and episode.

    What it lacks to the clairvoyant is what moving levers over time is worth; a policy may still
    beat it by reacting to noise.
    """
    spec = plan_spec(setting)
    sweep = [make_rule("FixedBid", spec, multiplier=float(m)) for m in SWEEP]
    return clairvoyant(
        setting, seeds, search._replace(per_day=1 / (2 * setting.days)), threads, sweep
    )


def default_starts(setting: Setting) -> list[Policy]:
    """A sweep of constant bids, and four rules."""
    spec = plan_spec(setting)
    return [
        *(make_rule("FixedBid", spec, multiplier=float(m)) for m in SWEEP),
        *(make_rule(name, spec) for name in START_RULES),
    ]


class Tape:
    """A policy that acts out given actions (n, ticks, levers), whatever it sees."""

    def __init__(self, actions: np.ndarray):
        self.actions = actions

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """The next action; the state is the tick. See `Policy.predict`."""
        tick = 0 if state is None else state
        return self.actions[:, tick], tick + 1


def replay(
    setting: Setting,
    seeds: np.ndarray,
    actions: np.ndarray,
    threads: int = 1,
) -> dict[str, np.ndarray]:
    """Dashboard figures, each (n,), of given action sequences (n, ticks, levers) on the first
    episode of each seed.
    """
    return _play(Tape(actions), setting, seeds, threads)[0]


def replay_on_fresh_noise(
    setting: Setting,
    seeds: "np.ndarray | Sequence[int]",
    actions: np.ndarray,
    noises: int = NOISES,
    threads: int = 1,
) -> np.ndarray:
    """Scores, (n, noises), CNY, of given action sequences (n, ticks, levers) on the merchants for
    which they were found, each met with noise that the search has never seen.

    Merchant, budget, target, weekday, calendar and the shocks before the first tick are those of
    the seed; everything that is drawn later (shocks, gamma factors, counts, delays, refunds,
    creatives) is drawn anew. So the mean over noises is what such a plan earns in expectation, and
    what the claimed value lies above it is luck that the search was fitted to. Every seed meets the
    same noises, whatever the others are.

    Raises:
        ValueError: if noises is less than 1, or actions do not fit the seeds.
    """
    seeds = np.asarray(seeds)
    if noises < 1:
        raise ValueError(f"noises is {noises}; allowed is 1 or more")
    shape = (len(seeds), setting.scenario.clock.ticks_per_day * setting.days, len(setting.levers))
    if actions.shape != shape:
        raise ValueError(f"actions has shape {actions.shape}; allowed is {shape} for these seeds")
    keys = np.random.default_rng(FRESH).integers(1, 2**63, noises, dtype=np.uint64)
    market = Market.of(setting, len(seeds), threads=threads)
    market.reset(seeds=seeds)
    start = market.get_state()
    own = start.states["key"].copy()
    found = np.empty((len(seeds), noises))
    for i, key in enumerate(keys):
        start.states["key"] = own ^ key.astype(own.dtype)
        start.states["path_key"] = start.states["key"]
        market.set_state(start)
        found[:, i] = rollout(Tape(actions), market)["score"]
    market.close()
    return found


def _play(
    policy: Policy, setting: Setting, seeds: np.ndarray, threads: int
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Dashboard figures, each (n,), and the actions taken, (n, ticks, levers)."""
    market = Market.of(setting, len(seeds), threads=threads)
    played: list[np.ndarray] = []
    plans = rollout(policy, market, seeds, on_action=lambda seen, action: played.append(action))
    market.close()
    return plans, np.clip(np.stack(played, 1), -1, 1).astype(np.float32)


def _best_tape(
    setting: Setting,
    seeds: np.ndarray,
    threads: int,
    policies: Sequence[Policy],
) -> tuple[np.ndarray, np.ndarray]:
    """What the best of the policies did in each episode, (n, ticks, levers); its score, (n,)."""
    best = None
    most = np.full(len(seeds), -np.inf)
    for policy in policies:
        plans, tape = _play(policy, setting, seeds, threads)
        better = plans["score"] > most
        best = tape if best is None else np.where(better[:, None, None], tape, best)
        most = np.maximum(most, plans["score"])
    assert best is not None
    return best, most


def _refine(
    setting: Setting,
    seeds: np.ndarray,
    threads: int,
    search: Search,
    tape: np.ndarray,
    score: np.ndarray,
) -> np.ndarray:
    """Cross-entropy search of cosine shifts of the tape, a search per episode; returns the best
    plans, (n, ticks, levers).
    """
    n, ticks, count = tape.shape
    waves = max(round(search.per_day * setting.days), 1)
    basis = _cosines(waves, ticks)
    population = _Population(setting, seeds, threads, search.population, tape, basis)
    centre = np.zeros((n, count, waves), np.float32)
    narrower = 1 + 0.5 * np.arange(waves, dtype=np.float32)
    spread = np.broadcast_to(search.spread / narrower, centre.shape).copy()
    streams = [np.random.default_rng([search.seed, int(seed)]) for seed in seeds]
    best = centre.copy()
    most = score.copy()
    weights = _elite_weights(max(round(search.elite_share * search.population), 2))
    shape = (search.population, count, waves)
    for _ in range(search.iterations):
        noise = np.stack([stream.standard_normal(shape, np.float32) for stream in streams])
        noise[:, 0] = 0.0  # the centre itself is a candidate
        tried = centre[:, None] + spread[:, None] * noise
        scores = population.scores(tried)
        order = np.argsort(-scores, axis=1, kind="stable")
        elite = np.take_along_axis(tried, order[:, : len(weights), None, None], 1)
        top = np.take_along_axis(scores, order[:, :1], 1)[:, 0]
        best = np.where((top > most)[:, None, None], elite[:, 0], best)
        most = np.maximum(top, most)
        moved = np.einsum("e,nelw->nlw", weights, elite)
        width = np.sqrt(np.einsum("e,nelw->nlw", weights, (elite - centre[:, None]) ** 2))
        spread = search.memory * spread + (1 - search.memory) * width
        spread = np.maximum(spread, search.least_spread).astype(np.float32)
        centre = moved.astype(np.float32)
    population.close()
    return np.clip(tape + np.einsum("nlw,wt->ntl", best, basis), -1, 1).astype(np.float32)


def _cosines(waves: int, ticks: int) -> np.ndarray:
    """(waves, ticks) float32 basis: a constant, then cosines of rising frequency."""
    frequency = np.pi * np.arange(waves)[:, None]
    return np.cos(frequency * (np.arange(ticks) + 0.5) / ticks).astype(np.float32)


class _Population:
    """Copies of every episode, played from the same start with shifted tapes."""

    def __init__(
        self,
        setting: Setting,
        seeds: np.ndarray,
        threads: int,
        size: int,
        tape: np.ndarray,
        basis: np.ndarray,
    ):
        self.tape = tape
        self.basis = basis
        self.market = Market.of(setting, len(seeds) * size, threads=threads)
        self.market.reset(seeds=np.repeat(seeds, size))
        self.start = self.market.get_state()

    def scores(self, tried: np.ndarray) -> np.ndarray:
        """(n, size) scores of the tapes shifted by cosines with coefficients (n, size, levers,
        waves).
        """
        n, size, count, waves = tried.shape
        market = self.market
        market.set_state(self.start)
        flat = tried.reshape(n * size * count, waves)
        for tick in range(market.ticks):
            shift = (flat @ self.basis[:, tick]).reshape(n, size, count)
            action = np.clip(self.tape[:, None, tick] + shift, -1, 1)
            market.step(action.reshape(n * size, count))
        return market.dashboard()["score"].reshape(n, size)

    def close(self) -> None:
        """Release the market."""
        self.market.close()


def _elite_weights(count: int) -> np.ndarray:
    """Logarithmic weights of the elite, best first, as in CMA-ES (Hansen 2016, 1604.00772)."""
    raw = np.log(count + 0.5) - np.log(np.arange(1, count + 1))
    return (raw / raw.sum()).astype(np.float32)


def _check(search: Search) -> None:
    ranges = {
        "per_day": (0.0, 24.0),
        "population": (4, 4096),
        "iterations": (0, 100_000),
        "elite_share": (0.01, 1.0),
        "spread": (1e-4, 2.0),
        "least_spread": (0.0, 1.0),
        "memory": (0.0, 0.99),
    }
    for name, (low, high) in ranges.items():
        value = getattr(search, name)
        if not low <= value <= high:
            raise ValueError(f"search.{name} is {value!r}; allowed is {low:g} to {high:g}")
