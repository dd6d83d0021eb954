"""The committed benchmark as a source of rows: what it knows already is not run again.

The committed evidence lies in `results/benchmark` of the checkout, and in the installed package.
Of each task it keeps a report: every agent's row, the curves, and the fingerprints of the runs they
were made of. A run of another benchmark with the same fingerprint would give the same figures, so
its agent's row is taken from there. Only what is compared episode by episode has to be played: the
best rule and doing nothing, on the merchants of whoever is new.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..analysis.verdicts import rivals
from ..report.task_report import TaskReport, load_report
from ..runs.fingerprint import identified
from ..runs.spec import RunSpec
from .config import NOTHING

EVIDENCE = Path(__file__).resolve().parent.parent.parent / "results" / "benchmark"
PER_EPISODE = ("clairvoyant", "upper_bound")  # references that shares are taken of, in each episode


class TaskRuns(NamedTuple):
    """The runs of one task: all that are planned, and which of them need not be played."""

    task: str
    planned: list[RunSpec]
    taken: TaskReport | None = None  # rows and curves of the agents that are taken as committed
    support: tuple[RunSpec, ...] = ()  # played for comparisons; their rows are taken
    evidence: Path | None = None  # folder of the committed benchmark that they are taken from

    @property
    def taken_agents(self) -> set[str]:
        """Whose rows are taken."""
        return {row.agent for row in self.taken.rows} if self.taken else set()

    @property
    def to_play(self) -> list[RunSpec]:
        """What has to be there to report on the task, beside what is taken."""
        if self.taken is None:
            return self.planned
        known = {*self.taken_agents, NOTHING}
        return [*self.support, *(spec for spec in self.planned if spec.agent not in known)]

    @property
    def facts_taken(self) -> dict[str, dict[str, Any]]:
        """Facts of the runs that are taken, by name."""
        return self.taken.runs if self.taken else {}

    @property
    def per_episode(self) -> list[RunSpec]:
        """Runs of references whose committed figures are needed episode by episode."""
        agents = self.taken_agents.intersection(PER_EPISODE)
        return [spec for spec in self.planned if spec.agent in agents]


def task_runs(task: str, planned: list[RunSpec], evidence: Path | None = EVIDENCE) -> TaskRuns:
    """Decide what of a task is taken from the committed evidence and what is played.

    Args:
        task: its name.
        planned: all its runs, identified.
        evidence: folder of the committed benchmark; None to take nothing.
    """
    report = load_report(evidence, task) if evidence is not None else None
    agents = _known_agents(planned, report) if report is not None else set()
    if report is None or not agents:
        return TaskRuns(task, planned)
    taken = report.of_agents(agents)
    facts = {s.name: report.runs[s.name] for s in planned if s.agent in {*agents, NOTHING}}
    taken = taken._replace(runs=facts)
    return TaskRuns(task, planned, taken, _support(planned, taken), evidence)


def _known_agents(planned: list[RunSpec], report: TaskReport) -> set[str]:
    """Agents whose committed rows say what their planned runs would.

    A row speaks of doing nothing and of the references too; so none is taken unless all of these
    are the committed ones.
    """
    runs: dict[str, dict[str, str]] = {}
    kinds = {spec.agent: spec.kind for spec in planned}
    for spec in planned:
        runs.setdefault(spec.agent, {})[spec.name] = spec.fingerprint
    committed: dict[str, dict[str, str]] = {}
    for name, facts in report.runs.items():
        agent = name.partition("/")[2].rpartition("-")[0]
        committed.setdefault(agent, {})[name] = facts["fingerprint"]
    rows = {row.agent: row.kind for row in report.rows}
    references = {agent for agent, kind in rows.items() if kind == "reference"} | {NOTHING}
    planned_references = {agent for agent, kind in kinds.items() if kind == "reference"}
    same = {agent for agent in runs if runs[agent] == committed.get(agent)}
    if planned_references != references or not references <= same:
        return set()
    return {agent for agent in same if agent in rows}


def _support(planned: list[RunSpec], taken: TaskReport) -> tuple[RunSpec, ...]:
    """What is played beside agents that are not committed: doing nothing, and the best rule for
    agents of the user's own, on the same merchants.
    """
    rows = {row.agent for row in taken.rows}
    fresh = [spec for spec in planned if spec.agent not in rows and spec.agent != NOTHING]
    if not fresh:
        return ()
    names = [NOTHING]
    rule = rivals(taken.task, taken.rows)[1]
    if rule and any(spec.kind == "own" for spec in fresh):
        names.append(rule.agent)
    episodes = max(spec.episodes for spec in fresh)
    return tuple(
        identified(replace(spec, episodes=episodes)) for spec in planned if spec.agent in names
    )
