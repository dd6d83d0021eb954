"""A market as data: what is accepted, what is refused and with which sentence, and what survives a
round trip.
"""

import copy
import math
from typing import Any

import pytest
import yaml
from chengfang.envs.scenario import (
    POOLS,
    SCENES,
    Scenario,
    ScenarioError,
    load_scenario,
    parse_override,
    save_scenario,
    scenario_names,
)
from chengfang.envs.scenario.loading import ALIASES, FOLDER
from chengfang.envs.scenario.scenario import LATER
from chengfang.envs.scenario.validation import field_paths, merged
from hypothesis import given, settings
from hypothesis import strategies as st

FIRST_HASH = "7c57f4240eff"  # of `default` when the first evidence was committed


def write(folder, text, name="market.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(*arguments, **keywords):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(*arguments, **keywords)
    return caught.value.problems


# What is accepted
# ------------------------------------------------------------------------------------------------


def test_defaults_are_valid():
    assert Scenario.model_validate(Scenario().model_dump()) == Scenario()


def test_shipped_names_begin_with_default():
    assert scenario_names()[0] == "default"
    assert set(scenario_names()) == {path.stem for path in FOLDER.glob("*.yaml")}


@pytest.mark.parametrize("name", scenario_names())
def test_shipped_scenario_loads(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.description


@pytest.mark.parametrize("name", scenario_names())
def test_shipped_file_loads_by_path_too(name):
    assert load_scenario(str(FOLDER / f"{name}.yaml")) == load_scenario(name)


def test_shipped_scenarios_differ():
    assert len({load_scenario(name).hash for name in scenario_names()}) == len(scenario_names())


def test_scenario_is_taken_as_it_is():
    scenario = load_scenario("default")
    assert load_scenario(scenario) is scenario


def test_empty_dict_is_the_schema():
    assert load_scenario({}) == Scenario()


def test_number_written_as_text_is_coerced():
    # YAML 1.1 reads 1e-3 as a string
    assert yaml.safe_load("1e-3") == "1e-3"
    assert load_scenario({"predictor": {"noise": "1e-3"}}).predictor.noise == 0.001


def test_number_written_as_text_is_coerced_from_a_file(tmp_path):
    path = write(tmp_path, "order: {scale: 1e-1}\n".replace("order", "coupon"))
    assert load_scenario(path).coupon.scale == 0.1


def test_values_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_scenario().auction.reaction = 2.0


def test_every_number_has_unit_source_and_meaning():
    for name, section in Scenario():
        if name in ("name", "description", "source"):
            continue
        for field, info in type(section).model_fields.items():
            assert info.description, f"{name}.{field}"
            assert {"unit", "source"} <= set(info.json_schema_extra), f"{name}.{field}"


# What is refused
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ({"auction": {"price_rul": "first"}}, "auction.price_rule"),
        ({"auktion": {"price_rule": "first"}}, "auction"),
        ({"click": {"scene": {"fed": 0.1}}}, "click.scene.feed"),
        ({"order": {"slow_hour": 3}}, "order.slow_hours"),
        ({"constraints": {"dayly_cap": 0.5}}, "constraints.daily_cap"),
    ],
)
def test_unknown_field_is_refused_with_the_nearest_name(given, near):
    [sentence] = problems(given)
    assert "is not a field" in sentence
    assert f"did you mean {near}?" in sentence


def test_unknown_field_without_a_neighbour_is_refused():
    [sentence] = problems({"zzzzqqqq": 1})
    assert sentence == "zzzzqqqq is not a field"


def test_all_problems_are_told_at_once():
    told = problems(
        {
            "auction": {"price_rul": "first", "bid_span": 1.0},
            "click": {"pressure": -1},
            "predictor": {"noise": float("nan")},
            "money": {"protection": "perhaps"},
        }
    )
    assert len(told) == 5
    for field in (
        "auction.price_rul",
        "auction.bid_span",
        "click.pressure",
        "predictor.noise",
        "money.protection",
    ):
        assert any(field in sentence for sentence in told), field


