"""Settings are put together in order, name a run, and refuse what does not exist."""

import dataclasses
import json
import sys
from dataclasses import dataclass

import pytest

from wdattn.reproduction import Best, Experiment, Scale, Settings, at, end, every, last, reads


@pytest.mark.parametrize(
    ("when", "total", "expected"),
    [
        (at(3, 1), 9, (3, 1)),
        (every(4), 8, (0, 4, 8)),
        (every(4), 9, (0, 4, 8, 9)),
        (every(50), 0, (0,)),
        (last(3), 9, (6, 7, 8)),
        (last(30), 4, (0, 1, 2, 3)),
        (end, 7, (7,)),
        (end, 0, (0,)),
    ],
)
def test_when(when, total, expected):
    assert when(total) == expected


def test_order_is_defaults_experiment_scale_arm_seed(experiment):
    run = experiment.at("smoke").run({"depth": 3, "kind": "fancy"}, 4)
    assert run.values() == {
        "seed": 4,
        "stream": 0,
        "steps": 10,  # the scale's
        "learning_rate": 0.1,  # filled in
        "weight_decay": 0.5,  # the experiment's
        "clipnorm": None,
        "precision": "float32",
        "kind": "fancy",
        "depth": 3,  # the arm's, not the scale's
    }
    assert experiment.at("laptop").run({"weight_decay": 0.0}, 0).weight_decay == 0
    assert experiment.at("laptop").run({}, 0).depth == 2


def test_times_of_the_scale_come_before_the_experiments(experiment):
    assert experiment.at("smoke").times("height", 10) == (5,)
    assert experiment.at("laptop").times("height", 20) == (5, 10)
    assert experiment.at("smoke").times("loss", 10) == (6, 7, 8, 9)
    run = experiment.at("laptop").run({}, 0)
    watch = experiment.at("laptop").watching(run, {"width", "height"})
    assert watch == {"height": [5, 10], "width": [0, 10, 20]}
    assert watch == json.loads(json.dumps(watch))


def test_times_are_sorted_and_unique():
    experiment = Experiment("e", Settings, {}, {"loss": at(3, 1, 3)}, {"laptop": Scale(2)})
    assert experiment.at("laptop").times("loss", 5) == (1, 3)


# at() and last(0) are refused before there is a run: test_bad_input.py
@pytest.mark.parametrize("when", [at(11), lambda total: (-1, 3), lambda total: ()])
def test_a_look_outside_the_run_raises(when):
    experiment = Experiment("e", Settings, {}, {"height": when}, {"laptop": Scale(2)})
    with pytest.raises(ValueError, match="'e' at scale 'laptop' watches 'height' at .* 10 steps"):
        experiment.at("laptop").times("height", 10)


def test_unwatched_column_raises_and_lists(experiment):
    with pytest.raises(ValueError, match="does not watch depth; it watches loss, height, width"):
        experiment.at("laptop").times("depth", 20)
    with pytest.raises(ValueError, match=r"does not watch depth"):
        dataclasses.replace(experiment, scales={"smoke": Scale(2, {}, {"depth": end})})


@pytest.mark.parametrize(
    "change",
    [
        {"overrides": {"rate": 1}},
        {"scales": {"laptop": Scale(2, {"rate": 1})}},
    ],
)
def test_unknown_setting_raises_and_lists(experiment, change):
    with pytest.raises(ValueError, match="'base' has no setting rate; it has clipnorm, depth"):
        dataclasses.replace(experiment, **change)


def test_unknown_setting_of_an_arm_raises(experiment):
    with pytest.raises(ValueError, match="has no setting rate, speed"):
        experiment.check_arm({"speed": 1, "rate": 2, "learning_rate": 3})


def test_an_arm_may_not_set_the_seed(experiment):
    with pytest.raises(ValueError, match="sets `seed`, but every arm is run on the judged seeds"):
        experiment.check_arm({"seed": 3})


def test_unknown_scale_raises_and_lists(experiment):
    with pytest.raises(ValueError, match="seeded for experiment 'base', got 'big'"):
        experiment.at("big")


