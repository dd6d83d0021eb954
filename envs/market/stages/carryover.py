"""What lasts from tick to tick: shocks, pressure, fatigue, quality, influencers, tiers and
creatives (world 2.8).
"""

import numpy as np

from ...kernels.compiled import kernel, scalar
from ...kernels.numerics import (
    ONE,
    ZERO,
    exp32,
    log32,
    normal_quantile,
    quantile_curve,
    quantile_shape,
)
from ...kernels.streams import SLOT_CREATIVE, SLOT_JUMPS, SLOT_NOISE, fill_row, tick_key
from .. import layout as rows
from .demand import LEAST_COMMISSION, tier_exposure

F = np.float32
SCARCE = F(1e-9)  # keeps a rate from being divided by nothing
LEAST_ORDERS = F(1e-6)
SATURATED = F(8)  # beyond it tanh is 1 in float32 all but for rounding
NO_CREATIVE = F(-1)  # hours to wait: none is ordered


@kernel
def draw_noise(world, key, scene, lane):
    """Normal draws of the tick: 4 demand and 4 price innovations (S_NOISE, first 8) and 12 gamma
    factors (S_DISPERSION).

    A gamma factor of mean 1 and squared variation v makes Poisson counts negative binomial; it is
    drawn by the Wilson-Hilferty cube (1 - v/9 + z sqrt(v)/3)^3, whose mean and variance are right
    to O(v^2). All 48 lanes are drawn and 20 used: LLVM would unroll a shorter loop and keep it
    scalar.
    """
    fill_row(key, SLOT_NOISE, lane, rows.UNIFORM)
    for j in range(rows.N_LANES):
        lane.rows[rows.TERM, j] = quantile_curve(lane.rows[rows.UNIFORM, j])
    for j in range(rows.N_LANES):
        lane.rows[rows.REST, j] = quantile_shape(
            lane.rows[rows.UNIFORM, j], lane.rows[rows.TERM, j]
        )
    v = world.dispersion
    centre = ONE - v / F(9)
    root = np.sqrt(v) / F(3)
    for j in range(2 * rows.N_SCENES):
        scene.rows[rows.S_NOISE, j] = lane.rows[rows.REST, j]
    for g in range(rows.N_GROUPS):
        cube = max(centre + root * lane.rows[rows.REST, 2 * rows.N_SCENES + g], ZERO)
        scene.rows[rows.S_DISPERSION, g] = cube * cube * cube


@kernel
def move_shocks(world, state, scene):
    """AR(1) demand shock, and xi' = phi xi + eps + a * own share of voice (world 2.1, 2.3)."""
    for s in range(rows.N_SCENES):
        state.demand_shock[s] = (
            world.demand_keep * state.demand_shock[s]
            + world.demand_noise * scene.rows[rows.S_NOISE, s]
        )
        state.price_shock[s] = (
            world.price_keep * state.price_shock[s]
            + world.price_noise * scene.rows[rows.S_NOISE, rows.N_SCENES + s]
            + world.price_reaction * state.voice[s]
        )


