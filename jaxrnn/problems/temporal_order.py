"""Classify a long sequence by the order of a few symbols that stand far apart."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxrnn.options import checked
from jaxrnn.problems.paper_1997 import (
    BASE,
    BY_CROSS_ENTROPY,
    as_written,
    blocks,
    departure,
    standard_lstm,
)
from jaxrnn.problems.suite import Published
from jaxrnn.problems.task import (
    Sequence,
    Shortest,
    Solved,
    Task,
    at_last_step,
    draw_integers,
    length_drawn,
    longest,
)

SYMBOLS = "abcdXYEB"
"""Symbol k of both tasks is the k-th letter: distractors, relevant ones, start and end."""

X, START, END = SYMBOLS.index("X"), SYMBOLS.index("E"), SYMBOLS.index("B")
LEAST_LENGTH = 20  # from here on the first window begins behind the start symbol
_RULE: dict[str, Any] = {"threshold": 0.3, "mean_error": 0.1}


@checked
def temporal_order(length: int, *, shortest: Shortest = None) -> Task:
    """Tell in which order two relevant symbols came among distractors.

    The symbols a, b, c, d, X, Y, E, B are 0, ..., 7. The number of symbols is uniform on
    ``length``, ..., floor(1.1 ``length``) = T; the first is E, the last is B, all others are
    independent and uniform on a, b, c, d, except at t1 and t2, where X or Y stands with
    probability 1/2 each. Counted from 1, t1 is uniform on ``length`` / 10, ..., 2 ``length`` / 10
    and t2 on 5 ``length`` / 10, ..., 6 ``length`` / 10, both ends included and rounded down.
    Inputs are [T] symbols, 0 after the end. At the last symbol, the only step that counts, the
    target [T] is the class: XX 0 (the paper's Q), XY 1 (R), YX 2 (S), YY 3 (U).

    >>> sequence = temporal_order(20).draw(jax.random.key(0))
    >>> "".join(SYMBOLS[symbol] for symbol in sequence.inputs.tolist())
    'EdaXbdacadYdcccbdaaBaa'
    >>> int(sequence.targets[sequence.mask][0])
    1

    Raises InputError for a length below 20, where t1 could be 1.

    The paper's ``length`` is 100; positions at other lengths are in proportion. It does not say
    whether it counts them from 1, or whether the ranges include both ends.

    Source: Hochreiter & Schmidhuber 1997, experiment 6a.
    """
    return _temporal_order("temporal_order", shortest, length, ((10, 20), (50, 60)))


@checked
def temporal_order_three(length: int, *, shortest: Shortest = None) -> Task:
    """Tell in which order three relevant symbols came among distractors.

    As :func:`temporal_order`, errors included, with three positions: at ``length`` 100 t1 is
    uniform on 10, ..., 20, t2 on 33, ..., 43, t3 on 66, ..., 76. The eight classes are the three
    symbols read as a binary number, X for 0 and Y for 1: XXX 0 (the paper's Q), XXY 1 (R), XYX 2
    (S), XYY 3 (U), YXX 4 (V), YXY 5 (A), YYX 6 (B), YYY 7 (C).

    >>> sequence = temporal_order_three(20).draw(jax.random.key(0))
    >>> "".join(SYMBOLS[symbol] for symbol in sequence.inputs.tolist())
    'EadYdaXadddcccYdaadBaa'
    >>> int(sequence.targets[sequence.mask][0])
    5

    Source: Hochreiter & Schmidhuber 1997, experiment 6b.
    """
    return _temporal_order("temporal_order_three", shortest, length, ((10, 20), (33, 43), (66, 76)))


def _temporal_order(
    name: str, shortest: int | None, length: int, percent: tuple[tuple[int, int], ...]
) -> Task:
    draw_length = length_drawn(name, shortest, length, LEAST_LENGTH)
    max_steps = longest(length)
    num_classes = 2 ** len(percent)

    def draw(key: jax.Array) -> Sequence:
        length = draw_length(key)
        windows = [(low * length // 100, high * length // 100) for low, high in percent]
        ranges = [(0, num_classes - 1), (length, longest(length)), *windows]
        integers = draw_integers(key, ranges + [(0, X - 1)] * max_steps)
        class_, num_steps, *positions = integers[: len(ranges)]
        inputs = integers[len(ranges) :]
        step = jnp.arange(max_steps, dtype=jnp.int32)
        for k, position in enumerate(positions):
            is_y = (class_ >> (len(percent) - 1 - k)) & 1
            inputs = jnp.where(step == position - 1, X + is_y, inputs)
        inputs = jnp.where(step == 0, START, inputs)
        inputs = jnp.where(step == num_steps - 1, END, inputs)
        inputs = jnp.where(step < num_steps, inputs, 0)
        return Sequence(inputs, *at_last_step(class_, num_steps, max_steps))

    solved, guessing = Solved(window=2000, **_RULE), 1 / num_classes
    return Task(draw, len(SYMBOLS), num_classes, max_steps, solved=solved, guessing=guessing)


_6A = as_written(
    "6a",
    BASE,
    {100: Published(31_390, wrong=1 / 2560)},
    task="temporal_order",
    learning_rate=0.5,
    trials=20,
    **_RULE,
    **blocks(2, 2, input_biases=(-2.0, -4.0)),
)
_6B = as_written(
    "6b",
    BASE,
    {100: Published(571_100, wrong=2 / 2560)},
    task="temporal_order_three",
    learning_rate=0.1,
    **_RULE,
    **blocks(3, 2, input_biases=(-2.0, -4.0, -6.0)),
)

TASKS = (temporal_order, temporal_order_three)

SUITES = (
    _6A,
    standard_lstm("6a-best", _6A, "", **BY_CROSS_ENTROPY),
    _6B,
    departure("6b-ce", _6B, "softmax and cross-entropy", objective="cross_entropy"),
    standard_lstm("6b-best", _6B, "", **BY_CROSS_ENTROPY),
)
