"""The command line: every command helps, and what a user gets wrong is one sentence, exit code 2
and no file.
"""

import json
import re
import subprocess
import sys

import pytest
import yaml
from chengfang.agents import RULES
from chengfang.envs import load_scenario, scenario_names
from chengfang.experiments.cli.main import app
from typer.testing import CliRunner

COMMANDS = [
    ["compare"],
    ["benchmark"],
    ["tune"],
    ["train"],
    ["evaluate"],
    ["simulate"],
    ["calibrate"],
    ["bench"],
    ["study"],
    ["exact"],
    ["import-sb3"],
    ["scenarios"],
    ["scenarios", "list"],
    ["scenarios", "show"],
    ["scenarios", "validate"],
    ["scenarios", "new"],
]
TINY = ["--task", "Bidding", "--episodes", "8"]


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """Commands write where they stand: each test stands in its own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def call(*words, code=0):
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, (result.output, result.exception)
    return result


def refused(folder, *words):
    """The sentence on stderr; nothing on stdout, and not a file made."""
    before = sorted(folder.rglob("*"))
    result = call(*words, code=2)
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(folder.rglob("*")) == before
    return result.stderr


# Help
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(words, flag):
    text = call(*words, flag).stdout
    assert "Usage:" in text
    assert len(text.splitlines()) > 5


def test_help_lists_every_command():
    text = call("--help").stdout
    for words in COMMANDS:
        assert words[0] in text


def test_without_a_command_help_is_shown():
    result = CliRunner().invoke(app, [])
    assert "Usage:" in result.output


@pytest.mark.slow
def test_python_dash_m():
    done = subprocess.run(
        [sys.executable, "-m", "chengfang", "scenarios", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "default" in done.stdout
    assert done.stderr == ""


def test_usage_errors_exit_two_on_stderr():
    result = call("simulate", "--sed", "3", "PID", code=2)
    assert "--sed" in result.stderr
    assert result.stdout == ""


# Scenarios
# --------------------------------------------------------------------------------------------------


def test_list_names_all():
    text = call("scenarios", "list").stdout
    for name in scenario_names():
        assert name in text
        assert load_scenario(name).hash in text


@pytest.mark.parametrize("name", scenario_names())
def test_show_tells_every_field_with_unit_and_range(name):
    text = call("scenarios", "show", name, "--no-population").stdout
    scenario = load_scenario(name)
    assert scenario.hash in text
    for section, values in scenario:
        if section in ("name", "description", "source"):
            continue
        assert f"\n{section} " in text
        for field in type(values).model_fields:
            assert f"  {field} = " in text, f"{section}.{field}"
    assert "[0 to 3]" in text


def test_show_one_section():
    text = call("scenarios", "show", "--section", "auction").stdout
    assert "price_rule = first  [second, first]" in text
    assert "dispersion" not in text


def test_show_with_an_override():
    text = call(
        "scenarios", "show", "--section", "auction", "--set", "auction.price_rule=second"
    ).stdout
    assert "price_rule = second" in text


def test_show_counts_the_population(monkeypatch):
    from chengfang.experiments.inspection import scenarios

    monkeypatch.setattr(scenarios, "POPULATION", 16)
    monkeypatch.setattr(scenarios, "SWEEP", scenarios.SWEEP[::6])
    text = call("scenarios", "show", "--set", "clock.days=1").stdout
    assert "neither" in text


def test_validate_accepts():
    assert (
        f"valid; default, hash {load_scenario().hash}"
        in call("scenarios", "validate", "default").stdout
    )


def test_validate_tells_everything_at_once(tmp_path):
    (tmp_path / "wrong.yaml").write_text(
        "auction: {price_rul: first, bid_span: 1}\nclick: {pressure: -1}\n"
    )
    text = refused(tmp_path, "scenarios", "validate", "wrong.yaml")
    assert text.startswith("error: wrong.yaml has 3 problems:")
    for part in (
        "did you mean auction.price_rule?",
        "auction.bid_span is 1; it must be at least 1.5",
        "click.pressure is -1",
    ):
        assert part in text


def test_new_writes_a_market_that_loads(tmp_path):
    text = call(
        "scenarios", "new", "mine.yaml", "--base", "dual_track", "--set", "auction.reaction=0.5"
    ).stdout
    made = load_scenario(tmp_path / "mine.yaml")
    assert (made.name, made.auction.reaction, made.regime.preset) == ("mine", 0.5, "dual_track")
    assert made.hash in text
    assert call("scenarios", "validate", "mine.yaml").stdout


def test_new_takes_a_name(tmp_path):
    call("scenarios", "new", "mine.yaml", "--name", "autumn")
    assert load_scenario(tmp_path / "mine.yaml").name == "autumn"


def test_new_replaces_nothing_unless_forced(tmp_path):
    (tmp_path / "mine.yaml").write_text("precious")
    text = refused(tmp_path, "scenarios", "new", "mine.yaml")
    assert "already exists" in text
    assert (tmp_path / "mine.yaml").read_text() == "precious"
    call("scenarios", "new", "mine.yaml", "--force")
    assert load_scenario(tmp_path / "mine.yaml").name == "mine"


def test_new_into_a_folder_that_does_not_exist(tmp_path):
    assert "nowhere/mine.yaml" in refused(tmp_path, "scenarios", "new", "nowhere/mine.yaml")


# Bad input
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["scenarios", "show", "defalt"], ["did you mean 'default'?"]),
        (
            ["scenarios", "show", "--section", "auktion"],
            ["'auktion' is not a section; allowed are clock, "],
        ),
        (
            ["scenarios", "validate", "nowhere.yaml"],
            ["nowhere.yaml", "of that name; shipped are default, "],
        ),
        (
            ["scenarios", "validate", "default", "--set", "auction.price_rule=third"],
            ["auction.price_rule is 'third'"],
        ),
        (["scenarios", "validate", "default", "--set", "auction"], ["field=value"]),
        (
            ["scenarios", "validate", "default", "--set", "auction.reaction=[bold]"],
            ["auction.reaction"],
        ),
        (
            ["evaluate", "PDI", *TINY],
            ["policy is 'PDI'; did you mean PID?", "the rules DoNothing", "saved policy"],
        ),
        (["evaluate", "PID", "--task", "Auction"], ["task is 'Auction'; allowed are Bidding"]),
        (["evaluate", "PID", "--scenario", "nowhere.yaml"], ["no scenario or file"]),
        (["evaluate", "PID", *TINY, "--set", "click.presure=1"], ["did you mean click.pressure?"]),
        (["evaluate", ".", *TINY], ["is no saved policy"]),
        (["simulate", "PDI", "--task", "Bidding"], ["policy is 'PDI'"]),
        (["simulate", "PID", "--task", "Auction"], ["task is 'Auction'"]),
        (["simulate", "PID", "--task", "Bidding", "--picture", "nowhere/plan.png"], ["nowhere"]),
        (["train", "DQN"], ["algorithm is 'DQN'; allowed are APG, PPO, PPO-from-APG, SAC"]),
        (["train", "PPO", "--task", "Auction"], ["task is 'Auction'"]),
        (["train", "APG", "--settings", "nowhere.yaml"], ["nowhere.yaml: no such configuration"]),
        (["tune", "PDI", "--shift", "constant"], ["rule is 'PDI'; allowed are", "best-rule"]),
        (["tune", "PID", "--shift", "constant", "--task", "Auction"], ["task is 'Auction'"]),
        (["tune", "PID", "--shift", "constant", "--steps", "0"], ["steps is 0"]),
        (["compare", "--config", "nowhere.yaml"], ["nowhere.yaml: no such configuration"]),
        (["compare", "--task", "Auction"], ["task is 'Auction'"]),
        (["compare", "--steps", "many"], ["--steps is 'many'", "for example 1e6"]),
        (["compare", "--steps", "DQN=5"], ["--steps names 'DQN'; the learners are APG, PPO"]),
        (["compare", "--steps", "0"], ["steps is 0"]),
        (["compare", "--steps", "nan"], ["--steps"]),
        (["compare", "--steps", "inf"], ["--steps"]),
        (["compare", "--steps", "PPO=5,APG"], ["--steps"]),
        (["compare", "--scenario", "defalt"], ["did you mean 'default'?"]),
        (["compare", "--set", "auction.price_rule=third"], ["auction.price_rule is 'third'"]),
        (["calibrate", "nowhere.tsv", "-o", "made.yaml"], ["nowhere.tsv"]),
    ],
    ids=lambda value: " ".join(value) if value[0] in {words[0] for words in COMMANDS} else "",
)
def test_bad_input_is_one_sentence(tmp_path, words, parts):
    text = refused(tmp_path, *words)
    assert text.startswith("error: ") or words[0] == "calibrate"
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "PID", "--episodes", "1"],
        ["evaluate", "PID", "--episodes", "x"],
        ["evaluate", "PID", "--seed", "-1"],
        ["compare", "--episodes", "0"],
        ["compare", "--seeds", "0"],
        ["compare", "--workers", "0"],
        ["compare", "--track", "on"],
        ["train", "PPO", "--steps", "0"],
        ["train", "PPO", "--seed", "-3"],
        ["train"],
        ["simulate"],
        ["bench", "--envs", "0"],
    ],
    ids=" ".join,
)
def test_options_out_of_range_are_refused(tmp_path, words):
    assert "Invalid value" in (text := refused(tmp_path, *words)) or "Missing argument" in text


def test_markup_in_what_the_user_gave_is_shown_as_it_is(tmp_path):
    assert "[red]x[/red]" in refused(tmp_path, "evaluate", "[red]x[/red]", *TINY)


def test_zip_model_is_refused(tmp_path):
    (tmp_path / "model.zip").write_bytes(b"PK\x03\x04")
    assert "never loaded" in refused(tmp_path, "evaluate", "model.zip", *TINY)


def test_out_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("mine")
    result = call("compare", *TINY, "--rules-only", "--track", "off", "--out", "taken", code=2)
    assert "taken" in result.stderr
    assert (tmp_path / "taken").read_text() == "mine"


# Work
# --------------------------------------------------------------------------------------------------


def test_simulate_draws_a_picture_and_prints_the_books(tmp_path):
    text = call("simulate", "PID", "--task", "Bidding", "--picture", "plan.png").stdout
    assert (tmp_path / "plan.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.png"]
    for word in (
        "feed",
        "live",
        "mall",
        "search",
        "natural",
        "transaction",
        "overall_roi",
        "roi_target",
        "settled_gmv",
    ):
        assert word in text


@pytest.mark.slow
def test_simulate_prints_json():
    plan = json.loads(call("simulate", "FixedBid", "--task", "Bidding", "--json").stdout)
    assert plan["gmv"] == pytest.approx(
        sum(plan[f"gmv_{s}"] for s in ("feed", "live", "mall", "search")), abs=0.05
    )
    again = json.loads(call("simulate", "fixedbid", "--task", "bidding", "--json").stdout)
    assert again == plan
    other = json.loads(
        call("simulate", "FixedBid", "--task", "Bidding", "--json", "--seed", "5").stdout
    )
    assert other != plan


def test_simulated_nothing_is_valid_json():
    """No spend means an infinite ROI, which JSON does not know."""

    def strict(word):
        raise AssertionError(f"{word} is not JSON")

    text = call("simulate", "DoNothing", "--task", "Bidding", "--json").stdout
    json.loads(text, parse_constant=strict)


@pytest.mark.slow
def test_compare_rules_only(tmp_path):
    call("compare", *TINY, "--rules-only", "--track", "off", "--out", "made")
    data = json.loads((tmp_path / "made/manifest.json").read_text())
    assert data["complete"] is True
    assert list(data["scenarios"]) == ["Bidding"]
    for rule in RULES:
        assert rule in (tmp_path / "made/results.md").read_text()
    saved = yaml.safe_load((tmp_path / "made/config.yaml").read_text())
    assert saved["tasks"]["Bidding"]["learners"] == {}
    assert saved["episodes"] == 8
    text = call(
        "compare", "--config", "made/config.yaml", "--track", "off", "--out", "again"
    ).stdout
    assert (tmp_path / "again/results.csv").read_text() == (
        tmp_path / "made/results.csv"
    ).read_text()
    assert "Best" in text


@pytest.mark.slow
def test_train_then_evaluate_and_simulate(tmp_path):
    text = call(
        "train", "ppo", "--task", "Bidding", "--steps", "13000", "--track", "off", "--out", "policy"
    ).stdout
    assert "chengfang evaluate policy --task Bidding" in text
    # whole rollouts of 1,024 markets, doing nothing beside them, and measuring the inputs
    assert re.search(
        r"saved policy \(0.1 M ticks \(training 46,080, copies 0.1 M\), \d+ CPU seconds\)", text
    )
    data = json.loads(call("evaluate", "policy", *TINY, "--json").stdout)
    assert (data["agent"], data["kind"]) == ("policy", "learner")
    call("simulate", "policy", "--task", "Bidding")
    assert (tmp_path / "plan.png").is_file()
    other = call("evaluate", "policy", "--task", "Coupon", "--episodes", "8", code=2)
    assert "acts on the levers bid_feed" in other.stderr


@pytest.mark.slow
def test_tune_fits_a_shift_that_is_judged_like_any_policy(tmp_path):
    words = ["tune", "best-rule", "--task", "Bidding", "--shift", "start_facts", "--out", "shift"]
    text = " ".join(call(*words, "--steps", "20000").stdout.split())
    assert re.search(r"saved shift \(.* ticks \(training .*copies .*tuning .*CPU seconds\)", text)
    assert "chengfang evaluate shift --task Bidding --against MCKPCoupon" in text
    data = json.loads(call("evaluate", "shift", *TINY, "--json", "--against", "best-rule").stdout)
    assert data["against"]["agent"] == "MCKPCoupon"
    assert data["profit_gain"] is not None


def test_bench_prints_json_and_a_table(monkeypatch):
    from chengfang.experiments import bench

    asked = []

    def measure(envs, quick, learner, on_progress):
        asked.append((envs, quick, learner))
        on_progress("speed")
        return [bench.Figure("speed", 123456.0, "steps/s")]

    monkeypatch.setattr(bench, "bench", measure)
    result = call("bench", "--quick", "--json", "--no-learner", "--envs", "64")
    data = json.loads(result.stdout)
    assert data["figures"][0]["value"] == 123456.0
    assert "numba" in data["versions"]
    assert asked == [(64, True, False)]
    assert "measuring speed" in result.stderr
    assert "123,456" in call("bench").stdout
