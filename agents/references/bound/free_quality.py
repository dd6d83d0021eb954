"""How far the quality index of free traffic can go, and how much free traffic it brings (world 2.2,
2.8).
"""

import numpy as np
from scipy.optimize import brentq

from ....envs.market import layout as rows
from ....envs.market.stages.carryover import SCARCE
from ....envs.market.stages.demand import LEAST_COMMISSION
from .given import Given
from .noise import deviation, highest_mix, smoothed_ratios
from .order_terms import (
    Prices,
    logistic,
    most_worth,
    order_values,
    shift_ratio,
    usual,
    usual_mix,
)

MOST_CONCAVE = 1 / (6 * np.sqrt(3))  # of a logistic, the largest -f''


def usual_supply(w: np.void, ticks: int) -> np.ndarray:
    """(T,) influencer supply in each tick at the usual commission on natural orders."""
    commission = max(usual(w, rows.LEVER_COMMISSION_NATURAL), LEAST_COMMISSION)
    goal = np.log(commission / float(w["commission_reference"]))
    return goal * (1 - (1 - float(w["influencer_speed"])) ** np.arange(ticks))


def shown_share(
    w: np.void, cells: np.ndarray, quality: np.ndarray, supply: np.ndarray
) -> np.ndarray:
    """(n, T, 32) exposure probability of free lanes at quality (n, T, 2) and supply (T,)."""
    lift = (
        w["quality_lift"].astype(float) * quality
        + w["influencer_lift"].astype(float) * supply[:, None]
    )
    return logistic(cells[:, None, rows.EXPOSURE, : rows.AD] + np.repeat(lift, rows.BLOCK, axis=-1))