@kernel
def jump(world, state, lane):
    """Each hidden state jumps with its chance and is drawn anew, else it stays (world 2.1). The
    stream is the path's own, so that the same jumps can be met with any other noise.
    """
    fill_row(tick_key(state.path_key, state.tick), SLOT_JUMPS, lane, rows.UNIFORM)
    for j in range(rows.N_JUMPS):
        if lane.rows[rows.UNIFORM, j] < world.jump_chance:
            drawn = normal_quantile(lane.rows[rows.UNIFORM, rows.N_LANES // 2 + j])
            state.jump[j] = world.jump_sd[j] * drawn


@kernel
def wear(world, state, merchant, lane, scene, group):
    """Share of voice, exposure of the creative mix per audience member, and user pressure (world
    2.3, 2.5).
    """
    for s in range(rows.N_SCENES):
        state.voice[s] = scene.rows[rows.S_SHOWN, s] / max(scene.rows[rows.S_AUCTIONS, s], ONE)
        seen = (
            group.rows[rows.G_IMPRESSIONS, s]
            + group.rows[rows.G_IMPRESSIONS, rows.N_SCENES + s]
            + group.rows[rows.G_IMPRESSIONS, rows.AD_GROUP + s]
        )
        state.exposure[s] += F(seen) / merchant.audience_scene[s]
    for k in range(rows.N_SEGMENTS):
        shown = ZERO
        for s in range(rows.N_SCENES):
            c = rows.AD + k * rows.N_SCENES + s
            shown += lane.rows[rows.SHOWN, c]
        state.pressure[k] = (
            world.pressure_keep * state.pressure[k] + shown / merchant.audience_segment[k]
        )


@kernel
def bounded_signal(value, reference):
    """tanh(value / reference - 1)."""
    x = min(max(value / max(reference, SCARCE) - ONE, -SATURATED), SATURATED)
    e = exp32(F(2) * x)
    return (e - ONE) / (e + ONE)


@scalar
def smoothed(rate):
    """A smoothed rate from its two sums, see `layout.HAPPENED`."""
    return rate[rows.HAPPENED] / max(rate[rows.OUT_OF], SCARCE)


@kernel
def move_quality(world, state, merchant, group):
    """Q' = Q + delta (tanh(signal/ref - 1) - Q) + psi * paid orders/ref - zeta * excess refunds
    (world 2.8).

    The natural pool listens to the click rate, the transaction pool to GMV per thousand; both
    smoothed as on the dashboard.
    """
    paid_orders = ZERO
    for s in range(rows.N_SCENES):
        paid_orders += F(group.rows[rows.G_ORDERS, rows.AD_GROUP + s])
    lift = paid_orders / max(merchant.ad_orders_reference, LEAST_ORDERS)
    excess = smoothed(state.smooth_risk) - merchant.risk_reference
    ctr = smoothed(state.smooth_ctr[rows.NATURAL])
    gpm = smoothed(state.smooth_gpm[rows.TRANSACTION])
    for p in range(rows.N_FREE_POOLS):
        signal = (
            bounded_signal(ctr, merchant.ctr_reference)
            if p == rows.NATURAL
            else bounded_signal(gpm, merchant.gpm_reference)
        )
        change = (
            world.quality_speed * (signal - state.quality[p])
            + world.spill_over[p] * lift
            - world.refund_penalty * excess
        )
        state.quality[p] = min(
            max(state.quality[p] + change, -world.quality_limit), world.quality_limit
        )


@kernel
def move_influencers(world, state, control):
    """Supply follows ln(commission / reference) at its own speed (world 2.2)."""
    offered = log32(
        max(control[rows.LEVER_COMMISSION_NATURAL], F(LEAST_COMMISSION))
        / world.commission_reference
    )
    state.supply += world.influencer_speed * (offered - state.supply)


@kernel
def move_tiers(world, state, control):
    """Heat flows potential -> trending -> hot with exposure, ages, and new products come in (world
    2.8).
    """
    total = tier_exposure(world, control)
    hot = state.heat[rows.HOT]
    trending = state.heat[rows.TRENDING]
    potential = state.heat[rows.POTENTIAL]
    rising = (
        world.tier_growth
        * exp32(world.log_mix[rows.TRENDING] + control[rows.LEVER_TIER + rows.TRENDING])
        / total
        * trending
    )
    emerging = (
        world.tier_growth
        * exp32(world.log_mix[rows.POTENTIAL] + control[rows.LEVER_TIER + rows.POTENTIAL])
        / total
        * potential
    )
    state.heat[rows.HOT] = hot * world.tier_keep[rows.HOT] + rising
    state.heat[rows.TRENDING] = trending * world.tier_keep[rows.TRENDING] + emerging - rising
    state.heat[rows.POTENTIAL] = (
        potential * world.tier_keep[rows.POTENTIAL] + world.tier_inflow - emerging
    )


@kernel
def receive_creative(world, state, key, lane, sampled):
    """The creative that was waited for: drawn, perhaps rejected, and taken into the mix."""
    fill_row(key, SLOT_CREATIVE, lane, rows.UNIFORM)
    share = world.creative_mix_share
    drawn = world.creative_mean
    if sampled:
        drawn += world.creative_sd * normal_quantile(lane.rows[rows.UNIFORM, 0])
        rejection = lane.rows[rows.UNIFORM, rows.N_LANES // 2]
        share = ZERO if rejection < world.creative_rejection else share
    else:
        share *= ONE - world.creative_rejection
    state.creative_quality += share * (max(drawn, ZERO) - state.creative_quality)
    for s in range(rows.N_SCENES):
        state.exposure[s] *= ONE - share


@kernel
def refresh_creatives(world, state, key, lane, sampled):
    """Work adds up to a creative, which costs its fee, takes time, may be rejected, and joins the
    mix (world 2.8).
    """
    if state.creative_wait >= ZERO:
        state.creative_wait -= world.hours_per_tick
        if state.creative_wait < ZERO:
            state.creative_wait = NO_CREATIVE
            receive_creative(world, state, key, lane, sampled)
    work = state.control[rows.LEVER_CREATIVE] * world.days_per_tick
    state.creative_progress = min(state.creative_progress + work, ONE)
    if state.creative_progress >= ONE and state.creative_wait < ZERO:
        state.creative_progress = ZERO
        state.creative_wait = world.creative_delay
        state.ledger[rows.L_CREATIVE] += np.floor(
            world.creative_fee * state.budget * world.days_inverse + world.creative_fee_fixed + 0.5
        )
