"""The article's claims: the same merchants in every world, searches that only improve, accounts
that add up, files written.
"""

import csv
import json

import numpy as np
import pytest
from chengfang.envs import Setting, load_scenario
from chengfang.envs.market import layout as rows
from chengfang.envs.scenario import SCENES
from chengfang.experiments.analysis.statistics import Interval, iqm
from chengfang.experiments.cli import main as cli
from chengfang.experiments.runs.evaluate import TEST_SEED, play_noop
from chengfang.experiments.studies import STUDIES, Size, learning, money, plans, run_study, unified
from chengfang.experiments.studies.arenas.accounts import ACCOUNTS, accounts
from chengfang.experiments.studies.arenas.arena import Arena
from chengfang.experiments.studies.arenas.hindsight import (
    Effort,
    Held,
    grid_search,
    plan_knobs,
    profit,
    refine,
    scene_knobs,
    score,
)
from chengfang.experiments.studies.arenas.tuning import TUNED, play_rule, tune
from chengfang.experiments.studies.outputs import shown, sign, table
from chengfang.experiments.studies.paired import paired_iqm, paired_mean, paired_total
from typer.testing import CliRunner

SEEDS = np.arange(TEST_SEED, TEST_SEED + 12)
TINY = Size(
    episodes=6,
    days=1,
    scenarios=("default",),
    long=False,
    effort=Effort(3, 2, 1),
    rounds=1,
    training_merchants=4,
    learner_steps=0,
)


def arena(change=None, levers=unified.LEVERS, seeds=SEEDS, split="test"):
    scenario = load_scenario("default")
    return Arena(Setting(scenario.updated(change or {}), levers, 1, split), seeds, scenario)


def held(arena, bid=-0.2, depth=0.2):
    action = np.zeros((arena.count, len(arena.levers)), np.float32)
    for name, value in (("bid", bid), ("coupon", depth)):
        action[:, [arena.column[lever] for lever in plan_knobs(arena)[name]]] = value
    return action


@pytest.fixture(scope="module")
def market():
    return arena()


@pytest.mark.parametrize("regime", unified.REGIMES)
def test_merchants_are_the_same_in_every_regime(market, regime):
    # even without a reference
    world = unified.in_regime(load_scenario("default"), regime)
    other = Arena(Setting(world, unified.LEVERS, 1), SEEDS)
    assert np.array_equal(other.market.merchants, market.market.merchants)


def test_regimes_are_what_they_say():
    world = load_scenario("dual_track")
    found = {name: unified.in_regime(world, name) for name in unified.REGIMES}
    assert {
        n: (w.incremental_ads, w.coupons_everywhere, w.fee_rate < 0.01) for n, w in found.items()
    } == {
        "dual track": (False, False, False),
        "incremental ads": (True, False, False),
        "coupons everywhere": (False, True, False),
        "low fee": (False, False, True),
        "unified": (True, True, True),
    }


def test_reference_keeps_targets_that_the_world_would_move(market):
    change = {"coupon": {"platform_share": 0.5}}
    assert np.array_equal(arena(change).market.merchants, market.market.merchants)
    alone = Arena(Setting(load_scenario("default").updated(change), unified.LEVERS, 1), SEEDS)
    assert not np.array_equal(
        alone.market.merchants["roi_target"], market.market.merchants["roi_target"]
    )


def test_playing_again_gives_the_same(market):
    first = market.hold(held(market))
    market.hold(held(market, 0.3))
    again = market.hold(held(market))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_noop_is_doing_nothing(market):
    setting = Setting(load_scenario("default"), unified.LEVERS, 1)
    assert np.array_equal(market.noop()["score"], play_noop(setting, SEEDS)["score"])
    assert market.hold(held(market))["spend"].sum() > 0  # and leaves the market active


def test_more_budget_moves_nothing_else():
    rich = arena()
    before = rich.start.merchants.copy()
    rich.add_budget(np.full(rich.count, 1234.9))
    assert np.array_equal(rich.start.merchants["budget"], before["budget"] + 1234)
    assert np.array_equal(rich.start.merchants["roi_target"], before["roi_target"])
    assert (rich.hold(held(rich))["budget"] > before["budget"] / 100).all()


