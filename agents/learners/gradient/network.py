"""The network that APG trains, and how it becomes a saved policy."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..saved.network import Cell, Whitening
from ..saved_policy import SavedPolicy

LIMIT = 5.0  # standard deviations that an input may lie from its mean
LEAST_STD = 0.02
FIRST_REACH = 0.1  # of the output layer's first weights: the first actions are near the default
BLOCK = 32  # rows evaluated together by the saved policy


class Network(nn.Module):
    """Inputs to an output in (-1, 1) per lever: an encoder, a GRU cell or a second layer, and a
    head, which reads the encoding beside the cell's memory.

    Args:
        inputs: numbers that go in.
        levers: numbers that come out.
        width: of the layers.
        recurrent: a GRU cell in the middle, or a dense layer.
    """

    def __init__(self, inputs: int, levers: int, width: int, recurrent: bool):
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))
        self.encoder = nn.Linear(inputs, width)
        self.middle = nn.GRUCell(width, width) if recurrent else nn.Linear(width, width)
        self.head = nn.Linear(2 * width if recurrent else width, levers)
        with torch.no_grad():
            self.head.weight.mul_(FIRST_REACH)
            self.head.bias.zero_()

    def forward(self, x: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """One tick: (n, inputs) and the memory (n, width), None at the start of an episode."""
        x = ((x - self.mean) / self.std).clamp(-LIMIT, LIMIT)
        encoded = nn.functional.silu(self.encoder(x))
        if isinstance(self.middle, nn.GRUCell):
            remembered: Tensor = self.middle(encoded, hidden)
            return torch.tanh(self.head(torch.cat([encoded, remembered], 1))), remembered
        return torch.tanh(self.head(nn.functional.silu(self.middle(encoded)))), None

    @torch.no_grad()
    def scale_inputs(self, seen: Tensor, share: float) -> None:
        """Move the inputs' mean and spread a share of the way to those of `seen`, (m, inputs)."""
        self.mean += share * (seen.mean(0) - self.mean)
        self.std += share * (seen.std(0).clamp_min(LEAST_STD) - self.std)

    def saved(self, weights: dict[str, Tensor], description: dict[str, Any]) -> SavedPolicy:
        """A saved policy with these weights, a state dict of this module.

        Args:
            weights: of the actor.
            description: what `policy.json` says beside the network.
        """
        array = {name: value.detach().cpu().numpy() for name, value in weights.items()}

        def dense(name: str) -> tuple[np.ndarray, np.ndarray]:
            return array[f"{name}.weight"], array[f"{name}.bias"]

        network: dict[str, Any] = {"activation": "silu", "output": "tanh", "block": BLOCK}
        cells = []
        layers = [dense("encoder"), dense("head")]
        if isinstance(self.middle, nn.GRUCell):
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            cells = [Cell("gru", *(array[f"middle.{name}"] for name in names))]
            network |= {"encoder": 1, "bypass": True}
        else:
            layers.insert(1, dense("middle"))
        whitening = Whitening(array["mean"], array["std"], np.float32(LIMIT))
        return SavedPolicy(layers, network | description, None, cells, whitening)
