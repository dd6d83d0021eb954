"""What `policy.json` may say, checked before anything of it is used.

Formats: `chengfang-policy-2` is written now. `chengfang-policy-1`, in which the committed policies
are, calls the safety margin `caution` and knows no recurrent cells; it is read under the names of
now.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....envs import FEATURE_NAMES, LEVER_NAMES, Lever
from ...policy import PlanSpec
from ...rules import RULES, Rule, make_rule
from ...rules.base import present_names as present_parameters
from .network import ACTIVATIONS, CELL_KINDS, OUTPUTS, TENSORS, Cell, Dense, Whitening

FORMAT = "chengfang-policy-2"
FIRST_FORMAT = "chengfang-policy-1"
FORMATS = (FORMAT, FIRST_FORMAT)
FIRST_NAMES = {"caution": "safety_margin"}  # of the first format
FIRST_LEVERS = 26  # rows of the table of levers when the first policies were saved
MOST_LAYERS = 64
MOST_HOLD = 10_000  # ticks
WHITENING = ("input_mean", "input_std")  # tensors
WIDEST_MARGIN = 0.5
NETWORK_KEYS = (
    "format",
    "layers",
    "encoder",
    "cells",
    "input_limit",
)  # written from the network itself


class ArtefactError(ValueError):
    """A folder or a model that is no usable policy; the message says what is wrong with it."""


def present_names(description: dict[str, Any]) -> dict[str, Any]:
    """A description under the names of now.

    Raises:
        ValueError: if the rule underneath has a parameter under both of its names.
    """
    renamed = {FIRST_NAMES.get(key, key): value for key, value in description.items()}
    residual = renamed.get("residual")
    if isinstance(residual, dict) and isinstance(residual.get("parameters"), dict):
        parameters = present_parameters(residual["parameters"])
        renamed["residual"] = residual | {"parameters": parameters}
    return renamed


def residual_rule(description: dict[str, Any]) -> Rule | None:
    """The rule underneath a residual policy; None for a policy that acts by itself."""
    residual = description.get("residual")
    if not residual:
        return None
    plan = residual["plan"]
    spec = PlanSpec(
        tuple(description["levers"]),
        tuple(Lever(*row) for row in plan["levers"]),
        plan["ticks"],
        plan["ticks_per_day"],
    )
    return make_rule(residual["rule"], spec, **residual["parameters"])


def plan_facts(spec: PlanSpec) -> dict[str, Any]:
    """What `policy.json` keeps of a plan, for the rule underneath a residual policy."""
    return {
        "ticks": spec.ticks,
        "ticks_per_day": spec.ticks_per_day,
        "levers": [list(lever) for lever in spec.table],
    }


def tensor_names(layers: int, cells: int, whitened: bool = False) -> set[str]:
    """Names of all tensors of a network."""
    dense = {f"{kind}_{i}" for i in range(layers) for kind in ("weight", "bias")}
    named = dense | {f"cell_{i}_{kind}" for i in range(cells) for kind in TENSORS}
    return named | set(WHITENING) if whitened else named


def check_description(folder: Path, description: Any) -> None:
    """Refuse a description that does not say how to use a network.

    Raises:
        ArtefactError: naming the folder and the entry that is wrong.
    """
    _require(
        folder,
        isinstance(description, dict) and description.get("format") in FORMATS,
        f"its format is not {FORMAT}",
    )
    for name, allowed in (("activation", ACTIVATIONS), ("output", OUTPUTS)):
        given = description.get(name)
        _require(
            folder,
            isinstance(given, str) and given in allowed,
            f"its {name} is not one of {', '.join(allowed)}",
        )
    _require(
        folder,
        _known_names(description.get("features"), FEATURE_NAMES),
        "it was trained on other observation features",
    )
    levers = _known_names(description.get("levers"), LEVER_NAMES)
    _require(folder, levers, "its levers are not a list of known names")
    _check_network(folder, description)
    _check_inputs(folder, description)
    if "residual" in description:
        check_residual(folder, description["residual"])
        try:
            residual_rule(description)
        except (ValueError, TypeError) as error:
            raise ArtefactError(f"{folder} cannot be used: {error}") from None


def _known_names(given: Any, known: Sequence[str]) -> bool:
    """Whether a list has known names alone, each once."""
    return (
        isinstance(given, list)
        and len(set(map(str, given))) == len(given)
        and all(name in known for name in given)
    )


def _check_network(folder: Path, description: dict[str, Any]) -> None:
    count = description.get("layers")
    _require(folder, _whole(count, 1, MOST_LAYERS), "its number of layers is missing")
    cells = description.get("cells", [])
    known = (
        isinstance(cells, list)
        and len(cells) <= MOST_LAYERS
        and all(isinstance(kind, str) and kind in CELL_KINDS for kind in cells)
    )
    _require(folder, known, f"its cells are not a list of {', '.join(CELL_KINDS)}")
    encoder = description.get("encoder", 0)
    _require(
        folder,
        _whole(encoder, 0, description["layers"] - 1) and (encoder == 0 or bool(cells)),
        "its encoder is not a number of layers before its cells",
    )
    _require(
        folder,
        isinstance(description.get("bypass", False), bool)
        and (not description.get("bypass") or bool(encoder)),
        "its bypass is not true, with an encoder, or false",
    )
    _require(
        folder,
        isinstance(description.get("by_row", False), bool),
        "its by_row is not true or false",
    )
    inputs = description.get("input_limit", 1)
    _require(
        folder,
        _number(inputs, 0, 1e6) and inputs > 0,
        "its input_limit is not a number above 0",
    )
    limit = description.get("mean_limit")
    _require(
        folder,
        limit is None or (_number(limit, 0, 1e6) and limit > 0),
        "its mean_limit is not a number above 0",
    )


def _check_inputs(folder: Path, description: dict[str, Any]) -> None:
    _require(
        folder,
        _whole(description.get("hold", 1), 1, MOST_HOLD),
        f"its hold is not 1 to {MOST_HOLD:,} ticks",
    )
    if "safety_margin" in description:
        _require(
            folder,
            _number(description["safety_margin"], -WIDEST_MARGIN, WIDEST_MARGIN),
            f"its safety margin is not a number from -{WIDEST_MARGIN} to {WIDEST_MARGIN}",
        )


def check_residual(folder: Path, residual: Any) -> None:
    """Raise ArtefactError unless it describes a rule underneath, with its plan."""
    _require(
        folder,
        isinstance(residual, dict) and set(residual) == {"rule", "parameters", "scale", "plan"},
        "its residual is not described by rule, parameters, scale and plan",
    )
    rule = residual["rule"]
    _require(
        folder,
        isinstance(rule, str) and rule in RULES,
        f"its rule is not one of {', '.join(RULES)}",
    )
    _require(
        folder, _number(residual["scale"], 0, 2), "its residual scale is not a number from 0 to 2"
    )
    parameters = residual["parameters"]
    _require(
        folder,
        isinstance(parameters, dict) and all(_number(v, -1e6, 1e6) for v in parameters.values()),
        "the rule's parameters are not numbers",
    )
    plan = residual["plan"]
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
        len(names) >= FIRST_LEVERS
        and names == list(LEVER_NAMES[: len(names)])
        and all(_lever_row(row) for row in table),
        "its table of levers does not fit",
    )


def _lever_row(row: list[Any]) -> bool:
    """Whether a row of the saved table has a lever's fields: texts and numbers in their places."""
    return (
        len(row) == len(Lever._fields)
        and row[2] in ("linear", "log")
        and all(_number(v, -1e9, 1e9) for v in row[3:7])
        and (row[2] != "log" or row[6] > 1)
    )


