"""Whose colour a curve has."""

import numpy as np
import pytest
from chengfang.experiments.report.learning_curves import agent_name, learning_figure, make_curve


@pytest.mark.parametrize(
    ("run", "agent"), [("APG-GRU-seed3", "APG-GRU"), ("PPO", "PPO"), ("a-seed-seed10", "a-seed")]
)
def test_runs_of_an_agent_go_by_its_name(run, agent):
    assert agent_name(make_curve(run, [])) == agent


def test_many_runs_are_drawn(tmp_path):
    lines = [
        {"step": i, "cpu_seconds": float(i), "episodes": 1, "score": np.log(i)} for i in (1, 5, 9)
    ]
    curves = [make_curve(f"{name}-seed{i}", lines) for name in "abcdefghi" for i in range(2)]
    learning_figure(curves, tmp_path / "learning.png")
    assert (tmp_path / "learning.png").stat().st_size > 5000
