"""The tasks: every target again from the inputs, in NumPy, and every distribution within 4.5
standard errors."""

import doctest
import importlib
import pkgutil
from collections import Counter
from functools import cache
from itertools import combinations

import jax
import notebook_numpy as notebook
import numpy as np
import pytest
from helpers import SIGMAS, assert_uniform

from jaxrnn import TASKS, Experiment, InputError, problems, run_trials
from jaxrnn.problems import long_lag, reber
from jaxrnn.training.compiling import CPU_OPTIONS
from jaxrnn.training.objectives import half_squared_error_linear, squared_error
from jaxrnn.training.parts import parts_of
from jaxrnn.training.stopping import SOLVED, UNSOLVED, Rule, fold, start

NUM_KEYS = 4000
KEY = jax.random.key(3)


@cache
def sequences(name: str, length: int, **arguments):
    """A task and NUM_KEYS sequences of it, one program for all tests that look at them."""
    task = TASKS[name](length, **arguments)
    keys = jax.random.split(jax.random.key(length), NUM_KEYS)
    many = jax.jit(jax.vmap(task.draw), compiler_options=CPU_OPTIONS)
    return task, jax.tree.map(np.asarray, many(keys))


@cache
def draw(name: str, length: int, **arguments):
    """Inputs [K, T, ...], targets [K, T, ...] and number of steps [K] of K sequences.

    Those whose mask marks the last step only have as many steps; the others have all of them.
    """
    task, drawn = sequences(name, length, **arguments)
    num_inputs, num_outputs, num_steps = task[1:4]
    assert drawn.inputs.shape[:2] == drawn.targets.shape[:2] == (NUM_KEYS, num_steps)
    for array, size in ((drawn.inputs, num_inputs), (drawn.targets, num_outputs)):
        if array.ndim == 2:
            assert array.dtype == np.int32
            assert array.min() >= 0
            assert array.max() < size
        else:
            assert array.dtype == np.float32
            assert array.shape[2] == size
    if drawn.mask is None:
        return drawn.inputs, drawn.targets, np.full(NUM_KEYS, num_steps)
    assert drawn.mask.dtype == bool
    assert (drawn.mask.sum(1) == 1).all()
    last = drawn.mask.argmax(1)
    after = np.arange(num_steps) > last[:, None]
    assert not drawn.inputs[after].any()
    assert not drawn.targets[~drawn.mask].any()
    return drawn.inputs, drawn.targets, last + 1


def at_end(targets: np.ndarray, num_steps: np.ndarray) -> np.ndarray:
    return targets[np.arange(len(targets)), num_steps - 1]


def assert_moments(values: np.ndarray, mean: float, variance: float, fourth: float) -> None:
    """Mean and variance of independent values with these moments about the mean."""
    root = np.sqrt(values.size)
    assert values.mean() == pytest.approx(mean, abs=SIGMAS * np.sqrt(variance) / root)
    spread = ((values - mean) ** 2).mean()
    assert spread == pytest.approx(variance, abs=SIGMAS * np.sqrt(fourth - variance**2) / root)


def assert_gaussian(values: np.ndarray, mean: float, variance: float) -> None:
    assert_moments(values, mean, variance, 3 * variance**2)
    inside = (np.abs(values - mean) < np.sqrt(variance)).mean()  # 0.6827 for a Gaussian
    assert inside == pytest.approx(0.68269, abs=SIGMAS * np.sqrt(0.2166 / values.size))


# The notebook's task


@pytest.mark.parametrize("length", [3, 10])
def test_noise_free_draws_the_notebooks_two_sequences_equally_often(length):
    inputs, targets, num_steps = draw("noise_free", length)
    assert TASKS["noise_free"](length)[1:4] == (length, length, length - 1)
    assert (num_steps == length - 1).all()
    num_drawn = []
    for is_a in (True, False):
        symbols = notebook.gen_sequence(length - 1, is_a).argmax(axis=1)
        same_inputs = (inputs == symbols[:-1]).all(axis=1)
        same_targets = (targets == symbols[1:]).all(axis=1)
        np.testing.assert_array_equal(same_inputs, same_targets)
        num_drawn.append(same_inputs.sum())
    assert sum(num_drawn) == NUM_KEYS  # and nothing else
    standard_error = np.sqrt(NUM_KEYS / 4)
    assert num_drawn[0] == pytest.approx(NUM_KEYS / 2, abs=4 * standard_error)


