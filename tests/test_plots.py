"""The pictures of a run hold the numbers of its rows, each where it belongs."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import grid_rows, paper_rows, rows

from jaxrnn import NOTEBOOK, SUITES, Published, Source, Suite
from jaxrnn.results import plots

CAP = 100_000
UNSOLVED = 1.6 * CAP  # where an unsolved trial is drawn


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Function of rows: their pictures by file name, drawn and not written."""

    def draw(made):
        figures = {}
        monkeypatch.setattr(plots, "write_figure", lambda path, f: figures.update({path.name: f}))
        assert [name for _, name in plots.write_plots(made, tmp_path)] == list(figures)
        return figures

    return draw


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


@pytest.fixture
def steps_axes(draw):
    made = rows("simple_rnn", 9, SIMPLE) + rows("lstm", 4, LSTM_4) + rows("lstm", 9, LSTM_9)
    (axes,) = draw(made)["steps_to_solution.png"].axes
    return axes


def test_every_trial_is_a_dot_at_its_step_and_length_and_an_unsolved_one_above_the_cap(steps_axes):
    colors = colors_in(steps_axes.get_legend())
    assert [label.get_text() for label in steps_axes.get_xticklabels()] == ["4", "9"]
    dots = lines_with(steps_axes, ".")
    assert [line.get_color() for line in dots] == [
        colors[net] for net in ("simple_rnn", "lstm", "lstm")
    ]
    assert colors["simple_rnn"] != colors["lstm"]
    expected = [[1200, UNSOLVED, 5000, 1400, 1300], LSTM_4, LSTM_9]
    assert [points(line)[1] for line in dots] == expected
    for line, place in zip(dots, (1, 0, 1), strict=True):
        assert is_between(line.get_xdata(), place)
    assert max(dots[0].get_xdata()) < min(dots[2].get_xdata())  # nets do not overlap
    caps = [points(line)[1] for line in lines_with(steps_axes, style="--")]
    assert caps == [[CAP, CAP]]
    low, high = steps_axes.get_ylim()
    assert low < 1100
    assert high > UNSOLVED
    assert steps_axes.get_yscale() == "log"


def test_the_unsolved_are_counted_in_their_nets_colour(steps_axes):
    (note,) = [text for text in steps_axes.texts if "/" in text.get_text()]
    assert note.get_text() == "1/5"
    assert note.get_color() == colors_in(steps_axes.get_legend())["simple_rnn"]
    x, y = note.xy
    assert abs(x - 1) < 0.5
    assert UNSOLVED < y < steps_axes.get_ylim()[1]


def test_a_line_joins_each_nets_medians(steps_axes):
    simple, lstm = lines_with(steps_axes, style="-")
    assert (simple.get_label(), lstm.get_label()) == ("simple_rnn", "lstm")
    assert points(simple)[1] == [1400]  # the unsolved one counts as never
    assert points(lstm)[1] == [1110, 9000]
    assert np.round(points(lstm)[0]).tolist() == [0, 1]


def test_rings_are_the_published_trials_of_the_same_net_and_length(steps_axes):
    colors = colors_in(steps_axes.get_legend())
    rings = lines_with(steps_axes, "o")
    nets = [("simple_rnn", 9), ("lstm", 4), ("lstm", 9)]
    for ring, (cell, length), place in zip(rings, nets, (1, 0, 1), strict=True):
        theirs = [UNSOLVED if s is None else s for s in NOTEBOOK.published[cell, length].trials]
        assert points(ring)[1] == theirs
        assert is_between(ring.get_xdata(), place)
        assert (ring.get_markeredgecolor(), ring.get_markerfacecolor()) == (colors[cell], "none")
    assert "notebook's own trials" in colors


def test_other_settings_than_the_published_have_no_rings(draw):
    axes = draw(rows("lstm", 9, LSTM_9, hidden_size=10))["steps_to_solution.png"].axes[0]
    assert not lines_with(axes, "o")
    assert "notebook's own trials" not in colors_in(axes.get_legend())


def test_a_published_mean_is_a_diamond_and_nets_of_several_experiments_are_told_apart(
    draw, monkeypatch
):
    suite = Suite(
        base=replace(NOTEBOOK.base, name="mine"),
        cells=("lstm",),
        lengths=(4,),
        source=Source("Somebody 2026"),
        published={("lstm", 4): Published(1234)},
    )
    monkeypatch.setitem(SUITES, "mine", suite)
    made = rows("lstm", 4, LSTM_4) + rows("lstm", 4, LSTM_4, name="mine")
    (axes,) = draw(made)["steps_to_solution.png"].axes
    (diamond,) = lines_with(axes, "D")
    assert points(diamond)[1] == [1234]
    colors = colors_in(axes.get_legend())
    assert diamond.get_markeredgecolor() == colors["lstm (mine)"] != colors["lstm (notebook)"]


