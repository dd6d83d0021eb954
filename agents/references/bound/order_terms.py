"""What one order is worth at given multipliers when every lever that touches it is set as well as
it can be, lane by lane.

A policy sets depth by pool and segment and services for the whole shop; here each lane chooses for
itself, which can only help. The maximum is taken on a grid; GRID_SLACK covers what lies between its
points.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

from ....envs.market import layout as rows
from ....envs.market.demand import LEAST_COMMISSION
from ....envs.scenario import POOLS

GRID_SLACK = 1.003
DEPTHS = 17


class Prices(NamedTuple):
    """What money is worth, for n merchants."""

    settled: np.ndarray  # (n,) worth of one fen of settled GMV
    paid: np.ndarray  # (n,) price of one fen of overall cost
    coupon: np.ndarray  # (n,) price of one fen of the coupon budget, beside its part of the cost


class Shop(NamedTuple):
    """One setting of the levers that hold for the whole shop."""

    order: float  # order logit that it and the mix of tiers add
    refund: float  # refund logit that they add
    fixed: float  # share of the price that services cost
    interest: float  # share of what the user pays that interest-free payment costs


class Costs(NamedTuple):
    """Price of one fen of each part of the overall cost, (n, 1) each; 0 where it does not count."""

    commission: np.ndarray
    coupon: np.ndarray
    service: np.ndarray


def free_tiers(levers: tuple[str, ...]) -> bool:
    """Whether the policy sets the mix of tiers."""
    return any(name.startswith("tier_") for name in levers)


def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x); `scipy.special.expit` differs from it in the last bit, and recorded bounds
    were made with this.
    """
    return 1.0 / (1.0 + np.exp(-x))


def _choices(
    w: np.void, name: str, row: int, levers: tuple[str, ...], points: int = 3
) -> np.ndarray:
    """Values of a lever that are tried: over its range, or the default where it is not free."""
    if name in levers:
        return np.linspace(float(w["lever_low"][row]), float(w["lever_high"][row]), points)
    return np.array([float(w["lever_default"][row])])


