"""The wheel alone is enough: built, unpacked in another folder, used without the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import chengfang
import pytest
from chengfang.envs import TASKS, short_name

pytestmark = pytest.mark.slow  # its fixtures play whole benchmarks or markets

ROOT = Path(chengfang.__file__).parent
MOST_DATA = 2_000_000  # bytes of committed results in the wheel
LEFT_OUT = (".git*", ".venv", ".hypothesis", ".ruff_cache", "__pycache__", "*.egg-info", "tests")


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A folder that holds what the wheel installs, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=shutil.ignore_patterns(*LEFT_OUT, "build"))
    words = ("wheel", ".", "--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", "..")
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words],
        cwd=folder / "source",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    shutil.rmtree(folder / "source")
    return folder / "site"


def run(unpacked, folder, *words):
    """Run Python in a folder of its own with the unpacked wheel first on its path."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(unpacked), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_committed_results_that_commands_need_are_in_it(unpacked):
    results = unpacked / "chengfang" / "results" / "benchmark"
    for task in (short_name(task) for task in TASKS if task.id.endswith("-v0")):
        assert (results / "best" / task / "policy.safetensors").is_file()
        assert (results / "tasks" / f"{task}.json").is_file()
    assert (results / "summary.json").is_file()
    assert (results / "config.yaml").is_file()
    size = sum(p.stat().st_size for p in results.rglob("*") if p.is_file())
    assert size < MOST_DATA


def test_no_test_and_no_run_is_in_it(unpacked):
    assert not (unpacked / "chengfang" / "tests").exists()
    assert not list(unpacked.rglob("*-seed*.npz"))
    assert not list(unpacked.rglob("checkpoint.pt"))


def test_every_module_of_the_checkout_is_in_it(unpacked):
    folders = ("envs", "agents", "experiments")
    wanted = {p.relative_to(ROOT) for name in folders for p in (ROOT / name).rglob("*.py")}
    inside = unpacked / "chengfang"
    assert wanted <= {p.relative_to(inside) for p in inside.rglob("*.py")}


@pytest.mark.slow
def test_it_works_in_an_empty_folder(unpacked, tmp_path):
    code = (
        "import chengfang; print(chengfang.__file__); "
        "print(*(len(chengfang.load_best(t).levers) for t in ('Bidding', 'SuperPlan')))"
    )
    where, levers = run(unpacked, tmp_path, "-c", code).splitlines()
    assert Path(where).is_relative_to(unpacked)
    assert levers == "4 22"
    assert "festival_28d" in run(unpacked, tmp_path, "-m", "chengfang", "scenarios", "list")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_command_helps(unpacked, tmp_path):
    code = (
        "import typer; from typer.testing import CliRunner; "
        "from chengfang.experiments.cli.main import app\n"
        "for name in typer.main.get_command(app).commands:\n"
        "    done = CliRunner().invoke(app, [name, '--help'])\n"
        "    assert done.exit_code == 0, (name, done.output)\n"
        "    print(name)"
    )
    assert {"evaluate", "import-sb3", "benchmark"} <= set(
        run(unpacked, tmp_path, "-c", code).split()
    )