@pytest.mark.parametrize("name", ["noise_free", "no_regularities"])
def test_an_alphabet_of_the_same_size_serves_every_length(name):
    inputs, targets, _ = draw(name, 9, num_symbols=5)
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    np.testing.assert_array_equal(inputs[:, 0], targets[:, -1])
    assert_uniform(inputs[:, 0], 3, 4)
    if name == "noise_free":
        np.testing.assert_array_equal(
            inputs[:, 1:], np.tile(np.resize([0, 1, 2], 7), (NUM_KEYS, 1))
        )
    else:
        assert_uniform(inputs[:, -1], 0, 2)
    own, fixed = (TASKS[name](9, **options) for options in ({}, {"num_symbols": 9}))
    for one, other in zip(own.draw(KEY), fixed.draw(KEY), strict=True):
        assert one is other is None or np.array_equal(one, other)


# Experiment 1


def legal_by_strings(string: str) -> list[str]:
    """What may follow each symbol, by a table of the grammar's two-symbol contexts; else raises.

    The inner grammar's state is known from what was read: arcs are (state, symbol, state), written
    down anew from its diagram, upper half 1, 2, and lower half 3, 4.
    """
    arcs = {
        ("start", "T"): "up", ("up", "S"): "up", ("up", "X"): "middle",
        ("start", "P"): "low", ("low", "T"): "low", ("low", "V"): "right",
        ("middle", "X"): "low", ("middle", "S"): "end",
        ("right", "P"): "middle", ("right", "V"): "end",
        ("end", "E"): "out",
    }  # fmt: skip
    assert string[0] == "B"
    assert string[1] in "TP"
    assert string[2] == "B"
    legal, state = ["TP", "B"], "start"
    for symbol in string[2:-2]:
        if len(legal) > 2:
            state = arcs[state, symbol]
        after = {letter for at, letter in arcs if at == state} or {string[1]}
        legal.append("".join(after))
    assert state == "out"
    assert string[-2:] == string[1] + "E"
    return [*legal, "E"]


def spelled(symbols: np.ndarray) -> str:
    return "".join("BTPSXVE"[symbol] for symbol in symbols)


def strings_of(strings: reber.ReberStrings) -> list[str]:
    for symbols, length in zip(strings.symbols, strings.lengths, strict=True):
        assert not symbols[length:].any()
    return [spelled(s[:n]) for s, n in zip(strings.symbols, strings.lengths, strict=True)]


@cache
def reber_strings(length: int, seed: int) -> tuple[list[str], list[str]]:
    training, test = reber.reber_sets(length, seed)
    return strings_of(training), strings_of(test)


@pytest.mark.parametrize("seed", range(2))
def test_reber_sets_are_legal_disjoint_and_of_the_given_size(seed):
    for strings in (sets := reber.reber_sets(40, seed)):
        assert strings.symbols.shape == (256, 40)
        assert strings.legal.shape == (256, 39, 7)
        for string, legal in zip(strings_of(strings), strings.legal, strict=True):
            expected = legal_by_strings(string)
            for row, letters in zip(legal, expected, strict=False):
                assert {"BTPSXVE"[k] for k in np.nonzero(row)[0]} == set(letters)
            assert not legal[len(expected) :].any()
    training, test = map(strings_of, sets)
    assert not set(training) & set(test)
    assert training == strings_of(reber.reber_sets(40, seed)[0])  # the same from the same seed
    assert training != reber_strings(40, seed + 1)[0]


def test_reber_strings_have_the_grammars_lengths():
    drawn = [s for seed in range(12) for s in reber_strings(60, seed)[0]]
    lengths = np.array([*map(len, drawn)])
    assert lengths.min() == 9
    assert lengths.mean() == pytest.approx(12.0, abs=SIGMAS * lengths.std() / np.sqrt(lengths.size))
    p = np.array([1 / 4, 3 / 16])  # of the shortest and the next, from the diagram
    counts = [(lengths == n).sum() for n in (9, 10)]
    bound = SIGMAS * np.sqrt(lengths.size * p * (1 - p))
    assert np.all(np.abs(counts - lengths.size * p) < bound)
    assert_uniform(np.array([s[1] == "T" for s in drawn], int), 0, 1)
    training, test = reber_strings(17, 0)  # longer ones are left out
    assert max(map(len, training + test)) == 17
    assert len(training) == len(test) == 256


