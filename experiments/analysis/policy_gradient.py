"""How much of a policy gradient is signal: PPO's estimate from sampled rewards beside the one that
the market's derivative gives, for the same actor and the same noise in its actions.

Both ascend the same objective, the mean score over doing nothing of the actor *with* its Gaussian
noise. PPO's estimate is that of an update's first step, E[A grad log pi]; the derivative's carries
each sampled action's own derivative back through the mean that it was drawn around. The second
takes observations as given, so that the two are not quite the same in the limit either.
Imports torch.
"""

import math
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env.base_vec_env import VecEnv
from torch import Tensor

from ...agents.learners.gradient.ascent import score_weights
from ...agents.learners.settings import PPOSettings
from ...agents.learners.training import make_training_env
from ...agents.learners.training.input_scaling import scale_inputs
from ...agents.learners.training.networks import build_model
from ...agents.learners.training.run import TrainingRun
from ...envs import Market, Setting
from ...envs.market.adjoint import Episode

SEED = 900_000  # train streams of the episodes that are played


class Signal(NamedTuple):
    """What an estimate of one batch of episodes is worth."""

    task: str
    recipe: str
    noise: float  # standard deviation of the actions' noise
    estimate: str
    episodes: int  # of a batch
    ticks: int  # of a batch, doing nothing aside
    signal_to_noise: float  # squared length of the mean over the variance of one batch's estimate
    cosine: float  # of one batch's estimate with the derivative's over all episodes
    cosine_of_all: float  # of the mean over all batches with it
    explained: float  # share of returns' variance that the critic explains at episodes' starts


def signals(
    task: str, recipe: str, run: TrainingRun, log_std: float, batches: int, num_envs: int
) -> list[Signal]:
    """Measure the estimates of an actor as PPO has left it, with some noise: a line per estimate.

    Args:
        task, recipe: names to note.
        run: a finished training of PPO with a training env, from scratch.
        log_std: logarithm of the noise's standard deviation.
        batches: of `num_envs` episodes.
        num_envs: episodes of a batch.

    Raises:
        FileNotFoundError: without the training's checkpoint.
    """
    settings, setting = run.settings, run.setting
    assert isinstance(settings, PPOSettings)
    settings = settings.model_copy(
        update={
            "num_envs": num_envs,
            "n_steps": setting.ticks // run.hold,
            "batch_size": num_envs,  # not used: nothing is learned
        }
    )
    with closing(make_training_env(settings, setting, SEED)) as env:
        model: Any = build_model(settings, env, run.seed)
        scale_inputs(model, run)
        saved = torch.load(run.folder / "checkpoint.pt", weights_only=True)
        model.policy.load_state_dict(saved["policy"])
        with torch.no_grad():
            model.policy.log_std.fill_(log_std)
        sampled, explained = _rollouts(model, env, batches, (settings.gae_lambda, 1.0))
    own = torch.stack(
        [_reparameterised(model, setting, run.hold, num_envs, i) for i in range(batches)]
    )
    where = (task, recipe, math.exp(log_std))
    size = (num_envs, num_envs * setting.ticks)
    return [
        Signal(*where, name, *size, *_signal(found, own.mean(0)), explained)
        for name, found in [*sampled.items(), ("derivative", own)]
    ]


def _signal(found: Tensor, reference: Tensor) -> tuple[float, float, float]:
    """Signal to noise and cosines of estimates (batches, weights), each independent of others."""
    count = len(found)
    mean = found.mean(0)
    variance = float(((found - mean) ** 2).sum(1).mean()) * count / (count - 1)
    squared = max(float(mean @ mean) - variance / count, 0.0)  # without what noise adds to it
    cosines = torch.nn.functional.cosine_similarity(found, reference[None], dim=1)
    of_all = torch.nn.functional.cosine_similarity(mean, reference, dim=0)
    return squared / variance, float(cosines.mean()), float(of_all)


