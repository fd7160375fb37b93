"""Two nets compared: against counts by hand, scipy's curves and simulated trials."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import (
    changed,
    grid_rows,
    paper_rows,
    rows,
    rows_ending_at,
    write_rows,
)
from scipy.stats import mannwhitneyu, norm

from jaxrnn import SUITES, InputError
from jaxrnn.report.compare import compare, interval_of_probability, kaplan_meier
from jaxrnn.report.document import write_report
from jaxrnn.report.drawing import COLORS
from jaxrnn.report.render import markdown_table, p_in_words
from jaxrnn.report.rivals import comparison_legend, comparison_table, comparisons, curves, holm
from jaxrnn.report.summary import interval, uncounted

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


def test_the_other_way_round_it_is_the_complement():
    one, other = compare(FIRST, SECOND), compare(SECOND, FIRST)
    for name in ("trials", "solved", "median", "restricted_mean"):
        assert getattr(other, name) == getattr(one, name)[::-1]
    assert other.sooner == pytest.approx(1 - one.sooner)
    assert other.interval == pytest.approx((1 - one.interval[1], 1 - one.interval[0]))
    assert (other.log_rank, other.mann_whitney) == pytest.approx((one.log_rank, one.mann_whitney))


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
    assert result.log_rank == pytest.approx(2 * norm.sf(1))


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


def test_median_and_restricted_mean_are_those_of_the_kaplan_meier_curve():
    generator = np.random.default_rng(0)
    for trials in (1, 2, 5, 10):
        steps = [s if s < 100 else None for s in generator.integers(5, 140, trials).tolist()]
        made = net("lstm", steps)
        result, curve = compare(made, made), kaplan_meier(made)
        at, left = curve.quantiles, curve.probabilities
        area = np.diff([0, *at, 100]) @ [1, *left]
        assert result.restricted_mean[0] == pytest.approx(area)
        reached = np.flatnonzero(left <= 0.5 + 1e-9)
        solved_steps = at[: len({s for s in steps if s is not None})]
        if not len(reached) or reached[0] >= len(solved_steps):
            assert result.median[0] == math.inf
        else:
            first = at[reached[0]]
            half = abs(left[reached[0]] - 0.5) < 1e-9
            later = [*solved_steps, math.inf][reached[0] + 1] if half else first
            assert result.median[0] == (first + later) / 2


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_steps": 102}, "max-steps 101 and 102 are not the same conditions"),
        ({"window": 6}, "window 5 and 6"),
        ({"threshold": 0.3}, "threshold 0.25 and 0.3"),
        ({"task": "no_regularities"}, "task 'noise_free' and 'no_regularities'"),
    ],
)
def test_other_conditions_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        compare(FIRST, net("gru", [20], **changes))
    with pytest.raises(InputError, match="length 5 and 6"):
        compare(FIRST, rows("gru", 6, [20], **SMALL))
    with pytest.raises(InputError, match="no rows of a net"):
        compare(FIRST, [])
    for of_several in ([], [*FIRST, *net("lstm", [20], max_steps=300)]):
        with pytest.raises(InputError, match=r"no rows of a net|not the same conditions"):
            kaplan_meier(of_several)


# In the report


def body_of(pairs):
    """The cells of each pair, by heading."""
    return [row.cells for row in comparison_table(pairs).rows]


def test_each_net_stands_against_the_first_of_its_length_and_cap(tmp_path):
    made = [
        *(FIRST + rows("lstm", 4, [7], **SMALL) + SECOND + rows("gru", 4, [7], **SMALL)),
        *(net("simple_rnn", [5, 6]) + net("lstm_coupled", [10], max_steps=102)),
    ]
    pairs = comparisons(made)
    named = [(pair.length, pair.net[1], pair.against[1]) for pair in pairs]
    assert named == [(4, "gru", "lstm"), (5, "gru", "lstm"), (5, "simple_rnn", "lstm")]
    four, five, _ = body_of(pairs)
    assert [four[name] for name in ("net", "T", "against")] == ["gru", "4", "lstm"]
    assert (four["sooner"], four["95%"], four["log-rank p"]) == ("50%", "5-95", "1.000")
    result = compare(SECOND, FIRST)
    assert five["sooner"] == "33%"
    assert five["log-rank p"] == f"{result.log_rank:.3f}"
    assert five["Mann-Whitney p"] == f"{result.mann_whitney:.3f}"
    assert "3 comparisons" in comparison_legend(pairs)


def test_adjusted_p_values_are_holms():
    # The example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_table_has_adjusted_p_values_beside_the_plain_ones_and_none_is_zero():
    made = [*net("lstm", [*range(5, 25)]), *net("gru", [*range(30, 50)])]
    pairs = comparisons([*made, *net("janet", [*range(6, 26)])])
    plain = [pair.result.log_rank for pair in pairs]
    first, second = body_of(pairs)
    assert first["log-rank Holm"] == first["Mann-Whitney p"] == "<0.001"
    assert second["log-rank Holm"] == p_in_words(holm(plain)[1]) == p_in_words(plain[1])
    assert (first["sooner"], first["95%"]) == ("0%", "0-10")
    assert comparisons(grid_rows()) == []  # a grid's combinations are not compared


def test_what_is_no_row_is_refused():
    lacking = {name: value for name, value in FIRST[0].values().items() if name != "steps"}
    with pytest.raises(InputError, match="this is not a row of a trial: its 'steps' is missing"):
        compare([lacking], SECOND)
    assert compare([row.values() for row in FIRST], SECOND) == compare(FIRST, SECOND)


def test_the_report_of_a_run_compares_its_nets_and_draws_their_curves(tmp_path):
    made = FIRST + SECOND
    write_rows(tmp_path, made)
    write_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    shown = comparison_table(comparisons(made))
    assert markdown_table(shown.rows, shown.headings) in text
    assert "solved_by_step-noise_free.png" in text
    assert (tmp_path / "solved_by_step-noise_free.png").stat().st_size > 5000
    write_rows(tmp_path, FIRST)
    write_report(tmp_path)
    assert "Mann-Whitney p" not in (tmp_path / "report.md").read_text()


def test_a_curve_climbs_where_a_trial_is_solved():
    # Two tasks of one's own, whose names are alike in the name of a file.
    own = [
        changed(row, experiment=task, task=f"a/b.py{task}mine")
        for task in ":,"
        for row in FIRST + SECOND
    ]
    pictures = curves(FIRST + SECOND + own)
    names = [f"solved_by_step-{name}" for name in ("noise_free", "a_b_py_mine", "a_b_py_mine-3")]
    assert [one.stem for one in pictures] == names
    figure = pictures[0].draw()
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata())]
    first, second = ((line.get_xdata().tolist(), line.get_ydata().tolist()) for line in lines)
    assert first[0] == [1, 10, 30, 100, 101]
    assert first[1] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3, 2 / 3])
    assert second[1] == pytest.approx([0, 1 / 4, 1 / 2, 1 / 2, 1 / 2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["lstm", "gru"]
    assert axes.get_title() == "T = 5, 3-4 trials"


@pytest.mark.parametrize(
    ("solved", "limits"), [([None], (10.1, 101)), ([12], (11.4, 101)), ([4], (3.8, 101))]
)
def test_curves_end_at_the_cap_and_a_net_that_solves_nothing_has_its_interval(solved, limits):
    made = [*rows("lstm", 5, [None] * 3, **SMALL), *rows("gru", 5, solved, **SMALL)]
    (picture,) = curves(made)
    (axes,) = picture.draw().axes
    assert axes.get_xlim() == pytest.approx(limits)
    assert 2 <= sum(limits[0] <= tick <= limits[1] for tick in axes.get_xticks()) <= 6
    never = axes.lines[0]
    assert never.get_ydata().tolist() == [0, 0, 0]
    assert never.get_xdata()[[0, -1]].tolist() == [1, 101]
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 0].min() == 1
    assert band[:, 1].max() == pytest.approx(interval(0, 3)[1])


def test_many_lengths_are_more_than_one_picture_and_more_nets_than_colours_none():
    nets = [(cell, length) for length in range(4, 17) for cell in ("lstm", "gru")]
    made = [row for cell, length in nets for row in rows(cell, length, [20], **SMALL)]
    figures = [one.draw() for one in curves(made)]
    shown = [sum(axes.get_visible() for axes in figure.axes) for figure in figures]
    assert shown == [12, 1]
    made = [row for k in range(len(COLORS) + 1) for row in rows(f"cell{k}", 5, [20], **SMALL)]
    assert len(curves(made[:-1])) == 1
    assert curves(made) == []
