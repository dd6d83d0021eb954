"""What the dashboard does not show yet: orders and refunds that are still on their way.

Orders arrive hours after the click and refunds days after the order, so a reported ROI is late. How
late is public (Chapelle 2014; any merchant's own log shows it), so a rule may ask what share of
what was sold has been reported. Derived here from the delay law 35 % at once, half of the rest
through a compartment of 6 hours and half through one of 30.
"""

import numpy as np

from ...policy import Reading

AT_ONCE = 0.35
FAST_SHARE = 0.5
FAST_HOURS = 6.0
SLOW_HOURS = 30.0
LEAST = 1e-3
Memory = dict[str, np.ndarray]


def start_clock(reading: Reading) -> Memory:
    """Nothing on its way, no traffic seen; `traffic` is the share of the episode's traffic that the
    last tick carried.
    """
    n = len(reading)
    return {
        "traffic_before": reading["traffic_left"],
        "traffic": np.zeros(n),
        "seen": np.zeros(n),
        "late": np.zeros((n, 2)),
        "arrived": np.ones(n),
    }


def tell_time(reading: Reading, memory: Memory, hours: float) -> None:
    """Move the clock by one tick of `hours`: the last tick's traffic, and the share of
    traffic-paced sales that has arrived.
    """
    left = reading["traffic_left"]
    memory["traffic"] = np.clip(memory["traffic_before"] - left, 0.0, 1.0)
    memory["traffic_before"] = left
    memory["seen"] = np.clip(memory["seen"] + memory["traffic"], 0.0, 10.0)
    memory["late"] = np.clip(still_late(memory["late"], memory["traffic"], hours), 0.0, 10.0)
    memory["arrived"] = arrived_share(memory["late"], memory["seen"])


def still_late(late: np.ndarray, sold: np.ndarray, hours: float) -> np.ndarray:
    """Amounts on their way (..., 2: fast, slow) after a tick in which `sold` (...) was sold."""
    fast = (late[..., 0] + sold * (1 - AT_ONCE) * FAST_SHARE) * np.exp(-hours / FAST_HOURS)
    slow = (late[..., 1] + sold * (1 - AT_ONCE) * (1 - FAST_SHARE)) * np.exp(-hours / SLOW_HOURS)
    return np.stack([fast, slow], -1)


def arrived_share(late: np.ndarray, sold: np.ndarray) -> np.ndarray:
    """Share of all that was sold which has arrived; 1 where nothing was sold."""
    return np.where(
        sold > LEAST * LEAST,
        np.clip(1 - late.sum(-1) / np.maximum(sold, LEAST * LEAST), 0.2, 1.0),
        1.0,
    )


def expected_parts(
    reading: Reading, arrived: np.ndarray, delay: float, refund: float
) -> tuple[np.ndarray, np.ndarray]:
    """Settled GMV / (budget * target) and cost / budget when all that was sold so far has arrived
    and been refunded, (n,) each.

    Sales, and the costs that come with them, grow by 1 / arrived^delay; ad spend is known at once.
    `delay` 0 and `refund` 0 leave what is reported; delay 1 corrects for orders in full, and
    `refund` is the ratio of refunds still to come to those reported.
    """
    grow = arrived**-delay
    cost = np.clip(reading["cost_share"], 0.0, 10.0)
    spend = np.minimum(np.clip(1 - reading["budget_left"], 0.0, 1.0), cost)
    value = np.clip(reading["settled_share"], 0.0, 10.0) * np.clip(
        1 - refund * reading["refund_rate"], 0.2, 1.5
    )
    return value * grow, spend + (cost - spend) * grow


def expected_roi(reading: Reading, arrived: np.ndarray, delay: float, refund: float) -> np.ndarray:
    """ln(ROI / target), (n,) within plus or minus 3, from `expected_parts`; 0 before any cost."""
    value, cost = expected_parts(reading, arrived, delay, refund)
    known = (cost > LEAST * LEAST) & (value > LEAST * LEAST)
    return np.where(
        known, np.clip(np.log(np.maximum(value, LEAST**2) / np.maximum(cost, LEAST**2)), -3, 3), 0.0
    )
