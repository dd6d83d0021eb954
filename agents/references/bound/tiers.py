"""What the mix of product tiers can do to orders (world 2.6, 2.8): a tier shown more than its heat
warrants sells less.
"""

import numpy as np

from .order_terms import free_tiers, most_worth

COLDEST = 0.05  # least warmth that counts


def heat_shift(
    w: np.void, cells: np.ndarray, heat: np.ndarray, event: np.ndarray, levers: tuple[str, ...]
) -> np.ndarray:
    """(n, T) order logit of heat (and tiers, where the mix is free): as it will be, or the most
    that any mixes can make of it.

    The value factor v of a mix is moved into the logit: v <= e^(v - 1), and a factor e^x on orders
    is a shift of at most max(x, x / (1 - p)) where p is the highest order rate.

    Args:
        cells: (n, rows, 48); heat: (n, T, 3) at the default mix; event: (n,) most that the calendar
            adds to the logit.
    """
    elasticity = float(w["heat_elasticity"])
    usual = np.exp(w["log_mix"].astype(float))
    if not free_tiers(levers):
        mix = usual / usual.sum()
        warmth = np.clip(heat / np.maximum(mix, 1e-3), COLDEST, 20)
        return elasticity * (mix * (np.log(warmth) - w["log_warmth"].astype(float))).sum(-1)
    _, logit = most_worth(w, cells, levers)
    start = heat[:, 0].astype(float)
    ticks = heat.shape[1]
    plain = best_mix(w, start, ticks, 0.0)
    spread = 2 * max(float(w["tier_value"].max()) - 1, 0.0)
    top = 1 / (
        1 + np.exp(-logit.max(1) - np.maximum(event, 0.0) - np.maximum(plain.max(1), 0.0) - spread)
    )
    dear = best_mix(w, start, ticks, 1 / (1 - np.minimum(top, 0.999)))
    return np.maximum(plain, np.maximum(best_mix(w, start, ticks, 1.0), dear))


def best_mix(w: np.void, start: np.ndarray, ticks: int, weight: "float | np.ndarray") -> np.ndarray:
    """(n, T) most that order logit plus `weight` times (value factor - 1) can be, over all mixes so
    far and now.

    For a mix m it is m a + e sum_j m_j ln(h_j / m_j) <= e ln sum_j h_j exp(a_j / e) (Gibbs). The
    sum is linear in the heat h; how large it can become follows from its adjoint, every tier
    growing into the next as fast as if it alone were shown. Warmth counts as COLDEST at least; a
    tier that cold helps only where the sum is below COLDEST times Euler's number times its largest
    weight.

    Args:
        start: (n, 3) heat before the first tick.
        weight: scalar or (n,).
    """
    elasticity = max(float(w["heat_elasticity"]), 1e-6)
    growth = float(w["tier_growth"])
    appeal = w["tier_appeal"].astype(float) - elasticity * w["log_warmth"].astype(float)
    gain = np.atleast_1d(weight)[:, None] * (w["tier_value"].astype(float) - 1)
    exponent = np.broadcast_to((appeal + gain) / elasticity, start.shape)
    largest = exponent.max(1, keepdims=True)
    at = np.exp(exponent - largest)
    keep = w["tier_keep"].astype(float)
    found = np.empty((len(start), ticks))
    came = np.zeros(len(start))
    for t in range(ticks):
        total = (at * start).sum(1) + came
        found[:, t] = (
            np.log(np.maximum(total, COLDEST * np.e)) * elasticity + largest[:, 0] * elasticity
        )
        came = came + float(w["tier_inflow"]) * at[:, 2]
        rise = growth * np.maximum(at[:, :2] - at[:, 1:], 0.0)
        at = at * keep + np.concatenate([np.zeros((len(at), 1)), rise], 1)
    return found