def input_width(description: dict[str, Any]) -> int:
    """How many numbers the network reads: the features, the margin, and the rule's own action."""
    width = len(description["features"]) + ("safety_margin" in description)
    return width + len(description["levers"]) if "residual" in description else width


def read_network(
    folder: Path, description: dict[str, Any], tensors: dict[str, np.ndarray]
) -> tuple[list[Dense], list[Cell]]:
    """Dense layers and cells of a checked description, float32.

    Raises:
        ArtefactError: if a tensor is missing, too many, of a wrong shape or not finite.
    """
    count = description["layers"]
    kinds = description.get("cells", [])
    encoder = description.get("encoder", 0)
    _require(
        folder,
        set(tensors) == tensor_names(count, len(kinds), "input_limit" in description),
        "its tensors are not those it describes",
    )
    width = input_width(description)
    for i in range(encoder):
        width = _check_dense(folder, tensors, i, width)
    encoded = width
    for i, kind in enumerate(kinds):
        width = _check_cell(folder, tensors, i, kind, width)
    width += encoded if description.get("bypass") else 0
    for i in range(encoder, count):
        width = _check_dense(folder, tensors, i, width)
    _require(
        folder,
        width == len(description["levers"]),
        "its last layer does not match its levers",
    )
    single = {name: value.astype(np.float32) for name, value in tensors.items()}
    layers = [(single[f"weight_{i}"], single[f"bias_{i}"]) for i in range(count)]
    cells = [
        Cell(kind, *(single[f"cell_{i}_{name}"] for name in TENSORS))
        for i, kind in enumerate(kinds)
    ]
    return layers, cells


