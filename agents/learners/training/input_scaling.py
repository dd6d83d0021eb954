"""Inputs of a network brought to one standard deviation."""

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from ..settings import SCALE_MARKETS, PPOSettings
from .run import TrainingRun
from .training_env import make_training_env

SCALE_SEED = 500_000  # train streams of the episodes that inputs are measured over
LEAST_SPREAD = 0.02  # inputs that hardly move are not blown up


def scale_inputs(model: BaseAlgorithm, run: TrainingRun) -> None:
    """Bring all inputs of actor and critic to mean 0 and one standard deviation, measured over an
    episode without any shift: `input_spread`, or 1 for an actor that is APG's network. Nothing is
    done where settings ask for neither.

    Features are on natural scales: the weekday moves by 0.7, the coupon budget by 0.03. How
    strongly an actor's output first varies with an input, and how fast that is learned, goes with
    its scale. An interrupted training measures the same scales again.
    """
    settings = run.settings
    wanted = settings.spread if isinstance(settings, PPOSettings) else None
    if wanted is None:
        return
    few = settings.model_copy(update={"num_envs": SCALE_MARKETS})
    env = make_training_env(few, run.setting, SCALE_SEED, run.threads)
    seen: list[Any] = [env.reset()]
    unshifted = np.zeros((env.num_envs, len(run.setting.levers)), np.float32)
    for _ in range(run.setting.ticks // run.hold - 1):
        seen.append(env.step(unshifted)[0])
    env.close()
    entries = np.concatenate(seen).astype(float)
    spread = np.maximum(entries.std(0), LEAST_SPREAD)
    policy: Any = model.policy
    policy.mlp_extractor.set_scale(entries.mean(0), wanted / spread)
