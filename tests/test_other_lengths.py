"""Nets at other lengths than they were trained at: the table and what is drawn."""

import pytest
from helpers import rows, rows_ending_at, run, write_rows

from jaxrnn import Experiment
from jaxrnn.report.by_length import lengths_picture, lengths_rows, other_lengths
from jaxrnn.report.summary import Study

ORDER = Experiment(task="temporal_order", length=20, trials=3, test_lengths=(50, 30))
TESTED = rows_ending_at(ORDER, [2500, None, 2600], wrong_at_lengths=[(400, 0), (700, 50), None])


def test_each_length_has_a_line_with_the_share_that_is_right_and_a_dot_a_trial(tmp_path):
    untested = rows("gru", 20, [2500], task="temporal_order")
    lines = [tuple(row.cells.values()) for row in lengths_rows([*untested, *TESTED])]
    assert lines == [
        ("lstm", "20", "30", "2", "97.5%", "95.0%", "100.0%"),
        ("lstm", "20", "50", "2", "45.0%", "30.0%", "60.0%"),
    ]
    assert other_lengths(Study(TESTED))
    assert not other_lengths(Study(untested))
    (axes,) = lengths_picture(TESTED).axes
    assert axes.get_title() == "trained at T = 20"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["20", "30", "50"]
    drawn = [list(line.get_ydata()) for line in axes.lines]
    for one in ([1.0, 0.95], [0.6, 0.3], [0.975, 0.45], [0.25, 0.25]):  # the last is guessing
        assert any(y == pytest.approx(one) for y in drawn if len(y) == len(one))
    (training,) = (line for line in axes.lines if line.get_linestyle() == ":")
    assert training.get_xdata()[0] == axes.get_xticks()[0]
    write_rows(tmp_path, TESTED[:2])
    assert run("report", tmp_path) == 0
    report = (tmp_path / "report.md").read_text()
    assert "| net | T | tested at | trials | right | least | most |" in report
    assert (tmp_path / "test_lengths.png").exists()
