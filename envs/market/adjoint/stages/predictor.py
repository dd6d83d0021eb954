"""The platform's predictor, which learns from reports (world 2.3)."""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from ... import layout as rows
from ..carried import Carried, Tensor
from ..constants import Merchants
from ..given import Given
from .demand import Terms
from .orders import Orders

AD = rows.PAID


class Evidence(NamedTuple):
    """What the predictor knows of the ads after a tick (world 2.3)."""

    reported: Tensor  # (s, n)
    expected: Tensor  # (s, n)
    waiting: Tensor  # ad orders on their way, (delays * s, n)


def correction(w: SimpleNamespace, s: Carried, x: Given) -> Tensor:
    """Factor on the predicted worth of a scene's ads, (s, n)."""
    reported = w.prior_orders + x.remembered * s.evidence_reported
    return reported / (w.prior_orders + x.remembered * s.evidence_expected)


def learn_from_reports(
    w: SimpleNamespace, m: Merchants, s: Carried, x: Given, terms: Terms, sales: Orders
) -> Evidence:
    """Ad orders as they are reported, and as the tick's clicks let expect them."""
    placed = sales.orders[AD]  # (s, n)
    waiting = s.pending_ad_orders.reshape(rows.N_DELAYS, rows.N_SCENES, -1)
    later = (1 - w.at_once) * placed
    waiting = waiting + torch.stack([later * w.fast_share, later * (1 - w.fast_share)])
    due = waiting * torch.maximum(w.release, x.last)[:, None]
    waiting = (waiting - due).flatten(0, 1)
    if not w.predictor_learns:
        return Evidence(s.evidence_reported, s.evidence_expected, waiting)
    arrived = w.at_once * placed + due.sum(0)
    hoped = (sales.clicks[AD] * sales.cvr[AD] * m.prediction).sum(0)
    keep = w.evidence_keep * x.remembered
    return Evidence(
        keep * s.evidence_reported + arrived,
        keep * s.evidence_expected + hoped,
        waiting,
    )
