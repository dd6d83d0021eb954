"""A policy's network in numpy: dense layers, recurrent cells, and the activations between them.

Everything is float32 in the conventions of PyTorch, so that weights are copied as they are: a dense
layer is x W' + b, a cell's gates are stacked along the rows of its weights.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

Dense = tuple[np.ndarray, np.ndarray]  # weight (out, in), bias (out,)

# Klambauer et al. 2017, "Self-normalizing neural networks".
SELU_ALPHA = np.float32(1.6732632423543772)
SELU_SCALE = np.float32(1.0507009873554805)
LEAK = np.float32(0.01)


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _selu(x: np.ndarray) -> np.ndarray:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, np.float32(0))


Activation = Callable[[np.ndarray], np.ndarray]
ACTIVATIONS: dict[str, Activation] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "elu": _elu,
    "leaky_relu": lambda x: np.where(x > 0, x, LEAK * x),
    "selu": _selu,
    "silu": lambda x: x * expit(x),
    "gelu": lambda x: x * ndtr(x),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "softplus": _softplus,
    "sigmoid": expit,
}
# How the last layer becomes an action in [-1, 1].
OUTPUTS: dict[str, Activation] = {
    "clip": lambda x: np.clip(x, -1, 1),
    "tanh": np.tanh,
}


class Cell(NamedTuple):
    """The weights of one recurrent layer."""

    kind: str  # a name in CELL_KINDS
    input_weight: np.ndarray  # (gates * size, inputs)
    hidden_weight: np.ndarray  # (gates * size, size)
    input_bias: np.ndarray  # (gates * size,)
    hidden_bias: np.ndarray  # (gates * size,)

    @property
    def size(self) -> int:
        """Width of the hidden state, which is also the cell's output."""
        return self.hidden_weight.shape[1]

    @property
    def width(self) -> int:
        """Numbers kept per env between ticks."""
        return self.size * CELL_KINDS[self.kind].states


TENSORS = Cell._fields[1:]  # of a cell, as they are named in a saved policy


class CellKind(NamedTuple):
    """A kind of recurrent cell."""

    gates: int  # blocks of rows in its weights
    states: int  # arrays of the hidden size that it keeps; its output is the first
    step: Callable[[Cell, np.ndarray, np.ndarray], np.ndarray]


def lstm(cell: Cell, x: np.ndarray, state: np.ndarray) -> np.ndarray:
    """One tick of an LSTM (Hochreiter & Schmidhuber 1997), gates in PyTorch's order.

    i, f, o = sigmoid, g = tanh of W x + U h + b;  c' = f c + i g;  h' = o tanh(c').

    Args:
        cell: its weights.
        x: (n, inputs).
        state: (n, 2 size), h beside c.

    Returns:
        The next state, (n, 2 size).
    """
    hidden, memory = np.split(state, 2, axis=1)
    gates = (
        x @ cell.input_weight.T + cell.input_bias + hidden @ cell.hidden_weight.T + cell.hidden_bias
    )
    enter, keep, new, leave = np.split(gates, 4, axis=1)
    memory = expit(keep) * memory + expit(enter) * np.tanh(new)
    return np.concatenate([expit(leave) * np.tanh(memory), memory], 1)


def gru(cell: Cell, x: np.ndarray, state: np.ndarray) -> np.ndarray:
    """One tick of a GRU (Cho et al. 2014), gates in PyTorch's order.

    r, z = sigmoid of W x + U h + b;  g = tanh(W x + b + r (U h + c));  h' = (1 - z) g + z h.

    Args:
        cell: its weights.
        x: (n, inputs).
        state: (n, size), h.

    Returns:
        The next state, (n, size).
    """
    entered = np.split(x @ cell.input_weight.T + cell.input_bias, 3, axis=1)
    kept = np.split(state @ cell.hidden_weight.T + cell.hidden_bias, 3, axis=1)
    reset, update = expit(entered[0] + kept[0]), expit(entered[1] + kept[1])
    new = np.tanh(entered[2] + reset * kept[2])
    return (1 - update) * new + update * state


CELL_KINDS: dict[str, CellKind] = {
    "lstm": CellKind(gates=4, states=2, step=lstm),
    "gru": CellKind(gates=3, states=1, step=gru),
}


def run_cells(
    cells: Sequence[Cell], x: np.ndarray, states: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One tick of cells stacked on each other.

    Args:
        cells: the first reads x, each other the output of the one before.
        x: (n, inputs) float32.
        states: (n, sum of the cells' widths) float32.

    Returns:
        Output of the last cell, (n, size), and the next states.
    """
    moved = []
    begin = 0
    for cell in cells:
        state = CELL_KINDS[cell.kind].step(cell, x, states[:, begin : begin + cell.width])
        x = state[:, : cell.size]
        moved.append(state)
        begin += cell.width
    return x, np.concatenate(moved, 1).astype(np.float32)


def run_hidden(layers: Sequence[Dense], x: np.ndarray, activation: str) -> np.ndarray:
    """Dense layers, each followed by the activation: (n, inputs) -> (n, width of the last)."""
    for weight, bias in layers:
        x = ACTIVATIONS[activation](x @ weight.T + bias)
    return x


class Whitening(NamedTuple):
    """How inputs are brought to one scale before the first layer."""

    mean: np.ndarray  # (inputs,) float32
    std: np.ndarray  # (inputs,) float32, above 0
    limit: np.float32  # inputs are cut to so many deviations

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(x - mean) / std within +-limit, (n, inputs)."""
        return np.clip((x - self.mean) / self.std, -self.limit, self.limit)


def in_blocks(
    evaluate: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    x: np.ndarray,
    states: np.ndarray,
    block: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate a fixed number of rows at a time, the last ones padded: matrix products of one shape
    give a row the same bits whatever the number of rows beside it.

    Args:
        evaluate: (block, inputs), (block, width) -> outputs and next states.
        x: (n, inputs).
        states: (n, width).
        block: rows evaluated together.
    """
    n = len(x)
    pad = -n % block
    padded = np.concatenate([x, np.zeros((pad, x.shape[1]), x.dtype)])
    before = np.concatenate([states, np.zeros((pad, states.shape[1]), states.dtype)])
    parts = [evaluate(padded[i : i + block], before[i : i + block]) for i in range(0, n, block)]
    outputs, moved = zip(*parts, strict=True)
    return np.concatenate(outputs)[:n], np.concatenate(moved)[:n]
