"""Where curves go: a file always, W&B offline without ever touching the network."""

import errno
import json
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import cast

import numpy as np
import polars
import pytest
from chengfang.experiments.runs import tracking
from chengfang.experiments.runs.tracking import MODES, Tracker, read_metrics, write_parquet

OFFLINE = """
import socket, sys
def refuse(self, address, *rest):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        print("NETWORK", address); sys.stdout.flush()
        raise OSError("blocked")
    return connect(self, address, *rest)
connect = socket.socket.connect
socket.socket.connect = refuse
def lookup(host, *rest, **more):
    if host not in (None, "127.0.0.1", "::1", "localhost"):
        print("LOOKUP", host); sys.stdout.flush()
        raise OSError("blocked")
    return getaddrinfo(host, *rest, **more)
getaddrinfo, socket.getaddrinfo = socket.getaddrinfo, lookup
from pathlib import Path
from chengfang.experiments.runs.tracking import Tracker
tracker = Tracker(Path(sys.argv[1]), "tiny", {"algorithm": "PPO", "seed": 3}, "offline")
for step in (10, 20):
    tracker.log({"score": step / 100}, step)
tracker.finish({"best": 0.2})
print("finished")
"""


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError(f"network: {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.slow
def test_offline_run_writes_files_and_never_connects(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    environment |= {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HOME": str(tmp_path / "home"),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OFFLINE, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["finished"], done.stdout  # asks for no key, tells of no network
    folder = tmp_path / "run"
    assert [line["step"] for line in read_metrics(folder)] == [10, 20]
    [written] = folder.glob("wandb/offline-run-*/run-*.wandb")
    assert written.stat().st_size > 100
    assert b"tiny" in written.read_bytes()
    assert b"algorithm" in written.read_bytes()


def test_off_writes_plain_files_only(tmp_path, no_network):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.5}, 3)
    tracker.finish({"best": 1})
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "metrics.jsonl",
        "metrics.parquet",
        "run.json",
    ]
    [line] = read_metrics(tmp_path)
    assert (line["step"], line["score"]) == (3, 0.5)
    assert line["time"] > 1.6e9


def test_off_does_not_import_wandb(tmp_path):
    code = (
        "import sys; from pathlib import Path; "
        "from chengfang.experiments.runs.tracking import Tracker; "
        f"Tracker(Path({str(tmp_path)!r}), 'x', {{}}, 'off').finish(); "
        "print('wandb' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "False", done.stderr


def test_lines_are_there_before_the_run_ends(tmp_path):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.5}, 3)
    assert len(read_metrics(tmp_path)) == 1
    tracker.finish()


def test_a_second_run_goes_on_in_the_same_file(tmp_path):
    for step in (1, 2):
        tracker = Tracker(tmp_path, "tiny", {}, "off")
        tracker.log({"score": 0.5}, step)
        tracker.finish()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2]


def test_line_cut_off_by_an_interruption_is_skipped(tmp_path):
    lines = [json.dumps({"step": i, "score": 0.1 * i}) for i in range(4)]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines)[:-6])
    assert [line["step"] for line in read_metrics(tmp_path)] == [0, 1, 2]


def test_run_goes_on_after_a_line_that_was_cut_off(tmp_path):
    """The first line of a resumed run must not be glued to the rest of the last one."""
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n" + '{"step": 2, "sco')
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.5}, 3)
    tracker.log({"score": 0.5}, 4)
    tracker.finish()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 3, 4]


def test_no_log_is_empty(tmp_path):
    assert read_metrics(tmp_path) == []


def test_modes():
    assert set(MODES) == {"online", "offline", "off"}


