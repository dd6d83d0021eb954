"""How far a long command is: bars on a terminal, elsewhere a plain line about every ten seconds."""

import contextlib
import threading
import time
from types import TracebackType
from typing import Self

from rich import progress as bars
from rich.console import Console

EVERY = 10.0  # seconds between two lines where there is no terminal
SHOWN = 3  # stages named in one line


class Stage:
    """One piece of work that is under way: what it is, how far it is, and a few words on it."""

    def __init__(self, owner: "Progress", what: str, total: float | None, unit: str):
        self.what = what
        self.total = total
        self.unit = unit
        self.done = 0.0
        self.note = ""
        self.over = False
        self._owner = owner
        self._began = time.monotonic()
        self._known = (self._began, 0.0)  # when and at what count the rate begins

    def update(self, done: float | None = None, note: str | None = None) -> None:
        """Say how far it is.

        Args:
            done: of the total, in its unit. A stage whose first word is not 0 was resumed there:
                its time left is reckoned from what it did since.
            note: a few words; None keeps the last ones.
        """
        if done is not None:
            if self.done == 0 and done > 0:
                self._known = (time.monotonic(), done)
            self.done = done
        if note is not None:
            self.note = note
        self._owner.show(self)

    def advance(self, by: float = 1) -> None:
        """Add to what is done."""
        self.done += by
        self._owner.show(self)

    def finish(self) -> None:
        """Take it away: it is over, whether complete or not."""
        self.over = True
        self._owner.show(self)

    def seconds_left(self) -> float | None:
        """Seconds it will take at its rate so far; None where that cannot be said."""
        since, before = self._known
        elapsed = time.monotonic() - since
        gained = self.done - before
        if self.total is None or gained <= 0 or elapsed <= 0:
            return None
        return max(0.0, self.total - self.done) * elapsed / gained

    def sentence(self) -> str:
        """What, how far and how long still, in one line of plain text."""
        text = self.what
        if self.total:
            share = 100 * self.done / self.total
            text += f" {self.done:,.0f} of {self.total:,.0f}"
            text += f" {self.unit} ({share:.0f} %)" if self.unit else f" ({share:.0f} %)"
        left = self.seconds_left()
        if left is None:
            text += f", {duration(time.monotonic() - self._began)} so far"
        elif self.done < (self.total or 0):
            text += f", about {duration(left)} left"
        return f"{text}, {self.note}" if self.note else text


class Progress:
    """Shows the stages of a long command while it is open (`with Progress(console) as progress`).

    On a terminal every stage is a bar. Elsewhere (a pipe, a file, CI) a line is printed about every
    ten seconds, also while nothing is heard from the work.

    Args:
        console: where to print.
        every: seconds between two lines where the console is no terminal.
    """

    def __init__(self, console: Console, every: float = EVERY):
        self.console = console
        self._every = every
        self._stages: dict[Stage, bars.TaskID | None] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._bars = _bars(console) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        else:
            threading.Thread(target=self._speak, name="progress", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed.set()
        if self._bars is not None:
            self._bars.stop()

    def add(self, what: str, total: float | None = None, unit: str = "", note: str = "") -> Stage:
        """A new stage.

        Args:
            what: is done, for example `train PPO`.
            total: when it is complete; None if nobody knows.
            unit: of the total, for example `steps`.
            note: a few words on it, for example `compiling`.
        """
        stage = Stage(self, what, total, unit)
        stage.note = note
        bar = None
        if self._bars is not None:
            bar = self._bars.add_task(what, total=total, note=note)
        with self._lock:
            self._stages[stage] = bar
        return stage

    def say(self, text: str, style: str = "") -> None:
        """Print a line of its own, above the bars."""
        self.console.print(text, style=style or None, highlight=False, markup=False, soft_wrap=True)

    def show(self, stage: Stage) -> None:
        """Bring a stage's bar up to date; a stage calls it."""
        with self._lock:
            bar = self._stages.get(stage)
            if stage.over:
                self._stages.pop(stage, None)
        if self._bars is None or bar is None:
            return
        if stage.over:
            self._bars.remove_task(bar)
        else:
            self._bars.update(bar, completed=stage.done, note=stage.note)

    def line(self) -> str:
        """All stages under way in one line of plain text; empty if there is none."""
        with self._lock:
            open_ = [s for s in self._stages if not (s.total is not None and s.done >= s.total)]
        words = [stage.sentence() for stage in open_[:SHOWN]]
        more = len(open_) - len(words)
        return "; ".join(words) + (f"; and {more} more" if more else "")

    def _speak(self) -> None:
        while not self._closed.wait(self._every):
            text = self.line()
            if text:
                with contextlib.suppress(OSError, ValueError):  # the output was closed
                    self.say(text)


def duration(seconds: float) -> str:
    """Whole seconds below two minutes, whole minutes below two hours, then hours and minutes."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _bars(console: Console) -> bars.Progress:
    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("[dim]{task.fields[note]}"),
        console=console,
        speed_estimate_period=60,
        refresh_per_second=2,
    )
