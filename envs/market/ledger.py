"""The books: every fen that moves, and what the plan has earned so far (world 2.9, 2.10).

All lines are cumulative whole fen. Buyers, merchant, platform, influencers and suppliers are the
only accounts, so what one pays another receives; tests/properties/test_invariants.py states the
balances and holds every tick to them.
"""

import numpy as np

from ..kernels.compiled import kernel
from . import layout as rows

OVERALL, NET, PAY_ROI = range(3)


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


@kernel
def accrue(world, state, goods_rate):
    """Value of the plan so far, counting what is on its way at its expected value (fen, into
    state.accrued).

    Settled GMV, GMV, overall cost, merchant's profit, platform's take. After the last tick nothing
    is on its way and these are the ledger's own figures, so rewards that are differences of them
    sum to the episode's result exactly.
    """
    book = state.ledger
    gmv = book[rows.L_GMV]
    commission = book[rows.L_COMMISSION]
    coupon = book[rows.L_COUPON_MERCHANT]
    platform_coupon = book[rows.L_COUPON_PLATFORM]
    fee = book[rows.L_FEE]
    goods = book[rows.L_GOODS]
    extras = book[rows.L_EXTRAS]
    back = book[rows.L_REFUND_GMV]
    back_commission = book[rows.L_REFUND_COMMISSION]
    back_coupon = book[rows.L_REFUND_COUPON_MERCHANT]
    back_platform = book[rows.L_REFUND_COUPON_PLATFORM]
    back_fee = book[rows.L_REFUND_FEE]
    back_goods = book[rows.L_REFUND_GOODS]
    counted = book[rows.L_SETTLED_REFUND_GMV]
    counted_commission = book[rows.L_SETTLED_REFUND_COMMISSION]
    counted_coupon = book[rows.L_SETTLED_REFUND_COUPON]
    for i in range(rows.N_WINDOWS):
        waiting = state.refunds[i]
        back += waiting[rows.R_GMV]
        back_commission += waiting[rows.R_COMMISSION]
        back_coupon += waiting[rows.R_COUPON_MERCHANT]
        back_platform += waiting[rows.R_COUPON] - waiting[rows.R_COUPON_MERCHANT]
        back_fee += waiting[rows.R_FEE]
        back_goods += waiting[rows.R_GOODS]
        if world.refund_counted[i]:
            counted += waiting[rows.R_GMV]
            counted_commission += waiting[rows.R_COMMISSION]
            counted_coupon += waiting[rows.R_COUPON_MERCHANT]
    pending = state.pending
    p_gmv = 0.0
    p_coupon = 0.0
    p_commission = 0.0
    r_gmv = 0.0
    r_coupon = 0.0
    r_commission = 0.0
    for j in range(
        rows.N_DELAYS * rows.N_GROUPS
    ):  # every line is linear in these sums; without orders all are 0
        risk = pending[rows.AT_RISK, j] / max(pending[rows.ORDERS, j], 1e-30)
        p_gmv += pending[rows.GMV, j]
        p_coupon += pending[rows.COUPON, j]
        p_commission += pending[rows.COMMISSION, j]
        extras += pending[rows.EXTRAS, j]
        r_gmv += risk * pending[rows.GMV, j]
        r_coupon += risk * pending[rows.COUPON, j]
        r_commission += risk * pending[rows.COMMISSION, j]
    merchant = world.merchant_share
    gmv += p_gmv
    coupon += p_coupon * merchant
    platform_coupon += p_coupon * (1.0 - merchant)
    commission += p_commission
    fee += world.fee * (p_gmv - p_coupon)
    goods += goods_rate * p_gmv
    back += r_gmv
    back_coupon += r_coupon * merchant
    back_platform += r_coupon * (1.0 - merchant)
    back_commission += r_commission
    back_fee += world.fee * (r_gmv - r_coupon)
    back_goods += goods_rate * r_gmv
    counted += r_gmv * world.counted_share
    counted_commission += r_commission * world.counted_share
    counted_coupon += r_coupon * merchant * world.counted_share
    spend = book[rows.L_SPEND]
    creative = book[rows.L_CREATIVE]
    service = book[rows.L_SERVICE]
    income = (gmv - coupon) - (back - back_coupon)
    costs = (
        (commission - back_commission)
        + (fee - back_fee)
        + (goods - back_goods)
        + extras
        + spend
        + creative
        + service
    )
    support = book[rows.L_REBATE] + book[rows.L_PROTECTION]
    state.accrued[rows.A_SETTLED] = gmv - counted
    state.accrued[rows.A_GMV] = gmv
    state.accrued[rows.A_COST] = overall_cost(
        world,
        spend,
        commission - counted_commission,
        coupon - counted_coupon,
        creative,
        service + extras,
    )
    state.accrued[rows.A_PROFIT] = income - costs + support
    state.accrued[rows.A_PLATFORM] = (
        spend + (fee - back_fee) - (platform_coupon - back_platform) - support
    )


@kernel
def roi_parts(world, settled, gmv, cost, spend):
    """Numerator and denominator of the ROI that the target speaks of (overall, net or pay)."""
    if world.roi_kind == OVERALL:
        return settled, cost
    if world.roi_kind == NET:
        return settled, spend
    return gmv, spend


@kernel
def score(world, state, roi_target):
    """settled_gmv * min(1, (ROI / target)^2), fen (world 6); without any cost the target is met."""
    earned = state.accrued
    value, cost = roi_parts(
        world,
        earned[rows.A_SETTLED],
        earned[rows.A_GMV],
        earned[rows.A_COST],
        state.ledger[rows.L_SPEND],
    )
    met = value / max(roi_target * cost, 1e-9)
    return earned[rows.A_SETTLED] * min(1.0, met * met)


@kernel
def protect(world, state, roi_target):
    """Cost protection: below the threshold share of the target the platform repays the spend beyond
    value / target.
    """
    value, cost = roi_parts(
        world,
        state.accrued[rows.A_SETTLED],
        state.accrued[rows.A_GMV],
        state.accrued[rows.A_COST],
        state.ledger[rows.L_SPEND],
    )
    if (
        state.placed >= world.protection_min_orders
        and value < world.protection_threshold * roi_target * cost
    ):
        excess = cost - value / roi_target
        state.ledger[rows.L_PROTECTION] = np.floor(
            min(max(excess, 0.0), state.ledger[rows.L_SPEND])
        )
