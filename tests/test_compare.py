"""Two nets compared: against counts by hand, scipy's curves and simulated trials."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import changed, grid_rows, paper_rows, rows, rows_ending_at
from scipy.stats import mannwhitneyu, norm

from jaxrnn import SUITES, InputError, horizon
from jaxrnn.report.by_sequence import solved_by_step
from jaxrnn.report.compare import (
    compare,
    comparison_rows,
    holm,
    interval_of_probability,
    kaplan_meier,
)
from jaxrnn.report.drawing import COLORS
from jaxrnn.report.summary import Study, interval, uncounted

SMALL = {"max_steps": 101, "window": 5}  # the notebook counts from 0, so the cap is step 100


def net(cell, steps, **settings):
    return rows(cell, 5, steps, **{**SMALL, **settings})


FIRST = net("lstm", [10, 30, None])
SECOND = net("gru", [20, 40, None, None])


def test_a_small_comparison_is_as_counted_by_hand():
    result = compare(FIRST, SECOND)
    assert (result.trials, result.solved) == ((3, 4), (2, 2))
    assert result.median == (30, math.inf)
    assert result.restricted_mean == pytest.approx(((10 + 30 + 100) / 3, (20 + 40 + 200) / 4))
    # 10 is before all four; 30 before 40 and the two unsolved; two ties of unsolved ones.
    assert result.sooner == pytest.approx((4 + 3 + 2 / 2) / 12)
    # At steps 10, 20, 30 and 40 of those not yet solved 3 of 7, 2 of 6, 2 of 5, 1 of 4 are ours.
    expected = 3 / 7 + 2 / 6 + 2 / 5 + 1 / 4
    variance = 12 / 49 + 8 / 36 + 6 / 25 + 3 / 16
    z = (2 - expected) / variance**0.5
    assert result.log_rank == pytest.approx(2 * norm.sf(abs(z)))
    ranks = mannwhitneyu([1, 3, 9], [2, 4, 9, 9], alternative="two-sided", method="asymptotic")
    assert result.mann_whitney == pytest.approx(ranks.pvalue)
    low, high = result.interval
    assert 0 < low < result.sooner < high < 1
    other = compare(SECOND, FIRST)
    assert other.interval == pytest.approx((1 - high, 1 - low))


def test_one_trial_each():
    result = compare(net("lstm", [10]), net("gru", [20]))
    assert result.sooner == 1
    # Of 2 trials at step 10 one is solved: z = (1 - 1/2) / (1/4)^(1/2).
    assert result.log_rank == pytest.approx(2 * norm.sf(1))
    # With one pair p (1 - p) z^2 = (1 - p)^2.
    assert result.interval == pytest.approx((1 / (1 + norm.ppf(0.975) ** 2), 1), abs=1e-6)
    # Solved at the last step is sooner than unsolved.
    result = compare(net("lstm", [100]), net("gru", [None]))
    assert (result.sooner, result.restricted_mean) == (1, (100, 100))


@pytest.mark.parametrize("step", [None, 50])
def test_nets_that_end_alike_are_not_told_apart(step):
    result = compare(net("lstm", [step] * 3), net("gru", [step] * 4))
    assert (result.sooner, result.log_rank, result.mann_whitney) == (0.5, 1, 1)
    assert result.interval[0] + result.interval[1] == pytest.approx(1)
    assert result.median == ((math.inf,) * 2 if step is None else (50, 50))


def test_a_diverged_trial_is_one_that_the_cap_found_unsolved():
    diverged = [row if row.solved else changed(row, status="diverged") for row in FIRST]
    assert diverged != FIRST
    diverged = [changed(row, steps=min(row["steps"], 40)) for row in diverged]
    assert compare(diverged, SECOND) == compare(FIRST, SECOND)


def test_restricted_mean_is_the_area_below_the_curve_and_the_median_that_of_all_trials():
    generator = np.random.default_rng(0)
    for trials in (1, 2, 5, 10):
        steps = [s if s < 100 else None for s in generator.integers(5, 140, trials).tolist()]
        made = net("lstm", steps)
        result, curve = compare(made, made), kaplan_meier(made)
        at, left = curve.quantiles, curve.probabilities
        area = np.diff([0, *at, 100]) @ [1, *left]
        assert result.restricted_mean[0] == pytest.approx(area)
        assert result.median[0] == np.median([math.inf if s is None else s for s in steps])


def test_steps_of_two_suites_are_counted_alike():
    theirs = paper_rows("6a", 100, [5000, 6000], final_wrong=[0, 0])
    own = replace(SUITES["6a"].at(trials=2), name="mine")  # counts from 0, the paper from 1
    ours = rows_ending_at(own, [5000, 6000], final_wrong=[0, 0])
    for result in (compare(ours, theirs), compare(theirs, ours)):
        assert result.sooner == 0.5
        assert result.median[0] == result.median[1]
    not_counted = uncounted(theirs[0])
    steps = [list(kaplan_meier(one, not_counted).quantiles) for one in (theirs, ours)]
    assert steps == [[5001, 6001]] * 2


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("cap", [0.7, math.inf])
def test_the_interval_holds_the_probability_in_95_of_100_comparisons(share, cap):
    generator = np.random.default_rng(1)

    def draw(*shape):  # sooner with the probability share, were there no cap
        x = generator.exponential((1 - share) / share, shape)
        return np.minimum(x, cap), np.minimum(generator.exponential(1, shape), cap)

    x, y = draw(400_000)
    truth = np.mean(x < y) + np.mean(x == y) / 2
    held = 0
    for x, y in zip(*draw(400, 10), strict=True):
        sooner = np.mean(x[:, None] < y) + np.mean(x[:, None] == y) / 2
        low, high = interval_of_probability(float(sooner), 10, 10)
        assert 0 <= low < high <= 1
        held += low <= truth <= high
    assert 0.91 < held / 400 < 0.985


def test_other_conditions_and_what_is_no_row_are_refused():
    for changes, words in (
        ({"max_steps": 102}, "max-steps 101 and 102 are not the same conditions"),
        ({"threshold": 0.3}, "threshold 0.25 and 0.3"),
        ({"task": "no_regularities"}, "task 'noise_free' and 'no_regularities'"),
    ):
        with pytest.raises(InputError, match=words):
            compare(FIRST, net("gru", [20], **changes))
    with pytest.raises(InputError, match="length 5 and 6"):
        compare(FIRST, rows("gru", 6, [20], **SMALL))
    with pytest.raises(InputError, match="no rows of a net"):
        compare(FIRST, [])
    with pytest.raises(InputError, match="not the same conditions"):
        kaplan_meier([*FIRST, *net("lstm", [20], max_steps=300)])
    lacking = {name: value for name, value in FIRST[0].values().items() if name != "steps"}
    with pytest.raises(InputError, match="this is not a row of a trial: its 'steps' is missing"):
        compare([lacking], SECOND)
    assert compare([row.values() for row in FIRST], SECOND) == compare(FIRST, SECOND)


# In the report


def test_each_net_stands_against_the_first_of_its_length_and_cap():
    made = [
        *(FIRST + rows("lstm", 4, [7], **SMALL) + SECOND + rows("gru", 4, [7], **SMALL)),
        *(net("simple_rnn", [5, 6]) + net("lstm_coupled", [10], max_steps=102)),
    ]
    named = [tuple(row.cells.values())[:3] for row in comparison_rows(made)]
    expected = [("gru", "4", "lstm"), ("gru", "5", "lstm"), ("simple_rnn", "5", "lstm")]
    assert named == expected
    assert comparison_rows(grid_rows()) == []  # a grid's combinations are not compared


def test_adjusted_p_values_are_holms():
    # The example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (holm([0.6, 0.7]), holm([])) == ([1.0, 1.0], [])


def test_a_curve_climbs_where_a_trial_is_solved_and_ends_at_the_cap():
    never = net("simple_rnn", [None] * 3)
    # Two tasks of one's own, whose names are alike in the name of a file.
    own = [
        changed(row, experiment=task, task=f"a/b.py{task}mine") for task in ":," for row in FIRST
    ]
    others = [changed(row, cell="b") for row in own]
    pictures = solved_by_step(Study([*FIRST, *SECOND, *never, *own, *others]))
    names = [f"solved_by_step-{name}" for name in ("noise_free", "a_b_py_mine", "a_b_py_mine-3")]
    assert [one.stem for one in pictures] == names
    figure = pictures[0].draw()
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata())]
    first, second, third = (
        (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in lines
    )
    assert first[0] == [1, 10, 30, 100, 101]
    assert first[1] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert second[1] == pytest.approx([0, 1 / 4, 1 / 2, 1 / 2, 1 / 2])
    assert (third[0][0], third[0][-1], third[1]) == (1, 101, [0, 0, 0])
    band = axes.collections[2].get_paths()[0].vertices
    assert (band[:, 0].min(), band[:, 1].max()) == (1, pytest.approx(interval(0, 3)[1]))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["lstm", "gru", "simple_rnn"]
    assert axes.get_title() == "T = 5, 3-4 trials"
    # Many lengths are more than one picture, more nets than colours none.
    nets = [(cell, length) for length in range(4, 17) for cell in ("lstm", "gru")]
    many = [row for cell, length in nets for row in rows(cell, length, [20], **SMALL)]
    many = solved_by_step(Study(many))
    assert [sum(axes.get_visible() for axes in one.draw().axes) for one in many] == [12, 1]
    more = [row for k in range(len(COLORS) + 1) for row in net(f"cell{k}", [20])]
    assert solved_by_step(Study(more)) == []


def test_a_comparison_is_a_table_in_a_notebook():
    found = compare(rows("lstm", 5, [1100, 1200]), rows("gru", 5, [1300, None]))
    shown = found._repr_html_()
    assert "<tr><th>solved</th><td>2 and 1</td></tr>" in shown
    assert f"<td>{found.log_rank:.4g}</td>" in shown
    assert shown.count("<tr>") == len(found)
    assert "<th>low</th><td>None</td>" in horizon([5, 10], [0, 0], [3, 3])._repr_html_()
