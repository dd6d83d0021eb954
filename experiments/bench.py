"""How fast the code is here: CPU time per process, median of repeats, as a table or JSON (world 4).

Rates count environment steps per CPU second of the measuring process; wall time is used only where
threads are compared and where a new process or a whole training is measured.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..envs import Market, SuperPlanEnv, task_setting
from ..envs.market import layout as rows
from .trainings import training_options

THREADED = 8192  # markets with which threads are compared
EPISODES = 30  # of the single environment, in each repeat
START = """
import time; t = time.perf_counter()
import gymnasium, chengfang
env = gymnasium.make("chengfang/SuperPlan-v1")
env.reset(seed=0)
env.step(env.action_space.sample())
print(time.perf_counter() - t)
"""


class Figure(NamedTuple):
    """One measured figure, with the floor and goal that the project sets itself (None where there
    is none).
    """

    name: str
    value: float
    unit: str
    floor: float | None = None
    goal: float | None = None
    at_most: bool = False  # floor and goal are upper limits


class Measurement(NamedTuple):
    """A figure to be measured."""

    name: str
    unit: str
    floor: float | None
    goal: float | None
    measure: Callable[[], float]
    at_most: bool = False


def bench(
    envs: int = 1024,
    repeats: int = 7,
    quick: bool = False,
    learner: bool = True,
    on_progress: Callable[[str], None] = lambda name: None,
) -> list[Figure]:
    """Measure everything.

    Args:
        envs: markets in a batch.
        repeats: how often each figure is measured; the median counts.
        quick: three repeats and a shorter training.
        learner: measure PPO end to end too.
        on_progress: called with the name of what is measured next.
    """
    figures = []
    for m in measurements(envs, 3 if quick else repeats, learner, quick):
        on_progress(m.name)
        figures.append(Figure(m.name, m.measure(), m.unit, m.floor, m.goal, m.at_most))
    return figures


def measurements(envs: int, repeats: int, learner: bool, quick: bool) -> list[Measurement]:
    """What `bench` measures, in its order."""
    steps = 400_000 if quick else 1_200_000
    found = [
        Measurement(
            f"batch of {envs:,}, sampled",
            "env-steps/CPU s",
            250e3,
            500e3,
            lambda: batch_rate(envs, True, repeats),
        ),
        Measurement(
            f"batch of {envs:,}, expectation mode",
            "env-steps/CPU s",
            None,
            1.5e6,
            lambda: batch_rate(envs, False, repeats),
        ),
        Measurement(
            "single env, unwrapped", "steps/CPU s", 130e3, 200e3, lambda: single_rate(repeats)
        ),
        Measurement("2 threads over 1", "x", 1.6, 1.85, lambda: thread_ratio(THREADED, repeats)),
        Measurement(
            f"gradient of {envs:,} episodes, there and back",
            "env-steps/CPU s",
            60e3,
            None,
            lambda: gradient_rate(envs, repeats, compiled=False),
        ),
        Measurement(
            "reset, drawing a merchant", "us/env", None, None, lambda: reset_rate(envs, repeats)
        ),
        Measurement("memory per env", "bytes", None, None, memory_per_env),
        Measurement(
            "import to first step, cached", "s", 1.2, 0.7, lambda: start_time(repeats), at_most=True
        ),
    ]
    if not quick:  # it takes a minute to compile
        found.append(
            Measurement(
                f"gradient of {envs:,} episodes, compiled",
                "env-steps/CPU s",
                None,
                150e3,
                lambda: gradient_rate(envs, repeats, compiled=True),
            )
        )
    if learner:
        found.append(
            Measurement(
                "PPO end to end, 1,024 envs", "steps/s", 40e3, 65e3, lambda: ppo_rate(steps)
            )
        )
    return found


def _market(envs: int, sampled: bool = True, threads: int = 1) -> tuple[Market, np.ndarray]:
    """A batch of SuperPlan after its first step, and actions for it."""
    market = Market.of(
        task_setting("SuperPlan", split="train"), envs, sampled=sampled, threads=threads
    )
    market.reset(seeds=np.arange(envs))
    actions = (
        np.random.default_rng(0).uniform(-0.5, 0.5, (envs, len(market.levers))).astype(np.float32)
    )
    market.step(actions)
    return market, actions


def _median(measure: Callable[[], float], repeats: int) -> float:
    return float(np.median([measure() for _ in range(repeats)]))


def batch_rate(envs: int, sampled: bool, repeats: int) -> float:
    """Env-steps per CPU second of one core, resets of whole episodes included."""
    market, actions = _market(envs, sampled)
    ticks = max(20, market.ticks if envs <= 1024 else 20)

    def once() -> float:
        begin = time.process_time()
        for _ in range(ticks):
            market.step(actions)
            if market.dones.all():
                market.reset()
                market.dones[:] = False
        return envs * ticks / (time.process_time() - begin)

    return _median(once, repeats)


def gradient_rate(envs: int, repeats: int, compiled: bool) -> float:
    """Env-steps per CPU second of playing a day of SuperPlan and differentiating it."""
    import torch

    from ..envs.market.adjoint import Episode

    torch.set_num_threads(1)
    setting = replace(task_setting("SuperPlan", split="train"), days=1)
    market = Market.of(setting, envs, reward="score")
    market.reset(seeds=np.arange(envs))
    episode = Episode(market, compiled=compiled)
    actions = np.zeros((envs, len(market.levers)), np.float32)

    def once() -> float:
        market.reset()
        episode.restart()
        begin = time.process_time()
        for _ in range(market.ticks):
            episode.step(actions)
        episode.gradient()
        return envs * market.ticks / (time.process_time() - begin)

    once()
    return _median(once, repeats)


def single_rate(repeats: int) -> float:
    """Steps per CPU second of the unwrapped Gymnasium environment."""
    env = SuperPlanEnv()
    env.reset(seed=0)
    action = np.zeros(len(env.levers), np.float32)

    def once() -> float:
        begin = time.process_time()
        steps = 0
        for _ in range(EPISODES):
            env.reset()
            done = False
            while not done:
                done = env.step(action)[2]
                steps += 1
        return steps / (time.process_time() - begin)

    return _median(once, repeats)


def thread_ratio(envs: int, repeats: int) -> float:
    """Wall time of one thread over that of two on the same work, taken in turn."""
    one = _market(envs, threads=1)
    two = _market(envs, threads=2)

    def wall(pair: tuple[Market, np.ndarray]) -> float:
        begin = time.perf_counter()
        for _ in range(12):
            pair[0].step(pair[1])
        return time.perf_counter() - begin

    ratio = _median(lambda: wall(one) / wall(two), 2 * repeats + 1)
    one[0].close()
    two[0].close()
    return ratio


def reset_rate(envs: int, repeats: int) -> float:
    """CPU microseconds to draw one merchant and start its episode."""
    market, _ = _market(envs)

    def once() -> float:
        begin = time.process_time()
        market.reset()
        return (time.process_time() - begin) / envs * 1e6

    return _median(once, repeats)


def memory_per_env() -> float:
    """Bytes a market keeps per env: state, merchant, its cells, observation, reward, costs."""
    market, _ = _market(16)
    arrays = (
        market.states,
        market.merchants,
        market.cells,
        market.observations,
        market.rewards,
        market.dones,
        market.costs,
    )
    assert market.cells.shape[1:] == (rows.CELL_ROWS, rows.N_LANES)
    return sum(a.nbytes for a in arrays) / market.num_envs


def start_time(repeats: int) -> float:
    """Seconds from an empty interpreter to the first step, compiled code cached; wall time of a new
    process.
    """
    command = [sys.executable, "-c", START]

    def once() -> float:
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    once()
    return _median(once, max(repeats, 3))


def ppo_rate(steps: int) -> float:
    """Environment steps per second of wall time of PPO learning, after its first updates."""
    from ..agents.learners import PPOSettings
    from ..agents.learners.training import Progress, train

    seen: list[Progress] = []
    settings = PPOSettings.model_validate(training_options("bench") | {"steps": steps})
    setting = task_setting("SuperPlan", split="train")
    with tempfile.TemporaryDirectory() as folder:
        train(settings, setting, 0, Path(folder), seen.append)
    later = [p.steps_per_second for p in seen[1:-1]] or [p.steps_per_second for p in seen]
    return float(np.median(later))
