"""The tables for a terminal and in Markdown, from rows that are made by hand."""

import pytest
from helpers import changed, grid_rows, paper_rows, printed, rows, summary_of

from jaxrnn.report.document import parts_of
from jaxrnn.report.render import Table, TableRow, Words
from jaxrnn.report.summary import Study, summarize
from jaxrnn.report.table import rules, sentence, table


def body_of(made):
    """The cells of each row of the Markdown table, under its headings."""
    headings, _, *body = ([*map(str.strip, line.split("|")[1:-1])] for line in summary_of(made))
    return [dict(zip(headings, cells, strict=True)) for cells in body]


def test_tasks_of_one_rule_share_a_line_and_lengths_have_the_guesses_from_least_to_most():
    rule = {"threshold": 0.1, "window": 50, "max_failures": 0, "test_size": 0, "final_test": 0}
    other = rows("lstm", 40, [None], task="adding", **rule)
    own = rows("lstm", 40, [None], task="mine.py:last", **rule)
    assert rules(other + own) == [
        "Solved, on adding, mine.py:last: no error above 0.1 in 50 training sequences in a row."
    ]
    lengths = rows("lstm", 16, [None], task="adding") + rows("lstm", 64, [None], task="adding")
    (line,) = rules(lengths)
    assert line.endswith("(guessing gets 15.4% to 15.5% of the sequences right).")


def test_where_all_sequences_may_fail_the_report_speaks_of_the_mean_error_alone():
    mean_alone = {"test_size": 100, "max_failures": 100, "mean_error": 0.04}
    made = rows("lstm", 40, [700, None], task="two_sequence_noise", **mean_alone)
    (line,) = rules([changed(row, correct_at=99) for row in made])
    assert line.startswith(
        "Solved, on two_sequence_noise: a mean error below 0.04 in a test set of 100 sequences"
    )
    assert not any("ST1" in line for line in body_of(made))
    made = rows("lstm", 40, [700], task="two_sequence_noise", **mean_alone | {"max_failures": 99})
    assert body_of([changed(row, correct_at=99) for row in made])[0]["ST1"] == "1/1"


def test_a_diverged_trial_counts_as_a_trial_and_is_shown():
    made = rows("lstm", 9, [7000, None, None, 9000])
    made[1] = changed(made[1], status="diverged", steps=17)
    (line,) = body_of(made)
    assert line["solved"] == "2/4 (1 diverged)"
    assert line["95%"] == "7-93"
    assert (line["mean"], line["worst"]) == ("8,000", "never")
    assert "2/4 (1 diverged) solved" in sentence(summarize(made))


def test_the_table_has_a_column_for_each_setting_that_differs():
    header, _, *body = summary_of(grid_rows())
    headings = ["net", "T", "learning rate", "clip", "solved", "95%", "mean", "median", "worst"]
    assert header == f"| {' | '.join(headings)} |"
    assert body[0] == "| lstm | 5 | 0.1 | 5 | 2/2 | 16-100 | 500 | 500 | 600 |"
    assert body[2] == "| lstm | 5 | 0.1 | 1 | 1/2 | 1-99 | 700 | never | never |"
    assert body[4] == "| lstm | 6 | - | - | 2/3 | 9-99 | 500 | 800 | never |"


MANY = (
    paper_rows("2c", 50, [60_000, None])
    + paper_rows("2c", 100, [None])
    + paper_rows("2c-feedforward", 100, [45_000])
    + paper_rows("2c-feedforward", 50, [40_000])
    + paper_rows("3a", 100, [1_999_999], correct_at=[1_000_000], final_wrong=[3])
)


@pytest.mark.parametrize("width", [60, 200])
def test_a_narrow_terminal_gets_fewer_columns_and_no_cut_ones(width):
    text = printed(width, table(summarize(MANY))._replace(legend=""))
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for whole in ("published", "2c-feedforward", "1/1", "2,000,000", "30,001", "0.117%"):
        assert whole in text
    assert ("best" in text) == (width == 200)


def test_names_are_shortened_and_folded_before_a_number_is_cut_off():
    numbers = {"solved": "20/20", "95%": "83-100", "median": "1,234,567"}
    nets = ["a/directory/of_ones_own/cells.py:gru", "another/of_ones_own/cells.py:gru"]
    headings = ["task", "net", *numbers]
    made = [TableRow({"task": "temporal_order_three", "net": net} | numbers, 0) for net in nets]
    wide = printed(80, Table("", headings, made))
    assert [line.split() for line in wide.splitlines()[3:5]] == [
        ["temporal_order_three", "cells.py:gru", *numbers.values()],
        ["temporal_order_three", "cells.py:gru", "2", *numbers.values()],
    ]
    narrow = printed(40, Table("", headings, made))
    assert narrow.count("1,234,567") == narrow.count("83-100") == 2
    assert "…" not in narrow


def test_a_callers_view_that_suits_the_rows_stands_before_the_rules_alone():
    study = Study(rows("lstm", 5, [700, None]))
    mine, rule = parts_of(study, lambda study: [Words("mine")])
    assert (mine.text, rule.text[:6], rule.brief) == ("mine", "Solved", False)
    assert parts_of(study, lambda study: [])[1] == table(study.lines)
