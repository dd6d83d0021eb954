"""The tuner: no worse than the defaults, the same again, and exact after an interruption; and what
was committed fits its rules.
"""

import json

import pytest
from chengfang.agents import RULES
from chengfang.agents.rules.tuned import FILE, load_tuned, tuned_parameters
from chengfang.envs import find_task, load_scenario, select_levers
from chengfang.experiments.tuning.search_space import same_rule, search_space
from chengfang.experiments.tuning.study import _sorted_as
from chengfang.experiments.tuning.tune import (
    Budget,
    default_budget,
    learner_steps,
    spent,
    starts_for,
    tune,
)

pytest.importorskip("optuna")
pytest.importorskip("cmaes")
SMALL = Budget(steps=24 * 8 * 30, merchants=(8, 8), check=8, finalists=2)


def study(folder, rule="FixedBid", on_progress=lambda note: None, **options):
    return tune(
        rule,
        "Bidding",
        folder=folder / "log",
        target=folder / "tuned.json",
        budget=SMALL,
        on_progress=on_progress,
        **options,
    )


@pytest.fixture(autouse=True)
def _forget():
    load_tuned.cache_clear()
    yield
    load_tuned.cache_clear()


def test_what_is_found_is_kept_and_no_worse_than_the_defaults(tmp_path):
    found = study(tmp_path)
    assert found["score"] >= found["score_default"]
    kept = json.loads((tmp_path / "tuned.json").read_text(encoding="utf-8"))["Bidding"]["FixedBid"]
    assert kept == found
    assert (tmp_path / "log/Bidding-FixedBid.csv").is_file()
    assert not list(tmp_path.rglob("*.part"))
    assert study(tmp_path) == found  # a finished study is not repeated


def test_an_interrupted_study_ends_as_an_undisturbed_one(tmp_path):
    whole = study(tmp_path / "whole")

    def stop(note):
        if note.result:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "cut", on_progress=stop)
    log = tmp_path / "cut/log/Bidding-FixedBid.csv.part"
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    log.write_text(
        "".join(lines[:-1]) + lines[-1][:20], encoding="utf-8"
    )  # killed while writing a line
    assert not (tmp_path / "cut/tuned.json").exists()
    again = study(tmp_path / "cut")
    assert again.pop("cpu_seconds") > 0
    assert again | {"cpu_seconds": whole["cpu_seconds"]} == whole


def test_progress_is_noted_after_every_trial_and_every_stage(tmp_path):
    notes = []
    found = study(tmp_path, on_progress=notes.append)
    done = [note.done for note in notes]
    assert done == sorted(done)
    assert done[-1] == notes[-1].total == found["trials"] + SMALL.finalists + 1
    results = [note.result for note in notes if note.result]
    assert [words.split()[2] for words in results] == ["stage", "stage", "check:"]
    assert all("best" in note.words for note in notes[: found["trials"]] if not note.result)


def test_the_sampler_meets_parameters_in_the_order_they_were_first_tuned_in():
    """Optuna draws in the order of names, so a rename must not move a parameter."""
    assert _sorted_as("safety_margin") == "caution"
    assert _sorted_as("start_at") == "start_at"


@pytest.mark.parametrize(
    ("rule", "task", "steps", "said"),
    [
        ("PIDD", "Bidding", None, "rule is 'PIDD'"),
        ("PID", "Biding", None, "task is 'Biding'"),
        ("PID", "Bidding", 1000, "steps is 1000; this study needs at least"),
    ],
)
def test_unusable_input_is_named(tmp_path, rule, task, steps, said):
    with pytest.raises(ValueError, match=said):
        tune(rule, task, steps=steps, folder=tmp_path, target=tmp_path / "tuned.json")
    assert not (tmp_path / "tuned.json").exists()


