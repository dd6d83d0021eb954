"""Names of everything the compiled engine keeps: lanes, rows, lines and the records of a market.

A *lane* is one (pool, segment, scene), ordered so that the scene runs fastest: c = pool * 16 +
segment * 4 + scene. A *group* is (pool, scene): g = pool * 4 + scene. With this order sums over
segments and spreads from scenes are contiguous vector loops, and the ad lanes are the last sixteen.
"""

from typing import Any, NamedTuple

import numpy as np

from ..interface.levers import LEVER_NAMES
from ..scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS, WINDOWS

N_POOLS = len(POOLS)
N_FREE_POOLS = len(FREE_POOLS)
N_SEGMENTS = len(SEGMENTS)
N_SCENES = len(SCENES)
N_TIERS = len(TIERS)
N_WINDOWS = len(WINDOWS)
BLOCK = N_SEGMENTS * N_SCENES
N_LANES = N_POOLS * BLOCK
N_GROUPS = N_POOLS * N_SCENES
AD = N_FREE_POOLS * BLOCK  # first ad lane
AD_GROUP = N_FREE_POOLS * N_SCENES  # first ad group
NATURAL, TRANSACTION, PAID = range(N_POOLS)
HOT, TRENDING, POTENTIAL = range(N_TIERS)

# Rows of `cells`, (CELL_ROWS, 48) float32: a merchant's own constants.
(
    TRAFFIC,  # opportunities per tick on an average hour of an average day
    EXPOSURE,  # exposure logit of free lanes at quality 0 and supply 0
    CLICK,  # click logit without creative appeal and pressure
    ORDER,  # order logit without coupon, tier and service terms
    RESPONSE,  # coupon response beta
    REDEMPTION,  # share of buyers who redeem a very deep coupon
    REFUND,  # refund logit before depth, tier and services
    VALUE,  # fen per order before the tier factor
    PRICE_MU,  # ad lanes: mean of ln Z, Z in CNY per thousand
    PRICE_SIGMA,  # ad lanes: standard deviation of ln Z
    PREDICTION,  # ad lanes: predicted over true value, a factor
) = range(11)
CELL_ROWS = 11

# Rows of `lane`, (LANE_ROWS, 48) float32: work space of one tick.
(
    MEAN_SEEN,
    MEAN_CLICKED,
    MEAN_ORDERED,
    MEAN_REDEEMED,  # means of the thinned counts
    SEEN,
    CLICKED,
    ORDERED,
    REDEEMED,  # their draws: {no click, no order, plain order, coupon order}
    UNIFORM,
    UNIFORM_2,
    UNIFORM_3,
    UNIFORM_4,
    FACTOR,
    APPEAL,
    DEPTH,
    CTR,
    CVR,
    RISK,
    USE,
    PRICE,
    WIN,
    PAY,
    OFFER,
    LIFT,
    TERM,
    TERM_2,
    TERM_3,
    TERM_4,
    REST,
    REST_2,
    REST_3,
    REST_4,
    SMALL,
    SMALL_COUNT,
    SHOWN,
    CLICKS,
    SOLD,  # impressions, clicks and orders, sums of the draws
    URGE,  # what tiers, services, calendar and hour add to the order logit
) = range(38)
LANE_ROWS = 38
N_OUTCOMES = 4

# Lines of an order on its way (pending) and of refunds: orders and whole fen.
ORDERS, GMV, COUPON, COMMISSION, EXTRAS, AT_RISK = range(6)
PENDING_LINES = 6
N_DELAYS = 2
# Lines of a refund compartment, whole fen.
R_GMV, R_COUPON, R_COUPON_MERCHANT, R_COMMISSION, R_FEE, R_GOODS = range(6)
REFUND_LINES = 6

# Lines of the ledger, cumulative over the plan, whole fen.
(
    L_SPEND,
    L_GMV,
    L_COUPON_MERCHANT,
    L_COUPON_PLATFORM,
    L_USER_PAID,
    L_COMMISSION,
    L_FEE,
    L_GOODS,
    L_EXTRAS,
    L_SERVICE,
    L_CREATIVE,
    L_REBATE,
    L_PROTECTION,
    L_REFUND_GMV,
    L_REFUND_COUPON_MERCHANT,
    L_REFUND_COUPON_PLATFORM,
    L_REFUND_USER_PAID,
    L_REFUND_COMMISSION,
    L_REFUND_FEE,
    L_REFUND_GOODS,
    L_SETTLED_REFUND_GMV,
    L_SETTLED_REFUND_COUPON,
    L_SETTLED_REFUND_COMMISSION,
) = range(23)
LEDGER_LINES = 23
LEDGER_NAMES = (
    "spend",
    "gmv",
    "coupon_merchant",
    "coupon_platform",
    "user_paid",
    "commission",
    "fee",
    "goods",
    "extras",
    "service",
    "creative",
    "rebate",
    "protection",
    "refund_gmv",
    "refund_coupon_merchant",
    "refund_coupon_platform",
    "refund_user_paid",
    "refund_commission",
    "refund_fee",
    "refund_goods",
    "settled_refund_gmv",
    "settled_refund_coupon",
    "settled_refund_commission",
)

