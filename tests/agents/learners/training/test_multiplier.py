"""The learned price of a missed target."""

from chengfang.agents.learners.settings import TrainingEnv
from chengfang.agents.learners.training.multiplier import EPISODES, PIDMultiplier


def feed(multiplier, cost):
    for _ in range(EPISODES):
        multiplier.note(cost)
    assert multiplier.due
    multiplier.update()
    return multiplier.value


def test_it_rises_while_targets_are_missed_and_falls_when_they_are_met():
    multiplier = PIDMultiplier(TrainingEnv(objective="lagrangian"))
    start = multiplier.value
    high = [feed(multiplier, 0.05) for _ in range(5)]
    assert high[0] > start
    assert high == sorted(high)
    low = [feed(multiplier, -1.0) for _ in range(200)]
    assert low[-1] < high[-1]
    assert low[-1] >= 0


def test_slack_of_one_merchant_does_not_pay_for_another():
    multiplier = PIDMultiplier(TrainingEnv(objective="lagrangian", shortfall_limit=0.0))
    start = multiplier.value
    for i in range(EPISODES):
        multiplier.note(0.1 if i % 2 else -10.0)
    multiplier.update()
    assert multiplier.value > start


def test_it_settles_where_the_constraint_is_met():
    """Closed loop with a policy whose misses fall with the price: the limit is reached, without
    lasting oscillation.
    """
    multiplier = PIDMultiplier(TrainingEnv(objective="lagrangian", shortfall_limit=0.002))
    values = [feed(multiplier, 0.008 / (1 + multiplier.value)) for _ in range(2000)]
    assert abs(0.008 / (1 + values[-1]) - 0.002) < 2e-4
    assert max(values[-20:]) - min(values[-20:]) < 0.05


def test_state_goes_round():
    one, two = (PIDMultiplier(TrainingEnv(objective="lagrangian")) for _ in range(2))
    feed(one, 0.03)
    one.note(0.5)
    two.restore(one.state())
    assert [feed(one, 0.01) for _ in range(3)] == [feed(two, 0.01) for _ in range(3)]