def test_without_displacement_incremental_ads_change_nothing():
    world = load_scenario(
        "default", {"free_traffic": {"cannibalisation": dict.fromkeys(SCENES, 0.0)}}
    )
    off, on = (
        Arena(Setting(unified.in_regime(world, name), unified.LEVERS, 1), SEEDS)
        for name in ("dual track", "incremental ads")
    )
    a = off.hold(held(off))
    b = on.hold(held(on))
    assert all(np.array_equal(a[name], b[name]) for name in a)


def test_fee_is_a_transfer_at_an_unchanged_plan():
    """What the merchant gains the platform loses, to the fen, and nothing else moves: the fee is in
    no target and in no bid.
    """
    high, low = (arena({"regime": {"low_fee": on}}) for on in (False, True))
    a = accounts(high.hold(held(high)))
    b = accounts(low.hold(held(low)))
    assert (b["merchant"] > a["merchant"]).all()
    np.testing.assert_allclose(
        b["merchant"] - a["merchant"], a["platform"] - b["platform"], atol=1e-6
    )
    for other in ACCOUNTS[2:]:
        np.testing.assert_allclose(a[other], b[other], atol=1e-6)
    assert np.array_equal(high.hold(held(high))["score"], low.hold(held(low))["score"])


def test_accounts_sum_to_the_sales_that_were_kept(market):
    found = market.hold(held(market, depth=0.6))
    parts = accounts(found)
    np.testing.assert_allclose(
        sum(parts.values()), found["gmv"] - found["refunded_gmv"], rtol=1e-12
    )
    book = dict(zip(rows.LEDGER_NAMES, market.market.states["ledger"].T / 100, strict=True))
    net = (
        book["coupon_merchant"]
        + book["coupon_platform"]
        - book["refund_coupon_merchant"]
        - book["refund_coupon_platform"]
    )
    np.testing.assert_allclose(parts["users' coupons"], net, atol=1e-6)
    assert (net > 0).all()


def test_search_improves_and_each_merchant_stands_alone(market):
    base = np.zeros((market.count, len(market.levers)), np.float32)
    coarse = Effort(3, 2, 0)
    fine = Effort(3, 2, 2)
    first, second = (
        grid_search(market, base, [score, profit], effort) for effort in (coarse, fine)
    )
    for objective, a, b in zip((score, profit), first, second, strict=True):
        assert (objective(b.plans) >= objective(a.plans)).all()
        assert (objective(b.plans) > objective(a.plans)).any()
    assert (score(second[0].plans) >= score(second[1].plans)).all()
    assert (profit(second[1].plans) >= profit(first[0].plans)).all()
    replayed = market.hold(second[0].action)
    assert np.array_equal(
        replayed["score"], second[0].plans["score"]
    )  # the plan earns what it claims
    some = arena(seeds=SEEDS[3:6])
    alone = grid_search(some, base[3:6], [score], fine)[0]
    assert np.array_equal(alone.action, second[0].action[3:6])


def test_refine_with_an_objective_per_knob(market):
    """Each knob answers to its own objective only."""
    start = Held(held(market), market.hold(held(market)))
    knobs = {"bid_feed": ["bid_feed"], "bid_live": ["bid_live"]}
    moved = refine(
        market,
        start,
        knobs,
        {"bid_feed": lambda p: -p["spend_feed"], "bid_live": lambda p: p["spend_live"]},
        1,
        0.1,
    )
    column = market.column
    assert np.allclose(moved.action[:, column["bid_feed"]], -0.3)
    assert np.allclose(moved.action[:, column["bid_live"]], -0.1)
    assert np.allclose(moved.action[:, column["bid_mall"]], -0.2)


