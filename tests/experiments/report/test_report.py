"""What a benchmark leaves to read, from made-up results: complete, honest about losers, and safe to
open anywhere.
"""

import csv
import itertools
import json
import re

import numpy as np
import pytest
from chengfang.experiments.analysis.results import AgentResult
from chengfang.experiments.analysis.summary import gain_shares, plain_row, ranked, summarise
from chengfang.experiments.analysis.verdicts import gain_over_rule, judge, sentence
from chengfang.experiments.report import figures
from chengfang.experiments.report.latex import latex_tables
from chengfang.experiments.report.task_report import task_report
from chengfang.experiments.report.write import write_report

pytestmark = pytest.mark.slow  # its fixtures play whole benchmarks or markets

KEYS = [
    "task",
    "agent",
    "kind",
    "seeds",
    "episodes",
    "iqm",
    "ci_low",
    "ci_high",
    "violation_rate",
    "mean_shortfall",
    "budget_use",
    "share_of_clairvoyant",
    "share_of_bound",
    "profit_gain",
    "losing_share",
    "ticks",
]
PAIRED = ["over_rule", "over_rule_low", "over_rule_high"]  # of who met the best rule
EPISODES = 60
KNOWN = 40


def result(task, agent, kind, level, runs=1, seed=0, references=True):
    rng = np.random.default_rng([seed, len(agent)])
    idle = np.random.default_rng(7).lognormal(9, 0.5, EPISODES)
    score = idle * (level + rng.normal(0, 0.1, (runs, EPISODES)))
    figures = {
        "score": score,
        "settled_gmv": score * 1.01,
        "violated": (rng.random((runs, EPISODES)) < 0.03).astype(float),
        "shortfall": np.full((runs, EPISODES), 0.001),
        "budget_use": np.full((runs, EPISODES), 0.8),
        "profit": score * 0.1,
        "coupon_cost": score * 0.01,
        "spend": score * 0.2,
    }
    if agent == "upper_bound":
        figures = {"score": score}
    beyond = np.full(EPISODES - KNOWN, np.nan)
    clairvoyant = np.concatenate([idle[:KNOWN] * 3.2, beyond]) if references else None
    bound = np.concatenate([idle[:KNOWN] * 3.4, beyond]) if references else None
    return AgentResult(
        task, agent, kind, figures, {"score": idle, "settled_gmv": idle}, clairvoyant, bound
    )


def task_reports(results):
    """The report of every task that results speak of."""
    return [task_report(task, results, {}) for task in dict.fromkeys(one.task for one in results)]


@pytest.fixture(scope="module")
def results():
    found = []
    for task in ("Bidding", "Shop_<b>&"):
        found += [
            result(task, "PID", "rule", 2.9),
            result(task, "Rule_A&B%", "rule", 2.5),
            result(task, "PPO", "learner", 3.0, 5),
            result(task, "SAC", "learner", 2.2, 2),
            result(task, "clairvoyant", "reference", 3.2),
            result(task, "upper_bound", "reference", 3.4),
        ]
    return [*found, result("Alone", "PID", "rule", 2.0, references=False)]


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    where = tmp_path_factory.mktemp("report")
    write_report(where, task_reports(results), "A <title> & more")
    return where


@pytest.mark.slow
def test_the_summary_is_a_list_of_rows_with_the_promised_keys(folder):
    rows = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    assert len(rows) == 13
    for row in rows:
        met = row["kind"] != "reference" and row["agent"] != "PID"  # the best rule of every task
        assert list(row) == KEYS + PAIRED * met, row
    first = next(row for row in rows if row["task"] == "Bidding")
    assert first["agent"] == "upper_bound"  # best first
    assert first["violation_rate"] is None  # a bound plays nothing
    learner = next(row for row in rows if row["agent"] == "PPO")
    assert (learner["seeds"], learner["episodes"], learner["kind"]) == (5, EPISODES, "learner")
    assert learner["ci_low"] < learner["iqm"] < learner["ci_high"]
    assert learner["share_of_clairvoyant"] == pytest.approx(2.0 / 2.2, abs=0.02)
    assert next(row for row in rows if row["task"] == "Alone")["share_of_bound"] is None


def test_shares_are_taken_where_the_reference_is_known(results):
    assert gain_shares(results[0], results[0].clairvoyant).shape == (1, KNOWN)
    assert gain_shares(results[-1], None).shape == (1, 0)


