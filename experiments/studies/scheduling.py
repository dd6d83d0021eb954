"""Claim (a) where pools can be scheduled: what a plan gains by moving free traffic over scenes,
pools and hours, beside the three switches of the unified market.

Merchants, budgets, targets and random numbers are those of `unlike_merchants` in every world.
`Same plan` holds the dual track's best constant plan; `best constant` is found anew in each world,
the levers of free traffic with it where there are any; PID was tuned in the dual track, and
schedules free traffic by what the reports show of it where it can.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...envs import Scenario, Setting, load_scenario, select_levers, unit_of
from ...envs.interface.levers import LEVER_SETS
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from .arenas.arena import Arena, Plans
from .arenas.hindsight import Held, grid_search, plan_knobs, refine, score
from .arenas.tuning import play_rule, tune
from .outputs import Size, shown, sign, spread, table, write_study
from .paired import paired_iqm, paired_total
from .pictures import scheduling_figure
from .unified import LEVERS

MARKET = "unlike_merchants"
APART = {"pools_scheduled": False, "incremental_ads": None, "coupons_everywhere": None}
DUAL: dict[str, Any] = APART | {"preset": "dual_track", "low_fee": None}
UNIFIED: dict[str, Any] = APART | {"preset": "unified", "low_fee": None}
WORLDS: dict[str, dict[str, Any]] = {
    "dual track": DUAL,
    "incremental ads": DUAL | {"incremental_ads": True},
    "coupons everywhere": DUAL | {"coupons_everywhere": True},
    "low fee": DUAL | {"low_fee": True},
    "pools scheduled": DUAL | {"pools_scheduled": True},
    "unified, pools apart": UNIFIED,
    "unified": UNIFIED | {"pools_scheduled": True},
}
SAME, HINDSIGHT, RULE = "same plan", "best constant", "PID"


def study_scheduling(folder: Path, size: Size, on_progress: Callable[[str], None]) -> str:
    """Run the study into `folder`; returns the text of results.md."""
    began = time.monotonic()
    scenario = load_scenario(MARKET)
    count = size.episodes * 2
    seeds = np.arange(TEST_SEED, TEST_SEED + count)
    arenas = {name: _arena(scenario, name, seeds, size.days) for name in WORLDS}
    on_progress(f"scheduling: tuning {RULE} in the dual track")
    training = _arena(scenario, "dual track", np.arange(size.training_merchants), size.days, True)
    parameters = tune(RULE, training, size.rounds)
    kept: Held | None = None
    plans: dict[str, dict[str, Plans]] = {}
    for name, arena in arenas.items():
        on_progress(f"scheduling: {name}, {count} merchants, {size.days} days")
        best, plain = _best_constant(arena, size)
        kept = kept or plain
        plans[name] = {
            SAME: arena.hold(_widened(arena, kept.action)),
            HINDSIGHT: best.plans,
            RULE: play_rule(RULE, arena, parameters),
        }
    noop = arenas["dual track"].noop()
    rows = [
        {"world": world, "agent": agent, **_figures(world, agent, plans, noop)}
        for world in WORLDS
        for agent in plans[world]
    ]
    text = _text(plans, noop, size, count)
    scheduling_figure(_effects(rows), MARKET, folder / "scheduling.png")
    write_study(folder, text, rows, size, "scheduling", began, [MARKET], rules={RULE: parameters})
    return text


def _effects(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Interval]]:
    """Agent -> world -> gain over the dual track, from rows of results.csv."""
    found: dict[str, dict[str, Interval]] = {}
    for row in rows:
        if row["world"] != "dual track":
            gain = Interval(*(float(row[name]) for name in ("gain", "gain_low", "gain_high")))
            found.setdefault(row["agent"], {})[row["world"]] = gain
    return found


def _arena(
    scenario: Scenario, world: str, seeds: np.ndarray, days: int, training: bool = False
) -> Arena:
    """The market's merchants in one of the WORLDS, with the levers that act there."""
    changed = scenario.updated({"regime": WORLDS[world]})
    levers = list(LEVERS)
    if changed.regime.pools_scheduled:
        levers += LEVER_SETS["pools"]
    setting = Setting(changed, select_levers(levers), days, "train" if training else "test")
    return Arena(setting, seeds, scenario)