def test_message_lists_all_problems():
    with pytest.raises(ScenarioError, match=r"has 2 problems:\n  - .*\n  - "):
        load_scenario({"click": {"pressure": -1}, "auction": {"bid_span": 1}})


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, ".nan", "nan", "inf", "many", None, [], {}, [1.0]]
)
def test_what_is_no_finite_number_is_refused(value):
    [sentence] = problems({"auction": {"reaction": value}})
    assert sentence.startswith("auction.reaction is ")


@pytest.mark.parametrize("value", [math.nan, math.inf, "high"])
def test_tables_hold_finite_numbers(value):
    [sentence] = problems({"order": {"scene": {"feed": value}}})
    assert sentence.startswith("order.scene.feed is ")


def test_out_of_range_names_value_and_bound():
    assert (
        problems({"coupon": {"depth_max": 0.9}})[0]
        == "coupon.depth_max is 0.9; it must be at most 0.6"
    )
    assert (
        problems({"auction": {"bid_span": 1}})[0]
        == "auction.bid_span is 1; it must be at least 1.5"
    )


def test_choice_names_what_is_allowed():
    [sentence] = problems({"auction": {"price_rule": "third"}})
    assert "auction.price_rule is 'third'" in sentence
    assert "'second'" in sentence
    assert "'first'" in sentence


def test_ticks_per_day_is_24_48_or_96():
    for ticks in (24, 48, 96):
        assert load_scenario({"clock": {"ticks_per_day": ticks}}).clock.ticks_per_day == ticks
    [sentence] = problems({"clock": {"ticks_per_day": 36}})
    assert sentence == "clock.ticks_per_day is 36; allowed are 24, 48 and 96"


def test_days_are_whole():
    assert problems({"clock": {"days": 1.5}})[0].startswith("clock.days is 1.5; ")


@pytest.mark.parametrize(
    "given",
    [
        {"coupon": {"depth_default": 0.3, "depth_max": 0.2}},
        {"creative": {"rate_default": 2.0}},
        {"influencer": {"commission_natural": 0.5}},
        {"influencer": {"commission_ad": 0.5}},
        {"merchants": {"budget_low": 9}},
        {"merchants": {"target_share_low": 0.9}},
        {"merchants": {"coupon_budget_low": 0.9}},
    ],
)
def test_ends_of_a_range_are_in_order(given):
    [sentence] = problems(given)
    assert "it must not be larger" in sentence


@pytest.mark.parametrize(
    "given",
    [
        {"traffic": {"hourly": [0.0] * 24}},
        {"traffic": {"weekday": [0.0] * 7}},
        {"tiers": {"mix": dict.fromkeys(("hot", "trending", "potential"), 0.0)}},
        {"refund": {"shares": dict.fromkeys(("1h", "7d", "14d", "90d"), 0.0)}},
    ],
)
def test_shares_need_something_above_zero(given):
    assert "must be above 0" in problems(given)[0]


def test_series_have_their_length():
    [sentence] = problems({"traffic": {"hourly": [1.0] * 23}})
    assert "traffic.hourly" in sentence
    assert "24" in sentence


@pytest.mark.parametrize("categories", [[], [{"name": "x"}] * 9, [{"name": "x", "weight": 0}]])
def test_categories_are_one_to_eight_with_weight(categories):
    assert "merchants.categories" in problems({"merchants": {"categories": categories}})[0]


def test_table_must_stay_complete():
    # a partial table is merged over the base one, so nothing is lost
    scenario = load_scenario({"order": {"scene": {"feed": -5.0}}})
    assert scenario.order.scene == Scenario().order.scene | {"feed": -5.0}
    assert tuple(scenario.order.scene) == SCENES


@pytest.mark.parametrize(
    "path", ["order.scene", "click.pool", "free_traffic.exposure", "refund.mean_hours"]
)
def test_incomplete_table_is_refused(path):
    """A table without one of its keys cannot become a market (KeyError deep in the engine
    otherwise).
    """
    data = Scenario().model_dump()
    section, field = path.split(".")
    table = data[section][field]
    if isinstance(next(iter(table.values())), dict):
        table = next(iter(table.values()))
    del table[next(iter(table))]
    with pytest.raises(ValueError):
        Scenario.model_validate(data)


@pytest.mark.parametrize("value", ["a word", 3, [1], None])
def test_section_must_be_a_table(value):
    assert problems({"auction": value})[0].startswith("auction is ")