@pytest.mark.parametrize(
    ("string", "number"),
    [("TT", 1), ("BB", 2), ("BTBTXSEPE", 8), ("BTBTXXSETE", 7), ("BTBTXSETEE", 10)],
)
def test_a_string_against_the_grammar_is_refused(string, number):
    with pytest.raises(InputError, match=f"symbol {number} of {string} is against"):
        reber.legal_successors(["BTPSXVE".index(s) for s in string])


def test_embedded_reber_draws_the_training_strings_equally_often():
    task, drawn = sequences("embedded_reber", 40, seed=1)
    assert task[1:4] == (7, 7, 39)
    training, _ = reber_strings(40, 1)
    lengths = drawn.mask.sum(1) + 1
    assert (drawn.mask == (np.arange(39) < lengths[:, None] - 1)).all()
    assert not drawn.inputs[~drawn.mask].any()
    assert not drawn.targets[~drawn.mask].any()
    counts: Counter = Counter()
    for inputs, targets, n in zip(drawn.inputs, drawn.targets, lengths, strict=True):
        assert (inputs[1 : n - 1] == targets[: n - 2]).all()
        counts[spelled(inputs[: n - 1]) + spelled(targets[n - 2 : n - 1])] += 1
    for string, symbols, n in zip(drawn.judged_targets, drawn.inputs, lengths, strict=True):
        whole = [*symbols[: n - 1], "BTPSXVE".index("E")]
        np.testing.assert_array_equal(string[: n - 1], reber.legal_successors(whole))
    in_set = Counter(training)
    assert set(counts) <= set(in_set)
    for string, times in in_set.items():
        p = times / 256
        # Rare strings' counts are skewed to the right, hence the 4.
        bound = SIGMAS * np.sqrt(NUM_KEYS * p * (1 - p)) + 4
        assert counts[string] == pytest.approx(NUM_KEYS * p, abs=bound)


def test_embedded_reber_is_tested_on_every_string_of_both_sets():
    # NumPy selects strings of different lengths without a program for each length.
    tested = jax.tree.map(np.asarray, TASKS["embedded_reber"](40, seed=1).test_set())
    training, test = reber_strings(40, 1)
    strings = [
        spelled(inputs[mask]) + "E" for inputs, mask in zip(tested.inputs, tested.mask, strict=True)
    ]
    assert strings == training + test
    for string, legal in zip(strings, tested.judged_targets, strict=True):
        symbols = ["BTPSXVE".index(letter) for letter in string]
        np.testing.assert_array_equal(legal[: len(string) - 1], reber.legal_successors(symbols))


# Experiment 2


def test_no_regularities_has_equal_ends_and_a_uniform_middle():
    inputs, targets, num_steps = draw("no_regularities", 8)
    assert (num_steps == 7).all()
    np.testing.assert_array_equal(targets[:, :-1], inputs[:, 1:])
    np.testing.assert_array_equal(targets[:, -1], inputs[:, 0])
    assert_uniform(inputs[:, 0], 6, 7)
    for position in range(1, 7):
        assert_uniform(inputs[:, position], 0, 5)
    assert_uniform(6 * inputs[:, 1] + inputs[:, 2], 0, 35)  # two neighbours are independent


@pytest.mark.parametrize("shortest", [None, 4])
@pytest.mark.parametrize("name", ["noise_free", "no_regularities"])
def test_with_only_last_the_last_step_alone_is_trained_and_judged(name, shortest):
    every, last = (
        TASKS[name](12, num_symbols=5, only_last=only_last, shortest=shortest).draw(KEY)
        for only_last in (False, True)
    )
    np.testing.assert_array_equal(every.inputs, last.inputs)
    np.testing.assert_array_equal(every.targets, last.targets)
    (step,) = np.flatnonzero(last.mask)
    assert last.targets[step] == last.inputs[0] in (3, 4)
    assert step == (10 if shortest is None else np.flatnonzero(every.targets >= 3)[0])
    assert last.judged_mask is None or np.array_equal(last.judged_mask, last.mask)


