"""What a tick returns beside the observation: rewards and costs by name (world 3).

The position of a name is its code in the engine.
"""

REWARDS = ("settled_gmv", "incremental", "profit", "score", "platform")
SETTLED_GMV, INCREMENTAL, PROFIT, SCORE, PLATFORM = range(len(REWARDS))

# Columns of `Market.costs`.
COSTS = ("roi", "budget", "subsidy", "ad_load", "refund_rate")
ROI, BUDGET, SUBSIDY, AD_LOAD, REFUND_RATE = range(len(COSTS))
N_COSTS = len(COSTS)

# Which ROI the target speaks of (world 1): settled GMV per overall cost, settled GMV per ad spend,
# GMV per ad spend.
ROI_KINDS = ("overall", "net", "pay")
OVERALL_ROI, NET_ROI, PAY_ROI = range(len(ROI_KINDS))
