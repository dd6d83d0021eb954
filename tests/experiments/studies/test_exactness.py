"""The study of exactness: what it writes, what its rows must satisfy, and that docs/exact.md holds
the committed figures.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from chengfang.agents.learners import PPOSettings
from chengfang.agents.references.exact import BIDS, OnGrid
from chengfang.agents.references.tiny import tiny_scenario
from chengfang.envs import Setting
from chengfang.experiments.cli import main as cli
from chengfang.experiments.studies import exactness
from chengfang.experiments.studies.exactness import (
    LEVERS,
    Row,
    Size,
    committed,
    study,
    table,
    tune_here,
)
from typer.testing import CliRunner

ROOT = Path(__file__).parents[3]
LEARNER = PPOSettings(num_envs=32, steps=1_000, batch_size=128, hidden=[8])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(
        exactness,
        "RULES",
        {name: exactness.RULES[name] for name in ("DoNothing", "PID", "UniformCoupon")},
    )
    patch.setattr(exactness, "GRIDS", (17,))
    patch.setattr(exactness, "FREE", exactness.Search(per_day=24, population=8, iterations=3))
    folder = tmp_path_factory.mktemp("exact")
    rows = study(folder, Size(episodes=300, hindsight=4, trials=3, training=100, learner=LEARNER))
    patch.undo()
    return folder, rows


@pytest.mark.slow
def test_every_kind_has_its_row_and_the_files_say_the_same(made):
    folder, rows = made
    names = [row.name for row in rows]
    assert {"optimum", "constant", "rule", "learner", "hindsight"} <= {row.kind for row in rows}
    assert "PID, tuned" in names
    assert "UniformCoupon, tuned" not in names  # where there are no coupons it is PID
    assert committed(folder) == rows
    assert (folder / "results.md").read_text(encoding="utf-8") == table(rows)
    facts = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["manifest"]
    assert (facts["scenario"], facts["size"]["episodes"]) == ("tiny", 300)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(
        exactness,
        "_measured",
        lambda scenario, plan, size: [Row("PID", "rule", 1.0, 0.0, episodes=size.episodes)],
    )
    done = CliRunner().invoke(cli.app, ["exact", "--out", str(tmp_path / "e"), "--episodes", "7"])
    assert done.exit_code == 0, done.output
    assert committed(tmp_path / "e")[0].episodes == 7


def test_on_grid_moves_bids_to_the_nearest():
    class Free:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return np.array([[-0.97], [0.04], [0.06], [0.9]], np.float32), state

    moved, _ = OnGrid(Free()).predict(np.zeros((4, 1)))
    np.testing.assert_allclose(moved[:, 0], [BIDS[0], 0.0, 0.1, BIDS[-1]], atol=1e-6)


def test_tuning_takes_only_what_pays():
    scenario = tiny_scenario(hours=2)
    setting = exactness.Setting(scenario, LEVERS, 1, "train")
    spec = exactness.plan_spec(Setting(scenario, LEVERS, 1))

    def worth(parameters):
        return exactness._scores(
            exactness.make_rule("FixedBid", spec, **parameters), setting, 200
        ).mean()

    assert worth(tune_here("FixedBid", scenario, 15, 200)) > worth({})


def test_shares_are_of_the_optimum_with_the_same_bids():
    lines = table(
        [
            Row("exact, 9 bids", "optimum", 2.0, 0.0),
            Row("exact, 17 bids", "optimum", None, 0.0, 2.5),
            Row("PID", "rule", 1.0, 0.1, 2.0, 0.1, 10),
        ]
    ).splitlines()
    assert lines[-1] == "| PID | rule | 1.0000 ± 0.1000 | 0.500 | 2.0000 ± 0.1000 | 0.800 |"


def test_the_document_holds_the_committed_table():
    rows = committed(ROOT / "results" / "exact")
    assert table(rows).strip() in (ROOT / "docs" / "exact.md").read_text(encoding="utf-8")


def figure(value: float | None) -> float:
    """A figure of the table that must be there."""
    assert value is not None
    return value


def test_nothing_committed_exceeds_the_optimum():
    """Policies stay below the optimum of their bids within three standard errors; plans in
    hindsight and the bound lie above it.
    """
    rows = {row.name: row for row in committed(ROOT / "results" / "exact")}
    first = figure(rows["exact, 9 bids"].grid)
    finest = max(
        row.free
        for row in rows.values()
        if row.kind == "optimum" and row.free is not None and not row.episodes
    )
    for row in rows.values():
        if row.kind in ("rule", "learner"):
            assert figure(row.grid) - 3 * row.grid_error <= first, row.name
            assert figure(row.free) - 3 * row.free_error <= finest, row.name
        if row.kind == "bound":
            assert figure(row.free) >= finest
    same_days = figure(rows["exact, on the days below"].grid)
    clairvoyant = figure(rows["clairvoyant"].free)
    assert figure(rows["all sequences of bids"].grid) > clairvoyant > same_days
    played = rows["exact, played"]
    assert abs(figure(played.grid) - first) <= 3 * played.grid_error
