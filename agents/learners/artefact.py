"""A trained policy as a folder: weights in safetensors, everything else in JSON. Loading runs no code.

`policy.safetensors` holds the actor's layers, `policy.json` how to use them and where they came from. Nothing is unpickled,
ever; a folder that does not fit its description is refused.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ...envs import FEATURE_NAMES, LEVER_NAMES
from ...envs.files import whole_file

FORMAT = "chengfang-policy-1"
ACTIVATIONS = ("tanh", "relu")
OUTPUTS = ("clip", "tanh")


class ArtefactError(ValueError):
    """A folder that is no usable saved policy; the message says what is wrong with it."""


class SavedPolicy:
    """A feed-forward actor on reported features, evaluated with numpy alone.

    Args:
        layers: (weight (out, in), bias (out,)) float32 pairs, input first.
        description: what `policy.json` holds: levers, features, activation, output and origin.
    """

    def __init__(self, layers: list[tuple[np.ndarray, np.ndarray]], description: dict[str, Any]):
        self.layers, self.description = layers, description
        self.levers = tuple(description["levers"])

    def predict(self, observation: np.ndarray, state: Any = None, episode_start: np.ndarray | None = None,
                deterministic: bool = True) -> tuple[np.ndarray, Any]:
        """The mean action, (n, levers) float32 in [-1, 1]; see `Policy.predict`."""
        x = np.asarray(observation, np.float32)
        for weight, bias in self.layers[:-1]:
            x = x @ weight.T + bias
            x = np.tanh(x) if self.description["activation"] == "tanh" else np.maximum(x, 0)
        weight, bias = self.layers[-1]
        x = x @ weight.T + bias
        action = np.tanh(x) if self.description["output"] == "tanh" else np.clip(x, -1, 1)
        return action.astype(np.float32), state

    def save(self, folder: Path) -> None:
        """Write the folder; each file appears whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"{kind}_{i}": np.ascontiguousarray(value) for i, pair in enumerate(self.layers)
                   for kind, value in zip(("weight", "bias"), pair, strict=True)}
        with whole_file(folder / "policy.safetensors") as draft:
            save_file(tensors, draft)
        text = json.dumps({"format": FORMAT, "layers": len(self.layers), **self.description}, indent=2)
        with whole_file(folder / "policy.json") as draft:
            draft.write_text(text + "\n", encoding="utf-8")


def load_policy(folder: "str | Path") -> SavedPolicy:
    """Read a saved policy; raises ArtefactError in one sentence for anything else than its two files."""
    folder = Path(folder)
    text, weights = folder / "policy.json", folder / "policy.safetensors"
    if not text.is_file() or not weights.is_file():
        raise ArtefactError(f"{folder} is no saved policy: it needs policy.json and policy.safetensors "
                            "(pickled models, .zip and .pt files are never loaded)")
    try:
        description = json.loads(text.read_text(encoding="utf-8"))
        tensors = load_file(weights)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, SafetensorError, OSError) as error:
        raise ArtefactError(f"{folder} cannot be read: {error}") from None
    return SavedPolicy(_layers(folder, description, tensors), description)


def _layers(folder: Path, description: dict[str, Any], tensors: dict[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    _require(folder, isinstance(description, dict) and description.get("format") == FORMAT, f"its format is not {FORMAT}")
    _require(folder, description.get("activation") in ACTIVATIONS, f"its activation is not one of {ACTIVATIONS}")
    _require(folder, description.get("output") in OUTPUTS, f"its output is not one of {OUTPUTS}")
    _require(folder, description.get("features") == list(FEATURE_NAMES), "it was trained on other observation features")
    levers = description.get("levers")
    known = isinstance(levers, list) and len(set(map(str, levers))) == len(levers) and all(name in LEVER_NAMES for name in levers)
    _require(folder, known, "its levers are not a list of known names")
    count = description.get("layers")
    _require(folder, isinstance(count, int) and 1 <= count <= 64, "its number of layers is missing")
    names = [(f"weight_{i}", f"bias_{i}") for i in range(count or 0)]
    _require(folder, set(tensors) == {n for pair in names for n in pair}, "its tensors are not those it describes")
    width = len(FEATURE_NAMES)
    for weight, bias in names:
        w, b = tensors[weight], tensors[bias]
        _require(folder, w.ndim == 2 and b.shape == w.shape[:1] and w.shape[1] == width, f"the shape of {weight} does not fit")
        _require(folder, _fits_float32(w) and _fits_float32(b), f"{weight} or its bias is not finite")
        width = w.shape[0]
    _require(folder, width == len(description.get("levers", ())), "its last layer does not match its levers")
    return [(tensors[w].astype(np.float32), tensors[b].astype(np.float32)) for w, b in names]


def _fits_float32(values: np.ndarray) -> bool:
    """Whether every entry is finite, also in the precision that policies are evaluated in."""
    return values.dtype.kind == "f" and bool((np.abs(values.astype(float)) <= np.finfo(np.float32).max).all())


def _require(folder: Path, holds: bool, problem: str) -> None:
    if not holds:
        raise ArtefactError(f"{folder} cannot be used: {problem}")
