"""Coupon rules: the same depth for everybody, paced to the coupon budget."""

import numpy as np

from ..policy import Reading
from .base import Memory
from .pacing import PID


class UniformCoupon(PID):
    """One coupon depth for every pool and segment, as deep as the coupon budget lasts; bids by PID.

    The uniform policy that personalised allocation is measured against (BCORLE(lambda), NeurIPS 2021).
    """

    common = PID.common | {"depth": 0.08, "coupon_gain": 0.12}

    def decide(self, reading: Reading, memory: Memory, action: np.ndarray) -> None:
        """Bid by PID and keep every segment's tilt at one."""
        super().decide(reading, memory, action)
        for name, column in self._column.items():
            if name.startswith("tilt_"):
                action[:, column] = 0.0
