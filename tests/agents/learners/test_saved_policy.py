"""A saved policy: the same actions as the model it came from, and nothing else is ever loaded."""

import json
import os
import pickle
import shutil
import zipfile
from typing import Any

import numpy as np
import pytest
import torch
from chengfang.agents import Policy
from chengfang.agents.learners import (
    ArtefactError,
    PPOSettings,
    SACSettings,
    SavedPolicy,
    load_policy,
)
from chengfang.agents.learners.training import actor, train
from chengfang.envs import FEATURE_NAMES, Setting, load_scenario, select_levers
from chengfang.envs.api.sb3_vec_env import PromotionVecEnv
from safetensors.numpy import load_file, save_file
from stable_baselines3 import PPO, SAC

LEVERS = select_levers("bidding")
SETTINGS = {
    "PPO": PPOSettings(
        num_envs=8, steps=8 * 24 * 2, n_steps=12, batch_size=48, n_epochs=1, hidden=[16, 8]
    ),
    "SAC": SACSettings(
        num_envs=8,
        steps=8 * 24,
        batch_size=16,
        gradient_steps=1,
        learning_starts=32,
        buffer_size=500,
        hidden=[16],
    ),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One saved policy of each algorithm."""
    made = {}
    for name, settings in SETTINGS.items():
        made[name] = tmp_path_factory.mktemp(name)
        train(
            settings, Setting(load_scenario(), LEVERS, 1), 0, made[name], origin={"task": "Bidding"}
        )
    return made


@pytest.fixture
def folder(folders, tmp_path):
    """A copy of a saved policy, to be spoilt."""
    shutil.copytree(folders["PPO"], tmp_path / "policy")
    return tmp_path / "policy"


@pytest.fixture(scope="module")
def observations():
    env = PromotionVecEnv(64, days=1, levers=LEVERS, seed=1)
    rng = np.random.default_rng(0)
    seen = [env.reset()]
    for _ in range(10):
        view = env.step(rng.uniform(-1, 1, (64, 4)).astype(np.float32))[0]
        assert isinstance(view, np.ndarray)
        seen.append(view)
    return np.concatenate(seen)


def refused(folder):
    """The one sentence an ArtefactError says."""
    with pytest.raises(ArtefactError) as caught:
        load_policy(folder)
    text = str(caught.value)
    assert str(folder) in text
    return text


def describe(folder, **changes):
    path = folder / "policy.json"
    data = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}))


def tensors(folder, **changes):
    path = folder / "policy.safetensors"
    data = load_file(path) | changes
    save_file({key: value for key, value in data.items() if value is not ...}, path)


# Round trip
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PPO, SAC])
def test_actions_are_the_models(kind, observations, tmp_path):
    """SavedPolicy.predict is the model's deterministic predict, before and after a round trip
    through the folder.
    """
    env = PromotionVecEnv(8, days=1, levers=LEVERS, seed=0)
    arguments: dict[str, Any] = (
        {"n_steps": 12, "batch_size": 48}
        if kind is PPO
        else {"learning_starts": 16, "buffer_size": 500, "batch_size": 16}
    )
    activation = torch.nn.Tanh if kind is PPO else torch.nn.ReLU
    model = kind(
        "MlpPolicy",
        env,
        seed=0,
        device="cpu",
        learning_rate=0.01,
        policy_kwargs={"net_arch": [16, 16], "activation_fn": activation},
        **arguments,
    )
    model.learn(8 * 24)
    wanted, _ = model.predict(observations, deterministic=True)
    saved = actor(model, {"levers": list(LEVERS), "features": list(FEATURE_NAMES)})
    assert isinstance(saved, Policy)
    action, state = saved.predict(observations)
    assert state is None
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, wanted, atol=2e-6)
    assert np.abs(wanted).max() > 0.05
    saved.save(tmp_path / "policy")
    assert load_policy(tmp_path / "policy").predict(observations)[0].tobytes() == action.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_trained_policy_survives_its_folder_bit_for_bit(name, folders, observations, tmp_path):
    first = load_policy(folders[name])
    first.save(tmp_path / "again")
    second = load_policy(str(tmp_path / "again"))
    assert second.predict(observations)[0].tobytes() == first.predict(observations)[0].tobytes()
    assert second.description == first.description
    assert sorted(p.name for p in (tmp_path / "again").iterdir()) == [
        "policy.json",
        "policy.safetensors",
    ]


def test_origin_is_noted(folders):
    description = load_policy(folders["SAC"]).description
    assert description["algorithm"] == "SAC"
    assert description["task"] == "Bidding"
    assert description["steps"] >= SETTINGS["SAC"].steps
    assert SACSettings(**description["settings"]) == SETTINGS["SAC"]
    assert load_policy(folders["SAC"]).levers == LEVERS


@pytest.mark.parametrize("name", SETTINGS)
def test_batch_is_as_good_as_one_by_one(name, folders, observations):
    policy = load_policy(folders[name])
    batch, _ = policy.predict(observations[:5])
    for i in range(5):
        one, _ = policy.predict(observations[i])
        assert one.shape == (4,)
        np.testing.assert_allclose(one, batch[i], atol=1e-6)


def test_actions_stay_in_the_box(folders):
    wild = np.random.default_rng(0).uniform(-10, 10, (500, len(FEATURE_NAMES))).astype(np.float32)
    for folder in folders.values():
        action, _ = load_policy(folder).predict(wild)
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1


@pytest.mark.slow
def test_loading_needs_no_torch(folders):
    import subprocess
    import sys

    code = (
        "import sys; from chengfang.agents.learners import load_policy; "
        f"load_policy({str(folders['PPO'])!r}); "
        "print([m for m in ('torch', 'stable_baselines3') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


# Refused
# --------------------------------------------------------------------------------------------------


def test_path_that_does_not_exist(tmp_path):
    assert "is no saved policy" in refused(tmp_path / "nowhere")


def test_empty_folder(tmp_path):
    assert "policy.json and policy.safetensors" in refused(tmp_path)


@pytest.mark.parametrize("missing", ["policy.json", "policy.safetensors"])
def test_missing_file(folder, missing):
    (folder / missing).unlink()
    assert "is no saved policy" in refused(folder)


@pytest.mark.parametrize("name", ["policy.safetensors", "policy.json"])
def test_path_of_a_file(folder, name):
    assert "is no saved policy" in refused(folder / name)


def test_zip_of_stable_baselines(tmp_path):
    env = PromotionVecEnv(2, days=1, levers=LEVERS)
    PPO("MlpPolicy", env, n_steps=8, batch_size=16, device="cpu").save(tmp_path / "model.zip")
    assert "never loaded" in refused(tmp_path / "model.zip")
    assert "never loaded" in refused(tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 8, b"\xff" * 64, b"{}", os.urandom(1000), b'\x08\0\0\0\0\0\0\0{"a":1}x'],
)
def test_corrupt_weights(folder, content):
    (folder / "policy.safetensors").write_bytes(content)
    assert "cannot be" in refused(folder)


def test_truncated_weights(folder):
    path = folder / "policy.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    assert "cannot be read" in refused(folder)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe\xfa", b"nothing", b"[1]", b"null", b"3", b'"text"']
)
def test_corrupt_description(folder, content):
    (folder / "policy.json").write_bytes(content)
    assert "cannot be" in refused(folder)


def test_weights_that_are_a_folder(folder):
    (folder / "policy.safetensors").unlink()
    (folder / "policy.safetensors").mkdir()
    assert "is no saved policy" in refused(folder)


class Malice:
    """Unpickling this makes a file."""

    def __init__(self, proof):
        self.proof = proof

    def __reduce__(self):
        return (open, (str(self.proof), "w"))


@pytest.mark.parametrize("name", ["policy.safetensors", "policy.json"])
@pytest.mark.parametrize("way", ["pickle", "torch", "numpy"])
def test_malicious_pickle_is_not_executed(folder, tmp_path, name, way):
    proof = tmp_path / "executed"
    target = folder / name
    if way == "pickle":
        target.write_bytes(pickle.dumps(Malice(proof)))
    elif way == "torch":
        torch.save(Malice(proof), target)
    else:
        with target.open("wb") as file:
            np.save(file, np.array([Malice(proof)], object), allow_pickle=True)
    assert "cannot be" in refused(folder)
    assert not proof.exists()


def test_zip_renamed(folder):
    with zipfile.ZipFile(folder / "policy.safetensors", "w") as file:
        file.writestr("data", "x")
    assert "cannot be read" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"format": "chengfang-policy-0"}, "its format is not"),
        ({"format": ...}, "its format is not"),
        ({"activation": "sine"}, "its activation"),
        ({"activation": ...}, "its activation"),
        ({"output": "softmax"}, "its output"),
        ({"activation": ["tanh"]}, "its activation"),
        ({"output": {}}, "its output"),
        ({"features": ["time_left", "time_left"]}, "other observation features"),
        ({"features": ...}, "other observation features"),
        ({"features": ["time_left", "tomorrow"]}, "other observation features"),
        ({"layers": 2}, "its tensors are not those"),
        ({"layers": 0}, "number of layers"),
        ({"layers": ...}, "number of layers"),
        ({"layers": "3"}, "number of layers"),
        ({"layers": 10**9}, "number of layers"),
        ({"layers": True}, ""),
        ({"levers": ["bid"]}, "does not match its levers"),
        ({"levers": []}, "does not match its levers"),
        ({"levers": ...}, "levers"),
        ({"levers": 4}, "levers"),
        ({"levers": "bids"}, "levers"),
        ({"levers": [1, 2, 3, 4]}, "levers"),
        ({"levers": None}, "levers"),
        ({"levers": ["a", "b", "c", "d"]}, "levers"),
        ({"levers": ["bid_feed"] * 4}, "levers"),
    ],
)
def test_description_that_does_not_fit(folder, changes, told):
    describe(folder, **changes)
    assert told in refused(folder)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"weight_0": np.zeros((16, 3), np.float32)}, "the shape of weight_0"),
        ({"weight_1": np.zeros((8, 17), np.float32)}, "the shape of weight_1"),
        ({"bias_0": np.zeros(15, np.float32)}, "the shape of weight_0"),
        ({"weight_0": np.zeros((16, 101, 1), np.float32)}, "the shape of weight_0"),
        ({"bias_2": np.zeros((4, 1), np.float32)}, "the shape of weight_2"),
        (
            {"weight_2": np.zeros((5, 8), np.float32), "bias_2": np.zeros(5, np.float32)},
            "does not match its levers",
        ),
        ({"bias_2": ...}, "its tensors are not those"),
        ({"other": np.zeros(3, np.float32)}, "its tensors are not those"),
        ({"weight_1": np.full((8, 16), np.nan, np.float32)}, "weight_1 or its bias is not finite"),
        ({"bias_0": np.full(16, np.inf, np.float32)}, "weight_0 or its bias is not finite"),
    ],
)
def test_tensors_that_do_not_fit(folder, changes, told):
    tensors(folder, **changes)
    assert told in refused(folder)


@pytest.mark.parametrize("kind", [np.int64, np.bool_, np.float64])
def test_tensors_of_another_kind(folder, kind):
    """Weights are float32; anything else did not come from here."""
    tensors(folder, weight_1=np.ones((8, 16), kind))
    try:
        policy = load_policy(folder)
    except ArtefactError:
        return
    assert all(w.dtype == np.float32 and b.dtype == np.float32 for w, b in policy.layers)


def test_weights_that_overflow_float32(folder):
    tensors(folder, weight_1=np.full((8, 16), 1e300))
    refused(folder)


def test_description_in_deep_nesting(folder):
    (folder / "policy.json").write_text("[" * 100_000)
    refused(folder)


def test_saving_is_whole_or_not_at_all(folder, observations):
    """What a saved folder holds stays there until its successor is complete."""
    policy = load_policy(folder)
    wanted = policy.predict(observations)[0].tobytes()
    broken = SavedPolicy(policy.layers, policy.description | {"origin": object()})
    with pytest.raises(TypeError):
        broken.save(folder)
    assert load_policy(folder).predict(observations)[0].tobytes() == wanted
