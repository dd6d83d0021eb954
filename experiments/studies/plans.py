"""Claim (b): one super plan against four per-scene plans, with the gain of coordination taken
apart.

A super plan differs from four plans in two ways: its budget flows to whatever scene can use it, and
its ROI target is met on average, so that a good scene may carry another. Both are switched on and
off by themselves for plans that are best in hindsight, each with its own constant bid per scene, so
that neither side loses by bad control. Rules without hindsight stand beside them.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...envs import Scenario, Setting, load_scenario, select_levers
from ...envs.market.score import score as plan_score
from ...envs.scenario import POOLS, SCENES
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from .arenas.arena import Arena, Plans
from .arenas.hindsight import Held, Objective, grid_search, refine, scene_knobs, score
from .arenas.tuning import play_rule, tune
from .outputs import Size, shown, spread, table, write_study
from .paired import paired_iqm, paired_mean, paired_total
from .pictures import plans_figure

LEVERS = select_levers(
    [f"{lever}_{s}" for lever in ("bid", "share") for s in SCENES] + [f"coupon_{p}" for p in POOLS]
)
SUPER = "super plan"
FLOW_ONLY = "budget flows, own targets"
AVERAGE_ONLY = "fixed split, one target"
FOUR = "four plans"
ONE_BID = "super plan, one bid for all scenes"
CORNERS = (SUPER, FLOW_ONLY, AVERAGE_ONLY, FOUR)
RULES = ("PID", "DualMirrorDescent")
# bids of scenes may part far from the plan's
SCENE_STEP = 0.32
SCENE_ROUNDS = 4
DIFFERENCES = (0.0, 0.25, 0.5)  # merchants.scene_sd: how unlike the scenes of a merchant are
STEPS = {
    "one target": (AVERAGE_ONLY, FOUR),
    "then one budget": (SUPER, AVERAGE_ONLY),
    "both": (SUPER, FOUR),
    "one budget alone": (FLOW_ONLY, FOUR),
}


class Played(NamedTuple):
    """One scenario: figures of every arm, of doing nothing, and the split that the four plans were
    given.
    """

    plans: dict[str, Plans]
    noop: Plans
    split: np.ndarray  # (4,) shares of the budget
    rules: dict[str, dict[str, float]]  # parameters that tuning found


def study_plans(folder: Path, size: Size, on_progress: Callable[[str], None]) -> str:
    """Run the study into `folder`; returns the text of results.md."""
    began = time.monotonic()
    played: dict[str, Played] = {}
    for name in size.scenarios:
        on_progress(f"plans: {name}, {size.episodes} merchants, {size.days} days")
        played[name] = play_plans(load_scenario(name), size.days, size.episodes, size)
    doses = []
    for sd in DIFFERENCES:
        on_progress(f"plans: default with merchants.scene_sd = {sd:g}")
        world = load_scenario("default", {"merchants": {"scene_sd": sd}})
        doses.append(
            (sd, gains(play_plans(world, size.days, max(size.episodes // 2, 4), size, rules=False)))
        )
    rows = [row for name, result in played.items() for row in _rows(name, result)]
    rows += [
        {"scenario": "default", "scene_sd": sd, "gain_of": part, **spread("score", interval)}
        for sd, found in doses
        for part, interval in found.items()
    ]
    plans_figure(
        {name: (gains(result), rule_gains(result)) for name, result in played.items()},
        doses,
        folder / "plans.png",
    )
    text = _text(played, doses, size)
    write_study(
        folder,
        text,
        rows,
        size,
        "plans",
        began,
        list(played),
        rules={name: result.rules for name, result in played.items()},
    )
    return text


def play_plans(
    scenario: Scenario, days: int, episodes: int, size: Size, rules: bool = True
) -> Played:
    """The four corners, one bid for all, and, if wanted, the rules, on the test merchants of one
    scenario.
    """
    arena = Arena(Setting(scenario, LEVERS, days), np.arange(TEST_SEED, TEST_SEED + episodes))
    split = usual_split(scenario, days, max(episodes // 2, 4), size)
    one = grid_search(arena, open_action(arena), [score], size.effort)[0]
    plans = {
        SUPER: own_bids(arena, one, score).plans,
        FLOW_ONLY: own_bids(arena, one, OWN_TARGETS).plans,
    }
    split_start = with_split(arena, one, split)
    plans |= {
        AVERAGE_ONLY: own_bids(arena, split_start, score).plans,
        FOUR: own_bids(arena, split_start, OWN_TARGETS).plans,
        ONE_BID: one.plans,
    }
    if not rules:
        return Played(plans, arena.noop(), split, {})
    setting = Setting(scenario, LEVERS, days, "train")
    training = Arena(setting, np.arange(size.training_merchants))
    shares = {f"share_{scene}": float(part) for scene, part in zip(SCENES, split, strict=True)}
    free = {f"cap_{scene}": 1.0 for scene in SCENES}
    tuned = {
        name: tune(name, training, size.rounds, fixed)
        for name, fixed in {**dict.fromkeys(RULES, free), "FourPlans": shares}.items()
    }
    plans |= {name: play_rule(name, arena, parameters) for name, parameters in tuned.items()}
    return Played(plans, arena.noop(), split, tuned)


def usual_split(scenario: Scenario, days: int, episodes: int, size: Size) -> np.ndarray:
    """Shares of ad spend by scene, (4,), of super plans that are best in hindsight, over training
    merchants: what a well advised merchant who cannot see its own week would give to four plans.
    """
    arena = Arena(Setting(scenario, LEVERS, days, "train"), np.arange(episodes))
    best = own_bids(arena, grid_search(arena, open_action(arena), [score], size.effort)[0], score)
    spend = np.array([best.plans[f"spend_{scene}"].sum() for scene in SCENES])
    return spend / max(spend.sum(), 1e-9)


def open_action(arena: Arena) -> np.ndarray:
    """Default levers with every scene free to spend the whole budget, (n, levers)."""
    action = np.zeros((arena.count, len(arena.levers)), np.float32)
    action[:, [arena.column[f"share_{scene}"] for scene in SCENES]] = 1.0
    return action


def with_split(arena: Arena, held: Held, split: np.ndarray) -> Held:
    """The same plan with a scene's spending limited to its share of the budget."""
    action = held.action.copy()
    default = arena.scenario.constraints.scene_share
    for scene, part in zip(SCENES, split, strict=True):
        up = part > default
        action[:, arena.column[f"share_{scene}"]] = (part - default) / (
            1 - default if up else default
        )
    return Held(action, arena.hold(action))


