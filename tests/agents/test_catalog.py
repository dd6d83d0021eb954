"""Every policy by its name."""

import itertools
import json
import os
import shutil
import sys

import numpy as np
import pytest
from chengfang.agents import RULES, Policy, find_policy, make_rule, plan_spec, rollout
from chengfang.agents.catalog import describe, is_own
from chengfang.agents.guard import AgentError, GuardedPolicy
from chengfang.agents.learners import ArtefactError, load_best
from chengfang.agents.learners.best import best_folder
from chengfang.agents.rules.tuned import FILE, best_rule, tuned_parameters
from chengfang.envs import TASKS, Market, short_name, task_setting

BIDDING = task_setting("Bidding")
NUMBER = itertools.count()
AGENT = """
import numpy as np

class Cautious:
    def __init__({arguments}):
        self.given = ({given})

    def predict(self, observation, state, episode_start, deterministic):
        return np.full((len(observation), 4), -0.3, np.float32), state
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Writes a module into the working directory; returns the name of its agent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(text, name="Cautious"):
        module = f"catalog_{os.getpid()}_{next(NUMBER)}"
        (tmp_path / f"{module}.py").write_text(text)
        return f"{module}:{name}"

    return write


def acts_as(one: Policy, two: Policy) -> bool:
    """Whether two policies make the same episodes."""
    first, second = (rollout(p, Market.of(BIDDING, 3), np.arange(3))["score"] for p in (one, two))
    return bool((first == second).all())


# Rules
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["OnlineLP", "onlinelp"])
def test_a_rule_has_the_values_tuned_for_the_task(name):
    spec = plan_spec(BIDDING)
    tuned = make_rule("OnlineLP", spec, **tuned_parameters("OnlineLP", "Bidding"))
    plain = make_rule("OnlineLP", spec)
    assert acts_as(find_policy(name, BIDDING, "chengfang/Bidding-v0"), tuned)
    assert acts_as(find_policy(name, BIDDING, "Bidding", tuned=False), plain)
    assert acts_as(find_policy(name, BIDDING), plain)
    assert describe(name, "Bidding") == ("OnlineLP", "rule")


@pytest.mark.parametrize("task", [short_name(task) for task in TASKS if task.id.endswith("-v0")])
def test_the_best_rule_has_the_best_score_on_check_merchants(task):
    studies = json.loads(FILE.read_text())[task]
    assert studies[best_rule(task)]["score"] == max(s["score"] for s in studies.values())
    assert describe("best-rule", task) == (best_rule(task), "rule")


def test_the_best_rule_plays():
    best = find_policy("best-rule", BIDDING, "Bidding")
    assert acts_as(best, find_policy(best_rule("Bidding"), BIDDING, "Bidding"))


def test_the_best_rule_is_a_tasks():
    with pytest.raises(ValueError, match="'best-rule'; it is a task's, and no task is given"):
        find_policy("best-rule", BIDDING)
    with pytest.raises(ValueError, match="task is 'Auction'"):
        find_policy("best-rule", BIDDING, "Auction")
    with pytest.raises(ValueError, match="task is 'Auction'; rules are tuned for Bidding"):
        best_rule("Auction")


# Saved policies
# --------------------------------------------------------------------------------------------------


def test_the_best_committed_policy():
    assert acts_as(find_policy("best", BIDDING, "Bidding"), load_best("Bidding"))
    assert describe("best", "Bidding") == (load_best("Bidding").description["agent"], "learner")


def test_a_folder():
    folder = str(best_folder("Bidding"))
    assert acts_as(find_policy(folder, BIDDING), load_best("Bidding"))
    assert describe(folder) == ("Bidding", "learner")


def test_a_safety_margin_is_for_saved_policies(own):
    saved = find_policy("best", BIDDING, "Bidding", safety_margin=0.03)
    assert not acts_as(saved, load_best("Bidding"))
    with pytest.raises(ValueError, match=r"safety margin is 0.03; .*, PID is a rule"):
        find_policy("PID", BIDDING, safety_margin=0.03)
    with pytest.raises(ValueError, match="is code of your own"):
        find_policy(own(""), BIDDING, safety_margin=0.03)


def test_a_policy_for_other_levers_is_refused():
    coupon = task_setting("Coupon")
    with pytest.raises(
        ArtefactError, match=r"acts on the levers bid_feed, .*; this task has bid, "
    ):
        find_policy(str(best_folder("Bidding")), coupon, "Coupon")


def test_a_folder_that_is_no_policy_is_refused(tmp_path):
    with pytest.raises(ArtefactError, match="is no saved policy"):
        find_policy(str(tmp_path), BIDDING)


@pytest.mark.parametrize("name", ["best", "PID", "best-rule"])
def test_a_folder_of_a_known_name_must_be_told_apart(tmp_path, monkeypatch, name):
    shutil.copytree(best_folder("Bidding"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=f"write ./{name} for the folder"):
        find_policy(name, BIDDING, "Bidding")
    assert acts_as(find_policy(f"./{name}", BIDDING), load_best("Bidding"))


def test_a_folder_without_a_policy_hides_no_name(tmp_path, monkeypatch):
    (tmp_path / "best" / "Bidding").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert acts_as(find_policy("best", BIDDING, "Bidding"), load_best("Bidding"))


# Code of one's own
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "given", "spec"),
    [
        ("self, spec", "spec,", True),
        ("self, plan", "plan,", True),
        ("self, /, plan, level=3", "plan, level", True),
        ("self, spec=None", "spec,", True),
        ("self, level=3, spec=None", "spec, level", True),
        ("self, *, spec", "spec,", True),
        ("self, level=3", "level,", False),
        ("self, level=3, *more, **named", "level,", False),
        ("self", "3,", False),
    ],
)
def test_a_class_is_given_the_spec_if_it_takes_it(own, arguments, given, spec):
    policy = find_policy(own(AGENT.format(arguments=arguments, given=given)), BIDDING, "Bidding")
    assert isinstance(policy, GuardedPolicy)
    assert vars(policy.policy)["given"][0] == (plan_spec(BIDDING) if spec else 3)
    assert rollout(policy, Market.of(BIDDING, 2), np.arange(2))["score"].shape == (2,)


def test_a_function_and_an_object_do_as_well(own):
    text = AGENT.format(arguments="self, spec", given="spec,") + (
        "def make(spec): return Cautious(spec)\n"
        "def annotated(level: float = 1, plan: 'PlanSpec' = None): return Cautious(plan)\n"
        "made = Cautious(None)\n"
    )
    module = own(text).partition(":")[0]
    for name in ("make", "annotated"):
        made = find_policy(f"{module}:{name}", BIDDING)
        assert isinstance(made, GuardedPolicy)
        assert vars(made.policy)["given"] == (plan_spec(BIDDING),)
    assert acts_as(find_policy(f"{module}:made", BIDDING), made)
    assert describe(f"{module}:made") == (f"{module}:made", "own")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no Cautious in "),
        ("Cautious = 3", "it is a int; it must be a class or function that returns a policy"),
        ("def Cautious(spec): return None", "None has no predict("),
        ("class Cautious: pass", "a Cautious has no predict("),
        ("def Cautious(spec): raise KeyError('x')", "cannot be made: KeyError: 'x' ("),
        ("def Cautious(spec, more): pass", "cannot be made: TypeError: Cautious() missing 1"),
    ],
)
def test_what_is_no_policy_is_one_sentence_with_agent_and_task(own, text, said):
    name = own(text)
    with pytest.raises(AgentError) as caught:
        find_policy(name, BIDDING, "Bidding")
    assert str(caught.value).startswith(f"{name} on Bidding")
    assert said in str(caught.value)


def test_an_entry_point_is_a_policy(own, tmp_path, monkeypatch):
    name = own(AGENT.format(arguments="self", given="3,"))
    info = tmp_path / "site" / "fake-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[chengfang.policies]\nCareful = {name}\nPID = {name}\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    assert acts_as(find_policy("Careful", BIDDING), find_policy(name, BIDDING))
    assert is_own("Careful")
    assert describe("Careful") == ("Careful", "own")
    assert not is_own("PID")  # the rule's name stays the rule's
    with pytest.raises(ValueError, match="did you mean Careful"):
        find_policy("careful", BIDDING)


def test_what_is_own():
    assert is_own("my_agents:Cautious")
    assert not any(is_own(name) for name in (*RULES, "best", "best-rule", "nobody", "runs/a"))


# Names of nobody
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("PDI", "policy is 'PDI'; did you mean PID? allowed are the rules DoNothing, FixedBid"),
        ("bestrule", "did you mean best-rule?"),
        ("qwertz", "policy is 'qwertz'; allowed are the rules"),
        ("runs/qwertz", "policy is 'runs/qwertz'; there is no such folder"),
        ("my agents:Cautious", "module:Name of your own code"),
    ],
)
def test_an_unknown_name_is_told_what_is_allowed(name, said):
    with pytest.raises(ValueError, match="policy is") as caught:
        find_policy(name, BIDDING, "Bidding")
    assert said in str(caught.value)
