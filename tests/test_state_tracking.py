"""State tracking: every state again from the inputs, by permutations that are composed as tuples,
and every distribution within 4.5 standard errors."""

from collections import Counter
from itertools import permutations, product

import numpy as np
import pytest
from helpers import assert_uniform, drawn_from

from jaxrnn import TASKS
from jaxrnn.problems.state_tracking import GROUPS, multiplication_table

NUM = 3000


@pytest.mark.parametrize("length", [2, 12])
def test_parity(length):
    drawn = drawn_from(TASKS["parity"](length), NUM)
    each = drawn_from(TASKS["parity"](length, every_step=True), NUM)
    assert TASKS["parity"](length)[1:4] == (2, 2, length)
    np.testing.assert_array_equal(each.inputs, drawn.inputs)
    counts = np.cumsum(drawn.inputs, axis=1) % 2
    np.testing.assert_array_equal(each.targets, counts)
    np.testing.assert_array_equal(drawn.targets, counts * (np.arange(length) == length - 1))
    is_last = [[False] * (length - 1) + [True]] * NUM
    assert drawn.mask.tolist() == each.judged_mask.tolist() == is_last
    assert drawn.judged_mask is None  # what is trained
    assert each.mask is None  # all are trained
    for bits in drawn.inputs.T:
        assert_uniform(bits, 0, 1)
    assert_uniform(2 * drawn.inputs[:, :-1] + drawn.inputs[:, 1:], 0, 3)


# Words of groups


def is_even(permutation):
    return np.linalg.det(np.eye(len(permutation))[list(permutation)]) > 0


def elements_of(group):
    """The elements as pairs (permutation, number), in their order, and the order of the numbers."""
    size, only_even, order = {
        "Z60": (1, False, 60),
        "A4xZ5": (4, True, 5),
        "A5": (5, True, 1),
        "S3": (3, False, 1),
        "S5": (5, False, 1),
    }[group]
    every = sorted(permutations(range(size)))
    kept = [one for one in every if is_even(one) or not only_even]
    return list(product(kept, range(order))), order


def composed(s, g, order):
    """s after g."""
    return tuple(s[0][g[0][i]] for i in range(len(s[0]))), (s[1] + g[1]) % order


GENERATORS = {
    "S3": [((1, 0, 2), 0), ((1, 2, 0), 0)],
    "S5": [((1, 0, 2, 3, 4), 0), ((1, 2, 3, 4, 0), 0)],
}


@pytest.mark.parametrize(
    ("group", "size", "commutators"),
    # Abelian, solvable and neither: A5 is its own commutator subgroup, that of A4 is abelian.
    [("Z60", 60, 1), ("A4xZ5", 60, 4), ("A5", 60, 60), ("S3", 6, 3), ("S5", 120, 60)],
)
def test_the_multiplication_tables_are_those_of_groups(group, size, commutators):
    table = multiplication_table(group)
    elements, order = elements_of(group)
    assert table.shape == (size, size)
    assert table.dtype == np.int32
    every = np.arange(size)
    np.testing.assert_array_equal(table[0], every)  # the identity is 0
    np.testing.assert_array_equal(table[:, 0], every)
    for rows in (table, table.T):  # each row is a permutation, so every element has an inverse
        np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(every, (size, 1)))
    np.testing.assert_array_equal(table[table], table[:, table])  # (s g) h = s (g h)
    rng = np.random.default_rng(0)
    for s, g in rng.integers(0, size, (300, 2)):
        assert elements[table[s, g]] == composed(elements[s], elements[g], order)
    # The subgroup that all s g s^-1 g^-1 generate.
    inverse = (table == 0).argmax(1)
    s, g = np.meshgrid(every, every)
    found = np.unique(table[table[s, g], inverse[table[g, s]]])
    while len(more := np.unique(table[np.ix_(found, found)])) > len(found):
        found = more
    assert len(found) == commutators


@pytest.mark.parametrize(
    ("group", "generators"),
    [*((group, False) for group in GROUPS), ("S3", True), ("S5", True)],
)
def test_group_words(group, generators):
    length = 7
    task = TASKS["group_words"](length, group=group, generators=generators)
    drawn = drawn_from(task, NUM)
    elements, order = elements_of(group)
    letters = GENERATORS[group] if generators else elements
    assert task[1:4] == (len(letters), len(elements), length)
    for word, targets in zip(drawn.inputs.tolist(), drawn.targets.tolist(), strict=True):
        state = elements[0]
        for letter, target in zip(word, targets, strict=True):
            state = composed(state, letters[letter], order)
            assert elements[target] == state
    assert drawn.mask is None  # all are trained
    assert drawn.judged_mask.tolist() == [[False] * (length - 1) + [True]] * NUM
    for inputs in drawn.inputs.T:
        assert_uniform(inputs, 0, len(letters) - 1)
    neighbours = len(letters) * drawn.inputs[:, :-1] + drawn.inputs[:, 1:]
    if len(letters) < 10:  # of the others there are too many
        assert_uniform(neighbours, 0, len(letters) ** 2 - 1)
    if not generators:
        assert_uniform(drawn.targets[:, -1], 0, len(elements) - 1)
        assert task.guessing == pytest.approx(1 / len(elements), rel=1e-12)


@pytest.mark.parametrize("group", ["S3", "S5"])
def test_what_guessing_gets_right_with_generators(group):
    """All words of T-1 letters, and the most frequent state after them."""
    elements, order = elements_of(group)

    def share(length):
        counts = Counter()
        for word in product(GENERATORS[group], repeat=length - 1):
            state = elements[0]
            for letter in word:
                state = composed(state, letter, order)
            counts[state] += 1
        return max(counts.values()) / 2 ** (length - 1)

    shares = [share(length) for length in range(2, 11)]
    options = {"group": group, "generators": True}
    for length, expected in zip(range(2, 11), shares, strict=True):
        task = TASKS["group_words"](length, **options)
        assert task.guessing == pytest.approx(expected, rel=1e-12)
    drawn = TASKS["group_words"](10, shortest=4, **options)
    assert drawn.guessing == pytest.approx(np.mean(shares[2:]), rel=1e-12)
    # They generate the whole group, so that a long word may be any element.
    assert TASKS["group_words"](300, **options).guessing == pytest.approx(1 / len(elements))