@pytest.mark.parametrize(("length", "p"), [(5, None), (30, 4)])
def test_very_long_lag_recalls_its_second_symbol_after_e(length, p):
    inputs, targets, num_steps = draw("very_long_lag", length, num_distractors=p)
    p = p or length
    e, b, x = p, p + 1, p + 2
    assert (inputs[:, 0] == b).all()
    assert (at_end(inputs, num_steps) == e).all()
    assert ((inputs == e).sum(1) == 1).all()
    np.testing.assert_array_equal(at_end(targets, num_steps), inputs[:, 1] - x)
    assert_uniform(inputs[:, 1], x, x + 1)
    step = np.arange(inputs.shape[1])
    distractors = inputs[(step >= 2) & (step < num_steps[:, None] - 1)]
    assert_uniform(distractors, 0, p - 1)
    tail = num_steps - (2 + length + 1)
    assert_moments(tail, 9.0, 90.0, 90.0**2 * (9 + 0.1**2 / 0.9))
    for g in (0, 1, 10):
        probability = 0.1 * 0.9**g
        bound = SIGMAS * np.sqrt(NUM_KEYS * probability)
        assert (tail == g).sum() == pytest.approx(NUM_KEYS * probability, abs=bound)


def test_very_long_lag_is_cut_less_often_than_once_in_a_million(monkeypatch):
    assert 0.9 ** (long_lag.LONGEST_TAIL + 1) < 1e-6 < 0.9**long_lag.LONGEST_TAIL
    monkeypatch.setattr(long_lag, "LONGEST_TAIL", 4)
    inputs, targets, num_steps = draw("very_long_lag", 5, shortest=5)  # drawn by no other test
    assert inputs.shape[1] == num_steps.max() == 12
    assert (at_end(inputs, num_steps) == 5).all()
    np.testing.assert_array_equal(at_end(targets, num_steps), inputs[:, 1] - 7)
    probability = 0.9**4
    bound = SIGMAS * np.sqrt(NUM_KEYS * probability * (1 - probability))
    assert (num_steps == 12).sum() == pytest.approx(NUM_KEYS * probability, abs=bound)


# Experiment 3


@pytest.mark.parametrize(
    "name", ["two_sequence", "two_sequence_noise", "two_sequence_target_noise"]
)
def test_two_sequence(name):
    N = 3
    inputs, targets, num_steps = draw(name, 60, num_informative=N)
    elements = inputs[:, :, 0]
    assert_uniform(num_steps, 60, 66)
    answers = at_end(targets, num_steps)[:, 0]
    if name == "two_sequence_target_noise":
        is_class_1 = elements[:, 0] > 0
        clean = np.where(is_class_1, np.float32(0.2), np.float32(0.8))
        without = jax.vmap(long_lag.target_without_noise)(inputs)
        np.testing.assert_array_equal(without[:, 0], clean)
        assert_gaussian(answers - clean, 0.0, 0.1)
    else:
        assert set(answers) == {0.0, 1.0}
        is_class_1 = answers == 1
    assert_uniform(is_class_1.astype(int), 0, 1)
    signs = np.where(is_class_1, 1, -1)
    if name == "two_sequence_noise":
        assert_gaussian((elements[:, :N] - signs[:, None]).ravel(), 0.0, 0.2)
    else:
        assert (elements[:, :N] == signs[:, None]).all()
    step = np.arange(elements.shape[1])
    assert_gaussian(elements[(step >= N) & (step < num_steps[:, None])], 0.0, 0.2)
    # The noise tells nothing about the class.
    assert_moments((signs[:, None] * elements[:, N:60]).ravel(), 0.0, 0.2, 3 * 0.2**2)


