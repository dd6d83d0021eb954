"""The example scripts run as they are, `--quick`, and do what their first lines say."""

import ast
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import chengfang
import pytest

FOLDER = Path(chengfang.__file__).parent / "experiments" / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def run(name: str, *arguments: str) -> dict[str, float]:
    """A script's `main`, its figures."""
    return importlib.import_module(f"chengfang.experiments.examples.{name}").main(list(arguments))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_uses_only_what_users_have(name: str) -> None:
    """Absolute imports, so that it can be copied out; of this package only what is public."""
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, node.module
            if str(node.module).startswith("chengfang"):
                assert node.module in {
                    "chengfang.envs",
                    "chengfang.agents",
                    "chengfang.agents.learners",
                    "chengfang.agents.rules.tuned",
                    "chengfang.agents.wrappers",
                }


@pytest.mark.slow
def test_ppo_on_one_page_learns(tmp_path: Path) -> None:
    """A quarter of a million ticks on Bidding: well above the careful merchant's bids, held."""
    figures = run("cleanrl_ppo", "--quick", "--folder", str(tmp_path))
    assert figures["score over doing nothing"] > 2.2
    assert (tmp_path / "agent.pt").is_file()


@pytest.mark.slow
def test_sb3_ppo_trains_logs_saves_and_is_judged(tmp_path: Path) -> None:
    figures = run("sb3_ppo", "--quick", "--folder", str(tmp_path))
    assert figures["score over doing nothing"] > 2.5
    assert (tmp_path / "policy" / "policy.json").is_file()
    head = (tmp_path / "log" / "progress.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "plan/violation_rate" in head


def test_own_rule_is_compared_in_pairs() -> None:
    figures = run("own_rule", "--quick")
    assert -0.2 < figures["difference"] < 0.05
    assert figures["half_width"] < 0.05
    assert figures["missed"] < 0.1


def test_planner_is_about_as_good_as_the_best_rule() -> None:
    figures = run("planner", "--quick")
    assert figures["planner"] > 0.9 * figures["OnlineLP"] > 2


@pytest.mark.slow
def test_torchrl_sac_runs_or_says_what_it_needs() -> None:
    """Where TorchRL is not installed: one sentence and no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "chengfang.experiments.examples.torchrl_sac", "--quick"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if importlib.util.find_spec("torchrl") is None:
        assert done.returncode == 1
        assert done.stderr.startswith("this example needs TorchRL")
        assert len(done.stderr.splitlines()) == 1
    else:
        assert done.returncode == 0, done.stderr
        assert "score over doing nothing" in done.stdout
