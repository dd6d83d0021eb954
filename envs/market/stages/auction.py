"""The ad auction in closed form, and the hard limits on what it may cost (world 2.3, 2.10)."""

import numpy as np

from ...interface.units import CPM_PER_FEN, FEN_PER_CPM
from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import HALF, ONE, ZERO, exp32, log32, normal_cdf
from .. import layout as rows

F = np.float32
LEAST_BID = F(1e-6)  # CNY per thousand; below it nothing is bid
LEAST_MULTIPLE = F(1e-3)  # bid multipliers below it are all alike
NO_BID = F(-1)  # in force before the first tick
RARE = F(1e-20)  # keeps a share from being divided by nothing
LEAST_COST = 1e-9  # fen; likewise


@scalar
def win_probability(log_bid, mean, sigma):
    """W(b) = Phi((ln b - m) / sigma), the chance to beat the highest competing bid."""
    return normal_cdf((log_bid - mean) / sigma)


@scalar
def second_price_payment(log_bid, mean, sigma):
    """E[Z; Z < b] = e^(m + sigma^2/2) Phi((ln b - m - sigma^2) / sigma), per opportunity, unit of
    Z.
    """
    return exp32(mean + HALF * sigma * sigma) * normal_cdf((log_bid - mean) / sigma - sigma)


@kernel
def note_edits(world, state):
    """Forget a part of what was learned about a scene whose bid has changed by a large edit (world
    2.3).
    """
    for s in range(rows.N_SCENES):
        bid = state.control[rows.LEVER_BID] * state.control[rows.LEVER_SCENE_BID + s]
        before = state.bid_in_force[s]
        if before >= ZERO:
            moved = abs(log32(max(bid, LEAST_MULTIPLE)) - log32(max(before, LEAST_MULTIPLE)))
            if moved > world.edit_log_limit:
                state.evidence_reported[s] *= world.edit_keep
                state.evidence_expected[s] *= world.edit_keep
        state.bid_in_force[s] = bid


@scalar
def correction(world, state, s):
    """Factor on the predicted worth of a scene's ads: (prior + reported) / (prior + expected), a
    posterior mean of true over predicted order rates (world 2.3).
    """
    return (world.prior_orders + state.evidence_reported[s]) / (
        world.prior_orders + state.evidence_expected[s]
    )


@kernel
def learn_from_reports(world, cells, state, lane, group):
    """Add the ad orders that were reported in this tick, and those that its clicks let the
    predictor expect; the older ones fade (world 2.3).
    """
    for s in range(rows.N_SCENES):
        expected = ZERO
        for k in range(rows.N_SEGMENTS):
            c = rows.AD + k * rows.N_SCENES + s
            expected += (
                lane.rows[rows.CLICKS, c] * lane.rows[rows.CVR, c] * cells.rows[rows.PREDICTION, c]
            )
        reported = F(group.rows[rows.G_IN_ORDERS, rows.AD_GROUP + s])
        keep = world.evidence_keep
        state.evidence_reported[s] = keep * state.evidence_reported[s] + reported
        state.evidence_expected[s] = keep * state.evidence_expected[s] + expected


@kernel
def open_auctions(plan, lane, scene, price_shift, boost):
    """Put bid level (WIN), price shift (PAY) and the share of auctions entered (MEAN_SEEN) on the
    ad lanes.

    Under incremental ads only the share 1 - f of the auctions that free traffic would not reach
    anyway is entered (world 2.4).
    """
    world, _, _, state = plan
    control = state.control
    for s in range(rows.N_SCENES):
        scene.rows[rows.S_BID, s] = (
            control[rows.LEVER_BID]
            * control[rows.LEVER_SCENE_BID + s]
            / state.roi_target
            * F(CPM_PER_FEN)
        )
        if world.predictor_learns:
            scene.rows[rows.S_BID, s] *= correction(world, state, s)
        increment = ONE - world.cannibalisation[s] if world.incremental else ONE
        scene.rows[rows.S_AUCTIONS, s] = increment * (ONE + world.boost_reach * boost)
    added = price_shift + world.boost_premium * boost
    for k in range(rows.N_SEGMENTS):
        for s in range(rows.N_SCENES):
            c = rows.AD + k * rows.N_SCENES + s
            lane.rows[rows.WIN, c] = scene.rows[rows.S_BID, s]
            lane.rows[rows.PAY, c] = added + state.price_shock[s]
            lane.rows[rows.MEAN_SEEN, c] = scene.rows[rows.S_AUCTIONS, s]