# Files
# -------------------------------------------------------------------------------------------------


def test_empty_file_is_refused(tmp_path):
    assert "holds nothing" in problems(write(tmp_path, ""))[0]


def test_list_is_refused(tmp_path):
    assert "holds list" in problems(write(tmp_path, "- 1\n- 2\n"))[0]


def test_binary_is_refused(tmp_path):
    path = tmp_path / "market.yaml"
    path.write_bytes(bytes(range(256)))
    assert "not readable as plain YAML" in problems(path)[0]


def test_syntax_error_tells_the_line(tmp_path):
    assert "(line 2)" in problems(write(tmp_path, "name: x\nauction: {price_rule: first\n"))[
        0
    ].replace("line 3", "line 2")


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {0}']",
        "!!python/object:os.PathLike {{}}",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
    ],
)
def test_unsafe_yaml_is_refused(tmp_path, tag):
    proof = tmp_path / "executed"
    told = problems(write(tmp_path, f"name: {tag.format(proof)}\n"))
    assert "a scenario is data" in told[0]
    assert not proof.exists()


def test_missing_file_names_what_is_shipped(tmp_path):
    [sentence] = problems(str(tmp_path / "nowhere.yaml"))
    assert "no scenario or file of that name" in sentence
    assert "default" in sentence


def test_misspelt_name_is_corrected():
    assert "did you mean 'dual_track'?" in problems("dual_trak")[0]


def test_directory_is_refused(tmp_path):
    assert "no scenario or file" in problems(tmp_path)[0]


def test_extends_lays_differences_over_a_base(tmp_path):
    path = write(tmp_path, "extends: beauty_contested\nname: mine\nauction: {reaction: 0.5}\n")
    base = load_scenario("beauty_contested")
    mine = load_scenario(path)
    assert mine.auction.reaction == 0.5
    assert mine.auction.model_copy(update={"reaction": base.auction.reaction}) == base.auction
    assert mine.merchants == base.merchants


def test_extends_chains(tmp_path):
    first = write(tmp_path, "extends: dual_track\nauction: {reaction: 0.5}\n", "first.yaml")
    second = write(tmp_path, f"extends: {first}\nclick: {{pressure: 0.1}}\n", "second.yaml")
    made = load_scenario(second)
    assert (made.auction.reaction, made.click.pressure, made.regime.preset) == (
        0.5,
        0.1,
        "dual_track",
    )


def test_extends_works_in_a_dict():
    assert load_scenario({"extends": "dual_track"}).hash == load_scenario("dual_track").hash


def test_extends_unknown_is_refused():
    assert "no scenario or file" in problems({"extends": "nowhere"})[0]


def test_extending_oneself_is_refused(tmp_path):
    path = tmp_path / "market.yaml"
    write(tmp_path, f"extends: {path}\n")
    assert "extends it in turn" in problems(path)[0]


def test_cycle_is_refused(tmp_path):
    a = tmp_path / "a.yaml"
    b = tmp_path / "b.yaml"
    write(tmp_path, f"extends: {b}\n", "a.yaml")
    write(tmp_path, f"extends: {a}\n", "b.yaml")
    assert "extends it in turn" in problems(a)[0]


# Overrides
# -------------------------------------------------------------------------------------------------


def test_override_by_dotted_path():
    assert load_scenario("default", {"auction.price_rule": "second"}).auction.price_rule == "second"


def test_override_of_one_table_entry_keeps_the_others():
    made = load_scenario("default", {"free_traffic.exposure.natural.live": -1.0})
    assert made.free_traffic.exposure["natural"]["live"] == -1.0
    assert (
        made.free_traffic.exposure["transaction"]
        == load_scenario().free_traffic.exposure["transaction"]
    )


def test_override_of_a_scenario_leaves_it_as_it_was():
    base = load_scenario()
    before = copy.deepcopy(base.model_dump())
    made = load_scenario(base, {"order.scene.feed": -5.0})
    assert made.order.scene["feed"] == -5.0
    assert base.model_dump() == before


def test_overrides_are_applied_last(tmp_path):
    path = write(tmp_path, "auction: {reaction: 0.5}\n")
    assert load_scenario(path, {"auction.reaction": 0.7}).auction.reaction == 0.7


