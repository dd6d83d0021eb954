"""Somebody else's policy: right answers pass unchanged, wrong ones are one sentence each."""

import numpy as np
import pytest
from chengfang.agents import Policy, rollout
from chengfang.agents.guard import AgentError, GuardedPolicy
from chengfang.envs import Market, task_setting

BIDDING = task_setting("Bidding")
LEVERS = BIDDING.levers
OBSERVATION = np.zeros((3, 101), np.float32)


class Scripted:
    """Acts as a function of the tick says; its state is the number of ticks it has acted."""

    def __init__(self, answer):
        self.answer = answer

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        tick = 0 if state is None else state
        return self.answer(observation, tick), tick + 1


def zeros(observation, tick):
    return np.zeros((*np.shape(observation)[:-1], len(LEVERS)), np.float32)


def guarded(answer):
    return GuardedPolicy(Scripted(answer), "mine:Agent", "Bidding", LEVERS)


def fault(answer, ticks=20):
    """The sentence that ends a rollout with this answer."""
    with pytest.raises(AgentError) as caught:
        rollout(guarded(answer), Market.of(BIDDING, 3), np.arange(3), ticks=ticks)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_guarded_policy_is_a_policy():
    assert isinstance(guarded(zeros), Policy)


def test_right_answers_pass_unchanged():
    def answer(observation, tick):
        return np.tanh(observation[:, : len(LEVERS)] + tick)

    plans = [
        rollout(policy, Market.of(BIDDING, 4), np.arange(4))
        for policy in (Scripted(answer), guarded(answer))
    ]
    for name in plans[0]:
        np.testing.assert_array_equal(plans[0][name], plans[1][name])


def test_one_observation_is_answered_as_one():
    action, state = guarded(zeros).predict(OBSERVATION[0])
    assert action.shape == (len(LEVERS),)
    again, _ = guarded(zeros).predict(OBSERVATION[0], state, np.zeros(1, bool))
    assert again.shape == (len(LEVERS),)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int64, np.uint8, list])
def test_numbers_of_other_kinds_become_float32(kind):
    def answer(observation, tick):
        values = np.zeros((len(observation), len(LEVERS)))
        return values.tolist() if kind is list else values.astype(kind)

    action, _ = guarded(answer).predict(OBSERVATION)
    assert action.dtype == np.float32


def test_an_exception_names_agent_task_tick_and_line():
    def answer(observation, tick):
        return zeros(observation, tick) if tick < 17 else 1 / 0

    text = fault(answer)
    assert text.startswith("mine:Agent on Bidding, tick 17: ZeroDivisionError: division by zero (")
    assert "test_guard.py, line " in text


def test_an_exit_is_an_error_too():
    def answer(observation, tick):
        raise SystemExit(0)

    assert fault(answer).startswith("mine:Agent on Bidding, tick 0: SystemExit: 0")


def test_interruption_passes():
    def answer(observation, tick):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(answer).predict(OBSERVATION)


def test_only_the_first_line_of_an_error_is_told():
    def answer(observation, tick):
        raise RuntimeError("first\nsecond")

    assert "RuntimeError: first (" in fault(answer)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_not_finite_is_named_by_lever_and_row(bad):
    def answer(observation, tick):
        action = np.zeros((len(observation), len(LEVERS)))
        if tick == 3:
            action[2, 1] = bad
        return action

    text = fault(answer)
    assert text.startswith("mine:Agent on Bidding, tick 3: the action for bid_live is ")
    assert "in row 2; allowed are finite numbers" in text


@pytest.mark.parametrize(
    ("action", "said"),
    [
        (np.zeros((3, 5)), "the actions have shape (3, 5); they must have (3, 4)"),
        (np.zeros(4), "the actions have shape (4,); they must have (3, 4)"),
        (np.zeros((1, 4)), "the actions have shape (1, 4); they must have (3, 4)"),
        (0.5, "the actions have shape (); they must have (3, 4)"),
        (None, "the actions are None; they must be numbers"),
        (np.full((3, 4), None), "the actions are an array of object and shape (3, 4)"),
        (np.full((3, 4), "high"), "the actions are an array of <U4 and shape (3, 4)"),
        (np.zeros((3, 4), complex), "the actions are an array of complex128"),
        (np.zeros((3, 4), bool), "the actions are an array of bool"),
        ([[1, 2], [3]], "the actions are no array: ValueError"),
        ({"bid": 1}, "the actions are a dict; they must be numbers"),
    ],
    ids=str,
)
def test_what_is_no_action_is_said(action, said):
    assert f"mine:Agent on Bidding, tick 0: {said}" in fault(lambda observation, tick: action)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.zeros((3, 4)), "predict returned an array of float64 and shape (3, 4);"),
        (np.zeros((2, 4)), "predict returned an array of float64 and shape (2, 4);"),
        (None, "predict returned None;"),
        ((np.zeros((3, 4)), None, None), "predict returned a tuple of 3;"),
        ([np.zeros((3, 4)), None], "predict returned a list;"),
    ],
    ids=["array", "array of two rows", "None", "three", "list"],
)
def test_what_is_no_pair_is_said(answer, said):
    class Wrong:
        def predict(self, observation, state, episode_start, deterministic):
            return answer

    with pytest.raises(AgentError, match="it must return the pair") as caught:
        GuardedPolicy(Wrong(), "mine:Agent", "Bidding", LEVERS).predict(OBSERVATION)
    assert f"mine:Agent on Bidding, tick 0: {said}" in str(caught.value)


def test_ticks_are_counted_from_each_episodes_start():
    def answer(observation, tick):
        action = np.zeros((len(observation), len(LEVERS)))
        action[1 if tick == 5 else 0, 0] = np.nan if tick == 5 else 0
        return action

    policy = guarded(answer)
    state = None
    for tick in range(5):
        start = np.array([tick == 0, tick in (0, 3), tick == 0])
        _, state = policy.predict(OBSERVATION, state, start)
    with pytest.raises(AgentError, match="tick 2: the action for bid_feed is nan in row 1"):
        policy.predict(OBSERVATION, state, np.zeros(3, bool))


def test_names_of_arguments_are_the_users_own():
    class Named:
        def predict(self, obs, memory, begins, greedy):
            assert greedy is True
            return zeros(obs, 0), memory

    policy = GuardedPolicy(Named(), "mine:Agent", "Bidding", LEVERS)
    assert rollout(policy, Market.of(BIDDING, 2), np.arange(2))["score"].shape == (2,)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (object(), "an object has no predict(observation, state, episode_start, deterministic)"),
        (None, "None has no predict("),
        (type("Data", (), {"predict": 3})(), "a Data has no predict("),
        (
            type("Short", (), {"predict": lambda self, observation: None})(),
            "it has predict(observation); it must take predict(observation, state, ",
        ),
    ],
    ids=["none", "None", "not callable", "too few arguments"],
)
def test_what_cannot_predict_is_refused_at_once(policy, said):
    with pytest.raises(AgentError) as caught:
        GuardedPolicy(policy, "mine:Agent", "Bidding", LEVERS)
    assert str(caught.value).startswith(f"mine:Agent on Bidding: {said}")


def test_levers_are_the_tasks_unless_given():
    assert GuardedPolicy(Scripted(zeros), "mine:Agent", "Bidding").levers == LEVERS
