"""Analytic policy gradient: the compiled engine plays sampled episodes, the adjoint says which
actions would have earned more, and back-propagation through time says which weights.

Observations are given, not differentiated: through the observations gradients explode, and without
them the stationary point is the same but for the value of acting to learn. Merchants of update k
come from (seed, k) alone, so a training that was interrupted goes on to the same bits.
"""

import math
import time
from collections.abc import Callable
from copy import deepcopy
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
from .ascent import cut, schedule, score_weights, updates_of
from .network import Network

FILE = "checkpoint.pt"
WARM = 10  # updates of rising rate
SCALING = 20  # updates in which the inputs' scale is found
EVERY = 6  # ticks between two looks at the inputs for it
SETTLED = 0.15  # share of a later look in the inputs' scale
CHECKPOINT_SECONDS = 60.0


class Learned(NamedTuple):
    """How far a training is; figures are means of the latest batch of episodes."""

    steps: int  # market ticks of the policy's own markets
    total: int
    seconds: float
    steps_per_second: float
    figures: dict[str, float]


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
        KeyboardInterrupt: after writing a checkpoint and the policy as far as it has come.
    """
    torch.set_num_threads(1)
    training = _Training(settings, setting.of("train"), seed, origin or {})
    training.restore(folder)
    begin = saved = time.monotonic()
    opened = training.update
    whole = training.state()
    try:
        while training.update < training.total:
            figures = training.learn()
            whole = training.state()
            now = time.monotonic()
            if now - saved > CHECKPOINT_SECONDS:
                training.save(folder)
                saved = now
            if on_progress is not None:
                batch = settings.num_envs * training.market.ticks
                rate = (training.update - opened) * batch / max(now - begin, 1e-9)
                on_progress(
                    Learned(
                        training.update * batch, training.total * batch, now - begin, rate, figures
                    )
                )
        return training.save(folder)
    except KeyboardInterrupt:
        training.load(whole)  # an update that was cut short is done again
        training.save(folder)
        raise
    finally:
        training.close()


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
        self.total = updates_of(settings.steps, settings.num_envs, self.market.ticks)
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
        self.idle.reset(seeds=seeds)
        weights = score_weights(self.idle)
        actions, seen = self._play(seeds, margins)
        careful = None if margins is None else torch.from_numpy(margins)
        gradient = cut(torch.nan_to_num(self.episode.gradient(weights, careful)))
        self.optimizer.zero_grad()
        torch.autograd.backward(actions, list(-gradient))
        self._step(seen)
        returns = self.episode.returns().detach()
        return self._figures(returns, float((returns * weights).sum()))

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
        rate = self.settings.learning_rate * schedule(self.update, self.total, WARM)
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

    def _figures(self, returns: Tensor, relative: float) -> dict[str, float]:
        """Means over the batch, under the names that the other learners report."""
        shown = self.market.dashboard()
        return {
            "score": float(returns.mean()),
            "score_over_nothing": relative,
            "episodes": float(len(returns)),
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

    def state(self) -> dict[str, Any]:
        """All that training changes, as a copy; tensors, numbers and text alone."""
        return deepcopy(
            {
                "run": self.identity(),
                "update": self.update,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "mean": self.mean,
                "averaged": self.averaged,
            }
        )

    def load(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.mean, self.averaged = state["mean"], state["averaged"]
        self.update = state["update"]

    def save(self, folder: Path) -> SavedPolicy:
        """Write checkpoint and policy, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / FILE) as draft:
            torch.save(self.state(), draft)
        policy = self.policy()
        policy.save(folder)
        return policy

    def restore(self, folder: Path) -> None:
        """Go on from the folder's checkpoint, if it is one of this very training."""
        path = folder / FILE
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        if state.get("run") == self.identity():
            self.load(state)

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
