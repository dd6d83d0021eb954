"""One row per task and agent: what `summary.json` and every table of the benchmark is made of."""

import csv
import io
import math
from typing import Any, NamedTuple

import numpy as np

from ...envs import unit_of
from ..runs.spec import FRESH
from .results import AgentResult
from .statistics import Interval, bootstrap_iqm, iqm

LEAST_GAIN = 1e-3  # of doing nothing: a share of a smaller gain says nothing
SUMMARY = (
    "task",
    "agent",
    "kind",
    "seeds",
    "episodes",
    "iqm",
    "ci_low",
    "ci_high",
    "violation_rate",
    "mean_shortfall",
    "budget_use",
    "share_of_clairvoyant",
    "share_of_bound",
    "profit_gain",
    "losing_share",
    "ticks",
)
FINAL = (
    "final_episodes",
    "final_iqm",
    "final_ci_low",
    "final_ci_high",
)  # and these, of the agents in a task's final
PAIRED = ("over_rule", "over_rule_low", "over_rule_high")  # and these, of who met the best rule
REPLAYED = ("fresh_iqm", "fresh_ci_low", "fresh_ci_high")  # and these, of plans in hindsight


class Share(NamedTuple):
    """What an agent reaches of a reference's gain over doing nothing."""

    iqm: Interval | None  # over runs and episodes; None if there is no reference, or it never gains
    pooled: (
        float | None
    )  # gain over all episodes / the reference's; what a bound in expectation speaks about
    left_out: int  # episodes in which the reference gains less than LEAST_GAIN of doing nothing


class Summary(NamedTuple):
    """One agent on one task. Shares of episodes and of budgets are fractions; money is CNY per
    episode.
    """

    task: str
    agent: str
    kind: str
    seeds: int
    episodes: int
    score: Interval  # IQM of score / score of doing nothing on the same episode
    violation_rate: (
        float | None
    )  # share of episodes with ROI under 0.98 of the target; None for a bound, which plays nothing
    mean_shortfall: float | None  # mean of max(0, 1 - ROI / target)
    budget_use: float | None  # mean of spend / budget
    highest_budget_use: float | None  # of all episodes: above 1 the budget was broken
    clairvoyant: Share
    bound: Share
    profit: float | None  # mean
    settled_gmv: float | None  # mean
    incremental_gmv: float | None  # mean of settled GMV above doing nothing
    coupon_cost: float | None  # mean
    run_scores: tuple[float, ...]  # IQM of every run
    run_violations: tuple[float | None, ...]
    # as `score`, on the first `common_episodes`: those that all references of the task know
    common: Interval
    common_episodes: int
    final: Interval | None = (
        None  # as `score`, on all episodes of the task's final; None for who is not in it
    )
    final_episodes: int = 0
    # median over runs and episodes of the profit above doing nothing, over the latter's
    profit_gain: float | None = None
    losing_share: float | None = None  # of episodes with less profit than doing nothing
    # IQM of the score on validation merchants, mean over runs: what agents are chosen by
    validation: float | None = None
    # market ticks and CPU seconds of one training, of a tuning or of a whole search
    ticks: int | None = None
    cpu_seconds: float | None = None
    # of plans found in hindsight: as `score`, replayed on noise that they were not fitted to; None
    # for others, and where no replay was made
    fresh: Interval | None = None
    # IQM over that of the task's best rule, less 1, paired on the same episodes; None for the rule
    # itself, for references, and where the two were not played here
    over_rule: Interval | None = None


def relative_score(result: AgentResult) -> np.ndarray:
    """Score in the unit that doing nothing sets on the same episode, (seeds, episodes)."""
    return result.figures["score"] / unit_of(result.nothing)


def gain_shares(result: AgentResult, reference: np.ndarray | None) -> np.ndarray:
    """(score - nothing) / (reference - nothing), (seeds, episodes in which the reference gains);
    empty without a reference.

    Args:
        result: of the agent.
        reference: score of the reference, (episodes,), CNY.
    """
    if reference is None:
        return np.empty((result.runs, 0))
    noop = result.nothing["score"]
    least = LEAST_GAIN * unit_of(result.nothing)
    kept = reference - noop >= least  # NaN, an unknown reference, is not
    return (result.figures["score"][:, kept] - noop[kept]) / (reference - noop)[kept]


def summarise(result: AgentResult, common: int | None = None) -> Summary:
    """All figures of an agent on a task; the resampling is always the same.

    Args:
        result: of the agent.
        common: how many episodes all references of the task know (`known_episodes`); None: all of
            the result's.
    """
    relative = relative_score(result)
    count = min(common or result.episodes, result.episodes)
    score = bootstrap_iqm(relative, common=True)
    violated = result.figures.get("violated")
    spend = result.figures.get("budget_use")
    settled = result.figures.get("settled_gmv")
    return Summary(
        result.task,
        result.agent,
        result.kind,
        result.runs,
        result.episodes,
        score,
        _mean(violated),
        _mean(result.figures.get("shortfall")),
        _mean(spend),
        None if spend is None else float(spend.max()),
        _share(result, result.clairvoyant),
        _share(result, result.bound),
        _mean(result.figures.get("profit")),
        _mean(settled),
        None if settled is None else _mean(settled - result.nothing["settled_gmv"]),
        _mean(result.figures.get("coupon_cost")),
        tuple(iqm(run) for run in relative),
        tuple(None if violated is None else _mean(violated[run]) for run in range(result.runs)),
        score if count == result.episodes else bootstrap_iqm(relative[:, :count], common=True),
        count,
        None if result.final is None else bootstrap_iqm(result.final, common=True),
        0 if result.final is None else result.final.shape[1],
        *_above_noop(result),
        fresh=_fresh(result),
    )


