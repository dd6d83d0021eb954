"""One policy judged on held-out merchants, beside another if one is named: figures, a table, and
the difference in words.
"""

from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.table import Table

from ...agents import Policy
from ...agents.catalog import Described, describe, find_policy
from ...envs import Setting
from ..analysis.paired import paired_difference
from ..analysis.results import AgentResult
from ..analysis.statistics import Interval
from ..analysis.summary import SUMMARY, full_row, relative_score, summarise
from ..analysis.verdicts import word
from ..runs.evaluate import evaluate, play_noop
from ..runs.progress import Progress

BLOCK = 4096  # episodes played at once; bounds the memory
FIGURES = (
    *(n for n in SUMMARY if not n.startswith("share_of_") and n != "ticks"),
    "highest_budget_use",
    "profit",
    "settled_gmv",
    "incremental_gmv",
    "coupon_cost",
)
LEGEND = (
    "score: settled GMV * min(1, (ROI/target)^2) in the unit that doing nothing sets on the same "
    "noise, inter-quartile mean with its 95 % interval; violated: share of episodes with ROI under "
    "0.98 of the target; shortfall: mean of max(0, 1 - ROI/target); money: means per episode."
)


class Request(NamedTuple):
    """What is to be judged, and on what."""

    policy: str  # any name that `find_policy` takes
    setting: Setting
    task: str  # short name
    episodes: int
    seed: int  # first stream of the held-out merchants
    tuned: bool = True  # a rule's tuned values, not its defaults
    safety_margin: float | None = None
    against: str | None = None  # another policy, which plays the same episodes


class Judged(NamedTuple):
    """What was found."""

    result: AgentResult
    against: AgentResult | None
    difference: Interval | None  # of the score, mean over merchants, less the other's


def judge(request: Request, progress: Progress) -> Judged:
    """Play a policy, and the one it is compared with, on the same merchants and noise.

    Raises:
        ValueError: if a policy cannot be found, or an agent of the user's own breaks; nothing is
            played before both are found.
    """
    seeds = np.arange(request.seed, request.seed + request.episodes)
    described = describe(request.policy, request.task)
    policy = find_policy(
        request.policy,
        request.setting,
        request.task,
        tuned=request.tuned,
        safety_margin=request.safety_margin,
    )
    if request.against is None:
        noop = _noop(request, seeds)
        return Judged(_played(request, described, policy, seeds, noop, progress), None, None)
    other = describe(request.against, request.task)
    rival = find_policy(request.against, request.setting, request.task)
    noop = _noop(request, seeds)
    result = _played(request, described, policy, seeds, noop, progress)
    against = _played(request, other, rival, seeds, noop, progress)
    difference = paired_difference(relative_score(result)[0], relative_score(against)[0])
    return Judged(result, against, difference)


def _noop(request: Request, seeds: np.ndarray) -> dict[str, np.ndarray]:
    return _joined([play_noop(request.setting, block) for block in _blocks(seeds)])


def _played(
    request: Request,
    described: Described,
    policy: Policy,
    seeds: np.ndarray,
    noop: dict[str, np.ndarray],
    progress: Progress,
) -> AgentResult:
    blocks = _blocks(seeds)
    ticks = len(blocks) * request.setting.ticks
    stage = progress.add(f"play {described.agent}", ticks, "ticks")
    parts = []
    for block in blocks:
        begun = stage.done
        played = evaluate(
            policy,
            request.setting,
            len(block),
            int(block[0]),
            nothing={},
            watch=lambda market: stage.advance(0 if market.ticks_left == market.ticks else 1),
        )
        stage.update(begun + request.setting.ticks)
        parts.append(played.plans)
    stage.finish()
    figures = {name: values[None] for name, values in _joined(parts).items()}
    return AgentResult(request.task, *described, figures, noop, None, None)


def _blocks(seeds: np.ndarray) -> list[np.ndarray]:
    return [seeds[i : i + BLOCK] for i in range(0, len(seeds), BLOCK)]


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


# For people and for programs
# --------------------------------------------------------------------------------------------------


def record(judged: Judged, request: Request) -> dict[str, Any]:
    """Every figure once, under the names of a benchmark's `summary.json`."""
    row = full_row(summarise(judged.result))
    data = {name: row[name] for name in FIGURES} | {
        "seed": request.seed,
        "split": request.setting.split,
        "scenario": request.setting.scenario.name,
        "scenario_hash": request.setting.scenario.hash,
    }
    if judged.against is not None and judged.difference is not None:
        data["against"] = {
            "agent": judged.against.agent,
            "difference": judged.difference.value,
            "ci_low": judged.difference.low,
            "ci_high": judged.difference.high,
            "violation_rate": float(judged.against.figures["violated"].mean()),
        }
    return data


def comparison_table(judged: Judged) -> Table:
    """A column for the policy, and one for the other."""
    found = [result for result in (judged.result, judged.against) if result is not None]
    columns = [_column(full_row(summarise(result))) for result in found]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for result in found:
        table.add_column(result.agent, justify="right", overflow="fold")
    for name in columns[0]:
        table.add_row(name, *(column[name] for column in columns))
    return table


def _column(row: dict[str, Any]) -> dict[str, str]:
    """A policy's figures as they are shown."""
    return {
        "score": f"{row['iqm']:.3f}",
        "95 % interval": f"{row['ci_low']:.3f} to {row['ci_high']:.3f}",
        "violated": f"{100 * row['violation_rate']:.1f} %",
        "shortfall": f"{100 * row['mean_shortfall']:.2f} %",
        "budget spent": f"{100 * row['budget_use']:.0f} %",
        "settled GMV": f"{row['settled_gmv']:,.0f} CNY",
        "  above doing nothing": f"{row['incremental_gmv']:+,.0f} CNY",
        "coupon cost": f"{row['coupon_cost']:,.0f} CNY",
        "profit": f"{row['profit']:,.0f} CNY",
        "  above doing nothing, median": f"{100 * row['profit_gain']:+.0f} %",
        "  episodes that lose by it": f"{100 * row['losing_share']:.1f} %",
    }


def difference_in_words(judged: Judged) -> str:
    """How the policy does against the other on the same episodes; empty if there is none.

    The table above it shows inter-quartile means; the sentence says that this difference is one of
    means.
    """
    if judged.against is None or judged.difference is None:
        return ""
    value, low, high = judged.difference
    rival = judged.against.agent
    level = float(relative_score(judged.against).mean())
    scale = max(abs(level), 1e-9)
    share = f"{100 * value / scale:+.1f} % of {rival}'s mean"
    verdict = word(Interval(value / scale, low / scale, high / scale))
    return (
        f"{judged.result.agent} against {rival}: {value:+.3f} in the mean score, paired by "
        f"merchant ({share}), 95 % interval {low:+.3f} to {high:+.3f}: {verdict}"
    )
