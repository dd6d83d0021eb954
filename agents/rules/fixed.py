"""Rules that do not look at results: nothing at all, and one fixed plan."""

import numpy as np

from ..policy import Reading
from .base import Memory, Rule
from .numbers import numbers


class DoNothing(Rule):
    """No ads, no coupons and no boost, as far as the task has levers for them; a task without
    coupon levers goes on granting coupons at their default, so that this rule sells more there than
    a no-op plan, the zero of every share above doing nothing (world 6).
    """

    shop_levers = ()

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Switch off bids, coupons and boost; the rest stays careful."""
        for name, column in self._column.items():
            if name.startswith(("bid", "coupon_", "boost")):
                action[:, column] = -1.0


class FixedBid(Rule):
    """One multiplier of the platform's value-based bid, all episode long; coupons paced to their
    budget.

    The truthful, unpaced bidder of the auto-bidding literature (Aggarwal et al. 2024, 2408.07685,
    survey).
    """

    common, defaults = numbers("FixedBid")

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Bid the constant."""
        self.bid(reading, action, self.multiplier * np.exp(self.lean(reading)))
