"""Tasks whose sequences have a length of their own each: every rule holds for the length drawn."""

from dataclasses import replace
from functools import cache
from itertools import accumulate

import jax
import numpy as np
import pytest

from jaxrnn import TASKS, Experiment
from jaxrnn.problems import far_apart
from jaxrnn.problems.state_tracking import multiplication_table
from jaxrnn.problems.task import length_drawn, longest
from jaxrnn.training.parts import parts_of

NUM = 600
KEY = jax.random.key(5)
RANGES = {  # shortest, length and other options
    **dict.fromkeys(("adding", "multiplication"), (11, 40, {})),
    **dict.fromkeys(("two_sequence", "two_sequence_noise"), (4, 30, {})),
    "two_sequence_target_noise": (4, 30, {}),
    **dict.fromkeys(("temporal_order", "temporal_order_three"), (20, 60, {})),
    "very_long_lag": (1, 30, {"num_distractors": 3}),
    **dict.fromkeys(("noise_free", "no_regularities"), (3, 12, {"num_symbols": 5})),
    "copying": (1, 9, {"num_symbols": 4, "num_copied": 3}),
    "selective_copying": (1, 9, {"num_symbols": 4, "num_copied": 3}),
    "adding_halves": (2, 12, {}),
    "associative_recall": (8, 21, {"vocabulary": 8, "num_pairs": 2, "power": 1}),
    "induction": (3, 12, {}),
    "parity": (2, 12, {}),
    "group_words": (2, 12, {}),
}


@cache
def drawn(name, **more):
    """Sequences of a task, and the length of each, uniform from the shortest to the longest."""
    shortest, length, options = RANGES[name]
    task = TASKS[name](length, shortest=shortest, **options, **more)
    keys = jax.random.split(jax.random.key(3), NUM)
    draw_length = length_drawn(name, shortest, length, 1)
    sequences, lengths = jax.device_get(
        jax.jit(jax.vmap(lambda key: (task.draw(key), draw_length(key))))(keys)
    )
    counts, kinds = np.bincount(lengths, minlength=length + 1), length + 1 - shortest
    assert not counts[:shortest].any()
    chi_square = np.sum((counts[shortest:] - NUM / kinds) ** 2) / (NUM / kinds)
    assert chi_square < kinds + 5 * np.sqrt(2 * kinds)
    each = [jax.tree.map(lambda leaf, k=k: leaf[k], sequences) for k in range(NUM)]
    return list(zip(each, lengths.tolist(), strict=True))


def test_every_task_but_one_takes_the_option():
    assert set(TASKS) - set(RANGES) == {"embedded_reber"}  # whose strings end by its grammar


def ends(sequence, least, most):
    """The only step that counts, as the last one of the sequence; nothing follows."""
    (end,) = np.flatnonzero(sequence.mask)
    assert least <= end + 1 <= most
    assert not np.any(sequence.inputs[end + 1 :])
    return end


