"""The first elements decide the last target, whatever stands between: symbols, or noise."""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.options import Count, Whole, checked
from jaxrnn.problems.task import (
    REAL_TARGETS,
    Length,
    Sequence,
    Shortest,
    Solved,
    Task,
    at_last_step,
    draw_integers,
    length_drawn,
    longest,
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


INPUT_VARIANCE = 0.2
TARGET_VARIANCE = 0.1


@checked
def two_sequence(length: int, num_informative: Count = 3, *, shortest: Shortest = None) -> Task:
    """Tell at the end of a noisy sequence whether its first elements were +1 or -1.

    With N = ``num_informative``: class 1 and class 2 have probability 1/2 each; elements 1, ..., N
    are +1 in class 1 and -1 in class 2, all others independent Gaussians of mean 0 and variance
    0.2 (standard deviation 0.447). The number of elements is uniform on
    ``length``, ..., floor(1.1 ``length``) = T. Inputs are [T, 1], 0 after the end; targets [T, 1]
    hold 1 for class 1 and 0 for class 2 at the last element, the only step that counts.

    >>> sequence = two_sequence(4).draw(jax.random.key(0))
    >>> " ".join(f"{element:.2f}" for element in sequence.inputs[:, 0].tolist())
    '-1.00 -1.00 -1.00 -0.16'
    >>> sequence.targets[:, 0].tolist()
    [0.0, 0.0, 0.0, 0.0]

    Raises InputError for less than one informative element, and for a length below N+1, where no
    noise follows them.

    Source: Hochreiter & Schmidhuber 1997, experiment 3a.
    """
    solved = Solved(threshold=0.2, mean_error=0.01, test_size=256)
    return _two_sequence("two_sequence", shortest, length, num_informative, solved)


@checked
def two_sequence_noise(
    length: int, num_informative: Count = 3, *, shortest: Shortest = None
) -> Task:
    """As two_sequence, with the noise on the informative elements, too.

    Elements 1, ..., N are +1 or -1 plus a Gaussian of mean 0 and variance 0.2; everything else,
    errors included, is as in :func:`two_sequence`, and a key gives the same class, length and
    noise there.

    >>> sequence = two_sequence_noise(4).draw(jax.random.key(0))
    >>> " ".join(f"{element:.2f}" for element in sequence.inputs[:, 0].tolist())
    '-2.09 -1.91 -0.91 -0.16'

    Source: Hochreiter & Schmidhuber 1997, experiment 3b.
    """
    solved = Solved(threshold=0.2, max_failures=5, mean_error=0.04, test_size=256)
    about = "two_sequence_noise", shortest, length, num_informative, solved
    return _two_sequence(*about, noise_everywhere=True)


@checked
def two_sequence_target_noise(
    length: int, num_informative: Count = 3, *, shortest: Shortest = None
) -> Task:
    """As two_sequence, with targets 0.2 and 0.8 that are themselves noisy.

    The target is 0.2 for class 1 and 0.8 for class 2 plus, drawn for each sequence, a Gaussian of
    mean 0 and variance 0.1 (standard deviation 0.316), so it may lie outside of [0, 1]; everything
    else, errors included, is as in :func:`two_sequence`, and a key gives the same inputs there.
    The net has to learn the conditional mean, and is judged by it, :func:`target_without_noise`.

    >>> sequence = two_sequence_target_noise(4).draw(jax.random.key(0))
    >>> noisy, clean = sequence.targets[-1, 0], target_without_noise(sequence.inputs)[0]
    >>> f"{float(noisy):.2f}", f"{float(clean):.2f}"
    ('0.56', '0.80')

    Which class has which target makes no difference, since the inputs are symmetric about 0.

    Source: Hochreiter & Schmidhuber 1997, experiment 3c.
    """
    solved = Solved(threshold=0.1, mean_error=0.015, test_size=256)
    about = "two_sequence_target_noise", shortest, length, num_informative, solved
    return _two_sequence(*about, target_noise=True)


def target_without_noise(inputs: jax.Array) -> jax.Array:
    """The target [1] of two_sequence_target_noise for inputs [T, 1], before its noise."""
    return jnp.where(inputs[0] > 0, jnp.full_like(inputs[0], 0.2), jnp.full_like(inputs[0], 0.8))


def _two_sequence(
    name: str,
    shortest: int | None,
    length: int,
    num_informative: int,
    solved: Solved,
    *,
    noise_everywhere: bool = False,
    target_noise: bool = False,
) -> Task:
    draw_length = length_drawn(name, shortest, length, num_informative + 1)
    max_steps = longest(length)

    def draw(key: jax.Array) -> Sequence:
        length = draw_length(key)
        integer_key, noise_key = jax.random.split(key)
        class_, num_steps = draw_integers(integer_key, [(1, 2), (length, longest(length))])
        is_class_1 = class_ == 1
        # The last is the target's.
        normal = jax.random.normal(noise_key, (max_steps + 1,))
        step = jnp.arange(max_steps, dtype=jnp.int32)
        noise = INPUT_VARIANCE**0.5 * normal[:-1]
        informative = step < num_informative
        signal = jnp.where(informative, jnp.where(is_class_1, 1.0, -1.0), 0.0)
        if not noise_everywhere:
            noise = jnp.where(informative, 0.0, noise)
        inputs = jnp.where(step < num_steps, signal.astype(noise.dtype) + noise, 0.0)
        target = is_class_1.astype(inputs.dtype)[None]
        judged = None
        if target_noise:
            clean = target_without_noise(inputs[:, None])
            judged, _ = at_last_step(clean, num_steps, max_steps)
            target = clean + TARGET_VARIANCE**0.5 * normal[-1:]
        targets, mask = at_last_step(target, num_steps, max_steps)
        return Sequence(inputs[:, None], targets, mask, judged_targets=judged)

    return Task(draw, 1, 1, max_steps, objective=REAL_TARGETS, solved=solved, guessing=1 / 2)


TASKS = (
    *(noise_free, no_regularities, very_long_lag),
    *(two_sequence, two_sequence_noise, two_sequence_target_noise),
)
