"""Cells side by side on one machine: a pool of processes that each run one cell after another.

Every worker has its own pipe, so that one that dies takes only its own cell with it. Ctrl-C is the
parent's to answer: it asks each worker to stop with one SIGTERM, and a learner writes a checkpoint
first.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from .cells import Cell, Tell, run_cell, run_path
from .tracking import Mode

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE = 30.0  # seconds that a checkpoint may take after Ctrl-C


class Options(NamedTuple):
    """How cells are run; nothing here changes their figures, but `go_on` may."""

    track: Mode = "off"
    go_on: bool = False  # continue half-done trainings from their checkpoints


PLAIN = Options()


class Outcome(NamedTuple):
    """What became of a cell."""

    cell: Cell
    data: bytes | None  # its .npz; None when it failed
    error: str = ""  # one sentence
    trace: str = ""  # the traceback
    files: dict[str, bytes] = {}  # of a learner's run folder, where it was run elsewhere


Attempt = Callable[[Cell, Path, Tell, Options], Outcome]


def attempt(
    cell: Cell, folder: Path, tell: Tell = lambda text: None, options: Options = PLAIN
) -> Outcome:
    """Run a cell whose learner's files go to `folder`; an error becomes part of the outcome."""
    try:
        return Outcome(cell, run_cell(cell, folder, tell, options.track, options.go_on))
    except Exception as error:
        return Outcome(cell, None, f"{type(error).__name__}: {error}", traceback.format_exc())


def run_serial(
    cells: list[Cell], folder: Path, tell: Tell = lambda text: None, options: Options = PLAIN
) -> Iterator[Outcome]:
    """Run cells one after another in this process."""
    for cell in cells:
        yield attempt(cell, run_path(folder, cell), tell, options)


def run_pool(
    cells: list[Cell],
    folder: Path,
    workers: int,
    tell: Tell = lambda text: None,
    options: Options = PLAIN,
) -> Iterator[Outcome]:
    """Run cells in a pool of processes; yields outcomes as they come.

    Args:
        cells: to run, taken in order.
        folder: of the benchmark; learners' runs go below it.
        workers: processes side by side.
        tell: hears a few words on the progress of trainings.
        options: how to run.

    A worker that dies (out of memory, killed) makes its cell's outcome a failure; another takes its
    place. Closing the generator stops the workers.
    """
    waiting = list(reversed(cells))
    running = {}
    pool: list[_Worker] = []
    try:
        for _ in range(min(workers, len(cells))):
            pool.append(_Worker(folder, options))
            _give(pool[-1], waiting, running)
        while running:
            for pipe in wait(list(running)):
                worker = running[pipe]  # type: ignore[index]
                message = worker.receive()
                if isinstance(message, str):
                    tell(message)
                    continue
                del running[pipe]  # type: ignore[arg-type]
                if worker.died:
                    pool.remove(worker)
                    if waiting:
                        pool.append(worker := _Worker(folder, options))
                if not worker.died:
                    _give(worker, waiting, running)
                yield message
    finally:
        _stop(pool)


def _give(worker: "_Worker", waiting: list[Cell], running: "dict[Connection, _Worker]") -> None:
    if waiting:
        worker.send(waiting.pop())
        running[worker.pipe] = worker


class _Worker:
    """A process that runs the cells it is sent."""

    def __init__(self, folder: Path, options: Options):
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_work, args=(far, folder, options))
        self.cell: Cell | None = None
        self.died = False
        with _single_threaded(), _deaf():
            self.process.start()
        far.close()

    def send(self, cell: Cell) -> None:
        """Give it a cell to run."""
        self.cell = cell
        self.pipe.send(cell)

    def receive(self) -> "str | Outcome":
        """Its next message: words on the progress, or the outcome of its cell."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            self.died = True
            assert self.cell is not None
            return Outcome(
                self.cell, None, f"its process ended with exit code {self.process.exitcode}"
            )


@contextlib.contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started inside compute with one thread each: faster side by side, and sums in one
    order.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first moment."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection, folder: Path, options: Options) -> None:
    """The life of a worker: until its pipe ends, or SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _interrupt)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        while True:
            cell: Cell = pipe.recv()
            pipe.send(attempt(cell, run_path(folder, cell), pipe.send, options))


def _interrupt(number: int, frame: Any) -> None:
    signal.signal(
        signal.SIGTERM, signal.SIG_IGN
    )  # once: a second signal would cut the checkpoint short
    raise KeyboardInterrupt


def _stop(pool: list[_Worker]) -> None:
    """Ask every worker to end, a learner after its checkpoint."""
    for worker in pool:
        worker.process.terminate()
    deadline = time.monotonic() + PATIENCE
    for worker in pool:
        while (
            worker.process.is_alive() and time.monotonic() < deadline
        ):  # read on: a full pipe would block its end
            with contextlib.suppress(EOFError, OSError):
                if worker.pipe.poll(0.05):
                    worker.pipe.recv()
            worker.process.join(0.01)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()
