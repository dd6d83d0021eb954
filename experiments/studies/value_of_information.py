"""The value of information on the merchant to the best rule: an estimate of what there is to
learn, not a limit.

The same merchant is met with many noises (shocks, traffic, orders drawn anew). A constant shift of
the rule's levers is searched for each merchant over some of them and judged on others. What is left
is knowledge of the merchant, free of the noise that a plan in hindsight is fitted to. A learner
that shifts the same rule has to find out what this search is told. The search is finite and its
shifts are constant, so a policy may do better.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...agents import Policy, make_rule, plan_spec
from ...agents.learners import ArtefactError, load_policy
from ...agents.rules.tuned import tuned_parameters
from ...envs import Setting
from ..analysis.statistics import Interval
from ..benchmark.config import load_benchmark
from ..benchmark.plan import plan_runs
from ..runs.evaluate import TEST_SEED
from .arenas.arena import Arena
from .outputs import Size, shown, spread, table, write_study
from .paired import paired_mean
from .pictures import information_figure

TASKS = ("Bidding", "Allocation", "Coupon", "SuperPlan", "WholeShop")
NAME = "value-of-information"
BEST = Path("results/benchmark/best")
NOISE_SEED = 77


class Search(NamedTuple):
    """How hard a shift is searched: cross-entropy, a search for each merchant."""

    noises: int  # drawn anew in every iteration
    population: int = 32
    iterations: int = 20
    spread: float = 0.25  # standard deviation of the first shifts, action units
    least_spread: float = 0.02
    judged: int = 16  # noises on which everybody is judged


class Known(NamedTuple):
    """One task: mean score over doing nothing of each merchant, each (n,)."""

    rule_name: str
    rule: np.ndarray
    informed: np.ndarray  # the rule with the merchant's own shift
    learner: np.ndarray | None  # the committed artefact; None if there is none
    shifts: np.ndarray  # (n, levers) action units
    levers: tuple[str, ...]


class NoisyMerchants:
    """Test merchants of a task, each met with any noise.

    Args:
        setting: what is played.
        merchants: how many, from the first held-out stream on.
    """

    def __init__(self, setting: Setting, merchants: int):
        self.setting = setting
        self.seeds = np.arange(TEST_SEED, TEST_SEED + merchants)

    def arena(self, keys: np.ndarray, copies: int = 1) -> Arena:
        """Every merchant `copies` times with each noise: episodes (merchant, copy, noise), noise
        running fastest.
        """
        arena = Arena(self.setting, np.repeat(self.seeds, copies * len(keys)))
        arena.start.states["key"] ^= np.tile(keys, copies * len(self.seeds))
        arena.start.states["path_key"] = arena.start.states["key"]
        return arena

    def scores(
        self, policy: Policy, keys: np.ndarray, shifts: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores (merchants, copies, noises), CNY, of a policy whose actions are shifted by
        (merchants, copies, levers).
        """
        copies = 1 if shifts is None else shifts.shape[1]
        arena = self.arena(keys, copies)
        if shifts is not None:
            flat = shifts.reshape(-1, len(self.setting.levers))
            policy = Shifted(policy, np.repeat(flat, len(keys), axis=0))
        return arena.play(policy)["score"].reshape(len(self.seeds), copies, len(keys))

    def noop(self, keys: np.ndarray) -> np.ndarray:
        """(merchants,) mean score of doing nothing."""
        return self.arena(keys).noop()["score"].reshape(len(self.seeds), len(keys)).mean(1)


class Shifted:
    """A policy whose actions are moved by a constant (n, levers)."""

    def __init__(self, policy: Policy, shift: np.ndarray):
        self.policy = policy
        self.shift = shift.astype(np.float32)

    def predict(
        self,
        observation: np.ndarray,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Any]:
        """See `Policy.predict`."""
        action, state = self.policy.predict(observation, state, episode_start, deterministic)
        return np.clip(action + self.shift, -1, 1), state