def test_scene_scores_share_out_the_cost():
    """With every scene above its target the scenes' scores sum to the settled GMV; the costs sum to
    the plan's.
    """
    market = arena(levers=plans.LEVERS)
    found = market.hold(plans.open_action(market))
    easy = found | {"roi_target": np.full(market.count, 1e-6)}
    np.testing.assert_allclose(
        sum(plans.scene_score(s)(easy) for s in SCENES), found["settled_gmv"], rtol=1e-9
    )
    hard = found | {"roi_target": np.full(market.count, 1e6)}
    cost = sum(
        np.sqrt(found[f"settled_gmv_{s}"] ** 3 / plans.scene_score(s)(hard)) / 1e6 for s in SCENES
    )
    np.testing.assert_allclose(cost, found["overall_cost"], rtol=1e-6)
    assert set(plans.OWN_TARGETS) == set(scene_knobs(market))


def test_split_limits_the_scenes():
    market = arena(levers=plans.LEVERS)
    action = plans.open_action(market)
    action[:, [market.column[f"bid_{s}"] for s in SCENES]] = 0.5
    free = Held(action, market.hold(action))
    split = np.array([0.05, 0.8, 0.1, 0.05])
    capped = plans.with_split(market, free, split)
    for scene, part in zip(SCENES, split, strict=True):
        assert (capped.plans[f"spend_{scene}"] <= part * capped.plans["budget"] + 0.02).all()
    assert (free.plans["spend_feed"] > 0.05 * free.plans["budget"] + 0.02).any()


@pytest.mark.parametrize("rule", TUNED)
def test_tuning_does_not_lose_on_what_it_practised(rule):
    training = arena(seeds=np.arange(8), split="train", levers=plans.LEVERS)
    unit = training.noop()["score"]
    found = tune(rule, training, 1, {"depth": 0.03})
    assert found["depth"] == 0.03
    assert set(TUNED[rule]) < set(found)
    plain = play_rule(rule, training, {"depth": 0.03})
    better = play_rule(rule, training, found)
    zero = 0 * unit
    assert (
        paired_iqm(better["score"], zero, unit).value
        >= paired_iqm(plain["score"], zero, unit).value
    )


def test_paired_intervals():
    rng = np.random.default_rng(0)
    before = rng.lognormal(3, 1, 200)
    unit = np.ones(200)
    assert paired_iqm(before, before, unit) == Interval(0, 0, 0)
    after = before + rng.normal(0.5, 0.1, 200)  # merchants differ by far more than the change
    for figure in (paired_iqm, paired_mean, paired_total):
        interval = figure(after, before, unit)
        assert interval.low < 0.5 < interval.high
        assert interval.high - interval.low < 0.06


def test_iqm_is_that_of_the_statistics():
    values = np.random.default_rng(2).normal(size=37)
    assert paired_iqm(values, 0 * values, np.ones(37)).value == pytest.approx(iqm(values))


def test_strata_are_resampled_within_themselves():
    """Two markets with constant but different changes leave no doubt about their joint mean."""
    change = [np.full(30, 1.0), np.full(10, 5.0)]
    zero = [np.zeros(30), np.zeros(10)]
    one = [np.ones(30), np.ones(10)]
    interval = paired_total(change, zero, one)
    assert interval == Interval(2.0, 2.0, 2.0)


def test_parts_of_totals_sum_to_the_whole():
    rng = np.random.default_rng(1)
    a, b, unit = rng.normal(size=(3, 50))
    unit = np.abs(unit)
    zero = np.zeros(50)
    for figure in (paired_total, paired_mean):
        assert figure(a, zero, unit).value + figure(b, zero, unit).value == pytest.approx(
            figure(a + b, zero, unit).value
        )


def test_words():
    assert shown(Interval(0.012, -0.001, 0.02), 100, 1) == "+1.2 [-0.1, +2.0]"
    found = [sign(Interval(*x)) for x in ((2, 1, 3), (-2, -3, -1), (0.1, -1, 1), (0.0, 0.0, 0.0))]
    assert found == ["gains", "loses", "no clear difference", "changes nothing"]
    assert table(["a", "b"], [["x", "1"]]).splitlines() == [
        "| a | b |",
        "| --- | ---: |",
        "| x | 1 |",
    ]