def test_seed_list(experiment):
    assert experiment.at("laptop").seeds == (0, 1, 2, 3, 4)
    assert experiment.at("seeded").seeds == (7, 9)


def test_run_id_hangs_on_everything_that_moves_a_weight(toy):
    base = toy(learning_rate=0.1)
    others = {
        "seed": 1,
        "stream": 1,
        "steps": 21,
        "learning_rate": 0.2,
        "weight_decay": 0.1,
        "clipnorm": 1.0,
        "precision": "float64",
        "kind": "fancy",
        "depth": 3,
    }
    assert set(others) == {field.name for field in dataclasses.fields(toy)}
    ids = [base.run_id("b", "jax")]
    ids += [dataclasses.replace(base, **{k: v}).run_id("b", "jax") for k, v in others.items()]
    ids += [base.run_id("c", "jax"), base.run_id("b", "torch")]
    assert len(set(ids)) == len(ids)
    assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in ids)


def test_run_id_hangs_on_the_class(toy):
    @dataclass(frozen=True, kw_only=True)
    class Other(toy):
        pass

    assert Other(learning_rate=0.1).run_id("b", "jax") != toy(learning_rate=0.1).run_id("b", "jax")


def test_equal_settings_have_one_id(toy):
    assert toy(learning_rate=5) == toy(learning_rate=5.0)
    assert toy(learning_rate=5).run_id("b", "jax") == toy(learning_rate=5.0).run_id("b", "jax")


def test_packed_settings_come_back_equal(toy):
    settings = toy(learning_rate=0.1 + 0.2, clipnorm=None, seed=3, kind="fancy")
    packed = json.loads(json.dumps(settings.packed()))
    assert Settings.unpacked(packed) == settings
    assert Settings.unpacked(packed).run_id("b", "jax") == settings.run_id("b", "jax")


@dataclass(frozen=True, kw_only=True)
class Wide(Settings):
    """With tuples, which JSON does not know."""

    steps: int = 1
    widths: tuple = ()


def test_tuples_come_back_as_tuples():
    settings = Wide(widths=(1, (2.5, "a"), None))
    again = Settings.unpacked(json.loads(json.dumps(settings.packed())))
    assert again == settings and again.widths == (1, (2.5, "a"), None)
    assert again.run_id("b", "jax") == settings.run_id("b", "jax")
    assert Wide(widths=(1.0, 2)).run_id("b", "jax") == Wide(widths=(1, 2.0)).run_id("b", "jax")
    assert Wide(widths=(1, 2)).run_id("b", "jax") != Wide(widths=(2, 1)).run_id("b", "jax")
    assert {settings.group()}  # hashable


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widths": [1, 2]}, r"`widths` must be a plain value or a tuple of them, got \[1, 2\]"),
        ({"precision": "bfloat16"}, "`precision` must be one of float32, float64, mixed_bfloat16"),
        ({"steps": True}, "`steps` must be an int >= 0, got True"),
    ],
)
def test_bad_settings(values, message):
    with pytest.raises(ValueError, match=message):
        Wide(**values)


@pytest.mark.parametrize(
    "name",
    [
        "nowhere:Toy",
        "wdattn.papers.nowhere:Toy",
        "json:JSONDecoder",
        "wdattn.papers.ahn2024.settings:RATES",
        "wdattn.papers.ahn2024.nowhere:Regression",
        "antigravity:Toy",
    ],
)
def test_a_record_cannot_name_any_class(name):
    with pytest.raises(LookupError, match="is not a settings class that is known here"):
        Settings.unpacked({"class": name, "steps": 3})
    assert "antigravity" not in sys.modules


def test_settings_that_differ_in_stackable_fields_share_a_group(toy):
    base = toy(learning_rate=0.1)
    for change in (
        {"seed": 2},
        {"stream": 1},
        {"learning_rate": 0.5},
        {"weight_decay": 0.1},
        {"clipnorm": 1.0},
    ):
        assert dataclasses.replace(base, **change).group() == base.group()
    for change in ({"steps": 3}, {"precision": "float64"}, {"kind": "fancy"}, {"depth": 3}):
        assert dataclasses.replace(base, **change).group() != base.group()
    assert {base.group()}  # hashable


