"""Runs on a Ray cluster: the same runs as in the local pool, with the same figures, on as many
machines as there are.

A run is executed in a temporary folder of its node and comes back as bytes, so that no shared file
system is needed: only the driver writes. When a node is lost, Ray executes its runs again elsewhere
from their beginning, which gives the same figures.
"""

import contextlib
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...agents.guard import AgentError
from ...agents.own_code import install_sources
from .execute import silent
from .fingerprint import fingerprint
from .pool import PLAIN, Attempt, Options, Outcome, attempt
from .spec import RunSpec

RETRIES = 10  # nodes or processes that a run may lose; more, and it is the run that kills them
WAITING_PER_CORE = 2  # runs handed to Ray ahead of free cores: nodes stay busy, the driver small
LEFT_BEHIND = ("checkpoint.pt",)


class RayError(ValueError):
    """Ray cannot be used; the message says what to do."""


def run_ray(
    specs: list[RunSpec],
    address: str,
    options: Options = PLAIN,
    attempt: Attempt = attempt,
    sources: dict[str, bytes] | None = None,
) -> Iterator[Outcome]:
    """Execute runs on a Ray cluster; yields outcomes as they come.

    Args:
        specs: what to run, identified, taken in order.
        address: of the cluster, `auto` for the one this machine belongs to, or `local` to start one
            on this machine.
        options: how to run; trainings always start from their beginning.
        attempt: what executes a run on a node.
        sources: files of the user's own agents by relative path (`own_agents.sources_of`), for
            nodes that do not have them.

    Raises:
        RayError: Ray is not installed or there is no such cluster.
    """
    ray = imported_ray()
    started = _connect(ray, address)
    remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_on_node)
    shared = ray.put(_Attempt(attempt, options, sources or {}))
    waiting = list(reversed(specs))
    running = {}
    try:
        while waiting or running:
            cores = max(2, int(ray.cluster_resources().get("CPU", 0)))
            while waiting and len(running) < WAITING_PER_CORE * cores:
                spec = waiting.pop()
                running[remote.remote(shared, spec)] = spec
            for done in ray.wait(list(running), num_returns=1)[0]:
                yield _outcome(ray, done, running.pop(done))
    finally:
        for reference in running:
            with contextlib.suppress(Exception):
                ray.cancel(reference, force=True)
        if started:
            ray.shutdown()


class _Attempt:
    """What is the same for every run, sent to each node once."""

    def __init__(self, run: Attempt, options: Options, sources: dict[str, bytes]):
        self.run = run
        self.options = options
        self.sources = sources


def _on_node(shared: _Attempt, spec: RunSpec) -> Outcome:
    """Execute a run on this node; a node whose code or processor gives other numbers refuses."""
    install_sources(shared.sources)
    try:
        known = fingerprint(spec)
    except AgentError as error:
        return Outcome(spec, None, str(error), own=True)
    if known != spec.fingerprint:
        return Outcome(
            spec,
            None,
            "this node would give other figures than the driver; "
            "install the same chengfang on every node",
        )
    with tempfile.TemporaryDirectory(prefix="chengfang-") as place:
        folder = Path(place) / "run"
        outcome = shared.run(spec, folder, silent, shared.options._replace(go_on=False))
        return outcome._replace(files=_files(folder) if outcome.data is not None else {})


def _files(folder: Path) -> dict[str, bytes]:
    """Everything a run left, by relative path, but what only this node could use."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and path.name not in LEFT_BEHIND
    }


def _outcome(ray: Any, reference: Any, spec: RunSpec) -> Outcome:
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        return Outcome(spec, None, f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")


def imported_ray() -> Any:
    """The package `ray`, an extra of ours; raises RayError if it is not installed."""
    try:
        import ray
    except ImportError:
        raise RayError(
            "Ray is not installed; install it with: pip install 'chengfang[ray]'"
        ) from None
    return ray


def _connect(ray: Any, address: str) -> bool:
    """Join the cluster; returns whether it was us who connected."""
    if ray.is_initialized():
        return False
    _answers(address)
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    os.environ.setdefault(
        "RAY_USAGE_STATS_ENABLED", "0"
    )  # a cluster that we start reports to nobody
    try:
        ray.init(
            address=None if address == "local" else address,
            log_to_driver=False,
            logging_level="ERROR",
            include_dashboard=False if address == "local" else None,
            configure_logging=False,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, str(error).strip().splitlines()[0]) from None
    if main and before is not None:
        signal.signal(signal.SIGTERM, before)  # Ray's own would end us with no summary
    return True


def _answers(address: str) -> None:
    """Fail at once where nothing listens; Ray itself would try for minutes."""
    where = urlsplit(address if "://" in address else f"ray://{address}")
    if address in ("auto", "local"):
        return
    try:
        if where.hostname is None or where.port is None:
            raise ValueError("an address is HOST:PORT")
        socket.create_connection((where.hostname, where.port), timeout=5).close()
    except (OSError, ValueError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str, why: str) -> RayError:
    return RayError(
        f"--ray is {address!r}; no Ray cluster answers there ({why}); "
        "start one with `ray start --head`, or use --ray local"
    )
