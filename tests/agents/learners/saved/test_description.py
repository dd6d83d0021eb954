"""Recurrent policies and further inputs: what does not fit is refused in one sentence."""

import json

import numpy as np
import pytest
from chengfang.agents.learners import ArtefactError, SavedPolicy, load_best, load_policy
from chengfang.agents.learners.saved.network import Cell
from chengfang.envs import FEATURE_NAMES, select_levers
from safetensors.numpy import load_file, save_file

SIZE = 5
LEVERS = select_levers("bidding")


@pytest.fixture
def folder(tmp_path):
    """A saved recurrent policy, to be spoilt."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    inputs = len(FEATURE_NAMES)
    rows = 4 * SIZE
    cell = Cell("lstm", draw(rows, inputs), draw(rows, SIZE), draw(rows), draw(rows))
    facts = {
        "levers": list(LEVERS),
        "features": list(FEATURE_NAMES),
        "activation": "tanh",
        "output": "clip",
    }
    layers = [(draw(len(LEVERS), SIZE), draw(len(LEVERS)))]
    SavedPolicy(layers, facts, cells=[cell]).save(tmp_path)
    assert load_policy(tmp_path).cells[0].size == SIZE
    return tmp_path


def refused(folder):
    with pytest.raises(ArtefactError) as caught:
        load_policy(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


def describe(folder, **changes):
    path = folder / "policy.json"
    data = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cells": ["transformer"]}, "its cells are not a list of lstm"),
        ({"cells": "lstm"}, "its cells are not a list of lstm"),
        ({"cells": [{}]}, "its cells are not a list of lstm"),
        ({"cells": ["lstm"] * 100}, "its cells are not a list of lstm"),
        ({"cells": []}, "its tensors are not those"),
        ({"cells": ["lstm", "lstm"]}, "its tensors are not those"),
        ({"encoder": 1}, "its encoder"),
        ({"encoder": True}, "its encoder"),
        ({"encoder": -1}, "its encoder"),
        ({"mean_limit": 0}, "its mean_limit"),
        ({"mean_limit": "2"}, "its mean_limit"),
        ({"hold": 0}, "its hold is not 1 to 10,000 ticks"),
        ({"safety_margin": 2}, "its safety margin is not a number"),
        ({"caution": "much"}, "its safety margin is not a number"),
        ({"safety_margin": 0.1}, "the shape of cell_0_input_weight"),
        ({"activation": ["tanh"]}, "its activation"),
    ],
)
def test_description_that_does_not_fit(folder, changes, told):
    describe(folder, **changes)
    assert told in refused(folder)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("cell_0_input_weight", np.zeros((4 * SIZE, 3)), "the shape of cell_0_input_weight"),
        ("cell_0_hidden_weight", np.zeros((4 * SIZE, 0)), "the shape of cell_0_input_weight"),
        ("cell_0_hidden_weight", np.zeros(4), "the shape of cell_0_input_weight"),
        ("cell_0_hidden_weight", np.zeros((3 * SIZE, SIZE)), "the shape of cell_0_hidden_weight"),
        ("cell_0_input_bias", np.zeros(4 * SIZE + 1), "the shape of cell_0_input_bias"),
        ("cell_0_hidden_bias", np.full(4 * SIZE, np.nan), "cell_0_hidden_bias is not finite"),
        ("weight_0", np.zeros((4, SIZE + 1)), "the shape of weight_0"),
        ("cell_1_input_bias", np.zeros(4), "its tensors are not those"),
    ],
)
def test_tensors_that_do_not_fit(folder, name, value, told):
    path = folder / "policy.safetensors"
    save_file(load_file(path) | {name: value.astype(np.float32)}, path)
    assert told in refused(folder)


@pytest.mark.parametrize(
    ("entry", "value", "told"),
    [
        ("rule", "Nobody", "its rule is not one of"),
        ("rule", ["PID"], "its rule is not one of"),
        ("scale", 3, "its residual scale"),
        ("parameters", {"rate": "fast"}, "parameters are not numbers"),
        ("parameters", {"speed": 1.0}, "OnlineLP has no parameter speed"),
        ("parameters", [1.0], "parameters are not numbers"),
        ("plan", {}, "its plan is not described"),
        ("extra", 1, "its residual is not described by"),
    ],
)
def test_residual_that_does_not_fit(tmp_path, entry, value, told):
    policy = load_best("Bidding")
    policy.save(tmp_path)
    describe(tmp_path, residual=policy.description["residual"] | {entry: value})
    assert told in refused(tmp_path)


@pytest.mark.parametrize("shape", [(100,), (3, 102), (2, 3, 101), ()])
def test_observation_of_another_shape(folder, shape):
    with pytest.raises(ValueError, match=r"allowed are \(n, 101\) and \(101,\)"):
        load_policy(folder).predict(np.zeros(shape, np.float32))


def test_safety_margin_of_a_policy_that_takes_none(folder):
    with pytest.raises(ArtefactError, match=r"safety_margin is 0\.1, but this policy"):
        load_policy(folder, 0.1)
