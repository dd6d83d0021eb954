"""A trained policy as a folder: weights in safetensors, everything else in JSON. Loading runs no
code.

`policy.safetensors` holds the actor's layers, `policy.json` how to use them and where they came
from: the levers, what goes in beside the 81 features, and, for a residual policy, the rule it
shifts with that rule's parameters and the plan's public facts. Nothing is unpickled, ever; a folder
that does not fit its description is refused.
"""

import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ...envs import FEATURE_NAMES, LEVER_NAMES, Lever
from ...envs.files import whole_file
from ..policy import PlanSpec
from ..rules import RULES, Rule, make_rule

FORMAT = "chengfang-policy-1"
ACTIVATIONS = ("tanh", "relu")
OUTPUTS = ("clip", "tanh")


class ArtefactError(ValueError):
    """A folder that is no usable saved policy; the message says what is wrong with it."""


class Memory(NamedTuple):
    """What a saved policy keeps between ticks."""

    rule: Any
    age: np.ndarray  # (n,) ticks since the episode began
    held: np.ndarray  # (n, levers) the network's latest output


class SavedPolicy:
    """A feed-forward actor on reported features, evaluated with numpy alone; by itself or as a
    shift of a rule's action.

    Args:
        layers: (weight (out, in), bias (out,)) float32 pairs, input first.
        description: what `policy.json` holds: levers, features, activation, output, origin, and
            optionally `hold` (ticks for which an output is held), `caution` (a further input: the
            margin on the ROI target) and `residual` (rule, parameters, scale, plan).
        caution: act with this margin instead of the description's; only for policies that were
            trained to take one.

    Raises:
        ArtefactError: if a caution is given to a policy that takes none.
    """

    def __init__(
        self,
        layers: list[tuple[np.ndarray, np.ndarray]],
        description: dict[str, Any],
        caution: float | None = None,
    ):
        self.layers = layers
        self.description = description
        self.levers = tuple(description["levers"])
        self.hold = int(description.get("hold", 1))
        if caution is not None and "caution" not in description:
            raise ArtefactError(
                f"caution is {caution:g}, but this policy was not trained to take one; allowed is none"
            )
        self.caution = description.get("caution") if caution is None else caution
        residual = description.get("residual")
        self.scale = np.float32(residual["scale"]) if residual else np.float32(1)
        self.rule: Rule | None = None
        if residual:
            self.rule = make_rule(
                residual["rule"], _plan(residual, self.levers), **residual["parameters"]
            )

    def predict(
        self,
        observation: np.ndarray,
        state: Memory | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Memory | None]:
        """The mean action, (n, levers) float32 in [-1, 1]; see `Policy.predict`."""
        x = np.asarray(observation, np.float32)
        if x.ndim == 1:
            action, state = self.predict(x[None], state, episode_start, deterministic)
            return action[0], state
        if self.rule is None and self.hold == 1 and self.caution is None:
            return self.output(x), state
        fresh = (
            np.zeros(len(x), bool)
            if episode_start is None
            else np.atleast_1d(np.asarray(episode_start, bool))
        )
        if state is None:
            state = Memory(
                None,
                np.zeros(len(x), np.int64),
                np.zeros((len(x), len(self.levers)), np.float32),
            )
            fresh = fresh | True
        proposal, memory = (
            self.rule.predict(x, state.rule, fresh) if self.rule is not None else (None, None)
        )
        age = np.where(fresh, 0, state.age)
        due = age % self.hold == 0
        held = (
            np.where(due[:, None], self.output(self.inputs(x, proposal)), state.held)
            if due.any()
            else state.held
        )
        action = held if proposal is None else np.clip(proposal + self.scale * held, -1, 1)
        return action.astype(np.float32), Memory(memory, age + 1, held)

    def inputs(self, observation: np.ndarray, proposal: np.ndarray | None) -> np.ndarray:
        """What the network sees: the features, the caution if it takes one, and the rule's own
        action if there is one.
        """
        parts = [observation]
        if self.caution is not None:
            parts.append(np.full((len(observation), 1), self.caution, np.float32))
        if proposal is not None:
            parts.append(proposal)
        return np.concatenate(parts, 1)

    def output(self, x: np.ndarray) -> np.ndarray:
        """The network: (n, inputs) -> (n, levers) float32 in [-1, 1]."""
        for weight, bias in self.layers[:-1]:
            x = x @ weight.T + bias
            x = np.tanh(x) if self.description["activation"] == "tanh" else np.maximum(x, 0)
        weight, bias = self.layers[-1]
        x = x @ weight.T + bias
        return (np.tanh(x) if self.description["output"] == "tanh" else np.clip(x, -1, 1)).astype(
            np.float32
        )

    def save(self, folder: Path) -> None:
        """Write the folder; each file appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{kind}_{i}": np.ascontiguousarray(value)
            for i, pair in enumerate(self.layers)
            for kind, value in zip(("weight", "bias"), pair, strict=True)
        }
        with whole_file(folder / "policy.safetensors") as draft:
            save_file(tensors, draft)
        text = json.dumps(
            {"format": FORMAT, "layers": len(self.layers), **self.description}, indent=2
        )
        with whole_file(folder / "policy.json") as draft:
            draft.write_text(text + "\n", encoding="utf-8")


def load_policy(folder: "str | Path", caution: float | None = None) -> SavedPolicy:
    """Read a saved policy; raises ArtefactError in one sentence for anything else than its two
    files.

    Args:
        folder: where policy.json and policy.safetensors are.
        caution: the margin on the ROI target to act with, for policies trained to take one.
    """
    folder = Path(folder)
    text = folder / "policy.json"
    weights = folder / "policy.safetensors"
    if not text.is_file() or not weights.is_file():
        raise ArtefactError(
            f"{folder} is no saved policy: it needs policy.json and policy.safetensors "
            "(pickled models, .zip and .pt files are never loaded)"
        )
    try:
        description = json.loads(text.read_text(encoding="utf-8"))
        tensors = load_file(weights)
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        RecursionError,
        SafetensorError,
        OSError,
    ) as error:
        raise ArtefactError(f"{folder} cannot be read: {error}") from None
    return SavedPolicy(_layers(folder, description, tensors), description, caution)


def _layers(
    folder: Path, description: dict[str, Any], tensors: dict[str, np.ndarray]
) -> list[tuple[np.ndarray, np.ndarray]]:
    _require(
        folder,
        isinstance(description, dict) and description.get("format") == FORMAT,
        f"its format is not {FORMAT}",
    )
    _require(
        folder,
        description.get("activation") in ACTIVATIONS,
        f"its activation is not one of {ACTIVATIONS}",
    )
    _require(folder, description.get("output") in OUTPUTS, f"its output is not one of {OUTPUTS}")
    _require(
        folder,
        description.get("features") == list(FEATURE_NAMES),
        "it was trained on other observation features",
    )
    levers = description.get("levers")
    known = (
        isinstance(levers, list)
        and len(set(map(str, levers))) == len(levers)
        and all(name in LEVER_NAMES for name in levers)
    )
    _require(folder, known, "its levers are not a list of known names")
    count = description.get("layers")
    _require(folder, isinstance(count, int) and 1 <= count <= 64, "its number of layers is missing")
    names = [(f"weight_{i}", f"bias_{i}") for i in range(count or 0)]
    _require(
        folder,
        set(tensors) == {n for pair in names for n in pair},
        "its tensors are not those it describes",
    )
    width = _inputs(folder, description)
    for weight, bias in names:
        w = tensors[weight]
        b = tensors[bias]
        _require(
            folder,
            w.ndim == 2 and b.shape == w.shape[:1] and w.shape[1] == width,
            f"the shape of {weight} does not fit",
        )
        _require(
            folder, _fits_float32(w) and _fits_float32(b), f"{weight} or its bias is not finite"
        )
        width = w.shape[0]
    _require(
        folder,
        width == len(description.get("levers", ())),
        "its last layer does not match its levers",
    )
    return [(tensors[w].astype(np.float32), tensors[b].astype(np.float32)) for w, b in names]


def _inputs(folder: Path, description: dict[str, Any]) -> int:
    """Width of the network's input, after checking everything that decides it."""
    hold = description.get("hold", 1)
    whole = isinstance(hold, int) and not isinstance(hold, bool)
    _require(folder, whole and 1 <= hold <= 10_000, "its hold is not 1 to 10,000 ticks")
    width = len(FEATURE_NAMES)
    if "caution" in description:
        _require(
            folder,
            _number(description["caution"], -0.5, 0.5),
            "its caution is not a number from -0.5 to 0.5",
        )
        width += 1
    if "residual" not in description:
        return width
    residual = description["residual"]
    _require(
        folder,
        isinstance(residual, dict) and set(residual) == {"rule", "parameters", "scale", "plan"},
        "its residual is not described by rule, parameters, scale and plan",
    )
    _require(folder, residual["rule"] in RULES, f"its rule is not one of {', '.join(RULES)}")
    _require(
        folder, _number(residual["scale"], 0, 2), "its residual scale is not a number from 0 to 2"
    )
    parameters = residual["parameters"]
    plan = residual["plan"]
    _require(
        folder,
        isinstance(parameters, dict) and all(_number(v, -1e6, 1e6) for v in parameters.values()),
        "the rule's parameters are not numbers",
    )
    _require(
        folder,
        isinstance(plan, dict)
        and set(plan) == {"ticks", "ticks_per_day", "levers"}
        and all(isinstance(plan[k], int) and plan[k] > 0 for k in ("ticks", "ticks_per_day")),
        "its plan is not described",
    )
    table = plan["levers"]
    names = (
        [row[0] if isinstance(row, list) and row else None for row in table]
        if isinstance(table, list)
        else []
    )
    _require(
        folder,
        names == list(LEVER_NAMES) and all(_lever_row(row) for row in table),
        "its table of levers does not fit",
    )
    try:
        make_rule(residual["rule"], _plan(residual, tuple(description["levers"])), **parameters)
    except (ValueError, TypeError) as error:
        raise ArtefactError(f"{folder} cannot be used: {error}") from None
    return width + len(description["levers"])


