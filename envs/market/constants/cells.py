"""The cells of an average merchant: what a scenario says about every lane (world 2.11)."""

import numpy as np

from ...interface.units import FEN_PER_CNY
from ...scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, WINDOWS, Scenario
from .. import layout as rows
from .entries import shares_of, values_of


def base_cells(s: Scenario) -> np.ndarray:
    """Cells of a merchant of size one without its own deviations: (CELL_ROWS, 48) float32, (pool,
    segment, scene) order.
    """
    cells = np.zeros((rows.CELL_ROWS, len(POOLS), len(SEGMENTS), len(SCENES)))
    share = shares_of(s.traffic.segments, SEGMENTS)[:, None]
    for p, pool in enumerate(POOLS):
        per_tick = np.array(values_of(getattr(s.traffic, pool), SCENES)) / s.clock.ticks_per_day
        cells[rows.TRAFFIC, p] = share * per_tick
        if pool in FREE_POOLS:
            cells[rows.EXPOSURE, p] = values_of(s.free_traffic.exposure[pool], SCENES)
        cells[rows.CLICK, p] = (
            np.array(values_of(s.click.scene, SCENES))
            + s.click.pool[pool]
            + np.array(values_of(s.click.segment, SEGMENTS))[:, None]
        )
        cells[rows.ORDER, p] = (
            np.array(values_of(s.order.scene, SCENES))
            + s.order.pool[pool]
            + np.array(values_of(s.order.segment, SEGMENTS))[:, None]
        )
    cells[rows.RESPONSE] = np.array(values_of(s.coupon.response, SEGMENTS))[:, None]
    cells[rows.REDEMPTION] = np.array(values_of(s.coupon.redemption, SEGMENTS))[:, None]
    refund = np.array(values_of(s.refund.scene, SCENES))
    cells[rows.REFUND] = np.log(refund / (1 - refund))
    cells[rows.VALUE] = np.array(values_of(s.order.value_factor, SEGMENTS))[:, None] * FEN_PER_CNY
    cells[rows.PRICE_MU] = (
        np.array(values_of(s.auction.cpm_log_mean, SCENES))
        + np.array(values_of(s.auction.segment_price, SEGMENTS))[:, None]
    )
    cells[rows.PRICE_SIGMA] = values_of(s.auction.cpm_log_sigma, SCENES)
    cells[rows.PREDICTION] = 1.0
    return cells.reshape(rows.CELL_ROWS, rows.N_LANES).astype(np.float32)


def free_worth(s: Scenario, base: np.ndarray) -> np.ndarray:
    """What a free impression of an average merchant is worth, (free pools, scenes) CNY: settled GMV
    less the commission of natural orders, at the levers' defaults without coupons (world 2.2).

    Args:
        s: the scenario.
        base: its `base_cells`.
    """
    shape = (-1, len(POOLS), len(SEGMENTS), len(SCENES))
    cells = base.astype(float).reshape(shape)[:, : len(FREE_POOLS)]
    refund = s.refund.insurance * s.services.insurance_default
    refund -= s.refund.service * s.services.service_default
    counted = shares_of(s.refund.shares, WINDOWS)[: WINDOWS.index(s.refund.window) + 1].sum()
    kept = 1 - counted * _logistic(cells[rows.REFUND] + refund)
    worth = _logistic(cells[rows.CLICK]) * _logistic(cells[rows.ORDER]) * cells[rows.VALUE] * kept
    share = shares_of(s.traffic.segments, SEGMENTS)
    by_group = np.einsum("pks,k->ps", worth, share) / FEN_PER_CNY
    by_group[rows.NATURAL] *= 1 - s.influencer.commission_natural
    return by_group


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))
