"""Record what the engine, the rules and the committed policies do, so that a later change cannot
move them unnoticed.

`python tests/recorded/record.py` writes `trajectories.json` (SHA-256 digests, bit for bit) and
`actions.npz` (actions, compared within float32 rounding). Run it only with a change that is meant
to change numbers, and say so in CHANGELOG.md.
"""

import hashlib
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from chengfang.agents import RULES, Policy, make_rule, plan_spec
from chengfang.agents.learners import load_policy
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import (
    LEVER_NAMES,
    TASKS,
    PromotionVectorEnv,
    SuperPlanEnv,
    find_task,
    select_levers,
    short_name,
    task_setting,
)
from chengfang.envs.api.sb3_vec_env import PromotionVecEnv

FOLDER = Path(__file__).parent
BEST = FOLDER.parent.parent / "results" / "benchmark" / "best"
ENVS = 3
SEED = 11
DAYS = {"SuperPlan": 2, "WholeShop": 2}  # enough for everything that lasts, short enough for a test
FIRST_LEVERS = 26  # when this was recorded
FIRST_FEATURES = 81  # likewise
LATER_FIGURES = {"score_unit", "break_even_roi"}  # of the dashboard, likewise
TICKS = 36  # of which actions are kept
TASK_NAMES = tuple(short_name(task) for task in TASKS if task.id.endswith("-v0"))


def arguments(name: str, **more: Any) -> dict[str, Any]:
    """Keyword arguments of the environments of a task."""
    task = find_task(name)
    return {
        "scenario": task.scenario,
        "levers": task.levers,
        "days": DAYS.get(name, task.days),
        "split": "test",
        **more,
    }


def random_actions(name: str, ticks: int, envs: int = ENVS) -> np.ndarray:
    """(ticks, envs, levers) float32, a few of them beyond the Box."""
    rng = np.random.default_rng(5)
    return rng.uniform(
        -1.05, 1.05, (ticks, envs, len(select_levers(find_task(name).levers)))
    ).astype(np.float32)


def shown(observations: np.ndarray) -> np.ndarray:
    """The features that were there when this was recorded."""
    return observations[..., :FIRST_FEATURES]


class Digest:
    """A running SHA-256 over arrays."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()

    def add(self, *arrays: Any) -> None:
        """Take in arrays, bit for bit."""
        for array in arrays:
            self.hash.update(np.ascontiguousarray(array).tobytes())

    def text(self) -> str:
        """The first 16 hex digits."""
        return self.hash.hexdigest()[:16]


def single(name: str, sampled: bool, reward: str) -> str:
    """Digest of one episode of `gym.Env`, its dashboard included."""
    env = SuperPlanEnv(**arguments(name, sampled=sampled, reward=reward))
    digest = Digest()
    observation, info = env.reset(seed=SEED)
    digest.add(shown(observation))
    for action in random_actions(name, env.market.ticks, 1)[:, 0]:
        observation, value, _, _, info = env.step(action)
        digest.add(
            shown(observation),
            np.float32(float(value)),
            *(np.float32(cost) for cost in info["costs"].values()),
        )
    figures = {k: v for k, v in info["plan"].items() if k not in LATER_FIGURES}
    digest.add(*(np.float64(figure) for figure in figures.values()))
    return digest.text()


def vector(name: str, sampled: bool) -> str:
    """Digest of one episode and a few ticks of the native vector environment."""
    env = PromotionVectorEnv(ENVS, **arguments(name, sampled=sampled))
    digest = Digest()
    observations, _ = env.reset(seed=SEED)
    digest.add(shown(observations))
    for actions in random_actions(name, env.market.ticks + 5):
        observations, rewards, dones, _, infos = env.step(actions)
        digest.add(shown(observations), rewards, dones, infos["cost"])
    return digest.text()


def vec_env(name: str, sampled: bool) -> str:
    """Digest of one episode and a few ticks of the stable-baselines3 environment."""
    env = PromotionVecEnv(ENVS, seed=SEED, **arguments(name, sampled=sampled))
    digest = Digest()
    digest.add(shown(np.asarray(env.reset())))
    for actions in random_actions(name, env.market.ticks + 5):
        observations, rewards, dones, infos = env.step(actions)
        digest.add(shown(np.asarray(observations)), rewards, dones, env.costs)
        digest.add(
            *(
                shown(info["terminal_observation"])
                for info in infos
                if "terminal_observation" in info
            )
        )
    return digest.text()


def trajectories() -> dict[str, str]:
    """Every digest by name."""
    found = {}
    for name, sampled in itertools.product(TASK_NAMES, (True, False)):
        mode = "sampled" if sampled else "expected"
        for reward in ("settled_gmv", "incremental", "profit", "score", "platform"):
            found[f"single/{name}/{mode}/{reward}"] = single(name, sampled, reward)
        found[f"vector/{name}/{mode}"] = vector(name, sampled)
        found[f"vec_env/{name}/{mode}"] = vec_env(name, sampled)
    for scenario in ("apparel_live", "beauty_contested", "mall_search_staples", "dual_track"):
        changed: dict[str, Any] = {"scenario": scenario, "levers": LEVER_NAMES[:FIRST_LEVERS]}
        env = PromotionVectorEnv(ENVS, **arguments("SuperPlan") | changed)
        digest = Digest()
        observations, _ = env.reset(seed=SEED)
        digest.add(shown(observations))
        rng = np.random.default_rng(5)
        for _ in range(env.market.ticks):
            action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
            observations, rewards = env.step(action)[:2]
            digest.add(shown(observations), rewards)
        found[f"scenario/{scenario}"] = digest.text()
    return found


def policies(name: str) -> dict[str, Policy]:
    """The policies of a task by name: every rule, by itself and as tuned, and the committed
    learner.
    """
    spec = plan_spec(task_setting(name))
    found: dict[str, Policy] = {}
    for rule in RULES:
        found[rule] = make_rule(rule, spec)
        if values := tuned_parameters(rule, name):
            found[f"{rule}-tuned"] = make_rule(rule, spec, **values)
    return found | {"best": load_policy(BEST / name)}


def actions() -> dict[str, np.ndarray]:
    """What every policy does on the observations of given trajectories: {task/policy: (TICKS, ENVS,
    levers)}.

    Policies do not move the market here, so that a difference in the last bit stays one.
    """
    found = {}
    for name in TASK_NAMES:
        whole: dict[str, Any] = {"days": find_task(name).days}
        env = PromotionVectorEnv(ENVS, **arguments(name) | whole)
        observations, _ = env.reset(seed=SEED)
        given = 0.5 * random_actions(name, TICKS)
        seen = []
        for action in given[: env.market.ticks]:
            seen.append(observations)
            observations = env.step(action)[0]
        for policy_name, policy in policies(name).items():
            state = None
            start = np.ones(ENVS, bool)
            made = []
            for observation in seen:
                action, state = policy.predict(observation.copy(), state, start)
                start = np.zeros(ENVS, bool)
                made.append(np.asarray(action, np.float32))
            found[f"{name}/{policy_name}"] = np.stack(made)
    return found


if __name__ == "__main__":
    (FOLDER / "trajectories.json").write_text(
        json.dumps(trajectories(), indent=1) + "\n", encoding="utf-8"
    )
    # numpy's stub takes every named array for its own `allow_pickle`
    np.savez_compressed(FOLDER / "actions.npz", **actions())  # type: ignore[arg-type]
