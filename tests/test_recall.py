"""Recall: every target again from the inputs, and every distribution within 4.5 standard errors."""

from itertools import permutations

import numpy as np
import pytest
from helpers import SIGMAS, assert_uniform, drawn_from

from jaxrnn import TASKS

NUM = 4000


def positions_in(several, choices):
    """Each row's position among all ordered choices without repetition."""
    every = {one: k for k, one in enumerate(permutations(choices, several.shape[1]))}
    return np.array([every[tuple(row)] for row in several.tolist()]), len(every)


@pytest.mark.parametrize("power", [0.01, 1, 3.0])
@pytest.mark.parametrize(("T", "V", "D"), [(4, 4, 1), (8, 6, 1), (12, 12, 2), (13, 8, 3)])
def test_associative_recall(T, V, D, power):
    task = TASKS["associative_recall"](T, vocabulary=V, num_pairs=D, power=power)
    assert task[1:4] == (V, V, T)
    drawn = drawn_from(task, NUM)
    keys, values = drawn.inputs[:, : 2 * D : 2], drawn.inputs[:, 1 : 2 * D : 2]
    gaps = np.zeros((NUM, D), int)
    for row in range(NUM):
        inputs, targets = drawn.inputs[row].tolist(), drawn.targets[row].tolist()
        value_of = dict(zip(inputs[: 2 * D : 2], inputs[1 : 2 * D : 2], strict=True))
        expected, counts = [0] * T, [False] * T
        for step in range(2 * D, T):
            if inputs[step] != 0:
                assert step % 2 == 0
                expected[step], counts[step] = value_of[inputs[step]], True
                gaps[row, list(value_of).index(inputs[step])] = (step - 2 * D) // 2
        assert targets == expected
        assert drawn.mask[row].tolist() == counts
        assert sum(counts) == len(set(inputs[2 * D :]) - {0}) == D  # each comes once more
    assert drawn.judged_mask is None  # what is trained
    # Keys and values are all different, and every choice is equally likely.
    for several, low, high in ((keys, 1, V // 2 - 1), (values, V // 2, V - 1)):
        drawn_as, num = positions_in(several, range(low, high + 1))
        if num > 1:
            assert_uniform(drawn_as, 0, num - 1)
    # Gaps are drawn one after the other.
    space = (T - 2 * D) // 2
    weights = [(g + 1) ** (power - 1) for g in range(space)]
    probabilities = []
    for choice in permutations(range(space), D):
        left, probability = sum(weights), 1.0
        for g in choice:
            probability *= weights[g] / left
            left -= weights[g]
        probabilities.append(probability)
    drawn_as, num = positions_in(gaps, range(space))
    p = np.array(probabilities)
    assert p.sum() == pytest.approx(1)
    bound = SIGMAS * np.sqrt(NUM * p * (1 - p)) + 1
    np.testing.assert_array_less(np.abs(np.bincount(drawn_as, minlength=num) - NUM * p), bound)
    if (D, power) == (1, 1):  # keys, values and gaps are independent
        each = V // 2
        together = ((keys - 1) * each + values - each) * space + gaps
        assert_uniform(together, 0, (each - 1) * each * space - 1)


def test_the_papers_have_these_sizes():
    assert TASKS["associative_recall"](64)[1:4] == (64, 64, 64)
    assert TASKS["induction"](256)[1:4] == (17, 16, 256)
    assert TASKS["induction"](256).guessing == 1 / 16
    task = TASKS["associative_recall"](64, vocabulary=8192)
    drawn = drawn_from(task, 20)
    assert (drawn.mask.sum(1) == 4).all()
    assert task.guessing == pytest.approx(1 / (4096 * 4095 * 4094 * 4093))


@pytest.mark.parametrize(("T", "V"), [(3, 2), (4, 3), (12, 16)])
def test_induction(T, V):
    task = TASKS["induction"](T, vocabulary=V)
    assert task[1:4] == (V + 1, V, T)
    drawn = drawn_from(task, NUM)
    for inputs, targets in zip(drawn.inputs.tolist(), drawn.targets.tolist(), strict=True):
        assert inputs.count(V) == 2
        assert inputs[-1] == V
        assert targets == [0] * (T - 1) + [inputs[inputs.index(V) + 1]]
    assert drawn.mask.tolist() == [[False] * (T - 1) + [True]] * NUM
    assert drawn.judged_mask is None
    places = (drawn.inputs == V).argmax(1)
    if T > 3:
        assert_uniform(places, 0, T - 3)
    assert_uniform(drawn.inputs[drawn.inputs != V], 0, V - 1)
    assert_uniform(drawn.targets[:, -1] * (T - 2) + places, 0, V * (T - 2) - 1)
