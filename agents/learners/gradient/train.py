"""Analytic policy gradient: the compiled engine plays sampled episodes, the adjoint says which
actions would have earned more, and back-propagation through time says which weights.

Observations are given, not differentiated: through the observations gradients explode, and without
them the stationary point is the same but for the value of acting to learn. Merchants of update k
come from (seed, k) alone, so a training that was interrupted goes on to the same bits.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ....envs import FEATURE_NAMES, Market, Setting
from ....envs.files import whole_file
from ....envs.market.adjoint import Episode
from ...policy import plan_spec
from ...rules import Rule, make_rule
from ..saved_policy import SavedPolicy, plan_facts
from ..settings import APGSettings, rule_values
from .network import Network

FILE = "checkpoint.pt"
LEAST_NOOP = 0.02  # of budget * target: the least score of doing nothing to divide by
WIDEST = 10.0  # a market's gradient is cut to so many times the median one's
WARM = 10  # updates of rising rate
LAST_RATE = 0.03  # of the rate, at the end
SCALING = 20  # updates in which the inputs' scale is found
EVERY = 6  # ticks between two looks at the inputs for it
SETTLED = 0.15  # share of a later look in the inputs' scale
CHECKPOINT_SECONDS = 60.0


class Learned(NamedTuple):
    """How far a training is; figures are means of the latest batch of episodes."""

    steps: int  # market ticks of the policy's own markets
    total: int
    seconds: float
    figures: dict[str, float]


def updates_of(settings: APGSettings, ticks: int) -> int:
    """Batches of episodes that a training plays; `ticks` are those of an episode."""
    return max(1, -(-settings.steps // (settings.num_envs * ticks)))


def train_apg(
    settings: APGSettings,
    setting: Setting,
    seed: int,
    folder: Path,
    on_progress: "Callable[[Learned], None] | None" = None,
    origin: dict[str, Any] | None = None,
) -> SavedPolicy:
    """Train, save checkpoint and policy in the folder, and return the policy.

    A folder with a checkpoint of this very training is gone on from.

    Args:
        settings: hyper-parameters.
        setting: what is played; merchants come from the train split.
        seed: of weights and merchants; the same seed gives the same policy.
        folder: where checkpoint and policy are written.
        on_progress: called after every update.
        origin: what to note in the artefact about where it came from.

    Raises:
        KeyboardInterrupt: after a checkpoint.
    """
    torch.set_num_threads(1)
    training = _Training(settings, setting.of("train"), seed, origin or {})
    training.restore(folder)
    begin = saved = time.monotonic()
    try:
        while training.update < training.total:
            figures = training.learn()
            now = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS:
                training.save(folder)
                saved = now
            if on_progress is not None:
                per_update = settings.num_envs * training.market.ticks
                steps, total = (x * per_update for x in (training.update, training.total))
                on_progress(Learned(steps, total, now - begin, figures))
    finally:
        policy = training.save(folder)
        training.close()
    return policy


class Boxed(torch.autograd.Function):
    """Cut to [-1, 1]; an action outside is only drawn back, never pushed further."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """x within the box."""
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Of a loss: nothing where descending it would leave the box."""
        (x,) = ctx.saved_tensors
        (g,) = gradients
        outwards = ((x > 1) & (g < 0)) | ((x < -1) & (g > 0))
        return torch.where(outwards, 0, g)


