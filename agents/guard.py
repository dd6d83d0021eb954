"""A policy that somebody else wrote, held to its word: every answer is checked, every fault is one
sentence.
"""

import inspect
import os
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..envs import find_task, select_levers
from .policy import Policy, State

ROOT = Path(__file__).parents[1]
# A user's code may lie in the checkout, which is the package's folder too.
OURS = tuple(str(ROOT / part) + os.sep for part in ("envs", "agents", "experiments"))
STANDARD_LIBRARY = sysconfig.get_path("stdlib")
NUMBERS = "fiu"  # numpy's letters for floats and for signed and unsigned integers


class AgentError(ValueError):
    """An agent of the user's that cannot be used; the message is one sentence that names it."""


class GuardState(NamedTuple):
    """What a guarded policy keeps between ticks."""

    inner: State  # what the policy itself returned
    tick: np.ndarray  # (n,) of the episode, 0 at its start


class GuardedPolicy:
    """A policy whose answers are checked; whatever is wrong with one becomes an `AgentError` that
    names agent, task and tick.

    Args:
        policy: what the user wrote; it needs `predict(observation, state, episode_start,
            deterministic)`, which is called with its arguments in this order.
        agent: how the user named it.
        task: the task's short name.
        levers: names of the levers it acts on; None to take those of the task.

    Raises:
        AgentError: if there is no such `predict`.
    """

    def __init__(self, policy: Any, agent: str, task: str, levers: "Sequence[str] | None" = None):
        self.policy: Policy = policy
        self.agent = agent
        self.task = task
        self.levers = select_levers(find_task(task).levers) if levers is None else tuple(levers)
        _check_predict(policy, self._where())

    def predict(
        self,
        observation: np.ndarray,
        state: GuardState | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, GuardState]:
        """The policy's own actions, (n, levers) float32; see `Policy.predict`.

        Raises:
            AgentError: if the policy raises, or answers anything else than finite actions of that
                shape and a state.
        """
        rows = 1 if np.ndim(observation) == 1 else len(observation)
        tick = _ticks(rows, state, episode_start)
        inner = None if state is None else state.inner
        try:
            answer: Any = self.policy.predict(observation, inner, episode_start, deterministic)
        except (Exception, SystemExit) as error:
            raise AgentError(f"{self._where(int(tick.max()))}: {error_sentence(error)}") from error
        action, inner = self._pair(answer, tick)
        shape = (len(self.levers),) if np.ndim(observation) == 1 else (rows, len(self.levers))
        return self._checked(action, shape, tick), GuardState(inner, tick)

    def _pair(self, answer: Any, tick: np.ndarray) -> tuple[Any, State]:
        if isinstance(answer, tuple) and len(answer) == 2:
            return answer
        given = f"a tuple of {len(answer)}" if isinstance(answer, tuple) else _described(answer)
        raise AgentError(
            f"{self._where(int(tick.max()))}: predict returned {given}; "
            "it must return the pair (actions, state)"
        )

    def _checked(self, action: Any, shape: tuple[int, ...], tick: np.ndarray) -> np.ndarray:
        where = self._where(int(tick.max()))
        try:
            values = np.asarray(action)
        except (Exception, SystemExit) as error:
            raise AgentError(
                f"{where}: the actions are no array: {error_sentence(error)}"
            ) from error
        if values.dtype.kind not in NUMBERS:
            raise AgentError(
                f"{where}: the actions are {_described(action)}; they must be numbers, float32"
            )
        if values.shape != shape:
            raise AgentError(
                f"{where}: the actions have shape {values.shape}; they must have {shape}, "
                "a row for each merchant and a column for each lever"
            )
        with np.errstate(over="ignore"):
            values = values.astype(np.float32)
        wrong = np.argwhere(~np.isfinite(np.atleast_2d(values)))
        if len(wrong):
            row, column = wrong[0]
            raise AgentError(
                f"{self._where(int(tick[row]))}: the action for {self.levers[column]} is "
                f"{np.atleast_2d(values)[row, column]} in row {row}; allowed are finite numbers"
            )
        return values

    def _where(self, tick: int | None = None) -> str:
        return f"{self.agent} on {self.task}" + ("" if tick is None else f", tick {tick}")


def error_sentence(error: BaseException) -> str:
    """What happened and where: the error's kind, its first line, and the last line of the user's
    own code on the way to it.
    """
    first = str(error).strip().partition("\n")[0]
    text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"SyntaxError: {error.msg} ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _foreign(frame.filename)]
    return f"{text} ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else text


def _foreign(file: str) -> bool:
    """Whether a line of code is Python's, an installed package's or ours, not the user's."""
    return file.startswith((*OURS, STANDARD_LIBRARY, "<")) or "site-packages" in file


def _ticks(rows: int, state: GuardState | None, episode_start: "np.ndarray | None") -> np.ndarray:
    """(n,) the tick of each row's episode that is being decided."""
    if state is None or len(state.tick) != rows:
        return np.zeros(rows, np.int64)
    following = state.tick + 1
    if episode_start is None:
        return following
    return np.where(np.atleast_1d(np.asarray(episode_start, bool)), 0, following)


def _check_predict(policy: Any, where: str) -> None:
    predict = getattr(policy, "predict", None)
    wanted = "predict(observation, state, episode_start, deterministic)"
    if not callable(predict):
        raise AgentError(f"{where}: {_described(policy)} has no {wanted}")
    try:
        signature = inspect.signature(predict)
    except (TypeError, ValueError):  # written in C: it is tried instead
        return
    try:
        signature.bind(None, None, None, True)
    except TypeError:
        raise AgentError(f"{where}: it has predict{signature}; it must take {wanted}") from None


def _described(value: Any) -> str:
    """What a value is, in a few words."""
    if value is None:
        return "None"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
