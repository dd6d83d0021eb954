"""Bars on a terminal, plain lines elsewhere: what, how far, how long still."""

import io
import time

import pytest
from chengfang.experiments.runs.progress import Progress, duration
from rich.console import Console


def lines(console):
    return console.file.getvalue().splitlines()


def test_without_a_terminal_a_line_comes_by_itself():
    console = Console(file=io.StringIO(), width=40)
    with Progress(console, every=0.05) as progress:
        stage = progress.add("train PPO", total=1_000, unit="steps")
        stage.update(100)
        stage.update(250, note="score 1.234")
        time.sleep(0.3)
    told = lines(console)
    assert 2 <= len(told) <= 7
    assert told[0].startswith("train PPO 250 of 1,000 steps (25 %), about ")
    assert told[0].endswith(" left, score 1.234")
    time.sleep(0.15)
    assert lines(console) == told  # silent once it is closed


def test_what_is_over_or_complete_is_not_spoken_of():
    progress = Progress(Console(file=io.StringIO()))
    one = progress.add("one", total=2)
    two = progress.add("two")
    assert progress.line() == "one 0 of 2 (0 %), 0 s so far; two, 0 s so far"
    one.advance(2)
    assert progress.line() == "two, 0 s so far"
    two.finish()
    assert progress.line() == ""


def test_many_stages_are_counted():
    progress = Progress(Console(file=io.StringIO()))
    for i in range(5):
        progress.add(f"run {i}", total=10)
    assert progress.line().endswith("; and 2 more")


def test_time_left_of_a_resumed_stage_counts_from_where_it_went_on(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    stage = Progress(Console(file=io.StringIO())).add("train", total=1_000)
    now[0] = 5.0
    stage.update(900)
    assert stage.seconds_left() is None
    now[0] = 15.0
    stage.update(950)
    assert stage.seconds_left() == pytest.approx(10.0)


def test_on_a_terminal_there_are_bars_and_no_lines():
    lines = io.StringIO()
    console = Console(file=lines, force_terminal=True, width=100)
    with Progress(console, every=0.01) as progress:
        stage = progress.add("train", total=4, note="starting")
        stage.update(2, note="half")
        progress.say("a line above")
        time.sleep(0.05)
    text = lines.getvalue()
    assert "half" in text
    assert "a line above" in text
    assert "so far" not in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.4, "3 s"), (119, "119 s"), (150, "2 min"), (9_000, "2 h 30 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