def _lever_row(row: list[Any]) -> bool:
    """Whether a row of the saved table has a lever's fields: texts and numbers where they belong."""
    return (
        len(row) == len(Lever._fields)
        and row[2] in ("linear", "log")
        and all(_number(v, -1e9, 1e9) for v in row[3:7])
        and (row[2] != "log" or row[6] > 1)
    )


def _plan(residual: dict[str, Any], levers: tuple[str, ...]) -> PlanSpec:
    """The plan's public facts, as saved."""
    plan = residual["plan"]
    return PlanSpec(
        levers, tuple(Lever(*row) for row in plan["levers"]), plan["ticks"], plan["ticks_per_day"]
    )


def plan_facts(spec: PlanSpec) -> dict[str, Any]:
    """What `policy.json` keeps of a plan, for the rule underneath a residual policy."""
    return {
        "ticks": spec.ticks,
        "ticks_per_day": spec.ticks_per_day,
        "levers": [list(lever) for lever in spec.table],
    }


def _number(value: Any, low: float, high: float) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
    )


def _fits_float32(values: np.ndarray) -> bool:
    """Whether every entry is finite, also in the precision that policies are evaluated in."""
    return values.dtype.kind == "f" and bool(
        (np.abs(values.astype(float)) <= np.finfo(np.float32).max).all()
    )


def _require(folder: Path, holds: bool, problem: str) -> None:
    if not holds:
        raise ArtefactError(f"{folder} cannot be used: {problem}")
