"""The table's numbers from rows that are made by hand."""

import math

import numpy as np
import pytest
from helpers import grid_rows, paper_rows, rows, rows_ending_at
from scipy.stats import mannwhitneyu

from jaxrnn import NOTEBOOK, SUITES
from jaxrnn.report.summary import (
    interval,
    mann_whitney,
    median,
    published_beside,
    summarize,
)
from jaxrnn.report.table import table


def test_an_unsolved_trial_is_later_than_all_others_in_the_p_value():
    generator = np.random.default_rng(1)
    pairs = [([math.inf] * 3, [math.inf] * 4)]
    for sizes in ((3, 4), (10, 10), (3, 4), (7, 9), (20, 5)) * 4:
        pair = [generator.integers(0, 30, size).astype(float) for size in sizes]
        pairs.append([np.where(sample > 22, math.inf, sample).tolist() for sample in pair])
        pairs.append(generator.permutation(sum(sizes)).astype(float)[: sizes[0]].tolist())
        pairs[-1] = (pairs[-1], [one + 0.5 for one in range(sizes[1])])  # without ties
    alone = [
        1.0
        if len({*a, *b}) == 1
        else mannwhitneyu(*(np.minimum(one, 99.0) for one in (a, b))).pvalue
        for a, b in pairs
    ]
    found = [mann_whitney(*pair) for pair in pairs]
    assert found == pytest.approx(alone)  # the unsolved are last
    assert len({round(p, 6) for p in alone}) > 20


def test_the_median_is_never_where_the_middle_is_unsolved():
    assert median([1, 2, math.inf]) == 2
    assert median([1, math.inf, math.inf]) == math.inf
    assert median([1, 2, math.inf, math.inf]) == math.inf
    assert median([4, 1, 3, 2]) == 2.5


@pytest.mark.parametrize("changes", [{"max_steps": 100_001}, {"clip": 4.0}, {"join_at": 5}])
def test_published_results_stand_beside_rows_of_the_same_settings_only(changes):
    published = NOTEBOOK.published["lstm", 5]
    (as_published,) = summarize(rows("lstm", 5, published.trials, seed=5))
    assert (as_published.published, as_published.p_value) == (published, pytest.approx(1, abs=0.03))
    (other,) = summarize([row.values() | changes for row in rows("lstm", 5, [1100, None])])
    assert other.published is other.p_value is None
    for changes, mean in (({"window": 1999}, None), ({"seed": 7}, 31_390)):
        experiment = SUITES["6a"].at(trials=2, **changes)
        (ours,) = summarize(rows_ending_at(experiment, [30_000, None], final_wrong=[1, 2]))
        assert (ours.published and ours.published.mean) == mean


def test_published_numbers_stand_beside_no_mixture_of_settings():
    mixed = rows("lstm", 4, [1100, 1101]) + rows("lstm", 4, [1000, 1001], hidden_size=10)
    plain, other = sorted(summarize(mixed), key=lambda line: line.settings["hidden_size"])[::-1]
    assert (plain.settings, other.settings) == ({"hidden_size": 20}, {"hidden_size": 10})
    assert plain.published is not None
    assert other.published is None
    assert published_beside(mixed) is published_beside(mixed[::-1]) is None
    assert published_beside(mixed[:2]) == plain.published


def test_rows_are_summarized_by_the_settings_that_differ_best_first():
    made = grid_rows()
    for order in (made, [made[k] for k in (3, 7, 0, 4, 1, 6, 2, 5, 8, 9, 10)]):
        lines = summarize(order)
        assert [
            (line.length, line.settings, line.solved, line.trials, line.median) for line in lines
        ] == [
            (5, {"learning_rate": 0.1, "clip": 5.0}, 2, 2, 500),
            (5, {"learning_rate": 2.0, "clip": 5.0}, 2, 2, 600),
            (5, {"learning_rate": 0.1, "clip": 1.0}, 1, 2, math.inf),
            (5, {"learning_rate": 2.0, "clip": 1.0}, 0, 2, math.inf),
            (6, {}, 2, 3, 800),
        ]
        assert all(line.interval == interval(line.solved, line.trials) for line in lines)
        assert all(line.published is None for line in lines)
    # More solved trials come before a lower median.
    clips = (1.0, 1.0, 1.0, 5.0, 5.0, 5.0)
    fast, sure = [200, 300, None], [700, 800, 900]
    for steps in (fast + sure, sure + fast):
        lines = summarize(rows("lstm", 5, steps, name="grid", clip=clips))
        assert [(line.solved, line.median) for line in lines] == [(3, 800), (2, 300)]


def test_a_line_counts_sequences_and_lays_them_beside_the_published_row():
    (line,) = summarize(
        paper_rows("3a", 100, [999, 2999, None], correct_at=[499, 999, 1499], final_wrong=[0, 2, 9])
    )
    assert (line.solved, line.mean, line.least) == (2, 2000, 1000)
    assert (line.st1_trials, line.st1_mean) == (3, 1000)
    assert line.wrong == pytest.approx(1 / 2560)
    assert line.published.mean == 39_850
    assert line.p_value is None  # the paper prints no trial's own
    (line,) = summarize(paper_rows("6a", 77, [9_999], final_wrong=[0]))  # as was not published
    assert (line.mean, line.published) == (10_000, None)
    assert "training sequences until" in table([line]).legend


def test_the_stretch_that_proves_2a_is_not_counted():
    (line,) = summarize(paper_rows("2a", 101, [14_999]))
    assert line.mean == 5000
    assert line.wrong is None
    shorter = rows_ending_at(SUITES["2a"].at(length=101, trials=1, window=100), [5_099])
    assert summarize(shorter)[0].mean == 5000
