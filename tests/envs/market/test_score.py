"""score = settled * min(1, (ROI / target)^2), the same in compiled code and in numpy."""

import numba
import numpy as np
import pytest
from chengfang.envs.interface.feedback import NET_ROI, OVERALL_ROI, PAY_ROI
from chengfang.envs.market.score import roi_parts, score, target_met

CASES = (
    # settled, value, cost, target, score
    (100.0, 100.0, 50.0, 2.0, 100.0),  # the target is met
    (100.0, 100.0, 100.0, 2.0, 25.0),  # half of it
    (100.0, 100.0, 10.0, 2.0, 100.0),  # more than met
    (100.0, 100.0, 0.0, 2.0, 100.0),  # without any cost
    (0.0, 0.0, 0.0, 2.0, 0.0),
    (0.0, 0.0, 10.0, 2.0, 0.0),
)


@numba.njit
def compiled(settled, value, cost, target):
    return score(settled, value, cost, target)


@pytest.mark.parametrize(("settled", "value", "cost", "target", "expected"), CASES)
def test_score(settled, value, cost, target, expected):
    assert score(settled, value, cost, target) == expected
    assert compiled(settled, value, cost, target) == expected


def test_arrays_and_compiled_numbers_have_the_same_bits():
    rng = np.random.default_rng(0)
    settled, cost = rng.uniform(0, 1e7, (2, 1000))
    value = settled * rng.uniform(0.5, 1.0, 1000)
    target = rng.uniform(0.5, 5, 1000)
    found = score(settled, value, cost, target)
    each = [compiled(*case) for case in zip(settled, value, cost, target, strict=True)]
    assert found.tobytes() == np.array(each).tobytes()
    assert (found < settled).any()
    assert (found == settled).any()


def test_target_met_is_a_share():
    met = target_met(np.array([0.0, 1.0, 4.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.0]), 2.0)
    assert met.tolist() == [0.0, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "parts"), [(OVERALL_ROI, (1, 3)), (NET_ROI, (1, 4)), (PAY_ROI, (2, 4))]
)
def test_roi_parts(kind, parts):
    assert roi_parts(kind, settled=1, gmv=2, cost=3, spend=4) == parts