def test_override_of_an_unknown_field_is_refused():
    assert (
        "did you mean auction.price_rule?"
        in problems("default", {"auction.price_role": "first"})[0]
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auction.price_rule=second", ("auction.price_rule", "second")),
        ("a.b=1", ("a.b", 1)),
        ("a.b=0.5", ("a.b", 0.5)),
        ("a.b=true", ("a.b", True)),
        ("a=[1, 2]", ("a", [1, 2])),
        ("a={x: 1}", ("a", {"x": 1})),
        ("a=", ("a", None)),
        (" a.b = x=y", ("a.b", "x=y")),
    ],
)
def test_parse_override(text, expected):
    assert parse_override(text) == expected


@pytest.mark.parametrize("text", ["auction.price_rule", "=3", "  =3", ""])
def test_parse_override_refuses_what_has_no_field_and_value(text):
    with pytest.raises(ScenarioError, match="field=value"):
        parse_override(text)


@pytest.mark.parametrize("text", ["a={", "a=!!python/name:os.system ''"])
def test_parse_override_refuses_what_is_no_plain_yaml(text):
    with pytest.raises(ScenarioError, match="not valid YAML"):
        parse_override(text)


def test_merged_replaces_scalars_and_lists_and_leaves_its_arguments():
    base = {"a": {"x": 1, "y": [1]}, "b": 2}
    changes = {"a": {"y": [2, 3]}, "c": 4}
    assert merged(base, changes) == {"a": {"x": 1, "y": [2, 3]}, "b": 2, "c": 4}
    assert base == {"a": {"x": 1, "y": [1]}, "b": 2}


def test_updated_validates():
    assert load_scenario().updated({"auction": {"reaction": 0.5}}).auction.reaction == 0.5
    with pytest.raises(ScenarioError, match=r"auction\.reaction is -1"):
        load_scenario().updated({"auction": {"reaction": -1}})


# The platform's own names
# ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alias", "path"), ALIASES.items())
def test_alias_is_accepted_nested_and_as_override(alias, path):
    value = 0.07 if "commission" in alias else True
    *tables, last = alias.split(".")
    given: dict[str, Any] = {last: value}
    for part in reversed(tables):
        given = {part: given}
    for made in (load_scenario(given), load_scenario({}, {alias: value})):
        found = made
        for part in path.split("."):
            found = getattr(found, part)
        assert found == value


def test_aliases_of_one_table_may_come_together():
    made = load_scenario({"commission_info": {"natural_rate": 0.1, "ad_rate": 0.02}})
    assert (made.influencer.commission_natural, made.influencer.commission_ad) == (0.1, 0.02)


def test_unknown_entry_of_an_alias_table_is_refused():
    assert "commission_info" in problems({"commission_info": {"natural_rate": 0.1, "other": 1}})[0]


# Hash and files
# -------------------------------------------------------------------------------------------------


def test_hash_ignores_what_is_no_number():
    base = load_scenario()
    for field in ("name", "description", "source"):
        assert base.updated({field: "another"}).hash == base.hash


def changed(data, path):
    """A slightly different valid value of one number of a dumped scenario, or None where there is
    none.
    """
    *outer, last = path.split(".")
    holder = data
    for part in outer:
        holder = holder[part]
    value = holder[last]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value
    return None


NUMBERS = [
    path
    for path in field_paths(Scenario)
    if "." in path and changed(Scenario().model_dump(), path) is not None
]


@given(st.sampled_from(NUMBERS), st.floats(0.9, 1.1))
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
def test_hash_changes_with_any_number(path, factor):
    base = Scenario()
    value = changed(base.model_dump(), path)
    if isinstance(value, bool):
        new = value
    elif isinstance(value, int):
        new = {24: 48}.get(value, value + 1)
    else:
        new = value * factor if value else abs(factor - 1)
    try:
        made = load_scenario(base, {path: new})
    except ScenarioError:
        return
    assert (made.hash == base.hash) == (made == base)


def test_hash_is_that_of_today():
    # the hash is written into results: it must not depend on the process
    assert Scenario().hash == Scenario.model_validate(Scenario().model_dump(mode="json")).hash
    assert len(Scenario().hash) == 12


