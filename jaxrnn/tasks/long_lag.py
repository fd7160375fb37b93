"""The first symbol decides the last: with a fixed, a random and a very long random middle."""

import jax
import jax.numpy as jnp

from jaxrnn.errors import whole_number
from jaxrnn.tasks.base import Sequence, Task, at_last_step, draw_integers, require_length


def noise_free(length: int) -> Task:
    """Predict the next symbol of one of two sequences that differ in their first and last symbol.

    With T = ``length`` and an alphabet of T symbols the sequences are (T-2, 0, 1, ..., T-3, T-2)
    and (T-1, 0, 1, ..., T-3, T-1), each with probability 1/2: the first symbol has to be
    remembered for T-1 steps to predict the last. There are T-1 predictions, so the sequence has
    T-1 steps; the last symbol is a target only.

    >>> noise_free(4).draw(jax.random.key(1)).targets.tolist()
    [0, 1, 3]

    Raises InputError for a length below 3, where nothing stands between first and last.

    Source: the notebook's ``gen_sequence``; Hochreiter & Schmidhuber 1997, experiment 2a, whose
    p is T-1.
    """
    require_length("noise_free", length, 3)

    def draw(key: jax.Array) -> Sequence:
        ends = (length - 2 + jax.random.bernoulli(key).astype(jnp.int32))[None]
        middle = jnp.arange(length - 2, dtype=jnp.int32)
        return Sequence(jnp.concatenate([ends, middle]), jnp.concatenate([middle, ends]))

    return Task(draw, num_inputs=length, num_outputs=length, num_steps=length - 1)


def no_regularities(length: int, only_last: bool = False) -> Task:
    """As noise_free, but the symbols between the first and the last are drawn at random.

    With T = ``length`` and an alphabet of T symbols a sequence is (e, m(1), ..., m(T-2), e): e is
    T-2 or T-1 with probability 1/2 each, the m are independent and uniform on 0, ..., T-3. There
    are T-1 steps, inputs and targets [T-1]. Every next symbol is a target and every step counts
    for the loss, unless ``only_last``, but only the last symbol can be predicted, so the error is
    that of the last step.

    >>> sequence = no_regularities(6).draw(jax.random.key(2))
    >>> sequence.inputs.tolist(), sequence.targets.tolist()
    ([5, 0, 1, 3, 1], [0, 1, 3, 1, 5])

    Raises InputError for a length below 3, where nothing stands between first and last.

    Source: Hochreiter & Schmidhuber 1997, experiment 2b, whose p is T-1.
    """
    require_length("no_regularities", length, 3)

    def draw(key: jax.Array) -> Sequence:
        symbols = draw_integers(key, [(length - 2, length - 1)] + [(0, length - 3)] * (length - 2))
        ends, middle = symbols[:1], symbols[1:]
        is_last = jnp.arange(length - 1) == length - 2
        return Sequence(
            inputs=jnp.concatenate([ends, middle]),
            targets=jnp.concatenate([middle, ends]),
            mask=is_last if only_last else None,
            judged_mask=is_last,
        )

    return Task(draw, num_inputs=length, num_outputs=length, num_steps=length - 1)


END_PROBABILITY = 0.1
"""That e comes next, once the ``length`` distractors of very_long_lag are over."""

LONGEST_TAIL = 131
"""Distractors between those and e; the geometric distribution has 0.9^132 = 9.1e-7 beyond."""


def very_long_lag(length: int, num_distractors: int | None = None) -> Task:
    """Recall the second symbol after a long, random stretch of distractors that ends by chance.

    With q = ``length`` and p = ``num_distractors`` (q by default) the p+4 symbols are the
    distractors 0, ..., p-1, then e = p, b = p+1, x = p+2 and y = p+3. A sequence is
    (b, c, d(1), ..., d(q), d(q+1), ..., d(q+G), e): c is x or y with probability 1/2 each, the d
    are independent and uniform on the distractors, P(G = g) = 0.9^g 0.1. What follows e is c
    again: at e, the only step that counts, the target is class 0 for x and 1 for y. Counting that
    last symbol, a sequence has q+13 symbols on average.

    The number of steps is static, T = q + 134: a tail G above 131 is cut to 131, which befalls one
    sequence in 1.1 million (probability 0.9^132 = 9.1e-7, below 1e-6). Inputs and targets are [T],
    0 after e.

    >>> sequence = very_long_lag(3, num_distractors=2).draw(jax.random.key(11))
    >>> last = int(sequence.mask.argmax())
    >>> sequence.inputs[: last + 1].tolist(), int(sequence.targets[last])
    ([3, 4, 0, 1, 1, 0, 0, 1, 0, 2], 0)

    Raises InputError for a length below 1 and for less than one distractor.

    Source: Hochreiter & Schmidhuber 1997, experiment 2c.
    """
    require_length("very_long_lag", length, 1)
    p = length if num_distractors is None else num_distractors
    p = whole_number("num_distractors", p, 1)
    max_steps = 2 + length + LONGEST_TAIL + 1

    def draw(key: jax.Array) -> Sequence:
        symbol_key, tail_key = jax.random.split(key)
        symbols = draw_integers(symbol_key, [(0, 1)] + [(0, p - 1)] * max_steps)
        class_, distractors = symbols[0], symbols[1:]
        # The number of draws up to and with the first e, less that e.
        tail = jax.random.geometric(tail_key, END_PROBABILITY, (), jnp.int32) - 1
        at_e = 2 + length + jnp.minimum(tail, LONGEST_TAIL)
        step = jnp.arange(max_steps, dtype=jnp.int32)
        inputs = jnp.where(step < at_e, distractors, 0)
        inputs = inputs.at[0].set(p + 1).at[1].set(p + 2 + class_)
        inputs = jnp.where(step == at_e, p, inputs)
        return Sequence(inputs, *at_last_step(class_, at_e + 1, max_steps))

    return Task(draw, num_inputs=p + 4, num_outputs=2, num_steps=max_steps)
