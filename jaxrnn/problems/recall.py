"""Repeat symbols a long time after they were seen, or recall what stood beside one."""

import math
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError, whole_number
from jaxrnn.options import Count, Positive, Whole, checked
from jaxrnn.problems.task import (
    ONE_IN_A_HUNDRED,
    Sequence,
    Shortest,
    Task,
    at_last_step,
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


@checked
def associative_recall(
    length: int,
    *,
    vocabulary: Annotated[int, Whole()] = 64,
    num_pairs: Count = 4,
    power: Positive = 0.01,
    shortest: Shortest = None,
) -> Task:
    """Recall the value of each key, when the key comes again.

    With T = ``length``, V = ``vocabulary`` and D = ``num_pairs`` the blank is 0, the keys are 1,
    ..., V/2 - 1, the values V/2, ..., V-1. D keys k_i and D values v_i are drawn, all different,
    each choice with the same probability. The inputs [T] begin with k_1, v_1, ..., k_D, v_D. Then
    each key comes once more, k_i at step 2 D + 2 g_i, counted from 0. The gaps g_1, ..., g_D are
    drawn one after the other from 0, ..., floor((T - 2 D) / 2) - 1, all different. The probability
    of a gap g that is left is proportional to (g + 1)^(``power`` - 1). The other inputs are blanks.
    The target is v_i where k_i comes again. Only these D steps count. The error of a sequence is
    the greatest of them, so one wrong value makes a failure. Targets are [T], 0 at the other steps.

    >>> sequence = associative_recall(12, vocabulary=12, num_pairs=2).draw(jax.random.key(1))
    >>> sequence.inputs.tolist()
    [5, 7, 2, 8, 0, 0, 5, 0, 2, 0, 0, 0]
    >>> sequence.targets.tolist()
    [0, 0, 0, 0, 0, 0, 7, 0, 8, 0, 0, 0]

    A net that has forgotten the pairs can do no better than to have a fixed value for each key, no
    two the same. It gets all values of a sequence right with probability 1 / ((V/2) (V/2 - 1) ...
    (V/2 - D + 1)). This is what guessing means here. A net that remembers which values there were,
    but not their keys, reaches 1 / D!.

    The last step of an odd length is always a blank.

    Raises InputError for a length below 4 D, no pairs, a vocabulary that is odd or has less than D
    keys, and a ``power`` that is not a positive number.

    The source's code has 8192 symbols. Its option ``random_non_queries`` fills the blanks with
    random symbols, which may be keys. It is left out here.

    Source: Arora et al. 2023 (Zoology), section 3, and their generator ``multiquery_ar.py``; the
    task is known as multi-query associative recall, MQAR.
    """
    whole_number("vocabulary", vocabulary, 2 * num_pairs + 2)
    if vocabulary % 2:
        raise InputError(f"vocabulary {vocabulary} must be even: one half are values")
    half = vocabulary // 2
    draw_length = length_drawn("associative_recall", shortest, length, 4 * num_pairs)
    asked = 2 * num_pairs  # the first step at which a key may come again
    gap = np.arange((length - asked) // 2, dtype=np.int32)
    # Numbers whose logarithms of probabilities have Gumbel noise added are drawn one after the
    # other, none twice, in the order of these sums.
    logarithms = np.concatenate([np.zeros(2 * half - 1), (power - 1) * np.log(gap + 1)])

    def draw(key: jax.Array) -> Sequence:
        noise = jax.random.gumbel(key, logarithms.shape)
        noisy = jnp.split(noise + jnp.asarray(logarithms, noise.dtype), [half - 1, 2 * half - 1])
        noisy[2] = jnp.where(gap < (draw_length(key) - asked) // 2, noisy[2], -jnp.inf)
        keys, values, gaps = (jax.lax.top_k(one, num_pairs)[1] for one in noisy)
        keys, values = keys + 1, values + half
        steps = asked + 2 * gaps
        blanks = jnp.zeros(length, jnp.int32)
        pairs = jnp.stack([keys, values], axis=1).ravel()
        return Sequence(
            inputs=blanks.at[:asked].set(pairs).at[steps].set(keys),
            targets=blanks.at[steps].set(values),
            mask=jnp.zeros(length, bool).at[steps].set(True),
        )

    guessing = 1 / math.perm(half, num_pairs)
    return Task(draw, vocabulary, vocabulary, length, solved=ONE_IN_A_HUNDRED, guessing=guessing)


@checked
def induction(length: int, *, vocabulary: Symbols = 16, shortest: Shortest = None) -> Task:
    """Recall the symbol that came after the special symbol, when the special symbol comes again.

    With T = ``length`` and V = ``vocabulary`` the symbols are 0, ..., V-1, and the special symbol
    is V. The inputs [T] are independent symbols, each uniform on 0, ..., V-1, with two exceptions.
    The special symbol stands at step p, which is uniform on 0, ..., T-3, and at the last step,
    T-1. The target is the symbol at step p+1. It stands at the last step, the only one that counts.
    Targets are [T], 0 at the other steps.

    >>> sequence = induction(8, vocabulary=4).draw(jax.random.key(1))
    >>> "".join("abcd!"[symbol] for symbol in sequence.inputs.tolist())
    'daba!cb!'
    >>> "abcd"[int(sequence.targets[sequence.mask][0])]
    'c'

    A net that has forgotten the symbol guesses it: right with probability 1/V.

    Raises InputError for a length below 3 and less than two symbols.

    Gu & Dao have a vocabulary of 16 and leave open whether it holds the special symbol. Here it
    does not. They train at length 256 and test at lengths from 64 to 2^20.

    Source: Fu et al. 2023 (H3), section 3.1; Gu & Dao 2023, section 4.1.2 and appendix E.1.
    """
    draw_length = length_drawn("induction", shortest, length, 3)

    def draw(key: jax.Array) -> Sequence:
        end = draw_length(key)
        integers = draw_integers(key, [(0, end - 3)] + [(0, vocabulary - 1)] * length)
        place, symbols = integers[0], integers[1:]
        step = jnp.arange(length, dtype=jnp.int32)
        inputs = jnp.where((step == place) | (step == end - 1), vocabulary, symbols)
        inputs = jnp.where(step < end, inputs, 0)
        return Sequence(inputs, *at_last_step(symbols[place + 1], end, length))

    return Task(
        draw, vocabulary + 1, vocabulary, length, solved=ONE_IN_A_HUNDRED, guessing=1 / vocabulary
    )


TASKS = (copying, selective_copying, associative_recall, induction)
