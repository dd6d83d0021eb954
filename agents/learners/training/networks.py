"""The stable-baselines3 model that settings ask for, and where its learning starts."""

from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import unwrap_vec_wrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from ...wrappers import PrivilegedObservation
from ..settings import PPOSettings, SACSettings
from .asymmetric import AsymmetricPolicy

FINAL_RATE = 0.1  # the learning rate ends at this share of its start
FIRST_ENTROPY = "auto_0.05"  # SAC: rewards are parts of an episode's, so its bonus starts small
FIRST_RESIDUALS = 0.01  # share of the usual first weights, so that learning starts from the rule


def build_model(settings: PPOSettings | SACSettings, env: VecEnv, seed: int) -> BaseAlgorithm:
    """PPO or SAC on a training env, with nothing learned; it logs nowhere."""
    common: dict[str, Any] = {
        "learning_rate": falling_rate(settings.learning_rate),
        "gamma": settings.gamma,
        "seed": seed,
        "batch_size": settings.batch_size,
        "device": "cpu",
        "verbose": 0,
    }
    if isinstance(settings, PPOSettings):
        model = _ppo(settings, env, common)
        outputs = model.policy.action_net
    else:
        model = _sac(settings, env, common)
        outputs = model.actor.mu
    if settings.training_env is not None and settings.training_env.rule is not None:
        start_at_rule(outputs)  # a start from APG replaces it
    # stable-baselines3's own logger would litter the temporary folder
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def _ppo(settings: PPOSettings, env: VecEnv, common: dict[str, Any]) -> PPO:
    shape: dict[str, Any] = {}
    if settings.training_env is not None:
        shape = {
            "public": public_entries(env),
            "critic_hidden": list(settings.critic_hidden or settings.hidden),
            "as_apg": settings.actor == "apg",
        }
    return PPO(
        AsymmetricPolicy if shape else "MlpPolicy",
        env,
        n_steps=settings.n_steps,
        n_epochs=settings.n_epochs,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip_range,
        ent_coef=settings.entropy,
        policy_kwargs={
            "net_arch": list(settings.hidden),
            "log_std_init": settings.log_std_start,
            "activation_fn": torch.nn.Tanh,
            **shape,
        },
        **common,
    )


def _sac(settings: SACSettings, env: VecEnv, common: dict[str, Any]) -> SAC:
    entropy = settings.target_entropy
    return SAC(
        "MlpPolicy",
        env,
        buffer_size=settings.buffer_size,
        learning_starts=settings.learning_starts,
        tau=settings.tau,
        train_freq=1,
        gradient_steps=settings.gradient_steps,
        target_entropy="auto" if entropy is None else entropy,
        ent_coef=FIRST_ENTROPY,
        policy_kwargs={"net_arch": list(settings.hidden), "activation_fn": torch.nn.ReLU},
        **common,
    )


def public_entries(env: VecEnv) -> int:
    """How many entries of an observation the actor sees; they come first."""
    privileged = unwrap_vec_wrapper(env, PrivilegedObservation)
    (width,) = env.observation_space.shape or (0,)
    return width if privileged is None else privileged.public


def falling_rate(rate: float) -> Callable[[float], float]:
    """Linear from the rate to a tenth of it; the argument is the share of training left."""
    return lambda left: rate * (FINAL_RATE + (1 - FINAL_RATE) * max(left, 0.0))


def start_at_rule(layer: Any) -> None:
    """Make the first residuals nearly nothing, so that learning starts from the rule."""
    with torch.no_grad():
        layer.weight.mul_(FIRST_RESIDUALS)
        layer.bias.zero_()