def _widened(arena: Arena, action: np.ndarray) -> np.ndarray:
    """A plan of bids and coupons, (n, 7), with the levers of free traffic at 0 where there are
    some.
    """
    whole = np.zeros((len(action), len(arena.levers)), np.float32)
    whole[:, [arena.column[lever] for lever in LEVERS]] = action
    return whole


def _best_constant(arena: Arena, size: Size) -> tuple[Held, Held]:
    """Each merchant's best constant plan in hindsight, and that with free traffic left alone."""
    base = np.zeros((arena.count, len(arena.levers)), np.float32)
    plain = grid_search(arena, base, [score], size.effort)[0]
    own = Held(plain.action[:, [arena.column[lever] for lever in LEVERS]], plain.plans)
    free = [name for name in arena.levers if name.startswith(("mix_", "pace_"))]
    if not free:
        return plain, own
    knobs = plan_knobs(arena) | {name: [name] for name in free}
    return refine(arena, plain, knobs, score, size.effort.rounds + 1, bid_step=0.4), own


def _figures(
    world: str, agent: str, plans: dict[str, dict[str, Plans]], noop: Plans
) -> dict[str, Any]:
    """What an agent reaches in a world, and what it gains there over the dual track."""
    own, before, unit = plans[world][agent], plans["dual track"][agent], unit_of(noop)
    return {
        **spread("score", paired_iqm(own["score"], 0 * unit, unit)),
        **spread("gain", paired_iqm(own["score"], before["score"], unit)),
        **spread(
            "settled_gmv",
            paired_total(own["settled_gmv"], before["settled_gmv"], before["settled_gmv"]),
        ),
        **spread("profit", paired_total(own["profit"], before["profit"], before["settled_gmv"])),
        "violated": float(own["violated"].mean()),
    }


def _text(plans: dict[str, dict[str, Plans]], noop: Plans, size: Size, count: int) -> str:
    unit = unit_of(noop)

    def gain(world: str, agent: str, over: str = "dual track") -> Interval:
        return paired_iqm(plans[world][agent]["score"], plans[over][agent]["score"], unit)

    level = {
        agent: paired_iqm(own["score"], 0 * unit, unit)
        for agent, own in plans["dual track"].items()
    }
    lines = [
        [world, *(shown(gain(world, agent)) for agent in level)]
        for world in WORLDS
        if world != "dual track"
    ]
    worth = [
        [
            agent,
            shown(gain("pools scheduled", agent)),
            shown(gain("unified", agent, "unified, pools apart")),
        ]
        for agent in level
    ]
    alone, together = (
        gain("pools scheduled", HINDSIGHT),
        gain("unified", HINDSIGHT, "unified, pools apart"),
    )
    return "\n\n".join(
        [
            "# What scheduling pools together is worth",
            f"Gain in score over the dual track, in the unit of doing nothing; {count} test "
            f"merchants of `{MARKET}`, {size.days} days, the same budgets, ROI targets and random "
            "numbers in every world. Inter-quartile mean of paired differences [95 % bootstrap "
            "interval]. In the dual track: "
            + ", ".join(f"{agent} {one.value:.2f}" for agent, one in level.items())
            + ".",
            table(["world", *level], lines),
            "Scheduling alone: pools scheduled against pools apart, the switches off or on.",
            table(["agent", "in the dual track", "in the unified market"], worth),
            f"Verdict, best constant plan in hindsight: scheduling {sign(alone)} in the dual track "
            f"and {sign(together)} in the unified market.",
        ]
    )
