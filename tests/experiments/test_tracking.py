"""Where curves go: a file always, W&B offline without ever touching the network."""

import json
import os
import socket
import subprocess
import sys

import pytest
from chengfang.experiments.tracking import MODES, Tracker, read_metrics

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
from chengfang.experiments.tracking import Tracker
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


def test_offline_run_writes_files_and_never_connects(tmp_path):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB")}
    environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9", "HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", OFFLINE, str(tmp_path / "run")], capture_output=True, text=True,
                          timeout=120, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["finished"], done.stdout          # asks for no key, tells of no network
    folder = tmp_path / "run"
    assert [line["step"] for line in read_metrics(folder)] == [10, 20]
    [written] = folder.glob("wandb/offline-run-*/run-*.wandb")
    assert written.stat().st_size > 100
    assert b"tiny" in written.read_bytes()
    assert b"algorithm" in written.read_bytes()


def test_off_writes_the_file_only(tmp_path, no_network):
    tracker = Tracker(tmp_path, "tiny", {}, "off")
    tracker.log({"score": 0.5}, 3)
    tracker.finish({"best": 1})
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.jsonl"]
    [line] = read_metrics(tmp_path)
    assert (line["step"], line["score"]) == (3, 0.5)
    assert line["time"] > 1.6e9


def test_off_does_not_import_wandb(tmp_path):
    code = (f"import sys; from pathlib import Path; from chengfang.experiments.tracking import Tracker; "
            f"Tracker(Path({str(tmp_path)!r}), 'x', {{}}, 'off').finish(); print('wandb' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
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
