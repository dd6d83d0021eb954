"""A shifted rule: what it plays, and that its folder is all of it."""

import json

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec, rollout
from chengfang.agents.catalog import describe, find_policy
from chengfang.agents.learners import ArtefactError, load_policy
from chengfang.agents.learners.artefact import load_artefact
from chengfang.agents.learners.shifts.policy import (
    FACTS,
    FORMS,
    ShiftedRule,
    load_shift,
    no_shift,
    shifted,
)
from chengfang.envs import FEATURE_NAMES, Market, load_scenario, task_setting

SETTING = task_setting("SuperPlan", split="train")
SPEC = plan_spec(SETTING)
RULE = make_rule("PID", SPEC)
N = 6


def random_shift(seed=0):
    rng = np.random.default_rng(seed)
    zero = no_shift(SPEC)
    drawn = {k: rng.normal(0, 0.1, v.shape).astype(np.float32) for k, v in zero._asdict().items()}
    return zero._replace(**drawn | {"spread": np.full(len(FACTS), 0.5, np.float32)})


def policy_of(form="constant", **parts):
    return shifted("PID", {}, SPEC, form, no_shift(SPEC)._replace(**parts), task="SuperPlan")


@pytest.fixture(scope="module")
def observations():
    """(ticks, n, features) of two days."""
    market = Market.of(SETTING, N)
    market.reset(seeds=np.arange(N))
    seen = [market.observations.copy()]
    for _ in range(47):
        seen.append(market.step(np.zeros((N, len(SPEC.levers)), np.float32)).copy())
    return np.stack(seen)


def played(policy, observations):
    state, found = None, []
    for seen in observations:
        action, state = policy.predict(seen, state)
        found.append(action)
    return np.stack(found)


def test_without_a_shift_it_is_the_rule(observations):
    assert np.array_equal(played(policy_of(), observations), played(RULE, observations))


def test_a_constant_moves_every_tick_as_much(observations):
    constant = np.linspace(-0.5, 0.5, len(SPEC.levers)).astype(np.float32)
    wanted = np.clip(played(RULE, observations) + constant, -1, 1)
    assert np.allclose(played(policy_of(constant=constant), observations), wanted, atol=1e-6)


def test_a_schedule_is_of_the_day_and_the_hour(observations):
    days, hours = np.zeros((7, len(SPEC.levers))), np.zeros((24, len(SPEC.levers)))
    days[1] = 0.3
    hours[5] = -0.2
    policy = policy_of("schedule", days=np.float32(days), hours=np.float32(hours))
    shift = np.zeros((48, 1, 1))
    shift[24:] += 0.3
    shift[[5, 29]] -= 0.2
    wanted = np.clip(played(RULE, observations) + shift, -1, 1)
    assert np.allclose(played(policy, observations), wanted, atol=1e-6)


def test_facts_are_those_of_the_start(observations):
    facts = np.zeros((len(SPEC.levers), len(FACTS)), np.float32)
    facts[0, FACTS.index("margin")] = 0.7
    policy = policy_of("start_facts", facts=facts)
    margin = observations[0, :, FEATURE_NAMES.index("margin")]
    changed = observations.copy()
    changed[1:, :, FEATURE_NAMES.index("margin")] = 99.0  # later observations do not count
    wanted = np.clip(played(RULE, changed)[..., 0] + 0.7 * np.clip(margin, -4, 4), -1, 1)
    assert np.allclose(played(policy, changed)[..., 0], wanted, atol=1e-6)


def test_an_episode_that_starts_anew_has_new_facts_and_day_one(observations):
    policy = shifted("PID", {}, SPEC, "schedule", random_shift())
    state, start = None, np.zeros(N, bool)
    start[2] = True
    for tick in range(30):
        _, state = policy.predict(observations[tick], state)
    again, _ = policy.predict(observations[0], state, start)
    first, _ = policy.predict(observations[0])
    assert np.array_equal(again[2], first[2])
    assert not np.array_equal(again[1], first[1])


def test_one_observation_and_any_batch_act_the_same(observations):
    policy = shifted("PID", {}, SPEC, "schedule", random_shift())
    whole = played(policy, observations)
    alone = played(policy, observations[:, 3])
    assert np.array_equal(whole[:, 3], alone)
    assert whole.dtype == np.float32
    assert np.abs(whole).max() <= 1


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_is_the_whole_policy(form, tmp_path, observations):
    policy = shifted("PID", {"start_at": 1.2}, SPEC, form, random_shift(), task="SuperPlan")
    policy.save(tmp_path / "p")
    for found in (
        load_shift(tmp_path / "p"),
        load_artefact(tmp_path / "p"),
        find_policy(str(tmp_path / "p"), SETTING, "SuperPlan"),
    ):
        assert isinstance(found, ShiftedRule)
        assert np.array_equal(played(found, observations), played(policy, observations))
        assert found.description["task"] == "SuperPlan"
    assert describe(str(tmp_path / "p")).kind == "learner"
    market = Market.of(SETTING, 2)
    assert np.isfinite(rollout(found, market, np.arange(2), ticks=3)["score"]).all()


def test_it_is_refused_where_it_does_not_fit(tmp_path):
    policy_of().save(tmp_path / "p")
    with pytest.raises(ArtefactError, match="acts on the levers"):
        find_policy(str(tmp_path / "p"), task_setting("Bidding"), "Bidding")
    with pytest.raises(ArtefactError, match="takes no safety margin"):
        load_artefact(tmp_path / "p", 0.02)
    with pytest.raises(ArtefactError, match="its format is not"):
        load_policy(tmp_path / "p")
    with pytest.raises(ArtefactError, match="is no shifted rule"):
        load_shift(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"form": "any"}, "its form is none of constant, schedule, start_facts"),
        ({"facts": ["margin"]}, "its facts are not those of now"),
        ({"levers": ["bid", "bid"]}, "its levers are no names"),
        ({"levers": ["bid_feed"]}, "its numbers do not fit"),
        ({"residual": None}, "its residual is not described"),
        ({"residual": {"rule": "os.system"}}, "its residual is not described"),
    ],
)
def test_a_folder_that_is_wrong_is_one_sentence(change, said, tmp_path):
    policy_of().save(tmp_path)
    description = json.loads((tmp_path / "policy.json").read_text())
    (tmp_path / "policy.json").write_text(json.dumps(description | change))
    with pytest.raises(ArtefactError, match=said):
        load_artefact(tmp_path)


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    policy_of(constant=np.full(len(SPEC.levers), np.nan, np.float32)).save(tmp_path)
    with pytest.raises(ArtefactError, match="its numbers do not fit"):
        load_shift(tmp_path)
    (tmp_path / "policy.safetensors").unlink()
    with pytest.raises(ArtefactError, match="cannot be read"):
        load_shift(tmp_path)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form is 'linear'; allowed are constant, schedule"):
        shifted("PID", {}, SPEC, "linear", no_shift(SPEC))
    assert load_scenario("default").clock.ticks_per_day == len(no_shift(SPEC).hours)
