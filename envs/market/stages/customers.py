"""Customers: who has bought and kept the goods comes back later (world 2.13)."""

import numpy as np

from ...kernels.compiled import kernel
from .. import layout as rows

F = np.float32
LEAST_CUSTOMERS = 1e-9  # keeps a ratio from being divided by nothing


@kernel
def come_back(state, merchant, scene):
    """Opportunities of the free pools, more where there are more customers than usual: factor 1 +
    share * (customers / usual - 1).
    """
    usual = max(merchant.customers, LEAST_CUSTOMERS)
    factor = F(1.0 + merchant.customer_share * (state.customers / usual - 1.0))
    for g in range(rows.AD_GROUP):
        scene.rows[rows.S_DISPERSION, g] *= factor


@kernel
def win_customers(world, state, group):
    """Buyers whose goods have arrived, and will not be sent back, wait and then become customers,
    who leave in the end.
    """
    kept = 0.0
    for g in range(rows.N_GROUPS):
        kept += group.rows[rows.G_IN_ORDERS, g] - group.rows[rows.G_RETURNS, g]
    ready = state.customers_waiting * world.repeat_ready
    state.customers_waiting += kept - ready
    state.customers = state.customers * world.repeat_keep + ready
