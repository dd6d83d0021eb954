"""What the benchmark found for one agent on one task: the type that runner, statistics and reports
share.
"""

from typing import Literal, NamedTuple

import numpy as np

Kind = Literal["rule", "learner", "shift", "reference", "own"]


class AgentResult(NamedTuple):
    """Figures of every run of an agent on the same held-out episodes, beside what bounds them
    there.

    Episodes are common random numbers: entry e of every array is the same merchant and the same
    noise. Money is CNY; the figures are named as in the dashboard.
    """

    task: str
    """Short name, for example Bidding."""
    agent: str
    kind: str
    """rule, learner, shift (of a rule), reference or own (an agent of the user's)."""
    figures: dict[str, np.ndarray]
    """Each (seeds, episodes); a rule or a reference has one row."""
    nothing: dict[str, np.ndarray]
    """The same figures when nothing is done, each (episodes,)."""
    clairvoyant: np.ndarray | None
    """Score of the clairvoyant, (episodes,), CNY; None where the task has none."""
    bound: np.ndarray | None
    """Upper bound on the expected score, (episodes,), CNY; None where the task has none. Some
    steps of its proof are missing (docs/upper_bound.md)."""

    final: np.ndarray | None = None
    """Score over that of doing nothing in every episode of the task's final, (seeds, more
    episodes); None for who is not in it.
    """

    @property
    def runs(self) -> int:
        """Number of training seeds, or 1."""
        return len(self.figures["score"])

    @property
    def episodes(self) -> int:
        """Held-out episodes of each run."""
        return self.figures["score"].shape[1]
