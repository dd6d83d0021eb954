"""What is taken from a lever's shift, step by step."""

import numpy as np
import pytest
from chengfang.agents.references.known_path import KnownPath
from chengfang.envs import task_setting
from chengfang.experiments.headroom.levers import lesser


@pytest.fixture(scope="module")
def path():
    return KnownPath(task_setting("SuperPlan", split="validation"), np.arange(3))


def test_a_shift_made_of_its_parts_is_taken_apart(path):
    rng = np.random.default_rng(0)
    own, hours, days = rng.normal(size=(3, 1)), rng.normal(size=24), rng.normal(size=7)
    hours, days = hours - hours.mean(), days - days.mean()
    clock = (days[:, None] + hours).ravel()
    shift = own + clock
    timed, constant, common = lesser(shift, path)
    np.testing.assert_allclose(timed, shift)
    np.testing.assert_allclose(constant, np.broadcast_to(own, shift.shape))
    np.testing.assert_allclose(common, own.mean())
    noise = rng.normal(size=shift.shape)
    timed, _, _ = lesser(shift + noise, path)
    assert np.abs(timed - shift - noise).max() > 0.5  # what is this merchant's alone is left out


def test_a_merchants_mean_is_its_own(path):
    shift = np.repeat(np.array([[0.1], [0.2], [0.6]]), path.ticks, axis=1)
    timed, constant, common = lesser(shift, path)
    np.testing.assert_allclose(timed, shift)
    np.testing.assert_allclose(constant, shift)
    np.testing.assert_allclose(common, 0.3)
