"""The books: every fen that moves, and what the plan has earned so far (world 2.9, 2.10).

All lines are cumulative whole fen. Buyers, merchant, platform, influencers and suppliers are the
only accounts, so what one pays another receives; tests/properties/test_invariants.py states the
balances and holds every tick to them.
"""

from typing import Any, NamedTuple

import numpy as np

from ...kernels.compiled import kernel
from .. import layout as rows
from ..score import roi_parts, score

TINY = 1e-30  # keeps a share from being divided by nothing


@kernel
def book_arrivals(state, gmv, coupon, merchant, commission, fee, goods, extras):
    """Enter the orders that arrived in this tick: gmv = user paid + merchant's coupon + platform's
    coupon.
    """
    book = state.ledger
    book[rows.L_GMV] += gmv
    book[rows.L_COUPON_MERCHANT] += merchant
    book[rows.L_COUPON_PLATFORM] += coupon - merchant
    book[rows.L_USER_PAID] += gmv - coupon
    book[rows.L_COMMISSION] += commission
    book[rows.L_FEE] += fee
    book[rows.L_GOODS] += goods
    book[rows.L_EXTRAS] += extras


@kernel
def book_refunds(world, state, i, group):
    """Enter what matured in compartment i: every reversible line goes back; within the window it
    counts as settled.
    """
    book = state.ledger
    book[rows.L_REFUND_GMV] += group.rows[rows.G_MATURED, rows.R_GMV]
    book[rows.L_REFUND_COUPON_MERCHANT] += group.rows[rows.G_MATURED, rows.R_COUPON_MERCHANT]
    book[rows.L_REFUND_COUPON_PLATFORM] += (
        group.rows[rows.G_MATURED, rows.R_COUPON]
        - group.rows[rows.G_MATURED, rows.R_COUPON_MERCHANT]
    )
    book[rows.L_REFUND_USER_PAID] += (
        group.rows[rows.G_MATURED, rows.R_GMV] - group.rows[rows.G_MATURED, rows.R_COUPON]
    )
    book[rows.L_REFUND_COMMISSION] += group.rows[rows.G_MATURED, rows.R_COMMISSION]
    book[rows.L_REFUND_FEE] += group.rows[rows.G_MATURED, rows.R_FEE]
    book[rows.L_REFUND_GOODS] += group.rows[rows.G_MATURED, rows.R_GOODS]
    if world.refund_counted[i]:
        book[rows.L_SETTLED_REFUND_GMV] += group.rows[rows.G_MATURED, rows.R_GMV]
        book[rows.L_SETTLED_REFUND_COUPON] += group.rows[rows.G_MATURED, rows.R_COUPON_MERCHANT]
        book[rows.L_SETTLED_REFUND_COMMISSION] += group.rows[rows.G_MATURED, rows.R_COMMISSION]


@kernel
def overall_cost(world, spend, commission, coupon, creative, service):
    """spend + commission + merchant-funded coupon + creative + service costs, each part switchable
    (world 1).
    """
    cost = spend
    if world.cost_commission:
        cost += commission
    if world.cost_coupon:
        cost += coupon
    if world.cost_creative:
        cost += creative
    if world.cost_service:
        cost += service
    return cost


@kernel
def reported_cost(world, book):
    """Overall cost as the dashboard shows it: refunds reversed only once they have matured within
    the window, fen.
    """
    return overall_cost(
        world,
        book[rows.L_SPEND],
        book[rows.L_COMMISSION] - book[rows.L_SETTLED_REFUND_COMMISSION],
        book[rows.L_COUPON_MERCHANT] - book[rows.L_SETTLED_REFUND_COUPON],
        book[rows.L_CREATIVE],
        book[rows.L_SERVICE] + book[rows.L_EXTRAS],
    )


class Refunds(NamedTuple):
    """Reversible lines of refunds, fen."""

    gmv: Any
    coupon: Any  # the merchant's part
    platform: Any  # the platform's part of the coupons
    commission: Any
    fee: Any
    goods: Any


class Counted(NamedTuple):
    """Those of them that count: refunds within the settlement window, fen."""

    gmv: Any
    coupon: Any  # the merchant's part
    commission: Any


class OnTheirWay(NamedTuple):
    """Orders that have not arrived, and what of them is expected to be sent back, fen."""

    gmv: Any
    coupon: Any  # both parts
    commission: Any
    extras: Any
    back_gmv: Any
    back_coupon: Any
    back_commission: Any


@kernel
def known_refunds(world, state):
    """Refunds that have matured or wait in a compartment, and those of them that count."""
    book = state.ledger
    gmv = book[rows.L_REFUND_GMV]
    commission = book[rows.L_REFUND_COMMISSION]
    coupon = book[rows.L_REFUND_COUPON_MERCHANT]
    platform = book[rows.L_REFUND_COUPON_PLATFORM]
    fee = book[rows.L_REFUND_FEE]
    goods = book[rows.L_REFUND_GOODS]
    counted = book[rows.L_SETTLED_REFUND_GMV]
    counted_commission = book[rows.L_SETTLED_REFUND_COMMISSION]
    counted_coupon = book[rows.L_SETTLED_REFUND_COUPON]
    for i in range(rows.N_WINDOWS):
        waiting = state.refunds[i]
        gmv += waiting[rows.R_GMV]
        commission += waiting[rows.R_COMMISSION]
        coupon += waiting[rows.R_COUPON_MERCHANT]
        platform += waiting[rows.R_COUPON] - waiting[rows.R_COUPON_MERCHANT]
        fee += waiting[rows.R_FEE]
        goods += waiting[rows.R_GOODS]
        if world.refund_counted[i]:
            counted += waiting[rows.R_GMV]
            counted_commission += waiting[rows.R_COMMISSION]
            counted_coupon += waiting[rows.R_COUPON_MERCHANT]
    return (
        Refunds(gmv, coupon, platform, commission, fee, goods),
        Counted(counted, counted_coupon, counted_commission),
    )


