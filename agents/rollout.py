"""The one loop that plays a policy: whatever judges, tunes, trains on or looks at one calls it."""

from collections.abc import Callable

import numpy as np

from ..envs import Market
from .policy import Policy

OnTick = Callable[[Market], None]
OnAction = Callable[[np.ndarray, np.ndarray], None]


def rollout(
    policy: Policy,
    market: Market,
    seeds: np.ndarray | None = None,
    *,
    on_tick: OnTick | None = None,
    on_action: OnAction | None = None,
    ticks: int | None = None,
) -> dict[str, np.ndarray]:
    """Play a batch of episodes to their end; returns their dashboards, arrays of (n,).

    Args:
        policy: anything with `predict`; it acts deterministically and is told where episodes begin.
        market: to play in.
        seeds: (n,) streams to start; None goes on from where the market stands, as at an
            episode's start.
        on_tick: called with the market after the reset and after every tick.
        on_action: called with the observation (n, features) and the action (n, levers) of every
            tick.
        ticks: how many ticks to play; None for all that are left.
    """
    if seeds is not None:
        market.reset(seeds=seeds)
    observation = market.observations
    state = None
    start = np.ones(market.num_envs, bool)
    if on_tick:
        on_tick(market)
    for _ in range(market.ticks_left if ticks is None else ticks):
        seen = observation.copy()
        action, state = policy.predict(seen, state, start, deterministic=True)
        if on_action:
            on_action(seen, np.asarray(action))
        observation = market.step(np.asarray(action))
        start = np.zeros(market.num_envs, bool)
        if on_tick:
            on_tick(market)
    return market.dashboard()
