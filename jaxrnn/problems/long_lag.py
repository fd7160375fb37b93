"""The first symbol decides the last: with a fixed, a random and a very long random middle."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.options import Count, Whole, checked
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
    Length,
    Sequence,
    Shortest,
    Solved,
    Task,
    at_last_step,
    draw_integers,
    length_drawn,
)


@checked
def noise_free(
    length: int,
    num_symbols: Annotated[int, Whole(3)] | None = None,
    *,
    only_last: bool = False,
    shortest: Shortest = None,
) -> Task:
    """Predict the next symbol of one of two sequences that differ in their first and last symbol.

    With T = ``length`` and an alphabet of T symbols the sequences are (T-2, 0, 1, ..., T-3, T-2)
    and (T-1, 0, 1, ..., T-3, T-1), each with probability 1/2: the first symbol has to be
    remembered for T-1 steps to predict the last. There are T-1 predictions, so the sequence has
    T-1 steps; the last symbol is a target only. With ``only_last`` no other prediction counts.

    With an alphabet of K = ``num_symbols`` the ends are K-2 or K-1, and between them 0, ..., K-3
    are repeated over and over. Then inputs and outputs are the same at every length. With
    ``shortest`` the length of each sequence is drawn from there to ``length``; the steps behind its
    end count nowhere. This needs ``num_symbols``, since the alphabet would depend on the length.

    >>> noise_free(4).draw(jax.random.key(1)).targets.tolist()
    [0, 1, 3]

    Raises InputError for a length below 3, where nothing stands between first and last, for an
    alphabet of less than three symbols, and for ``shortest`` without an alphabet.

    Source: the notebook's ``gen_sequence``; Hochreiter & Schmidhuber 1997, experiment 2a, whose
    p is T-1.
    """
    draw_length = length_drawn("noise_free", shortest, length, 3)
    size = _alphabet(length, num_symbols, shortest)

    def draw(key: jax.Array) -> Sequence:
        ends = (size - 2 + jax.random.bernoulli(key).astype(jnp.int32))[None]
        middle = jnp.arange(length - 2, dtype=jnp.int32)
        if size != length:
            middle = middle % np.int32(size - 2)
        sequence = Sequence(
            inputs=jnp.concatenate([ends, middle]),
            targets=jnp.concatenate([middle, ends]),
            mask=jnp.arange(length - 1) == length - 2 if only_last else None,
        )
        return sequence if shortest is None else _ended(sequence, draw_length(key))

    return Task(draw, size, size, length - 1, guessing=1 / 2)


def _alphabet(length: int, num_symbols: int | None, shortest: int | None) -> int:
    """The size of the alphabet: the length, or what was asked for."""
    if num_symbols is None and shortest is not None:
        raise InputError(f"shortest {shortest} needs num_symbols, since the alphabet is the length")
    return length if num_symbols is None else num_symbols


def _ended(sequence: Sequence, length: Length) -> Sequence:
    """The sequence with its last symbol at this length; nothing behind it counts."""
    step = jnp.arange(len(sequence.inputs), dtype=jnp.int32)
    targets = jnp.where(step == length - 2, sequence.inputs[0], sequence.targets)
    last = step == length - 2
    return sequence._replace(
        targets=targets,
        mask=last if sequence.mask is not None else step <= length - 2,
        judged_mask=None if sequence.judged_mask is None else last,
    )


@checked
def no_regularities(
    length: int,
    only_last: bool = False,
    num_symbols: Annotated[int, Whole(3)] | None = None,
    *,
    shortest: Shortest = None,
) -> Task:
    """As noise_free, but the symbols between the first and the last are drawn at random.

    With T = ``length`` and an alphabet of T symbols a sequence is (e, m(1), ..., m(T-2), e): e is
    T-2 or T-1 with probability 1/2 each, the m are independent and uniform on 0, ..., T-3. There
    are T-1 steps, inputs and targets [T-1]. Every next symbol is a target and every step counts
    for the loss, unless ``only_last``, but only the last symbol can be predicted, so the error is
    that of the last step. With an alphabet of K = ``num_symbols`` e is K-2 or K-1, the m are
    uniform on 0, ..., K-3. ``shortest`` is that of :func:`noise_free`.

    >>> sequence = no_regularities(6).draw(jax.random.key(2))
    >>> sequence.inputs.tolist(), sequence.targets.tolist()
    ([5, 0, 1, 3, 1], [0, 1, 3, 1, 5])

    Raises InputError as :func:`noise_free` does.

    Source: Hochreiter & Schmidhuber 1997, experiment 2b, whose p is T-1.
    """
    draw_length = length_drawn("no_regularities", shortest, length, 3)
    size = _alphabet(length, num_symbols, shortest)

    def draw(key: jax.Array) -> Sequence:
        symbols = draw_integers(key, [(size - 2, size - 1)] + [(0, size - 3)] * (length - 2))
        ends, middle = symbols[:1], symbols[1:]
        is_last = jnp.arange(length - 1) == length - 2
        sequence = Sequence(
            inputs=jnp.concatenate([ends, middle]),
            targets=jnp.concatenate([middle, ends]),
            mask=is_last if only_last else None,
            judged_mask=is_last,
        )
        return sequence if shortest is None else _ended(sequence, draw_length(key))

    return Task(draw, size, size, length - 1, guessing=1 / 2)


END_PROBABILITY = 0.1
"""The probability that e comes next, after the ``length`` distractors of very_long_lag."""

LONGEST_TAIL = 131
"""The most distractors between those and e; a longer tail has probability 0.9^132 = 9.1e-7."""


@checked
def very_long_lag(
    length: int,
    num_distractors: Count | None = None,
    *,
    shortest: Shortest = None,
) -> Task:
    """Recall the second symbol after a long, random stretch of distractors that ends by chance.

    With q = ``length`` and p = ``num_distractors`` (q by default) the p+4 symbols are the
    distractors 0, ..., p-1, then e = p, b = p+1, x = p+2 and y = p+3. A sequence is
    (b, c, d(1), ..., d(q), d(q+1), ..., d(q+G), e): c is x or y with probability 1/2 each, the d
    are independent and uniform on the distractors, P(G = g) = 0.9^g 0.1. After e comes c again: at
    e, the only step that counts, the target is class 0 for x and 1 for y. With that last symbol a
    sequence has q+13 symbols on average.

    The number of steps is static, T = q + 134: a tail G above 131 is cut to 131, which happens to
    one sequence in 1.1 million (probability 0.9^132 = 9.1e-7, below 1e-6). Inputs and targets are
    [T], 0 after e.

    >>> sequence = very_long_lag(3, num_distractors=2).draw(jax.random.key(11))
    >>> last = int(sequence.mask.argmax())
    >>> sequence.inputs[: last + 1].tolist(), int(sequence.targets[last])
    ([3, 4, 0, 1, 1, 0, 0, 1, 0, 2], 0)

    Raises InputError for a length below 1 and for less than one distractor.

    Source: Hochreiter & Schmidhuber 1997, experiment 2c.
    """
    draw_length = length_drawn("very_long_lag", shortest, length, 1)
    p = length if num_distractors is None else num_distractors
    max_steps = 2 + length + LONGEST_TAIL + 1

    def draw(key: jax.Array) -> Sequence:
        symbol_key, tail_key = jax.random.split(key)
        symbols = draw_integers(symbol_key, [(0, 1)] + [(0, p - 1)] * max_steps)
        class_, distractors = symbols[0], symbols[1:]
        # The number of draws before the first e.
        tail = jax.random.geometric(tail_key, END_PROBABILITY, (), jnp.int32) - 1
        at_e = 2 + draw_length(key) + jnp.minimum(tail, LONGEST_TAIL)
        step = jnp.arange(max_steps, dtype=jnp.int32)
        inputs = jnp.where(step < at_e, distractors, 0)
        inputs = inputs.at[0].set(p + 1).at[1].set(p + 2 + class_)
        inputs = jnp.where(step == at_e, p, inputs)
        return Sequence(inputs, *at_last_step(class_, at_e + 1, max_steps))

    return Task(draw, p + 4, 2, max_steps, solved=Solved(threshold=0.2), guessing=1 / 2)


_BASE = replace(
    BASE,
    cell="one_cell",
    hidden_size=1,
    initial_scale=0.2,
    learning_rate=1.0,
    window=10_000,
    trials=18,
    final_test=0,
)
_RTRL = replace(_BASE, task="noise_free", cell="self_recurrent")
_VERY_LONG = replace(
    _BASE,
    task="very_long_lag",
    learning_rate=0.01,
    threshold=0.2,
    trials=20,
    cell="memory_blocks",
    **blocks(2, 1, hidden_bias="none", output_bias=False),
)
_long_lag = partial(as_written, counts_window=False)
_NONE = Published(None, 0.0)  # was solved

_2A = _long_lag("2a", _BASE, {101: Published(5_040, 1.0)}, task="noise_free", join_at=2000)
_2B = _long_lag("2b", _BASE, {101: Published(5_680, 1.0)}, task="no_regularities", join_at=2000)
_2C_MEANS = {50: 30_000, 100: 31_000, 200: 33_000, 500: 38_000, 1000: 49_000}
_2C = _long_lag("2c", _VERY_LONG, {q: Published(mean) for q, mean in _2C_MEANS.items()})
_FEWER_DISTRACTORS = tuple(
    _long_lag(f"2c-p{p}", _VERY_LONG, {1000: Published(mean)}, task_options={"num_distractors": p})
    for p, mean in ((500, 49_000), (200, 75_000), (100, 135_000), (50, 203_000))
)
_BIPOLAR: dict[str, Any] = {"objective": "cross_entropy", "cell_options": {"bipolar": True}}

TASKS = (noise_free, no_regularities, very_long_lag)

SUITES = (
    _2A,
    departure(
        "2a-ce",
        _2A,
        "g in [-1, 1], softmax and cross-entropy, learning rate 0.1, the cell joins after 500",
        learning_rate=0.1,
        join_at=500,
        **_BIPOLAR,
    ),
    standard_lstm(
        "2a-best",
        _2A,
        ", jaxrnn's better one",
        join_at=0,
        **BY_CROSS_ENTROPY | {"hidden_size": 128, "learning_rate": 0.3},
    ),
    _long_lag("2a-rtrl", _RTRL, {5: Published(1_043_000, 0.78), 11: _NONE, 101: _NONE}),
    _long_lag("2a-rtrl-4", _RTRL, {5: Published(892_000, 0.56)}, learning_rate=4.0),
    _long_lag("2a-rtrl-10", _RTRL, {5: Published(254_000, 0.22)}, learning_rate=10.0),
    _long_lag("2a-bptt", _RTRL, {101: _NONE}),
    _2B,
    departure(
        "2b-ce",
        _2B,
        "as 2a-ce, learning rate 0.3, trained on the last step only, the cell there from the start",
        learning_rate=0.3,
        join_at=0,
        task_options={"only_last": True},
        **_BIPOLAR,
    ),
    standard_lstm(
        "2b-best",
        _2B,
        ", trained on the last step only",
        join_at=0,
        task_options={"only_last": True},
        **BY_CROSS_ENTROPY,
    ),
    _2C,
    *_FEWER_DISTRACTORS,
    *(
        departure(
            suite.base.name.replace("2c", "2c-feedforward"),
            suite,
            "gates and cells see the inputs only",
            **blocks(2, 1, hidden_bias="none", output_bias=False, recurrent=False),
        )
        for suite in (_2C, *_FEWER_DISTRACTORS)
    ),
    standard_lstm(
        "2c-best",
        _2C,
        ", Adam",
        hidden_size=2,
        initial_scale=0.05,
        objective="cross_entropy",
        optimizer="clipped_adam",
        learning_rate=0.0003,
        clipping="norm",
        clip=1.0,
        seed=2,  # 1 was seen in the search
    ),
)
