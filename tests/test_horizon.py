"""The horizon: its interval's coverage, enumerated; its point; octaves; data against the rule."""

import itertools

import numpy as np
import pytest
from helpers import rows
from scipy.stats import binom

from jaxrnn import InputError
from jaxrnn.report.horizon import (
    Horizon,
    by_each,
    horizon,
    horizon_rows,
    horizons,
    is_monotone,
    octaves,
    octaves_between,
    passed_high,
    passed_low,
    view,
)
from jaxrnn.report.summary import Study

LENGTHS = [8, 16, 32, 64, 128]
TRIALS = np.array([6, 6, 9, 9, 6])
OUTCOMES = np.array(list(itertools.product(*(range(n + 1) for n in TRIALS))))
PASSED = [passed_low(OUTCOMES, TRIALS), passed_high(OUTCOMES, TRIALS)]
for k in np.flatnonzero([not is_monotone(solved, TRIALS) for solved in OUTCOMES]):
    PASSED[0][k], PASSED[1][k] = by_each(OUTCOMES[k], TRIALS)
LOW = PASSED[0].sum(1)  # the number of lengths that H is at least
HIGH = len(TRIALS) - PASSED[1].sum(1)  # and below which it is
CURVES = [
    (1, 1, 0.97, 0.03, 0),
    (0.9, 0.75, 0.6, 0.4, 0.2),
    (0.5,) * 5,
    (0.4999,) * 5,
    (0.95, 0.95, 0.95, 0.1, 0),
    (1, 0.7, 0.7, 0.3, 0.3),
    (1,) * 5,
    (0,) * 5,
]


def test_the_interval_covers_the_horizon_of_a_curve_in_95_of_100_cases_or_more():
    rng = np.random.default_rng(0)
    falling = [np.sort(rng.beta(*rng.uniform(0.2, 2, 2), len(TRIALS)))[::-1] for _ in range(400)]
    for shares in (*CURVES, *falling):
        chance = np.ones(len(OUTCOMES))
        for y, n, share in zip(OUTCOMES.T, TRIALS, shares, strict=True):
            chance *= binom.pmf(np.arange(n + 1), n, share)[y]
        assert chance.sum() == pytest.approx(1)
        true = next((k for k, share in enumerate(shares) if share < 0.5), len(shares))
        errs = chance[true < LOW].sum(), chance[true > HIGH].sum()
        assert 1 - sum(errs) >= 0.95, shares
        assert max(errs) <= 0.025 + 1e-12, shares


@pytest.mark.parametrize(
    ("solved", "low", "high"),
    [
        ((6, 6, 9, 0, 0), 32, 64),  # one octave
        ((6, 6, 8, 1, 0), 32, 64),
        ((5, 6, 9, 0, 0), 32, 64),  # one lapse at the shortest does no harm
        ((4, 6, 9, 0, 0), None, 64),
        ((6, 6, 5, 0, 0), 16, 64),
        ((6, 6, 9, 9, 6), 128, None),
        ((0, 0, 0, 0, 0), None, 8),
    ],
)
def test_intervals_of_some_outcomes(solved, low, high):
    found = horizon(LENGTHS, solved, TRIALS.tolist())
    assert (found.low, found.high) == (low, high)
    assert found.monotone
    k = OUTCOMES.tolist().index(list(solved))
    bounds = dict(enumerate(LENGTHS))
    assert (found.low, found.high) == (bounds.get(LOW[k] - 1), bounds.get(HIGH[k]))
    shuffled = [3, 0, 4, 2, 1]
    again = horizon(*([of[k] for k in shuffled] for of in (LENGTHS, solved, TRIALS.tolist())))
    assert again == found


def test_data_against_the_rule_are_said_and_have_the_other_bounds():
    # Five trials at a length are too few to say anything, six are enough.
    assert (horizon([10], [5], [5]).low, horizon([10], [6], [6]).low) == (None, 10)
    assert horizon([10], [0], [6]).high == 10
    # 32 is surely worse than 64: up to which length is every one above a half?
    found = horizon([8, 16, 32, 64], [6, 6, 0, 9], [6, 6, 9, 9])
    assert found == Horizon(low=16, high=32, point=found.point, monotone=False)
    # A share that seems to rise by chance says nothing against it.
    assert horizon([8, 16], [4, 6], [6, 6]).monotone


