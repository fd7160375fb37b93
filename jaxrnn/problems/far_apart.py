"""A few elements that stand far apart in a long sequence decide: their sum, product or order."""

import math
import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrnn.options import checked
from jaxrnn.problems.task import (
    REAL_TARGETS,
    Sequence,
    Shortest,
    Solved,
    Task,
    at_last_step,
    draw_integers,
    length_drawn,
    longest,
)

_THRESHOLD = 0.04
FIRST_MARKED = 10  # the first marker is on one of this many first pairs


@checked
def adding(length: int, *, shortest: Shortest = None) -> Task:
    """Add two marked real numbers of a long sequence of pairs (value, marker).

    The values are independent and uniform on [-1, 1). The number of pairs is uniform on
    ``length``, ..., floor(1.1 ``length``) = T. Two pairs are chosen and marked 1: one of the first
    ten pairs, then one of the first ``length`` // 2 - 1 pairs that are left, each with equal
    probability. All other markers are 0, except those of the first and the last pair, which are -1.
    If the first pair is chosen, it keeps its -1 and counts as 0. With X the values of the pairs
    that are marked 1, the target is 0.5 + sum(X) / 4, from 0 to 1. Inputs are [T, 2], 0 after the
    end; targets [T, 1], at the last pair, the only step that counts.

    >>> sequence = adding(11).draw(jax.random.key(0))
    >>> " ".join(f"{value:.2f}" for value in sequence.inputs[:, 0].tolist())
    '-0.99 -0.96 0.16 -0.28 -0.55 -0.76 -0.75 0.23 -0.81 0.97 -0.15 0.66'
    >>> " ".join(f"{marker:.0f}" for marker in sequence.inputs[:, 1].tolist())
    '-1 1 0 0 1 0 0 0 0 0 0 -1'
    >>> f"{float(sequence.targets[sequence.mask][0, 0]):.4f}"
    '0.1220'

    Raises InputError for a length below 11, where the last pair could be marked.

    The paper gives a least lag of ``length`` / 2. So the second marker stands at pair ``length`` /
    2 at most, and this decides how to count the pairs that are left. It is our own reading that a
    first pair keeps its -1.

    Source: Hochreiter & Schmidhuber 1997, experiment 4.
    """
    # The target lies within 0.04 of 1/2 where |X1 + X2| <= 0.16, or |X1| if that is all there is.
    return _marked(
        "adding",
        shortest,
        length,
        -1.0,
        lambda values, is_marked: 0.5 + jnp.sum(jnp.where(is_marked, values, 0.0)) / 4,
        Solved(threshold=_THRESHOLD, window=2000, mean_error=0.01),
        guessing=(1 - (1 - 2 * _THRESHOLD) ** 2, 4 * _THRESHOLD),
    )


@checked
def multiplication(length: int, *, shortest: Shortest = None) -> Task:
    """Multiply two marked real numbers of a long sequence of pairs (value, marker).

    As :func:`adding`, errors included, with values uniform on [0, 1) and the target prod(X), where
    a first pair that is chosen counts as 1.

    >>> sequence = multiplication(11).draw(jax.random.key(0))
    >>> " ".join(f"{value:.2f}" for value in sequence.inputs[:, 0].tolist())
    '0.01 0.02 0.58 0.36 0.22 0.12 0.13 0.62 0.10 0.98 0.42 0.83'
    >>> " ".join(f"{marker:.0f}" for marker in sequence.inputs[:, 1].tolist())
    '-1 1 0 0 1 0 0 0 0 0 0 -1'
    >>> f"{float(sequence.targets[sequence.mask][0, 0]):.4f}"
    '0.0047'

    Source: Hochreiter & Schmidhuber 1997, experiment 5.
    """
    # A product of two values, or a single value, is within 0.04 of 0.04 if it is below 0.08.
    most = 2 * _THRESHOLD
    return _marked(
        "multiplication",
        shortest,
        length,
        0.0,
        lambda values, is_marked: jnp.prod(jnp.where(is_marked, values, 1.0)),
        Solved(threshold=_THRESHOLD, window=2000, max_failures=139),
        guessing=(most * (1 - math.log(most)), most),
    )


# The mean squared error of the best constant, 1: the variance of the sum of two uniform values.
_BASELINE = 1 / 6


