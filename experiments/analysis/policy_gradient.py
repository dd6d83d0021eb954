"""How much of a policy gradient is signal: PPO's estimate from sampled rewards beside the one that
the market's derivative gives, for the same actor and the same noise in its actions.

Both ascend the same objective, the mean score over doing nothing of the actor *with* its Gaussian
noise. PPO's estimate is of the first step of an update, E[A grad log pi]; the derivative's carries
each sampled action's own derivative back through the mean it was drawn around. Neither is
differentiated through observations by the second, which limits how alike they can become.
Imports torch.
"""

from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from ...agents.learners.gradient.ascent import score_weights
from ...agents.learners.settings import PPOSettings
from ...agents.learners.training import make_training_env
from ...envs import Market, Setting
from ...envs.market.adjoint import Episode

SEED = 900_000  # train streams of the episodes that are played


class Signal(NamedTuple):
    """What an estimate of one batch of episodes is worth."""

    estimate: str
    episodes: int  # of a batch
    ticks: int  # of a batch, doing nothing aside
    signal_to_noise: float  # squared length of the mean over the variance of one batch's estimate
    cosine: float  # of one batch's estimate with the derivative's over all episodes
    cosine_of_all: float  # of the mean over all batches with it


def signals(
    model: Any, settings: PPOSettings, setting: Setting, batches: int, lambdas: tuple[float, ...]
) -> tuple[list[Signal], float]:
    """Measure the estimates of an actor as PPO has left it.

    Args:
        model: a PPO whose rollouts are whole episodes (`n_steps` decisions).
        settings: it was built with; an actor of APG's kind.
        setting: what is played.
        batches: of `settings.num_envs` episodes.
        lambdas: of generalised advantages to compare; 1 without a critic is measured beside them.

    Returns:
        A line per estimate, and the share of the returns' variance that the critic explains at the
        episodes' starts.
    """
    hold = settings.training_env.hold if settings.training_env else 1
    rollouts = _rollouts(model, settings, setting, batches, lambdas)
    own = torch.stack(
        [_reparameterised(model, setting, hold, settings.num_envs, i) for i in range(batches)]
    )
    reference = own.mean(0)
    size = settings.num_envs * setting.ticks
    lines = [
        _signal(name, estimates, reference, settings.num_envs, size)
        for name, estimates in [*rollouts.gradients.items(), ("derivative", own)]
    ]
    return lines, rollouts.explained


def _signal(name: str, found: Tensor, reference: Tensor, episodes: int, ticks: int) -> Signal:
    """Of estimates (batches, weights), each independent of the others."""
    count = len(found)
    mean = found.mean(0)
    variance = float(((found - mean) ** 2).sum(1).mean()) * count / (count - 1)
    squared = max(float(mean @ mean) - variance / count, 0.0)  # without what noise adds to it
    cosines = torch.nn.functional.cosine_similarity(found, reference[None], dim=1)
    return Signal(
        name,
        episodes,
        ticks,
        squared / variance,
        float(cosines.mean()),
        float(torch.nn.functional.cosine_similarity(mean, reference, dim=0)),
    )


class _Rollouts(NamedTuple):
    gradients: dict[str, Tensor]  # (batches, weights) of each way to weigh actions
    explained: float


def _rollouts(
    model: Any, settings: PPOSettings, setting: Setting, batches: int, lambdas: tuple[float, ...]
) -> _Rollouts:
    """PPO's own estimates, from its own rollouts, rewards and critic."""
    found: dict[str, list[Tensor]] = {}
    starts: list[tuple[np.ndarray, np.ndarray]] = []
    with closing(make_training_env(settings, setting, SEED)) as env:
        model.set_env(env)
        _, quiet = model._setup_learn(1, _Quiet(), True)
        for _ in range(batches):
            model.collect_rollouts(env, quiet, model.rollout_buffer, model.n_steps)
            buffer = model.rollout_buffer
            left = np.cumsum(buffer.rewards[::-1], 0)[::-1]  # earned from each decision on
            starts.append((left[0], buffer.values[0]))
            advantages = {
                f"PPO, lambda {value:g}": _generalised(buffer, value, model.gamma)
                for value in lambdas
            }
            advantages["PPO, returns less their mean, no critic"] = left - left.mean(1)[:, None]
            for name, weights in advantages.items():
                found.setdefault(name, []).append(_score_function(model, buffer, weights))
    returns, values = (np.concatenate(part) for part in zip(*starts, strict=True))
    explained = 1 - float(np.var(returns - values) / np.var(returns))
    return _Rollouts({name: torch.stack(parts) for name, parts in found.items()}, explained)


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
