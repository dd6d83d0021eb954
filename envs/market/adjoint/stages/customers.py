"""Customers who come back (world 2.13)."""

from types import SimpleNamespace

import torch

from ...stages.customers import LEAST_CUSTOMERS
from ..carried import Carried, Tensor
from ..constants import Merchants


def come_back(m: Merchants, s: Carried) -> Tensor:
    """Factor on the opportunities of every pool, (p, 1, 1, n); 1 for ads."""
    usual = m.customers.clamp_min(LEAST_CUSTOMERS)
    factor = 1 + m.customer_share * (s.customers / usual - 1)
    return torch.stack([factor, factor, torch.ones_like(factor)])[:, None]


def win_customers(w: SimpleNamespace, s: Carried, kept: Tensor) -> tuple[Tensor, Tensor]:
    """Customers to be and customers one tick later, (1, n) each, from arrivals that are kept."""
    if not w.customers_count:
        return s.customers_waiting, s.customers
    ready = s.customers_waiting * w.repeat_ready
    return s.customers_waiting + kept - ready, s.customers * w.repeat_keep + ready
