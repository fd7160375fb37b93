"""The tables for a terminal and in Markdown, from rows that are made by hand."""

import pytest
from helpers import changed, grid_rows, paper_rows, printed, rows, summary_of

from jaxrnn.report.render import Table, TableRow
from jaxrnn.report.summary import summarize
from jaxrnn.report.table import rules, sentence, table


def body_of(made):
    """The cells of each row of the Markdown table, under its headings."""
    headings, _, *body = ([*map(str.strip, line.split("|")[1:-1])] for line in summary_of(made))
    return [dict(zip(headings, cells, strict=True)) for cells in body]


def test_the_markdown_table_shows_both_sides():
    made = rows("lstm", 9, [7000, None, 9000]) + rows("lstm", 50, [None])
    header, _, nine, fifty = summary_of(made)
    assert header.split(" | ")[3:7] == ["95%", "mean", "median", "worst"]
    assert header.split(" | ")[7:] == ["notebook", "its median", "p |"]
    assert nine.startswith("| lstm | 9 | 2/3 | 9-99 | 8,000 | 9,000 | never | 10/10 | 11,676 |")
    assert fifty == "| lstm | 50 | 0/1 | 0-98 | - | never | never | - | - | - |"
    # The notebook's unsolved trials are counted as such.
    (nine,) = body_of(rows("simple_rnn", 9, [7000, None]))
    assert (nine["notebook"], nine["its median"]) == ("8/10", "7,488")


def test_the_report_says_what_solved_means_on_each_task_and_what_guessing_reaches():
    (line,) = rules(rows("lstm", 4, [1100, None]) + rows("gru", 5, [1100]))
    assert line == (
        "Solved, on noise_free: no error above 0.25 in 1,000 training sequences in a row (guessing "
        "gets 50% of the sequences right)."
    )
    rule = {"threshold": 0.1, "window": 50, "max_failures": 0, "test_size": 0}
    other = rows("lstm", 40, [None], task="adding", **rule)
    own = rows("lstm", 40, [None], task="mine.py:last", **rule)
    assert rules(other + own) == [
        "Solved, on adding, mine.py:last: no error above 0.1 in 50 training sequences in a row."
    ]
    tasks = {16: "adding", 64: "adding", 40: "two_sequence_noise"}
    made = [
        row for length, task in tasks.items() for row in rows("lstm", length, [None], task=task)
    ]
    first, second = rules(made)
    assert first.endswith("(guessing gets 15.4% to 15.5% of the sequences right).")
    assert second == (
        "Solved, on two_sequence_noise: at most 5 errors above 0.2 in a test set of 256 sequences, "
        "and a mean error below 0.04 (guessing gets 50% of the sequences right)."
    )


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


def test_the_published_row_stands_above_ours_of_the_same_length():
    body = body_of(MANY)
    assert list(body[0])[:4] == ["net", "T", "solved", "95%"]
    assert list(body[0])[-3:] == ["ST1", "its mean", "wrong"]
    assert [(row["net"], row["T"]) for row in body] == [
        *((net, "50") for net in ("published", "2c", "2c-feedforward")),
        *((net, "100") for net in ("published", "2c", "2c-feedforward", "published", "3a")),
    ]
    means = ["30,000", "50,001", "30,001", "31,000", "-", "35,001", "39,850", "2,000,000"]
    assert [row["mean"] for row in body] == means
    last = [(row["its mean"], row["wrong"]) for row in body[-2:]]
    assert last == [("27,380", "0.0195%"), ("1,000,001", "0.117%")]


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
    wide = printed(80, Table(headings, made))
    assert [line.split() for line in wide.splitlines()[3:5]] == [
        ["temporal_order_three", "cells.py:gru", *numbers.values()],
        ["temporal_order_three", "cells.py:gru", "2", *numbers.values()],
    ]
    narrow = printed(40, Table(headings, made))
    assert narrow.count("1,234,567") == narrow.count("83-100") == 2
    assert "…" not in narrow
