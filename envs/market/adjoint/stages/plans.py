"""Several plans of one merchant in one episode (world 2.12)."""

from types import SimpleNamespace

import torch

from ..carried import Carried
from ..constants import Merchants
from ..given import Given
from ..outcome import protection, target_met

# What begins anew with a plan.
OF_A_PLAN = (
    "spend",
    "day_spend",
    "scene_spend",
    "boost_spend",
    "coupon_committed",
    "settled",
    "gmv",
    "cost",
    "profit",
    "platform",
    "placed",
)


def next_plan(w: SimpleNamespace, m: Merchants, s: Carried, x: Given) -> Carried:
    """The carried quantities after a tick, a plan closed and the next one opened where one is
    over.
    """
    if w.plans == 1:
        return s
    over = x.plan_over > 0
    met = target_met(w, m, s)
    repaid = protection(w, m, s)
    brought = {
        "season_score": s.settled * (met * met),
        "season_settled": s.settled,
        "season_profit": s.profit + repaid,
        "season_platform": s.platform - repaid,
    }
    changed = {
        name: getattr(s, name) + torch.where(over, value, 0) for name, value in brought.items()
    }
    changed |= {name: torch.where(over, 0, getattr(s, name)) for name in OF_A_PLAN}
    return s._replace(**changed)
