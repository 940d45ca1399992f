"""The figures of Ahn et al. (2024), drawn from records that were made up, show their numbers."""

import zlib

import numpy as np
import pytest

from wdattn.papers import lookup
from wdattn.papers.ahn2024.condition_figures import TABLE
from wdattn.reproduction import Best, Record

PAPER = lookup("ahn2024")
FIGURES = PAPER.figures
NAMED = {figure.name: figure for figure in FIGURES}
SCALES = {
    name: next(scale for scale in ("smoke", "laptop", "paper") if figure.drawn_at(scale))
    for name, figure in NAMED.items()
}
"""The smallest at which each is drawn."""
PAIRS = {"smoothness", "smoothness_path", "condition"}


def made_up(run, column, times):
    """Numbers of the column's shape, larger with SGDM; some of a curvature negative."""
    rng = np.random.default_rng(zlib.crc32(f"{run} {column}".encode()))
    if column == "noise":
        return np.exp(0.3 * rng.normal(size=(1, 2, min(run.noise_batches, 300))))
    shape = (len(times), 2) if column in PAIRS else (len(times),)
    values = (5.0 if run.optimizer == "sgdm" else 1.0) * np.exp(rng.normal(size=shape))
    if column == "directional_smoothness":
        values[1] *= -1
    if column == "smoothness_path":
        values[1, 1] *= -1
    return values


def record(experiment, scale, arm, seed, columns):
    searched = (
        {"learning_rate": 0.02}
        if isinstance(experiment.at(scale).overrides({}).get("learning_rate"), Best)
        else {}
    )
    run = experiment.at(scale).run({**searched, **arm}, seed)
    found = {}
    for column in columns:
        times = experiment.at(scale).times(column, run.steps)
        found[column] = np.array(times), made_up(run, column, times)
    return Record(run, found, {"backend": "jax"})


def records(name, scale=None):
    figure, scale = NAMED[name], scale or SCALES[name]
    seeds = figure.experiment.at(scale).seeds
    found = {
        label: [record(figure.experiment, scale, arm, seed, figure.columns) for seed in seeds]
        for label, arm in figure.shown(scale).items()
    }
    return {"jax": found, "torch": found} if figure.across else found


def draw(name, found=None):
    return NAMED[name].draw(found or records(name), "Where from.")


def said(drawn):
    return " ".join(drawn.get_supxlabel().split())


def titles(drawn):
    return [axes.get_title("left") for axes in drawn.axes if axes.get_title("left")]


def lines(axes, gid):
    return [line.get_ydata() for line in axes.lines if line.get_gid() == gid]


@pytest.mark.parametrize("name", NAMED)
def test_it_draws_and_says_where_from(name):
    drawn = draw(name)
    assert said(drawn).startswith("Where from.") and drawn.get_suptitle()
    assert all(axes.has_data() for axes in drawn.axes)


def test_every_claim_has_a_figure_and_every_figure_the_runs_of_its_claims():
    shown = {name for figure in FIGURES for name in (figure.claim, *figure.also)} - {""}
    assert shown == {claim.id for claim in PAPER.claims}
    for figure in FIGURES:
        if figure.claim:
            assert PAPER.claim(figure.claim).experiment == figure.experiment
        else:
            assert figure.experiment in PAPER.studies
        for name in figure.also:
            assert PAPER.claim(name).experiment == figure.experiment


def test_a_figure_reads_no_hessian_at_laptop_scale_that_no_claim_reads():
    read = {}
    for claim in PAPER.claims:
        for arm, column in claim.reading():
            run = claim.experiment.at("laptop").run({"learning_rate": 0.02} | arm, 0)
            read.setdefault((claim.experiment.name, column), []).append(run)
    for figure in FIGURES:
        if figure.drawn_at("laptop") and {"condition", "condition_path"} & set(figure.columns):
            assert figure.columns == ("condition",)
            for arm in figure.arms.values():
                run = figure.experiment.at("laptop").run({"learning_rate": 0.02} | arm, 0)
                assert run in read[figure.experiment.name, "condition"], (figure.name, arm)


# Losses


def test_the_gap_has_a_panel_a_setting_and_tells_our_means_where_the_authors_can_be_read_off():
    found = records("gap", "laptop")
    drawn = draw("gap", found)
    assert titles(drawn) == ["Setting 1", "Setting 2, 5 contexts", "Setting 3, heavy-tailed"]
    for axes, panel in zip(drawn.axes, titles(drawn), strict=True):
        for mean, label in zip(lines(axes, "mean"), ("SGDM", "Adam"), strict=True):
            wanted = np.mean([run["evaluation_loss"] for run in found[f"{panel} | {label}"]], 0)
            np.testing.assert_allclose(mean, wanted)
    at = list(found["Setting 1 | Adam"][0].steps("evaluation_loss")).index(1250)
    mean = np.mean([run["evaluation_loss"][at] for run in found["Setting 1 | Adam"]])
    assert f"Adam {mean:.2g} at 1250" in said(drawn)


