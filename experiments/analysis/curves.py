"""What charts of a task show beside its summaries, resampled once: profiles, chances, frontier."""

from typing import NamedTuple

import numpy as np

from .paired import probability_of_improvement
from .results import AgentResult
from .statistics import Interval, Profile, performance_profile
from .summary import Summary, best, gain_shares, ranked

PROFILE = np.linspace(0, 1.05, 106)  # shares of the clairvoyant's gain at which profiles are taken
BOUNDING = ("clairvoyant", "upper_bound")  # references that have no profile of their own


class Curves(NamedTuple):
    """What the charts of one task show beside its summaries; resampled once for every place that
    draws it.
    """

    profiles: dict[str, Profile]  # per agent; empty without a clairvoyant
    improvements: list[tuple[str, Interval]]  # of the best learner over each rule, best rule first


def task_curves(task: str, rows: list[Summary], results: list[AgentResult]) -> Curves:
    """Profiles and chances of one task, of the agents whose results are there."""
    return Curves(profiles(task, rows, results), improvements(task, rows, results))


def improvements(
    task: str, rows: list[Summary], results: list[AgentResult]
) -> list[tuple[str, Interval]]:
    """Chance that the task's best learner scores more than each rule on the same episode; best rule
    first.
    """
    learner = best(rows, "learner", task)
    found = {result.agent: result for result in results if result.task == task}
    if not learner or learner.agent not in found:
        return []
    rules = [row.agent for row in ranked(rows) if row.task == task and row.kind == "rule"]
    score = found[learner.agent].figures["score"]
    return [
        (rule, probability_of_improvement(score, found[rule].figures["score"]))
        for rule in rules
        if rule in found
    ]


def profiles(task: str, rows: list[Summary], results: list[AgentResult]) -> dict[str, Profile]:
    """Per agent the share of episodes above each share of the clairvoyant's gain; empty without a
    clairvoyant.
    """
    found = {result.agent: result for result in results if result.task == task}
    shares = {
        row.agent: gain_shares(found[row.agent], found[row.agent].clairvoyant)
        for row in ranked(rows)
        if row.task == task and row.agent in found and row.agent not in BOUNDING
    }
    return {
        agent: performance_profile(values, PROFILE)
        for agent, values in shares.items()
        if values.size
    }


def family(agent: str) -> str:
    """`PPO` of `PPO-margin02`: the same policy, played with another safety margin, is one line of
    the frontier.
    """
    return agent.partition("-margin")[0]


def frontier(rows: list[Summary]) -> list[Summary]:
    """Agents that nobody beats in both score and violation rate, safest first."""
    kept: list[Summary] = []
    for row in sorted(playing(rows), key=lambda r: (r.violation_rate or 0, -r.score.value)):
        if not kept or row.score.value > kept[-1].score.value:
            kept.append(row)
    return kept


def playing(rows: list[Summary]) -> list[Summary]:
    """All agents but references, with a violation rate."""
    return [row for row in rows if row.kind != "reference" and row.violation_rate is not None]
