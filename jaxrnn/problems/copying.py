"""Repeat symbols in their order, a long time after they were seen."""

from typing import Annotated

import jax
import jax.numpy as jnp

from jaxrnn.options import Count, Whole, checked
from jaxrnn.problems.task import (
    ONE_IN_A_HUNDRED,
    Sequence,
    Shortest,
    Task,
    draw_integers,
    length_drawn,
)

Symbols = Annotated[int, Whole(2)]


@checked
def copying(
    length: int, *, num_symbols: Symbols = 8, num_copied: Count = 10, shortest: Shortest = None
) -> Task:
    """Repeat a few symbols in their order, a long time after they were seen.

    With T = ``length``, the paper's lag, K = ``num_symbols`` and M = ``num_copied`` a sequence has
    T + 2 M steps. The symbols are 0, ..., K-1, the blank K and the delimiter K+1. The inputs are M
    symbols, independent and uniform, T-1 blanks, the delimiter and M blanks; the targets are T + M
    blanks and then the M symbols again, each T + M steps after it was seen. Inputs and targets are
    [T + 2 M], the outputs stand for the K symbols and the blank. Every step is trained. The error
    is the greatest of the last M steps, so one wrong symbol makes a failure. The defaults, ten of
    eight symbols, are those of the copying problem as nearly all papers have it.

    >>> sequence = copying(5, num_symbols=4, num_copied=3).draw(jax.random.key(0))
    >>> "".join("abcd.!"[symbol] for symbol in sequence.inputs.tolist())
    'baa....!...'
    >>> "".join("abcd.!"[symbol] for symbol in sequence.targets.tolist())
    '........baa'

    A net that only counts the steps predicts the blanks and guesses the symbols. It has a mean
    cross-entropy of M ln(K) / (T + 2 M), 0.173 for the paper's K = 8, M = 10, T = 100. It gets 1 /
    K of the symbols right, and all symbols of a sequence with probability K^-M.

    Raises InputError for a length below 1, less than two symbols, and less than one to copy.

    Source: Arjovsky, Shah & Bengio 2016, section 5.1, after Hochreiter & Schmidhuber 1997; that no
    output stands for the delimiter is their code's.
    """
    draw_length = length_drawn("copying", shortest, length, 1)
    blank, delimiter = num_symbols, num_symbols + 1
    num_steps = length + 2 * num_copied

    def draw(key: jax.Array) -> Sequence:
        symbols = draw_integers(key, [(0, num_symbols - 1)] * num_copied)
        step = jnp.arange(num_steps, dtype=jnp.int32)
        blanks = jnp.full(num_steps - num_copied, blank, jnp.int32)
        inputs = jnp.concatenate([symbols, blanks])
        begin = num_copied + draw_length(key)  # of the steps at which the symbols are asked for
        end = begin + num_copied
        targets = jnp.full(num_steps, blank, jnp.int32)
        return Sequence(
            inputs=jnp.where(step == begin - 1, delimiter, inputs),
            targets=jax.lax.dynamic_update_slice(targets, symbols, (begin,)),
            mask=None if shortest is None else step < end,
            judged_mask=(step >= begin) & (step < end),
        )

    sizes = num_symbols + 2, num_symbols + 1, num_steps
    return Task(draw, *sizes, solved=ONE_IN_A_HUNDRED, guessing=num_symbols**-num_copied)


@checked
def selective_copying(
    length: int, *, num_symbols: Symbols = 14, num_copied: Count = 16, shortest: Shortest = None
) -> Task:
    """Repeat the few symbols that stand among noise, in their order, once it is over.

    With L = ``length`` noise tokens, K = ``num_symbols`` and M = ``num_copied`` a sequence has
    L + 2 M steps. The noise is 0, the symbols are 1, ..., K, the marker K+1. Of the first L + M
    inputs M are symbols, independent and uniform, every set of M places is equally likely, and the
    others are noise. Then M markers follow. At these the targets are the M symbols, in the order in
    which they were seen. Only these last M steps count. Inputs and targets are [L + 2 M], targets 0
    at the other steps.

    >>> sequence = selective_copying(6, num_symbols=4, num_copied=3).draw(jax.random.key(0))
    >>> "".join(".abcd!"[symbol] for symbol in sequence.inputs.tolist())
    '..ba....a!!!'
    >>> "".join(".abcd!"[symbol] for symbol in sequence.targets[sequence.mask].tolist())
    'baa'

    A net that remembers no symbol has to guess it. It has a mean cross-entropy of ln(K), gets 1 / K
    of the symbols right, and all symbols of a sequence with probability K^-M.

    Raises InputError for a length below 1, less than two symbols, and less than one to copy.

    The paper has ``length`` 4096, a vocabulary of 16 tokens with the noise and 16 tokens to copy.
    It leaves three points open. Here they are as in the generator of the authors' earlier code,
    S4's ``copying.py``: the vocabulary holds the marker, too, which leaves 14 symbols; there is one
    marker for every symbol; and ``length`` counts the noise.

    Source: Gu & Dao 2023, section 4.1.1 and appendix E.1, after Jing et al. 2019.
    """
    draw_length = length_drawn("selective_copying", shortest, length, 1)
    marker = num_symbols + 1
    num_steps = length + 2 * num_copied

    def draw(key: jax.Array) -> Sequence:
        length = draw_length(key)
        begin, end = length + num_copied, length + 2 * num_copied  # of the markers
        # Floyd's method for a uniform set of M out of N: the k-th draw is uniform on 0, ..., N-M+k.
        # If that number was drawn before, N-M+k is taken instead, which no earlier draw can be.
        last = [length + k for k in range(num_copied)]
        ranges = [(1, num_symbols)] * num_copied + [(0, most) for most in last]
        integers = draw_integers(key, ranges)
        symbols, drawn = integers[:num_copied], integers[num_copied:]

        def take(places: jax.Array, k: jax.Array) -> tuple[jax.Array, None]:
            place = jnp.where(jnp.any(places == drawn[k]), length + k, drawn[k])
            return places.at[k].set(place), None

        k = jnp.arange(num_copied, dtype=jnp.int32)
        places, _ = jax.lax.scan(take, jnp.full(num_copied, -1, jnp.int32), k)
        step = jnp.arange(num_steps, dtype=jnp.int32)
        counts = (step >= begin) & (step < end)
        inputs = jnp.where(counts, marker, jnp.int32(0))
        targets = jnp.zeros(num_steps, jnp.int32)
        return Sequence(
            inputs=inputs.at[jnp.sort(places)].set(symbols),
            targets=jax.lax.dynamic_update_slice(targets, symbols, (begin,)),
            mask=counts,
        )

    sizes = num_symbols + 2, num_symbols + 2, num_steps
    return Task(draw, *sizes, solved=ONE_IN_A_HUNDRED, guessing=num_symbols**-num_copied)


TASKS = (copying, selective_copying)