@checked
def adding_halves(length: int, *, shortest: Shortest = None) -> Task:
    """Add two marked numbers, one of each half of a long sequence of pairs (value, marker).

    This is the adding problem in the form that is usual since 2015. There are T = ``length`` pairs.
    The values are independent and uniform on [0, 1). One of the first floor(T/2) pairs is marked 1,
    and one of the others, each with equal probability. All other markers are 0. The target is the
    sum of the two marked values, from 0 to 2. Inputs are [T, 2]; targets [T, 1], at the last pair,
    the only step that counts.

    >>> sequence = adding_halves(8).draw(jax.random.key(1))
    >>> " ".join(f"{value:.2f}" for value in sequence.inputs[:, 0].tolist())
    '0.40 0.55 0.22 0.18 0.88 0.57 0.10 0.07'
    >>> " ".join(f"{marker:.0f}" for marker in sequence.inputs[:, 1].tolist())
    '0 0 0 1 0 0 0 1'
    >>> f"{float(sequence.targets[sequence.mask][0, 0]):.4f}"
    '0.2466'

    A net that has forgotten the marked values can say 1, whatever they are. Its mean squared error
    is 1/6. Errors are squared errors here, and one above 1/6 makes a failure. So the net gets the
    share 1 - (1 - r)^2 = 0.65 of the sequences right, r = sqrt(1/6).

    The papers name no criterion. Ours is a mean squared error below 1/60 of 1000 sequences in a
    row, a tenth of the 1/6. Then fewer than a tenth of their errors are above 1/6. So the 100
    failures that are allowed decide nothing.

    Raises InputError for a length below 2.

    Differs from :func:`adding` in the values, which are not negative there; in the marker of the
    second half; in that no end is marked; and in the target, which is not scaled.

    Source: Le, Jaitly & Hinton 2015, section 4.1; Arjovsky, Shah & Bengio 2016, section 5.
    """
    draw_length = length_drawn("adding_halves", shortest, length, 2)

    def draw(key: jax.Array) -> Sequence:
        end = draw_length(key)
        integer_key, value_key = jax.random.split(key)
        marked = draw_integers(integer_key, [(0, end // 2 - 1), (end // 2, end - 1)])
        values = jax.random.uniform(value_key, (length,))
        step = jnp.arange(length, dtype=jnp.int32)
        is_marked = (step == marked[0]) | (step == marked[1])
        values = jnp.where(step < end, values, 0.0)
        inputs = jnp.stack([values, is_marked.astype(values.dtype)], axis=1)
        answer = jnp.sum(jnp.where(is_marked, values, 0.0))[None]
        return Sequence(inputs, *at_last_step(answer, end, length))

    sizes = 2, 1, length
    return Task(
        draw,
        *sizes,
        measure="squared_error",
        objective=REAL_TARGETS,
        solved=Solved(threshold=_BASELINE, max_failures=100, mean_error=_BASELINE / 10),
        guessing=1 - (1 - math.sqrt(_BASELINE)) ** 2,
    )


def _marked(
    name: str,
    shortest: int | None,
    length: int,
    least_value: float,
    target: Callable[[jax.Array, jax.Array], jax.Array],
    solved: Solved,
    guessing: tuple[float, float],
) -> Task:
    """``guessing`` is the share of sequences that the best constant gets right: first if two values
    count, then if only one does, because the first pair is chosen."""
    draw_length = length_drawn(name, shortest, length, FIRST_MARKED + 1)
    max_steps = longest(length)
    has_one = statistics.mean(
        1 / FIRST_MARKED + (1 - 1 / FIRST_MARKED) / (one // 2 - 1)
        for one in range(length if shortest is None else shortest, length + 1)
    )

    def draw(key: jax.Array) -> Sequence:
        length = draw_length(key)
        integer_key, value_key = jax.random.split(key)
        ranges = [(length, longest(length)), (0, FIRST_MARKED - 1), (0, length // 2 - 2)]
        num_steps, first, second = draw_integers(integer_key, ranges)
        values = jax.random.uniform(value_key, (max_steps,), minval=least_value, maxval=1.0)
        # Number k of the pairs that are left is pair k before the first that was chosen, else k+1.
        second = second + (second >= first).astype(jnp.int32)
        step = jnp.arange(max_steps, dtype=jnp.int32)
        is_end = (step == 0) | (step == num_steps - 1)
        is_marked = ((step == first) | (step == second)) & ~is_end
        markers = is_marked.astype(values.dtype) - is_end.astype(values.dtype)
        inputs = jnp.stack([jnp.where(step < num_steps, values, 0.0), markers], axis=1)
        answer = target(values, is_marked)[None]
        return Sequence(inputs, *at_last_step(answer, num_steps, max_steps))

    sizes = 2, 1, max_steps
    return Task(
        draw,
        *sizes,
        objective=REAL_TARGETS,
        solved=solved,
        guessing=(1 - has_one) * guessing[0] + has_one * guessing[1],
    )


SYMBOLS = "abcdXYEB"
"""Symbol k of both tasks is the k-th letter: distractors, relevant ones, start and end."""

X, START, END = SYMBOLS.index("X"), SYMBOLS.index("E"), SYMBOLS.index("B")
LEAST_LENGTH = 20  # from here on the first window begins behind the start symbol


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

    solved, guessing = Solved(threshold=0.3, window=2000, mean_error=0.1), 1 / num_classes
    return Task(draw, len(SYMBOLS), num_classes, max_steps, solved=solved, guessing=guessing)


TASKS = (adding, multiplication, adding_halves, temporal_order, temporal_order_three)
