"""From this tick's draws to orders on their way, and from there to arrivals and refunds (world
2.6, 2.7).

Money is whole fen in float64: exact up to 9e15. The terms of an order (coupon, commission, refund
risk, services) are fixed when the buyer decides, so nothing done afterwards can change what an
order on its way will cost.
"""

from typing import Any, NamedTuple

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import HALF, ZERO
from .. import layout as rows
from .counts import CHANCE, DRAW, DRAWN, NUMBER, binomial
from .ledger import book_arrivals

F = np.float32
HALF_CELLS = rows.N_LANES // 2
TINY = 1e-30
# fewer orders than this are no order: in expectation mode a compartment would never be empty
TRACE = 1e-9


@kernel
def fit_coupons(lane, limit, merchant_share, whole):
    """Withdraw coupons beyond the coupon budget's remainder (fen, merchant's part): those orders go
    on without one.

    Pro rata over lanes, whole coupons by carrying the fraction on; never more than `limit` in sum.
    """
    cost = 0.0
    for c in range(rows.N_LANES):
        cost += np.float64(lane.rows[rows.REDEEMED, c]) * np.floor(
            lane.rows[rows.PRICE, c] * lane.rows[rows.DEPTH, c] + HALF
        )
    cost *= merchant_share
    if cost > limit:
        keep = limit / cost
        carried = 0.0
        taken = 0.0
        left = limit
        for c in range(rows.N_LANES):
            unit = (
                np.floor(lane.rows[rows.PRICE, c] * lane.rows[rows.DEPTH, c] + HALF)
                * merchant_share
            )
            number = np.float64(lane.rows[rows.REDEEMED, c])
            carried += number * keep
            kept = min(number, np.floor(carried + 0.5) - taken if whole else number * keep)
            if kept * unit > left:
                kept = np.floor(left / unit) if whole else left / unit
            taken += kept
            left = max(left - kept * unit, 0.0)
            lane.rows[rows.ORDERED, c] += F(number - kept)
            lane.rows[rows.REDEEMED, c] = F(kept)


@kernel
def count_lanes(lane, group):
    """Impressions, clicks and orders of every lane, and in float64 its GMV, coupons and expected
    refunds.
    """
    for c in range(rows.N_LANES):
        sold = lane.rows[rows.ORDERED, c] + lane.rows[rows.REDEEMED, c]
        clicks = sold + lane.rows[rows.CLICKED, c]
        lane.rows[rows.SOLD, c] = sold
        lane.rows[rows.CLICKS, c] = clicks
        lane.rows[rows.SHOWN, c] = clicks + lane.rows[rows.SEEN, c]
    for half in range(2):
        for j in range(HALF_CELLS):
            c = half * HALF_CELLS + j
            sold = np.float64(lane.rows[rows.SOLD, c])
            group.rows[rows.G_LANE_GMV + half, j] = sold * lane.rows[rows.PRICE, c]
            unit = np.floor(lane.rows[rows.PRICE, c] * lane.rows[rows.DEPTH, c] + HALF)
            group.rows[rows.G_LANE_COUPON + half, j] = (
                np.float64(lane.rows[rows.REDEEMED, c]) * unit
            )
            group.rows[rows.G_LANE_AT_RISK + half, j] = sold * lane.rows[rows.RISK, c]


@kernel
def count_groups(world, lane, control, group):
    """Sum lanes to groups: impressions, clicks, orders and the terms fixed with them, in fen."""
    count_lanes(lane, group)
    for p in range(rows.N_POOLS):
        for s in range(rows.N_SCENES):
            shown = ZERO
            clicked = ZERO
            ordered = ZERO
            gmv = 0.0
            coupon = 0.0
            at_risk = 0.0
            for k in range(rows.N_SEGMENTS):
                c = p * rows.BLOCK + k * rows.N_SCENES + s
                half = c // HALF_CELLS
                j = c % HALF_CELLS
                shown += lane.rows[rows.SHOWN, c]
                clicked += lane.rows[rows.CLICKS, c]
                ordered += lane.rows[rows.SOLD, c]
                gmv += group.rows[rows.G_LANE_GMV + half, j]
                coupon += group.rows[rows.G_LANE_COUPON + half, j]
                at_risk += group.rows[rows.G_LANE_AT_RISK + half, j]
            g = p * rows.N_SCENES + s
            group.rows[rows.G_IMPRESSIONS, g] = shown
            group.rows[rows.G_CLICKS, g] = clicked
            group.rows[rows.G_ORDERS, g] = ordered
            group.rows[rows.G_GMV, g] = np.floor(gmv + 0.5)
            group.rows[rows.G_COUPON, g] = np.floor(coupon + 0.5)
            group.rows[rows.G_AT_RISK, g] = at_risk
    fix_terms(world, control, group)


