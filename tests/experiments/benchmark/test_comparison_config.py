"""A comparison's configuration: one task, changed by options, saved complete and run again."""

import pytest
import yaml
from chengfang.agents import RULES
from chengfang.agents.learners import APGSettings, PPOSettings
from chengfang.agents.rules.tuned import tuned_parameters
from chengfang.envs import load_scenario
from chengfang.experiments.benchmark.comparison import Changes, load_comparison, with_steps
from chengfang.experiments.benchmark.config import save_benchmark
from chengfang.experiments.benchmark.config_file import FOLDER, ConfigError
from chengfang.experiments.benchmark.plan import plan_runs


def write(folder, text):
    path = folder / "compare.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(*arguments):
    with pytest.raises(ConfigError) as caught:
        load_comparison(*arguments)
    return str(caught.value)


def test_default_is_the_shipped_comparison():
    config = load_comparison()
    assert config == load_comparison(FOLDER / "compare.yaml")
    [(task, plan)] = config.tasks.items()
    assert (task, config.episodes, config.seeds, config.tuned) == ("SuperPlan", 512, [0], True)
    assert set(plan.rules) == set(RULES)
    assert isinstance(plan.learners["APG"], APGSettings)
    assert isinstance(plan.learners["PPO"], PPOSettings)
    tuned = {s.agent: s.options["parameters"] for s in plan_runs(config) if s.kind == "rule"}
    assert tuned["MCKPCoupon"] == tuned_parameters("MCKPCoupon", "SuperPlan")


def test_a_benchmark_of_several_tasks_is_not_a_comparison():
    message = refused(FOLDER / "benchmark.yaml")
    assert "a comparison has one task" in message
    assert "chengfang benchmark" in message
    assert len(message) < 200


def test_a_comparison_of_the_old_form_is_refused_in_a_sentence(tmp_path):
    message = refused(write(tmp_path, "task: Bidding\nrules: [PID]\nepisodes: 8\n"))
    assert message.startswith("task is 'Bidding'; a comparison is a benchmark of one task now")
    assert "tasks: {Bidding: {...}}" in message


def test_options_change_it():
    config = load_comparison(None, Changes("bidding", episodes=16, seeds=2))
    [(task, plan)] = config.tasks.items()
    assert (task, config.held_out(task), config.seeds) == ("Bidding", 16, [0, 1])
    assert plan.scenario is None
    assert list(with_steps(config, {"PPO": 5}).tasks[task].learners) == ["APG", "PPO"]
    assert with_steps(config, {"PPO": 5}).tasks[task].learners["PPO"].steps == 5
    changed = load_comparison(None, Changes(scenario="dual_track", fields={}, rules_only=True))
    assert changed.tasks["SuperPlan"].learners == {}
    assert changed.scenario("SuperPlan").hash == load_scenario("dual_track").hash
    fields = load_comparison(None, Changes(fields={"auction.reaction": 0.2}))
    assert fields.scenario("SuperPlan").auction.reaction == 0.2


def test_a_given_configuration_keeps_its_scenario_for_another_task(tmp_path):
    path = write(tmp_path, "tasks: {Bidding: {scenario: dual_track, rules: [PID]}}\n")
    config = load_comparison(path, Changes("Coupon"))
    assert config.scenario("Coupon").name == "dual_track"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds fields and values"),
        ("- 1\n", "holds fields and values"),
        ("tasks: {", "not readable as plain YAML (line 1)"),
        ("episodes: 3\nseeds: [0\ntasks: {}\n", "not readable as plain YAML (line 3)"),
        ("tasks: !!python/name:os.system ''\n", "not readable as plain YAML"),
        (
            "episods: 3\ntasks: {Bidding: {}}\n",
            "episods is 3; there is no such field, did you mean episodes?",
        ),
        ("tasks: {Bidding: {rules: [PDI]}}\n", "allowed are DoNothing"),
        ("tasks: {Bidding: {learners: {DQN: {algorithm: DQN}}}}\n", "'PPO', 'SAC'"),
    ],
)
def test_files_that_are_no_configuration(tmp_path, text, words):
    message = refused(write(tmp_path, text))
    assert words in message


def test_a_misspelt_field_of_an_agent_is_said_once_where_it_was_written(tmp_path):
    text = 'agents: {Mine: {polcy: "a:B"}}\ntasks: {Bidding: {}, Coupon: {}}\n'
    lines = refused(write(tmp_path, text)).splitlines()
    assert lines[0] == "agents.Mine.polcy is 'a:B'; there is no such field, did you mean policy?"
    assert len(lines) == 1


def test_binary_and_missing_files(tmp_path):
    path = tmp_path / "compare.yaml"
    path.write_bytes(bytes(range(256)))
    assert "not readable as plain YAML" in refused(path)
    message = refused(tmp_path / "nowhere.yaml")
    assert "no such configuration" in message
    assert "compare" in message
    assert "no such configuration" in refused(tmp_path / "empty")


def test_saved_configuration_stands_alone(tmp_path):
    """A market that is not shipped is written with every number."""
    config = load_comparison(None, Changes(fields={"auction.reaction": 0.2}, episodes=8))
    save_benchmark(config, tmp_path / "config.yaml")
    again = load_comparison(tmp_path)
    assert [vars(spec) for spec in plan_runs(again)] == [vars(spec) for spec in plan_runs(config)]
    data = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    assert data["tasks"]["SuperPlan"]["scenario"]["auction"]["reaction"] == 0.2