def test_the_three_two_sequence_tasks_draw_the_same_inputs_from_a_key():
    (plain, _, steps), (noise, _, others), (target_noise, *_) = (
        draw(name, 60, num_informative=3)
        for name in ("two_sequence", "two_sequence_noise", "two_sequence_target_noise")
    )
    np.testing.assert_array_equal(steps, others)
    # Programs round differently.
    np.testing.assert_allclose(target_noise, plain, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(noise[:, 3:], plain[:, 3:], rtol=1e-6, atol=1e-7)


# Experiments 4 and 5


@pytest.mark.parametrize("length", [11, 40])
@pytest.mark.parametrize(
    ("name", "low", "variance", "fourth"),
    [("adding", -1, 1 / 3, 1 / 5), ("multiplication", 0, 1 / 12, 1 / 80)],
)
def test_adding_and_multiplication(name, low, variance, fourth, length):
    inputs, targets, num_steps = draw(name, length)
    assert_uniform(num_steps, length, 11 * length // 10)
    values, markers = inputs[:, :, 0], inputs[:, :, 1]
    step = np.arange(values.shape[1])
    inside = values[step < num_steps[:, None]]
    assert inside.min() >= low
    assert inside.max() < 1
    assert_moments(inside, (low + 1) / 2, variance, fourth)
    assert (markers[:, 0] == -1).all()
    assert (at_end(markers, num_steps) == -1).all()
    assert ((markers == -1).sum(1) == 2).all()
    assert set(np.unique(markers)) == {-1.0, 0.0, 1.0}

    answers = at_end(targets, num_steps)[:, 0]
    num_marked = (markers == 1).sum(1)
    assert set(num_marked) == {1, 2}
    # Pairs counted from 0. Chosen: a, uniform on 0..9, and then b, uniform on the first
    # length // 2 - 1 of those left; pair 0 is chosen, and counts for nothing, with probability
    # P(a = 0) + P(a > 0) P(b = 0).
    left = length // 2 - 1
    p_first = 1 / 10 + 9 / 10 / left
    bound = SIGMAS * np.sqrt(NUM_KEYS * p_first * (1 - p_first))
    assert (num_marked == 1).sum() == pytest.approx(NUM_KEYS * p_first, abs=bound)
    results = {
        "adding": 0.5 + np.sum(values, 1, where=markers == 1, dtype=np.float64) / 4,
        "multiplication": np.prod(values, 1, where=markers == 1, dtype=np.float64),
    }
    np.testing.assert_allclose(answers, results[name], rtol=1e-6, atol=1e-6)
    # How often each pair is marked.
    a = np.zeros(values.shape[1])
    a[:10] = 1 / 10
    b = np.zeros_like(a)
    for first in range(10):
        for second in [k for k in range(values.shape[1]) if k != first][:left]:
            b[second] += 1 / 10 / left
    p = (a + b)[1:]
    bound = SIGMAS * np.sqrt(NUM_KEYS * p) + 1e-9
    np.testing.assert_array_less(np.abs((markers == 1).sum(0)[1:] - NUM_KEYS * p), bound + 1e-6)
    last = (markers == 1).nonzero()[1].max()
    assert last == max(9, length // 2 - 1)  # pair length / 2, counted from 1: lag length / 2


@pytest.mark.parametrize("length", [2, 9, 20])
def test_adding_halves(length):
    inputs, targets, num_steps = draw("adding_halves", length)
    assert (num_steps == length).all()
    values, markers = inputs[:, :, 0], inputs[:, :, 1]
    assert values.min() >= 0
    assert values.max() < 1
    assert_moments(values, 1 / 2, 1 / 12, 1 / 80)
    assert set(np.unique(markers)) <= {0.0, 1.0}
    first, second = markers[:, : length // 2], markers[:, length // 2 :]
    for half in (first, second):
        assert (half.sum(1) == 1).all()
        assert_uniform(half.argmax(1), 0, half.shape[1] - 1)
    both = second.shape[1] * first.argmax(1) + second.argmax(1)
    assert_uniform(both, 0, first.shape[1] * second.shape[1] - 1)  # they are independent
    answers = at_end(targets, num_steps)[:, 0]
    np.testing.assert_allclose(answers, (values * markers).sum(1), rtol=1e-6, atol=1e-6)


def test_adding_halves_is_judged_by_the_mean_squared_error():
    task, drawn = sequences("adding_halves", 20)
    goal = parts_of(Experiment(task="adding_halves", length=20)).goal
    assert (goal.objective, goal.measure) == (half_squared_error_linear, squared_error)
    errors = (drawn.targets[:, -1, 0] - 1) ** 2
    # (x1 + x2 - 1)^2 has mean 1/6 and fourth moment 1/15 about 0.
    bound = SIGMAS * np.sqrt((1 / 15 - 1 / 36) / NUM_KEYS)
    assert errors.mean() == pytest.approx(1 / 6, abs=bound)
    # The failures never decide: 1000 errors with a mean below 1/60 have less than 100 above 1/6.
    threshold, window, max_failures, mean_error, _ = task.solved
    assert mean_error * window == pytest.approx(threshold * max_failures)
    rule = Rule(threshold, window, 1000, max_failures, mean_error)
    few = np.zeros((window, 2))
    few[:99], few[:100, 1] = threshold * 1.001, threshold * 1.01
    assert fold(start(2, rule), few, rule).status.tolist() == [SOLVED, UNSOLVED]


# Experiment 6


@pytest.mark.parametrize(
    ("name", "length", "windows"),
    [
        ("temporal_order", 100, [(10, 20), (50, 60)]),
        ("temporal_order", 20, [(2, 4), (10, 12)]),
        ("temporal_order_three", 100, [(10, 20), (33, 43), (66, 76)]),
    ],
)
def test_temporal_order(name, length, windows):
    inputs, targets, num_steps = draw(name, length)
    assert_uniform(num_steps, length, 11 * length // 10)
    letters = np.array(list("abcdXYEB"))[inputs]
    assert (letters[:, 0] == "E").all()
    assert (at_end(letters, num_steps) == "B").all()
    step = np.arange(inputs.shape[1])
    inside = (step > 0) & (step < num_steps[:, None] - 1)
    assert np.isin(letters[inside], list("abcdXY")).all()
    relevant = np.isin(letters, ["X", "Y"]) & inside
    assert (relevant.sum(1) == len(windows)).all()
    positions = relevant.nonzero()[1].reshape(NUM_KEYS, len(windows)) + 1
    for k, (low, high) in enumerate(windows):
        assert_uniform(positions[:, k], low, high)
    assert_uniform(inputs[inside & ~relevant], 0, 3)
    answers = at_end(targets, num_steps)
    words = ["".join(word) for word in letters[relevant].reshape(NUM_KEYS, -1)]
    orders = sorted(set(words))
    assert len(orders) == 2 ** len(windows)  # XX, XY, YX, YY in the classes' order
    assert [orders[answer] for answer in answers] == words
    assert_uniform(answers, 0, len(orders) - 1)


# Copying


@pytest.mark.parametrize(("T", "K", "M"), [(1, 2, 1), (5, 4, 3)])
def test_copying(T, K, M):
    task, (inputs, targets, mask, judged, _) = sequences("copying", T, num_symbols=K, num_copied=M)
    assert task[1:4] == (K + 2, K + 1, T + 2 * M)
    for read, written in zip(inputs.tolist(), targets.tolist(), strict=True):
        symbols = read[:M]
        assert max(symbols) < K
        assert read == symbols + [K] * (T - 1) + [K + 1] + [K] * M
        assert written == [K] * (T + M) + symbols
    assert mask is None  # all are trained
    assert judged.tolist() == [[False] * (T + M) + [True] * M] * NUM_KEYS
    for place in range(M):
        assert_uniform(inputs[:, place], 0, K - 1)
    for place in range(1, M):  # two neighbours are independent
        assert_uniform(K * inputs[:, place - 1] + inputs[:, place], 0, K * K - 1)


@pytest.mark.parametrize(("L", "K", "M"), [(2, 2, 3), (6, 3, 4), (50, 14, 16)])
def test_selective_copying(L, K, M):
    task, drawn = sequences("selective_copying", L, num_symbols=K, num_copied=M)
    assert task[1:4] == (K + 2, K + 2, L + 2 * M)
    inputs, targets, mask, judged, _ = drawn
    for read, written in zip(inputs.tolist(), targets.tolist(), strict=True):
        symbols = [symbol for symbol in read[: L + M] if symbol != 0]
        assert len(symbols) == M
        assert max(symbols) <= K
        assert read[L + M :] == [K + 1] * M
        assert written == [0] * (L + M) + symbols
    assert mask.tolist() == [[False] * (L + M) + [True] * M] * NUM_KEYS
    assert judged is None  # what is trained
    for place in range(M):
        assert_uniform(targets[:, L + M + place], 1, K)
    for place in range(L + M + 1, L + 2 * M):
        assert_uniform(K * (targets[:, place - 1] - 1) + targets[:, place] - 1, 0, K * K - 1)
    # Every place is taken equally often, and every pair of places; where they are few, every set.
    taken = (inputs[:, : L + M] != 0).astype(np.int64)
    together = taken.T @ taken
    p = M / (L + M)
    both = p * (M - 1) / (L + M - 1)
    for times, q in ((np.diag(together), p), (together[np.triu_indices(L + M, 1)], both)):
        bound = SIGMAS * np.sqrt(NUM_KEYS * q * (1 - q))
        np.testing.assert_allclose(times, NUM_KEYS * q, rtol=0, atol=bound)
    if L < 10:
        sets = {places: k for k, places in enumerate(combinations(range(L + M), M))}
        drawn_as = [sets[tuple(np.flatnonzero(row).tolist())] for row in taken]
        assert_uniform(np.array(drawn_as), 0, len(sets) - 1)


def test_copying_has_the_papers_numbers_by_default():
    # 10 ln(8) / (100 + 20), as the paper's baseline; 14 symbols, noise and marker make 16 tokens.
    assert TASKS["copying"](100)[1:4] == (10, 9, 120)
    assert TASKS["selective_copying"](4096)[1:4] == (16, 16, 4096 + 32)


# All of them

LEAST = {
    "embedded_reber": 17,
    **dict.fromkeys(("noise_free", "no_regularities", "induction"), 3),
    **dict.fromkeys(("very_long_lag", "copying", "selective_copying"), 1),
    **dict.fromkeys(("two_sequence", "two_sequence_noise", "two_sequence_target_noise"), 4),
    **dict.fromkeys(("adding", "multiplication"), 11),
    **dict.fromkeys(("temporal_order", "temporal_order_three"), 20),
    **dict.fromkeys(("adding_halves", "parity", "group_words"), 2),
    "associative_recall": 16,
}


@pytest.mark.parametrize("name", TASKS)
def test_a_length_too_short_is_refused_with_the_least(name):
    least = LEAST[name]
    message = f"length {least - 1} is too short for task {name}: it needs at least {least}"
    with pytest.raises(InputError, match=f"^{message}$"):
        TASKS[name](least - 1)
    assert TASKS[name](least).num_steps >= 1


# What other tests draw, too; length 40 of the other tasks.
DRAWN = {
    **dict.fromkeys(("adding", "multiplication"), (11, {})),  # the first pair is chosen often
    **dict.fromkeys(("temporal_order", "temporal_order_three", "adding_halves"), (20, {})),
    **dict.fromkeys(("two_sequence", "two_sequence_noise"), (60, {"num_informative": 3})),
    "two_sequence_target_noise": (60, {"num_informative": 3}),
    "noise_free": (10, {}),
    "no_regularities": (8, {}),
    "very_long_lag": (5, {"num_distractors": None}),
    "copying": (5, {"num_symbols": 4, "num_copied": 3}),
    "selective_copying": (6, {"num_symbols": 3, "num_copied": 4}),
    "associative_recall": (40, {"vocabulary": 8, "num_pairs": 2}),
    "embedded_reber": (40, {"seed": 1}),
}


@pytest.mark.parametrize("name", TASKS)
def test_guessing_is_what_the_best_guess_gets_right(name):
    length, options = DRAWN.get(name, (40, {}))
    task, drawn = sequences(name, length, **options)
    judged = drawn.mask if drawn.judged_mask is None else drawn.judged_mask
    answers = drawn.targets if drawn.judged_targets is None else drawn.judged_targets
    if name == "embedded_reber":  # whoever knows the grammar has forgotten the second symbol
        answers, judged = drawn.inputs[:, 1:2], None
    answers = np.stack([a if judged is None else a[judged[k]] for k, a in enumerate(answers)])
    if answers.dtype == np.int32:
        best = max(Counter(map(tuple, answers.tolist())).values())
    else:
        (values,) = np.sort(answers.reshape(NUM_KEYS, -1), axis=0).T
        is_squared = task.measure == "squared_error"
        radius = np.sqrt(task.solved.threshold) if is_squared else task.solved.threshold
        within = np.searchsorted(values, values + 2 * radius, side="right")
        best = (within - np.arange(NUM_KEYS)).max()
    share = task.guessing
    assert abs(best / NUM_KEYS - share) < SIGMAS * np.sqrt(share * (1 - share) / NUM_KEYS)


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_task_trains(name):
    experiment = Experiment(
        task=name,
        length=max(LEAST[name], 5),
        objective="half_squared_error",
        loss_reduction="sum",
        clipping="none",
        max_steps=20,
        window=20,
        trials=2,
        hidden_size=4,
        learning_rate=0.1,
    )
    for outcome in run_trials(experiment, chunk_steps=20):
        assert (outcome.status, outcome.steps) == ("unsolved", 20)
        assert np.isfinite(outcome.curve).all()
        assert min(outcome.curve) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(problems.__path__)])
def test_the_docstrings_examples_are_true(name):
    module = importlib.import_module(f"jaxrnn.problems.{name}")
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0 or not hasattr(module, "TASKS")