def own_bids(arena: Arena, start: Held, objective: "Objective | dict[str, Objective]") -> Held:
    """A constant bid for each scene; coupons stay as they are, so that every arm has the same."""
    return refine(arena, start, scene_knobs(arena), objective, SCENE_ROUNDS, SCENE_STEP)


def scene_score(scene: str) -> Objective:
    """Score of a scene as a plan of its own: its settled GMV of all pools against its spend and its
    part of the other costs.

    Commission, coupons, creatives and services are shared out by settled GMV, so the scenes' costs
    sum to the plan's.
    """

    def goal(plans: Plans) -> np.ndarray:
        settled = plans[f"settled_gmv_{scene}"]
        others = (plans["overall_cost"] - plans["spend"]) / np.maximum(plans["settled_gmv"], 1e-9)
        cost = plans[f"spend_{scene}"] + others * settled
        return plan_score(settled, settled, cost, plans["roi_target"])

    return goal


OWN_TARGETS: dict[str, Objective] = {f"bid_{scene}": scene_score(scene) for scene in SCENES}


def gains(result: Played) -> dict[str, Interval]:
    """What each part of coordination gains for plans best in hindsight, in scores of doing
    nothing.
    """
    unit = result.noop["score"]
    return {
        part: paired_mean(result.plans[after]["score"], result.plans[before]["score"], unit)
        for part, (after, before) in STEPS.items()
    }


def rule_gains(result: Played) -> dict[str, Interval]:
    """What one plan steered by a rule gains over four plans steered by FourPlans."""
    unit = result.noop["score"]
    four = result.plans["FourPlans"]["score"]
    return {name: paired_iqm(result.plans[name]["score"], four, unit) for name in RULES}


