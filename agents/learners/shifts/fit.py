"""Fit the shift of a rule by the market's own derivative (`envs.market.adjoint`): the engine plays
the shifted rule, sampled, on fresh training merchants; the derivative of the score in every action
moves the few numbers of the shift.

The shift is added to the rule's action, so its derivative is that of the action, summed over the
ticks and merchants that share a number. Where an action is at its bound and wants to go beyond,
nothing is learned from it. The rule's answer to what its own shift changes is left out, as in every
gradient of an open loop, and on few merchants noise leads a shift about: so in the end the whole of
it, a part or nothing is kept, whichever has the highest mean score on training merchants that it
was not fitted on.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ....envs import Market, Setting
from ....envs.market.adjoint import Episode
from ...policy import plan_spec
from ...rollout import rollout
from ..gradient.ascent import cut, schedule, score_weights, updates_of
from ..settings import CHOOSING, SHARES, ShiftSettings, rule_values
from .policy import Memory, Shift, ShiftedRule, no_shift, shifted

WARM = 5  # updates of rising rate
AVERAGED = 0.3  # last share of the updates whose mean is kept
LEAST_SPREAD = 0.02
MOVED = ("constant", "days", "hours", "facts")
LEARNED = {
    "constant": ("constant",),
    "schedule": ("constant", "days", "hours"),
    "start_facts": ("constant", "facts"),
}


class Fitted(NamedTuple):
    """How far a fit is."""

    steps: int  # market ticks of the fitted markets
    total: int
    score: float  # mean score of the latest batch over doing nothing


def fit_shift(
    settings: ShiftSettings,
    setting: Setting,
    seed: int,
    folder: Path,
    on_progress: Callable[[Fitted], None] | None = None,
    origin: dict[str, Any] | None = None,
) -> ShiftedRule:
    """Fit the shift of a rule on training merchants and save it.

    Args:
        settings: the rule, the form of the shift, and how long.
        setting: what is played; merchants come from the train split.
        seed: of the merchants; the same seed gives the same shift.
        folder: where the policy is saved.
        on_progress: called after every update.
        origin: what to note in the artefact about where it came from.
    """
    torch.set_num_threads(1)
    setting = setting.of("train")
    fit = _Fit(settings, setting, seed, origin or {})
    total = updates_of(settings.steps, settings.num_envs, setting.ticks)
    for update in range(total):
        score = fit.update(update, total)
        if on_progress is not None:
            per_update = settings.num_envs * setting.ticks
            on_progress(Fitted((update + 1) * per_update, total * per_update, score))
    policy = fit.chosen()
    policy.save(folder)
    fit.close()
    return policy


class _Fit:
    """Markets, the numbers that are learned, and their mean over the last updates."""

    def __init__(
        self, settings: ShiftSettings, setting: Setting, seed: int, origin: dict[str, Any]
    ):
        self.settings = settings
        self.spec = plan_spec(setting)
        self.rng = np.random.default_rng(seed)
        self.market = Market.of(setting, settings.num_envs, reward="score")
        self.idle = Market.of(setting, settings.num_envs, reward="score", noop=True)
        total = updates_of(settings.steps, settings.num_envs, setting.ticks)
        self.origin = {
            "algorithm": settings.algorithm,
            "seed": seed,
            "steps": total * settings.num_envs * setting.ticks,
            "settings": settings.model_dump(),
        } | origin
        shift = no_shift(self.spec)
        self.learned = LEARNED[settings.form]
        self.numbers = {
            name: torch.from_numpy(getattr(shift, name).copy()).requires_grad_()
            for name in self.learned
        }
        self.optimizer = torch.optim.Adam(list(self.numbers.values()), settings.learning_rate)
        self._begin()
        self.shift = shift._replace(**self._spread())
        self.mean = self.shift
        self._averaged = 0
        self.episode = Episode(self.market, compiled=settings.compiled)

    def _begin(self) -> None:
        """Fresh merchants, the same in both batches."""
        seeds = self.rng.integers(0, 2**62, self.settings.num_envs)
        self.market.reset(seeds=seeds)
        self.idle.reset(seeds=seeds)

    def _spread(self) -> dict[str, np.ndarray]:
        """Mean and spread of the facts over the first merchants."""
        probe = self.policy(no_shift(self.spec))
        _, memory = probe.propose(self.market.observations.copy(), None, None)
        spread = np.maximum(memory.facts.std(0), LEAST_SPREAD)
        return {"mean": memory.facts.mean(0), "spread": spread}

    def policy(self, shift: Shift) -> ShiftedRule:
        """The rule with a shift."""
        env = self.settings.training_env
        assert env.rule is not None
        form = self.settings.form
        return shifted(env.rule, rule_values(env), self.spec, form, shift, **self.origin)

    def update(self, number: int, total: int) -> float:
        """Play one batch of episodes and move the numbers; returns its mean score over doing
        nothing.
        """
        if number:
            self._begin()
        self.episode.restart()
        weights = score_weights(self.idle)
        raw, memory = self._play()
        gradient = cut(torch.nan_to_num(self.episode.gradient(weights))).numpy()
        beyond = ((raw > 1) & (gradient > 0)) | ((raw < -1) & (gradient < 0))
        self._move(np.where(beyond, 0, gradient), memory, number, total)
        returns = self.episode.returns().detach()
        return float((returns * weights).sum())

    def _play(self) -> tuple[np.ndarray, Memory]:
        """Play an episode; the actions before they are clipped, (ticks, n, levers), and the last
        memory.
        """
        policy = self.policy(self.shift)
        raw = []
        memory = None
        for _ in range(self.market.ticks):
            base, memory = policy.propose(self.market.observations.copy(), memory, None)
            raw.append(base + self.shift.at(memory.age, memory.facts))
            self.episode.step(np.clip(raw[-1], -1, 1).astype(np.float32))
            memory = memory._replace(age=memory.age + 1)
        assert memory is not None
        return np.stack(raw), memory

    def _move(self, gradient: np.ndarray, memory: Memory, number: int, total: int) -> None:
        """One step of Adam up the gradient (ticks, n, levers), and the running mean."""
        by_tick = gradient.sum(1)
        hour = np.arange(len(by_tick)) % self.spec.ticks_per_day
        day = np.arange(len(by_tick)) // self.spec.ticks_per_day
        found = {
            "constant": by_tick.sum(0),
            "days": _summed(by_tick, day, len(self.shift.days)),
            "hours": _summed(by_tick, hour, len(self.shift.hours)),
            "facts": gradient.sum(0).T @ memory.facts,
        }
        rate = self.settings.learning_rate * schedule(number, total, WARM)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        for name, value in self.numbers.items():
            value.grad = torch.from_numpy(-found[name].astype(np.float32))
        self.optimizer.step()
        now = {name: value.detach().numpy().copy() for name, value in self.numbers.items()}
        self.shift = self.shift._replace(**now)
        if number < total * (1 - AVERAGED):
            self.mean = self.shift
            return
        self._averaged += 1
        before = self.mean if self._averaged > 1 else self.shift
        self.mean = self.shift._replace(
            **{
                name: getattr(before, name) + (value - getattr(before, name)) / self._averaged
                for name, value in now.items()
            }
        )

    def chosen(self) -> ShiftedRule:
        """The rule with that share of the mean shift which serves fresh training merchants best."""
        seeds = self.rng.integers(0, 2**62, CHOOSING)
        setting = self.market.setting
        idle = Market.of(setting, CHOOSING, reward="score", noop=True)
        idle.reset(seeds=seeds)
        weights = score_weights(idle).numpy()
        market = Market.of(setting, CHOOSING, reward="score")
        tried = [self.policy(_part(self.mean, share)) for share in SHARES]
        plans = [rollout(policy, market, seeds) for policy in tried]
        scores = [plan["score"] / (plan["budget"] * plan["roi_target"]) for plan in plans]
        return tried[int(np.argmax([weights @ score for score in scores]))]

    def close(self) -> None:
        """Release the markets."""
        self.market.close()
        self.idle.close()


def _part(shift: Shift, share: float) -> Shift:
    """A share of a shift; what it knows of the facts stays."""
    moved = {name: getattr(shift, name) * np.float32(share) for name in MOVED}
    return shift._replace(**moved)


def _summed(by_tick: np.ndarray, place: np.ndarray, count: int) -> np.ndarray:
    """Rows (ticks, levers) summed where they share a place: (count, levers)."""
    out = np.zeros((count, by_tick.shape[1]), by_tick.dtype)
    np.add.at(out, place, by_tick)
    return out
