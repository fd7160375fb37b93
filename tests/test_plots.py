"""The pictures of a run hold the numbers of its rows, each where it belongs."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import changed, figures_of, paper_rows, rows
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from jaxrnn import NOTEBOOK, SUITES, Published, Source, Suite
from jaxrnn.store.files import write_figure

CAP = 100_000
UNSOLVED = 1.6 * CAP  # where an unsolved trial is drawn


def lines_with(axes, marker="None", style="None"):
    """The lines of an axis of one marker and style that have points."""
    found = [line for line in axes.lines if len(line.get_xdata())]
    return [line for line in found if (line.get_marker(), line.get_linestyle()) == (marker, style)]


def points(line):
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def colors_in(legend):
    """The colour that a legend gives to each label."""
    handles = zip(legend.get_texts(), legend.legend_handles, strict=True)
    return {text.get_text(): handle.get_color() for text, handle in handles}


def is_between(xs, place):
    """Whether marks stand side by side within half a unit of a place on an axis."""
    return bool((np.diff(xs) > 0).all()) and abs(xs[0] - place) < 0.5 and abs(xs[-1] - place) < 0.5


# Steps to solution

SIMPLE, LSTM_4, LSTM_9 = [1200, None, 5000, 1400, 1300], [1100, 1190, 1110], [8000, 9000, 20000]


def places_of(axes):
    """Where an axis of lengths has each."""
    labels = [int(label.get_text()) for label in axes.get_xticklabels()]
    return dict(zip(labels, axes.get_xticks().tolist(), strict=True))


def colors_of_nets(table):
    return {label.get_text(): label.get_color() for label in table.get_yticklabels()}


def test_every_trial_is_a_dot_in_its_nets_colour_and_a_published_one_a_ring():
    nets = [("simple_rnn", 9, SIMPLE), ("lstm", 4, LSTM_4), ("lstm", 9, LSTM_9)]
    figure = figures_of([row for net in nets for row in rows(*net)])["steps_to_solution.png"]
    title = "simple_rnn and lstm on noise_free, lengths 4 to 9: 3 to 5 trials each, cap 100,000"
    assert title in " ".join(figure.get_suptitle().split())
    table, axes = figure.axes
    colors, places = colors_of_nets(table), places_of(axes)
    assert list(places) == [4, 9]
    assert colors["simple_rnn"] != colors["lstm"]
    dots, rings = lines_with(axes, "."), lines_with(axes, "o")
    for (cell, length, ours), dot, ring in zip(nets, dots, rings, strict=True):
        for line, steps in ((dot, ours), (ring, NOTEBOOK.published[cell, length].trials)):
            assert points(line)[1] == [UNSOLVED if step is None else step for step in steps]
            assert is_between(line.get_xdata(), places[length])
        assert dot.get_color() == ring.get_markeredgecolor() == colors[cell]
        assert ring.get_markerfacecolor() == "none"
    assert max(dots[0].get_xdata()) < min(dots[2].get_xdata())  # nets do not overlap
    assert [points(line)[1] for line in lines_with(axes, style="--")] == [[CAP, CAP]]
    low, high = axes.get_ylim()
    assert low < 1100 < UNSOLVED < high
    # A line joins each net's medians; an unsolved trial counts as never.
    (simple,), (lstm,) = lines_with(axes, "_", "-"), lines_with(axes, style="-")
    assert (simple.get_label(), lstm.get_label()) == ("simple_rnn", "lstm")
    assert (points(simple)[1], points(lstm)[1]) == ([1400], [1110, 9000])
    assert np.abs(np.subtract(points(lstm)[0], [places[4], places[9]])).max() < 0.5
    # A table above says how many of each were solved.
    found = {
        ([*colors][round(text.get_position()[1])], text.get_position()[0]): text.get_text()
        for text in table.texts
    }
    counts = {("simple_rnn", 9): "4/5", ("lstm", 4): "3/3", ("lstm", 9): "3/3"}
    assert found == {(net, places[length]): count for (net, length), count in counts.items()}
    assert table.get_shared_x_axes().joined(table, axes)


def test_a_published_mean_is_a_diamond_and_nets_of_several_experiments_are_told_apart(monkeypatch):
    base = replace(NOTEBOOK.base, name="mine", length=4, max_steps=1000)
    published = {("lstm", 4): Published(mean=12_000)}
    suite = Suite(base=base, cells=("lstm",), lengths=(4,), source=Source("x"), published=published)
    monkeypatch.setitem(SUITES, "mine", suite)
    made = rows("lstm", 4, [700, None], max_steps=1000)
    made += rows("lstm", 4, [700, None], max_steps=1000, name="mine")
    table, axes = figures_of(made)["steps_to_solution.png"].axes
    (diamond,) = lines_with(axes, "D")
    assert points(diamond)[1] == [12_000]
    colors = colors_of_nets(table)
    assert diamond.get_markeredgecolor() == colors["lstm (mine)"] != colors["lstm"]
    _, unsolved = points(lines_with(axes, ".")[0])[1]
    low, high = axes.get_ylim()
    assert low < 700 < 1000 < 12_000 < unsolved < high


def test_each_length_has_as_much_room_on_the_axis():
    made = [row for length in (100, 4, 5) for row in rows("lstm", length, [700, None])]
    _, axes = figures_of(made)["steps_to_solution.png"].axes
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["4", "5", "100"]
    assert axes.get_xticks().tolist() == [1, 2, 3]
    assert "evenly spaced" in axes.get_xlabel()


def test_dots_stay_with_their_length():
    lengths = (4, 5, 6, 7, 8, 20, 50, 100)
    nets = [(f"cell{net}", length) for net in range(12) for length in lengths]
    made = [row for net in nets for row in rows(*net, [2000, 3000, None], name="mine")]
    table, axes = figures_of(made)["steps_to_solution.png"].axes
    places = places_of(axes)
    dots = lines_with(axes, ".")
    assert len(dots) == 12 * len(lengths)
    for number, line in enumerate(dots):
        own = places[lengths[number % len(lengths)]]
        assert np.abs(line.get_xdata() - own).max() < 0.45
    assert len({*colors_of_nets(table).values()}) == 12
    assert [len(line.get_xdata()) for line in lines_with(axes, style="-")] == [8] * 12


# Learning curves, a panel a length


def with_curves(made, *curves):
    return [
        changed(row, curve=[*map(float, curve)]) for row, curve in zip(made, curves, strict=True)
    ]


def test_a_curve_is_drawn_from_step_1_on_in_its_lengths_panel_and_its_nets_colour():
    made = rows("lstm", 9, [1100, 1200]) + rows("simple_rnn", 4, [1100, 1200], threshold=0.1)
    made = with_curves(made, [0.9, 0.8, 0.7], [0.6, 0.5], [0.4, 0.3], [0.2])
    figure = figures_of(made)["learning_curves.png"]
    four, nine = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["T = 4", "T = 9"]
    # The bins of the first steps are a step each.
    assert [points(line) for line in lines_with(nine, style="-")] == [
        ([1, 2, 3], [0.9, 0.8, 0.7]),
        ([1, 2], [0.6, 0.5]),
    ]
    drawn = [points(line) for line in lines_with(four, style="-")]
    assert drawn == [([1, 2], [0.4, 0.3]), ([1], [0.2])]
    colors = colors_in(figure.legends[0])
    assert len({*colors.values()}) == 3
    for axes, net, threshold in ((four, "simple_rnn", 0.1), (nine, "lstm", 0.25)):
        assert {line.get_color() for line in lines_with(axes, style="-")} == {colors[net]}
        (line,) = lines_with(axes, style="--")
        assert points(line)[1] == [threshold, threshold]
        assert line.get_color() == colors["threshold"]


# Sequences to success, and the curves of experiments that stand each for itself


def test_every_experiment_is_a_line_of_dots_with_their_mean_and_the_published_one():
    # Of 2a the 10,000 sequences that prove it are not counted.
    made = paper_rows("2a", 101, [14_999, 19_999, 11_999, None])
    made += paper_rows("2a-ce", 101, [11_499]) + paper_rows("2a-best", 101, [None, None])
    figure = figures_of(made)["sequences_to_success.png"]
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["2a, T = 101", "2a-ce, T = 101", "2a-best, T = 101"]
    first, second = lines_with(axes, ".")
    assert points(first)[0] == [5000, 10_000, 2000]
    assert is_between(first.get_ydata(), 0)
    assert points(second) == ([1500], [1])
    marks = {
        "|": [(pytest.approx(17_000 / 3), 0), (1500, 1)],
        "4": [(50_400, 0), (50_400, 2)],  # the cap, as steps are counted, where any was given up
        "D": [(5040, place) for place in range(3)],
    }
    for marker, expected in marks.items():
        drawn = [points(line) for line in lines_with(axes, marker)]
        assert [(x, y) for (x,), (y,) in drawn] == expected
    solved = [(text.get_text(), text.xy[1]) for text in axes.texts if "/" in text.get_text()]
    assert solved == [("3/4", 0), ("1/1", 1), ("0/2", 2)]
    assert axes.get_ylim() == (2.5, -0.5)  # the first on top
    # Dots have the colour of their condition.
    colors = colors_in(figure.legends[0])
    assert first.get_color() == colors["as written"]
    assert second.get_color() == colors["departures of the 1997 net"]


def test_curves_of_an_experiment_tell_the_solved_from_the_others():
    made = paper_rows("2a", 101, [14_999, None, None]) + paper_rows("2b", 101, [13_999])
    made[2] = changed(made[2], status="diverged")
    made = with_curves(made, [0.5, 0.4], [0.9, 0.8, 0.7], [0.6], [0.3])
    figures = figures_of(made)
    curves = ["learning_curves-noise_free.png", "learning_curves-no_regularities.png"]
    assert list(figures) == ["sequences_to_success.png", *curves]  # a picture a task
    figure = figures[curves[0]]
    panels = [axes for name in curves for axes in figures[name].axes]
    titles = [axes.get_title() for axes in panels]
    assert titles == ["2a, T = 101: 1/3", "2b, T = 101: 1/1"]
    colors = colors_in(figure.legends[0])
    solved, *others = lines_with(figure.axes[0], style="-")
    assert points(solved) == ([1, 2], [0.5, 0.4])
    assert [points(line) for line in others] == [([1, 2, 3], [0.9, 0.8, 0.7]), ([1], [0.6])]
    assert solved.get_color() == colors["solved"]
    assert {line.get_color() for line in others} == {colors["not solved"]}
    assert colors["solved"] != colors["not solved"]
    for axes, mean in zip(panels, (5040, 5680), strict=True):
        (published,) = lines_with(axes, style=":")
        assert points(published)[0] == [mean, mean]


def test_the_file_has_the_colours_of_legend_and_lines_exactly(tmp_path):
    curves = [0.5 * np.random.default_rng(seed).random(60) + 0.4 for seed in range(24)]
    made = [row for cell in ("simple_rnn", "lstm", "gru") for row in rows(cell, 9, [1100] * 8)]
    figure = figures_of(with_curves(made, *curves))["learning_curves.png"]
    write_figure(tmp_path / "curves.png", figure)  # with thousands of shades
    pixels = (255 * imread(tmp_path / "curves.png")[..., :3]).round().astype(int)
    shades = np.unique(pixels.reshape(-1, 3), axis=0).tolist()
    colors = {*colors_in(figure.legends[0]).values()}
    assert len(colors) == 4
    assert all([round(255 * part) for part in to_rgb(color)] in shades for color in colors)