def _rows(name: str, result: Played) -> list[dict[str, Any]]:
    rows = []
    for arm, plans in result.plans.items():
        before = result.plans["FourPlans" if arm in RULES else FOUR]
        row: dict[str, Any] = {"scenario": name, "arm": arm, "episodes": len(plans["score"])}
        row |= spread("level", paired_iqm(plans["score"], 0 * plans["score"], result.noop["score"]))
        row |= spread("score", paired_iqm(plans["score"], before["score"], result.noop["score"]))
        for figure in ("settled_gmv", "spend", "profit"):
            row |= spread(
                figure, paired_total(plans[figure], before[figure], before["settled_gmv"])
            )
        row |= {
            "violated": float(plans["violated"].mean()),
            "budget_use": float(plans["budget_use"].mean()),
        }
        rows.append(
            row
            | {
                f"spend_{scene}": float(plans[f"spend_{scene}"].sum() / plans["spend"].sum())
                for scene in SCENES
            }
        )
    return rows


def _text(
    played: dict[str, Played], doses: list[tuple[float, dict[str, Interval]]], size: Size
) -> str:
    return "\n\n".join(
        [
            "# One super plan against four per-scene plans",
            f"{size.days} days, {size.episodes} merchants per market, the same budget, target and "
            "random numbers. Scores in scores of "
            "doing nothing, inter-quartile means; differences are paired [95 % bootstrap "
            "interval].",
            "Best constant bids in hindsight, coupons the same in every arm. `Fixed split`: each "
            "scene has the share of the budget "
            f"(last column, per cent: {' / '.join(SCENES)}) that the best plans of training "
            "merchants spend there; `own targets`: each "
            "scene's bid maximises that scene's own score.",
            _levels_table(played),
            "What coordination gains, of the same, means over merchants so that the first two sum "
            "to `both`. `One target`: fixed "
            "split, the plan's ROI instead of each scene's own; `then one budget`: the split goes "
            "too; `one budget alone`: the split "
            "goes, the scenes' own targets stay. `Own bid per scene`: the super plan over one bid "
            "for all scenes.",
            _gains_table(played),
            "Without hindsight: one plan under a rule against four plans under FourPlans with the "
            "split above; every rule tuned by "
            "this study, by the same search, on training merchants of the market.",
            _rules_table(played),
            "The default market with scenes that differ more or less from merchant to merchant "
            "(`merchants.scene_sd`; shipped: 0.25).",
            table(
                ["scene_sd", *STEPS],
                [
                    [f"{sd:g}", *(shown(gain, digits=3) for gain in found.values())]
                    for sd, found in doses
                ],
            ),
        ]
    )


def _level(result: Played, arm: str) -> str:
    """An arm's score, in scores of doing nothing."""
    unit = result.noop["score"]
    return f"{paired_iqm(result.plans[arm]['score'], 0 * unit, unit).value:.3f}"


def _levels_table(played: dict[str, Played]) -> str:
    """Scores of plans best in hindsight, and the split of the budget."""
    lines = []
    for name, result in played.items():
        split = " / ".join(f"{100 * part:.0f}" for part in result.split)
        lines.append([name, *(_level(result, arm) for arm in (*CORNERS, ONE_BID)), split])
    return table(["market", *CORNERS, "one bid", "split"], lines)


def _gains_table(played: dict[str, Played]) -> str:
    """What each part of coordination gains, and a bid for each scene."""
    lines = []
    for name, result in played.items():
        unit = result.noop["score"]
        own = paired_mean(result.plans[SUPER]["score"], result.plans[ONE_BID]["score"], unit)
        lines.append([name, *(shown(gain, digits=3) for gain in (*gains(result).values(), own))])
    return table(["market", *STEPS, "own bid per scene"], lines)


def _rules_table(played: dict[str, Played]) -> str:
    """One plan steered by a rule against four steered by FourPlans."""
    header = [
        "market",
        *RULES,
        "FourPlans",
        *(f"{rule} over FourPlans" for rule in RULES),
        "PID violates",
        "FourPlans violates",
    ]
    lines = [
        [
            name,
            *(_level(result, arm) for arm in (*RULES, "FourPlans")),
            *(shown(gain, digits=3) for gain in rule_gains(result).values()),
            *(
                f"{100 * result.plans[arm]['violated'].mean():.0f} %"
                for arm in ("PID", "FourPlans")
            ),
        ]
        for name, result in played.items()
    ]
    return table(header, lines)