class _Training:
    """Markets, network, optimiser and the running mean of the weights."""

    def __init__(self, settings: APGSettings, setting: Setting, seed: int, origin: dict[str, Any]):
        self.settings = settings
        self.setting = setting
        self.seed = seed
        self.origin = origin
        env = settings.training_env
        self.margins = env.margin_range if env else None
        self.scale = env.residual_scale if env else 1.0
        self.rule: Rule | None = None
        if env is not None and env.rule is not None:
            self.rule = make_rule(env.rule, plan_spec(setting), **rule_values(env))
        self.market = Market.of(setting, settings.num_envs, reward="score")
        self.idle = Market.of(setting, settings.num_envs, reward="score", noop=True)
        self.total = updates_of(settings, self.market.ticks)
        self.update = 0
        levers = len(setting.levers)
        inputs = len(FEATURE_NAMES) + bool(self.margins) + (levers if self.rule else 0)
        torch.manual_seed(seed)
        self.network = Network(inputs, levers, settings.width, settings.policy == "gru")
        self.optimizer = torch.optim.Adam(self.network.parameters(), settings.learning_rate)
        self.mean: dict[str, Tensor] = {}
        self.averaged = 0
        self.market.reset(seeds=np.arange(settings.num_envs))
        self.episode = Episode(self.market, compiled=settings.compiled)

    def learn(self) -> dict[str, float]:
        """Play one batch of episodes and move the weights; returns its figures."""
        rng = np.random.default_rng([self.seed, self.update])
        n = self.settings.num_envs
        seeds = rng.integers(0, 2**62, n)
        margins = rng.uniform(*self.margins, n).astype(np.float32) if self.margins else None
        noop = self._idle_returns(seeds)
        actions, seen = self._play(seeds, margins)
        weights = torch.from_numpy((1 / np.maximum(noop, LEAST_NOOP) / n).astype(np.float32))
        careful = None if margins is None else torch.from_numpy(margins)
        gradient = cut(torch.nan_to_num(self.episode.gradient(weights, careful)))
        self.optimizer.zero_grad()
        torch.autograd.backward(actions, list(-gradient))
        self._step(seen)
        returns = self.episode.returns().detach()
        return self._figures(float((returns * weights).sum()))

    def _idle_returns(self, seeds: np.ndarray) -> np.ndarray:
        """Returns of doing nothing on the same merchants and noise, (n,)."""
        self.idle.reset(seeds=seeds)
        still = np.zeros((self.idle.num_envs, len(self.idle.levers)), np.float32)
        returns = np.zeros(self.idle.num_envs)
        for _ in range(self.idle.ticks):
            self.idle.step(still)
            returns += self.idle.rewards
        return returns

    def _play(
        self, seeds: np.ndarray, margins: "np.ndarray | None"
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Play a batch of episodes; actions (n, levers) tied to the weights, and some inputs."""
        self.market.reset(seeds=seeds)
        self.episode.restart()
        actions: list[Tensor] = []
        seen: list[Tensor] = []
        hidden = memory = base = None
        for tick in range(self.market.ticks):
            observations = self.market.observations.copy()
            if self.rule is not None:
                proposal, memory = self.rule.predict(observations, memory, None)
                base = np.asarray(proposal, np.float32)
            x = inputs_of(observations, margins, base)
            if self.update < SCALING and tick % EVERY == 0:
                seen.append(x)
            output, hidden = self.network(x, hidden)
            action = output
            if base is not None:
                action = Boxed.apply(torch.from_numpy(base) + self.scale * output)
            actions.append(action)
            self.episode.step(action.detach().numpy())
        return actions, seen

    def _step(self, seen: list[Tensor]) -> None:
        """One step of Adam, the inputs' scale, and the running mean of the weights."""
        rate = self.settings.learning_rate * schedule(self.update, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_limit)
        if math.isfinite(float(norm)):
            self.optimizer.step()
        if seen:
            self.network.scale_inputs(torch.cat(seen), max(1 / (self.update + 1), SETTLED))
        self.update += 1
        if self.update > self.total * (1 - self.settings.average_last):
            self.averaged += 1
            now = self.network.state_dict()
            before = self.mean or now
            self.mean = {k: before[k] + (v - before[k]) / self.averaged for k, v in now.items()}

    def _figures(self, score: float) -> dict[str, float]:
        shown = self.market.dashboard()
        return {
            "score_over_nothing": score,
            "violation": float(shown["violated"].mean()),
            "budget_use": float(shown["budget_use"].mean()),
        }

    def policy(self) -> SavedPolicy:
        """What has been learned so far."""
        env = self.settings.training_env
        facts: dict[str, Any] = {
            "algorithm": self.settings.algorithm,
            "levers": list(self.setting.levers),
            "features": list(FEATURE_NAMES),
            "seed": self.seed,
            "steps": self.update * self.settings.num_envs * self.market.ticks,
            "settings": self.settings.model_dump(),
        }
        if env is not None and env.margin_range is not None:
            facts["safety_margin"] = env.safety_margin
        if env is not None and env.rule is not None:
            facts["residual"] = {
                "rule": env.rule,
                "parameters": rule_values(env),
                "scale": env.residual_scale,
                "plan": plan_facts(plan_spec(self.setting)),
            }
        weights = self.mean or self.network.state_dict()
        return self.network.saved(weights, facts | self.origin)

    def identity(self) -> str:
        """What a checkpoint must share with a training to be continued by it."""
        where = (self.setting.scenario.hash, self.setting.levers, self.setting.days, self.seed)
        return repr((self.settings.model_dump(), *where))

    def save(self, folder: Path) -> SavedPolicy:
        """Write checkpoint and policy, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "run": self.identity(),
            "update": self.update,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "mean": self.mean,
            "averaged": self.averaged,
        }
        with whole_file(folder / FILE) as draft:
            torch.save(state, draft)
        policy = self.policy()
        policy.save(folder)
        return policy

    def restore(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, if it is one of this very training."""
        path = folder / FILE
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        if state.get("run") != self.identity():
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mean, self.averaged = state["mean"], state["averaged"]
        self.update = state["update"]

    def close(self) -> None:
        """Release the markets."""
        self.market.close()
        self.idle.close()


def inputs_of(
    observations: np.ndarray, margins: "np.ndarray | None", proposal: "np.ndarray | None"
) -> Tensor:
    """What the network sees, (n, inputs), in the order of `SavedPolicy.inputs`."""
    parts = [observations]
    if margins is not None:
        parts.append(margins[:, None])
    if proposal is not None:
        parts.append(proposal)
    return torch.from_numpy(np.concatenate(parts, 1))


def cut(gradient: Tensor) -> Tensor:
    """The gradients (ticks, n, levers), none of a market far longer than the median one's."""
    norm = (gradient**2).sum((0, 2)).sqrt()
    most = WIDEST * norm.median()
    return gradient * (most / norm.clamp_min(1e-12)).clamp_max(1)[:, None]


def schedule(number: int, total: int) -> float:
    """Share of the rate: it rises over a few updates and falls by a cosine."""
    falling = 0.5 * (1 + math.cos(math.pi * number / total))
    return min(1.0, (number + 1) / WARM) * (LAST_RATE + (1 - LAST_RATE) * falling)
