"""What one order is worth at given multipliers when every lever that touches it is set as well as
it can be, lane by lane.

A policy sets depth by pool and segment and services for the whole shop; here each lane chooses for
itself, which can only help. The maximum is taken on a grid; GRID_SLACK covers what lies between its
points.
"""

from itertools import product

import numpy as np

from ...envs.market import layout as rows

LEAST_COMMISSION = 0.002
GRID_SLACK = 1.003
DEPTHS = 17


def free_tiers(levers: tuple[str, ...]) -> bool:
    """Whether the policy sets the mix of tiers."""
    return any(name.startswith("tier_") for name in levers)


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def _choices(
    w: np.void, name: str, row: int, levers: tuple[str, ...], points: int = 3
) -> np.ndarray:
    if name in levers:
        return np.linspace(float(w["lever_low"][row]), float(w["lever_high"][row]), points)
    return np.array([float(w["lever_default"][row])])


def depth_choices(w: np.void, levers: tuple[str, ...], points: int = DEPTHS) -> list[np.ndarray]:
    """Coupon depths open to each pool, as a share of the price."""
    largest = float(w["depth_max"])
    tilt = any(x.startswith("tilt") for x in levers)
    choices = []
    for p, pool in enumerate(("natural", "transaction", "ad")):
        usual = float(w["lever_default"][rows.LEVER_COUPON + p])
        top = (
            largest
            if f"coupon_{pool}" in levers
            else min(usual * float(w["lever_high"][rows.LEVER_TILT]), largest)
        )
        grid = largest * np.linspace(0, 1, points) ** 1.5
        free = f"coupon_{pool}" in levers or tilt
        choices.append(
            np.append(grid[grid < top], top) * float(w["coupon_pool"][p])
            if free
            else np.array([usual * float(w["coupon_pool"][p])])
        )
    return choices


def _mix(w: np.void, levers: tuple[str, ...]) -> tuple[float, float, float]:
    """Order logit, value factor and refund logit of the mix of tiers.

    Where the policy sets the mix, `heat_shift` holds what it can do to logit and value; the refund
    logit is the least.
    """
    usual = np.exp(w["log_mix"].astype(float))
    usual = usual / usual.sum()
    appeal, value, refund = (
        w[name].astype(float) for name in ("tier_appeal", "tier_value", "tier_refund")
    )
    if free_tiers(levers):
        return 0.0, 1.0, float(refund.min())
    return float(usual @ appeal), float(usual @ value), float(usual @ refund)


