"""Three words and a worse one: what an interval says, and by whom agents are chosen."""

import numpy as np
import pytest
from chengfang.experiments.analysis.results import AgentResult
from chengfang.experiments.analysis.statistics import Interval
from chengfang.experiments.analysis.summary import best, full_row, plain_row, summarise
from chengfang.experiments.analysis.verdicts import (
    BETTER,
    EQUAL,
    UNDECIDED,
    WORSE,
    OwnComparison,
    Verdict,
    better_bar,
    headline,
    own_sentences,
    paired_with_rule,
    word,
)

NOOP = np.array([10.0, 20.0, -5.0, 40.0])


def row(agent="A", kind="learner", level=2.0, profit=None):
    score = np.full((1, 4), level)
    figures = {"score": score} if profit is None else {"score": score, "profit": profit}
    return summarise(
        AgentResult("T", agent, kind, figures, {"score": np.ones(4), "profit": NOOP}, None, None)
    )


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.02, 0.011, 0.03), BETTER),
        ((0.02, 0.010, 0.03), UNDECIDED),
        ((0.005, -0.01, 0.01), EQUAL),
        ((0.001, 0.0009, 0.0014), EQUAL),
        ((0.0, -0.02, 0.02), UNDECIDED),
        ((-0.02, -0.03, 0.0), UNDECIDED),
        ((-0.02, -0.03, -0.011), WORSE),
    ],
)
def test_the_interval_decides_the_word(gain, said):
    assert word(Interval(*gain)) == said
    assert better_bar(Interval(*gain)).met is (said == BETTER)


def test_the_size_stands_beside_the_word():
    own = [
        OwnComparison("Mine", "PID", Interval(*gain), Interval(0.1, 0.0, 0.2))
        for gain in ((0.023, 0.02, 0.026), (0.001, -0.002, 0.004), (0.0, -0.1, 0.1), (-0.3,) * 3)
    ]
    verdict = Verdict("T", None, row("PID", "rule"), "", None, [], own)
    assert [text.partition(";")[0] for text in own_sentences(verdict)] == [
        "Paired on the same episodes, Mine is better than the best rule, PID: "
        "+2.3 % (+2.0 to +2.6)",
        "Paired on the same episodes, Mine and the best rule, PID, are equal within 1 %: "
        "+0.1 % (-0.2 to +0.4)",
        "Paired on the same episodes, Mine against the best rule, PID, is undecided: "
        "+0.0 % (-10.0 to +10.0)",
        "Paired on the same episodes, Mine is worse than the best rule, PID: "
        "-30.0 % (-30.0 to -30.0)",
    ]
    assert headline(verdict._replace(own=own[:1])) == (
        "Mine is better than the best rule, PID: +2.3 % of its score "
        "(paired 95 % interval +2.0 to +2.6 %)."
    )


def test_profit_is_told_above_doing_nothing():
    made = row(profit=np.array([[15.0, 10.0, -4.0, 40.0]]))
    # +50 %, -50 %, +20 % of the absolute value, 0
    assert made.profit_gain == pytest.approx(0.1)
    assert made.losing_share == 0.25
    assert plain_row(made)["losing_share"] == 0.25
    assert row().profit_gain is None


def test_the_best_is_chosen_on_validation_merchants_where_all_played_there():
    one, two = row("lucky", level=3.0), row("good", level=2.9)
    known = [one._replace(validation=2.0), two._replace(validation=2.5)]
    found = best(known, "learner")
    assert found is not None
    assert found.agent == "good"
    older = best([known[0], two], "learner")
    assert older is not None
    assert older.agent == "lucky"


def test_what_is_never_the_same_again_is_not_in_the_summary():
    assert "cpu_seconds" not in plain_row(row())
    assert full_row(row()._replace(cpu_seconds=3.5, ticks=7))["cpu_seconds"] == 3.5


def test_everybody_who_met_the_best_rule_is_paired_with_it():
    rng = np.random.default_rng(0)
    merchants = rng.lognormal(1, 1, 400)

    def played(agent, kind, factor, count=400):
        figures = {"score": factor * merchants[None, :count]}
        return AgentResult("T", agent, kind, figures, {"score": np.ones(count)}, None, None)

    results = [
        played("MPC", "rule", 1.0),
        played("PID", "rule", 0.9),
        played("APG", "learner", 1.02),
        played("constant", "shift", 1.01, count=300),
        played("clairvoyant", "reference", 1.5),
    ]
    rows = [summarise(result) for result in results]
    rows.append(summarise(results[2])._replace(agent="PPO"))  # not played here
    found = {one.agent: one.over_rule for one in paired_with_rule("T", rows, results)}
    assert found.pop("MPC") is found.pop("clairvoyant") is found.pop("PPO") is None
    assert found["PID"] == pytest.approx((-0.1,) * 3)
    assert found["APG"] == pytest.approx((0.02,) * 3)  # no noise is left where noise is common
    assert found["constant"] == pytest.approx((0.01,) * 3)
    assert plain_row(rows[0]).keys().isdisjoint({"over_rule"})
    paired = next(one for one in paired_with_rule("T", rows, results) if one.agent == "APG")
    assert plain_row(paired)["over_rule"] == pytest.approx(0.02)
    assert paired_with_rule("T", rows, results[2:]) == rows  # the best rule was played elsewhere