def test_appendix_b_averages_logarithms():
    found = records("network-loss")
    (axes,) = draw("network-loss", found).axes
    wanted = np.exp(np.mean([np.log(run["evaluation_loss"]) for run in found["Adam"]], 0))
    np.testing.assert_allclose(lines(axes, "mean")[1], wanted)


def test_depth_has_six_layers_at_paper_scale_only():
    small, whole = ["L = 2", "L = 4", "L = 8"], ["L = 2", "L = 4", "L = 6", "L = 8"]
    for name in ("depth-loss", "depth-noise"):
        assert titles(draw(name))[:3] == small
        assert titles(draw(name, records(name, "paper")))[:4] == whole


# Noise


def test_noise_is_drawn_with_its_matched_gaussian():
    found = records("noise")
    drawn = draw("noise", found)
    for axes, runs in zip(drawn.axes[3:], found.values(), strict=True):  # the whole, as log counts
        bars, outline = (patch.get_data() for patch in axes.patches)
        own, matched = np.concatenate([run["noise"][0] for run in runs], 1)
        assert bars.values.sum() == own.size
        assert bars.edges[0] == min(own.min(), matched.min())
        assert outline.edges[-1] >= matched.max()


def test_appendix_b_draws_one_initialisation_and_its_quantiles():
    found = records("network-noise")
    drawn = draw("network-noise", found)
    own, matched = found["network"][0]["noise"][0]
    dots = [line.get_ydata() for line in drawn.axes[1].lines if line.get_gid() == "draws"]
    np.testing.assert_array_equal(dots[0], np.sort(matched))
    np.testing.assert_array_equal(dots[1], np.sort(own))
    assert "Drawn: seed 0 alone." in said(drawn)


# Condition numbers


@pytest.mark.parametrize(
    ("name", "column"),
    [("condition", "Setting 3"), ("condition-fewer-contexts", "Setting 2"),
     ("network-condition", "Appendix B")],
)  # fmt: skip
def test_the_ratios_are_those_of_the_records_and_stand_beside_the_papers(name, column):
    found = records(name, "laptop")
    drawn = draw(name, found)
    own = {label: np.log([run["condition"] for run in found[f"{column} | {label}"]]).mean(-1)
           for label in ("SGDM", "Adam")}  # fmt: skip
    ratios = np.exp(own["SGDM"] - own["Adam"])
    (axes,) = drawn.axes
    dots = lines(axes, "seeds")[-2:]
    np.testing.assert_allclose(dots, ratios.T)
    ticks = [label.get_text().splitlines() for label in axes.get_xticklabels()][-2:]
    for tick, step, values in zip(ticks, (750, 1250), ratios.T, strict=True):
        mean, sd = TABLE[column, step]
        assert tick[:2] == [column, f"at {step}"]
        assert float(tick[2].split()[1]) == pytest.approx(values.mean(), rel=0.01)
        assert float(tick[2].split("(")[1][:-1]) == pytest.approx(values.std(ddof=1), rel=0.01)
        paper = tick[3].removeprefix("paper ").rstrip(")").split(" (")
        assert [float(number) for number in paper] == [mean, sd]


def test_the_papers_numbers_are_those_of_its_tables():
    means = {750: (1.76, 3.14, 9.57, 5.41), 1250: (1.58, 5.98, 6.53, 6.61)}
    spreads = {750: (0.40, 0.97, 13.3, 3.96), 1250: (0.41, 2.86, 3.55, 2.54)}
    panels = ("Setting 1", "Setting 2", "Setting 3", "Appendix B")
    assert TABLE == {
        (panel, step): (means[step][number], spreads[step][number])
        for number, panel in enumerate(panels)
        for step in (750, 1250)
    }


# Smoothness


def test_points_without_a_logarithm_are_counted_in_both_smoothness_figures():
    found = records("directional-smoothness")
    count = len(found["Setting 1 | Adam"])
    size = count * len(found["Setting 1 | Adam"][0]["directional_smoothness"])
    wanted = f"Setting 1, Adam: {count} of {size} points are 0 or negative"
    assert wanted in said(draw("directional-smoothness", found))
    points = len(records("smoothness-path")["Setting 1"][0]["smoothness_path"])
    assert f"Setting 1: 1 of {points} points have no logarithm" in said(draw("smoothness-path"))


def test_the_papers_seed_is_drawn_where_it_was_run():
    found = records("smoothness-path")
    drawn = draw("smoothness-path", found)
    dots = np.asarray(drawn.axes[0].collections[0].get_offsets())
    gradient, along = found["Setting 1"][1]["smoothness_path"].T
    np.testing.assert_allclose(dots, np.log(np.stack([gradient, along], 1)[along > 0]))
    assert "Drawn: seed 1 alone." in said(drawn)
    other = {label: runs[:1] for label, runs in found.items()}
    assert "Drawn: seed 0 alone." in said(draw("smoothness-path", other))
