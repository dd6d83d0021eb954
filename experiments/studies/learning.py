"""What learning adds to a regime: a small PPO that corrects PID, trained in each, played in both,
beside agents that need no training.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...envs import Scenario, Setting
from ...envs.scenario.validation import merged
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from ..trainings import training_options
from .arenas.arena import Arena, Plans
from .outputs import Size
from .paired import paired_iqm

TRAINING = training_options("regimes")
RULE: str = TRAINING["training_env"]["rule"]


class TrainedScore(NamedTuple):
    """Score of an agent in one regime, in scores of doing nothing."""

    trained: str  # regime it was trained in, or "-"
    played: str
    agent: str
    seed: int | None  # of training
    level: Interval
    over_rule: Interval  # above the rule it corrects, on the same merchants


def train_in_each(
    worlds: dict[str, Scenario],
    levers: tuple[str, ...],
    size: Size,
    parameters: dict[str, float],
    play_others: Callable[[Arena], dict[str, Plans]],
) -> list[TrainedScore]:
    """Train in every world, play each policy in every world, and the untrained agents beside them
    on the same merchants.

    Args:
        worlds: where to train and play.
        levers: what is controlled.
        size: steps of training, merchants and days.
        parameters: of the PID that is corrected, the very one that plays beside the learner.
        play_others: plays the untrained agents in an arena.
    """
    from ...agents.learners.settings import PPOSettings
    from ...agents.learners.training import train

    settings = PPOSettings.model_validate(
        merged(
            TRAINING,
            {"steps": size.learner_steps, "training_env": {"rule_parameters": parameters}},
        )
    )
    with tempfile.TemporaryDirectory() as folder:
        policies = {
            (name, seed): train(
                settings,
                Setting(world, levers, size.days, "train"),
                seed,
                Path(folder) / f"{name} {seed}",
            )
            for name, world in worlds.items()
            for seed in range(size.learner_seeds)
        }
    seeds = np.arange(TEST_SEED, TEST_SEED + size.episodes)
    found = []
    for name, world in worlds.items():
        arena = Arena(Setting(world, levers, size.days), seeds)
        unit = arena.noop()["score"]
        agents: dict[tuple[str, str, int | None], Plans] = {
            ("-", agent, None): plans for agent, plans in play_others(arena).items()
        }
        agents |= {
            (trained, "PPO", seed): arena.play(policy)
            for (trained, seed), policy in policies.items()
        }
        rule = agents[("-", RULE, None)]["score"]
        found += [
            TrainedScore(
                trained,
                name,
                agent,
                seed,
                paired_iqm(plans["score"], 0 * unit, unit),
                paired_iqm(plans["score"], rule, unit),
            )
            for (trained, agent, seed), plans in agents.items()
        ]
    return found
