"""Agents of one's own on the command line: a file in an empty folder plays; a broken one is one
sentence and exit code 2.
"""

import itertools
import json
import os
import subprocess
import sys

import pytest
from chengfang.experiments.cli.main import app
from typer.testing import CliRunner

NUMBER = itertools.count()
TINY = ["--task", "Bidding", "--episodes", "4"]
MY_AGENTS = '''
"""A merchant who spends little while the ROI is short."""
import numpy as np
from chengfang.agents import Reading

class Cautious:
    def __init__(self, spec):
        self.levers = len(spec.levers)

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        print("thinking")
        reading = Reading(observation)
        level = np.where(reading["roi_gap"] > 0, 0.1, -0.4)
        return np.repeat(level[:, None], self.levers, 1).astype(np.float32), state
'''
PREDICT = """
import numpy as np
class Agent:
    def predict(self, observation, state, episode_start, deterministic):
        tick = 0 if state is None else state
        action = np.zeros((len(observation), 4), np.float32)
        {line}
        return action, tick + 1
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("COLUMNS", "200")


def module_of(text):
    """A file in the working directory; its module's name is nobody else's."""
    name = f"broken_{os.getpid()}_{next(NUMBER)}"
    with open(f"{name}.py", "w") as file:
        file.write(text)
    return name


def call(*words, code=0):
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, (result.output, result.exception)
    return result


# From an empty folder
# --------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("how", [["-m", "chengfang"], ["-P", "-m", "chengfang"]])
def test_a_file_in_an_empty_folder_plays(tmp_path, how):
    """With -P Python does not look into the working directory, as in the `chengfang` script."""
    (tmp_path / "my_agents.py").write_text(MY_AGENTS)
    words = ["evaluate", "my_agents:Cautious", *TINY, "--against", "best-rule", "--json"]
    done = subprocess.run(
        [sys.executable, *how, *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)  # what the agent prints is not in it
    assert "thinking" in done.stderr
    assert (found["agent"], found["kind"]) == ("my_agents:Cautious", "own")
    assert found["against"]["difference"] < 0


@pytest.mark.slow
def test_it_simulates(tmp_path):
    name = module_of(MY_AGENTS)
    text = call("simulate", f"{name}:Cautious", "--task", "Bidding").stdout
    assert f"{name}:Cautious plays Bidding on default, seed " in text
    assert (tmp_path / "plan.png").is_file()
    plan = json.loads(call("simulate", f"{name}:Cautious", "--task", "Bidding", "--json").stdout)
    assert plan["spend"] > 0


@pytest.mark.slow
def test_an_installed_package_registers_policies(tmp_path):
    site = tmp_path / "site"
    info = site / "lab_policies-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-policies\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[chengfang.policies]\nCareful = lab_policies:Cautious\n"
    )
    (site / "lab_policies.py").write_text(MY_AGENTS)
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "chengfang", "evaluate", "Careful", *TINY, "--json"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agent"] == "Careful"


# Broken
# --------------------------------------------------------------------------------------------------


BROKEN = {
    "no such name": ("class Other: pass", " on Bidding: there is no Agent in {}; it has Other"),
    "syntax": ("class Agent(:", " on Bidding: importing {} failed: SyntaxError: "),
    "import raises": ("1 / 0", " on Bidding: importing {} failed: ZeroDivisionError: "),
    "no predict": ("class Agent: pass", " on Bidding: an Agent has no predict(observation, "),
    "predict takes less": (
        "class Agent:\n    def predict(self, observation): pass",
        " on Bidding: it has predict(observation); it must take predict(observation, state, ",
    ),
    "constructor raises": (
        "class Agent:\n    def __init__(self): raise OSError('no disk')",
        " on Bidding cannot be made: OSError: no disk ({}.py, line 2)",
    ),
    "wrong shape": (
        PREDICT.format(line="action = action[:, :2]"),
        " on Bidding, tick 0: the actions have shape (4, 2); they must have (4, 4), ",
    ),
    "NaN": (
        PREDICT.format(line="action[1, 2] = np.nan if tick == 5 else 0"),
        " on Bidding, tick 5: the action for bid_mall is nan in row 1; ",
    ),
    "exception in tick 17": (
        PREDICT.format(line="action /= 17 - tick if tick < 17 else int('x')"),
        " on Bidding, tick 17: ValueError: invalid literal for int() with base 10: 'x' ({}.py, ",
    ),
    "objects": (
        PREDICT.format(line="action = action.astype(object)"),
        " on Bidding, tick 0: the actions are an array of object and shape (4, 4); ",
    ),
    "text": (
        PREDICT.format(line="action = 'bid more'"),
        " on Bidding, tick 0: the actions are a str; they must be numbers",
    ),
    "no tuple": (
        PREDICT.format(line="return action"),
        " on Bidding, tick 0: predict returned an array of float32 and shape (4, 4); ",
    ),
    "exits": (PREDICT.format(line="raise SystemExit(0)"), " on Bidding, tick 0: SystemExit: 0"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("words", [["evaluate", *TINY], ["evaluate", *TINY, "--against"]])
def test_a_broken_agent_is_one_sentence(kind, words, tmp_path):
    text, said = BROKEN[kind]
    name = module_of(text)
    files = sorted(tmp_path.glob("*.*"))
    command, *options = words
    policies = ["PID"] if "--against" in words else []
    result = call(command, *policies, *options, f"{name}:Agent", code=2)
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith(f"error: {name}:Agent{said.format(name)}")
    assert sorted(tmp_path.glob("*.*")) == files


def test_a_module_that_is_not_there_is_one_sentence(tmp_path):
    result = call("evaluate", "own_nowhere:Agent", *TINY, code=2)
    assert result.stderr == (
        "error: own_nowhere:Agent on Bidding: there is no module own_nowhere, "
        f"neither in {tmp_path} nor installed\n"
    )


def test_a_broken_agent_leaves_no_picture(tmp_path):
    name = module_of(PREDICT.format(line="action /= 17 - tick if tick < 17 else int('x')"))
    result = call("simulate", f"{name}:Agent", "--task", "Bidding", code=2)
    assert f"{name}:Agent on Bidding, tick 17: " in result.stderr
    assert not (tmp_path / "plan.png").exists()


# Training
# --------------------------------------------------------------------------------------------------

TRAIN = """
from pathlib import Path
from chengfang.agents import find_policy
from chengfang.agents.learners import load_best
from chengfang.envs import task_setting

