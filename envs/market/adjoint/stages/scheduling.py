"""Pools scheduled together: mix and pace of free traffic (world 2.2)."""

from types import SimpleNamespace
from typing import Any, NamedTuple

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .demand import Terms
from .levers import lever

AD = rows.PAID
LEAST_SELECT = 1e-3
MOST_CLICKS = 0.95
RARE = 1e-20


class Selection(NamedTuple):
    """Free impressions over the usual ones, (f, s, n) each."""

    more: Tensor
    match: Tensor  # their click rate over the usual one
    held: Tensor  # of the day's usual impressions after the tick


def schedule(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, control: Tensor, usual: Tensor
) -> Selection:
    """Mix over scenes and pools, and pace over the day, of usual impressions (f, s, n)."""
    natural = lever(control, rows.LEVER_MIX_NATURAL)
    pool = torch.stack([natural, torch.zeros_like(natural)])  # (f, 1, n)
    weight = torch.exp(w.mix_centre + pool + lever(control, rows.LEVER_MIX, rows.N_SCENES))
    worth = usual * w.free_worth
    rate = worth.sum((0, 1)) / (worth * weight).sum((0, 1)).clamp_min(RARE)
    mixed = (weight * rate).clamp_max(w.mix_most)
    held = s.held.reshape(rows.N_FREE_POOLS, rows.N_SCENES, -1)
    held = torch.where(x.same_day > 0, held, torch.ones_like(held))
    even = held / x.hours_ahead.clamp_min(RARE)
    release = lever(control, rows.LEVER_PACE, rows.N_FREE_POOLS)[:, None] * even
    pace = torch.minimum(release.clamp_max(w.pace_most), held / x.hour_share.clamp_min(RARE))
    more = mixed * pace
    match = more.clamp_min(LEAST_SELECT) ** -w.match_cost
    return Selection(more, match, (held - x.hour_share * pace).clamp_min(0))


def as_usual(w: SimpleNamespace, chosen: "Selection | None") -> tuple[Any, Any]:
    """What an impression and a click count in rates over usual impressions, (f, s, n) (world
    2.8).
    """
    if chosen is None:
        return 1.0, 1.0
    known = chosen.more >= LEAST_SELECT
    impression = torch.where(known, 1 / chosen.more.clamp_min(LEAST_SELECT), 0)
    return impression, impression / chosen.match


def selected(terms: Terms, chosen: "Selection | None") -> Terms:
    """Click rates of the free pools where more or fewer than the usual impressions are shown."""
    if chosen is None:
        return terms
    free = (terms.ctr[:AD] * chosen.match[:, None]).clamp_max(MOST_CLICKS)
    return terms._replace(ctr=torch.cat([free, terms.ctr[AD:]]))
