"""Tables of a scenario as arrays in the engine's order."""

from typing import Any

import numpy as np


def values_of(table: dict[Any, float], keys: tuple[str, ...]) -> list[float]:
    """The entries of a scenario's table in the engine's order."""
    return [table[key] for key in keys]


def shares_of(table: dict[Any, float], keys: tuple[str, ...]) -> np.ndarray:
    """The same as shares that sum to one, (len(keys),) float64."""
    values = np.array(values_of(table, keys), float)
    return values / values.sum()