def _rollouts(
    model: Any, env: VecEnv, batches: int, lambdas: tuple[float, ...]
) -> tuple[dict[str, Tensor], float]:
    """PPO's own estimates (batches, weights), from its own rollouts, rewards and critic, by how
    actions are weighed; and the share of returns that the critic explains.
    """
    found: dict[str, list[Tensor]] = {}
    starts: list[tuple[np.ndarray, np.ndarray]] = []
    _, quiet = model._setup_learn(1, _Quiet(), True)
    for _ in range(batches):
        model.collect_rollouts(env, quiet, model.rollout_buffer, model.n_steps)
        buffer = model.rollout_buffer
        left = np.cumsum(buffer.rewards[::-1], 0)[::-1]  # earned from each decision on
        starts.append((left[0], buffer.values[0]))
        weighed = {
            f"PPO, lambda {value:g}": _generalised(buffer, value, model.gamma) for value in lambdas
        }
        weighed["PPO, returns less their mean, no critic"] = left - left.mean(1)[:, None]
        for name, advantages in weighed.items():
            found.setdefault(name, []).append(_score_function(model, buffer, advantages))
    returns, values = (np.concatenate(part) for part in zip(*starts, strict=True))
    explained = 1 - float(np.var(returns - values) / np.var(returns))
    return {name: torch.stack(parts) for name, parts in found.items()}, explained


class _Quiet(BaseCallback):
    def _on_step(self) -> bool:
        return True


def _generalised(buffer: Any, lam: float, gamma: float) -> np.ndarray:
    """Advantages (decisions, n) of episodes that end with the buffer (Schulman et al. 2016)."""
    after = np.concatenate([buffer.values[1:], np.zeros_like(buffer.values[:1])])
    errors = buffer.rewards + gamma * after - buffer.values
    advantage = np.zeros_like(errors[0])
    advantages = np.zeros_like(errors)
    for t in reversed(range(len(errors))):
        advantage = errors[t] + gamma * lam * advantage
        advantages[t] = advantage
    return advantages


def _weights(model: Any) -> list[torch.nn.Parameter]:
    policy = model.policy
    return [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters()]


def _flat(gradients: Any) -> Tensor:
    return torch.cat([g.reshape(-1) for g in gradients]).detach()


def _score_function(model: Any, buffer: Any, advantages: np.ndarray) -> Tensor:
    """E[A grad log pi] over a buffer, normalised as PPO does."""
    steps, n = advantages.shape
    scaled = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    width = buffer.actions.shape[-1]
    seen = torch.as_tensor(buffer.observations.reshape(steps * n, -1))
    done = torch.as_tensor(buffer.actions.reshape(steps * n, width))
    logs = model.policy.get_distribution(seen).log_prob(done)
    mean = (logs * torch.as_tensor(scaled.reshape(-1), dtype=torch.float32)).mean()
    return _flat(torch.autograd.grad(mean, _weights(model)))


def _reparameterised(model: Any, setting: Setting, hold: int, n: int, number: int) -> Tensor:
    """The derivative's estimate of one batch: each action's derivative, back through its mean."""
    rng = np.random.default_rng([SEED, number])
    seeds = rng.integers(0, 2**62, n)
    policy = model.policy
    with (
        closing(Market.of(setting.of("train"), n, reward="score", noop=True)) as idle,
        closing(Market.of(setting.of("train"), n, reward="score")) as market,
    ):
        idle.reset(seeds=seeds)
        weights = score_weights(idle)
        market.reset(seeds=seeds)
        episode = Episode(market)
        std = policy.log_std.detach().exp()
        actions: list[Tensor] = []
        action = torch.zeros(n, len(setting.levers))
        for tick in range(market.ticks):
            if tick % hold == 0:
                shown = torch.as_tensor(market.observations.copy())
                hidden = torch.zeros(n, policy.mlp_extractor.mean.shape[0] - shown.shape[1])
                mean = policy.get_distribution(torch.cat([shown, hidden], 1)).distribution.mean
                noise = torch.as_tensor(rng.normal(size=tuple(mean.shape)), dtype=torch.float32)
                action = (mean + std * noise).clamp(-1, 1)
            actions.append(action)
            episode.step(action.detach().numpy())
        gradient = torch.nan_to_num(episode.gradient(weights))
    total = torch.stack(actions)
    return _flat(torch.autograd.grad(total, _weights(model), gradient))
