"""From a user's visit to an order: free exposure, clicks, coupons and orders (world 2.1, 2.2, 2.5,
2.6).
"""

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import HALF, ONE, ZERO, exp32, log32, logistic
from .. import layout as rows

F = np.float32
LN2 = F(0.6931472)
LEAST_MIX = F(1e-3)
RARE = F(1e-20)  # keeps a share from being divided by nothing
COLDEST = F(0.05)  # bounds of a tier's heat per exposure
WARMEST = F(20)
LEAST_COMMISSION = 0.002  # a commission of nothing still has a logarithm


@kernel
def traffic_of_scene(world, state, hours, calendar, day, scene):
    """Opportunity factor per scene: hour * weekday * event * e^(shock - var/2), 1 on average
    (world 2.1).
    """
    tick_of_day = state.tick % world.ticks_per_day
    traffic = calendar[rows.CALENDAR_TRAFFIC, state.calendar + day]
    common = world.weekday[(state.weekday + day) % rows.N_WEEKDAYS] * traffic
    for s in range(rows.N_SCENES):
        scene.rows[rows.S_TRAFFIC, s] = (
            common * hours[s, tick_of_day] * exp32(state.demand_shock[s] - world.demand_correction)
        )
    if world.jumps:
        for s in range(rows.N_SCENES):
            j = rows.JUMP_TRAFFIC + s
            scene.rows[rows.S_TRAFFIC, s] *= exp32(state.jump[j] - world.jump_correction[j])


@kernel
def tier_exposure(world, control):
    """Sum of the tiers' exposure weights: the scenario's mix shifted by the levers (world 2.8)."""
    total = ZERO
    for j in range(rows.N_TIERS):
        total += exp32(world.log_mix[j] + control[rows.LEVER_TIER + j])
    return total


@kernel
def tier_terms(world, state, control):
    """Order logit, value factor and refund logit of the exposure mix over tiers (world 2.6, 2.8).

    The mix is a softmax of the scenario's mix shifted by the levers; a tier shown more than its
    heat warrants sells less.
    """
    total = tier_exposure(world, control)
    appeal, value, refund = ZERO, ZERO, ZERO
    for j in range(rows.N_TIERS):
        mix = exp32(world.log_mix[j] + control[rows.LEVER_TIER + j]) / total
        warmth = min(max(state.heat[j] / max(mix, LEAST_MIX), COLDEST), WARMEST)
        appeal += mix * (
            world.tier_appeal[j] + world.heat_elasticity * (log32(warmth) - world.log_warmth[j])
        )
        value += mix * world.tier_value[j]
        refund += mix * world.tier_refund[j]
    return appeal, value, refund


@kernel
def creative_appeal(world, state, scene):
    """gain * q * 2^(-E / half-life) per scene: the appeal of the creative mix fades with exposure
    (world 2.5).
    """
    for s in range(rows.N_SCENES):
        faded = exp32(-LN2 * state.exposure[s] * world.fatigue_rate)
        scene.rows[rows.S_APPEAL, s] = world.creative_gain * state.creative_quality * faded


@kernel
def spread(world, state, merchant, control, clock, urge, scene, lane):
    """Put what belongs to a scene, a pool or a segment on its lanes: traffic, appeal, coupon depth,
    and what is added to the order logit; `clock` is the cosine and sine of the time of day.
    """
    offered = max(control[rows.LEVER_COMMISSION_AD], F(LEAST_COMMISSION))
    ad_lift = world.influencer_ad_lift * log32(offered / world.commission_ad_neutral)
    for p in range(rows.N_POOLS):
        lift = ad_lift if p == rows.PAID else ZERO
        free = (
            world.quality_lift[p] * state.quality[p] + world.influencer_lift[p] * state.supply
            if p < rows.PAID
            else ZERO
        )
        hour = merchant.hour_cos[p] * clock[0] + merchant.hour_sin[p] * clock[1]
        for k in range(rows.N_SEGMENTS):
            depth = (
                min(control[rows.LEVER_COUPON + p] * control[rows.LEVER_TILT + k], world.depth_max)
                * world.coupon_pool[p]
            )
            worn = lift - world.pressure * state.pressure[k]
            for s in range(rows.N_SCENES):
                c = p * rows.BLOCK + k * rows.N_SCENES + s
                lane.rows[rows.FACTOR, c] = (
                    scene.rows[rows.S_TRAFFIC, s]
                    * scene.rows[rows.S_DISPERSION, p * rows.N_SCENES + s]
                )
                lane.rows[rows.APPEAL, c] = scene.rows[rows.S_APPEAL, s] + worn
                lane.rows[rows.DEPTH, c] = depth
                lane.rows[rows.LIFT, c] = free
                lane.rows[rows.URGE, c] = urge + hour + state.jump[rows.JUMP_ORDER + s]


