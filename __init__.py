"""ChengFang: a fast, calibrated, reproducible Gymnasium world of omni-domain promotion in
e-commerce.

Importing the package registers the environments, so `gym.make("chengfang/SuperPlan-v0")` works
afterwards.
"""

from .envs.api.registration import register_all

__version__ = "0.1.0"

register_all()
