"""How many lanes there are, without JAX."""

import numpy as np
import pytest

from jaxrnn.training.lanes import Narrowing, updates_left


def in_pairs(num_lanes):
    return 2 * max(1, -(-num_lanes // 2))


def narrower(narrowing, width, busy, *, now=0.0, seconds=0.0, taken=0, left=100):
    return narrowing.width((width, busy), (taken, left), now, seconds, in_pairs)


@pytest.mark.parametrize(
    ("width", "busy", "expected"),
    [(16, 9, None), (16, 8, 8), (16, 4, 4), (16, 1, 2), (6, 3, 4), (2, 1, None), (16, 0, None)],
)
def test_a_batch_narrows_to_the_least_half_that_holds_the_busy_lanes(width, busy, expected):
    assert narrower(Narrowing(), width, busy) == expected


def test_it_narrows_once_half_has_been_idle_for_as_long_as_a_compilation():
    one = Narrowing()
    for now, expected in ((10.0, None), (11.9, None), (12.0, 4), (12.5, 4)):  # until it has
        assert narrower(one, 8, 3, now=now, seconds=2.0) == expected
    assert narrower(one, 8, 5, now=12.6, seconds=2.0) is None  # and from the beginning again
    for now, expected in ((13.0, None), (14.9, None), (15.0, 4)):
        assert narrower(one, 8, 3, now=now, seconds=2.0) == expected


def test_it_does_not_narrow_where_a_compilation_takes_longer_than_it_would_save():
    one = Narrowing()
    assert narrower(one, 8, 3, seconds=2.0) is None
    # 80 updates took 8 s, so the last 20 take 2 s; half of the lanes would take half of that.
    for seconds, expected in ((2.0, None), (1.0, 4)):
        assert narrower(one, 8, 3, now=8.0, seconds=seconds, taken=80, left=20) == expected


@pytest.mark.parametrize(
    ("left", "waiting", "expected"),
    [
        ([80, 80], 0, 80),
        ([80, 50], 0, 80),
        ([80, 50], 1, 150),  # the third waits for the second lane
        ([80, 50], 2, 180),
        ([80, 50, 10], 4, 210),  # four more take their turns
        ([80], 1, 100),  # a lane is idle
    ],
)
def test_the_updates_left_are_those_of_the_lane_that_is_busy_longest(left, waiting, expected):
    num_lanes = max(2, len(left))
    assert updates_left(np.array(left), waiting, num_lanes, 100) == expected
    # As it comes when every trial runs to its cap, update by update.
    lanes, taken = np.pad(left, (0, num_lanes - len(left))), 0
    while True:
        idle = np.flatnonzero(lanes == 0)[:waiting]
        lanes[idle], waiting = 100, waiting - len(idle)
        if not lanes.any():
            break
        assert updates_left(lanes[lanes > 0], waiting, num_lanes, 100) == expected - taken
        lanes, taken = np.maximum(lanes - 1, 0), taken + 1
    assert taken == expected
