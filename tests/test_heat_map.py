"""The pictures hold the numbers of their rows."""

import numpy as np
from helpers import rows

from jaxrnn.results.heat_map import heat_map
from jaxrnn.results.summary import summarize


def test_the_heat_map_has_every_number_at_its_place():
    made = rows(
        "lstm",
        5,
        [700, None, 400, 600, None, None, 300, 900, 100, 200, 250, 350],
        name="grid",
        learning_rate=tuple(rate for rate in (0.5, 2.0, 0.1) for _ in range(4)),
        clip=(1.0, 1.0, 5.0, 5.0) * 3,
    )
    figure = heat_map(summarize(made))
    solved, steps = figure.axes[:2]
    # Most values across, in their order; an unsolved median is left blank.
    for axes in (solved, steps):
        assert axes.get_xlabel() == "learning rate"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.5", "2"]
    assert solved.get_ylabel() == "clip"
    assert [label.get_text() for label in solved.get_yticklabels()] == ["1", "5"]
    shares = np.asarray(solved.images[0].get_array())
    np.testing.assert_array_equal(shares, [[1, 0.5, 0], [1, 1, 1]])
    medians = np.ma.filled(steps.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(medians, [[150, np.nan, np.nan], [300, 500, 600]])
    written = {(text.get_position(), text.get_text()) for text in steps.texts}
    assert written == {((0, 0), "150"), ((0, 1), "300"), ((1, 1), "500"), ((2, 1), "600")}


def test_a_grid_of_which_one_combination_was_solved_has_its_number_all_the_same():
    made = rows("lstm", 5, [700, None], name="grid", clip=(1.0, 5.0))
    _, steps, *_ = heat_map(summarize(made)).axes
    assert [text.get_text() for text in steps.texts] == ["700"]
