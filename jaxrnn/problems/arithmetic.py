"""Add or multiply two marked numbers of a long sequence of numbers."""

import math
import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxrnn.options import checked
from jaxrnn.problems.paper_1997 import (
    BASE,
    FOR_REAL_TARGETS,
    as_written,
    blocks,
    departure,
    standard_lstm,
)
from jaxrnn.problems.suite import Published
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


_4 = as_written(
    "4",
    BASE,
    {
        100: Published(74_000, wrong=1 / 2560),
        500: Published(209_000, wrong=0.0),
        1000: Published(853_000, wrong=1 / 2560),
    },
    task="adding",
    learning_rate=0.5,
    threshold=_THRESHOLD,
    mean_error=0.01,
    **blocks(2, 2, input_biases=(-3.0, -6.0)),
)
_5 = as_written(
    "5",
    BASE,
    {100: Published(482_000, wrong=139 / 2560)},
    task="multiplication",
    learning_rate=0.1,
    threshold=_THRESHOLD,
    max_failures=139,
    **blocks(2, 2),
)

TASKS = (adding, multiplication, adding_halves)

SUITES = (
    _4,
    departure("4-linear", _4, "linear output", objective="half_squared_error_linear"),
    standard_lstm("4-best", _4, ", linear output, Adam", **FOR_REAL_TARGETS),
    _5,
    departure("5-linear", _5, "linear output", objective="half_squared_error_linear"),
    standard_lstm("5-best", _5, ", linear output, Adam", **FOR_REAL_TARGETS),
    as_written("5-n13", _5.base, {100: Published(1_273_000, wrong=14 / 2560)}, max_failures=12),
)
