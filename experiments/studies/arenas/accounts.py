"""Who gets what of the sales: five accounts that sum to the GMV that was kept."""

import numpy as np

from .arena import Plans

ACCOUNTS = ("merchant", "platform", "users' coupons", "influencers", "suppliers")


def accounts(plans: Plans) -> dict[str, np.ndarray]:
    """Who gets what of the sales that were kept (GMV less all refunds), CNY, (n,): the five sum to
    it.

    Merchant, platform, influencers and suppliers receive what buyers paid; the coupons are what
    buyers did not have to pay, those of returned orders taken off.
    """
    suppliers = plans["goods_cost"] + plans["service_cost"] + plans["creative_cost"]
    received = plans["profit"] + plans["platform_take"] + plans["commission"] + suppliers
    coupons = plans["gmv"] - plans["refunded_gmv"] - received
    return dict(
        zip(
            ACCOUNTS,
            (plans["profit"], plans["platform_take"], coupons, plans["commission"], suppliers),
            strict=True,
        )
    )