def order_values(
    w: np.void,
    merchants: np.ndarray,
    cells: np.ndarray,
    levers: tuple[str, ...],
    settled: np.ndarray,
    paid: np.ndarray,
    coupon: np.ndarray,
    commission_natural: float | None = None,
    pools: tuple[int, ...] = (0, 1, 2),
    attraction: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Most that a click is worth, and the most orders it can bring, (n, 48) each, fen and orders.

    Args:
        settled: (n,) worth of one fen of settled GMV.
        paid: (n,) price of one fen of overall cost.
        coupon: (n,) price of one fen of the coupon budget, beside its part of the overall cost.
        commission_natural: rate on natural orders; None: the default, and free of charge where the
            lever is free.
        pools: which pools to work out; the others' lanes stay 0.
        attraction: (n, 16) least elasticity of an ad's CTR to the commission on ad orders. Where
            that lever is free, a click is then worth its best at any commission, fewer clicks
            counted in; None: clicks as at the largest, free of charge.
    """
    counted = float(w["counted_share"])
    part = float(w["merchant_share"])
    overall = int(w["roi_kind"]) == 0
    cost = {
        name: paid[:, None] * float(overall and w[f"cost_{name}"])
        for name in ("commission", "coupon", "service")
    }
    rate = np.zeros(rows.N_LANES)
    default = float(w["lever_default"][rows.LEVER_COMMISSION_NATURAL])
    rate[: rows.BLOCK] = (
        (0.0 if "commission_natural" in levers else default)
        if commission_natural is None
        else commission_natural
    )
    rate[rows.AD :] = (
        0.0 if "commission_ad" in levers else float(w["lever_default"][rows.LEVER_COMMISSION_AD])
    )
    worth = np.zeros((len(merchants), rows.N_LANES))
    orders = np.zeros((len(merchants), rows.N_LANES))
    depths = depth_choices(w, levers)
    appeal, value, refund = _mix(w, levers)
    dearest = (
        max(float(w["tier_value"].max()), 1.0) if free_tiers(levers) else 1.0
    )  # a fixed cost weighs less on a dear order
    shop = product(
        _choices(w, "insurance", rows.LEVER_INSURANCE, levers),
        _choices(w, "interest_free", rows.LEVER_INTEREST, levers, 2),
        _choices(w, "service", rows.LEVER_SERVICE, levers),
    )
    for insurance, interest, service in shop:
        shift = (
            appeal + float(w["insurance_lift"]) * insurance + float(w["interest_lift"]) * interest
        )
        risk_shift = (
            refund + float(w["refund_insurance"]) * insurance - float(w["refund_service"]) * service
        )
        fixed = float(w["insurance_cost"]) * insurance + float(w["service_cost"]) * service
        fixed /= dearest
        for p in pools:
            lanes = slice(p * rows.BLOCK, (p + 1) * rows.BLOCK)
            # (n, rows, 16), (D, 1, 1)
            c = cells[:, :, lanes]
            depth = depths[p][:, None, None]
            price = np.floor(c[:, rows.VALUE] * value + 0.5)
            gain = c[:, rows.RESPONSE] * -np.expm1(-depth * float(w["coupon_rate"]))
            convert = _logistic(c[:, rows.ORDER] + shift + gain)
            use = c[:, rows.REDEMPTION] * -np.expm1(-depth * float(w["redemption_rate"]))
            kept = 1 - counted * _logistic(
                c[:, rows.REFUND] + risk_shift + float(w["refund_depth"]) * depth
            )
            given = use * np.maximum(price * depth - 0.5, 0.0)
            user = price - use * np.floor(price * depth + 0.5)
            net = (
                settled[:, None] * price * kept
                - cost["commission"] * rate[lanes] * user * kept
                - (cost["coupon"] * kept + coupon[:, None]) * part * given
                - cost["service"] * (fixed + float(w["interest_cost"]) * interest * user)
            )
            if p == 2 and attraction is not None and "commission_ad" in levers:
                net = _best_commission(w, net, cost["commission"] * user * kept, attraction)
            worth[:, lanes] = np.maximum(worth[:, lanes], (convert * net).max(0))
            orders[:, lanes] = np.maximum(orders[:, lanes], convert.max(0))
    slack = (
        GRID_SLACK
        if any(x.startswith(("coupon", "tilt", "tier_", "insurance", "service")) for x in levers)
        else 1.0
    )
    return worth * slack, orders * slack


def _best_commission(
    w: np.void, net: np.ndarray, base: np.ndarray, attraction: np.ndarray
) -> np.ndarray:
    """At least max over k of the CTR at commission k, relative to that at the largest, times net -
    k base.

    The CTR is at most (k / largest)^attraction of that at the largest, so the best k is attraction
    net / ((1 + attraction) base); below LEAST_COMMISSION nothing is lost any more, and k = 0 is the
    cheapest.
    """
    high = max(float(w["lever_high"][rows.LEVER_COMMISSION_AD]), LEAST_COMMISSION)
    gain = np.maximum(net, 0.0)
    best = np.clip(
        attraction * gain / ((1 + attraction) * np.maximum(base, 1e-300)), LEAST_COMMISSION, high
    )
    return np.maximum(
        (best / high) ** attraction * (gain - best * base),
        (LEAST_COMMISSION / high) ** attraction * gain,
    )


def most_worth(
    w: np.void, cells: np.ndarray, levers: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Most gross GMV per click, fen, and the highest order logit, without calendar and heat; (n,
    48) each.
    """
    shift, value, _ = _mix(w, levers)
    for name, row, lift in (
        ("insurance", rows.LEVER_INSURANCE, "insurance_lift"),
        ("interest_free", rows.LEVER_INTEREST, "interest_lift"),
    ):
        shift += float(w[lift]) * float(_choices(w, name, row, levers).max())
    deep = np.repeat([d.max() for d in depth_choices(w, levers)], rows.BLOCK)
    logit = (
        cells[:, rows.ORDER]
        + shift
        + cells[:, rows.RESPONSE] * -np.expm1(-deep * float(w["coupon_rate"]))
    )
    return _logistic(logit) * np.floor(cells[:, rows.VALUE] * value + 1.0), logit


def shift_ratio(order: np.ndarray, highest: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """At least logistic(x + shift) / logistic(x) for every x between `order` and `highest`; shapes
    broadcast.
    """
    at = np.where(shift > 0, order, highest)
    return np.exp(shift) * (1 + np.exp(at)) / (1 + np.exp(at + shift))