@pytest.mark.parametrize("name", ["adding", "multiplication"])
def test_marked_numbers(name):
    for sequence, length in drawn(name):
        end = ends(sequence, length, longest(length))
        values, markers = sequence.inputs.T
        assert markers[0] == markers[end] == -1
        marked = np.flatnonzero(markers == 1)
        assert len(marked) in (1, 2)
        assert len(marked) == 1 or marked.min() <= 9
        assert marked.max() <= max(9, length // 2 - 1)
        total, product = values[marked].sum(), np.prod(values[marked])
        result = product if name == "multiplication" else 0.5 + total / 4
        np.testing.assert_allclose(sequence.targets[end], [result], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name", ["two_sequence", "two_sequence_noise", "two_sequence_target_noise"]
)
def test_two_sequences(name):
    right = 0
    for sequence, length in drawn(name):
        end = ends(sequence, length, longest(length))
        is_class_1 = sequence.inputs[:3, 0].sum() > 0
        if name != "two_sequence_noise":
            np.testing.assert_array_equal(np.abs(sequence.inputs[:3, 0]), 1)
        judged = sequence.targets if sequence.judged_targets is None else sequence.judged_targets
        low, high = (0.0, 1.0) if sequence.judged_targets is None else (0.8, 0.2)
        right += np.isclose(judged[end, 0], high if is_class_1 else low)
    assert right >= 0.99 * NUM  # noise may change the sign of three elements


@pytest.mark.parametrize(
    ("name", "windows"),
    [
        ("temporal_order", [(10, 20), (50, 60)]),
        ("temporal_order_three", [(10, 20), (33, 43), (66, 76)]),
    ],
)
def test_temporal_order(name, windows):
    x = far_apart.X
    for sequence, length in drawn(name):
        end = ends(sequence, length, longest(length))
        assert sequence.inputs[0] == far_apart.START
        assert sequence.inputs[end] == far_apart.END
        positions = np.flatnonzero((sequence.inputs == x) | (sequence.inputs == x + 1)) + 1
        for position, (low, high) in zip(positions, windows, strict=True):
            assert low * length // 100 <= position <= high * length // 100
        bits = "".join(str(sequence.inputs[position - 1] - x) for position in positions)
        assert sequence.targets[end] == int(bits, 2)


def test_very_long_lag():
    for sequence, length in drawn("very_long_lag"):
        end = ends(sequence, length + 3, length + 134)
        assert sequence.inputs[0] == 4
        assert sequence.inputs[end] == 3
        assert (sequence.inputs[2:end] < 3).all()
        assert sequence.targets[end] == sequence.inputs[1] - 5


@pytest.mark.parametrize("name", ["noise_free", "no_regularities"])
def test_equal_ends(name):
    for sequence, length in drawn(name):
        last = length - 2
        np.testing.assert_array_equal(np.flatnonzero(sequence.mask), range(last + 1))
        assert sequence.targets[last] == sequence.inputs[0]
        assert sequence.inputs[0] in (3, 4)
        np.testing.assert_array_equal(sequence.targets[:last], sequence.inputs[1 : last + 1])
        if name == "noise_free":
            np.testing.assert_array_equal(sequence.targets[:last], np.arange(last) % 3)
        else:
            np.testing.assert_array_equal(np.flatnonzero(sequence.judged_mask), [last])


@pytest.mark.parametrize("name", ["copying", "selective_copying"])
def test_copies(name):
    for sequence, length in drawn(name):
        begin, end = length + 3, length + 6
        if name == "copying":
            counted, judged, blank = range(end), range(begin, end), 4
            symbols = sequence.inputs[:3]
            assert (sequence.inputs[3 : begin - 1] == blank).all()
            assert sequence.inputs[begin - 1] == blank + 1
            assert (sequence.inputs[begin:] == blank).all()
            assert (sequence.targets[:begin] == blank).all()
            np.testing.assert_array_equal(np.flatnonzero(sequence.judged_mask), judged)
        else:
            counted = range(begin, end)
            symbols = sequence.inputs[:begin][sequence.inputs[:begin] > 0]
            assert (sequence.inputs[begin:end] == 5).all()
            assert not sequence.inputs[end:].any()
        np.testing.assert_array_equal(np.flatnonzero(sequence.mask), counted)
        np.testing.assert_array_equal(sequence.targets[begin:end], symbols)


def test_adding_halves():
    for sequence, length in drawn("adding_halves"):
        end = ends(sequence, length, length)
        values, markers = sequence.inputs.T
        first, second = np.flatnonzero(markers)
        assert 0 <= first < length // 2 <= second <= end
        assert (markers[[first, second]] == 1).all()
        np.testing.assert_allclose(sequence.targets[end], [values[first] + values[second]], 1e-6)


def test_associative_recall():
    last_steps = set()
    for sequence, length in drawn("associative_recall"):
        value_of = dict([sequence.inputs[:2].tolist(), sequence.inputs[2:4].tolist()])
        steps = 4 + np.flatnonzero(sequence.inputs[4:])
        assert set(sequence.inputs[steps].tolist()) == set(value_of)
        assert not (steps % 2).any()
        assert steps.max() <= length - 2
        last_steps.add((length, steps.max()))
        np.testing.assert_array_equal(np.flatnonzero(sequence.mask), steps)
        answers = [value_of[key] for key in sequence.inputs[steps].tolist()]
        np.testing.assert_array_equal(sequence.targets[steps], answers)
        assert sequence.targets.sum() == sum(answers)  # and no others
    assert {(8, 6), (9, 6), (10, 8), (20, 18), (21, 18)} <= last_steps


def test_induction():
    for sequence, length in drawn("induction"):
        end = ends(sequence, length, length)
        first, second = np.flatnonzero(sequence.inputs == 16)
        assert first <= length - 3
        assert second == end
        assert sequence.targets[end] == sequence.inputs[first + 1]


def test_parity_and_group_words():
    for sequence, length in drawn("parity"):
        end = ends(sequence, length, length)
        assert sequence.targets[end] == sequence.inputs.sum() % 2
    of_parity = drawn("parity", every_step=True)
    for sequence, length in [*of_parity, *drawn("group_words")]:
        np.testing.assert_array_equal(np.flatnonzero(sequence.mask), range(length))
        np.testing.assert_array_equal(np.flatnonzero(sequence.judged_mask), [length - 1])
        assert not sequence.inputs[length:].any()
        assert not sequence.targets[length:].any()
    for sequence, length in of_parity:
        counts = np.cumsum(sequence.inputs[:length]) % 2
        np.testing.assert_array_equal(sequence.targets[:length], counts)
    table = multiplication_table("S3")
    for sequence, length in drawn("group_words"):
        states = accumulate(sequence.inputs[:length], lambda s, g: table[s, g])
        assert sequence.targets[:length].tolist() == list(states)


@pytest.mark.parametrize("name", ["noise_free", "adding", "copying", "parity"])
def test_a_single_length_is_the_task_without_the_option(name):  # a function each that draws
    _, length, options = RANGES[name]
    alone, one = (TASKS[name](length, **options, **more) for more in ({}, {"shortest": length}))
    for a, b in zip(*(jax.jit(task.draw)(KEY) for task in (alone, one)), strict=True):
        if a is not None and b is not None:
            np.testing.assert_array_equal(a, b)


def test_what_guessing_gets_right_is_the_mean_over_the_lengths():
    each = [TASKS["adding"](length).guessing for length in range(11, 41)]
    assert TASKS["adding"](40, shortest=11).guessing == pytest.approx(np.mean(each))


def test_a_net_is_trained_on_drawn_lengths_and_tested_at_whole_ones():
    trained = Experiment(
        task="two_sequence", task_options={"shortest": 4}, length=12, test_lengths=(8, 20)
    )
    alike = replace(trained, task_options={})
    for one, other in zip(*(parts_of(each).tests[-2:] for each in (trained, alike)), strict=True):
        np.testing.assert_array_equal(one.task.draw(KEY).inputs, other.task.draw(KEY).inputs)
