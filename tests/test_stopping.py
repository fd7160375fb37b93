"""The streaming stop rule against the notebook's loop, on every way to cut the stream."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from jaxrnn.training import stopping
from jaxrnn.training.stopping import Rule

NAMES = {"solved": stopping.SOLVED, "unsolved": stopping.UNSOLVED, "diverged": stopping.DIVERGED}


def brute_force(errors, rule):
    """(Status, steps, last above, correct at, solved at) of one trial, one sequence at a time: by
    the notebook's rule, or by the windows of the 1997 paper's experiments."""
    last_above, correct_at = 0, -1
    for k, error in enumerate(errors[: rule.max_steps]):
        if not math.isfinite(error):
            return "diverged", k + 1, k, correct_at, -1
        if error > rule.threshold:
            last_above = k
        recent = errors[max(0, k + 1 - rule.window) : k + 1]
        if stopping.needs_recent(rule):
            failures = sum(e > rule.threshold for e in recent)
            is_correct = len(recent) == rule.window and failures <= rule.max_failures
            is_solved = is_correct and math.fsum(recent) < rule.mean_error * rule.window
        else:  # which counts the first sequence as a failure
            is_correct = is_solved = k - last_above >= rule.window
        if is_correct and correct_at < 0:
            correct_at = k
        if is_solved:
            return "solved", k + 1, last_above, correct_at, k
    return "unsolved", rule.max_steps, last_above, correct_at, -1


error_values = st.one_of(
    st.sampled_from([0.0, 0.1, 0.25, 0.26, 0.9]), st.sampled_from([0.0, 0.2, math.inf, math.nan])
)


@settings(max_examples=200)
@given(
    errors=st.lists(st.lists(error_values, min_size=3, max_size=3), min_size=14, max_size=14),
    window=st.integers(1, 6),
    max_steps=st.integers(6, 14),
    limits=st.one_of(
        st.just((0, math.inf)),
        st.tuples(st.integers(0, 2), st.sampled_from([0.05, 0.11, 0.3, math.inf])),
    ),
    cuts=st.lists(st.integers(1, 13), max_size=5),
)
def test_fold_equals_brute_force_however_the_stream_is_cut(errors, window, max_steps, limits, cuts):
    # In float32, as devices give them, every one of these is a whole number of the fold's units.
    errors = np.array(errors, np.float32).astype(np.float64)
    rule = Rule(0.25, window, max_steps, *limits)
    progress = stopping.start(3, rule)
    for chunk in np.split(errors, sorted(set(cuts))):
        progress = stopping.fold(progress, chunk, rule)
    for trial in range(3):
        status, steps, *at = brute_force(errors[:, trial].tolist(), rule)
        found = progress.last_above, progress.correct_at, progress.solved_at
        assert progress.status[trial] == NAMES[status]
        assert progress.steps[trial] == steps
        assert [one[trial] for one in found] == at
        finite = [e for e in errors[:steps, trial] if math.isfinite(e)]
        assert progress.curve_count[trial].sum() == len(finite)
        assert progress.curve_sum[trial].sum() == pytest.approx(sum(finite))


def test_a_curve_is_the_mean_error_of_bins_that_grow_by_a_tenth():
    edges = stopping.curve_edges(100_000)
    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    assert edges[-1] < 100_000
    wide = edges[edges > 100]
    assert np.allclose((wide[1:] + 1) / (wide[:-1] + 1), 10 ** (1 / 20), rtol=0.02)
    errors, rule = np.random.default_rng(0).uniform(0.3, 1, (500, 1)), Rule(0.25, 100, 500)
    progress = stopping.fold(stopping.start(1, rule), errors, rule)
    means = progress.curve_sum[0] / progress.curve_count[0]
    edges = [*stopping.curve_edges(500), 500]
    expected = [errors[low:high].mean() for low, high in pairwise(edges)]
    np.testing.assert_allclose(means[: len(expected)], expected, rtol=1e-6)


def test_a_mean_at_its_limit_is_not_below_it_however_the_sum_is_cut():
    rule = Rule(0.5, 3, 100, mean_error=0.125)
    at = stopping.fold(stopping.start(1, rule), np.full((6, 1), 0.125), rule)
    assert at.status[0] == stopping.RUNNING
    assert at.correct_at[0] == 2
    below = np.full((6, 1), 0.125)
    below[4] -= 1e-6
    progress = stopping.start(1, rule)
    for chunk in np.split(below, 6):
        progress = stopping.fold(progress, chunk, rule)
    assert (progress.status[0], progress.solved_at[0]) == (stopping.SOLVED, 4)


def test_a_test_set_decides_at_the_end_of_chunks_and_no_window_does():
    rule = Rule(0.2, 1, 100, max_failures=1, mean_error=0.125, by_test=True)
    errors = np.zeros((10, 3))  # a window would be content at once
    progress = stopping.start(3, rule)
    # One may be wrong, as a NaN is and an error at the threshold is not, and the mean has to be
    # below 0.125, as a NaN never is.
    looks = [
        [[0.5, np.nextafter(0.2, 1), 0.0, 0.0], [0.5, 0.2, 0.0, 0.0], [0.5, 0.0, 0.0, math.nan]],
        [[0.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, math.nan], [0.0, 0.19, 0.0, 0.0]],
        [[0.0, 0.25, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]],
    ]
    for tests in looks:
        progress = stopping.fold(progress, errors, rule, np.array(tests))
    assert progress.status.tolist() == [stopping.SOLVED, stopping.RUNNING, stopping.SOLVED]
    assert progress.correct_at.tolist() == [19, 9, 19]
    assert progress.solved_at.tolist() == [29, -1, 19]


def test_outcomes_say_what_the_folds_have_found():
    rule = Rule(0.25, window=5, max_steps=20)
    before = stopping.start(4, rule)
    errors = np.array([[0.5, 0.1, 0.5, 0.3123456789]] * 3 + [[0.1, 0.1, 0.1, 0.3123456789]] * 17)
    errors[2, 2] = math.nan
    ended = stopping.fold(before, errors, rule)
    ended.correct_at[:] = [-1, 0, 7, 9]
    trials = np.array([4, 0, 9, 2])
    found = stopping.outcomes(ended, trials, has_two=True)
    assert [(one.trial, one.status, one.solved_at, one.last_above, one.steps) for one in found] == [
        *[(4, "solved", 7, 2, 8), (0, "solved", 5, 0, 6)],
        *[(9, "diverged", None, 2, 3), (2, "unsolved", None, 19, 20)],
    ]
    assert [one.correct_at for one in found] == [None, 0, 7, 9]
    assert {one.correct_at for one in stopping.outcomes(ended, trials, has_two=False)} == {None}
    assert found[0].curve[:2] == (0.5, 0.5)
    assert set(found[3].curve) == {0.31235}  # to five digits
    with pytest.raises(AssertionError, match="trial 4 has not ended"):
        stopping.outcomes(before, trials, has_two=False)