# What has been earned so far when everything on its way is counted at its expected value, fen.
A_SETTLED, A_GMV, A_COST, A_PROFIT, A_PLATFORM = range(5)
ACCRUED = 5

# Levers, in the order of the environment's actions when all are controlled. Those of scenes, pools,
# segments and tiers stand together, and the name is that of the first.
_lever = LEVER_NAMES.index
LEVER_BID = _lever("bid")
LEVER_SCENE_BID = _lever(f"bid_{SCENES[0]}")
LEVER_SHARE = _lever(f"share_{SCENES[0]}")
LEVER_COUPON = _lever(f"coupon_{POOLS[0]}")
LEVER_TILT = _lever(f"tilt_{SEGMENTS[0]}")
LEVER_CREATIVE = _lever("creative")
LEVER_COMMISSION_NATURAL = _lever("commission_natural")
LEVER_COMMISSION_AD = _lever("commission_ad")
LEVER_INSURANCE = _lever("insurance")
LEVER_INTEREST = _lever("interest_free")
LEVER_SERVICE = _lever("service")
LEVER_BOOST = _lever("boost")
LEVER_TIER = _lever(f"tier_{TIERS[0]}")
LEVER_MIX = _lever(f"mix_{SCENES[0]}")
LEVER_MIX_NATURAL = _lever("mix_natural")
LEVER_PACE = _lever(f"pace_{FREE_POOLS[0]}")
LEVER_DIVIDE = _lever(f"divide_{SCENES[0]}")
LEVER_SUBSIDY = _lever(f"subsidy_{POOLS[0]}")
LEVER_BUDGET_PACE = _lever("budget_pace")
LEVER_TARGET = _lever("target")
N_LEVERS = len(LEVER_NAMES)
LINEAR, LOGARITHMIC = range(2)  # how a lever maps [-1, 1] to its unit

# Rows of the calendar, one column per day: traffic factor, log price shift, order logit shift.
CALENDAR_TRAFFIC, CALENDAR_PRICE, CALENDAR_ORDER = range(3)
CALENDAR_ROWS = 3
# Rows of the clock: the time of day (one column per tick) and the weekday (seven columns).
HOUR_SIN, HOUR_COS, WEEKDAY_SIN, WEEKDAY_COS = range(4)
CLOCK_ROWS = 4
N_WEEKDAYS = 7

# A smoothed rate is kept as two smoothed sums, (2,): what happened, and out of how much.
HAPPENED, OUT_OF = range(2)

# States that jump: traffic and order rates of every scene, coupon response, refunds.
JUMP_TRAFFIC = 0
JUMP_ORDER = N_SCENES
JUMP_COUPON = 2 * N_SCENES
JUMP_REFUND = JUMP_COUPON + 1
N_JUMPS = JUMP_REFUND + 1

# Rows of `scene`, (SCENE_ROWS, 16) float32: work space per scene (first 4 entries) or for noise
# (all 16).
(
    S_TRAFFIC,
    S_APPEAL,
    S_BID,
    S_AUCTIONS,
    S_KEEP,
    S_SHOWN,
    S_NOISE,
    S_DISPERSION,
    S_SELECT,  # by free group: impressions over usual ones
    S_MATCH,  # by free group: their click rate over the usual one
) = range(10)
SCENE_ROWS = 10

# Rows of `group`, (GROUP_ROWS, 24) float64: work space per group (first 12 entries) or delay and
# group (all 24).
(
    G_IMPRESSIONS,
    G_CLICKS,
    G_ORDERS,
    G_GMV,
    G_COUPON,
    G_COMMISSION,
    G_EXTRAS,
    G_AT_RISK,
    G_IN_ORDERS,
    G_IN_GMV,
    G_IN_COUPON,
    G_IN_COMMISSION,
    G_IN_EXTRAS,
    G_IN_AT_RISK,
    G_SENT_BACK,
    G_SPEND,
    G_MATURED,
    G_RETURNS,  # arrivals that will be sent back
    G_LANE_GMV,
    G_LANE_GMV_2,
    G_LANE_COUPON,
    G_LANE_COUPON_2,
    G_LANE_AT_RISK,
    G_LANE_AT_RISK_2,  # 48 lanes in two rows
) = range(24)
GROUP_ROWS = 24

