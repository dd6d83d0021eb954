"""The scenario's constants and the merchants as tensors, under the names of world 2."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch

from ...interface.levers import LEVER_NAMES
from .. import layout as rows
from ..engine import Market

Tensor = torch.Tensor


class Merchants(NamedTuple):
    """What is particular to n merchants, along the last axis. Cells are (pools, segments, scenes,
    n); a constant along an axis has length 1 there. Money in fen.
    """

    budget: Tensor  # (1, n), as the others without a shape; of its first plan, as the next two
    coupon_budget: Tensor
    roi_target: Tensor
    margin: Tensor
    audience_scene: Tensor  # (scenes, n)
    audience_segment: Tensor  # (segments, n)
    gpm_reference: Tensor
    ctr_reference: Tensor
    risk_reference: Tensor
    ad_orders_reference: Tensor
    hour_cos: Tensor  # (pools, n), and the next
    hour_sin: Tensor
    customers: Tensor  # usual ones, and the next two
    customers_waiting: Tensor
    customer_share: Tensor  # repeat orders among free orders
    free_settled: Tensor  # (free pools, n), fen in a day without ads and coupons
    start_quality: Tensor  # (free pools, n)
    start_creative: Tensor
    traffic: Tensor
    exposure: Tensor  # free pools
    click: Tensor
    order: Tensor
    response: Tensor
    redemption: Tensor
    refund: Tensor
    value: Tensor
    price_mu: Tensor  # ad pool: (segments, scenes, n)
    price_sigma: Tensor
    prediction: Tensor
    strictness: Tensor  # factor on the target by which plans are judged


FREE = slice(0, rows.N_FREE_POOLS)
# Row and pools of every cell constant of `Merchants`.
CELLS = {
    "traffic": (rows.TRAFFIC, slice(None)),
    "exposure": (rows.EXPOSURE, FREE),
    "click": (rows.CLICK, slice(None)),
    "order": (rows.ORDER, slice(None)),
    "response": (rows.RESPONSE, slice(None)),
    "redemption": (rows.REDEMPTION, slice(None)),
    "refund": (rows.REFUND, slice(None)),
    "value": (rows.VALUE, slice(None)),
    "price_mu": (rows.PRICE_MU, rows.PAID),
    "price_sigma": (rows.PRICE_SIGMA, rows.PAID),
    "prediction": (rows.PREDICTION, rows.PAID),
}


def merchants_of(market: Market, dtype: torch.dtype, device: Any) -> Merchants:
    """The merchants that a market has drawn."""
    tensors = {}
    for name in Merchants._fields:
        if name == "strictness":
            values = np.ones((market.num_envs, 1))
        elif name in CELLS:
            row, pools = CELLS[name]
            shape = (-1, rows.N_POOLS, rows.N_SEGMENTS, rows.N_SCENES)
            values = _narrow(market.cells[:, row].reshape(shape)[:, pools])
        else:
            values = market.merchants[name].reshape(market.num_envs, -1)
        last = np.ascontiguousarray(np.moveaxis(values, 0, -1))
        tensors[name] = torch.as_tensor(last, dtype=dtype, device=device)
    return Merchants(**tensors)


def _narrow(cells: np.ndarray) -> np.ndarray:
    """Cells (n, ...) with every axis along which they are constant cut to length 1."""
    for axis in range(1, cells.ndim):
        first = cells.take([0], axis)
        cells = first if (cells == first).all() else cells
    return cells


def constants_of(market: Market, dtype: torch.dtype, device: Any) -> SimpleNamespace:
    """The scenario's constants: numbers as Python's own, arrays as tensors (length, 1)."""
    record = market.world.constants[0]
    assert record.dtype.names is not None
    index = [LEVER_NAMES.index(name) for name in market.levers]
    values = {
        name: torch.as_tensor(record[name].copy(), device=device)
        if record.dtype[name].shape
        else record[name].item()
        for name in record.dtype.names
    }
    for name, value in values.items():
        if isinstance(value, Tensor) and value.is_floating_point():
            values[name] = value.to(dtype)
        if isinstance(value, Tensor):
            values[name] = values[name][..., None]  # against markets
    per_lever = [name for name in values if name.startswith("lever_") and name != "lever_default"]
    for name in per_lever:  # of the levers that are controlled; the defaults of all are needed
        values[name] = values[name][index]
    return SimpleNamespace(
        **values,
        noop=market.noop,
        release=torch.tensor(
            [[values["fast_release"]], [values["slow_release"]]], dtype=dtype, device=device
        ),
        levers=torch.tensor(index, device=device),
        is_log=values["lever_kind"] == rows.LOGARITHMIC,
    )
