"""The saved policy acts as the trained network, with the same bits wherever it runs."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from chengfang.agents import rollout
from chengfang.agents.catalog import find_policy
from chengfang.agents.guard import GuardedPolicy
from chengfang.agents.learners import ArtefactError, load_policy
from chengfang.agents.learners.gradient.network import Network
from chengfang.envs import FEATURE_NAMES, Market, task_setting

SETTING = task_setting("Bidding", split="train")
LEVERS = SETTING.levers
TICKS, N, WIDTH = 5, 256, 128
KINDS = pytest.mark.parametrize("recurrent", [True, False], ids=["gru", "mlp"])
ELSEWHERE = """
import sys
import numpy as np
from chengfang.agents.learners import load_policy
policy, state, played = load_policy(sys.argv[1]), None, []
for seen in np.load(sys.argv[2]):
    action, state = policy.predict(seen, state)
    played.append(action)
np.save(sys.argv[3], np.stack(played))
"""


def network(recurrent, width=WIDTH):
    torch.manual_seed(0)
    made = Network(len(FEATURE_NAMES), len(LEVERS), width, recurrent)
    with torch.no_grad():
        made.head.weight.mul_(10)
        made.mean.normal_(0, 0.1)
        made.std.uniform_(0.2, 2)
    return made


def policy_of(made):
    facts = {"algorithm": "APG", "levers": list(LEVERS), "features": list(FEATURE_NAMES)}
    return made.saved(made.state_dict(), facts)


def drawn(n=N):
    return np.random.default_rng(1).normal(size=(TICKS, n, len(FEATURE_NAMES))).astype(np.float32)


def played(policy, observations, starts=None):
    state, found = None, []
    for tick, seen in enumerate(observations):
        action, state = policy.predict(seen, state, None if starts is None else starts[tick])
        found.append(action)
    return np.stack(found)


@KINDS
def test_the_saved_policy_acts_as_the_network(recurrent):
    made = network(recurrent)
    hidden = None
    actions = played(policy_of(made), drawn())
    for tick, seen in enumerate(drawn()):
        with torch.no_grad():
            wanted, hidden = made(torch.from_numpy(seen), hidden)
        np.testing.assert_allclose(actions[tick], wanted.numpy(), atol=5e-6)


@KINDS
def test_a_row_has_the_same_bits_in_every_batch(recurrent, tmp_path):
    policy = policy_of(network(recurrent))
    observations = drawn()
    whole = played(policy, observations)
    for first, size in ((0, 1), (37, 1), (255, 1), (0, 7), (100, 7), (3, 32), (5, 250)):
        part = observations[:, first : first + size]
        np.testing.assert_array_equal(played(policy, part), whole[:, first : first + size])
    policy.save(tmp_path)
    np.testing.assert_array_equal(played(load_policy(tmp_path), observations), whole)
    single = np.stack([policy.predict(x[9])[0] for x in observations[:1]])
    np.testing.assert_array_equal(single[0], whole[0, 9])


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_another_process_gives_the_same_bits(threads, tmp_path):
    policy = policy_of(network(True))
    policy.save(tmp_path / "policy")
    np.save(tmp_path / "seen.npy", drawn()[:, 40:47])
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    subprocess.run(
        [sys.executable, "-c", ELSEWHERE, *(tmp_path / n for n in ("policy", "seen.npy", "a.npy"))],
        check=True,
        env=dict(os.environ) | dict.fromkeys(names, str(threads)),
    )
    wanted = played(policy, drawn())[:, 40:47]
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), wanted)


def test_no_rows_give_no_actions():
    action, _ = policy_of(network(True, 4)).predict(np.zeros((0, len(FEATURE_NAMES)), np.float32))
    assert action.shape == (0, len(LEVERS))


def test_an_episode_start_forgets_its_row_alone():
    policy = policy_of(network(True, 16))
    observations = drawn(4)
    starts = np.zeros((TICKS, 4), bool)
    starts[3, 1] = True
    found = played(policy, observations, starts)
    through = played(policy, observations)
    np.testing.assert_array_equal(found[:, [0, 2, 3]], through[:, [0, 2, 3]])
    np.testing.assert_array_equal(found[:3, 1], through[:3, 1])
    np.testing.assert_array_equal(found[3:, 1], played(policy, observations[3:])[:, 1])
    assert not np.array_equal(found[3:, 1], through[3:, 1])


def test_it_is_played_like_any_policy(tmp_path):
    policy = policy_of(network(True, 16))
    policy.save(tmp_path / "apg")
    named = find_policy(str(tmp_path / "apg"), SETTING)
    scores = []
    for one in (policy, named, GuardedPolicy(policy, "apg", "Bidding")):
        market = Market.of(SETTING, 5, reward="score")
        market.reset(seeds=np.arange(5))
        rollout(one, market)
        scores.append(market.dashboard()["score"])
    np.testing.assert_array_equal(scores[0], scores[1])
    np.testing.assert_array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"cells": ["rnn"]}, "its cells are not a list of lstm, gru"),
        ({"cells": ["lstm"]}, "the shape of cell_0_input_weight does not fit"),
        ({"bypass": False}, "the shape of weight_1 does not fit"),
        ({"bypass": 1}, "its bypass is not true, with an encoder, or false"),
        ({"by_row": 1}, "its by_row is not true or false"),
        ({"input_limit": -1}, "its input_limit is not a number above 0"),
        ({"input_limit": None}, "its input_limit is not a number above 0"),
    ],
)
def test_what_does_not_fit_is_refused(changes, problem, tmp_path):
    policy_of(network(True, 4)).save(tmp_path)
    text = tmp_path / "policy.json"
    text.write_text(json.dumps(json.loads(text.read_text()) | changes))
    with pytest.raises(ArtefactError, match=problem):
        load_policy(tmp_path)


def test_a_scale_of_nothing_is_refused(tmp_path):
    made = network(True, 4)
    made.std[3] = 0
    policy_of(made).save(tmp_path)
    with pytest.raises(ArtefactError, match="input_std not above 0"):
        load_policy(tmp_path)
