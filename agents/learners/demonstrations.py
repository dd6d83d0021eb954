"""A warm start: clone what the clairvoyant did, as far as reported features tell it (behaviour
cloning, Pomerleau 1991).
"""

from typing import Any, NamedTuple

import numpy as np
import torch

from ...envs import Market, Setting
from ..policy import plan_spec
from ..references import Search, clairvoyant
from ..rules import make_rule
from .practice import rule_values
from .settings import Practice

LESSON_SEED = (
    50_000_000  # train streams of the lessons, away from those that learners are trained on
)
SEARCH = Search(per_day=0.0, iterations=30, population=32)
BATCH = 512
RATE = 1e-3


class Lessons(NamedTuple):
    """Inputs of the actor and the outputs it should give: (m, public), (m, levers) float32."""

    inputs: np.ndarray
    targets: np.ndarray


def lessons(
    practice: Practice,
    setting: Setting,
    episodes: int,
    threads: int = 1,
    search: Search = SEARCH,
) -> Lessons:
    """Replay the clairvoyant's plans on train merchants and note, every `hold` ticks, what the
    actor sees and should have done.

    With a rule underneath, the target is the shift of the rule's action that gives the plan's, over
    the residual scale.
    """
    setting = setting.of("train")
    seeds = np.arange(LESSON_SEED, LESSON_SEED + episodes)
    plans = clairvoyant(setting, seeds, search, threads).actions
    rule = (
        make_rule(practice.rule, plan_spec(setting), **rule_values(practice))
        if practice.rule
        else None
    )
    market = Market.of(setting, episodes, threads=threads)
    observation = market.reset(seeds=seeds)
    memory = None
    fresh = np.ones(episodes, bool)
    caution = np.full((episodes, 1), practice.caution, np.float32)
    inputs, targets = [], []
    for tick in range(market.ticks):
        parts = [observation.copy()]
        wanted = plans[:, tick]
        if practice.caution_range is not None:
            parts.append(caution)
        if rule is not None:
            proposal, memory = rule.predict(observation.copy(), memory, fresh)
            parts.append(proposal)
            wanted = np.clip((wanted - proposal) / practice.residual_scale, -1, 1)
        if tick % practice.hold == 0:
            inputs.append(np.concatenate(parts, 1))
            targets.append(np.zeros_like(wanted))
        targets[-1] += wanted / practice.hold
        observation = market.step(plans[:, tick])
        fresh = np.zeros(episodes, bool)
    market.close()
    return Lessons(
        np.concatenate(inputs).astype(np.float32), np.concatenate(targets).astype(np.float32)
    )


def fit(
    actor: Any, parameters: list[torch.nn.Parameter], taught: Lessons, epochs: int, seed: int
) -> float:
    """Least squares by Adam; actor maps a tensor of inputs to means. Returns the last epoch's mean
    squared error.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(parameters, RATE)
    x = torch.as_tensor(taught.inputs)
    y = torch.as_tensor(taught.targets)
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
