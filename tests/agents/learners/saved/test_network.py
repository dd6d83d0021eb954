"""Networks in numpy give what PyTorch's do."""

import numpy as np
import pytest
import torch
from chengfang.agents.learners import SavedPolicy, load_policy
from chengfang.agents.learners.saved.network import (
    ACTIVATIONS,
    CELL_KINDS,
    Cell,
    Whitening,
    row_by_row,
    run_cells,
    run_hidden,
)
from chengfang.envs import FEATURE_NAMES, select_levers
from torch import nn

MODULES = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "leaky_relu": nn.LeakyReLU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
}


def arrays(*tensors):
    return [tensor.detach().numpy() for tensor in tensors]


def lstm_cells(net):
    return [
        Cell(
            "lstm",
            *arrays(*(getattr(net, f"{kind}_l{i}") for kind in NAMES)),
        )
        for i in range(net.num_layers)
    ]


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_pytorchs(name):
    x = np.concatenate([np.linspace(-60, 60, 20_001), np.linspace(-3, 3, 20_001)])
    x = x.astype(np.float32)
    wanted = MODULES[name]()(torch.from_numpy(x)).numpy()
    given = ACTIVATIONS[name](x)
    assert given.dtype == np.float32
    np.testing.assert_allclose(given, wanted, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 3])
def test_lstm_is_pytorchs(layers):
    torch.manual_seed(0)
    net = nn.LSTM(6, 5, num_layers=layers)
    cells = lstm_cells(net)
    x = np.random.default_rng(0).normal(size=(20, 4, 6)).astype(np.float32)
    with torch.no_grad():
        wanted = net(torch.from_numpy(x))[0].numpy()
    state = np.zeros((4, sum(cell.width for cell in cells)), np.float32)
    for tick in range(20):
        given, state = run_cells(cells, x[tick], state)
        np.testing.assert_allclose(given, wanted[tick], atol=1e-6)
    assert state.dtype == np.float32


def test_layers_before_and_after_the_cells(tmp_path):
    """An encoder, a cell and a head, held for two ticks, saved and read again."""
    torch.manual_seed(0)
    levers = select_levers("bidding")
    encoder = nn.Linear(len(FEATURE_NAMES), 6)
    net = nn.LSTM(6, 5)
    head = nn.Linear(5, len(levers))
    cells = lstm_cells(net)
    layers = [tuple(arrays(layer.weight, layer.bias)) for layer in (encoder, head)]
    facts = {
        "levers": list(levers),
        "features": list(FEATURE_NAMES),
        "activation": "silu",
        "output": "tanh",
        "encoder": 1,
        "hold": 2,
    }
    policy = SavedPolicy(layers, facts, cells=cells)
    policy.save(tmp_path)
    again = load_policy(tmp_path)
    seen = np.random.default_rng(0).normal(size=(6, 3, len(FEATURE_NAMES))).astype(np.float32)
    states = (None, None)
    hidden = None
    wanted = np.empty(0)
    for tick, x in enumerate(seen):
        action, one = policy.predict(x, states[0])
        same, two = again.predict(x, states[1])
        states = (one, two)
        np.testing.assert_array_equal(action, same)
        if tick % 2 == 0:
            with torch.no_grad():
                latent, hidden = net(nn.SiLU()(encoder(torch.from_numpy(x)))[None], hidden)
                wanted = torch.tanh(head(latent[0])).numpy()
        np.testing.assert_allclose(action, wanted, atol=1e-6)


def test_hidden_layers_are_dense_then_activation():
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(3, 2)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    x = rng.normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(
        run_hidden([(weight, bias)], x, "relu"), np.maximum(x @ weight.T + bias, 0)
    )
    np.testing.assert_array_equal(run_hidden([], x, "relu"), x)


def test_a_gru_is_pytorchs():
    torch.manual_seed(0)
    theirs = nn.GRUCell(5, 3)
    cell = Cell("gru", *(p.detach().numpy() for p in theirs.parameters()))
    x, h = torch.randn(4, 5), torch.randn(4, 3)
    ours = CELL_KINDS["gru"].step(cell, x.numpy(), h.numpy())
    np.testing.assert_allclose(ours, theirs(x, h).detach().numpy(), atol=1e-6)
    assert cell.width == 3


@pytest.mark.parametrize("shape", [(128, 82), (384, 128), (11, 256)])
def test_row_by_row_a_row_has_the_same_bits_wherever_it_stands(shape):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=shape).astype(np.float32)
    x = rng.normal(size=(33, shape[1])).astype(np.float32)
    whole = row_by_row(x, weight)
    np.testing.assert_allclose(whole, x @ weight.T, rtol=1e-3, atol=1e-4)
    for i in range(33):
        np.testing.assert_array_equal(row_by_row(x[i : i + 1], weight)[0], whole[i])
    np.testing.assert_array_equal(row_by_row(x[::-1], weight)[::-1], whole)


def test_whitening_cuts_what_lies_far():
    mean, std, x = (np.array(v, np.float32) for v in ([1, 0], [2, 1], [[3, 9], [1, -9]]))
    whiten = Whitening(mean, std, np.float32(5))
    assert whiten(x).tolist() == [[1, 5], [0, -5]]
