"""Which of a merchant's random draws is used for what.

Every slot holds a uniform draw and the normal draw of the same quantile. Those of scenes stand
together, and the name is that of the first.
"""

CATEGORY = 0
SIZE = 1
CLICK = 2
ORDER = 3
COUPON = 4
REFUND = 5
PRICE = 6
ORDER_VALUE = 7
MARGIN = 8
QUALITY = 9  # one per free pool
CREATIVE = 11
SCENE_EXPOSURE = 12
SCENE_CLICK = 16
SCENE_ORDER = 20
SCENE_PRICE = 24
PREDICTION = 32  # one per ad lane
DEMAND_SHOCK = 48  # one per scene
PRICE_SHOCK = 52  # one per scene
WEEKDAY = 56
CALENDAR = 57
TARGET = 58
BUDGET = 59
COUPON_BUDGET = 60
COUPON_SEGMENT = 64  # one per segment
PRICE_SIGMA = 68  # one per scene
PEAK = 72  # one per pool
JUMP = 75  # one per state that jumps
DRAWS = 96
FIRST_DRAWS = 64  # a second series holds those after them
