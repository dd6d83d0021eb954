"""Runs side by side on one machine: a pool of processes that each execute one after another.

Every worker has its own pipe, so that one that dies takes only its own run with it. Ctrl-C is the
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

from ...agents.guard import AgentError
from .execute import OnProgress, RunProgress, execute, silent
from .spec import RunSpec
from .store import training_folder
from .tracking import Mode

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PATIENCE = 30.0  # seconds that a checkpoint may take after Ctrl-C


class Options(NamedTuple):
    """How runs are executed; nothing here changes their figures, but `go_on` may."""

    track: Mode = "off"
    go_on: bool = False  # continue half-done trainings from their checkpoints


PLAIN = Options()


class Outcome(NamedTuple):
    """What became of a run."""

    spec: RunSpec
    data: bytes | None  # its .npz; None when it failed
    error: str = ""  # one sentence
    trace: str = ""  # the traceback
    files: dict[str, bytes] = {}  # of a training's folder, where it was run elsewhere
    own: bool = False  # it failed for what an agent of the user's own did


Attempt = Callable[[RunSpec, Path, OnProgress, Options], Outcome]


def attempt(
    spec: RunSpec, folder: Path, on_progress: OnProgress = silent, options: Options = PLAIN
) -> Outcome:
    """Execute a run whose training keeps its files in `folder`; an error becomes part of the
    outcome.
    """
    try:
        return Outcome(spec, execute(spec, folder, on_progress, options.track, options.go_on))
    except AgentError as error:
        return Outcome(spec, None, str(error), traceback.format_exc(), own=True)
    except Exception as error:
        return Outcome(spec, None, f"{type(error).__name__}: {error}", traceback.format_exc())


def run_serial(
    specs: list[RunSpec], folder: Path, on_progress: OnProgress = silent, options: Options = PLAIN
) -> Iterator[Outcome]:
    """Execute runs one after another in this process."""
    for spec in specs:
        yield attempt(spec, training_folder(folder, spec), on_progress, options)


def run_pool(
    specs: list[RunSpec],
    folder: Path,
    workers: int,
    on_progress: OnProgress = silent,
    options: Options = PLAIN,
) -> Iterator[Outcome]:
    """Execute runs in a pool of processes; yields outcomes as they come.

    Args:
        specs: what to run, taken in order.
        folder: of the benchmark; trainings keep their folders below it.
        workers: processes side by side.
        on_progress: called with the progress of trainings.
        options: how to run.

    A worker that dies (out of memory, killed) makes its run's outcome a failure; another takes its
    place. Closing the generator stops the workers.
    """
    waiting = list(reversed(specs))
    running = {}
    pool: list[_Worker] = []
    try:
        for _ in range(min(workers, len(specs))):
            pool.append(_Worker(folder, options))
            _give(pool[-1], waiting, running)
        while running:
            for pipe in wait(list(running)):
                worker = running[pipe]  # type: ignore[index]
                message = worker.receive()
                if isinstance(message, RunProgress):
                    on_progress(message)
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


def _give(worker: "_Worker", waiting: list[RunSpec], running: "dict[Connection, _Worker]") -> None:
    if waiting:
        worker.send(waiting.pop())
        running[worker.pipe] = worker


class _Worker:
    """A process that executes the runs it is sent."""

    def __init__(self, folder: Path, options: Options):
        context = multiprocessing.get_context("spawn")
        self.pipe, far = context.Pipe()
        self.process = context.Process(target=_work, args=(far, folder, options))
        self.spec: RunSpec | None = None
        self.died = False
        with _single_threaded(), _ignoring_ctrl_c():
            self.process.start()
        far.close()

    def send(self, spec: RunSpec) -> None:
        """Give it a run to execute."""
        self.spec = spec
        self.pipe.send(spec)

    def receive(self) -> "RunProgress | Outcome":
        """Its next message: the progress of a training, or the outcome of its run."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            self.died = True
            assert self.spec is not None
            return Outcome(
                self.spec, None, f"its process ended with exit code {self.process.exitcode}"
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
def _ignoring_ctrl_c() -> Iterator[None]:
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
            spec: RunSpec = pipe.recv()
            pipe.send(attempt(spec, training_folder(folder, spec), pipe.send, options))


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
