"""What a tick leaves to the next: quality, heat, creatives (world 2.8)."""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .levers import lever
from .straight_through import like

LEAST_ORDERS = 1e-6
SATURATED = 8.0
SCARCE = 1e-9


def smoothed(w: SimpleNamespace, old: Tensor, happened: Tensor, out_of: Tensor) -> Tensor:
    """Two smoothed sums one tick later, (2, n)."""
    return w.smooth_keep * old + (1 - w.smooth_keep) * torch.cat([happened, out_of])


def share(sums: Tensor) -> Tensor:
    """The rate that two smoothed sums stand for, (1, n)."""
    return sums[:1] / sums[1:].clamp_min(SCARCE)


def move_quality(
    w: SimpleNamespace,
    m: Merchants,
    s: Carried,
    ctr: Tensor,
    gpm: Tensor,
    risk: Tensor,
    ad_orders: Tensor,
) -> Tensor:
    """Quality one tick later, (f, n) (world 2.8)."""
    signal = torch.cat(
        [
            share(ctr) / m.ctr_reference.clamp_min(SCARCE),
            share(gpm) / m.gpm_reference.clamp_min(SCARCE),
        ]
    )
    signal = torch.tanh((signal - 1).clamp(-SATURATED, SATURATED))
    lift = ad_orders / m.ad_orders_reference.clamp_min(LEAST_ORDERS)
    change = (
        w.quality_speed * (signal - s.quality)
        + w.spill_over * lift
        - w.refund_penalty * (share(risk) - m.risk_reference)
    )
    return (s.quality + change).clamp(-w.quality_limit, w.quality_limit)


def move_tiers(w: SimpleNamespace, s: Carried, mix: Tensor) -> Tensor:
    """Heat one tick later, (j, n) (world 2.8)."""
    up = w.tier_growth * mix * s.heat
    rising, emerging = up[rows.TRENDING], up[rows.POTENTIAL]
    flow = torch.stack([rising, emerging - rising, w.tier_inflow - emerging])
    return s.heat * w.tier_keep + flow


class Creatives(NamedTuple):
    """The creative mix after a tick, (1, n) each."""

    quality: Tensor
    progress: Tensor
    coming: Tensor
    renewed: Tensor  # share of the mix that was refreshed
    fee: Tensor  # fen


def refresh_creatives(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor
) -> Creatives:
    """Work, order, wait and arrival of a creative (world 2.8); see the module on its derivative."""
    waiting = x.creative_wait >= 0
    wait = torch.where(waiting, x.creative_wait - w.hours_per_tick, x.creative_wait)
    arrived = waiting & (wait < 0)
    renewed = (w.creative_mix_share * (1 - w.creative_rejection)) * s.creative_coming * arrived
    quality = s.creative_quality + renewed * (max(w.creative_mean, 0.0) - s.creative_quality)
    work = lever(control, rows.LEVER_CREATIVE) * w.days_per_tick
    free = s.creative_progress < 1  # a finished one waits for the one before it to arrive
    worked = s.creative_progress + work * free
    progress = like(worked.clamp_max(1), worked)
    ordered = (progress >= 1) & (wait < 0)
    part = like(torch.ones_like(progress), progress)
    none = torch.zeros_like(progress)
    fee = (w.creative_fee * w.days_inverse) * m.budget + w.creative_fee_fixed
    return Creatives(
        quality,
        torch.where(ordered, none, progress),
        torch.where(ordered, part, s.creative_coming),
        renewed,
        torch.where(ordered, fee * part, none),
    )