def quality_paths(given: Given, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest quality index of both free pools, (n, T, 2), without what ad orders add;
    signals (n, T, 2): highest.
    """
    w = given.constants
    merchants = given.merchants
    limit = float(w["quality_limit"])
    speed = float(w["quality_speed"])
    zeta = float(w["refund_penalty"])
    least, most = _refund_risk(given)
    better = np.maximum(merchants["risk_reference"] - least, 0.0)[:, None]
    worse = np.maximum(most - merchants["risk_reference"], 0.0)[:, None]
    low = np.empty_like(signals)
    high = np.empty_like(signals)
    low[:, 0] = high[:, 0] = merchants["start_quality"].astype(float)
    for t in range(1, signals.shape[1]):
        down = low[:, t - 1] + speed * (np.tanh(-1.0) - low[:, t - 1]) - zeta * worse
        up = high[:, t - 1] + speed * (signals[:, t - 1] - high[:, t - 1]) + zeta * better
        low[:, t] = np.clip(down, -limit, limit)
        high[:, t] = np.clip(up, -limit, limit)
    return low, high


def _refund_risk(given: Given) -> tuple[np.ndarray, np.ndarray]:
    """(n,) least and most mean refund probability of orders over levers, whatever ads are bought
    beside the free traffic.
    """
    w = given.constants
    shift, deep = _refund_shifts(w, given.levers)
    orders = _usual_orders(given)
    if deep > 0:
        response = given.cells[:, rows.RESPONSE, rows.AD :]
        # a deeper coupon than there is leaves the bound weaker, never wrong
        deeper = deep * max(float(w["refund_depth"]), 1.0)
        orders[:, rows.AD :] *= np.exp(response * -np.expm1(-deeper * float(w["coupon_rate"])))
    risk = given.cells[:, rows.REFUND] + shift
    lowest = _mixed_risk(orders, logistic(risk), 1.0)
    return lowest, _mixed_risk(orders, logistic(risk + deep * float(w["refund_depth"])), -1.0)


def _refund_shifts(w: np.void, levers: tuple[str, ...]) -> tuple[float, float]:
    """Refund logit of the usual services and tiers, and the deepest coupon there can be."""
    shift = (
        float(w["refund_insurance"]) * usual(w, rows.LEVER_INSURANCE)
        - float(w["refund_service"]) * usual(w, rows.LEVER_SERVICE)
        + usual_mix(w)[2]
    )
    if any(x.startswith(("coupon", "tilt")) for x in levers):
        return shift, float(w["depth_max"])
    return shift, usual(w, rows.LEVER_COUPON)


def _usual_orders(given: Given) -> np.ndarray:
    """(n, 48) orders of a usual tick, free lanes at the poorest quality and supply there can be."""
    w = given.constants
    cells = given.cells
    ticks = given.traffic.shape[1]
    orders = given.traffic.mean(1) * logistic(cells[:, rows.CLICK]) * logistic(cells[:, rows.ORDER])
    lift = float(w["quality_lift"].max())
    fall = lift * float(w["quality_limit"]) * min(1.0, ticks * float(w["quality_speed"]))
    lowest = min(float(usual_supply(w, ticks).min()), 0.0)
    poorest = np.repeat(w["influencer_lift"].astype(float) * lowest - fall, rows.BLOCK)
    orders[:, : rows.AD] *= logistic(cells[:, rows.EXPOSURE, : rows.AD] + poorest)
    return orders


def _mixed_risk(orders: np.ndarray, risk: np.ndarray, sign: float) -> np.ndarray:
    """(n,) least (sign 1) or most (sign -1) mean risk of all free orders and any part of the ad
    orders of each lane.
    """
    total = orders[:, : rows.AD].sum(1)
    sent = (orders * risk)[:, : rows.AD].sum(1)
    ads = orders[:, rows.AD :]
    own = risk[:, rows.AD :]
    order = np.argsort(sign * own, axis=1)
    ads = np.take_along_axis(ads, order, 1)
    own = np.take_along_axis(own, order, 1)
    counts = np.maximum(
        total[:, None] + np.concatenate([np.zeros((len(ads), 1)), ads.cumsum(1)], 1), 1e-300
    )
    mixed = (
        sent[:, None] + np.concatenate([np.zeros((len(ads), 1)), (ads * own).cumsum(1)], 1)
    ) / counts
    return (mixed if sign > 0 else -mixed).min(1) * sign


def best_signals(
    given: Given,
    click: np.ndarray,
    order_shift: np.ndarray,
    fewest: np.ndarray,
    most: np.ndarray,
) -> np.ndarray:
    """(n, T, 2) most the content and the GPM signal can be in the mean, by the concave envelope at
    the highest mean of their ratios.

    In each tick the lanes of a pool may have any shares of its impressions within the intervals of
    their counts (lemma 3); what past and present weigh in a smoothed ratio, a policy may choose
    within the intervals of the pool's counts, after what it has seen (lemma 4).
    """
    w, merchants, cells, traffic, levers = given
    n, ticks = traffic.shape[:2]
    free = slice(rows.AD)
    transaction = slice(rows.BLOCK, rows.AD)
    per_click, logit = most_worth(w, cells, levers)
    lift = shift_ratio(
        cells[:, None, rows.ORDER],
        np.maximum(logit, cells[:, rows.ORDER])[:, None],
        order_shift[..., None],
    )
    worth = np.ones((n, ticks, rows.AD))
    worth[..., transaction] = (per_click[:, None] * lift)[..., transaction]
    reference = np.stack([merchants["ctr_reference"], merchants["gpm_reference"]], 1).astype(float)
    reference = np.maximum(reference, SCARCE)  # as the engine divides by it
    shape = (n, ticks, 2, rows.BLOCK)
    rate = (click[..., free] * worth).reshape(shape) / reference[:, None, :, None]
    v = float(w["dispersion"])
    few, many = (traffic[..., free] * x for x in (fewest, most))
    lanes = [
        deviation(x.reshape(shape)[..., None], np.ones(1), v, sign)
        for x, sign in ((few, -1), (many, 1))
    ]
    by_scene = (n, ticks, 2, rows.N_SEGMENTS, rows.N_SCENES)
    low, high = (
        deviation(x.reshape(by_scene).sum(3), np.ones(rows.N_SCENES), v, sign)
        for x, sign in ((few, -1), (many, 1))
    )
    ratio = highest_mix(lanes[0], lanes[1], rate)
    # a click counts once, an order with its price
    dearest = np.ceil(cells[:, rows.VALUE, transaction] * usual_mix(w)[1] + 0.5).max(1)
    unit = np.stack([np.ones(n), dearest], 1) / reference
    keep = float(w["smooth_keep"])
    least_w, most_w, noise = (np.empty_like(ratio) for _ in range(3))
    least_past, most_past = np.ones((n, 2)), np.ones((n, 2))
    for t in range(ticks):
        came, could = (1 - keep) * low[:, t], (1 - keep) * high[:, t]
        least_w[:, t] = keep * least_past / (keep * least_past + could)
        most_w[:, t] = keep * most_past / (keep * most_past + came)
        weight = (1 - keep) / (keep * least_past + came)
        noise[:, t] = ratio[:, t] * unit * (1 - least_w[:, t]) * weight
        least_past = keep * least_past + came
        most_past = keep * most_past + could
    start = np.broadcast_to(1.0 / np.array([w["ctr_factor"], w["gpm_factor"]], float), (n, 2))
    ratio = smoothed_ratios(ratio, noise, (least_w, most_w), start)
    return signal_envelope(ratio)


def _tangent_gap(x: float) -> float:
    """Slope of the chord of tanh(x - 1) from 0 to x, less the slope at x: a chord is a tangent
    where it is 0.
    """
    return (np.tanh(x - 1) - np.tanh(-1.0)) / x - 1 / np.cosh(x - 1) ** 2


_TOUCH = float(np.asarray(brentq(_tangent_gap, 1.2, 2.0)))
_CHORD = (np.tanh(_TOUCH - 1) - np.tanh(-1.0)) / _TOUCH


def signal_envelope(ratio: np.ndarray) -> np.ndarray:
    """Concave envelope of tanh(x - 1) on x >= 0: the mean of the signal is at most this at the mean
    of x (Jensen).
    """
    x = np.clip(np.asarray(ratio, float), 0.0, None)
    return np.where(x < _TOUCH, np.tanh(-1.0) + _CHORD * x, np.tanh(np.maximum(x, _TOUCH) - 1))


def quality_room(
    given: Given,
    click: np.ndarray,
    order_shift: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """(n, T, 2) most that ad orders can add to the quality index, up to the limit: every auction
    won, and more of them UNLIKELY (lemma 2).
    """
    w, merchants, cells, traffic, levers = given
    none = np.zeros(len(merchants))
    _, orders = order_values(w, cells, levers, Prices(none, none, none), pools=(2,))
    bought = (traffic * click * orders[:, None])[..., rows.AD :]
    bought = bought * np.exp(np.maximum(order_shift, 0.0))[..., None]
    bought *= 1 + float(w["boost_reach"])
    n, ticks = bought.shape[:2]
    by_scene = bought.reshape(n, ticks, rows.N_SEGMENTS, rows.N_SCENES).sum(2)
    unit = 1 / np.maximum(merchants["ad_orders_reference"].astype(float), 1e-6)[:, None]
    added = np.maximum(w["spill_over"].astype(float), 0.0)
    keep = 1 - float(w["quality_speed"])
    room = np.zeros_like(high)
    for t in range(1, ticks):
        weights = np.repeat(keep ** np.arange(t - 1, -1, -1.0), rows.N_SCENES)
        means = by_scene[:, :t].reshape(n, -1)
        room[:, t] = deviation(means, weights * unit, float(w["dispersion"]), 1)[:, None] * added
    return np.minimum(room, np.maximum(float(w["quality_limit"]) - high, 0.0))


def above_chord(w: np.void, reach: np.ndarray, room: np.ndarray) -> np.ndarray:
    """(n, 1, T, 32) how far the exposure probability can lie above its chord over quality: nothing
    where it is convex, up to logit 0; beyond, at most width^2 / 8 times the largest concavity of a
    logistic.
    """
    wide = (w["quality_lift"].astype(float) * room) ** 2
    concave = reach.max(1, keepdims=True) > 0.5
    return np.where(concave, np.repeat(wide, rows.BLOCK, axis=-1)[:, None] / 8 * MOST_CONCAVE, 0.0)
