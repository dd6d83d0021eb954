"""`train` to learn and tune on, `validation` to choose on, `test` to report on: who may read it."""

import ast
from pathlib import Path

import chengfang
import numpy as np
import pytest
from chengfang.envs import Market, Setting, load_scenario
from chengfang.envs.kernels import streams
from chengfang.envs.market.engine import SPLITS

ROOT = Path(chengfang.__file__).parent
FILES = sorted(
    path for floor in ("envs", "agents", "experiments") for path in (ROOT / floor).rglob("*.py")
)
# calls that mean the test merchants unless they name a split, and where the split stands in them
DEFAULTS = {"Setting": 3, "task_setting": 3, "setting_of": 3, "setting": 0}
SEEDS = ("TEST", "TEST_SEED")

# Every module that reads the test merchants, and why it chooses nothing on them.
REPORTS = {
    "envs/kernels/streams.py": "defines the stream",
    "envs/market/engine.py": "defines the split",
    "envs/interface/setting.py": "what is judged is judged on test unless a split is named",
    "agents/references/exact.py": "solves a market of one known merchant, by its law alone",
    "agents/references/hindsight.py": "a reference: what could have been known of the very days",
    "agents/references/tick_law.py": "reads the law of a market whose only merchant is the same",
    "experiments/benchmark/config.py": "names the first held-out stream",
    "experiments/benchmark/comparison.py": "draws how two agents paced the episodes reported on",
    "experiments/runs/evaluate.py": "judges; the split is its caller's",
    "experiments/runs/spec.py": "a run is judged on test; its training asks for train",
    "experiments/runs/execute.py": "judges a finished policy; trainings ask for train",
    "experiments/runs/fingerprint.py": "tells engines and rules apart by what they do",
    "experiments/runs/own_agents.py": "judges an agent; its training is given train",
    "experiments/cli/conventions.py": "what is judged is judged on test unless --split says other",
    "experiments/cli/evaluate.py": "reports",
    "experiments/cli/headroom.py": "reports; what is fitted meets train, or is a reference",
    "experiments/cli/simulate.py": "shows one episode",
    "experiments/examples/cleanrl_ppo.py": "reports on its trained policy",
    "experiments/examples/own_rule.py": "reports",
    "experiments/examples/planner.py": "reports",
    "experiments/examples/sb3_ppo.py": "reports on its trained policy",
    "experiments/examples/torchrl_sac.py": "reports on its trained policy",
    "experiments/headroom/measure.py": "names the first stream; shifts are fitted on train",
    "experiments/studies/exactness.py": "reports; rules are tuned and PPO is trained on train",
    "experiments/studies/learning.py": "reports on policies trained on train",
    "experiments/studies/money.py": "reports; plans in hindsight are references",
    "experiments/studies/outputs.py": "writes down the first held-out stream",
    "experiments/studies/plans.py": "reports; rules are tuned and the split is found on train",
    "experiments/studies/scheduling.py": "reports; rules are tuned on train",
    "experiments/studies/unified.py": "reports; rules are tuned on train",
    "experiments/studies/value_of_information.py": "a reference: what knowing a merchant is worth",
}
CHOOSERS = ("experiments/tuning", "experiments/calibration", "agents/learners", "agents/rules")


def readers(path: Path) -> list[str]:
    """What in a file reads the test merchants: the split's name, the held-out seeds, or a setting
    that leaves the split out.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Constant) and node.value == "test":
            found.append(f'"test" in line {line}')
        elif isinstance(node, ast.Name) and node.id in SEEDS:
            found.append(f"{node.id} in line {line}")
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            named = any(keyword.arg in ("split", None) for keyword in node.keywords)
            if name in DEFAULTS and len(node.args) <= DEFAULTS[name] and not named:
                found.append(f"{name}(...) without a split in line {line}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_reports_read_the_test_merchants(path):
    name = str(path.relative_to(ROOT))
    if name in REPORTS:
        assert readers(path), f"{name} reads no test merchants; take it off REPORTS"
    else:
        assert readers(path) == []


def test_nothing_that_learns_or_chooses_is_among_the_reports():
    assert not [name for name in REPORTS if name.startswith(CHOOSERS)]


def test_splits_are_three_streams():
    assert list(SPLITS) == ["train", "validation", "test"]
    assert len(set(map(int, SPLITS.values()))) == 3
    assert (int(streams.TRAIN), int(streams.TEST)) == (0x7261696E, 0x74657374)


def test_merchants_of_the_splits_differ():
    setting = Setting(load_scenario("default"), ("bid",), 1)
    budgets = {}
    for split in SPLITS:
        market = Market.of(setting.of(split), 64)
        market.reset(seeds=np.arange(64))
        budgets[split] = set(market.merchants["budget"].tolist())
    assert not budgets["train"] & budgets["validation"]
    assert not budgets["validation"] & budgets["test"]
    assert not budgets["train"] & budgets["test"]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The splits of all markets that a test opens."""
    splits: set[str] = set()
    make = Market.__init__

    def noted(self, *given, split="train", **options):
        splits.add(split)
        make(self, *given, split=split, **options)

    monkeypatch.setattr(Market, "__init__", noted)
    return splits


def test_tuning_opens_train_markets_alone(opened, tmp_path):
    pytest.importorskip("optuna")
    pytest.importorskip("cmaes")
    from chengfang.experiments.tuning.study import Budget
    from chengfang.experiments.tuning.tune import tune

    budget = Budget(2000, merchants=(4, 6), check=4, finalists=1)
    tune("PID", "Bidding", folder=tmp_path, target=tmp_path / "t.json", budget=budget)
    assert opened == {"train"}


@pytest.mark.slow
def test_training_opens_train_markets_alone(opened, tmp_path):
    """Counterfactual, rule underneath and demonstrations included."""
    from chengfang.agents.learners.settings import PPOSettings
    from chengfang.agents.learners.training import train
    from chengfang.envs import task_setting

    settings = PPOSettings.model_validate(
        {
            "num_envs": 4,
            "steps": 96,
            "n_steps": 4,
            "batch_size": 16,
            "demonstrations": 2,
            "training_env": {"rule": "PID", "rule_task": "Bidding", "hold": 6},
        }
    )
    train(settings, task_setting("Bidding", split="test"), 0, tmp_path)
    assert opened == {"train"}