@kernel
def fix_terms(world, control, group):
    """Commission and services of the orders placed in this tick, whole fen."""
    interest = world.interest_cost * control[rows.LEVER_INTEREST]
    insurance = world.insurance_cost * control[rows.LEVER_INSURANCE]
    premium = world.insurance_premium * control[rows.LEVER_INSURANCE]
    for p in range(rows.N_POOLS):
        rate = 0.0
        if p == rows.NATURAL:
            rate = np.float64(control[rows.LEVER_COMMISSION_NATURAL])
        elif p == rows.PAID:
            rate = np.float64(control[rows.LEVER_COMMISSION_AD])
        for g in range(p * rows.N_SCENES, (p + 1) * rows.N_SCENES):
            paid = group.rows[rows.G_GMV, g] - group.rows[rows.G_COUPON, g]
            group.rows[rows.G_COMMISSION, g] = np.floor(rate * paid + 0.5)
            group.rows[rows.G_EXTRAS, g] = np.floor(
                insurance * group.rows[rows.G_ORDERS, g]
                + premium * group.rows[rows.G_AT_RISK, g]
                + interest * paid
                + 0.5
            )


@kernel
def deliver(world, state, lane, group, last, whole):
    """Let orders arrive: a share of this tick's at once, and a share of each delay compartment
    (world 2.6).

    Whole orders by stochastic rounding, floor(x + u); on the last tick everything arrives. One pass
    per group, in registers: what goes through memory between two short loops waits for it.
    """
    pending = state.pending
    for g in range(rows.N_GROUPS):
        placed = group.rows[rows.G_ORDERS, g]
        once = placed * world.at_once
        once = min(np.floor(once + lane.rows[rows.UNIFORM, g]), placed) if whole else once
        rest = placed - once
        quick = rest * world.fast_share
        quick = (
            min(np.floor(quick + lane.rows[rows.UNIFORM, rows.N_GROUPS + g]), rest)
            if whole
            else quick
        )
        fast = pending[rows.ORDERS, g] + quick
        slow = pending[rows.ORDERS, rows.N_GROUPS + g] + rest - quick
        fast_due = due_orders(
            fast, world.fast_release, lane.rows[rows.UNIFORM, 2 * rows.N_GROUPS + g], last, whole
        )
        slow_due = due_orders(
            slow, world.slow_release, lane.rows[rows.UNIFORM, 3 * rows.N_GROUPS + g], last, whole
        )
        pending[rows.ORDERS, g] = fast - fast_due
        pending[rows.ORDERS, rows.N_GROUPS + g] = slow - slow_due
        group.rows[rows.G_IN_ORDERS, g] = once + fast_due + slow_due
        deliver_money(
            pending,
            group,
            g,
            once / max(placed, TINY),
            quick / max(rest, TINY),
            fast_due / max(fast, TINY),
            slow_due / max(slow, TINY),
        )


@scalar
def due_orders(waiting, rate, uniform, last, whole):
    """Orders of a compartment that arrive in this tick; the last trace of one (expectation mode)
    arrives at once.
    """
    due = waiting * rate
    due = min(np.floor(due + uniform), waiting) if whole else due
    return waiting if last or waiting < TRACE else due


@scalar
def deliver_money(pending, group, g, once, quick, fast_due, slow_due):
    """Money goes with the orders in proportion, in whole fen, and the last part takes the rest.

    The shares are part / max(of, tiny): 0 where there is nothing, and exactly 1 where all goes.
    """
    for j in range(rows.GMV, rows.AT_RISK):
        amount = group.rows[rows.G_ORDERS + j, g]
        now = np.floor(amount * once)
        soon = np.floor((amount - now) * quick)
        fast = pending[j, g] + soon
        slow = pending[j, rows.N_GROUPS + g] + (amount - now - soon)
        fast_now = np.floor(fast * fast_due)
        slow_now = np.floor(slow * slow_due)
        pending[j, g] = fast - fast_now
        pending[j, rows.N_GROUPS + g] = slow - slow_now
        group.rows[rows.G_IN_ORDERS + j, g] = now + fast_now + slow_now
    amount = group.rows[rows.G_AT_RISK, g]
    now = amount * once
    soon = (amount - now) * quick
    fast = pending[rows.AT_RISK, g] + soon
    slow = pending[rows.AT_RISK, rows.N_GROUPS + g] + (amount - now - soon)
    fast_now = fast * fast_due
    slow_now = slow * slow_due
    pending[rows.AT_RISK, g] = fast - fast_now
    pending[rows.AT_RISK, rows.N_GROUPS + g] = slow - slow_now
    group.rows[rows.G_IN_AT_RISK, g] = now + fast_now + slow_now


