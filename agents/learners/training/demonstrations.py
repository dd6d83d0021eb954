"""Learning from demonstrations: clone what the clairvoyant did, as far as reported features tell it
(behaviour cloning, Pomerleau 1991).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.base_class import BaseAlgorithm

from ....envs import Market, Setting
from ...policy import plan_spec
from ...references import Search, clairvoyant
from ...rules import make_rule
from ..settings import TrainingEnv, rule_values
from .run import TrainingRun

# train streams of the demonstrations, away from those that learners are trained on
DEMONSTRATION_SEED = 50_000_000
SEARCH = Search(per_day=0.0, iterations=30, population=32)
BATCH = 512
RATE = 1e-3


class Demonstrations(NamedTuple):
    """Inputs of the actor and the outputs it should give: (m, public), (m, levers) float32."""

    inputs: np.ndarray
    targets: np.ndarray


def clone_demonstrations(model: BaseAlgorithm, run: TrainingRun) -> None:
    """Fit the actor to the clairvoyant's plans before reinforcement learning begins."""
    settings = run.settings
    training_env = settings.training_env or TrainingEnv(hold=1)
    shown = demonstrate(training_env, run.setting, settings.demonstrations, run.threads)
    actor, parameters = _actor(model)
    fit(actor, parameters, shown, settings.demonstration_epochs, run.seed)


def _actor(
    model: BaseAlgorithm,
) -> tuple[Callable[[torch.Tensor], torch.Tensor], list[torch.nn.Parameter]]:
    """The mean action as a function of the inputs, and what of it is learned."""
    if isinstance(model, SAC):
        sac = model.actor
        learned = [*sac.latent_pi.parameters(), *sac.mu.parameters()]
        return lambda x: torch.tanh(sac.mu(sac.latent_pi(x))), learned
    policy: Any = model.policy
    tower = policy.mlp_extractor.policy_net
    learned = [*tower.parameters(), *policy.action_net.parameters()]
    return lambda x: policy.action_net(tower(x)), learned


def demonstrate(
    training_env: TrainingEnv,
    setting: Setting,
    episodes: int,
    threads: int = 1,
    search: Search = SEARCH,
) -> Demonstrations:
    """Replay the clairvoyant's plans on train merchants and note, every `hold` ticks, what the
    actor sees and should have done.

    With a rule underneath, the target is the shift of the rule's action that gives the plan's, over
    the residual scale.
    """
    setting = setting.of("train")
    seeds = np.arange(DEMONSTRATION_SEED, DEMONSTRATION_SEED + episodes)
    plans = clairvoyant(setting, seeds, search, threads).actions
    rule = None
    if training_env.rule:
        rule = make_rule(training_env.rule, plan_spec(setting), **rule_values(training_env))
    market = Market.of(setting, episodes, threads=threads)
    observation = market.reset(seeds=seeds)
    memory = None
    fresh = np.ones(episodes, bool)
    margin = np.full((episodes, 1), training_env.safety_margin, np.float32)
    inputs, targets = [], []
    for tick in range(market.ticks):
        seen = [observation.copy()]
        wanted = plans[:, tick]
        if training_env.margin_range is not None:
            seen.append(margin)
        if rule is not None:
            proposal, memory = rule.predict(observation.copy(), memory, fresh)
            seen.append(proposal)
            wanted = np.clip((wanted - proposal) / training_env.residual_scale, -1, 1)
        if tick % training_env.hold == 0:
            inputs.append(np.concatenate(seen, 1))
            targets.append(np.zeros_like(wanted))
        targets[-1] += wanted / training_env.hold
        observation = market.step(plans[:, tick])
        fresh = np.zeros(episodes, bool)
    market.close()
    return Demonstrations(
        np.concatenate(inputs).astype(np.float32), np.concatenate(targets).astype(np.float32)
    )


def fit(
    actor: Callable[[torch.Tensor], torch.Tensor],
    parameters: list[torch.nn.Parameter],
    shown: Demonstrations,
    epochs: int,
    seed: int,
) -> float:
    """Least squares by Adam; `actor` maps a tensor of inputs to means. Returns the last epoch's
    mean squared error.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(parameters, RATE)
    x = torch.as_tensor(shown.inputs)
    y = torch.as_tensor(shown.targets)
    error = float("nan")
    for _ in range(epochs):
        losses = []
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            loss = ((actor(x[rows]) - y[rows]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        error = float(np.mean(losses))
    return error
