"""Claim (a): unified against dual-track scheduling, each of its three switches alone and all
together.

Every regime is played by the same merchants with the same budgets, ROI targets and random numbers.
What follows from the model alone is shown by the dual track's best constant plan, held unchanged in
every regime; what choosing adds by the best constant plan of each regime in hindsight; what can be
had without hindsight by PID and dual mirror descent, whose parameters were tuned in the dual track.
On the default market a PPO that corrects PID is trained in either regime and played in both.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...envs import Scenario, Setting, load_scenario, select_levers
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from .arenas.accounts import accounts
from .arenas.arena import Arena, Plans
from .arenas.hindsight import Held, grid_search, score
from .arenas.tuning import play_rule, tune
from .learning import TrainedScore, train_in_each
from .outputs import Size, shown, sign, spread, table, write_study
from .paired import paired_iqm, paired_total
from .pictures import unified_figure

LEVERS = select_levers(
    [
        *(f"bid_{s}" for s in ("feed", "live", "mall", "search")),
        *(f"coupon_{p}" for p in ("natural", "transaction", "ad")),
    ]
)
SWITCHES = {
    "incremental ads": "incremental_ads",
    "coupons everywhere": "coupons_everywhere",
    "low fee": "low_fee",
}
REGIMES: dict[str, dict[str, Any]] = (
    {"dual track": {"preset": "dual_track"}}
    | {name: {"preset": "dual_track", field: True} for name, field in SWITCHES.items()}
    | {"unified": {"preset": "unified"}}
)
SAME = "same plan"
HINDSIGHT = "best constant"
RULES = ("PID", "DualMirrorDescent")
PARTIES = ("merchant", "platform", "users' coupons")
DISPLACEMENT = (0.0, 0.5, 1.0, 1.5)  # factors on the scenario's cannibalisation


class Played(NamedTuple):
    """One scenario: figures of every regime and agent, and of doing nothing."""

    plans: dict[str, dict[str, Plans]]  # regime -> agent -> figures
    noop: Plans
    rules: dict[str, dict[str, float]]  # parameters that tuning found


def study_unified(folder: Path, size: Size, on_progress: Callable[[str], None]) -> str:
    """Run the study into `folder`; returns the text of results.md."""
    began = time.monotonic()
    played: dict[str, Played] = {}
    for name, (days, episodes) in size.markets().items():
        on_progress(f"unified: {name}, {episodes} merchants, {days} days")
        played[name] = play_regimes(load_scenario(name), days, episodes, size)
    on_progress("unified: how much rests on the assumed displacement")
    rules = played["default"].rules
    doses = displacement_doses(size, rules["PID"])
    learned: list[TrainedScore] = []
    if size.learner_steps:
        on_progress("unified: PPO in either regime")
        world = load_scenario("default")
        learned = train_in_each(
            {name: in_regime(world, name) for name in ("dual track", "unified")},
            LEVERS,
            size,
            rules["PID"],
            lambda arena: play_agents(arena, size, rules),
        )
    rows = [row for name, result in played.items() for row in _rows(name, result)]
    rows += [
        {"scenario": "default", "agent": "PID", "displacement": dose, **spread("score", interval)}
        for dose, interval in doses
    ]
    rows += [
        {
            "scenario": "default",
            "regime": score.played,
            "agent": score.agent,
            "trained": score.trained,
            "training_seed": score.seed,
            **spread("level", score.level),
            **spread("over_rule", score.over_rule),
        }
        for score in learned
    ]
    unified_figure(
        {name: _effects(result) for name, result in played.items()}, doses, folder / "unified.png"
    )
    text = _text(played, doses, learned, size)
    write_study(
        folder,
        text,
        rows,
        size,
        "unified",
        began,
        list(played),
        rules={name: result.rules for name, result in played.items()},
    )
    return text


def in_regime(scenario: Scenario, regime: str) -> Scenario:
    """The scenario under one of the REGIMES."""
    unset = {"incremental_ads": None, "coupons_everywhere": None, "low_fee": None}
    return scenario.updated({"regime": unset | REGIMES[regime]})


def play_regimes(scenario: Scenario, days: int, episodes: int, size: Size) -> Played:
    """All regimes and agents on the test merchants of one scenario."""
    seeds = np.arange(TEST_SEED, TEST_SEED + episodes)
    arenas = {
        name: Arena(Setting(in_regime(scenario, name), LEVERS, days), seeds, scenario)
        for name in REGIMES
    }
    rules = tuned_rules(scenario, days, size)
    kept = best_constant(arenas["dual track"], size).action
    plans = {
        name: {SAME: arena.hold(kept)} | play_agents(arena, size, rules)
        for name, arena in arenas.items()
    }
    return Played(plans, arenas["dual track"].noop(), rules)


def best_constant(arena: Arena, size: Size) -> Held:
    """The plan of one bid and one coupon depth with the best score in hindsight, merchant by
    merchant.
    """
    return grid_search(
        arena, np.zeros((arena.count, len(arena.levers)), np.float32), [score], size.effort
    )[0]


def tuned_rules(scenario: Scenario, days: int, size: Size) -> dict[str, dict[str, float]]:
    """Each rule's parameters, tuned on training merchants of the dual track: they owe nothing to
    the new regime.
    """
    setting = Setting(in_regime(scenario, "dual track"), LEVERS, days, "train")
    training = Arena(setting, np.arange(size.training_merchants), scenario)
    return {name: tune(name, training, size.rounds) for name in RULES}


def play_agents(arena: Arena, size: Size, rules: dict[str, dict[str, float]]) -> dict[str, Plans]:
    """The best constant plan in hindsight, found anew in this regime, and the rules as they are."""
    found = {HINDSIGHT: best_constant(arena, size).plans}
    return found | {name: play_rule(name, arena, parameters) for name, parameters in rules.items()}


def displacement_doses(size: Size, parameters: dict[str, float]) -> list[tuple[float, Interval]]:
    """Gain of incremental ads for PID on the default market, the assumed displacement scaled."""
    scenario = load_scenario("default")
    seeds = np.arange(TEST_SEED, TEST_SEED + 2 * size.episodes)
    result = []
    for factor in DISPLACEMENT:
        scaled = {s: min(f * factor, 1.0) for s, f in scenario.free_traffic.cannibalisation.items()}
        world = scenario.updated({"free_traffic": {"cannibalisation": scaled}})
        off, on = (
            Arena(Setting(in_regime(world, name), LEVERS, size.days), seeds, scenario)
            for name in ("dual track", "incremental ads")
        )
        before, after = (play_rule("PID", arena, parameters) for arena in (off, on))
        result.append((factor, paired_iqm(after["score"], before["score"], off.noop()["score"])))
    return result


def _effects(result: Played) -> dict[str, dict[str, Interval]]:
    """Agent -> regime -> gain in score over the dual track, in scores of doing nothing."""
    unit = result.noop["score"]
    return {
        agent: {
            regime: paired_iqm(result.plans[regime][agent]["score"], plans["score"], unit)
            for regime in REGIMES
            if regime != "dual track"
        }
        for agent, plans in result.plans["dual track"].items()
    }


def together(result: Played, agent: str) -> Interval:
    """What the switches gain together beyond the sum of each alone, in scores of doing nothing."""
    scores = {regime: result.plans[regime][agent]["score"] for regime in REGIMES}
    alone = sum(scores[name] - scores["dual track"] for name in SWITCHES)
    return paired_iqm(
        scores["unified"] - scores["dual track"], np.asarray(alone), result.noop["score"]
    )


def _rows(name: str, result: Played) -> list[dict[str, Any]]:
    rows = []
    for regime in REGIMES:
        for agent, plans in result.plans[regime].items():
            before = result.plans["dual track"][agent]
            noop = result.noop
            row: dict[str, Any] = {
                "scenario": name,
                "regime": regime,
                "agent": agent,
                "episodes": len(plans["score"]),
            }
            row |= spread("level", paired_iqm(plans["score"], 0 * noop["score"], noop["score"]))
            row |= spread("score", paired_iqm(plans["score"], before["score"], noop["score"]))
            for figure in ("settled_gmv", "spend", "service_fee"):
                row |= spread(
                    figure, paired_total(plans[figure], before[figure], before["settled_gmv"])
                )
            for party, money in accounts(plans).items():
                row |= spread(
                    party, paired_total(money, accounts(before)[party], before["settled_gmv"])
                )
            rows.append(
                row
                | {
                    "violated": float(plans["violated"].mean()),
                    "budget_use": float(plans["budget_use"].mean()),
                }
            )
    return rows


def _gain_lines(played: dict[str, Played]) -> list[list[str]]:
    """A line per market and agent: level in the dual track, gains by regime, and beyond the sum."""
    lines = []
    for name, result in played.items():
        unit = result.noop["score"]
        effects = _effects(result)
        for agent in (SAME, HINDSIGHT, *RULES):
            level = paired_iqm(result.plans["dual track"][agent]["score"], 0 * unit, unit)
            by_regime = [shown(effects[agent][r]) for r in REGIMES if r != "dual track"]
            beyond = shown(together(result, agent))
            lines.append([name, agent, f"{level.value:.2f}", *by_regime, beyond])
    return lines


def _money_lines(played: dict[str, Played]) -> list[list[str]]:
    """A line per market and regime: changes of sales, spend and accounts, best constant plans."""
    lines = []
    for name, result in played.items():
        before = result.plans["dual track"][HINDSIGHT]
        for regime in list(REGIMES)[1:]:
            plans = result.plans[regime][HINDSIGHT]
            pairs = [(plans[figure], before[figure]) for figure in ("settled_gmv", "spend")]
            pairs += [(accounts(plans)[party], accounts(before)[party]) for party in PARTIES]
            changes = [paired_total(new, old, before["settled_gmv"]) for new, old in pairs]
            lines.append([name, regime, *(shown(change, 100, 1) for change in changes)])
    return lines


def _text(
    played: dict[str, Played],
    doses: list[tuple[float, Interval]],
    learned: list[TrainedScore],
    size: Size,
) -> str:
    parts = [
        "# Unified against dual-track scheduling",
        "Gain in score over the dual track at the same budget, ROI target and random numbers, in "
        "scores of doing nothing; "
        f"{size.days} days, {size.episodes} merchants per market (festival_28d: 28 days, a quarter "
        "of them). "
        "Inter-quartile mean of paired differences [95 % bootstrap interval]. "
        "`Same plan`: the best constant plan of the dual track, held unchanged. "
        "`Best constant`: found anew in each regime. Rules: tuned by this study on training "
        "merchants in the dual track. "
        "`Beyond the sum` is what the switches gain together over each alone.",
        table(
            ["market", "agent", "dual track", *list(REGIMES)[1:], "beyond the sum"],
            _gain_lines(played),
            2,
        ),
        "Best constant plan in hindsight: change of each account, per cent of the dual track's "
        "settled GMV (totals).",
        table(
            ["market", "switched on", "settled GMV", "ad spend", *PARTIES], _money_lines(played), 2
        ),
        "PID (tuned as above) on the default market: gain of incremental ads with the assumed "
        "displacement scaled.",
        table(
            ["displacement", "gain"], [[f"x {dose:g}", shown(interval)] for dose, interval in doses]
        ),
    ]
    if learned:
        parts += _learned_parts(learned, size)
    parts += [
        "\n".join(
            [
                "Verdict, best constant plan in hindsight:",
                "",
                *(
                    f"- {name}: "
                    + "; ".join(f"{r} {sign(i)}" for r, i in _effects(result)[HINDSIGHT].items())
                    + "."
                    for name, result in played.items()
                ),
            ]
        )
    ]
    return "\n\n".join(parts)


def _learned_parts(learned: list[TrainedScore], size: Size) -> list[str]:
    """What the learner adds: a sentence and a table."""
    return [
        f"A PPO that corrects that PID on the default market: {size.learner_steps:,} "
        "environment steps in the regime "
        "named first, a row per training seed.",
        table(
            ["trained in", "played in", "agent", "score", "over PID"],
            [
                [
                    score.trained,
                    score.played,
                    score.agent if score.seed is None else f"{score.agent}, seed {score.seed}",
                    f"{score.level.value:.2f}",
                    shown(score.over_rule, digits=3),
                ]
                for score in learned
            ],
            3,
        ),
    ]