@kernel
def on_their_way(pending):
    """Sums over the delay compartments; every line of the books is linear in them. Without orders
    all are 0.
    """
    gmv, coupon, commission, extras = 0.0, 0.0, 0.0, 0.0
    back_gmv, back_coupon, back_commission = 0.0, 0.0, 0.0
    for j in range(rows.N_DELAYS * rows.N_GROUPS):
        risk = pending[rows.AT_RISK, j] / max(pending[rows.ORDERS, j], TINY)
        gmv += pending[rows.GMV, j]
        coupon += pending[rows.COUPON, j]
        commission += pending[rows.COMMISSION, j]
        extras += pending[rows.EXTRAS, j]
        back_gmv += risk * pending[rows.GMV, j]
        back_coupon += risk * pending[rows.COUPON, j]
        back_commission += risk * pending[rows.COMMISSION, j]
    return OnTheirWay(gmv, coupon, commission, extras, back_gmv, back_coupon, back_commission)


@kernel
def expected_refunds(world, known, way, goods_rate):
    """All refunds: those that are known, and the expected ones of the orders on their way."""
    merchant = world.merchant_share
    return Refunds(
        known.gmv + way.back_gmv,
        known.coupon + way.back_coupon * merchant,
        known.platform + way.back_coupon * (1.0 - merchant),
        known.commission + way.back_commission,
        known.fee + world.fee * (way.back_gmv - way.back_coupon),
        known.goods + goods_rate * way.back_gmv,
    )


@kernel
def expected_counted(world, counted, way):
    """The same of the refunds that count."""
    return Counted(
        counted.gmv + way.back_gmv * world.counted_share,
        counted.coupon + way.back_coupon * world.merchant_share * world.counted_share,
        counted.commission + way.back_commission * world.counted_share,
    )


@kernel
def accrue(world, state, goods_rate):
    """Value of the plan so far, counting what is on its way at its expected value (fen, into
    state.accrued).

    Settled GMV, GMV, overall cost, merchant's profit, platform's take. What was on its way when the
    plan began was counted before it (world 2.12). After the last tick nothing is on its way and
    these are the ledger's own figures, so rewards that are differences of them sum to the episode's
    result exactly.
    """
    book = state.ledger
    way = on_their_way(state.pending)
    known, known_counted = known_refunds(world, state)
    back = expected_refunds(world, known, way, goods_rate)
    counted = expected_counted(world, known_counted, way)
    merchant = world.merchant_share
    gmv = book[rows.L_GMV] + way.gmv
    coupon = book[rows.L_COUPON_MERCHANT] + way.coupon * merchant
    platform_coupon = book[rows.L_COUPON_PLATFORM] + way.coupon * (1.0 - merchant)
    commission = book[rows.L_COMMISSION] + way.commission
    fee = book[rows.L_FEE] + world.fee * (way.gmv - way.coupon)
    goods = book[rows.L_GOODS] + goods_rate * way.gmv
    extras = book[rows.L_EXTRAS] + way.extras
    spend = book[rows.L_SPEND]
    creative = book[rows.L_CREATIVE]
    service = book[rows.L_SERVICE]
    income = (gmv - coupon) - (back.gmv - back.coupon)
    costs = (
        (commission - back.commission)
        + (fee - back.fee)
        + (goods - back.goods)
        + extras
        + spend
        + creative
        + service
    )
    support = book[rows.L_REBATE] + book[rows.L_PROTECTION]
    cost = overall_cost(
        world,
        spend,
        commission - counted.commission,
        coupon - counted.coupon,
        creative,
        service + extras,
    )
    take = spend + (fee - back.fee) - (platform_coupon - back.platform) - support
    opening = state.opening
    state.accrued[rows.A_SETTLED] = gmv - counted.gmv - opening[rows.A_SETTLED]
    state.accrued[rows.A_GMV] = gmv - opening[rows.A_GMV]
    state.accrued[rows.A_COST] = cost - opening[rows.A_COST]
    state.accrued[rows.A_PROFIT] = income - costs + support - opening[rows.A_PROFIT]
    state.accrued[rows.A_PLATFORM] = take - opening[rows.A_PLATFORM]


@kernel
def accrued_roi(world, state):
    """Numerator and denominator of the plan's ROI so far, with what is on its way, fen."""
    earned = state.accrued
    return roi_parts(
        world.roi_kind,
        earned[rows.A_SETTLED],
        earned[rows.A_GMV],
        earned[rows.A_COST],
        state.ledger[rows.L_SPEND],
    )


@kernel
def score_so_far(world, state):
    """The score of the plan so far (world 6), fen."""
    value, cost = accrued_roi(world, state)
    settled = state.accrued[rows.A_SETTLED] + state.left_over
    return score(settled, value, cost, np.float64(state.roi_target))


@kernel
def protect(world, state):
    """Cost protection: below the threshold share of the target the platform repays the spend beyond
    value / target.
    """
    value, cost = accrued_roi(world, state)
    roi_target = np.float64(state.roi_target)
    if (
        state.placed >= world.protection_min_orders
        and value < world.protection_threshold * roi_target * cost
    ):
        excess = cost - value / roi_target
        state.ledger[rows.L_PROTECTION] = np.floor(
            min(max(excess, 0.0), state.ledger[rows.L_SPEND])
        )