@pytest.mark.slow
def test_every_file_is_there_and_says_no_nan(folder):
    for name in ("results.md", "results.csv", "results.tex", "report.html"):
        assert not re.search(
            r"\b(nan|NaN|Infinity)\b", (folder / name).read_text(encoding="utf-8")
        ), name
    pictures = sorted(path.name for path in (folder / "figures").glob("*.png"))
    assert pictures
    assert not list(folder.rglob("*.part"))


def test_losing_rows_stay_and_the_table_is_read_back(folder):
    with (folder / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 13
    assert "SAC" in (folder / "results.md").read_text(encoding="utf-8")


def test_the_page_needs_no_network_and_cannot_be_broken_out_of(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)\s*=\s*[\"']?(https?:)?//", page)
    assert "Shop_<b>&" not in page.split("<script", 1)[1].split("application/json", 1)[-1]
    assert "A &lt;title&gt; &amp; more" in page


@pytest.mark.slow
def test_latex_escapes_what_it_must(results):
    text = latex_tables(ranked([summarise(one) for one in results]), "50 % & more_")
    assert r"Rule\_A\&B\%" in text
    assert r"\toprule" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") > 0


@pytest.mark.slow
def test_the_verdict_says_who_wins_and_by_how_much(results):
    rows = ranked([summarise(one) for one in results])
    verdict = judge("Bidding", rows, gain_over_rule("Bidding", rows, results))
    assert verdict.apart == "above"
    assert verdict.learner is not None
    assert verdict.learner.agent == "PPO"
    assert "PPO (5 training seeds), is better than the best rule, PID: +" in sentence(verdict)
    assert (verdict.bars[0].met, verdict.bars[0].text[:9]) == (True, "better, +")
    swapped = [
        one._replace(figures=one.figures | {"score": one.figures["score"] * 0.8})
        if one.kind == "learner"
        else one
        for one in results
    ]
    rows = ranked([summarise(one) for one in swapped])
    worse = judge("Bidding", rows, gain_over_rule("Bidding", rows, swapped))
    assert worse.apart == "below"
    assert "PPO (5 training seeds), is worse than the best rule, PID: -" in sentence(worse)
    assert worse.bars[0].met is False
    assert "not compared on the same episodes" in sentence(worse._replace(gain=None))


@pytest.mark.slow
def test_a_row_has_no_number_that_json_lacks(results):
    json.dumps([plain_row(summarise(one)) for one in results], allow_nan=False)


def test_pictures_of_every_kind_are_there(folder):
    names = {path.name for path in (folder / "figures").iterdir()}
    assert {f"Bidding-{kind}.png" for kind in ("scores", "profile", "improvement", "frontier")} | {
        "headroom.png"
    } <= names
    assert not {"Alone-profile.png", "Alone-improvement.png"} & names  # nothing to draw there


def test_no_address_is_in_the_page(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:", page)
    assert not re.search(r"url\(|@import|<link|<img|<iframe", page)
    assert "{{" not in page


@pytest.mark.slow
def test_what_the_references_do_not_cover_is_said(results, tmp_path):
    def first(one):
        return one._replace(
            figures={name: values[:, :KNOWN] for name, values in one.figures.items()},
            nothing={name: values[:KNOWN] for name, values in one.nothing.items()},
            clairvoyant=one.clairvoyant[:KNOWN],
            bound=one.bound[:KNOWN],
        )

    short = [
        first(one) if one.kind == "reference" else one for one in results if one.task == "Bidding"
    ]
    write_report(tmp_path, task_reports(short), "Short")
    said = "References are known for the first 40 (upper_bound), 40 (clairvoyant) of 60 episodes"
    for name in ("results.md", "report.html"):
        assert said in (tmp_path / name).read_text(encoding="utf-8")
    assert said not in (tmp_path / "results.tex").read_text(encoding="utf-8")


def test_no_results_leave_an_empty_report(tmp_path):
    write_report(tmp_path, [], "Nothing yet")
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == []
    assert (tmp_path / "report.html").is_file()


def test_names_of_points_lie_apart_from_each_other_and_from_the_line():
    figure, axis = figures._figure(7.4, 4.8)
    axis.set_xlim(0, 10)
    axis.set_ylim(0, 10)
    crowd = [(2 + 0.3 * i, 9 - 0.1 * (i % 3), f"Agent-{i}") for i in range(12)]
    line = [(0.0, 8.0), (2.0, 9.0)]
    figures._name_points(axis, crowd, line)
    assert {text.get_text() for text in axis.texts} == {name for _, _, name in crowd}
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axis.texts]
    for box, other in itertools.combinations(boxes, 2):
        assert not box.overlaps(other)
    left, height = axis.transData.transform((2, 9))
    assert not [box for box in boxes if box.x1 > left and box.y0 < height < box.y1]