def _fresh(result: AgentResult) -> Interval | None:
    """IQM of the mean score on fresh noise over the score of doing nothing."""
    score = result.figures.get(FRESH)
    if score is None:
        return None
    return bootstrap_iqm(score / unit_of(result.nothing), common=True)


def _above_noop(result: AgentResult) -> tuple[float | None, float | None]:
    """Median relative profit above doing nothing, and the share of episodes that lose by it."""
    profit, noop = result.figures.get("profit"), result.nothing.get("profit")
    if profit is None or noop is None:
        return None, None
    gain = profit - noop
    return float(np.median(gain / np.maximum(np.abs(noop), 1e-9))), float((gain < 0).mean())


def summarise_all(results: list[AgentResult]) -> list[Summary]:
    """Every agent's summary, best first within its task."""
    return ranked([summarise(result, known_episodes(results, result.task)) for result in results])


def known_episodes(results: list[AgentResult], task: str) -> int:
    """How many episodes all agents of a task have in common: references cost much and may know the
    first ones alone.
    """
    return min(result.episodes for result in results if result.task == task)


def _mean(values: np.ndarray | None) -> float | None:
    return None if values is None or not np.isfinite(values).all() else float(values.mean())


def _share(result: AgentResult, reference: np.ndarray | None) -> Share:
    if reference is None:
        return Share(None, None, 0)
    shares = gain_shares(result, reference)
    known = np.isfinite(reference)
    noop = result.nothing["score"][known]
    gain = float((reference[known] - noop).mean()) if known.any() else 0.0
    pooled = float((result.figures["score"][:, known] - noop).mean()) / gain if gain > 0 else None
    found = bootstrap_iqm(shares, common=True) if shares.size else None
    return Share(found, pooled, int(known.sum()) - shares.shape[1])


def ranked(rows: list[Summary]) -> list[Summary]:
    """Tasks in the order given, within each the best score first."""
    order = {task: i for i, task in enumerate(dict.fromkeys(row.task for row in rows))}
    return sorted(rows, key=lambda row: (order[row.task], -row.score.value))


def best(rows: list[Summary], kind: str, task: str | None = None) -> Summary | None:
    """The best agent of a kind, on a task if one is named: chosen on validation merchants where all
    of them played there, else by the score, as benchmarks were before there were any.
    """
    found = [row for row in rows if row.kind == kind and task in (None, row.task)]
    chosen = all(row.validation is not None for row in found)
    return max(
        found, key=lambda row: (row.validation or 0.0) if chosen else row.score.value, default=None
    )


def summary_rows(results: list[AgentResult]) -> list[dict[str, Any]]:
    """The rows of `summary.json`, best first within each task; `null` where there is nothing to
    say, never NaN.
    """
    return [plain_row(row) for row in summarise_all(results)]


def plain_row(row: Summary) -> dict[str, Any]:
    """A row of `summary.json`."""
    full = full_row(row)
    more = (
        *(PAIRED if row.over_rule else ()),
        *(FINAL if row.final else ()),
        *(REPLAYED if row.fresh else ()),
    )
    return {name: full[name] for name in (*SUMMARY, *more)}


def full_row(row: Summary) -> dict[str, Any]:
    """A row of `results.csv`: the summary, the intervals of the shares, money, and what was left
    out.
    """
    shares = {}
    for name, share in (("clairvoyant", row.clairvoyant), ("bound", row.bound)):
        value, low, high = share.iqm or (None, None, None)
        shares |= {
            f"share_of_{name}": value,
            f"share_of_{name}_low": low,
            f"share_of_{name}_high": high,
            f"pooled_share_of_{name}": share.pooled,
            f"left_out_of_{name}": share.left_out,
        }
    data = {
        "task": row.task,
        "agent": row.agent,
        "kind": row.kind,
        "seeds": row.seeds,
        "episodes": row.episodes,
        "iqm": row.score.value,
        "ci_low": row.score.low,
        "ci_high": row.score.high,
        "violation_rate": row.violation_rate,
        "mean_shortfall": row.mean_shortfall,
        "budget_use": row.budget_use,
        **shares,
        "highest_budget_use": row.highest_budget_use,
        "profit": row.profit,
        "settled_gmv": row.settled_gmv,
        "incremental_gmv": row.incremental_gmv,
        "coupon_cost": row.coupon_cost,
        "profit_gain": row.profit_gain,
        "losing_share": row.losing_share,
        "validation": row.validation,
        "ticks": row.ticks,
        "cpu_seconds": row.cpu_seconds,
        **dict(
            zip(FINAL, (row.final_episodes, *row.final) if row.final else (None,) * 4, strict=True)
        ),
        **dict(zip(REPLAYED, row.fresh or (None,) * 3, strict=True)),
        **dict(zip(PAIRED, row.over_rule or (None,) * 3, strict=True)),
    }
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in data.items()
    }


def csv_text(rows: list[Summary]) -> str:
    """`results.csv`: all figures unrounded, empty where there is none."""
    out = io.StringIO()
    records = [full_row(row) for row in ranked(rows)]
    writer = csv.DictWriter(
        out, list(records[0]) if records else list(SUMMARY), lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()
