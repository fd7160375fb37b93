"""The tables for a terminal and in Markdown, from rows that are made by hand."""

import json
from dataclasses import replace

import pytest
from helpers import changed, grid_rows, paper_rows, printed, rows, rows_ending_at, summary_of

from jaxrnn import NOTEBOOK, InputError
from jaxrnn.problems import settled
from jaxrnn.report.document import parts_of, write_report
from jaxrnn.report.render import Table, TableRow, Words
from jaxrnn.report.summary import Study, summarize
from jaxrnn.report.table import rules, sentence, table
from jaxrnn.store.run_directory import RunDirectory


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


def test_a_report_names_what_its_run_was_asked_for_and_lacks(tmp_path):
    """And a run says in its directory what it was asked for, before it trains."""
    lstm, gru = (
        settled(replace(NOTEBOOK.base, cell=cell, length=5, trials=3)) for cell in ("lstm", "gru")
    )
    with RunDirectory(tmp_path) as directory:
        directory.ask([lstm, gru])
        directory.admit([lstm])
        directory.add(rows_ending_at(lstm, [1100, None, 1200])[:2])
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["asked"] == [["notebook", "gru", 5, 3], ["notebook", "lstm", 5, 3]]
    write_report(tmp_path)
    lacks = "Still to be run: 3 of 3 trials of gru at T = 5 and 1 of 3 trials of lstm at T = 5."
    for name in ("report.md", "report.html"):
        assert lacks in (tmp_path / name).read_text()
    # Whoever asks for less later takes nothing back, and what is whole is not named.
    with RunDirectory(tmp_path) as directory:
        directory.ask([replace(lstm, trials=1), gru])
        directory.admit([gru])
        directory.add(rows_ending_at(gru, [900, 900, None]))
    assert json.loads((tmp_path / "config.json").read_text())["asked"] == config["asked"]
    write_report(tmp_path)
    assert (
        "Still to be run: 1 of 3 trials of lstm at T = 5." in (tmp_path / "report.md").read_text()
    )
    many = [[f"net {k}", "lstm", 5, 1] for k in range(15)]
    _, words, *_ = parts_of(Study(rows("lstm", 5, [1100]), asked=many))
    assert words.text.endswith("T = 5 and trials of 3 other nets or lengths.")
    for asked in (3, [["trial", "lstm", 5]], [["trial", "lstm", "5", 3]]):
        (tmp_path / "config.json").write_text(json.dumps(config | {"asked": asked}))
        with pytest.raises(InputError, match="its 'asked' are no nets; move it away"):
            write_report(tmp_path)
