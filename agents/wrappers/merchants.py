"""Scales of merchants that several wrappers divide by."""

import numpy as np


def plan_scale(merchants: np.ndarray) -> np.ndarray:
    """The plan's size, budget * roi_target of each merchant, (n,) float64 in fen."""
    return merchants["budget"] * merchants["roi_target"].astype(float)