def saved(task, seed, folder, steps):
    Path(folder, "note.txt").write_text(f"{task} {seed} {steps}")
    return load_best(task)

def rule(task):
    return find_policy("PID", task_setting(task), task)

def nobody(task):
    return None

def broken(task, steps):
    raise RuntimeError("diverged")

def model(steps, setting):
    from chengfang.envs.api.sb3_vec_env import PromotionVecEnv
    from stable_baselines3 import PPO
    env = PromotionVecEnv(4, setting.scenario, setting.levers, setting.days, split=setting.split)
    return PPO("MlpPolicy", env, n_steps=8, batch_size=32, seed=0).learn(steps)
"""


def train(function, *words, code=0):
    name = module_of(TRAIN)
    found = call(
        "train", f"{name}:{function}", "--task", "Bidding", "-o", "made", *words, code=code
    )
    return name, found


def test_a_function_of_ones_own_trains(tmp_path):
    _, found = train("saved", "--steps", "100", "--seed", "3")
    assert "chengfang evaluate made --task Bidding" in found.stdout
    assert (tmp_path / "made/note.txt").read_text() == "Bidding 3 100"
    mine, best = (
        json.loads(call("evaluate", name, *TINY, "--json").stdout) for name in ("made", "best")
    )
    assert mine["iqm"] == best["iqm"]


def test_a_model_of_stable_baselines3_is_saved():
    train("model", "--steps", "32")
    call("evaluate", "made", *TINY)


def test_a_policy_of_another_kind_is_the_functions_to_keep():
    _, found = train("rule")
    assert "its PID is neither a saved policy nor a model of stable-baselines3" in found.stdout


@pytest.mark.parametrize(
    ("function", "words", "said"),
    [
        ("nobody", [], "None has no predict("),
        ("broken", ["--steps", "5"], "failed: RuntimeError: diverged ("),
        ("broken", [], "takes steps; say how many"),
        ("sved", [], "there is no sved in "),
    ],
)
def test_a_broken_training_is_one_sentence(function, words, said):
    name, found = train(function, *words, code=2)
    [line] = found.stderr.splitlines()
    assert line.startswith(f"error: {name}:{function}")
    assert said in line
