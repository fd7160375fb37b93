"""The streaming stop rule against the notebook's loop, on every way to cut the stream."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxrnn import stopping
from jaxrnn.stopping import Rule

NAMES = {"solved": stopping.SOLVED, "unsolved": stopping.UNSOLVED, "diverged": stopping.DIVERGED}


def brute_force(errors, threshold, window, max_steps):
    """(status, steps, last_above, solved_at) of one trial, one step at a time."""
    last_above = 0
    for k, error in enumerate(errors[:max_steps]):
        if not math.isfinite(error):
            return "diverged", k + 1, k, -1
        if error > threshold:
            last_above = k
        if k - last_above >= window:
            return "solved", k + 1, last_above, k
    return "unsolved", max_steps, last_above, -1


error_values = st.one_of(
    st.sampled_from([0.0, 0.1, 0.25, 0.26, 0.9]), st.sampled_from([0.0, 0.2, math.inf, math.nan])
)


@given(
    errors=st.lists(st.lists(error_values, min_size=3, max_size=3), min_size=12, max_size=12),
    window=st.integers(1, 6),
    max_steps=st.integers(6, 12),
    cuts=st.lists(st.integers(1, 11), max_size=4),
)
def test_fold_equals_brute_force_however_the_stream_is_cut(errors, window, max_steps, cuts):
    errors = np.array(errors)
    rule = Rule(0.25, window, max_steps)
    progress = stopping.start(3, rule)
    for chunk in np.split(errors, sorted(set(cuts))):
        progress = stopping.fold(progress, chunk, rule)
    for trial in range(3):
        status, steps, last_above, solved_at = brute_force(
            errors[:, trial].tolist(), 0.25, window, max_steps
        )
        assert progress.status[trial] == NAMES[status]
        assert progress.steps[trial] == steps
        assert progress.last_above[trial] == last_above
        assert progress.solved_at[trial] == solved_at
        finite = [e for e in errors[:steps, trial] if math.isfinite(e)]
        assert progress.curve_count[trial].sum() == len(finite)
        assert progress.curve_sum[trial].sum() == pytest.approx(sum(finite))


def test_the_least_possible_result_is_the_window():
    rule = Rule(0.25, 1000, 5000)
    progress = stopping.fold(stopping.start(1, rule), np.zeros((5000, 1)), rule)
    assert progress.solved_at[0] == 1000


def test_an_error_at_the_threshold_is_no_failure():
    at, above = np.full((20, 1), 0.25), np.full((20, 1), np.nextafter(0.25, 1))
    rule = Rule(0.25, 10, 20)
    assert stopping.fold(stopping.start(1, rule), at, rule).status[0] == stopping.SOLVED
    assert stopping.fold(stopping.start(1, rule), above, rule).status[0] == stopping.UNSOLVED


def test_curve_bins_cover_every_step_once_and_grow_by_a_tenth():
    edges = stopping.curve_edges(100_000)
    assert edges[0] == 0
    assert (np.diff(edges) > 0).all()
    assert edges[-1] < 100_000
    wide = edges[edges > 100]
    assert np.allclose((wide[1:] + 1) / (wide[:-1] + 1), 10 ** (1 / 20), rtol=0.02)


def test_a_curve_is_the_mean_error_of_each_bin():
    errors = np.random.default_rng(0).uniform(0.3, 1, (500, 1))
    rule = Rule(0.25, 100, 500)
    progress = stopping.fold(stopping.start(1, rule), errors, rule)
    edges = [*stopping.curve_edges(500), 500]
    for number, (low, high) in enumerate(pairwise(edges)):
        mean = progress.curve_sum[0, number] / progress.curve_count[0, number]
        assert mean == pytest.approx(errors[low:high, 0].mean())
