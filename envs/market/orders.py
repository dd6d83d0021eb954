"""From this tick's draws to orders on their way, and from there to arrivals and refunds (design 2.6, 2.7).

Money is whole fen in float64: exact up to 9e15. The terms of an order (coupon, commission, refund risk, services) are fixed
when the buyer decides, so nothing done afterwards can change what an order on its way will cost.
"""

import numpy as np

from .compiled import kernel, scalar
from .layout import (
    AT_RISK,
    BLOCK,
    CELLS,
    CLICKED,
    COMMISSION,
    COUPON,
    DELAYS,
    DEPTH,
    EXTRAS,
    G_AT_RISK,
    G_CLICKS,
    G_COMMISSION,
    G_COUPON,
    G_EXTRAS,
    G_GMV,
    G_IMPRESSIONS,
    G_IN_AT_RISK,
    G_IN_COMMISSION,
    G_IN_COUPON,
    G_IN_EXTRAS,
    G_IN_GMV,
    G_IN_ORDERS,
    G_ORDERS,
    G_SENT_BACK,
    GMV,
    GROUPS,
    LEVER_COMMISSION_AD,
    LEVER_COMMISSION_NATURAL,
    LEVER_INSURANCE,
    LEVER_INTEREST,
    NATURAL,
    ORDERED,
    ORDERS,
    PAID,
    PENDING_LINES,
    POOLS,
    PRICE,
    R_COMMISSION,
    R_COUPON,
    R_COUPON_MERCHANT,
    R_FEE,
    R_GMV,
    R_GOODS,
    REDEEMED,
    REFUND_LINES,
    RISK,
    SCENES,
    SEEN,
    SEGMENTS,
    WINDOWS,
)
from .numerics import HALF
from .sampling import binomial

F = np.float32


@kernel
def fit_coupons(lane, limit, merchant_share, whole):
    """Withdraw coupons beyond the coupon budget's remainder (fen, merchant's part): those orders go on without one.

    Pro rata over lanes, whole coupons by carrying the fraction on; never more than `limit` in sum.
    """
    cost = 0.0
    for c in range(CELLS):
        cost += lane[REDEEMED, c] * np.floor(lane[PRICE, c] * lane[DEPTH, c] + HALF)
    cost *= merchant_share
    if cost > limit:
        keep, carried, taken, left = limit / cost, 0.0, 0.0, limit
        for c in range(CELLS):
            unit = np.floor(lane[PRICE, c] * lane[DEPTH, c] + HALF) * merchant_share
            number = np.float64(lane[REDEEMED, c])
            carried += number * keep
            kept = min(number, np.floor(carried + 0.5) - taken if whole else number * keep)
            if kept * unit > left:
                kept = np.floor(left / unit) if whole else left / unit
            taken += kept
            left = max(left - kept * unit, 0.0)
            lane[ORDERED, c] += F(number - kept)
            lane[REDEEMED, c] = F(kept)


@kernel
def count_groups(world, lane, control, group):
    """Sum lanes to groups: impressions, clicks, orders and the terms fixed with them (whole fen)."""
    interest = world.interest_cost * control[LEVER_INTEREST]
    insurance = world.insurance_cost * control[LEVER_INSURANCE]
    for p in range(POOLS):
        rate = 0.0
        if p == NATURAL:
            rate = np.float64(control[LEVER_COMMISSION_NATURAL])
        elif p == PAID:
            rate = np.float64(control[LEVER_COMMISSION_AD])
        for s in range(SCENES):
            shown, clicked, ordered, gmv, coupon, at_risk = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for k in range(SEGMENTS):
                c = p * BLOCK + k * SCENES + s
                orders = np.float64(lane[ORDERED, c]) + np.float64(lane[REDEEMED, c])
                clicks = orders + lane[CLICKED, c]
                shown += clicks + lane[SEEN, c]
                clicked += clicks
                ordered += orders
                gmv += orders * lane[PRICE, c]
                coupon += lane[REDEEMED, c] * np.floor(lane[PRICE, c] * lane[DEPTH, c] + HALF)
                at_risk += orders * lane[RISK, c]
            g = p * SCENES + s
            gmv, coupon = np.floor(gmv + 0.5), np.floor(coupon + 0.5)
            group[G_IMPRESSIONS, g] = shown
            group[G_CLICKS, g] = clicked
            group[G_ORDERS, g] = ordered
            group[G_GMV, g] = gmv
            group[G_COUPON, g] = coupon
            group[G_COMMISSION, g] = np.floor(rate * (gmv - coupon) + 0.5)
            group[G_EXTRAS, g] = np.floor(insurance * ordered + interest * (gmv - coupon) + 0.5)
            group[G_AT_RISK, g] = at_risk