def events(folder, name):
    """Scalars of a run's event files: {tag: [(step, value), ...]}."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    reader = accumulator.EventAccumulator(str(folder / "tensorboard" / name))
    reader.Reload()
    return {
        tag: [(e.step, pytest.approx(e.value, rel=1e-6)) for e in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }


def fail_with(code):
    def fail(*arguments, **keywords):
        raise OSError(code, os.strerror(code))

    return fail


def test_parquet_copy_has_every_line_and_figure(tmp_path):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.5}, 10)
    numpys = cast(float, np.float32(0.25))  # declared as float, and float32 is taken too
    tracker.log({"score": numpys, "violation": 1}, 20)
    tracker.log({"score": math.inf}, 30)
    tracker.finish()
    table = polars.read_parquet(tmp_path / "metrics.parquet")
    assert table.columns == ["step", "time", "score", "violation"]
    assert table["step"].to_list() == [10, 20, 30]
    assert table["score"].to_list()[:2] == [0.5, 0.25]
    assert math.isnan(table["score"][2])  # not finite in the run
    assert table["violation"].to_list() == [None, 1.0, None]  # not in the line at all


def test_log_is_strict_json_whatever_the_figures(tmp_path):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    step = cast(int, np.int64(1))  # declared as int, and numpy's integers are taken too
    tracker.log({"roi": math.nan, "score": -math.inf, "cost": np.float64(2)}, step)
    tracker.finish()

    def refuse(text):
        raise AssertionError(text)

    line = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
    assert (line["roi"], line["score"], line["cost"], line["step"]) == (None, None, 2.0, 1)
    assert math.isnan(read_metrics(tmp_path)[0]["roi"])


def test_name_and_configuration_stand_beside_the_log(tmp_path):
    Tracker(tmp_path, "PPO-seed3", {"algorithm": "PPO", "seed": 3}, "off").finish()
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "name": "PPO-seed3",
        "config": {"algorithm": "PPO", "seed": 3},
    }


def test_nothing_logged_gives_no_copy(tmp_path):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.finish()
    tracker.finish()  # a second time is no error
    assert not (tmp_path / "metrics.parquet").exists()
    assert write_parquet(tmp_path) is None


def test_killed_run_leaves_its_lines(tmp_path):
    code = (
        "import os, signal; from pathlib import Path; "
        "from chengfang.experiments.runs.tracking import Tracker; "
        f"t = Tracker(Path({str(tmp_path)!r}), 'x', {{}}, 'off'); "
        "t.log({'score': 1}, 5); t.log({'score': 2}, 6); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line["step"] for line in read_metrics(tmp_path)] == [5, 6]
    copy = write_parquet(tmp_path)
    assert copy is not None
    assert polars.read_parquet(copy)["score"].to_list() == [1.0, 2.0]


def test_tensorboard_has_the_same_name_and_figures(tmp_path):
    pytest.importorskip("tensorboard")
    tracker = Tracker(tmp_path, "PPO/seed3", {"seed": 3}, "off", tensorboard=True)
    for step in (10, 20):
        tracker.log({"score": step / 100, "multiplier": 2.0}, step)
    tracker.finish({"best": 0.2})
    assert events(tmp_path, "PPO-seed3") == {
        "score": [(10, 0.1), (20, 0.2)],
        "multiplier": [(10, 2.0), (20, 2.0)],
    }


@pytest.mark.parametrize(
    ("mode", "wanted", "written"),
    [("off", None, False), ("off", True, True), ("offline", None, True), ("offline", False, False)],
)
def test_tensorboard_is_written_where_it_can_unless_told_otherwise(
    tmp_path, monkeypatch, mode, wanted, written
):
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(tracking, "_wandb", lambda *arguments: None)
    Tracker(tmp_path, "tiny", {}, mode, wanted).finish()
    assert (tmp_path / "tensorboard").exists() == written


def test_tensorboard_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    monkeypatch.setattr(tracking, "_wandb", lambda *arguments: None)
    Tracker(tmp_path / "a", "tiny", {}, "offline").finish()  # not asked for: nobody minds
    with pytest.raises(ValueError, match="tensorboard is asked for"):
        Tracker(tmp_path / "b", "tiny", {}, "off", tensorboard=True)


def test_a_service_that_fails_does_not_stop_the_run(tmp_path, monkeypatch, capsys):
    told = []

    def log(figures, step):
        told.append(step)
        raise RuntimeError("gone away")

    monkeypatch.setattr(
        tracking,
        "_wandb",
        lambda *arguments: tracking._Sink("W&B", log, lambda summary: told.append("end")),
    )
    tracker = Tracker(tmp_path, "tiny", {}, "offline", tensorboard=False)
    for step in (1, 2, 3):
        tracker.log({"score": 0.1}, step)
    tracker.finish()
    assert told == [1]
    assert len(read_metrics(tmp_path)) == 3
    assert capsys.readouterr().err.count("W&B stopped: RuntimeError: gone away") == 1


def test_full_disk_lines_wait_for_room(tmp_path, capsys):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.1}, 1)
    room = tracker._file
    with Path("/dev/full").open("ab", buffering=0) as tracker._file:
        tracker.log({"score": 0.2}, 2)
        tracker.log({"score": 0.3}, 3)
    tracker._file = room
    tracker.log({"score": 0.4}, 4)
    tracker.finish()
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4]
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_full_disk_to_the_end_is_said(tmp_path, capsys):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker._file.close()
    with Path("/dev/full").open("ab", buffering=0) as tracker._file:
        tracker.log({"score": 0.2}, 2)
        with pytest.raises(
            OSError, match="No space left on device; the last lines of the log are lost"
        ) as raised:
            tracker.finish()
    assert raised.value.filename == str(tmp_path / "metrics.jsonl")


def test_no_room_for_the_copy_leaves_the_log_whole(tmp_path, monkeypatch, capsys):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.2}, 2)
    monkeypatch.setattr(polars.DataFrame, "write_parquet", fail_with(errno.ENOSPC))
    tracker.finish()
    assert "metrics.parquet not written: No space left on device" in capsys.readouterr().err
    assert len(read_metrics(tmp_path)) == 1
    assert not list(tmp_path.glob("metrics.parquet*"))


def test_the_tail_of_a_cut_line_is_no_line(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'3\n{"step": 1}\n"a"\n\xff\n{"step": 2')
    assert read_metrics(tmp_path) == [{"step": 1}]


def test_unknown_mode(tmp_path):
    with pytest.raises(ValueError, match="track is 'on'; allowed are online, offline, off"):
        Tracker(tmp_path, "tiny", {}, "on")  # type: ignore[arg-type]


def test_online_without_a_key_says_so_and_asks_nothing(tmp_path, monkeypatch):
    import wandb

    monkeypatch.setattr(wandb, "login", lambda **keywords: False)
    with pytest.raises(ValueError, match="no W&B key"):
        Tracker(tmp_path, "tiny", {}, "online")


def test_online_without_a_network_goes_on_offline(tmp_path, monkeypatch, capsys):
    import wandb
    from wandb.errors import CommError

    monkeypatch.setattr(wandb, "login", lambda **keywords: True)
    asked = []

    class Run:
        summary = {}

        def log(self, figures, step):
            asked.append(step)

        def finish(self):
            asked.append("end")

    def init(mode, **place):
        asked.append(mode)
        if mode == "online":
            raise CommError("no route")
        return Run()

    monkeypatch.setattr(wandb, "init", init)
    tracker = Tracker(tmp_path, "tiny", {}, "online", tensorboard=False)
    tracker.log({"score": 1.0}, 7)
    tracker.finish()
    assert asked == ["online", "offline", 7, "end"]
    assert "cannot be reached (no route)" in capsys.readouterr().err