def read_whitening(
    folder: Path, description: dict[str, Any], tensors: dict[str, np.ndarray]
) -> Whitening | None:
    """How inputs are scaled, of a checked description; None if they are taken as they are.

    Raises:
        ArtefactError: if a tensor is of a wrong shape, not finite, or a deviation is not above 0.
    """
    if "input_limit" not in description:
        return None
    mean, std = (tensors[name] for name in WHITENING)
    shape = (input_width(description),)
    _require(
        folder,
        mean.shape == shape and std.shape == shape,
        f"{WHITENING[0]} or {WHITENING[1]} does not fit its inputs",
    )
    _require(
        folder,
        _fits_float32(mean) and _fits_float32(std) and bool((std > 0).all()),
        f"{WHITENING[0]} is not finite or {WHITENING[1]} not above 0",
    )
    limit = np.float32(description["input_limit"])
    return Whitening(mean.astype(np.float32), std.astype(np.float32), limit)


def _check_dense(folder: Path, tensors: dict[str, np.ndarray], i: int, width: int) -> int:
    """Refuse a dense layer that does not read `width` numbers; returns how many it gives."""
    weight = tensors[f"weight_{i}"]
    bias = tensors[f"bias_{i}"]
    fits = weight.ndim == 2 and bias.shape == weight.shape[:1] and weight.shape[1] == width
    _require(folder, fits, f"the shape of weight_{i} does not fit")
    _require(
        folder,
        _fits_float32(weight) and _fits_float32(bias),
        f"weight_{i} or its bias is not finite",
    )
    return weight.shape[0]


def _check_cell(folder: Path, tensors: dict[str, np.ndarray], i: int, kind: str, width: int) -> int:
    """Refuse a recurrent layer that does not read `width` numbers; returns how many it gives."""
    own = {name: tensors[f"cell_{i}_{name}"] for name in TENSORS}
    hidden = own["hidden_weight"]
    size = hidden.shape[-1] if hidden.ndim == 2 else 0
    rows = CELL_KINDS[kind].gates * size
    wanted = {
        "input_weight": (rows, width),
        "hidden_weight": (rows, size),
        "input_bias": (rows,),
        "hidden_bias": (rows,),
    }
    for name, shape in wanted.items():
        _require(
            folder,
            size > 0 and own[name].shape == shape,
            f"the shape of cell_{i}_{name} does not fit",
        )
        _require(folder, _fits_float32(own[name]), f"cell_{i}_{name} is not finite")
    return size


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


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
