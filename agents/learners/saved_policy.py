"""A trained policy as a folder: weights in safetensors, everything else in JSON. Loading runs no
code.

`policy.safetensors` holds the actor's weights, `policy.json` how to use them and where they came
from: the levers, which features it reads and what goes in beside them, and, for a residual policy,
the rule it shifts with that rule's parameters and the plan's public facts. Nothing is unpickled,
ever; a folder that does not fit its description is refused.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ...envs import FEATURE_NAMES
from ...envs.files import whole_file
from .saved.description import (
    FORMAT,
    NETWORK_KEYS,
    WHITENING,
    ArtefactError,
    check_description,
    plan_facts,
    present_names,
    read_network,
    read_whitening,
    residual_rule,
)
from .saved.network import (
    OUTPUTS,
    TENSORS,
    Cell,
    Dense,
    Whitening,
    row_by_row,
    run_cells,
    run_hidden,
    together,
)

REPR_FACTS = ("agent", "algorithm", "task", "scenario", "steps", "seed")  # where it comes from
__all__ = ["ArtefactError", "Memory", "SavedPolicy", "load_policy", "plan_facts"]


class Memory(NamedTuple):
    """What a saved policy keeps between ticks."""

    rule: Any  # of the rule underneath
    age: np.ndarray  # (n,) ticks since the episode began
    held: np.ndarray  # (n, levers) the network's latest output
    cells: np.ndarray  # (n, width of all recurrent cells)


class SavedPolicy:
    """An actor on reported features, evaluated with numpy alone; by itself or as a shift of a
    rule's action.

    The network is dense layers with recurrent cells before all of them, or after the first
    `description["encoder"]` of them. Recurrent states begin at zero with every episode.

    Args:
        layers: (weight (out, in), bias (out,)) float32 pairs, input first.
        description: what `policy.json` holds: levers, features, activation, output, origin, and
            optionally `hold` (ticks for which an output is held), `safety_margin` (a further
            input: the margin on the ROI target), `mean_limit` (the last layer is clipped to it
            before its output), `bypass` (the layers after the cells read what the cells read, too),
            `by_row` (each row is evaluated by itself, so that an action has the same bits in every
            batch) and `residual` (rule, parameters, scale, plan).
        safety_margin: act with this margin instead of the description's; only for policies that
            were trained to take one.
        cells: recurrent layers, input first.
        whitening: how inputs are scaled; None takes them as they are.

    Raises:
        ArtefactError: if a safety margin is given to a policy that takes none.
    """

    def __init__(
        self,
        layers: list[Dense],
        description: dict[str, Any],
        safety_margin: float | None = None,
        cells: Sequence[Cell] = (),
        whitening: Whitening | None = None,
    ):
        self.layers = layers
        self.whitening = whitening
        self.cells = tuple(cells)
        self.product = row_by_row if description.get("by_row") else together
        self.encoder = int(description.get("encoder", 0))
        named = present_names(description)
        self.description = {key: value for key, value in named.items() if key not in NETWORK_KEYS}
        self.levers = tuple(named["levers"])
        features = tuple(named.get("features", FEATURE_NAMES))
        self.columns = None  # of the observation that the network reads; None for all
        if features != FEATURE_NAMES:
            self.columns = [FEATURE_NAMES.index(name) for name in features]
        self.hold = int(named.get("hold", 1))
        if safety_margin is not None and "safety_margin" not in named:
            raise ArtefactError(
                f"safety_margin is {safety_margin:g}, but this policy was not trained to take one; "
                "allowed is none"
            )
        self.safety_margin = named.get("safety_margin") if safety_margin is None else safety_margin
        residual = named.get("residual")
        self.scale = np.float32(residual["scale"]) if residual else np.float32(1)
        self.rule = residual_rule(named)

    def __repr__(self) -> str:
        said = self.description
        facts = [f"{name} {said[name]}" for name in REPR_FACTS if name in said]
        facts.append(f"levers {', '.join(self.levers)}")
        if said.get("residual"):
            facts.append(f"on top of the rule {said['residual']['rule']}")
        return f"<SavedPolicy: {'; '.join(facts)}>"

    def predict(
        self,
        observation: np.ndarray,
        state: Memory | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = True,
    ) -> tuple[np.ndarray, Memory | None]:
        """The mean action, (n, levers) float32 in [-1, 1]; see `Policy.predict`.

        Raises:
            ValueError: an observation that is not (n, 101) or (101,).
        """
        x = np.asarray(observation, np.float32)
        if x.ndim not in (1, 2) or x.shape[-1] != len(FEATURE_NAMES):
            raise ValueError(
                f"observation has the shape {x.shape}; allowed are (n, {len(FEATURE_NAMES)}) and "
                f"({len(FEATURE_NAMES)},)"
            )
        if x.ndim == 1:
            action, state = self.predict(x[None], state, episode_start, deterministic)
            return action[0], state
        if self._forgets:
            return self.network(self.read(x), self.opening_cells(len(x)))[0], state
        fresh = _starts(episode_start, len(x))
        if state is None:
            state = self._opening(len(x))
            fresh = fresh | True
        proposal = None
        memory = None
        if self.rule is not None:
            proposal, memory = self.rule.predict(x, state.rule, fresh)
        age = np.where(fresh, 0, state.age)
        due = (age % self.hold == 0)[:, None]
        held = state.held
        cells = state.cells
        if due.any():
            begun = np.where(fresh[:, None], np.float32(0), cells)
            output, moved = self.network(self.inputs(x, proposal), begun)
            held = np.where(due, output, held)
            cells = np.where(due, moved, cells)
        action = held if proposal is None else np.clip(proposal + self.scale * held, -1, 1)
        return action.astype(np.float32), Memory(memory, age + 1, held, cells)

    @property
    def _forgets(self) -> bool:
        """Whether an action depends on the present observation alone."""
        plain = self.rule is None and self.safety_margin is None
        return plain and self.hold == 1 and not self.cells

    def _opening(self, n: int) -> Memory:
        """Memory of n episodes about to begin."""
        return Memory(
            None,
            np.zeros(n, np.int64),
            np.zeros((n, len(self.levers)), np.float32),
            self.opening_cells(n),
        )

    def opening_cells(self, n: int) -> np.ndarray:
        """States of the recurrent cells at the start of n episodes, (n, width)."""
        return np.zeros((n, sum(cell.width for cell in self.cells)), np.float32)

    def read(self, observation: np.ndarray) -> np.ndarray:
        """The features that the policy was trained on, (n, features) float32."""
        if self.columns is None:
            return observation
        return np.ascontiguousarray(observation[:, self.columns])

    def inputs(self, observation: np.ndarray, proposal: np.ndarray | None) -> np.ndarray:
        """What the network sees: the features, the safety margin if it takes one, and the rule's
        own action if there is one.
        """
        parts = [self.read(observation)]
        if self.safety_margin is not None:
            parts.append(np.full((len(observation), 1), self.safety_margin, np.float32))
        if proposal is not None:
            parts.append(proposal)
        return np.concatenate(parts, 1)

    def network(self, x: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One decision of the whole network.

        Args:
            x: (n, inputs) float32, see `inputs`.
            cells: states of the recurrent cells, (n, width); without cells, width is 0.

        Returns:
            Outputs (n, levers) float32 in [-1, 1], and the next states.
        """
        if self.whitening is not None:
            x = self.whitening(x)
        if self.cells:
            encoding = self.layers[: self.encoder]
            encoded = run_hidden(encoding, x, self.description["activation"], self.product)
            x, cells = run_cells(self.cells, encoded, cells)
            if self.description.get("bypass"):
                x = np.concatenate([encoded, x], 1)
        return self.output(x), cells

    def output(self, x: np.ndarray) -> np.ndarray:
        """The dense layers after the cells, if there are any: (n, inputs) -> (n, levers) float32 in
        [-1, 1].
        """
        hidden = self.layers[self.encoder : -1]
        weight, bias = self.layers[-1]
        x = run_hidden(hidden, x, self.description["activation"], self.product)
        x = self.product(x, weight) + bias
        limit = self.description.get("mean_limit")
        if limit is not None:
            x = np.clip(x, -limit, limit)
        return OUTPUTS[self.description["output"]](x).astype(np.float32)

    def save(self, folder: Path) -> None:
        """Write the folder; each file appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            f"{kind}_{i}": np.ascontiguousarray(value)
            for i, pair in enumerate(self.layers)
            for kind, value in zip(("weight", "bias"), pair, strict=True)
        }
        tensors |= {
            f"cell_{i}_{kind}": np.ascontiguousarray(getattr(cell, kind))
            for i, cell in enumerate(self.cells)
            for kind in TENSORS
        }
        network: dict[str, Any] = {"format": FORMAT, "layers": len(self.layers)}
        if self.whitening is not None:
            network["input_limit"] = float(self.whitening.limit)
            tensors |= dict(zip(WHITENING, self.whitening[:2], strict=True))
        if self.cells:
            network |= {"encoder": self.encoder, "cells": [cell.kind for cell in self.cells]}
        with whole_file(folder / "policy.safetensors") as draft:
            save_file(tensors, draft)
        text = json.dumps(network | self.description, indent=2)
        with whole_file(folder / "policy.json") as draft:
            draft.write_text(text + "\n", encoding="utf-8")


def load_policy(folder: "str | Path", safety_margin: float | None = None) -> SavedPolicy:
    """Read a saved policy; raises ArtefactError in one sentence for anything else than its two
    files.

    Args:
        folder: where policy.json and policy.safetensors are.
        safety_margin: the margin on the ROI target to act with, for policies trained to take one.
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
    if isinstance(description, dict):
        try:
            description = present_names(description)
        except ValueError as error:
            raise ArtefactError(f"{folder} cannot be used: {error}") from None
    check_description(folder, description)
    layers, cells = read_network(folder, description, tensors)
    whitening = read_whitening(folder, description, tensors)
    return SavedPolicy(layers, description, safety_margin, cells, whitening)


def _starts(episode_start: np.ndarray | None, n: int) -> np.ndarray:
    """Where an episode begins, (n,) bool; nowhere if it is not said."""
    if episode_start is None:
        return np.zeros(n, bool)
    return np.atleast_1d(np.asarray(episode_start, bool))
