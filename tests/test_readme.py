"""The README says what the committed evidence says."""

import json
import re
from pathlib import Path

import pytest
from chengfang.envs import load_scenario
from chengfang.experiments.config import load_config

ROOT = Path(__file__).parent.parent
EVIDENCE = ROOT / "results" / "compare-superplan"


def _table(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("|")]


def _between(name: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name}:begin -->(.*)<!-- {name}:end -->", text, re.S)
    assert found, name
    return found.group(1)


def test_the_table_in_the_readme_is_the_committed_one() -> None:
    assert _table(_between("results")) == _table((EVIDENCE / "results.md").read_text(encoding="utf-8"))


def test_the_verdict_in_the_readme_is_the_committed_one() -> None:
    assert (EVIDENCE / "results.md").read_text(encoding="utf-8").strip().splitlines()[-1] in " ".join(_between("results").split())


def test_the_evidence_is_complete_and_of_the_shipped_market() -> None:
    manifest = json.loads((EVIDENCE / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["complete"] is True
    assert not manifest["code"].endswith("+changes")
    assert manifest["scenario_hash"] == load_scenario("default").hash
    assert manifest["fingerprint"] == load_config(EVIDENCE / "config.yaml").fingerprint


def test_a_committed_row_is_made_again() -> None:
    """One rule of the table, on the same merchants: the same figures to the last digit."""
    import csv

    from chengfang.agents import make_rule, plan_spec
    from chengfang.experiments.evaluate import evaluate
    from chengfang.experiments.report import make_row

    config = load_config(EVIDENCE / "config.yaml")
    setting = config.setting()
    policy = make_rule("PID", plan_spec(setting.scenario, setting.levers, setting.days))
    row = make_row("PID", "rule", [evaluate(policy, setting, config.episodes, config.test_seed)])
    with (EVIDENCE / "results.csv").open(encoding="utf-8") as file:
        committed = next(r for r in csv.DictReader(file) if r["agent"] == "PID")
    assert row.score.value == pytest.approx(float(committed["score_iqm"]), rel=1e-6)
    assert row.violation == pytest.approx(float(committed["violation_rate"]))
    assert row.shortfall == pytest.approx(float(committed["mean_shortfall"]), rel=1e-4)


def test_the_saved_learners_score_as_committed() -> None:
    """The best learner of the table, from its folder alone, on the same merchants: the same score."""
    import csv

    from chengfang.agents.learners import load_policy
    from chengfang.experiments.evaluate import evaluate
    from chengfang.experiments.statistics import iqm

    config = load_config(EVIDENCE / "config.yaml")
    with (EVIDENCE / "results.csv").open(encoding="utf-8") as file:
        best = next(r for r in csv.DictReader(file) if r["kind"] == "learner")
    policy = load_policy(EVIDENCE / "runs" / f"{best['agent']}-seed0")
    result = evaluate(policy, config.setting(), config.episodes, config.test_seed)
    # float32 matrix products may differ in the last bit between processors, and a count with them
    assert iqm(result.relative_score) == pytest.approx(float(best["score_iqm"]), rel=5e-3)
