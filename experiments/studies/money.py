"""Claim (c): a technical fee of 0.6 % and platform-funded coupons - who pays, who gains, and when
the platform earns it back.

The same merchants with the same budgets, coupon budgets and ROI targets play under every
arrangement. Four answers are told apart: the plan stays what it was (pure incidence), the merchant
puts the saved fee into ads, and the merchant chooses its plan again, for its score or for its
profit.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...envs import Scenario, Setting, load_scenario
from ..analysis.statistics import Interval
from ..runs.evaluate import TEST_SEED
from .arenas.accounts import ACCOUNTS, accounts
from .arenas.arena import Arena, Plans
from .arenas.hindsight import grid_search, profit, score
from .outputs import Size, shown, spread, table, write_study
from .paired import paired_iqm, paired_total
from .pictures import money_figure
from .unified import LEVERS

BEFORE = "fee 3 %"
ARRANGEMENTS: dict[str, dict[str, Any]] = {
    BEFORE: {"regime": {"low_fee": False}},
    "fee 0.6 %": {"regime": {"low_fee": True}},
    "coupons 0 % platform": {"regime": {"low_fee": False}, "coupon": {"platform_share": 0.0}},
    "coupons 30 % platform": {"regime": {"low_fee": False}, "coupon": {"platform_share": 0.3}},
    "coupons 50 % platform": {"regime": {"low_fee": False}, "coupon": {"platform_share": 0.5}},
    "fee 0.6 % and coupons 50 %": {"regime": {"low_fee": True}, "coupon": {"platform_share": 0.5}},
}
SAME = "same plan"
SCORE = "chosen again for score"
PROFIT = "chosen again for profit"
INVEST = "saved fee into ads"
ANSWERS = (SAME, INVEST, SCORE, PROFIT)


class Played(NamedTuple):
    """One scenario: figures of every arrangement and answer, and the accounts before that each is
    compared with.
    """

    plans: dict[str, dict[str, Plans]]  # arrangement -> answer -> figures
    before: dict[str, Plans]  # answer -> figures under BEFORE


def study_money(folder: Path, size: Size, on_progress: Callable[[str], None]) -> str:
    """Run the study into `folder`; returns the text of results.md."""
    began = time.monotonic()
    played: dict[str, Played] = {}
    for name in size.scenarios:
        on_progress(f"money: {name}, {size.episodes} merchants, {size.days} days")
        played[name] = play_arrangements(load_scenario(name), size.days, size.episodes, size)
    rows = [row for name, result in played.items() for row in _rows(name, result)]
    found = {
        name: {
            label: {answer: changes(result, label, answer) for answer in result.plans[label]}
            for label in result.plans
        }
        for name, result in played.items()
    }
    money_figure(found, list(ARRANGEMENTS)[-1], folder / "money.png")
    text = _text(played, size)
    write_study(folder, text, rows, size, "money", began, list(played))
    return text


def play_arrangements(scenario: Scenario, days: int, episodes: int, size: Size) -> Played:
    """Every arrangement and answer on the test merchants of one scenario."""
    seeds = np.arange(TEST_SEED, TEST_SEED + episodes)
    arenas = {
        label: Arena(Setting(scenario.updated(change), LEVERS, days), seeds, scenario)
        for label, change in ARRANGEMENTS.items()
    }
    base = np.zeros((episodes, len(LEVERS)), np.float32)
    found = {
        label: grid_search(arena, base, [score, profit], size.effort)
        for label, arena in arenas.items()
    }
    kept = found[BEFORE][0]
    before = {
        SAME: kept.plans,
        INVEST: kept.plans,
        SCORE: kept.plans,
        PROFIT: found[BEFORE][1].plans,
    }
    plans: dict[str, dict[str, Plans]] = {}
    for label, arena in arenas.items():
        if label == BEFORE:
            continue
        same = arena.hold(kept.action)
        plans[label] = {SAME: same, SCORE: found[label][0].plans, PROFIT: found[label][1].plans}
        saved = kept.plans["service_fee"] - same["service_fee"]
        if scenario.updated(ARRANGEMENTS[label]).fee_rate < arenas[BEFORE].scenario.fee_rate:
            richer = Arena(arena.setting, seeds, scenario)
            richer.add_budget(100 * np.maximum(saved, 0))
            plans[label][INVEST] = grid_search(richer, base, [score], size.effort)[0].plans
    return Played(plans, before)


def changes(result: Played, label: str, answer: str) -> dict[str, Interval]:
    """Change of every account against before, as a share of settled GMV before (totals)."""
    after = accounts(result.plans[label][answer])
    before = accounts(result.before[answer])
    unit = result.before[answer]["settled_gmv"]
    return {name: paired_total(after[name], before[name], unit) for name in ACCOUNTS}


def break_even(result: Played, label: str) -> tuple[float, dict[str, float]]:
    """Growth of a plan's whole business at which the platform's take is what it was, and growth of
    settled GMV with each answer.

    Both as shares of before. Needed is take(before) / take(same plan) - 1: at an unchanged plan the
    platform's take is proportional to the size of the business.
    """
    take_before = result.before[SAME]["platform_take"].sum()
    take_same = result.plans[label][SAME]["platform_take"].sum()
    grown = {
        answer: float(plans["settled_gmv"].sum() / result.before[answer]["settled_gmv"].sum() - 1)
        for answer, plans in result.plans[label].items()
    }
    return float(take_before / take_same - 1), grown


def _rows(name: str, result: Played) -> list[dict[str, Any]]:
    rows = []
    for label, found in result.plans.items():
        needed, grown = break_even(result, label)
        for answer, plans in found.items():
            row: dict[str, Any] = {
                "scenario": name,
                "arrangement": label,
                "answer": answer,
                "episodes": len(plans["score"]),
            }
            for account, interval in changes(result, label, answer).items():
                row |= spread(account, interval)
            before = result.before[answer]
            for figure in ("settled_gmv", "spend", "service_fee", "platform_coupon"):
                row |= spread(
                    figure, paired_total(plans[figure], before[figure], before["settled_gmv"])
                )
            row |= spread("score", paired_iqm(plans["score"], before["score"], before["score"]))
            row |= {
                "growth": grown[answer],
                "growth_to_break_even": needed,
                "violated": float(plans["violated"].mean()),
            }
            rows.append(row)
    return rows


def _text(played: Mapping[str, Played], size: Size) -> str:
    parts = [
        "# Fee and platform-funded coupons: who gains",
        f"{size.days} days, {size.episodes} merchants per market with the same budgets, coupon "
        "budgets, ROI targets and "
        "random numbers. Change of each account against a fee of 3 % and 20 % platform-funded "
        "coupons, per cent of "
        "settled GMV before, totals [95 % bootstrap interval]. "
        "Platform: ad spend + fees - its coupons. Growth: change of settled GMV; "
        "needed: growth of the whole business at which the platform's take would be what it was.",
    ]
    for name, result in played.items():
        lines = []
        for label, found in result.plans.items():
            needed, grown = break_even(result, label)
            for answer in (a for a in ANSWERS if a in found):
                change = changes(result, label, answer)
                lines.append(
                    [
                        label,
                        answer,
                        *(shown(change[a], 100) for a in ACCOUNTS[:3]),
                        f"{100 * grown[answer]:+.1f} %",
                        f"{100 * needed:+.1f} %",
                    ]
                )
        parts += [
            f"## {name}",
            table(["arrangement", "answer", *ACCOUNTS[:3], "growth", "needed"], lines, 2),
        ]
    return "\n\n".join(parts)
