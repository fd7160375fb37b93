"""The pictures hold the numbers of their rows."""

import numpy as np
import pytest
from helpers import figures_of, grid_rows, rows

from jaxrnn.report.grid import heat_map, nets_and_lengths
from jaxrnn.report.summary import summarize


def test_the_heat_map_has_every_number_at_its_place():
    made = rows(
        "lstm",
        5,
        [700, None, 400, 600, None, None, 300, 900, 100, 200, 250, 350],
        name="grid",
        learning_rate=tuple(rate for rate in (0.5, 2.0, 0.1) for _ in range(4)),
        clip=(1.0, 1.0, 5.0, 5.0) * 3,
    )
    figure = heat_map(made, summarize(made))
    solved, steps = figure.axes[:2]
    # Most values across, in their order; an unsolved median is left blank.
    for axes in (solved, steps):
        assert axes.get_xlabel() == "learning rate"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.5", "2"]
    assert solved.get_ylabel() == "clip"
    assert [label.get_text() for label in solved.get_yticklabels()] == ["1", "5"]
    shares = np.asarray(solved.images[0].get_array())
    np.testing.assert_array_equal(shares, [[1, 0.5, 0], [1, 1, 1]])
    shown = {(text.get_position(), text.get_text()) for text in solved.texts}
    assert shown >= {((0, 0), "2/2"), ((1, 0), "1/2"), ((2, 0), "0/2")}  # as the tables say it
    medians = np.ma.filled(steps.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(medians, [[150, np.nan, np.nan], [300, 500, 600]])
    written = {(text.get_position(), text.get_text()) for text in steps.texts}
    assert written == {((0, 0), "150"), ((0, 1), "300"), ((1, 1), "500"), ((2, 1), "600")}


def test_every_net_and_length_of_a_grid_is_in_its_picture():
    made = [
        *rows("lstm", 5, [700, None], name="grid", clip=(1.0, 5.0)),
        *rows("lstm", 6, [800, 900, 100], name="grid", clip=(1.0, 5.0, 2.0)),
        *rows("gru", 5, [None, 300], name="grid", clip=(1.0, 5.0)),
        *rows("gru", 6, [450, 550], name="grid", clip=2.0),
    ]
    figure = heat_map(made, summarize(made))
    axes = figure.axes
    nets = [("lstm", 5, "1 trial each"), ("gru", 5, "1 trial each")]
    nets += [("lstm", 6, "1 trial each"), ("gru", 6, "2 trials")]
    for part, (cell, length, trials) in zip(figure.subfigs, nets, strict=True):
        title = f"{cell} on noise_free, length {length}: {trials}, cap 100,000 sequences"
        assert title in " ".join(part.get_suptitle().split())
    shares = [np.asarray(one.images[0].get_array()).tolist() for one in axes[::2]]
    assert shares == [[[1, 0]], [[0, 1]], [[1, 1, 1]], [[1]]]
    medians = [[text.get_text() for text in one.texts] for one in axes[1::2]]
    assert medians == [["700"], ["300"], ["800", "100", "900"], ["500"]]
    ticks = [[label.get_text() for label in one.get_xticklabels()] for one in axes[::2]]
    assert ticks == [["1", "5"], ["1", "5"], ["1", "2", "5"], []]


def test_what_is_not_a_number_has_a_place_and_one_that_was_solved_its_number():
    made = rows("lstm", 5, [700, None], name="mine", task="noise_free")
    made += rows("lstm", 5, [300, 500], name="mine", task="no_regularities", clip=1.0)
    solved, steps = heat_map(made, summarize(made)).axes
    assert {solved.get_xlabel(), solved.get_ylabel()} == {"clip", "task"}
    assert [text.get_text() for text in steps.texts] == ["400"]
    assert list(figures_of(grid_rows())) == ["grid.png"]  # and no other picture


def test_more_nets_than_colours_tell_apart_are_a_table_of_colours():
    made = [
        row
        for cell in range(14)
        for length in (4, 5)
        for row in rows(f"cell{cell}", length, [1000 + 10 * cell + length, None, 2000])
    ]
    (figure,) = figures_of(made).values()
    solved, steps = figure.axes
    assert (solved.get_xlabel(), solved.get_ylabel()) == ("length", "net")
    assert [text.get_text() for text in steps.texts] == ["2,000"] * 28
    # Own nets that are shortened alike are told apart.
    names = [f"models/experiments/version_{k}/recurrent_cells.py:gated_net" for k in range(3)]
    made = [row for name in names for row in rows(name, 4, [1000, None])]
    labels = [line.settings["net"] for line in nets_and_lengths(summarize(made))]
    assert len({*labels}) == 3
    assert labels[2].endswith("gated_net 3")
    assert max(map(len, labels)) <= 40


@pytest.mark.parametrize("number", [30, 360])
def test_where_each_net_and_length_would_need_too_much_room_they_are_one_table(number):
    made = [
        row
        for k in range(number)
        for row in rows(f"cell{k}", 4, [1000 + k, None], name="grid", clip=(1.0, 5.0))
    ]
    figure = heat_map(made, summarize(made))
    solved, steps, *scales = figure.axes
    assert {solved.get_xlabel(), solved.get_ylabel()} == {"clip", "net, length"}
    np.testing.assert_array_equal(solved.images[0].get_array(), [[1, 0]] * number)
    shown = [text.get_text() for text in steps.texts]
    assert shown == ([f"{1000 + k:,}" for k in range(30)] if number == 30 else [])
    assert len(scales) == (0 if number == 30 else 2)  # of colours, in place of numbers
    assert figure.get_figheight() <= 46.5