def depth_choices(w: np.void, levers: tuple[str, ...], points: int = DEPTHS) -> list[np.ndarray]:
    """Coupon depths open to each pool, as a share of the price."""
    largest = float(w["depth_max"])
    tilted = any(x.startswith("tilt") for x in levers)
    grid = largest * np.linspace(0, 1, points) ** 1.5
    choices = []
    for p, pool in enumerate(POOLS):
        usual = float(w["lever_default"][rows.LEVER_COUPON + p])
        open_here = float(w["coupon_pool"][p])
        free = f"coupon_{pool}" in levers
        tilted_top = min(usual * float(w["lever_high"][rows.LEVER_TILT]), largest)
        top = largest if free else tilted_top
        if free or tilted:
            choices.append(np.append(grid[grid < top], top) * open_here)
        else:
            choices.append(np.array([usual * open_here]))
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
    cells: np.ndarray,
    levers: tuple[str, ...],
    prices: Prices,
    commission_natural: float | None = None,
    pools: tuple[int, ...] = (0, 1, 2),
    attraction: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Most that a click is worth, and the most orders it can bring, (n, 48) each, fen and orders.

    Args:
        w: WORLD record.
        cells: (n, rows, 48).
        levers: those the policy sets.
        prices: what money is worth.
        commission_natural: rate on natural orders; None: the default, and free of charge where the
            lever is free.
        pools: which pools to work out; the others' lanes stay 0.
        attraction: (n, 16) least elasticity of an ad's CTR to the commission on ad orders. Where
            that lever is free, a click is then worth its best at any commission, fewer clicks
            counted in; None: clicks as at the largest, free of charge.
    """
    costs = _costs(w, prices.paid)
    rate = _commission_rates(w, levers, commission_natural)
    depths = depth_choices(w, levers)
    value = _mix(w, levers)[1]
    worth = np.zeros((len(cells), rows.N_LANES))
    orders = np.zeros((len(cells), rows.N_LANES))
    for shop in _shop_choices(w, levers):
        for p in pools:
            lanes = slice(p * rows.BLOCK, (p + 1) * rows.BLOCK)
            c = cells[:, :, lanes]
            depth = depths[p][:, None, None]  # (D, 1, 1) against (n, 16)
            price = np.floor(c[:, rows.VALUE] * value + 0.5)
            gain = c[:, rows.RESPONSE] * -np.expm1(-depth * float(w["coupon_rate"]))
            convert = logistic(c[:, rows.ORDER] + shop.order + gain)
            use = c[:, rows.REDEMPTION] * -np.expm1(-depth * float(w["redemption_rate"]))
            kept = _kept(w, c, shop, depth)
            user = price - use * np.floor(price * depth + 0.5)
            given = use * np.maximum(price * depth - 0.5, 0.0)
            net = _net(w, prices, costs, shop, rate[lanes], (price, kept, user, given))
            if p == 2 and attraction is not None and "commission_ad" in levers:
                net = _best_commission(w, net, costs.commission * user * kept, attraction)
            worth[:, lanes] = np.maximum(worth[:, lanes], (convert * net).max(0))
            orders[:, lanes] = np.maximum(orders[:, lanes], convert.max(0))
    gridded = ("coupon", "tilt", "tier_", "insurance", "service")
    slack = GRID_SLACK if any(x.startswith(gridded) for x in levers) else 1.0
    return worth * slack, orders * slack


def _costs(w: np.void, paid: np.ndarray) -> Costs:
    overall = int(w["roi_kind"]) == 0
    return Costs(*(paid[:, None] * float(overall and w[f"cost_{x}"]) for x in Costs._fields))


def _commission_rates(
    w: np.void, levers: tuple[str, ...], commission_natural: float | None
) -> np.ndarray:
    """(48,) commission by lane; a lever that the policy sets costs nothing here."""
    rate = np.zeros(rows.N_LANES)
    if commission_natural is not None:
        rate[: rows.BLOCK] = commission_natural
    elif "commission_natural" not in levers:
        rate[: rows.BLOCK] = float(w["lever_default"][rows.LEVER_COMMISSION_NATURAL])
    if "commission_ad" not in levers:
        rate[rows.AD :] = float(w["lever_default"][rows.LEVER_COMMISSION_AD])
    return rate


def _shop_choices(w: np.void, levers: tuple[str, ...]) -> list[Shop]:
    """Every setting of insurance, interest-free payment and service that is tried."""
    appeal, _, refund = _mix(w, levers)
    # a fixed cost weighs less on a dear order
    dearest = max(float(w["tier_value"].max()), 1.0) if free_tiers(levers) else 1.0
    found = []
    for insurance, interest, service in product(
        _choices(w, "insurance", rows.LEVER_INSURANCE, levers),
        _choices(w, "interest_free", rows.LEVER_INTEREST, levers, 2),
        _choices(w, "service", rows.LEVER_SERVICE, levers),
    ):
        insured = float(w["refund_insurance"]) * insurance
        lift = float(w["insurance_lift"]) * insurance
        fixed = float(w["insurance_cost"]) * insurance + float(w["service_cost"]) * service
        found.append(
            Shop(
                appeal + lift + float(w["interest_lift"]) * interest,
                refund + insured - float(w["refund_service"]) * service,
                fixed / dearest,
                float(w["interest_cost"]) * interest,
            )
        )
    return found


def _kept(w: np.void, c: np.ndarray, shop: Shop, depth: np.ndarray) -> np.ndarray:
    """(D, n, 16) share of orders that no refund within the window takes back."""
    risk = logistic(c[:, rows.REFUND] + shop.refund + float(w["refund_depth"]) * depth)
    return 1 - float(w["counted_share"]) * risk


def _net(
    w: np.void,
    prices: Prices,
    costs: Costs,
    shop: Shop,
    rate: np.ndarray,
    order: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> np.ndarray:
    """(D, n, 16) worth of one order, fen, from its price, the share kept, what the user pays and
    what coupons give.
    """
    price, kept, user, given = order
    part = float(w["merchant_share"])
    return (
        prices.settled[:, None] * price * kept
        - costs.commission * rate * user * kept
        - (costs.coupon * kept + prices.coupon[:, None]) * part * given
        - costs.service * (shop.fixed + shop.interest * user)
    )


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
    return logistic(logit) * np.floor(cells[:, rows.VALUE] * value + 1.0), logit


def shift_ratio(order: np.ndarray, highest: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """At least logistic(x + shift) / logistic(x) for every x between `order` and `highest`; shapes
    broadcast.
    """
    at = np.where(shift > 0, order, highest)
    return np.exp(shift) * (1 + np.exp(at)) / (1 + np.exp(at + shift))
