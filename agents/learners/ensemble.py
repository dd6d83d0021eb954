"""Several networks trained apart, whose mean acts: what the luck of one training adds is averaged
away.

Where a reward is mostly luck, trainings of the same settings end far apart, and their mean action
is better than any of them (bagging, Breiman 1996; of policies, Wiering & van Hasselt 2008).
Networks side by side are one wider network, so the artefact is as any other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .saved_policy import SavedPolicy

STRIDE = 1_000_003  # between the seeds of members: far more than there are markets in a batch


def member_seed(seed: int, member: int) -> int:
    """The training seed of a member; the first has the run's own."""
    return seed + STRIDE * member


def merged(policies: list[SavedPolicy], description: dict[str, Any]) -> SavedPolicy:
    """One policy whose output is the mean of the members' outputs, before they are clipped.

    Hidden layers stand side by side: each is connected to its own member's only.

    Args:
        policies: with as many layers each, all read the same inputs.
        description: of the merged policy.
    """
    *hidden, last = zip(*(policy.layers for policy in policies), strict=True)
    layers = []
    for i, pairs in enumerate(hidden):
        weights, biases = zip(*pairs, strict=True)
        layers.append(
            (np.concatenate(weights) if i == 0 else _diagonal(weights), np.concatenate(biases))
        )
    weights, biases = zip(*last, strict=True)
    mean = np.concatenate(weights, 1) / len(policies) if hidden else np.mean(weights, 0)
    layers.append((mean, np.mean(biases, 0)))
    return SavedPolicy(
        [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers], description
    )


def _diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """The blocks down the diagonal of an else empty matrix."""
    ends = np.cumsum([block.shape for block in blocks], 0)
    whole = np.zeros(tuple(ends[-1]), blocks[0].dtype)
    for (row, column), block in zip(ends, blocks, strict=True):
        whole[row - block.shape[0] : row, column - block.shape[1] : column] = block
    return whole
