"""What one order is worth at given multipliers when every lever that touches it is set as well as
it can be, lane by lane.

A policy sets depth by pool and segment; here each lane chooses for itself, which can only help.
Services, commissions and the mix of tiers are at their usual values. The maximum is taken on a
grid; GRID_SLACK covers what lies between its points.
"""

from typing import NamedTuple

import numpy as np

from ....envs.market import layout as rows
from ....envs.scenario import POOLS

GRID_SLACK = 1.003
DEPTHS = 17


class Prices(NamedTuple):
    """What money is worth, for n merchants."""

    settled: np.ndarray  # (n,) worth of one fen of settled GMV
    paid: np.ndarray  # (n,) price of one fen of overall cost
    coupon: np.ndarray  # (n,) price of one fen of the coupon budget, beside its part of the cost


class Shop(NamedTuple):
    """The usual setting of the levers that hold for the whole shop."""

    order: float  # order logit that it and the mix of tiers add
    refund: float  # refund logit that they add
    fixed: float  # share of the price that services cost
    interest: float  # share of what the user pays that interest-free payment costs


class Costs(NamedTuple):
    """Price of one fen of each part of the overall cost, (n, 1) each; 0 where it does not count."""

    commission: np.ndarray
    coupon: np.ndarray
    service: np.ndarray


def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x); `scipy.special.expit` differs from it in the last bit, and recorded bounds
    were made with this.
    """
    return 1.0 / (1.0 + np.exp(-x))


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


def usual(w: np.void, row: int) -> float:
    """The value of a lever that the policy does not set."""
    return float(w["lever_default"][row])


def usual_mix(w: np.void) -> tuple[float, float, float]:
    """Order logit, value factor and refund logit of the usual mix of tiers."""
    mix = np.exp(w["log_mix"].astype(float))
    mix = mix / mix.sum()
    appeal, value, refund = (
        w[name].astype(float) for name in ("tier_appeal", "tier_value", "tier_refund")
    )
    return float(mix @ appeal), float(mix @ value), float(mix @ refund)


def order_values(
    w: np.void,
    cells: np.ndarray,
    levers: tuple[str, ...],
    prices: Prices,
    pools: tuple[int, ...] = (0, 1, 2),
) -> tuple[np.ndarray, np.ndarray]:
    """Most that a click is worth, and the most orders it can bring, (n, 48) each, fen and orders.

    Args:
        w: WORLD record.
        cells: (n, rows, 48).
        levers: those the policy sets.
        prices: what money is worth.
        pools: which pools to work out; the others' lanes stay 0.
    """
    costs = _costs(w, prices.paid)
    rate = _commission_rates(w)
    depths = depth_choices(w, levers)
    value = usual_mix(w)[1]
    shop = _usual_shop(w)
    worth = np.zeros((len(cells), rows.N_LANES))
    orders = np.zeros((len(cells), rows.N_LANES))
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
        worth[:, lanes] = np.maximum((convert * net).max(0), 0.0)
        orders[:, lanes] = convert.max(0)
    slack = GRID_SLACK if any(x.startswith(("coupon", "tilt")) for x in levers) else 1.0
    return worth * slack, orders * slack


def _costs(w: np.void, paid: np.ndarray) -> Costs:
    overall = int(w["roi_kind"]) == 0
    return Costs(*(paid[:, None] * float(overall and w[f"cost_{x}"]) for x in Costs._fields))


def _commission_rates(w: np.void) -> np.ndarray:
    """(48,) usual commission by lane; there is none on transaction orders."""
    rate = np.zeros(rows.N_LANES)
    rate[: rows.BLOCK] = usual(w, rows.LEVER_COMMISSION_NATURAL)
    rate[rows.AD :] = usual(w, rows.LEVER_COMMISSION_AD)
    return rate


def _usual_shop(w: np.void) -> Shop:
    """Insurance, interest-free payment, service and the mix of tiers as they usually are."""
    appeal, _, refund = usual_mix(w)
    insurance = usual(w, rows.LEVER_INSURANCE)
    interest = usual(w, rows.LEVER_INTEREST)
    service = usual(w, rows.LEVER_SERVICE)
    lift = float(w["insurance_lift"]) * insurance
    return Shop(
        appeal + lift + float(w["interest_lift"]) * interest,
        refund + float(w["refund_insurance"]) * insurance - float(w["refund_service"]) * service,
        float(w["insurance_cost"]) * insurance + float(w["service_cost"]) * service,
        float(w["interest_cost"]) * interest,
    )


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


def most_worth(
    w: np.void, cells: np.ndarray, levers: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Most gross GMV per click, fen, and the highest order logit, without calendar and heat; (n,
    48) each.
    """
    shift = _usual_shop(w).order
    value = usual_mix(w)[1]
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