@kernel
def rates(world, state, cells, lane, refund_shift, value_factor):
    """CTR, CVR, redemption, refund risk and price of every lane (world 2.5 to 2.7)."""
    response = ONE
    if world.jumps:
        j = rows.JUMP_COUPON
        response = exp32(state.jump[j] - world.jump_correction[j])
    scale = world.coupon_rate
    use_scale = world.redemption_rate
    slope = world.refund_depth
    for c in range(rows.N_LANES):
        depth = lane.rows[rows.DEPTH, c]
        gain = response * cells.rows[rows.RESPONSE, c] * (ONE - exp32(-depth * scale))
        lane.rows[rows.CTR, c] = logistic(cells.rows[rows.CLICK, c] + lane.rows[rows.APPEAL, c])
        lane.rows[rows.CVR, c] = logistic(
            cells.rows[rows.ORDER, c] + lane.rows[rows.URGE, c] + gain
        )
        lane.rows[rows.USE, c] = cells.rows[rows.REDEMPTION, c] * (ONE - exp32(-depth * use_scale))
        lane.rows[rows.RISK, c] = logistic(
            cells.rows[rows.REFUND, c] + refund_shift + slope * depth
        )
        lane.rows[rows.PRICE, c] = np.floor(cells.rows[rows.VALUE, c] * value_factor + HALF)


@kernel
def free_impressions(cells, lane):
    """Expected free impressions: opportunities * logistic(eta + eta_Q Q + eta_kappa supply) (world
    2.2).
    """
    for c in range(rows.AD):
        reach = logistic(cells.rows[rows.EXPOSURE, c] + lane.rows[rows.LIFT, c])
        lane.rows[rows.MEAN_SEEN, c] = (
            cells.rows[rows.TRAFFIC, c] * lane.rows[rows.FACTOR, c] * reach
        )


@kernel
def displace(world, lane):
    """Dual track: a paid impression displaces a free one of its scene and segment with probability
    f (world 2.4).
    """
    for k in range(rows.N_SEGMENTS):
        for s in range(rows.N_SCENES):
            j = k * rows.N_SCENES + s
            natural = rows.NATURAL * rows.BLOCK + j
            transaction = rows.TRANSACTION * rows.BLOCK + j
            free = lane.rows[rows.MEAN_SEEN, natural] + lane.rows[rows.MEAN_SEEN, transaction]
            lost = world.cannibalisation[s] * lane.rows[rows.MEAN_SEEN, rows.AD + j]
            stay = ONE - min(lost / max(free, RARE), ONE)
            lane.rows[rows.MEAN_SEEN, natural] *= stay
            lane.rows[rows.MEAN_SEEN, transaction] *= stay


@kernel
def expected_coupon_cost(lane):
    """Fen of coupons the tick is expected to issue, both funders together."""
    total = ZERO
    for c in range(rows.N_LANES):
        coupons = (
            lane.rows[rows.MEAN_SEEN, c]
            * lane.rows[rows.CTR, c]
            * lane.rows[rows.CVR, c]
            * lane.rows[rows.USE, c]
        )
        total += coupons * np.floor(lane.rows[rows.PRICE, c] * lane.rows[rows.DEPTH, c] + HALF)
    return total


@kernel
def ration_coupons(cells, lane, keep):
    """Issue coupons to a share `keep` of the tick only: the rest of the users decide without one
    (world 2.10).
    """
    for c in range(rows.N_LANES):
        plain = logistic(cells.rows[rows.ORDER, c] + lane.rows[rows.URGE, c])
        mixed = keep * lane.rows[rows.CVR, c] + (ONE - keep) * plain
        lane.rows[rows.USE, c] = keep * lane.rows[rows.CVR, c] * lane.rows[rows.USE, c] / mixed
        lane.rows[rows.CVR, c] = mixed


@kernel
def thin(lane):
    """Means of the four thinned counts of every lane, from expected impressions in MEAN_SEEN."""
    for c in range(rows.N_LANES):
        shown = lane.rows[rows.MEAN_SEEN, c]
        click = shown * lane.rows[rows.CTR, c]
        order = click * lane.rows[rows.CVR, c]
        redeemed = order * lane.rows[rows.USE, c]
        lane.rows[rows.MEAN_SEEN, c] = shown - click
        lane.rows[rows.MEAN_CLICKED, c] = click - order
        lane.rows[rows.MEAN_ORDERED, c] = order - redeemed
        lane.rows[rows.MEAN_REDEEMED, c] = redeemed


@scalar
def levelled(world, effort):
    """A share of the effect of a service: the effort itself, or a concave curve from 0 to 1 (world
    2.6).
    """
    if world.service_curvature > ZERO:
        return world.service_scale * (ONE - exp32(-world.service_curvature * effort))
    return effort


@kernel
def order_shift(world, control, tier_appeal, event_shift):
    """What tiers, services and the calendar add to every order logit (world 2.6)."""
    return (
        tier_appeal
        + event_shift
        + world.insurance_lift * levelled(world, control[rows.LEVER_INSURANCE])
        + world.interest_lift * levelled(world, control[rows.LEVER_INTEREST])
    )


@kernel
def refund_shift(world, control, tier_refund):
    """What tiers and services add to every refund logit (world 2.7)."""
    return (
        tier_refund
        + world.refund_insurance * control[rows.LEVER_INSURANCE]
        - world.refund_service * levelled(world, control[rows.LEVER_SERVICE])
    )
