"""The table of lanes, without JAX."""

import numpy as np
import pytest

from jaxrnn.training.lanes import IDLE, LaneTable


def in_pairs(num_lanes):
    return 2 * max(1, -(-num_lanes // 2))


def test_idle_lanes_take_the_waiting_trials_in_order():
    table = LaneTable(3, 5)
    assert not table.busy.any()
    table.fill()
    np.testing.assert_array_equal(table.trial, [0, 1, 2])
    table.advance(20, most=1000)
    np.testing.assert_array_equal(table.update, [20, 20, 20])
    table.free(np.array([True, False, True, False, False]))
    np.testing.assert_array_equal(table.trial, [IDLE, 1, IDLE])
    table.fill()
    np.testing.assert_array_equal(table.trial, [3, 1, 4])
    np.testing.assert_array_equal(table.update, [0, 20, 0])
    table.free(np.array([True, True, True, True, False]))
    table.fill()  # none is waiting
    np.testing.assert_array_equal(table.trial, [IDLE, IDLE, 4])
    assert (table.trial.dtype, table.update.dtype) == (np.int32, np.int32)


def test_a_trial_whose_last_steps_are_under_way_makes_room():
    table = LaneTable(2, 2)
    table.fill()
    table.update[:] = [80, 79]
    for after in ([IDLE, 1], [IDLE, IDLE]):  # one that goes beyond its cap, too
        table.advance(20, most=100)
        np.testing.assert_array_equal(table.trial, after)


@pytest.mark.parametrize(
    ("width", "busy", "narrower"),
    [(16, 9, None), (16, 8, 8), (16, 4, 4), (16, 1, 2), (6, 3, 4), (2, 1, None), (16, 0, None)],
)
def test_a_batch_narrows_to_the_least_half_that_holds_the_busy_lanes(width, busy, narrower):
    table = LaneTable(width, busy)
    table.fill()
    assert table.narrower(in_pairs, now=0.0, compile_seconds=0.0, most=100) == narrower
    table.waiting = np.array([busy])  # not while a trial waits
    assert table.narrower(in_pairs, now=0.0, compile_seconds=0.0, most=100) is None


def test_it_narrows_once_half_has_been_idle_for_as_long_as_a_compilation():
    table = LaneTable(8, 3)
    table.fill()
    assert table.narrower(in_pairs, now=10.0, compile_seconds=2.0, most=100) is None
    assert table.narrower(in_pairs, now=11.9, compile_seconds=2.0, most=100) is None
    assert table.narrower(in_pairs, now=12.0, compile_seconds=2.0, most=100) == 4
    assert table.narrower(in_pairs, now=12.5, compile_seconds=2.0, most=100) == 4  # until it has
    table.repack(4)
    table.free(np.arange(3) > 0)
    # It waits from the beginning.
    assert table.narrower(in_pairs, now=13.0, compile_seconds=2.0, most=100) is None


def test_it_does_not_narrow_where_a_compilation_takes_longer_than_it_would_save():
    table = LaneTable(8, 3)
    table.fill()
    assert table.narrower(in_pairs, now=0.0, compile_seconds=2.0, most=100) is None
    table.advance(80, most=100)
    # 80 updates took 8 s, so the last 20 take 2 s; half of the lanes would take half of that.
    assert table.narrower(in_pairs, now=8.0, compile_seconds=2.0, most=100) is None
    assert table.narrower(in_pairs, now=8.0, compile_seconds=1.0, most=100) == 4


def test_repacking_moves_the_busy_lanes_with_their_steps_to_the_front():
    table = LaneTable(6, 6)
    table.fill()
    table.update[:] = [0, 10, 20, 30, 40, 50]
    table.free(np.array([True, False, True, True, False, True]))
    np.testing.assert_array_equal(table.repack(4), [1, 4, 0, 2])
    np.testing.assert_array_equal(table.trial, [1, 4, IDLE, IDLE])
    np.testing.assert_array_equal(table.update[:2], [10, 40])
    # In more lanes there is no second copy of a trial.
    np.testing.assert_array_equal(table.repack(6), [0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(table.trial, [1, 4, IDLE, IDLE, IDLE, IDLE])


def test_a_table_goes_on_from_what_a_checkpoint_kept():
    table = LaneTable(3, 7)
    table.fill()
    table.advance(5, most=100)
    again = LaneTable(2, 7)
    every = slice(0, 7)
    again.restore([(table.arrays(np.arange(3), every), every)])
    again.free(np.arange(7) == 1)
    again.fill()
    np.testing.assert_array_equal(again.trial, [0, 3, 2])
    np.testing.assert_array_equal(again.update, [5, 0, 5])


@pytest.mark.parametrize(
    ("steps", "num_trials", "left"),
    [
        ([20, 20], 2, 80),
        ([20, 50], 2, 80),
        ([20, 50], 3, 150),  # the third waits for the second lane
        ([20, 50], 4, 180),
        ([20, 50, 90], 7, 210),  # 10, 50 and 80 left, and four more take their turns
    ],
)
def test_the_steps_left_are_those_of_the_lane_that_is_busy_longest(steps, num_trials, left):
    table = LaneTable(len(steps), num_trials)
    table.fill()
    table.update[:] = steps
    assert table.updates_left(100) == left
    # As it comes when every trial runs to its cap, step by step.
    taken = 0
    while True:
        table.fill()
        if not table.busy.any():
            break
        assert table.updates_left(100) == left - taken
        table.advance(1, most=100)
        taken += 1
    assert taken == left == table.updates_taken
    assert table.updates_left(100) == 0