# Learning curves, a panel a length


def with_curves(made, *curves):
    return [row | {"curve": list(curve)} for row, curve in zip(made, curves, strict=True)]


def test_a_curve_is_drawn_from_step_1_on_in_its_lengths_panel_and_its_nets_colour(draw):
    made = with_curves(rows("lstm", 9, [1100, 1200]), [0.9, 0.8, 0.7], [0.6, 0.5])
    made += with_curves(rows("simple_rnn", 4, [1100]), [0.4, 0.3])
    figure = draw(made)["learning_curves.png"]
    four, nine = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["length 4", "length 9"]
    assert four.get_xscale() == "log"
    # The bins of the first steps are a step each.
    assert [points(line) for line in lines_with(nine, style="-")] == [
        ([1, 2, 3], [0.9, 0.8, 0.7]),
        ([1, 2], [0.6, 0.5]),
    ]
    assert [points(line) for line in lines_with(four, style="-")] == [([1, 2], [0.4, 0.3])]
    colors = colors_in(figure.legends[0])
    for axes, net in ((four, "simple_rnn"), (nine, "lstm")):
        for line in lines_with(axes, style="-"):
            assert line.get_color() == colors[net]
        (threshold,) = lines_with(axes, style="--")
        assert points(threshold)[1] == [0.25, 0.25]
        assert threshold.get_color() == colors["threshold"]
    assert len({*colors.values()}) == 3


# Sequences to success, and the curves of experiments that stand each for itself


@pytest.fixture
def paper_figures(draw):
    # Of 2a the 10,000 sequences that prove it are not counted.
    made = paper_rows("2a", 101, [14_999, 19_999, 11_999, None])
    made += paper_rows("2a-ce", 101, [11_499])
    made += paper_rows("2a-best", 101, [None, None])
    return draw(made)


def test_every_experiment_is_a_line_of_dots_with_their_mean_and_the_published_one(paper_figures):
    (axes,) = paper_figures["sequences_to_success.png"].axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["2a, T = 101", "2a-ce, T = 101", "2a-best, T = 101"]
    first, second = lines_with(axes, ".")
    assert points(first)[0] == [5000, 10_000, 2000]
    assert is_between(first.get_ydata(), 0)
    assert points(second) == ([1500], [1])
    bars = [points(line) for line in lines_with(axes, "|")]
    assert bars == [([pytest.approx(17_000 / 3)], [0]), ([1500], [1])]
    diamonds = [points(line) for line in lines_with(axes, "D")]
    assert diamonds == [([5040], [place]) for place in range(3)]
    solved = [(text.get_text(), text.xy[1]) for text in axes.texts if "/" in text.get_text()]
    assert solved == [("3/4", 0), ("1/1", 1), ("0/2", 2)]
    low, high = axes.get_xlim()
    assert low < 1500
    assert high > 10_000
    assert axes.get_ylim() == (2.5, -0.5)  # the first on top


def test_dots_have_the_colour_of_their_condition(paper_figures):
    figure = paper_figures["sequences_to_success.png"]
    colors = colors_in(figure.legends[0])
    first, second = lines_with(figure.axes[0], ".")
    assert first.get_color() == colors["as written"]
    assert second.get_color() == colors["departures of the 1997 net"]
    assert len({colors[c] for c in (*colors,) if "mean" not in c}) == 3  # the standard LSTM's, too


def test_curves_of_an_experiment_tell_the_solved_from_the_others(draw):
    made = paper_rows("2a", 101, [14_999, None, None]) + paper_rows("2b", 101, [13_999])
    made[2] |= {"status": "diverged"}
    made = with_curves(made, [0.5, 0.4], [0.9, 0.8, 0.7], [0.6], [0.3])
    figure = draw(made)["learning_curves.png"]
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["2a, T = 101", "2b, T = 101"]
    colors = colors_in(figure.legends[0])
    solved, *others = lines_with(figure.axes[0], style="-")
    assert points(solved) == ([1, 2], [0.5, 0.4])
    assert [points(line) for line in others] == [([1, 2, 3], [0.9, 0.8, 0.7]), ([1], [0.6])]
    assert solved.get_color() == colors["solved"]
    assert {line.get_color() for line in others} == {colors["not solved"]}
    assert colors["solved"] != colors["not solved"]
    for axes, mean in zip(figure.axes, (5040, 5680), strict=True):
        (published,) = lines_with(axes, style=":")
        assert points(published)[0] == [mean, mean]


def test_a_grid_has_its_heat_map_alone_and_no_rows_no_picture(draw):
    assert list(draw(grid_rows())) == ["grid.png"]
    assert draw([]) == {}