def study_value_of_information(folder: Path, size: Size, on_progress: Callable[[str], None]) -> str:
    """Run the study into `folder`; returns the text of results.md."""
    began = time.monotonic()
    config = load_benchmark()
    full = size.long
    found, merchants = {}, {}
    for task in TASKS if full else TASKS[:1]:
        days = plan_runs(config, [task])[0].days
        merchants[task] = max(size.episodes // {1: 2, 7: 4}.get(days, 8), 4)
        search = Search({1: 8, 7: 4}.get(days, 2)) if full else Search(2, 8, 2, judged=4)
        on_progress(
            f"value of information: {task}, {merchants[task]} merchants, {search.iterations} x "
            f"{search.population} shifts, each with "
            f"{search.noises} noises"
        )
        found[task] = measure(task, merchants[task], search)
    rows = [row for task, known in found.items() for row in _rows(task, known)]
    information_figure(
        {task: gains(known) for task, known in found.items()}, folder / "value_of_information.png"
    )
    text = _text(found)
    names = dict.fromkeys(config.scenario(task).name for task in found)
    write_study(folder, text, rows, size, NAME, began, list(names), merchants=merchants)
    return text


def measure(task: str, merchants: int, search: Search, best: Path = BEST) -> Known:
    """Search the shifts of a task's merchants and judge rule, shifted rule and committed learner on
    the same new noises.
    """
    run = next(r for r in plan_runs(load_benchmark(), [task]) if r.agent == "PPO-residual")
    setting = run.setting()
    training_env = run.options["training_env"]
    met = NoisyMerchants(setting, merchants)
    rule = make_rule(
        training_env["rule"],
        plan_spec(setting),
        **tuned_parameters(training_env["rule"], task),
    )
    rng = np.random.default_rng(NOISE_SEED)
    judged = _keys(rng, search.judged)
    shifts = search_shifts(met, rule, search, rng)
    noop = met.noop(judged)
    learner = None
    with contextlib.suppress(ArtefactError):
        learner = met.scores(load_policy(best / task), judged).mean((1, 2)) / noop
    return Known(
        training_env["rule"],
        met.scores(rule, judged).mean((1, 2)) / noop,
        met.scores(rule, judged, shifts[:, None]).mean((1, 2)) / noop,
        learner,
        shifts,
        setting.levers,
    )


def search_shifts(
    met: NoisyMerchants, rule: Policy, search: Search, rng: np.random.Generator
) -> np.ndarray:
    """(merchants, levers) shifts of the rule of the highest mean score over noises, each merchant
    searched by itself.
    """
    centre = np.zeros((len(met.seeds), len(met.setting.levers)))
    width = np.full_like(centre, search.spread)
    elite = max(search.population // 4, 2)
    weights = np.log(elite + 0.5) - np.log(np.arange(1, elite + 1))
    weights /= weights.sum()
    for _ in range(search.iterations):
        tried = centre[:, None] + width[:, None] * rng.standard_normal(
            (len(centre), search.population, centre.shape[1])
        )
        tried[:, 0] = centre
        order = np.argsort(
            -met.scores(rule, _keys(rng, search.noises), tried).mean(2), axis=1, kind="stable"
        )[:, :elite]
        best = np.take_along_axis(tried, order[..., None], 1)
        moved = np.sqrt(np.einsum("e,nel->nl", weights, (best - centre[:, None]) ** 2))
        width = np.maximum(0.7 * width + 0.3 * moved, search.least_spread)
        centre = np.einsum("e,nel->nl", weights, best)
    return centre


def _keys(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(1, 2**63, size=count).astype(np.uint64)


def gains(known: Known) -> dict[str, Interval]:
    """Gain over the rule, multiples of doing nothing, of the informed rule and of the learner;
    intervals over merchants.
    """
    unit = np.ones(len(known.rule))
    found = {"informed rule": paired_mean(known.informed, known.rule, unit)}
    return found | (
        {"learner": paired_mean(known.learner, known.rule, unit)}
        if known.learner is not None
        else {}
    )


def _rows(task: str, known: Known) -> list[dict[str, Any]]:
    """One row per figure: scores and gains in multiples of doing nothing, shifts in action units;
    `sd` is over merchants.
    """
    unit = np.ones(len(known.rule))
    found = {
        "rule": (known.rule, paired_mean(known.rule, 0 * unit, unit)),
        **{
            f"gain of the {name}": (
                (known.learner if name == "learner" else known.informed) - known.rule,
                interval,
            )
            for name, interval in gains(known).items()
        },
        **{
            f"shift of {name}": (
                known.shifts[:, i],
                paired_mean(known.shifts[:, i], 0 * unit, unit),
            )
            for i, name in enumerate(known.levers)
        },
    }
    return [
        {
            "task": task,
            "rule": known.rule_name,
            "merchants": len(known.rule),
            "figure": name,
            **spread("value", interval),
            "sd": float(np.std(values)),
        }
        for name, (values, interval) in found.items()
    ]


def _text(found: dict[str, Known]) -> str:
    lines = []
    for task, known in found.items():
        gained = gains(known)
        learner = shown(gained["learner"], digits=4) if "learner" in gained else "-"
        lines.append(
            [
                task,
                known.rule_name,
                str(len(known.rule)),
                f"{known.rule.mean():.3f}",
                shown(gained["informed rule"], digits=4),
                learner,
            ]
        )
    return "\n\n".join(
        [
            "# The value of information on the merchant",
            "Mean score over doing nothing of held-out merchants, each met with the same new "
            "noises. *Informed rule*: the best tuned "
            "rule with a constant shift of every lever, searched for each merchant over other "
            "noises, so it knows the merchant and not "
            "the day. *Learner*: the committed artefact, which knows neither. Gains over the rule, "
            "paired [95 % bootstrap interval "
            "over merchants].",
            table(
                [
                    "task",
                    "rule",
                    "merchants",
                    "rule's score",
                    "informed rule gains",
                    "learner gains",
                ],
                lines,
                2,
            ),
        ]
    )
