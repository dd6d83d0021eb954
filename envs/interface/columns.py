"""Columns of the observation by name, for compiled code: `shown.TIME_LEFT`, `shown.BID + s`.

`features.py` holds the order; a name here is where its feature stands there. The columns of scenes,
pools, segments and tiers stand together, and the name is that of the first.
"""

from ..scenario import FREE_POOLS, POOLS, SCENES, SEGMENTS, TIERS
from .features import FEATURE_NAMES

column = FEATURE_NAMES.index

TIME_LEFT = column("time_left")
HOUR_SIN = column("hour_sin")
HOUR_COS = column("hour_cos")
WEEKDAY_SIN = column("weekday_sin")
WEEKDAY_COS = column("weekday_cos")
EVENT_TODAY = column("event_today")
EVENT_TOMORROW = column("event_tomorrow")
TRAFFIC_LEFT = column("traffic_left")
BUDGET_LEFT = column("budget_left")
COUPON_BUDGET_LEFT = column("coupon_budget_left")
BOOST_BUDGET_LEFT = column("boost_budget_left")
DAY_BUDGET_LEFT = column("day_budget_left")
ROI_TARGET = column("roi_target")
BUDGET_SIZE = column("budget_size")
ORDER_VALUE = column("order_value")
MARGIN = column("margin")
COUPON_BUDGET = column("coupon_budget")
ROI_GAP = column("roi_gap")
ROI_SLACK = column("roi_slack")
SETTLED_SHARE = column("settled_share")
COST_SHARE = column("cost_share")
SPEND_PACE = column("spend_pace")
SMOOTH_SPEND_PACE = column("smooth_spend_pace")
SMOOTH_GMV_PACE = column("smooth_gmv_pace")

# One column per scene.
BID = column(f"bid_{SCENES[0]}")
WIN_RATE = column(f"win_rate_{SCENES[0]}")
CPM = column(f"cpm_{SCENES[0]}")
CTR = column(f"ctr_{SCENES[0]}")
SPENT = column(f"spent_{SCENES[0]}")
SCENE_SPEND_PACE = column(f"spend_pace_{SCENES[0]}")
SCENE_GMV_PACE = column(f"gmv_pace_{SCENES[0]}")
SCENE_ROI = column(f"roi_{SCENES[0]}")

POOL_GMV_PACE = column(f"gmv_pace_{POOLS[0]}")  # one column per pool
COUPON_PACE = column("coupon_pace")
DEPTH = column(f"depth_{POOLS[0]}")  # one column per pool
CLICKS = column(f"clicks_{SEGMENTS[0]}")  # one column per segment
CLAIMS = column(f"claims_{SEGMENTS[0]}")  # one column per segment

QUALITY_NATURAL = column("quality_natural")
QUALITY_TRANSACTION = column("quality_transaction")
FREQUENCY = column("frequency")
CREATIVE_DUE = column("creative_due")
CREATIVE_PROGRESS = column("creative_progress")
INFLUENCER_SUPPLY = column("influencer_supply")
HEAT = column(f"heat_{TIERS[0]}")  # one column per tier
REFUND_RATE = column("refund_rate")
# One column per free pool and scene.
FREE_PACE = column(f"free_pace_{FREE_POOLS[0]}_{SCENES[0]}")
FREE_VALUE = column(f"free_value_{FREE_POOLS[0]}_{SCENES[0]}")
LEARNED = column(f"learned_{SCENES[0]}")  # one column per scene
