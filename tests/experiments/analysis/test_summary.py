"""Rows of the summary: shares above doing nothing, references that know only some episodes, and
what is not there.
"""

import csv
import io
import math

import numpy as np
import pytest
from chengfang.experiments.analysis.results import AgentResult
from chengfang.experiments.analysis.statistics import iqm
from chengfang.experiments.analysis.summary import (
    LEAST_GAIN,
    SUMMARY,
    best,
    csv_text,
    gain_shares,
    plain_row,
    ranked,
    relative_score,
    summarise,
    summary_rows,
)

IDLE = np.array([100.0, 200.0, 400.0, 800.0, 50.0, 100.0, 10.0, 30.0])


def result(
    agent="PID",
    kind="rule",
    share=0.5,
    runs=1,
    clairvoyant: np.ndarray | None = 2 * IDLE,
    bound: np.ndarray | None = 3 * IDLE,
    task="Bidding",
    **figures,
):
    """An agent that wins `share` of what there is between doing nothing and twice that, on every
    episode.
    """
    score = np.tile(IDLE * (1 + share), (runs, 1))
    return AgentResult(
        task,
        agent,
        kind,
        {"score": score, **figures},
        {"score": IDLE, "settled_gmv": IDLE},
        clairvoyant,
        bound,
    )


def shares(row):
    """A row's part of the clairvoyant's gain; it must have one."""
    assert row.clairvoyant is not None
    return row.clairvoyant


def typical(gain):
    """The interquartile mean of a share; it must have one."""
    assert gain is not None
    assert gain.iqm is not None
    return gain.iqm.value


def test_the_share_is_zero_for_nothing_and_one_for_the_reference():
    for share in (0.0, 0.25, 1.0):
        row = summarise(result(share=share))
        assert row.score.value == pytest.approx(1 + share)
        assert typical(row.clairvoyant) == pytest.approx(share)
        assert shares(row).pooled == pytest.approx(share)
        assert typical(row.bound) == pytest.approx(share / 2)


def test_a_harmful_agent_has_a_negative_share():
    assert typical(summarise(result(share=-0.2)).clairvoyant) == pytest.approx(-0.2)


def test_shares_are_taken_where_the_reference_is_known():
    known = np.where(np.arange(len(IDLE)) < 3, 2 * IDLE, np.nan)
    row = summarise(result(clairvoyant=known, bound=None))
    assert gain_shares(result(), known).shape == (1, 3)
    assert typical(row.clairvoyant) == pytest.approx(0.5)
    assert shares(row).pooled == pytest.approx(0.5)
    assert shares(row).left_out == 0  # unknown is not left out
    assert row.episodes == len(IDLE)
    assert (row.bound.iqm, row.bound.pooled) == (None, None)


def test_episodes_without_headroom_are_left_out_and_counted():
    flat = 2 * IDLE
    flat[:2] = IDLE[:2] * (1 + LEAST_GAIN / 2)
    row = summarise(result(clairvoyant=flat))
    assert shares(row).left_out == 2
    assert typical(row.clairvoyant) == pytest.approx(0.5)
    pooled = shares(row).pooled
    assert pooled is not None
    assert math.isfinite(pooled)


def test_a_reference_that_never_gains_or_is_never_known_gives_no_share():
    for useless in (IDLE, np.full(len(IDLE), np.nan)):
        row = plain_row(summarise(result(clairvoyant=useless)))
        assert row["share_of_clairvoyant"] is None


def test_rates_are_means_over_runs_and_episodes():
    violated = np.zeros((2, len(IDLE)))
    violated[0, :4] = 1
    row = summarise(
        result(
            runs=2,
            kind="learner",
            violated=violated,
            shortfall=violated * 0.1,
            budget_use=violated + 0.5,
        )
    )
    assert row.violation_rate == pytest.approx(0.25)
    assert row.mean_shortfall == pytest.approx(0.025)
    assert row.budget_use == pytest.approx(0.75)
    assert row.highest_budget_use == pytest.approx(1.5)
    assert row.run_violations == (0.5, 0.0)
    assert row.run_scores == pytest.approx((1.5, 1.5))
    assert row.seeds == 2


def test_the_score_is_the_iqm_over_runs_and_episodes():
    made = result(runs=3)
    made.figures["score"][1] *= 1.1
    assert summarise(made).score.value == iqm(relative_score(made))


def test_a_bound_that_plays_nothing_has_nulls():
    row = plain_row(summarise(result("upper_bound", "reference", share=2.0)))
    assert list(row) == list(SUMMARY)
    assert (row["violation_rate"], row["mean_shortfall"], row["budget_use"]) == (None, None, None)
    assert row["share_of_bound"] == pytest.approx(1.0)


def test_rows_are_ranked_within_tasks_in_their_order():
    results = [
        result("A", share=0.1, task="Z"),
        result("B", share=0.9, task="Y"),
        result("C", share=0.4, task="Z"),
    ]
    assert [(row["task"], row["agent"]) for row in summary_rows(results)] == [
        ("Z", "C"),
        ("Z", "A"),
        ("Y", "B"),
    ]
    rows = [summarise(one) for one in results]
    one, of_z = best(rows, "rule"), best(rows, "rule", "Z")
    assert one is not None
    assert of_z is not None
    assert (one.agent, of_z.agent) == ("B", "C")
    assert best(rows, "learner") is None
    assert ranked([]) == []


def test_the_table_of_all_figures_reads_back_unrounded():
    rows = [summarise(result('Odd, "name"', share=1 / 3)), summarise(result("B", clairvoyant=None))]
    read = {row["agent"]: row for row in csv.DictReader(io.StringIO(csv_text(rows)))}
    assert float(read['Odd, "name"']["iqm"]) == rows[0].score.value
    assert read["B"]["share_of_clairvoyant"] == ""
    assert csv_text([]).strip().split(",") == list(SUMMARY)
