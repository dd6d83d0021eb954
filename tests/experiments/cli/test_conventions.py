"""What all commands share: every way to fail is a sentence and an exit code."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import typer
from chengfang.experiments.cli.conventions import folder_for_results, parse_steps, plain_errors
from chengfang.experiments.cli.main import app
from typer.testing import CliRunner

COMMAND = [sys.executable, "-m", "chengfang"]


def ended(error, capsys):
    """Exit code and stderr of a command that raises."""
    with pytest.raises(typer.Exit) as caught, plain_errors():
        raise error
    return caught.value.exit_code, capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ValueError("task is 'x'; allowed are y"), 2, "error: task is 'x'; allowed are y"),
        (ValueError("[red]x[/red]"), 2, "error: [red]x[/red]"),
        (FileNotFoundError(2, "No such file", "a.yaml"), 2, "error: a.yaml: No such file"),
        (OSError("a.yaml: is a folder"), 2, "error: a.yaml: is a folder"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "error: the disk is full (No space left on device); what was finished before is kept",
        ),
        (
            OSError(errno.EDQUOT, "Disk quota exceeded", "runs"),
            2,
            "error: the disk is full at runs (Disk quota exceeded); what was finished before is ",
        ),
        (MemoryError(), 2, "error: there is not enough memory; fewer episodes, envs or workers"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
            2,
            "error: a file is no text in UTF-8 (invalid start byte at byte 0)",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_are_sentences(error, code, said, capsys):
    got, text = ended(error, capsys)
    assert got == code
    assert text.startswith(said)


def test_bugs_are_not_hidden():
    with pytest.raises(ZeroDivisionError), plain_errors():
        raise ZeroDivisionError


@pytest.mark.slow
def test_a_full_disk_under_stdout_is_said():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "scenarios", "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error():
    with subprocess.Popen(
        [*COMMAND, "scenarios", "show", "--no-population"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "OnlineLP", "--task", "WholeShop", "--episodes", "4096"],
        ["exact", "--out", "made"],
        ["tune", "PID", "--out", "made", "--target", "tuned.json", "--steps", "1e7"],
        ["train", "PPO", "--track", "off", "--out", "made"],
        ["scenarios", "show", "festival_28d"],
    ],
    ids=lambda words: words[0],
)
def test_ctrl_c_ends_with_130(tmp_path, words):
    process = subprocess.Popen(
        [*COMMAND, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=60)
    # Python ends by the signal itself if Ctrl-C met code under `exec`; a shell says 130 then, too.
    assert process.returncode in (130, -signal.SIGINT), text
    assert "interrupted" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    "words",
    [
        ["exact", "--out", "taken"],
        ["exact", "--out", "taken/below"],
        ["study", "unified", "--quick", "--out", "taken"],
        ["tune", "PID", "--out", "taken"],
        ["tune", "PID", "--out", "made", "--target", "taken/tuned.json"],
        ["train", "PPO", "--out", "taken"],
    ],
    ids=" ".join,
)
def test_a_folder_that_cannot_be_made_is_told_before_the_work(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("mine")
    begin = time.monotonic()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2, result.output
    assert "taken" in result.stderr
    assert time.monotonic() - begin < 20
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_into(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot be written into"):
        folder_for_results(tmp_path)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (None, {}),
        ("1e6", {"PPO": 1_000_000, "SAC": 1_000_000}),
        ("PPO=5,SAC=2e3", {"PPO": 5, "SAC": 2000}),
    ],
)
def test_steps(text, steps):
    assert parse_steps(text, ["PPO", "SAC"]) == steps


@pytest.mark.slow
def test_json_is_all_there_is_on_stdout():
    done = subprocess.run(
        [*COMMAND, "evaluate", "PID", "--task", "Bidding", "--episodes", "4", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["agent"] == "PID"