def test_the_committed_values_fit_their_rules_markets_and_ranges():
    studies = load_tuned(FILE)
    for task, rules in studies.items():
        spec = find_task(task)
        scenario = load_scenario(spec.scenario)
        levers = select_levers(spec.levers)
        if task.endswith("-v1"):  # those that their headroom needs
            assert set(rules) <= set(RULES)
        else:
            assert set(rules) == set(RULES) - {"DoNothing"}
        for rule, kept in rules.items():
            assert kept["scenario_hash"] == scenario.hash, (task, rule)
            assert kept["score"] >= kept["score_default"], (task, rule)
            space = search_space(
                same_rule(rule, levers) or rule, levers, bool(scenario.traffic.events)
            )
            for name, value in kept["parameters"].items():
                if name in space and value != (RULES[rule].common | RULES[rule].defaults).get(name):
                    slack = 1e-3 * (space[name].high - space[name].low)
                    assert space[name].low - slack <= value <= space[name].high + slack, (
                        task,
                        rule,
                        name,
                    )


@pytest.mark.slow
def test_every_rule_had_the_simulation_budget_of_the_best_funded_learner():
    for task, rules in load_tuned(FILE).items():
        if task.endswith("-v1"):
            continue
        assert {
            rule: spent(study)
            for rule, study in rules.items()
            if spent(study) < learner_steps(task)
        } == {}, task


def test_a_second_study_gets_the_rest_of_the_budget_and_keeps_the_better_values(tmp_path):
    first = study(tmp_path)
    (tmp_path / "tuned.json").write_text(
        json.dumps({"Bidding": {"FixedBid": first | {"score": 99.0}}}), encoding="utf-8"
    )
    second = study(tmp_path, again=True)
    assert second.pop("cpu_seconds") > first.pop("cpu_seconds")
    assert second == first | {"score": 99.0, "steps_in_all": 2 * SMALL.steps}
    (tmp_path / "tuned.json").write_text(
        json.dumps({"Bidding": {"FixedBid": first | {"score": 0.5}}}), encoding="utf-8"
    )
    third = study(tmp_path, again=True)
    assert third["score"] > 0.5
    assert third["steps_in_all"] == 2 * SMALL.steps
    assert default_budget("Bidding", None, 1_000_000).steps == learner_steps("Bidding") - 1_000_000
    with pytest.raises(ValueError, match="the rule was tuned with 6000000 steps on Bidding"):
        default_budget("Bidding", None, 6_000_000)


def test_a_rule_that_is_another_here_keeps_a_study_of_its_own(tmp_path):
    other = study(tmp_path, rule="PID")
    same = study(tmp_path, rule="UniformCoupon")
    kept = json.loads((tmp_path / "tuned.json").read_text(encoding="utf-8"))["Bidding"]
    assert same["same_as"] == "PID"
    assert (
        same["score"] >= other["score"]
    )  # it starts at what the other found, on the same merchants
    assert kept["PID"] == other


def test_the_search_looks_only_where_a_parameter_matters():
    bidding = search_space("MCKPCoupon", select_levers("bidding"), False)
    assert not [
        name for name in bidding if name.startswith(("response_", "room_", "cap_", "tier_"))
    ]
    shop = search_space("PID", select_levers("whole_shop"), True)
    assert {"commission_natural", "tier_hot", "cap_feed", "event"} <= set(shop)
    assert same_rule("UniformCoupon", select_levers("bidding")) == "PID"
    assert same_rule("UniformCoupon", select_levers("coupon")) is None


def test_starts_are_what_related_studies_found():
    starts = starts_for("PID", "Allocation", ["OnlineLP"], ["Bidding"])
    assert tuned_parameters("PID", "Bidding") in starts
    assert all(set(start) <= set(RULES["PID"].common | RULES["PID"].defaults) for start in starts)
    for wrong, said in (((["PIDD"], []), "rule is 'PIDD'"), (([], ["Biding"]), "task is 'Biding'")):
        with pytest.raises(ValueError, match=said):
            starts_for("PID", "Allocation", *wrong)


def test_the_table_in_the_docs_is_of_the_committed_studies():
    """docs/rules.md: defaults -> tuned (violations; ticks of all studies)."""
    text = (FILE.parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
    studies = json.loads(FILE.read_text(encoding="utf-8"))
    tasks = ("Bidding", "Allocation", "Coupon", "SuperPlan", "WholeShop")
    for rule in studies["Bidding"]:
        cells = [
            f"{s['score_default']:.3f} → {s['score']:.3f} ({100 * s['violation_rate']:.0f} %; "
            f"{spent(s) // 1_000_000} M)"
            for s in (studies[task][rule] for task in tasks)
        ]
        assert f"| {rule} | {' | '.join(cells)} |" in text, rule
