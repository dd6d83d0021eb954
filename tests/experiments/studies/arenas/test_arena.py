"""An arena plays the merchants of another world, with their budgets and targets in force."""

import numpy as np
from chengfang.envs import Setting, load_scenario, select_levers
from chengfang.envs.market import layout as rows
from chengfang.experiments.studies.arenas.arena import TERMS, Arena

SEEDS = np.arange(16)


def arena(changes=None, reference=None):
    scenario = load_scenario("default", changes)
    return Arena(Setting(scenario, select_levers("bidding"), 1), SEEDS, reference)


def test_the_terms_of_a_reference_world_are_in_force():
    rich = {"merchants.budget_low": 3.0, "merchants.budget_high": 5.0}
    own, other = arena(), arena(rich)
    lent = arena(reference=load_scenario("default", rich))
    for name in TERMS:
        assert (lent.start.states[name] == other.start.states[name]).all()
        assert (lent.start.states[name] == lent.start.merchants[name]).all()
    assert (lent.start.states["budget"] != own.start.states["budget"]).any()


def test_a_raised_budget_may_be_spent():
    plain, raised = arena(), arena()
    raised.add_budget(raised.start.merchants["budget"] * 0.5)
    bold = np.ones((len(SEEDS), len(plain.setting.levers)), np.float32)
    spent = [a.hold(bold)["spend"] for a in (plain, raised)]
    full = spent[0] >= 0.999 * plain.start.merchants["budget"] / 100
    assert full.any()
    assert (spent[1][full] > 1.4 * spent[0][full]).all()
    assert (raised.market.states["ledger"][:, rows.L_SPEND] <= raised.start.states["budget"]).all()
