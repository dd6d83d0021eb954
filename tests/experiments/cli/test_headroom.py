"""`chengfang headroom`: a quick look, and what it refuses."""

import json

import pytest
from chengfang.experiments.cli.main import app
from typer.testing import CliRunner


def call(*words, code=0):
    result = CliRunner().invoke(app, ["headroom", *words])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.mark.slow
def test_a_quick_look_names_every_level_and_lever(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("--task", "Bidding", "--quick", "--learner", "PID", "--out", "there")
    found = json.loads(call(*words, "--json").stdout)
    assert [row["name"] for row in found["rows"]] == [
        "nothing",
        "best rule",
        "rule + constant",
        "rule + schedule",
        "rule + start facts",
        "learner",
        "informed",
        "bound",
    ]
    assert [one["lever"] for one in found["levers"]] == [
        "bid_feed",
        "bid_live",
        "bid_mall",
        "bid_search",
    ]
    assert sum(found["chosen"].values()) == found["effort"]["merchants"] == 8
    names = sorted(path.name for path in (tmp_path / "there").iterdir())
    assert names == ["Bidding.json", "Bidding.png", "results.md", "summary.json"]
    text = (tmp_path / "there" / "results.md").read_text(encoding="utf-8")
    assert "| Bidding | 8 | 0 % |" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "Selling"), "Selling"),
        (("--learner", "nobody"), "nobody"),
        (("--merchants", "1"), "merchants"),
        (("--levers-only", "--merchants", "4"), "--merchants is 4"),
        (("--levers-only", "--noises", "4"), "--noises is 4"),
        (("--levers-only", "--learner", "PID"), "--learner is 'PID'"),
        (("--task", "Bidding", "--levers-only", "--out", "nowhere"), "is not there"),
        (("--task", "Bidding", "--out", "/dev/null/there"), "/dev/null"),
    ],
)
def test_bad_input_is_a_sentence(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*words, code=2)
    assert said in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
