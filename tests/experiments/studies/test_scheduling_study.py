"""What scheduling is worth: the same merchants in every world, and a page that is true."""

import csv
from pathlib import Path

import numpy as np
from chengfang.envs import load_scenario
from chengfang.experiments.analysis.statistics import Interval
from chengfang.experiments.runs.evaluate import TEST_SEED
from chengfang.experiments.studies import scheduling
from chengfang.experiments.studies.outputs import Size, shown

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "results" / "studies" / "scheduling"
PAGE = (ROOT / "docs" / "world_v1.md").read_text(encoding="utf-8")


def rows():
    with (COMMITTED / "results.csv").open(encoding="utf-8") as file:
        return {(row["world"], row["agent"]): row for row in csv.DictReader(file)}


def gain(row):
    return Interval(*(float(row[name]) for name in ("gain", "gain_low", "gain_high")))


def test_merchants_and_targets_are_the_same_in_every_world():
    scenario = load_scenario(scheduling.MARKET)
    seeds = np.arange(TEST_SEED, TEST_SEED + 6)
    arenas = [scheduling._arena(scenario, world, seeds, 1) for world in scheduling.WORLDS]
    for arena in arenas[1:]:
        assert (arena.market.merchants == arenas[0].market.merchants).all()
        assert (arena.market.states["roi_target"] == arenas[0].market.states["roi_target"]).all()


def test_a_search_of_more_levers_is_no_worse():
    scenario = load_scenario(scheduling.MARKET)
    arena = scheduling._arena(scenario, "unified", np.arange(TEST_SEED, TEST_SEED + 6), 1)
    best, plain = scheduling._best_constant(arena, Size.quick())
    assert plain.action.shape == (6, len(scheduling.LEVERS))
    assert (best.plans["score"] >= plain.plans["score"]).all()
    assert (best.action != 0).any()


def test_scheduling_gains_for_whoever_knows_and_for_a_rule_that_does_not():
    found = rows()
    assert gain(found["pools scheduled", scheduling.HINDSIGHT]).low > 0
    assert gain(found["pools scheduled", scheduling.RULE]).low > 0
    for world in scheduling.WORLDS:
        assert 0 <= float(found[world, scheduling.RULE]["violated"]) <= 0.5


def test_the_page_has_the_committed_figures():
    found = rows()
    for world in ("incremental ads", "coupons everywhere", "pools scheduled", "unified"):
        for agent in (scheduling.HINDSIGHT, scheduling.RULE):
            assert shown(gain(found[world, agent])) in PAGE, (world, agent)
