"""The score of a plan, and the ROI that its target speaks of (world 6).

The functions take numbers in compiled code and arrays in numpy, in any one unit of money.
"""

from typing import Any

import numpy as np

from ..interface.feedback import NET_ROI, OVERALL_ROI
from ..kernels.compiled import shared

LEAST = 1e-9  # a cost at most this is no cost
TOLERANCE = 0.98  # an ROI below this share of the target violates it (world 6)


@shared
def roi_parts(roi_kind: Any, settled: Any, gmv: Any, cost: Any, spend: Any) -> tuple[Any, Any]:
    """Numerator and denominator of the ROI that the target speaks of.

    Args:
        roi_kind: code of `ROI_KINDS`: overall, net or pay.
        settled: settled GMV.
        gmv: GMV.
        cost: overall cost.
        spend: ad spend.

    Returns:
        (settled, cost), (settled, spend) or (gmv, spend).
    """
    if roi_kind == OVERALL_ROI:
        return settled, cost
    if roi_kind == NET_ROI:
        return settled, spend
    return gmv, spend


@shared
def score_unit(settled: Any, scored: Any, budget: Any, roi_target: Any, floor: Any) -> Any:
    """What a plan's score is measured in, from the plan that does nothing on the same merchant and
    random numbers.

    Args:
        settled: settled GMV of doing nothing.
        scored: its score.
        budget: the plan's budget.
        roi_target: what the merchant asks for.
        floor: share of budget times target below which the unit does not fall; 0 makes the score
            of doing nothing the unit.
    """
    largest = np.maximum(settled, floor * budget * roi_target)
    return largest * (floor > 0) + scored * (floor <= 0)


@shared
def target_met(value: Any, cost: Any, roi_target: Any) -> Any:
    """min(1, ROI / target): the share of the ROI target that is reached; 1 without any cost.

    Args:
        value: numerator of the ROI, not negative.
        cost: its denominator.
        roi_target: what the merchant asks for.
    """
    wanted = roi_target * cost
    met = np.minimum(1.0, value / np.maximum(wanted, LEAST))
    return np.maximum(met, wanted <= LEAST)


@shared
def score(settled: Any, value: Any, cost: Any, roi_target: Any) -> Any:
    """settled * min(1, (ROI / target)^2), in the unit of `settled`.

    Args:
        settled: settled GMV.
        value: numerator of the ROI, see `roi_parts`.
        cost: its denominator.
        roi_target: what the merchant asks for.
    """
    met = target_met(value, cost, roi_target)
    return settled * (met * met)
