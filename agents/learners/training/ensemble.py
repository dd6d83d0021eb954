"""Several networks trained separately, whose mean action is the policy's: the noise of one training
is averaged away.

Where a reward is mostly noise, trainings of the same settings end far apart, and their mean action
is better than any of them (bagging, Breiman 1996; of policies, Wiering & van Hasselt 2008).
Networks side by side are one wider network, so the artefact is as any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..saved_policy import SavedPolicy, load_policy
from ..settings import PPOSettings
from .progress import OnProgress, as_part
from .run import TrainingRun

STRIDE = 1_000_003  # between the seeds of networks: far more than there are markets in a batch
TrainNetwork = Callable[[TrainingRun, OnProgress | None], SavedPolicy]


def network_seed(seed: int, number: int) -> int:
    """The training seed of a network; the first has the run's own."""
    return seed + STRIDE * number


def train_ensemble(
    run: TrainingRun,
    settings: PPOSettings,
    train_network: TrainNetwork,
    on_progress: OnProgress | None = None,
) -> SavedPolicy:
    """Train the networks in folders of their own, each resumable by itself, and save their mean.

    Args:
        run: the whole training.
        settings: the run's.
        train_network: trains one of them.
        on_progress: called with the progress of the whole.

    Raises:
        KeyboardInterrupt: after saving the mean of the networks there are.
    """
    policies: list[SavedPolicy] = []
    for number, one in enumerate(_networks(run, settings)):
        try:
            part = as_part(on_progress, number * one.settings.steps, run.settings.steps)
            policies.append(train_network(one, part))
        except KeyboardInterrupt:
            # a training that is stopped before its first decision leaves no policy
            if (one.folder / "policy.json").is_file():
                policies.append(load_policy(one.folder))
            if policies:
                _save(policies, run, settings)
            raise
    return _save(policies, run, settings)


def _networks(run: TrainingRun, settings: PPOSettings) -> list[TrainingRun]:
    """The trainings of the single networks, each with an equal part of the steps."""
    part = max(1, settings.steps // settings.ensemble)
    alone = settings.model_copy(update={"ensemble": 1, "steps": part})
    return [
        replace(
            run,
            settings=alone,
            seed=network_seed(run.seed, number),
            folder=run.folder / f"network-{number}",
        )
        for number in range(settings.ensemble)
    ]


def _save(policies: list[SavedPolicy], run: TrainingRun, settings: PPOSettings) -> SavedPolicy:
    facts = {
        "seed": run.seed,
        "settings": settings.model_dump(),
        "ensemble": settings.ensemble,
        "steps": sum(policy.description["steps"] for policy in policies),
    }
    policy = merged(policies, policies[0].description | facts)
    policy.save(run.folder)
    return policy


def merged(policies: list[SavedPolicy], description: dict[str, Any]) -> SavedPolicy:
    """One policy whose output is the mean of the networks' outputs, before they are clipped.

    Hidden layers stand side by side: each is connected to its own network's only.

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