# A merchant's cells and the work arrays as the engine reads them, lane.rows[SEEN, c]; see
# `kernels.frame.record_at`.
CELL = np.dtype([("rows", "f4", (CELL_ROWS, N_LANES))])
LANE = np.dtype([("rows", "f4", (LANE_ROWS, N_LANES))])
SCENE = np.dtype([("rows", "f4", (SCENE_ROWS, 16))])
GROUP = np.dtype([("rows", "f8", (GROUP_ROWS, 24))])

STATE = np.dtype(
    [
        ("key", "u8"),  # stream of the episode
        ("path_key", "u8"),  # stream of the states that jump: the same, whatever else is drawn
        ("seed", "u8"),
        ("episode", "i8"),  # what the key was made of
        ("tick", "i4"),
        ("weekday", "i4"),
        ("calendar", "i4"),
        ("done", "i4"),
        ("plan", "i4"),  # plans that are over, 0 in an episode of one
        ("ledger", "f8", LEDGER_LINES),
        ("last_ledger", "f8", LEDGER_LINES),  # before the latest tick
        ("pending", "f8", (PENDING_LINES, N_DELAYS * N_GROUPS)),
        ("refunds", "f8", (N_WINDOWS, REFUND_LINES)),
        ("accrued", "f8", ACCRUED),
        ("opening", "f8", ACCRUED),  # of that, what was on its way when the plan began
        ("budget", "f8"),  # of the plan, fen
        ("coupon_budget", "f8"),
        ("roi_target", "f4"),
        ("scene_spend", "f8", N_SCENES),
        ("day_spend", "f8"),
        ("boost_spend", "f8"),
        ("coupon_committed", "f8"),
        ("impressions", "f8", N_GROUPS),
        ("clicks", "f8", N_GROUPS),
        ("orders", "f8", N_GROUPS),
        ("gmv", "f8", N_GROUPS),
        ("coupon", "f8", N_GROUPS),
        ("refunded", "f8", N_GROUPS),
        ("placed", "f8"),
        ("refunded_orders", "f8"),
        ("customers_waiting", "f8"),  # who have bought and kept it, and do not come back yet
        ("customers", "f8"),  # who come back
        ("left_over", "f8"),  # worth of the shop above its start, fen; 0 until the episode ends
        ("demand_shock", "f4", N_SCENES),
        ("price_shock", "f4", N_SCENES),
        ("jump", "f4", N_JUMPS),
        ("voice", "f4", N_SCENES),
        ("exposure", "f4", N_SCENES),
        ("pressure", "f4", N_SEGMENTS),
        ("quality", "f4", N_FREE_POOLS),
        ("held", "f4", (N_FREE_POOLS, N_SCENES)),  # of the day's usual impressions, not released
        ("supply", "f4"),
        # what the platform's predictor has learned of a scene's ads: orders reported and expected
        ("evidence_reported", "f4", N_SCENES),
        ("evidence_expected", "f4", N_SCENES),
        ("bid_in_force", "f4", N_SCENES),  # in the last tick; below 0 before the first
        # the platform's bidder: multipliers in force by scene, the one that holds the target,
        # coupon depths over the levers, coupons claimed in the last tick (the merchant pays, fen)
        ("pace_level", "f4", N_SCENES),
        ("cost_level", "f4"),
        ("depth_level", "f4", N_POOLS),
        # GMV that clicks let it expect, in all and still on its way (quick, slow); what it believes
        # of the plan's ROI, and what the last hours added to it, fen; their share of the traffic
        ("expected_gmv", "f8"),
        ("expected_waiting", "f8", N_DELAYS),
        ("opening_waiting", "f8"),  # what was on its way when the plan began
        ("believed_value", "f8"),
        ("believed_cost", "f8"),
        ("recent_value", "f8"),
        ("recent_cost", "f8"),
        ("recent_flow", "f8"),
        # the merchant's seat: what is in force (levers' units), whether the last tick edited it,
        # edits of the day, hours since the last one of the target, whether protection is void
        ("budget_told", "f4"),
        ("target_told", "f4"),
        ("budget_edited", "i4"),
        ("target_edited", "i4"),
        ("budget_edits", "i4"),
        ("target_edits", "i4"),
        ("target_age", "f4"),
        ("unprotected", "i4"),
        ("tick_claims", "f4", N_POOLS),
        ("heat", "f4", N_TIERS),
        # the shop as the dashboard shows it
        ("shown_quality", "f4", N_FREE_POOLS),
        ("shown_supply", "f4"),
        ("shown_heat", "f4", N_TIERS),
        ("creative_quality", "f4"),
        ("creative_progress", "f4"),
        ("creative_wait", "f4"),
        # what the dashboard shows of the last tick and, smoothed, of the last hours
        ("tick_spend", "f4", N_SCENES),
        ("tick_gmv", "f4", N_GROUPS),
        ("tick_impressions", "f4", N_GROUPS),
        ("tick_clicks", "f4", N_GROUPS),
        ("tick_auctions", "f4", N_SCENES),
        ("tick_segment_clicks", "f4", N_SEGMENTS),
        ("tick_segment_claims", "f4", N_SEGMENTS),
        ("smooth_spend", "f4", N_SCENES),
        ("smooth_gmv", "f4", N_GROUPS),
        ("smooth_coupon", "f4"),
        ("smooth_gpm", "f4", (N_FREE_POOLS, 2)),  # GMV, impressions
        ("smooth_ctr", "f4", (N_FREE_POOLS, 2)),  # clicks, impressions
        ("smooth_risk", "f4", 2),  # expected refunds, orders
        ("smooth_segment_clicks", "f4", N_SEGMENTS),
        ("smooth_segment_claims", "f4", N_SEGMENTS),
        ("control", "f4", N_LEVERS),  # levers in force in the last tick, in their own units
        # the last decision: an action by lever, which may stand for several ticks
        ("decision", "f4", N_LEVERS),
        # sums over the plans that are over; last, as a tick does not touch them
        ("season_ledger", "f8", LEDGER_LINES),
        ("season_accrued", "f8", ACCRUED),
        ("season_budget", "f8"),
        ("season_coupon_budget", "f8"),
        ("season_roi_target", "f8"),
        ("season_score", "f8"),
        ("season_shortfall", "f8"),
        ("season_violated", "f8"),
        ("season_scene_spend", "f8", N_SCENES),
        ("season_boost_spend", "f8"),
        ("season_refunded_orders", "f8"),
        ("season_impressions", "f8", N_GROUPS),
        ("season_clicks", "f8", N_GROUPS),
        ("season_orders", "f8", N_GROUPS),
        ("season_gmv", "f8", N_GROUPS),
        ("season_coupon", "f8", N_GROUPS),
        ("season_refunded", "f8", N_GROUPS),
    ],
    align=True,
)

