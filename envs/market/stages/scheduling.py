"""Pools scheduled together: free impressions moved over scenes and pools, and held for better hours
(world 2.2).

The platform shows a product so often for free. A plan may ask for these impressions elsewhere, at
the platform's exchange rate, or at other hours of the day. Where more are shown than usual their
users match worse: the best matches come first.
"""

import numpy as np

from ...kernels.compiled import kernel
from ...kernels.numerics import ONE, ZERO, exp32, log32
from .. import layout as rows

F = np.float32
RARE = F(1e-20)  # keeps a share from being divided by nothing
LEAST = F(1e-3)  # of the usual impressions: fewer match no better
MOST_CLICKS = F(0.95)  # click rate of the best matches


@kernel
def mix_pools(world, control, lane, scene):
    """S_SELECT of every free group: m = e^l sum(u K) / sum(u e^l K), at most `mix_most`, with u the
    usual impressions, l the levers and K the worth of an impression to an average merchant.
    """
    usual, moved = ZERO, ZERO
    for p in range(rows.N_FREE_POOLS):
        pool = control[rows.LEVER_MIX_NATURAL] if p == rows.NATURAL else ZERO
        for s in range(rows.N_SCENES):
            shown = ZERO
            for k in range(rows.N_SEGMENTS):
                shown += lane.rows[rows.MEAN_SEEN, p * rows.BLOCK + k * rows.N_SCENES + s]
            weight = exp32(world.mix_centre[p, s] + pool + control[rows.LEVER_MIX + s])
            scene.rows[rows.S_SELECT, p * rows.N_SCENES + s] = weight
            usual += shown * world.free_worth[p, s]
            moved += shown * world.free_worth[p, s] * weight
    rate = usual / max(moved, RARE)
    for g in range(rows.AD_GROUP):
        scene.rows[rows.S_SELECT, g] = min(scene.rows[rows.S_SELECT, g] * rate, world.mix_most)


@kernel
def pace_pools(world, state, tables, scene):
    """Times the pace of the pool, r L / H within [0, `pace_most`] and L / h: L is what of the day's
    usual impressions is still held, H and h the shares of a usual day that are ahead and in this
    tick. What is held at midnight is lost.
    """
    tick_of_day = state.tick % world.ticks_per_day
    if tick_of_day == 0:
        state.held[:] = ONE
    for p in range(rows.N_FREE_POOLS):
        for s in range(rows.N_SCENES):
            now = tables.hours[s, tick_of_day] / F(world.ticks_per_day)
            held = state.held[p, s]
            even = held / max(tables.ahead[s, tick_of_day], RARE)
            pace = min(state.control[rows.LEVER_PACE + p] * even, world.pace_most)
            pace = min(pace, held / max(now, RARE))
            state.held[p, s] = max(held - now * pace, ZERO)
            scene.rows[rows.S_SELECT, p * rows.N_SCENES + s] *= pace


@kernel
def select_free(world, cells, lane, scene):
    """Show S_SELECT times the usual free impressions, no more than there are opportunities, at
    S_MATCH = m^-eta times the usual click rate.
    """
    for g in range(rows.AD_GROUP):
        more = max(scene.rows[rows.S_SELECT, g], LEAST)
        scene.rows[rows.S_MATCH, g] = exp32(-world.match_cost * log32(more))
    for p in range(rows.N_FREE_POOLS):
        for k in range(rows.N_SEGMENTS):
            for s in range(rows.N_SCENES):
                c = p * rows.BLOCK + k * rows.N_SCENES + s
                g = p * rows.N_SCENES + s
                most = cells.rows[rows.TRAFFIC, c] * lane.rows[rows.FACTOR, c]
                shown = lane.rows[rows.MEAN_SEEN, c] * scene.rows[rows.S_SELECT, g]
                lane.rows[rows.MEAN_SEEN, c] = min(shown, most)
                lane.rows[rows.CTR, c] = min(
                    lane.rows[rows.CTR, c] * scene.rows[rows.S_MATCH, g], MOST_CLICKS
                )


@kernel
def usual_share(world, scene, g):
    """What an impression of free group g counts in a rate over the usual impressions: 1 / m, and
    what a click counts, 1 / (m S_MATCH), so that selection feeds no signal of quality (world 2.8).
    """
    if not world.pools_scheduled:
        return ONE, ONE
    more = scene.rows[rows.S_SELECT, g]
    if more < LEAST:
        return ZERO, ZERO
    return ONE / more, ONE / (more * scene.rows[rows.S_MATCH, g])