@kernel
def run_auctions(plan, lane, scene, price_shift, boost):
    """Expected ad impressions (MEAN_SEEN) and price per won thousand (PAY) of the ad lanes.

    bid = lever * prediction * CTR * CVR * price / roi_target per impression (world 2.3).
    """
    cells = plan.cells
    open_auctions(plan, lane, scene, price_shift, boost)
    first = F(plan.world.first_price)
    for c in range(rows.AD, rows.AD + rows.BLOCK):
        value = (
            cells.rows[rows.PREDICTION, c]
            * lane.rows[rows.CTR, c]
            * lane.rows[rows.CVR, c]
            * lane.rows[rows.PRICE, c]
        )
        bid = max(lane.rows[rows.WIN, c] * value, LEAST_BID)
        log_bid = log32(bid)
        mean = cells.rows[rows.PRICE_MU, c] + lane.rows[rows.PAY, c]
        sigma = cells.rows[rows.PRICE_SIGMA, c]
        lane.rows[rows.OFFER, c] = bid
        lane.rows[rows.WIN, c] = win_probability(log_bid, mean, sigma)
        lane.rows[rows.PAY, c] = second_price_payment(log_bid, mean, sigma)
    # a second plain loop: LLVM vectorises two simple ones, not one with selects
    for c in range(rows.AD, rows.AD + rows.BLOCK):
        won = lane.rows[rows.WIN, c]
        bid = lane.rows[rows.OFFER, c]
        payment = min(lane.rows[rows.PAY, c] / max(won, RARE), bid)
        lane.rows[rows.PAY, c] = first * bid + (ONE - first) * payment
        lane.rows[rows.WIN, c] = won if bid > LEAST_BID else ZERO
        lane.rows[rows.MEAN_SEEN, c] *= cells.rows[rows.TRAFFIC, c] * lane.rows[rows.FACTOR, c]
    count_auctions(lane, scene)
    for c in range(rows.AD, rows.AD + rows.BLOCK):
        lane.rows[rows.MEAN_SEEN, c] *= lane.rows[rows.WIN, c]


@kernel
def count_auctions(lane, scene):
    """Auctions entered per scene (S_AUCTIONS), from those of the ad lanes."""
    for s in range(rows.N_SCENES):
        scene.rows[rows.S_AUCTIONS, s] = ZERO
    for k in range(rows.N_SEGMENTS):
        for s in range(rows.N_SCENES):
            scene.rows[rows.S_AUCTIONS, s] += lane.rows[
                rows.MEAN_SEEN, rows.AD + k * rows.N_SCENES + s
            ]


@kernel
def throttle(lane, scene, limit, caps):
    """Scale expected ad impressions so that the tick's expected cost meets the scene caps and the
    plan's limit (fen).

    This is the pro-rata cut of world 2.10 in expectation: the plan enters a share of the tick's
    auctions.
    """
    total = 0.0
    for s in range(rows.N_SCENES):
        cost = 0.0
        for k in range(rows.N_SEGMENTS):
            c = rows.AD + k * rows.N_SCENES + s
            cost += lane.rows[rows.MEAN_SEEN, c] * lane.rows[rows.PAY, c] * FEN_PER_CPM
        keep = min(1.0, caps[s] / max(cost, LEAST_COST))
        scene.rows[rows.S_KEEP, s] = F(keep)
        total += cost * keep
    common = F(min(1.0, limit / max(total, LEAST_COST)))
    for k in range(rows.N_SEGMENTS):
        for s in range(rows.N_SCENES):
            lane.rows[rows.MEAN_SEEN, rows.AD + k * rows.N_SCENES + s] *= (
                scene.rows[rows.S_KEEP, s] * common
            )


@scalar
def shown_ads(lane, c):
    """Impressions of an ad lane, whatever came of them."""
    return (
        lane.rows[rows.SEEN, c]
        + lane.rows[rows.CLICKED, c]
        + lane.rows[rows.ORDERED, c]
        + lane.rows[rows.REDEEMED, c]
    )


@kernel
def cost_of_scene(lane, s):
    """Fen the ad impressions of scene s cost in this tick."""
    cost = 0.0
    for k in range(rows.N_SEGMENTS):
        c = rows.AD + k * rows.N_SCENES + s
        cost += shown_ads(lane, c) * lane.rows[rows.PAY, c] * FEN_PER_CPM
    return cost


@kernel
def cut_scene(lane, s, keep, whole):
    """Keep a share of the scene's ad counts, all outcomes alike; whole counts by carrying the
    fraction on.
    """
    for row in range(rows.SEEN, rows.REDEEMED + 1):
        carried, taken = 0.0, 0.0
        for k in range(rows.N_SEGMENTS):
            c = rows.AD + k * rows.N_SCENES + s
            carried += lane.rows[row, c] * keep
            kept = np.floor(carried + 0.5) - taken if whole else lane.rows[row, c] * keep
            kept = min(kept, np.float64(lane.rows[row, c]))
            taken += kept
            lane.rows[row, c] = F(kept)


@kernel
def charge(lane, scene, limit, caps, whole):
    """Cut sampled ad counts to the limits and leave in caps the whole fen charged per scene;
    returns the total.

    What rounding still leaves above a limit (a fraction of an impression) is delivered but not
    charged.
    """
    wanted = 0.0
    for s in range(rows.N_SCENES):
        wanted += min(cost_of_scene(lane, s), caps[s])
    common = min(1.0, limit / max(wanted, LEAST_COST))
    left = limit
    total = 0.0
    for s in range(rows.N_SCENES):
        cost = cost_of_scene(lane, s)
        allowed = min(left, min(cost, caps[s]) * common)
        if cost > allowed:
            cut_scene(lane, s, allowed / cost, whole)
            cost = cost_of_scene(lane, s)
        charged = min(np.floor(cost), np.floor(allowed))
        caps[s] = charged
        left -= charged
        total += charged
        shown = ZERO
        for k in range(rows.N_SEGMENTS):
            shown += shown_ads(lane, rows.AD + k * rows.N_SCENES + s)
        scene.rows[rows.S_SHOWN, s] = shown
    return total