MERCHANT = np.dtype(
    [
        ("budget", "f8"),  # fen, and the next two: of its first plan, and about which others lie
        ("coupon_budget", "f8"),
        ("roi_target", "f4"),
        ("order_value", "f4"),  # CNY
        ("margin", "f4"),  # share of price
        ("category", "i4"),
        ("size", "f4"),
        ("audience_scene", "f4", N_SCENES),
        ("audience_segment", "f4", N_SEGMENTS),  # people
        ("gpm_reference", "f4"),
        ("ctr_reference", "f4"),
        ("risk_reference", "f4"),
        ("ad_orders_reference", "f4"),  # ad orders per day at the spend where the target binds
        ("binding_multiplier", "f4"),  # bid over the predicted value at that spend
        ("binding_spend", "f8"),  # fen per day at that multiplier
        ("start_quality", "f4", N_FREE_POOLS),
        ("start_creative", "f4"),
        # order logit of a pool by the time of day: its parts along the clock's cosine and sine
        ("hour_cos", "f4", N_POOLS),
        ("hour_sin", "f4", N_POOLS),
        # without ads and coupons: customers, and those to be; repeat orders among free orders; and
        # fen that a free pool settles in a day
        ("customers", "f8"),
        ("customers_waiting", "f8"),
        ("customer_share", "f8"),
        ("free_settled", "f8", N_FREE_POOLS),
    ],
    align=True,
)


class Plan(NamedTuple):
    """One market as the kernels see it: records whose fields have names."""

    world: Any  # WORLD: the scenario's constants
    merchant: Any  # MERCHANT
    cells: Any  # CELL
    state: Any  # STATE


class Work(NamedTuple):
    """Work space of one tick; its contents never outlive it."""

    lane: Any  # LANE
    scene: Any  # SCENE
    group: Any  # GROUP
    caps: Any  # (N_SCENES, ...) float64: fen a scene may spend, then what it was charged


class Tables(NamedTuple):
    """What the scenario's clock and calendar say about every tick."""

    hours: Any  # (N_SCENES, ticks_per_day) float32: hour factor per scene, mean 1
    ahead: Any  # the same shape: share of the day's traffic from each tick on
    calendar: Any  # (CALENDAR_ROWS, days) float32
    clock: Any  # (CLOCK_ROWS, ticks_per_day or 7) float32
    remaining: Any  # (shifts, 7, ticks + 1) float32: share of a plan's traffic still to come


class Moment(NamedTuple):
    """The tick that is played."""

    key: Any  # of its random stream
    day: Any  # of the episode, from 0
    last: Any  # whether the episode ends with it
    sampled: Any  # whether counts are drawn, or are their means
    plan_over: Any  # whether a plan ends with it and another one follows
