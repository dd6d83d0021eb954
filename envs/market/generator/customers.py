"""The customers that a merchant starts with: those whom doing nothing keeps (world 2.13)."""

from ...kernels.compiled import kernel
from ...kernels.numerics import ZERO
from .. import layout as rows
from ..stages.scheduling import mix_pools, select_free
from .fluid_market import free_sales, start_fluid_market

LEAST_ORDERS = 1e-9


@kernel
def set_customers(plan, work, tables):
    """Usual customers and what the free pools settle in a day, without ads and coupons.

    At that number as many come to stay as leave, and the visits of customers are the share of free
    traffic that brings their repeat orders.
    """
    world, merchant, cells, state = plan
    for p in range(rows.N_POOLS):
        state.control[rows.LEVER_COUPON + p] = ZERO
    start_fluid_market(plan, work, tables)
    if world.pools_scheduled:
        mix_pools(world, state.control, work.lane, work.scene)
        select_free(world, cells, work.lane, work.scene)
    free = free_sales(work.lane, ZERO)
    kept = max(free.orders - free.at_risk, 0.0)
    merchant.customers = kept / (1.0 - world.repeat_keep)
    merchant.customers_waiting = kept / world.repeat_ready
    repeat_orders = merchant.customers * world.repeat_rate
    merchant.customer_share = repeat_orders / max(free.orders, LEAST_ORDERS)
    counted = 1.0 - world.counted_share * free.at_risk / max(free.orders, LEAST_ORDERS)
    per_day = world.ticks_per_day * counted
    merchant.free_settled[rows.NATURAL] = (free.gmv - free.gmv_transaction) * per_day
    merchant.free_settled[rows.TRANSACTION] = free.gmv_transaction * per_day
