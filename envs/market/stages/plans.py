"""Several plans of one merchant in one episode: books are closed, and opened anew (world 2.12).

What is on its way stays and is booked in the plan in which it arrives. A plan's results count it at
its expected value when the plan ends, and the next plan's results begin with that value taken off,
so nothing counts twice and the plans' results sum to the episode's.
"""

import numpy as np

from ...kernels.compiled import kernel
from ...kernels.numerics import HALF, ONE, exp32, normal_quantile
from ...kernels.streams import SLOT_PLAN, episode_key, fill_row, tick_key
from .. import layout as rows
from ..score import TOLERANCE, score, target_met
from .ledger import accrue, accrued_roi

F = np.float32
LEAST_BUDGET = 100.0  # fen
LEAST_TARGET = 0.05


@kernel
def plan_tick(world, state):
    """Ticks of the plan in force that have been played; at the episode's end all of its last."""
    return state.tick - state.plan * world.plan_ticks


@kernel
def empty_books(state):
    """Nothing spent, placed or shown by the plan; what is on its way is left as it is."""
    state.ledger[:] = 0.0
    state.accrued[:] = 0.0
    state.scene_spend[:] = 0.0
    state.day_spend, state.boost_spend, state.coupon_committed = 0.0, 0.0, 0.0
    state.placed, state.refunded_orders = 0.0, 0.0
    state.impressions[:], state.clicks[:], state.orders[:] = 0.0, 0.0, 0.0
    state.gmv[:], state.coupon[:], state.refunded[:] = 0.0, 0.0, 0.0


@kernel
def start_season(state, merchant):
    """The first plan has the merchant's own budgets and target, and no plan came before it."""
    state.plan = 0
    state.budget, state.coupon_budget = merchant.budget, merchant.coupon_budget
    state.roi_target = merchant.roi_target
    state.opening[:] = 0.0
    state.season_ledger[:] = 0.0
    state.season_accrued[:] = 0.0
    state.season_scene_spend[:] = 0.0
    state.season_budget, state.season_coupon_budget, state.season_roi_target = 0.0, 0.0, 0.0
    state.season_boost_spend, state.season_refunded_orders = 0.0, 0.0
    state.season_score, state.season_shortfall, state.season_violated = 0.0, 0.0, 0.0
    state.season_impressions[:], state.season_clicks[:] = 0.0, 0.0
    state.season_orders[:], state.season_gmv[:] = 0.0, 0.0
    state.season_coupon[:], state.season_refunded[:] = 0.0, 0.0


@kernel
def close_plan(world, state):
    """Add what the plan has brought to the season."""
    target = np.float64(state.roi_target)
    value, cost = accrued_roi(world, state)
    met = target_met(value, cost, target)
    state.season_score += score(state.accrued[rows.A_SETTLED], value, cost, target)
    state.season_shortfall += 1.0 - met
    state.season_violated += 1.0 if met < TOLERANCE else 0.0
    state.season_budget += state.budget
    state.season_coupon_budget += state.coupon_budget
    state.season_roi_target += target
    state.season_boost_spend += state.boost_spend
    state.season_refunded_orders += state.refunded_orders
    state.season_ledger[:] += state.ledger
    state.season_accrued[:] += state.accrued
    state.season_scene_spend[:] += state.scene_spend
    state.season_impressions[:] += state.impressions
    state.season_clicks[:] += state.clicks
    state.season_orders[:] += state.orders
    state.season_gmv[:] += state.gmv
    state.season_coupon[:] += state.coupon
    state.season_refunded[:] += state.refunded


@kernel
def draw_terms(world, state, merchant, lane):
    """Budget, coupon budget and target of the plan that begins, from the stream that the merchant
    came from: neither actions nor noise move them, in whatever stream the noise is drawn.
    """
    key = episode_key(state.seed, state.episode, world.split)
    fill_row(tick_key(key, state.tick), SLOT_PLAN, lane, rows.UNIFORM)
    spread = world.plan_budget_sd
    deviation = spread * normal_quantile(lane.rows[rows.UNIFORM, 0])
    factor = np.float64(exp32(deviation - HALF * spread * spread))
    state.budget = max(np.floor(merchant.budget * factor), LEAST_BUDGET)
    state.coupon_budget = np.floor(merchant.coupon_budget * factor)
    share = lane.rows[rows.UNIFORM, rows.N_LANES // 2]
    target = world.plan_target_low * (ONE - share) + world.plan_target_high * share
    state.roi_target = max(merchant.roi_target * target, F(LEAST_TARGET))


@kernel
def next_plan(plan, lane):
    """Close the plan's books and open the next one's, with new budgets and a new target."""
    world, merchant, _, state = plan
    close_plan(world, state)
    # what the tick moved stays the difference to the ledger before it
    state.last_ledger[:] -= state.ledger
    empty_books(state)
    state.opening[:] = 0.0
    accrue(world, state, 1.0 - np.float64(merchant.margin))
    state.opening[:] = state.accrued
    state.accrued[:] = 0.0
    draw_terms(world, state, merchant, lane)
    state.plan += 1