@scalar
def portion(amount, part, of, money):
    """The part/of share of an amount: whole fen for money, all of it when part is all."""
    if part >= of:
        return amount
    share = amount * (part / of)
    return np.floor(share) if money else share


@kernel
def deliver(world, state, group, uniform, last, whole):
    """Let orders arrive: a share of this tick's at once, and a share of each delay compartment (design 2.6).

    Whole orders arrive by stochastic rounding, floor(x + u); money goes with them in proportion, the last order takes
    the rest. On the last tick everything arrives.
    """
    pending = state.pending
    for g in range(GROUPS):
        fast, slow = g, GROUPS + g
        placed = group[G_ORDERS, g]
        for line in range(G_IN_ORDERS, G_IN_AT_RISK + 1):
            group[line, g] = 0.0
        if placed > 0.0:
            once = placed * world.at_once
            once = min(np.floor(once + uniform[g]), placed) if whole else once
            rest = placed - once
            quick = rest * world.fast_share
            quick = min(np.floor(quick + uniform[GROUPS + g]), rest) if whole else quick
            group[G_IN_ORDERS, g] = once
            pending[ORDERS, fast] += quick
            pending[ORDERS, slow] += rest - quick
            for j in range(1, PENDING_LINES):
                amount = group[G_ORDERS + j, g]
                now = portion(amount, once, placed, j != AT_RISK)
                soon = portion(amount - now, quick, rest, j != AT_RISK)
                group[G_IN_ORDERS + j, g] = now
                pending[j, fast] += soon
                pending[j, slow] += amount - now - soon
        for d in range(DELAYS):
            i = d * GROUPS + g
            waiting = pending[ORDERS, i]
            if waiting > 0.0:
                due = waiting * (world.fast_release if d == 0 else world.slow_release)
                due = min(np.floor(due + uniform[(2 + d) * GROUPS + g]), waiting) if whole else due
                due = waiting if last else due
                pending[ORDERS, i] = waiting - due
                group[G_IN_ORDERS, g] += due
                for j in range(1, PENDING_LINES):
                    amount = portion(pending[j, i], due, waiting, j != AT_RISK)
                    pending[j, i] -= amount
                    group[G_IN_ORDERS + j, g] += amount


@kernel
def draw_refunds(world, state, group, number, chance, uniform, count, goods_rate, whole):
    """Decide which arrivals will be sent back and put their money into the refund compartments (design 2.7).

    Returns (orders, gmv fen) that will be refunded; per group the share is left in G_SENT_BACK. The reversible lines are GMV,
    coupon (both funders, and the merchant's part), commission, technical fee and goods.
    """
    for g in range(GROUPS):
        number[g] = F(group[G_IN_ORDERS, g])
        chance[g] = F(group[G_IN_AT_RISK, g] / max(group[G_IN_ORDERS, g], 1e-9))
    if whole:
        binomial(number, chance, uniform, count)
    orders, total_gmv = 0.0, 0.0
    total_coupon, total_merchant, total_commission, total_fee, total_goods = 0.0, 0.0, 0.0, 0.0, 0.0
    for g in range(GROUPS):
        arrived = group[G_IN_ORDERS, g]
        group[G_SENT_BACK, g] = 0.0
        if arrived > 0.0:
            sent_back = np.float64(count[g]) if whole else group[G_IN_AT_RISK, g]
            share = sent_back / arrived
            gmv, coupon = group[G_IN_GMV, g], group[G_IN_COUPON, g]
            back = np.floor(gmv * share)
            group[G_SENT_BACK, g] = back
            orders += sent_back
            total_gmv += back
            total_coupon += np.floor(coupon * share)
            total_merchant += np.floor(np.floor(coupon * world.merchant_share) * share)
            total_commission += np.floor(group[G_IN_COMMISSION, g] * share)
            total_fee += np.floor(np.floor(world.fee * (gmv - coupon)) * share)
            total_goods += np.floor(np.floor(goods_rate * gmv) * share)
    for i in range(WINDOWS):
        part = world.refund_share[i]
        refunds = state.refunds[i]
        refunds[R_GMV] += np.floor(total_gmv * part)
        refunds[R_COUPON] += np.floor(total_coupon * part)
        refunds[R_COUPON_MERCHANT] += np.floor(total_merchant * part)
        refunds[R_COMMISSION] += np.floor(total_commission * part)
        refunds[R_FEE] += np.floor(total_fee * part)
        refunds[R_GOODS] += np.floor(total_goods * part)
    return orders, total_gmv


@kernel
def mature_refunds(world, state, i, out, last):
    """Release compartment i: a share 1 - e^(-dt/tau) of each line, or all on the last tick; whole fen into `out`."""
    for line in range(REFUND_LINES):
        waiting = state.refunds[i, line]
        released = waiting if last else np.floor(waiting * world.refund_release[i])
        out[line] = released
        state.refunds[i, line] = waiting - released
