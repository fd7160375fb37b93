"""The table's numbers from rows that are made by hand."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from jaxrnn import NOTEBOOK
from jaxrnn.outcome import Outcome
from jaxrnn.results.report import markdown
from jaxrnn.results.rows import make_row
from jaxrnn.results.summary import mann_whitney, median, summarize
from jaxrnn.suites.published import NOTEBOOK_RESULTS


def rows(cell, length, steps, **settings):
    experiment = replace(NOTEBOOK.base, cell=cell, length=length, trials=len(steps), **settings)
    return [
        make_row(
            experiment,
            Outcome(
                trial=trial,
                status="unsolved" if step is None else "solved",
                solved_at=step,
                last_above=0,
                steps=100_000 if step is None else step + 1,
                curve=(0.5,),
            ),
        )
        for trial, step in enumerate(steps)
    ]


def test_the_notebook_against_itself_is_no_different():
    lengths = NOTEBOOK_RESULTS["simple_rnn"]
    all_rows = [
        row for length, steps in lengths.items() for row in rows("simple_rnn", length, steps)
    ]
    for line in summarize(all_rows):
        assert line.p_value == pytest.approx(1.0, abs=0.03)
        assert line.solved == sum(s is not None for s in lengths[line.length])


def test_p_is_that_of_ranks_with_unsolved_last():
    ours = [1200.0, 1300.0, math.inf, math.inf, 5000.0]
    theirs = [1100.0, 1150.0, 1250.0, math.inf, 900.0]
    ranks = {value: rank for rank, value in enumerate(sorted({*ours, *theirs}))}
    expected = mannwhitneyu([ranks[v] for v in ours], [ranks[v] for v in theirs]).pvalue
    assert mann_whitney(ours, theirs) == pytest.approx(expected)
    assert mann_whitney([math.inf] * 10, [math.inf] * 10) == 1.0


def test_a_shift_shows_in_p_and_the_null_does_not():
    generator = np.random.default_rng(0)
    null = [mann_whitney(*generator.normal(size=(2, 20))) for _ in range(400)]
    share = np.mean(np.array(null) < 0.05)
    assert abs(share - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 400)
    assert mann_whitney(list(generator.normal(size=20)), list(generator.normal(2, size=20))) < 0.001


def test_the_median_is_never_where_the_middle_is_unsolved():
    assert median([1, 2, math.inf]) == 2
    assert median([1, math.inf, math.inf]) == math.inf
    assert median([1, 2, math.inf, math.inf]) == math.inf
    assert median([4, 1, 3, 2]) == 2.5


def test_other_settings_are_not_compared_with_the_notebook():
    (as_published,) = summarize(rows("lstm", 4, [1100, 1101], seed=5))
    (other,) = summarize(rows("lstm", 4, [1100, 1101], hidden_size=10))
    assert as_published.published == NOTEBOOK_RESULTS["lstm"][4]
    assert other.published is None
    assert other.p_value is None


def test_the_markdown_table_shows_both_sides():
    text = markdown(summarize(rows("lstm", 9, [7000, None, 9000]) + rows("lstm", 50, [None])))
    header, _, nine, fifty = text.splitlines()
    assert header.split(" | ")[3:7] == ["95%", "mean", "median", "worst"]
    assert header.split(" | ")[7:] == ["notebook", "its median", "p |"]
    assert nine.startswith("| lstm | 9 | 2/3 | 9-99 | 8,000 | 9,000 | never | 10/10 | 11,676 |")
    assert fifty == "| lstm | 50 | 0/1 | 0-98 | - | never | never | - | - | - |"


def test_the_published_numbers_are_whole():
    for cell in NOTEBOOK.cells:
        lengths = NOTEBOOK_RESULTS[cell]
        assert list(lengths) == [4, 5, 6, 7, 8, 9, 10, 20]
        assert all(len(steps) == 10 for steps in lengths.values())
        assert all(s is None or s >= 1000 for steps in lengths.values() for s in steps)


def test_rows_survive_json():
    (row,) = rows("lstm", 4, [1100])
    assert json.loads(json.dumps(row)) == row
