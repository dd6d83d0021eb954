"""The value of information on the merchant: the same merchants under other noises, shifts searched
on some and judged on others.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from chengfang.agents import make_rule, plan_spec
from chengfang.envs import Setting, load_scenario, select_levers
from chengfang.experiments.runs.evaluate import TEST_SEED, evaluate
from chengfang.experiments.studies import run_study
from chengfang.experiments.studies.value_of_information import (
    TASKS,
    NoisyMerchants,
    Search,
    Shifted,
    gains,
    measure,
    search_shifts,
)

ROOT = Path(__file__).resolve().parents[3]
SCENARIO = load_scenario()
LEVERS = select_levers("bidding")
RULE = make_rule(
    "FixedBid", plan_spec(Setting(SCENARIO, LEVERS, 1)), multiplier=0.05
)  # far too little: there is something to find
KEYS = np.array([3, 5, 11], np.uint64)


@pytest.fixture(scope="module")
def met():
    return NoisyMerchants(Setting(SCENARIO, LEVERS, 1), 6)


def test_merchants_stay_and_noises_change(met):
    arena = met.arena(KEYS)
    first = arena.start.merchants.reshape(6, 3)
    assert all((first[:, 0] == first[:, noise]).all() for noise in (1, 2))
    scores = met.scores(RULE, KEYS)
    assert scores.shape == (6, 1, 3)
    assert (scores.std(-1) > 0).all()
    assert np.array_equal(scores, met.scores(RULE, KEYS))


def test_the_noise_of_key_zero_is_the_merchants_own(met):
    """As in the benchmark: the first held-out streams."""
    own = met.scores(RULE, np.zeros(1, np.uint64))[:, 0, 0]
    assert np.array_equal(
        own, evaluate(RULE, Setting(SCENARIO, LEVERS, 1), 6, TEST_SEED, nothing={}).plans["score"]
    )


def test_no_shift_is_the_rule_and_shifts_stay_within_the_box(met):
    assert np.array_equal(met.scores(RULE, KEYS, np.zeros((6, 1, 4))), met.scores(RULE, KEYS))
    seen = np.zeros((2, 101), np.float32)
    action, _ = Shifted(RULE, np.full((2, 4), 5.0)).predict(seen, None, np.ones(2, bool))
    assert (action == 1).all()


def test_a_search_helps_on_noises_it_has_not_seen(met):
    found = search_shifts(
        met, RULE, Search(noises=3, population=12, iterations=6), np.random.default_rng(0)
    )
    new = np.arange(100, 108, dtype=np.uint64)
    before = met.scores(RULE, new).mean(2)[:, 0]
    after = met.scores(RULE, new, found[:, None]).mean(2)[:, 0]
    assert after.mean() > 1.05 * before.mean()
    assert (found.mean(0) > 0).all()


def test_without_an_artefact_there_is_no_learner(tmp_path):
    known = measure("Bidding", 2, Search(1, 4, 1, judged=2), best=tmp_path)
    assert known.learner is None
    assert set(gains(known)) == {"informed rule"}


def test_the_study_writes_its_files(tmp_path):
    folder, text = run_study("value-of-information", tmp_path, episodes=8, quick=True)
    assert {p.name for p in folder.iterdir()} == {
        "results.md",
        "results.csv",
        "manifest.json",
        "value_of_information.png",
    }
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["task"] for row in rows} == {"Bidding"}
    assert [row["figure"] for row in rows][:2] == ["rule", "gain of the informed rule"]
    assert {row["figure"] for row in rows} >= {f"shift of {name}" for name in LEVERS}
    assert f"{float(rows[0]['value']):.3f}" in text


def test_the_docs_hold_the_committed_table():
    text = (ROOT / "results" / "studies" / "value_of_information" / "results.md").read_text(
        encoding="utf-8"
    )
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(TASKS)
    assert "\n".join(lines) in (ROOT / "docs" / "learners.md").read_text(encoding="utf-8")
