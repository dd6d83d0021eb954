"""APG: what it learns, that it goes on where it stopped, and that its policies are the networks."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from chengfang.agents.learners import ArtefactError, load_policy
from chengfang.agents.learners.gradient import train_apg
from chengfang.agents.learners.gradient.network import Network
from chengfang.agents.learners.gradient.train import Boxed, cut, schedule
from chengfang.agents.learners.settings import APGSettings
from chengfang.envs import FEATURE_NAMES, Market, task_setting
from pydantic import ValidationError

BIDDING = task_setting("Bidding", split="train")
SMALL = {"num_envs": 8, "width": 16, "steps": 8 * 24 * 4}
RULE = {"rule": "PID", "rule_task": "Bidding", "margin_range": (-0.02, 0.04), "safety_margin": 0.01}


def small(**options):
    return APGSettings.model_validate(SMALL | options)


def observations(n=7, seed=0):
    market = Market.of(BIDDING, n)
    market.reset(seeds=np.arange(n) + seed)
    seen = []
    for _ in range(6):
        seen.append(market.observations.copy())
        market.step(np.zeros((n, len(market.levers)), np.float32))
    return seen


def played(policy, seen):
    state = None
    actions = []
    for tick, x in enumerate(seen):
        action, state = policy.predict(x, state, np.full(len(x), tick == 0))
        actions.append(action)
    return np.stack(actions)


@pytest.mark.slow
def test_it_learns_bidding_from_scratch(tmp_path):
    scores = []
    train_apg(
        APGSettings(steps=250_000, num_envs=128, width=32),
        BIDDING,
        0,
        tmp_path,
        lambda learned: scores.append(learned.figures["score_over_nothing"]),
    )
    assert np.mean(scores[-10:]) > np.mean(scores[:3]) + 0.3
    assert np.mean(scores[-10:]) > 2.7


@pytest.mark.parametrize("policy", ["gru", "mlp"])
@pytest.mark.parametrize("training_env", [None, RULE])
def test_interrupted_it_goes_on_to_the_same_bits(tmp_path, policy, training_env):
    settings = small(policy=policy, training_env=training_env)
    train_apg(settings, BIDDING, 3, tmp_path / "whole")

    def stop(learned):
        if learned.steps >= learned.total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_apg(settings, BIDDING, 3, tmp_path / "parts", stop)
    half = json.loads((tmp_path / "parts" / "policy.json").read_text())["steps"]
    assert half == settings.steps / 2
    train_apg(settings, BIDDING, 3, tmp_path / "parts")
    whole, parts = (
        (tmp_path / name / "policy.safetensors").read_bytes() for name in ("whole", "parts")
    )
    assert whole == parts


def test_another_seed_is_another_policy(tmp_path):
    a, b = (train_apg(small(), BIDDING, seed, tmp_path / str(seed)) for seed in (0, 1))
    assert not np.array_equal(a.layers[0][0], b.layers[0][0])


@pytest.mark.parametrize("recurrent", [True, False])
def test_the_saved_policy_is_the_network(recurrent):
    torch.manual_seed(0)
    network = Network(len(FEATURE_NAMES), 4, 16, recurrent)
    seen = observations()
    network.scale_inputs(torch.from_numpy(np.concatenate(seen)), 1.0)
    description = {"levers": list(BIDDING.levers), "features": list(FEATURE_NAMES)}
    policy = network.saved(network.state_dict(), description)
    hidden = None
    expected = []
    with torch.no_grad():
        for x in seen:
            output, hidden = network(torch.from_numpy(x), hidden)
            expected.append(output.numpy())
    np.testing.assert_allclose(played(policy, seen), np.stack(expected), atol=2e-6)


@pytest.fixture(scope="module", params=["gru", "mlp", "rule"])
def folder(request, tmp_path_factory):
    where = tmp_path_factory.mktemp("apg")
    kind = {"training_env": RULE} if request.param == "rule" else {"policy": request.param}
    train_apg(small(**kind), BIDDING, 0, where)
    return where


def test_actions_have_the_same_bits_in_any_batch_and_after_reload(folder):
    seen = observations(256)
    policy = load_policy(folder)
    whole = played(policy, seen)
    assert np.array_equal(played(load_policy(folder), seen), whole)
    for rows in (slice(0, 1), slice(5, 12), slice(100, 233)):
        assert np.array_equal(played(policy, [x[rows] for x in seen]), whole[:, rows])


def test_actions_have_the_same_bits_in_another_process(folder, tmp_path):
    seen = observations(5)
    np.save(tmp_path / "seen.npy", np.stack(seen))
    code = (
        "import sys, numpy as np\n"
        "from chengfang.agents.learners import load_policy\n"
        "policy, state, out = load_policy(sys.argv[1]), None, []\n"
        "for t, x in enumerate(np.load(sys.argv[2] + '/seen.npy')):\n"
        "    a, state = policy.predict(x, state, np.full(len(x), t == 0)); out.append(a)\n"
        "np.save(sys.argv[2] + '/out.npy', np.stack(out))\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder), str(tmp_path)], check=True)
    assert np.array_equal(np.load(tmp_path / "out.npy"), played(load_policy(folder), seen))


def test_an_episode_start_forgets(folder):
    seen = observations(6)
    policy = load_policy(folder)
    state = None
    for x in seen:
        _, state = policy.predict(x, state)
    started = np.array([True, False] * 3)
    action, _ = policy.predict(seen[0], state, started)
    fresh, _ = policy.predict(seen[0], None, np.full(6, True))
    assert np.array_equal(action[started], fresh[started])


def test_a_margin_is_heard_and_may_be_chosen(tmp_path):
    train_apg(small(training_env=RULE), BIDDING, 0, tmp_path)
    seen = observations(3)
    assert load_policy(tmp_path).safety_margin == 0.01
    near, far = (played(load_policy(tmp_path, m), seen) for m in (0.0, 0.3))
    assert not np.array_equal(near, far)


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    train_apg(small(), BIDDING, 0, tmp_path)
    text = json.loads((tmp_path / "policy.json").read_text())
    for field, value, says in (
        ("block", 0, "its block"),
        ("bypass", 3, "its bypass"),
        ("input_limit", -1.0, "its input_limit"),
        ("cells", ["elman"], "its cells"),
    ):
        (tmp_path / "policy.json").write_text(json.dumps(text | {field: value}))
        with pytest.raises(ArtefactError, match=says):
            load_policy(tmp_path)
    without = {name: value for name, value in text.items() if name != "input_limit"}
    (tmp_path / "policy.json").write_text(json.dumps(without))
    with pytest.raises(ArtefactError, match="tensors"):
        load_policy(tmp_path)


def test_settings_that_do_not_apply_are_refused():
    for wrong, says in (
        ({"hold": 3}, "training_env.hold is 3"),
        ({"objective": "lagrangian"}, "training_env.objective is 'lagrangian'"),
        ({"privileged": False}, "training_env.privileged is False"),
    ):
        with pytest.raises(ValidationError, match=says):
            small(training_env=wrong)
    with pytest.raises(ValidationError, match="gamma"):
        small(gamma=0.9)
    again = APGSettings.model_validate(small(training_env=RULE).model_dump())
    assert again == small(training_env=RULE)


def test_an_action_outside_the_box_is_only_drawn_back():
    x = torch.tensor([-2.0, -2.0, 0.5, 2.0, 2.0], requires_grad=True)
    wanted = torch.tensor([1.0, -1.0, 1.0, 1.0, -1.0])  # of a loss: descent goes the other way
    Boxed.apply(x).backward(wanted)
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, -1.0, 1.0, 1.0, 0.0]


def test_a_market_of_steep_edges_does_not_lead_the_others():
    gradient = torch.ones(3, 5, 2)
    gradient[:, 0] = 1e6
    norms = (cut(gradient) ** 2).sum((0, 2)).sqrt()
    assert norms[0] == pytest.approx(10 * norms[1].item())
    assert torch.equal(cut(gradient)[:, 1:], gradient[:, 1:])


def test_the_rate_rises_and_falls():
    rates = [schedule(k, 100) for k in range(100)]
    assert rates[0] < rates[5] < rates[10]
    assert rates[10] > rates[50] > rates[99] > 0
