"""What the shop is worth above its start when the episode ends (world 2.14).

Each lasting quantity fades at its own pace, so what it will still bring is, to first order, what it
adds to a day's settled GMV of the free pools times the days that it lasts.
"""

import numpy as np

from ...kernels.compiled import kernel
from ...kernels.numerics import ZERO, exp32
from .. import layout as rows
from .customers import LEAST_CUSTOMERS
from .demand import LN2

F = np.float32


@kernel
def appeal_left(world, quality, exposure, coming):
    """Appeal of the creative mix in one scene once the creatives under way have joined it."""
    faded = world.creative_gain * quality * exp32(-LN2 * exposure * world.fatigue_rate)
    fresh = world.creative_gain * world.creative_mean
    share = world.creative_mix_share * (F(1) - world.creative_rejection)
    return faded + coming * share * (fresh - faded)


@kernel
def left_over(world, state, merchant):
    """Settled GMV that the state of the shop will bring beyond what its start would, fen."""
    usual = max(merchant.customers, LEAST_CUSTOMERS)
    more = state.customers - merchant.customers
    more += state.customers_waiting - merchant.customers_waiting
    coming = state.creative_progress + (F(1) if state.creative_wait >= ZERO else ZERO)
    fresher = 0.0
    for s in range(rows.N_SCENES):
        now = appeal_left(world, state.creative_quality, state.exposure[s], coming)
        start = appeal_left(world, merchant.start_creative, world.start_exposure, ZERO)
        fresher += np.float64(now - start) / rows.N_SCENES
    common = world.left_customers * merchant.customer_share * more / usual * world.repeat_days
    common += world.left_creatives * fresher * world.creative_days
    value = 0.0
    for p in range(rows.N_FREE_POOLS):
        better = np.float64(state.quality[p] - merchant.start_quality[p])
        days = common + world.left_quality * world.quality_lift[p] * better * world.quality_days
        supply = np.float64(world.influencer_lift[p] * state.supply)
        days += world.left_supply * supply * world.supply_days
        value += merchant.free_settled[p] * days
    return value


@kernel
def left_profit(world, state, merchant):
    """What the merchant keeps of it: the margin less the fee, fen."""
    return state.left_over * (np.float64(merchant.margin) - world.fee)