# One experiment made from another, few looks, and what differs from the paper


def test_a_varied_experiment_takes_over_what_is_not_given(experiment):
    other = experiment.vary("other", {"depth": 7}, laptop=Scale(2), seeded=None, big=Scale(9))
    assert other.name == "other" and other.settings is experiment.settings
    assert other.overrides == {"weight_decay": 0.5, "depth": 7}
    assert other.watch is experiment.watch and other.source == experiment.source
    assert list(other.scales) == ["smoke", "laptop", "big"]
    assert other.at("laptop").seeds == (0, 1) and other.at("big").seeds == tuple(range(9))
    assert other.notes == {}
    assert experiment.vary("x", {}, source="there").source == "there"
    with pytest.raises(ValueError, match="has no setting colour"):
        experiment.vary("x", {"colour": 1})


@pytest.mark.parametrize(
    ("when", "steps", "expected"),
    [
        (at(750, 1250), 50, (24, 49)),  # outside the run: as many, spread over it
        (every(10), 50, (16, 32, 49)),  # more than three
        (at(1, 2), 50, (1, 2)),  # as they are
        (end, 50, (50,)),
        (at(0), 0, (0,)),
        (last(100), 4, (1, 2, 3)),
        (every(1), 2, (0, 1, 2)),
    ],
)
def test_few_looks(when, steps, expected):
    assert Scale(1, looks=3).times(when, steps) == expected


def test_the_loss_has_no_value_at_the_last_iterate(experiment):
    watched = dataclasses.replace(experiment, watch={"loss": every(5), "height": every(5)})
    watched = dataclasses.replace(watched, scales={"laptop": Scale(5)}, notes={})
    laptop = watched.at("laptop")
    assert laptop.times("loss", 20) == (0, 5, 10, 15)
    assert laptop.times("height", 20) == (0, 5, 10, 15, 20)


def test_what_differs_from_the_paper_is_told_from_the_settings(toy):
    best = Best((0.1, 0.2, 0.3), by=reads("loss")(lambda run: 0.0))
    scales = {
        "smoke": Scale(2, {"steps": 10}),
        "laptop": Scale(3, {"steps": 12_000, "depth": 4, "learning_rate": best}),
        "paper": Scale(5),
    }
    notes = {"laptop": "its form is another"}
    made = Experiment("e", toy, {"depth": 4}, {"loss": last(1)}, scales, notes=notes)
    assert made.at("paper").deviations() == "none"
    assert made.at("smoke").deviations() == (
        "steps 10 instead of 20; 2 seeds instead of 5; shows that everything runs, decides nothing"
    )
    assert made.at("laptop").deviations() == (
        "steps 12 000 instead of 20; learning rate: the best of 3 values, chosen on 3 seeds that "
        "are not judged; 3 seeds instead of 5; its form is another"
    )
    with pytest.raises(ValueError, match="`scale` must be one of smoke, laptop, paper"):
        dataclasses.replace(made, notes={"lapto": ""})


def test_what_a_run_takes_is_read_from_records(experiment):
    stated = dataclasses.replace(experiment, cost={"laptop": 9.0})
    manifests = [
        {"experiment": "base", "scale": "laptop", "seconds": 2.0},
        {"experiment": "base", "scale": "laptop", "seconds": 4.0},
        {"experiment": "base", "scale": "smoke", "seconds": 100.0},
        {"experiment": "other", "scale": "laptop", "seconds": 100.0},
    ]
    assert stated.at("laptop").seconds(manifests) == 3.0
    assert stated.at("laptop").seconds() == 9.0
    assert experiment.at("laptop").seconds() == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 0}, "`seeds` must be an int >= 1"),
        ({"seeds": (1, 1)}, "`seeds` must be different ints >= 0"),
        ({"seeds": (-1,)}, "`seeds` must be one or more ints >= 0"),
        ({"seeds": 1, "looks": 0}, "`looks` must be None or an int >= 1"),
    ],
)
def test_bad_scales(arguments, message):
    with pytest.raises(ValueError, match=message):
        Scale(**arguments)