def test_break_even():
    def figures(take, gmv):
        return {"platform_take": np.array([take]), "settled_gmv": np.array([gmv])}

    before = figures(30.0, 100.0)
    result = money.Played(
        {"x": {money.SAME: figures(25.0, 100.0), money.SCORE: figures(28.0, 110.0)}},
        {money.SAME: before, money.SCORE: before},
    )
    needed, grown = money.break_even(result, "x")
    assert needed == pytest.approx(0.2)
    assert grown == pytest.approx({money.SAME: 0.0, money.SCORE: 0.1})


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STUDIES if name != "recipes"])
def test_study_writes_everything_and_the_same_again(name, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "DIFFERENCES", (0.25,))
    monkeypatch.setattr(Size, "quick", classmethod(lambda cls: TINY))
    folder, text = run_study(name, tmp_path / name, quick=True)
    assert text.startswith("# ")
    assert (folder / "results.md").read_text(encoding="utf-8").strip() == text.strip()
    with (folder / "results.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) > 5
    assert (folder / f"{name.replace('-', '_')}.png").read_bytes().startswith(b"\x89PNG")
    made = json.loads((folder / "manifest.json").read_text())
    assert (made["study"], made["seed"], made["size"]["episodes"]) == (name, TEST_SEED, 6)
    market = {"scheduling": "unlike_merchants"}.get(name, "default")
    assert made["scenarios"] == {market: load_scenario(market).hash}
    assert run_study(name, tmp_path / "again", quick=True)[1] == text


def test_unusable_requests(tmp_path):
    with pytest.raises(ValueError, match="'fees'; allowed are unified, scheduling, plans, money"):
        run_study("fees", tmp_path)
    with pytest.raises(ValueError, match="episodes is 3; a study needs at least 4"):
        run_study("money", tmp_path, episodes=3)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(Size, "quick", classmethod(lambda cls: TINY))
    done = CliRunner().invoke(
        cli.app, ["study", "money", "--quick", "--episodes", "4", "--out", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert {p.name for p in tmp_path.iterdir()} == {
        "results.md",
        "results.csv",
        "money.png",
        "manifest.json",
    }
    assert json.loads((tmp_path / "manifest.json").read_text())["size"]["episodes"] == 4
    assert CliRunner().invoke(cli.app, ["study", "fees", "--out", str(tmp_path)]).exit_code == 2


def test_the_same_plan_is_the_dual_tracks_best():
    """Held unchanged it can only lose against choosing again where it was found, and a fee moves
    neither.
    """
    result = unified.play_regimes(load_scenario("default"), 1, 6, TINY)
    for regime in ("dual track", "low fee"):
        found = result.plans[regime]
        assert np.array_equal(found[unified.SAME]["score"], found[unified.HINDSIGHT]["score"])
    assert set(result.rules) == {"PID", "DualMirrorDescent"}


def test_a_trained_policy_plays_every_policy_in_every_world(monkeypatch):
    monkeypatch.setitem(learning.TRAINING, "num_envs", 8)
    monkeypatch.setitem(learning.TRAINING, "batch_size", 56)
    size = TINY._replace(learner_steps=400, learner_seeds=1)
    worlds = {
        name: unified.in_regime(load_scenario("default"), name)
        for name in ("dual track", "unified")
    }
    scores = learning.train_in_each(
        worlds, unified.LEVERS, size, {}, lambda arena: {"PID": play_rule("PID", arena, {})}
    )
    assert [(x.trained, x.played, x.agent) for x in scores] == [
        (trained, played, agent)
        for played in worlds
        for trained, agent in (("-", "PID"), ("dual track", "PPO"), ("unified", "PPO"))
    ]
    assert all(x.over_rule == Interval(0, 0, 0) for x in scores if x.agent == "PID")
    assert all(x.over_rule.value != 0 for x in scores if x.agent == "PPO")
