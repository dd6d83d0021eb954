"""What holds whatever a policy does: the market of n merchants over T ticks."""

from typing import NamedTuple

import numpy as np

from ....envs.market import layout as rows

SCENE_OF_LANE = np.arange(rows.N_LANES) % rows.N_SCENES


class Given(NamedTuple):
    """Constants, merchants and the opportunities that will come."""

    constants: np.void  # WORLD record
    merchants: np.ndarray  # (n,) MERCHANT records
    cells: np.ndarray  # (n, rows, 48)
    traffic: np.ndarray  # (n, T, 48) opportunities, mean over the gamma factors
    levers: tuple[str, ...]  # those the policy sets