@pytest.mark.parametrize(
    ("solved", "point"),
    [
        ((6, 6, 9, 0, 0), 2**5.5),  # half way from 1 at 32 to 0 at 64
        ((6, 3, 0, 0, 0), 16.0),
        # 16 and 32 are pooled: their share is 1/3, at the mean of 4 and 5 by trials, 4.6.
        ((6, 1, 4, 0, 0), 2 ** (3 + 1.6 * 0.75)),
        ((6, 6, 9, 9, 6), None),
        ((0, 0, 0, 0, 0), None),
    ],
)
def test_the_point_is_where_the_centred_regression_crosses_a_half(solved, point):
    found = horizon(LENGTHS, solved, TRIALS.tolist()).point
    assert found is None if point is None else found == pytest.approx(point)


def test_octaves_are_the_number_of_solved_ones():
    assert octaves(LENGTHS, [6, 6, 9, 0, 0], TRIALS.tolist()).mean == pytest.approx(3)
    assert octaves([8, 16, 64], [6, 0, 3], [6, 6, 6]).mean == pytest.approx(1 + 0.5 * 2)
    found = octaves(LENGTHS, [6, 5, 5, 2, 0], TRIALS.tolist())
    assert found.low < found.mean < found.high
    # The interval of a single pair of lengths is that of the share, an octave each.
    draws = np.random.default_rng(5).beta(2.5, 4.5, (100_000, 2)).sum(1)
    found = octaves([4, 8], [2, 2], [6, 6])
    np.testing.assert_allclose(found[1:], np.quantile(draws, [0.025, 0.975]), atol=0.03)
    # All draws lie below what nets have that solve every length.
    found = octaves([8, 16], [9, 9], [9, 9])
    assert found.low < found.mean == found.high == 2
    found = octaves_between(([8, 16], [0, 0], [9, 9]), ([8, 16], [9, 9], [9, 9]))
    assert found.low == found.mean == -2 < found.high < 0


def test_two_nets_differ_by_octaves_of_the_lengths_that_both_have():
    far = [16, 32, 64, 128], [9, 9, 9, 0], [9, 9, 9, 9]
    near = [8, 16, 32, 64], [6, 9, 0, 0], [6, 9, 9, 9]
    found = octaves_between(far, near)
    assert found.mean == pytest.approx(2)
    assert found.low > 0.5
    assert octaves_between(near, far).mean == pytest.approx(-2)
    same = octaves_between(far, far)
    assert same.low < 0 < same.high


def test_the_horizon_within_fewer_sequences_is_in_the_times():
    inf = float("inf")
    times = {8: [100] * 6, 16: [300] * 6, 32: [900] * 9, 64: [inf] * 9}
    found = dict(horizons(times, [50, 100, 500, 1000]))
    assert [one.low for one in found.values()] == [None, 8, 16, 32]
    assert [one.high for one in found.values()] == [8, 16, 32, 64]


def test_a_report_says_the_horizon_of_every_net_of_several_lengths():
    several = rows("lstm", 5, [100] * 10, max_steps=5000)
    several += rows("lstm", 10, [100] * 10, max_steps=5000)
    several += rows("lstm", 20, [None] * 10, max_steps=5000)
    one = rows("gru", 5, [None] * 10)
    study = Study([*several, *one], [])
    assert view(study)
    (line,) = horizon_rows(study.rows)
    assert list(line.cells.values()) == ["lstm", "5-20", "5,000", "10", "20", "14"]
    # A net with one length has none, and a report of such nets has no table.
    assert not view(Study(one, []))
    against = [*rows("gru", 5, [None] * 10), *rows("gru", 10, [100] * 10, max_steps=200_000)]
    (line,) = horizon_rows(against)
    assert list(line.cells.values()) == ["gru*", "5-10", "100,000-200,000", "-", "5", "-"]


@pytest.mark.parametrize(
    ("function", "arguments", "sentence"),
    [
        (horizon, ([], [], []), "solved and trials for each length: there are 0 lengths"),
        (horizon, ([8], [1, 2], [3]), "there are 1 lengths, 2 solved and 1 trials"),
        (horizon, ([8, 8], [1, 1], [3, 3]), r"lengths \[8, 8\] must differ"),
        (horizon, ([8], [4], [3]), "solved 4 must not be above trials 3"),
        (horizon, ([8], [0], [0]), "trials 0 must be at least 1"),
        (horizon, ([8.5], [0], [1]), "length 8.5 must be a whole number"),
        (horizon, ([2**70], [1], [2]), f"length {2**70} must be at most 2147483647"),
        (octaves, ([8], [1], [6]), r"octaves need at least two lengths: there are \[8\]"),
        (octaves_between, (([8], [1], [6]), ([16], [1], [6])), "lengths that both have: there are"),
    ],
)
def test_data_that_break_a_rule_are_refused(function, arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        function(*arguments)