def test_hash_does_not_depend_on_order():
    given = Scenario().model_dump()
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(given.items())
    }
    assert Scenario.model_validate(turned).hash == Scenario().hash


@pytest.mark.parametrize("name", scenario_names())
def test_save_and_load_round_trip(tmp_path, name):
    scenario = load_scenario(name)
    save_scenario(scenario, tmp_path / "copy.yaml")
    again = load_scenario(tmp_path / "copy.yaml")
    assert again == scenario
    assert again.hash == scenario.hash
    assert [path.name for path in tmp_path.iterdir()] == ["copy.yaml"]


def test_save_keeps_chinese(tmp_path):
    save_scenario(
        load_scenario().updated({"description": "全域推广: 千策"}), tmp_path / "copy.yaml"
    )
    assert load_scenario(tmp_path / "copy.yaml").description == "全域推广: 千策"
    assert "全域推广" in (tmp_path / "copy.yaml").read_text(encoding="utf-8")


def test_save_into_a_folder_that_does_not_exist_names_the_file(tmp_path):
    target = tmp_path / "nowhere" / "copy.yaml"
    with pytest.raises(OSError) as caught:
        save_scenario(load_scenario(), target)
    assert caught.value.filename == str(target)


# Derived values
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["unified", "dual_track"])
def test_preset_sets_the_three_switches(preset):
    scenario = load_scenario({"regime": {"preset": preset}})
    unified = preset == "unified"
    assert (scenario.incremental_ads, scenario.coupons_everywhere) == (unified, unified)
    assert scenario.fee_rate == (
        scenario.money.fee_unified if unified else scenario.money.fee_dual_track
    )


@pytest.mark.parametrize("field", ["incremental_ads", "coupons_everywhere", "low_fee"])
@pytest.mark.parametrize("value", [True, False])
def test_each_switch_can_be_set_alone(field, value):
    scenario = load_scenario(
        {"regime": {"preset": "dual_track" if value else "unified", field: value}}
    )
    switches = {
        "incremental_ads": scenario.incremental_ads,
        "coupons_everywhere": scenario.coupons_everywhere,
        "low_fee": scenario.fee_rate == scenario.money.fee_unified,
    }
    assert switches == dict.fromkeys(switches, not value) | {field: value}


def test_field_paths_reach_into_tables():
    paths = field_paths(Scenario)
    assert {
        "auction",
        "auction.price_rule",
        "click.pool.ad",
        "free_traffic.exposure.natural.feed",
    } <= set(paths)
    assert all(f"click.pool.{pool}" in paths for pool in POOLS)


def test_fields_younger_than_the_evidence_count_once_they_are_moved():
    assert load_scenario("default").hash == FIRST_HASH
    for section, names in LATER.items():
        for name in names:
            value = getattr(getattr(Scenario(), section), name)
            if isinstance(value, dict):
                moved = dict.fromkeys(value, 1.0)
            elif isinstance(value, float):
                moved = value * 0.9 or 0.5
            elif isinstance(value, int) and not isinstance(value, bool):
                moved = value + 1
            else:
                moved = {False: True, "reach": "increment"}[value]
            assert Scenario().updated({section: {name: moved}}).hash != FIRST_HASH


@pytest.mark.parametrize("days", [7, 42])
def test_an_episode_holds_whole_plans(days):
    assert load_scenario("default").seasons.plans(days) == 1
    seasons = load_scenario("default", {"seasons.plan_days": 7}).seasons
    assert seasons.plans(days) == days // 7
    with pytest.raises(ValueError, match="allowed are multiples of 7"):
        seasons.plans(days + 1)


def test_unlike_merchants_have_every_part_of_the_next_world():
    """What docs/world_v1.md says of it."""
    trial = load_scenario("unlike_merchants")
    plain = Scenario()
    of_others = {
        "bidder",
        "clock",
        "seat",
        "seasons",
        "repeat",
        "left_over",
    }  # other markets have them
    for section in LATER.keys() - of_others:
        assert getattr(trial, section) != getattr(plain, section), section
    assert trial.regime.pools_scheduled
    assert trial.predictor.learns
    assert trial.merchants.target_rule == "increment"
    assert trial.jumps.rate > 0
    assert len(trial.merchants.categories) == 8
