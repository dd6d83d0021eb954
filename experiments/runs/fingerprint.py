"""What decides a run's figures, as one hash: the run itself, and what the code does with it.

World and rules are tried out: their part of the hash is what the engine does with fixed plans, and
what the rule does in them. So the hash outlives every change of code that changes no number, and no
other. A run is fingerprinted once, when it is planned (`identified`), and carries the hash along.

Settings enter the hash under their first names (`recipe_names`): evidence that was committed before
a setting was renamed is still recognised.
"""

import functools
import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np

from ...agents import make_rule, plan_spec, rollout
from ...agents.rules.tuned import tuned_parameters
from ...envs import Market, Setting, load_scenario
from .own_agents import agent_digest
from .recipe_names import recipe_names
from .spec import FIGURES, RunSpec

# raise it to run everything again: when the code of learners or references changes what all of them
# find
RECIPE = 1
FIRST_FEATURES = 81  # features of the observation that committed evidence knows
PROBE_TICKS = 48


def identified(spec: RunSpec) -> RunSpec:
    """The run with its fingerprints filled in.

    Raises:
        AgentError: it names an agent of the user's own that cannot be found.
    """
    training = training_fingerprint(spec) if spec.is_trained else ""
    return replace(spec, fingerprint=fingerprint(spec), training=training)


def fingerprint(spec: RunSpec) -> str:
    """Hash of everything that decides a run's figures: the run, the engine's behaviour and, for a
    rule, the rule's.
    """
    data = _decides(spec) | {
        "task": spec.task,
        "agent": spec.agent,
        "kind": spec.kind,
        "part": spec.part,
        "test_seed": spec.test_seed,
        "episodes": spec.episodes,
    }
    if spec.split != "test":  # the only one that there was once
        data["split"] = spec.split
    if spec.kind == "rule":
        data["policy"] = _rule_print(_world_key(spec), json.dumps(spec.options, sort_keys=True))
    return _digest(json.dumps(data, sort_keys=True).encode())


def training_fingerprint(spec: RunSpec) -> str:
    """Hash of what decides a trained policy: `fingerprint` without the held-out episodes."""
    return _digest(json.dumps(_decides(spec), sort_keys=True).encode())


def _decides(spec: RunSpec) -> dict[str, Any]:
    key = _world_key(spec)
    scenario, world = _world_print(key)
    own = spec.kind == "own"
    data = {
        "options": spec.options if own else recipe_names(spec.options),
        "seed": spec.seed,
        "scenario": scenario,
        "levers": spec.levers,
        "days": spec.days,
        "recipe": RECIPE,
        "world": world,
    }
    if own:
        data["code"] = agent_digest(spec.options, spec.task)
    training_env = spec.options.get("training_env") or {}
    if training_env.get("rule"):  # a learner that acts relative to a rule, tuned elsewhere
        rule = _rule_underneath(training_env)
        data |= {
            "rule": recipe_names(rule),
            "rule_print": _rule_print(key, json.dumps(rule, sort_keys=True)),
        }
    return data


def _rule_underneath(training_env: dict[str, Any]) -> dict[str, Any]:
    """The rule of a residual learner with all values it plays with."""
    name = training_env["rule"]
    task = training_env.get("rule_task")
    tuned = tuned_parameters(name, task) if task else {}
    return {"rule": name, "parameters": tuned | training_env.get("rule_parameters", {})}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _world_key(spec: RunSpec) -> str:
    return json.dumps([spec.scenario, spec.levers, spec.days], sort_keys=True)


def _setting(key: str) -> Setting:
    scenario, levers, days = json.loads(key)
    return Setting(load_scenario(scenario), tuple(levers), days, "test")


@functools.lru_cache(maxsize=256)
def _world_print(key: str) -> tuple[str, str]:
    """A scenario's hash, and what the engine does with four plans and fixed random actions: it
    changes with the world's numbers.
    """
    setting = _setting(key)
    market = Market.of(setting, 4)
    market.reset(seeds=np.arange(4))
    rng = np.random.default_rng(0)
    for _ in range(market.ticks):
        market.step(rng.uniform(-0.5, 0.5, (4, len(setting.levers))).astype(np.float32))
    plans = market.dashboard()
    figures = b"".join(plans[name].tobytes() for name in FIGURES)
    shown = np.ascontiguousarray(market.observations[:, :FIRST_FEATURES])
    return setting.scenario.hash, _digest(figures + shown.tobytes())


@functools.lru_cache(maxsize=4096)
def _rule_print(key: str, options: str) -> str:
    """What a rule does on the first ticks of two plans."""
    setting = _setting(key)
    chosen = json.loads(options)
    rule = make_rule(chosen["rule"], plan_spec(setting), **chosen["parameters"])
    seen: list[bytes] = []
    market = Market.of(setting, 2)
    rollout(
        rule,
        market,
        np.arange(2),
        on_action=lambda _, action: seen.append(action.tobytes()),
        ticks=min(market.ticks, PROBE_TICKS),
    )
    return _digest(b"".join(seen))