@kernel
def count_returns(lane, group, whole):
    """How many of this tick's arrivals will be sent back, per group (G_RETURNS)."""
    if whole:
        for g in range(rows.N_GROUPS):
            lane.rows[NUMBER, g] = F(group.rows[rows.G_IN_ORDERS, g])
            lane.rows[CHANCE, g] = F(
                group.rows[rows.G_IN_AT_RISK, g] / max(group.rows[rows.G_IN_ORDERS, g], 1e-9)
            )
        for g in range(rows.N_GROUPS, DRAWN):
            lane.rows[NUMBER, g], lane.rows[CHANCE, g] = ZERO, ZERO
        binomial(lane)
    for g in range(rows.N_GROUPS):
        group.rows[rows.G_RETURNS, g] = (
            np.float64(lane.rows[DRAW, g]) if whole else group.rows[rows.G_IN_AT_RISK, g]
        )


class Returned(NamedTuple):
    """Reversible lines of what will be sent back, whole fen."""

    gmv: Any
    coupon: Any  # both parts
    merchant: Any  # the merchant's part of it
    commission: Any
    fee: Any
    goods: Any


@kernel
def hold_refunds(world, refunds, back):
    """Spread what will be sent back over the refund compartments (world 2.7).

    Each payer's part is rounded alone, so that nobody gets back more than he gave.
    """
    for i in range(rows.N_WINDOWS):
        part = world.refund_share[i]
        merchant_part = np.floor(back.merchant * part)
        coupon_part = merchant_part + np.floor((back.coupon - back.merchant) * part)
        refunds[i, rows.R_GMV] += coupon_part + np.floor((back.gmv - back.coupon) * part)
        refunds[i, rows.R_COUPON] += coupon_part
        refunds[i, rows.R_COUPON_MERCHANT] += merchant_part
        refunds[i, rows.R_COMMISSION] += np.floor(back.commission * part)
        refunds[i, rows.R_FEE] += np.floor(back.fee * part)
        refunds[i, rows.R_GOODS] += np.floor(back.goods * part)


@kernel
def settle_arrivals(world, state, lane, group, goods_rate, whole):
    """Book what arrived, and decide what of it will be sent back (world 2.7).

    gmv = user paid + merchant's coupon + platform's coupon. Returns the orders that will be
    refunded; per group their GMV is left in G_SENT_BACK. Reversible are GMV, coupon, the merchant's
    part of it, commission, technical fee and goods.
    """
    count_returns(lane, group, whole)
    gmv, coupon, merchant, commission = 0.0, 0.0, 0.0, 0.0
    fee, goods, extras, orders = 0.0, 0.0, 0.0, 0.0
    back_gmv, back_coupon, back_merchant = 0.0, 0.0, 0.0
    back_commission, back_fee, back_goods = 0.0, 0.0, 0.0
    for g in range(rows.N_GROUPS):
        g_gmv = group.rows[rows.G_IN_GMV, g]
        g_coupon = group.rows[rows.G_IN_COUPON, g]
        g_commission = group.rows[rows.G_IN_COMMISSION, g]
        g_merchant = np.floor(g_coupon * world.merchant_share)
        g_fee = np.floor(world.fee * (g_gmv - g_coupon))
        g_goods = np.floor(goods_rate * g_gmv)
        gmv += g_gmv
        coupon += g_coupon
        merchant += g_merchant
        commission += g_commission
        fee += g_fee
        goods += g_goods
        extras += group.rows[rows.G_IN_EXTRAS, g]
        share = group.rows[rows.G_RETURNS, g] / max(group.rows[rows.G_IN_ORDERS, g], TINY)
        sent_back = np.floor(g_gmv * share)
        group.rows[rows.G_SENT_BACK, g] = sent_back
        orders += group.rows[rows.G_RETURNS, g]
        back_gmv += sent_back
        back_coupon += np.floor(g_coupon * share)
        back_merchant += np.floor(g_merchant * share)
        back_commission += np.floor(g_commission * share)
        back_fee += np.floor(g_fee * share)
        back_goods += np.floor(g_goods * share)
    book_arrivals(state, gmv, coupon, merchant, commission, fee, goods, extras)
    back = Returned(back_gmv, back_coupon, back_merchant, back_commission, back_fee, back_goods)
    hold_refunds(world, state.refunds, back)
    return orders


@kernel
def mature_refunds(world, state, i, group, last):
    """Release compartment i: a share 1 - e^(-dt/tau) of each line, or all on the last tick; whole
    fen into G_MATURED.
    """
    for line in range(rows.REFUND_LINES):
        waiting = state.refunds[i, line]
        released = waiting if last else np.floor(waiting * world.refund_release[i])
        group.rows[rows.G_MATURED, line] = released
        state.refunds[i, line] = waiting - released
