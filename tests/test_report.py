"""The tables for a terminal and in Markdown, from rows that are made by hand."""

import io

import pytest
from helpers import grid_rows, paper_rows, rows
from rich.console import Console

from jaxrnn.results.report import markdown, table
from jaxrnn.results.summary import summarize


def test_the_markdown_table_shows_both_sides():
    text = markdown(summarize(rows("lstm", 9, [7000, None, 9000]) + rows("lstm", 50, [None])))
    header, _, nine, fifty = text.splitlines()
    assert header.split(" | ")[3:7] == ["95%", "mean", "median", "worst"]
    assert header.split(" | ")[7:] == ["notebook", "its median", "p |"]
    assert nine.startswith("| lstm | 9 | 2/3 | 9-99 | 8,000 | 9,000 | never | 10/10 | 11,676 |")
    assert fifty == "| lstm | 50 | 0/1 | 0-98 | - | never | never | - | - | - |"


def test_the_table_has_a_column_for_each_setting_that_differs():
    header, _, *body = markdown(summarize(grid_rows())).splitlines()
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
    text = markdown(summarize(MANY))
    headings, _, *rows = ([*map(str.strip, row.split("|")[1:-1])] for row in text.splitlines())
    assert headings[:4] == ["net", "T", "solved", "95%"]
    assert headings[-3:] == ["ST1", "its mean", "wrong"]
    assert [tuple(row[:2]) for row in rows] == [
        ("published", "50"),
        ("2c", "50"),
        ("2c-feedforward", "50"),
        ("published", "100"),
        ("2c", "100"),
        ("2c-feedforward", "100"),
        ("published", "100"),
        ("3a", "100"),
    ]
    means = [row[headings.index("mean")] for row in rows]
    assert means == ["30,000", "50,001", "30,001", "31,000", "-", "35,001", "39,850", "2,000,000"]
    last = [row[headings.index("its mean") :] for row in rows[-2:]]
    assert last == [["27,380", "0.0195%"], ["1,000,001", "0.117%"]]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_narrow_terminal_gets_fewer_columns_and_no_cut_ones(width):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table(summarize(MANY), console))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for whole in ("published", "2c-feedforward", "1/1", "2,000,000", "30,001", "0.117%"):
        assert whole in text
    assert ("best" in text) == (width == 200)
