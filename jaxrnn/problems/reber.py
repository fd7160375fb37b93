"""Strings of the embedded Reber grammar, whose next symbols are to be predicted."""

from collections.abc import Callable
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError, whole_number
from jaxrnn.options import Whole, checked
from jaxrnn.problems.task import Sequence, Solved, Task, require_length

SYMBOLS = "BTPSXVE"
"""Symbol k is the k-th letter."""

SET_SIZE = 256
LEAST_LENGTH = 17
"""There are 206 strings of up to 16 symbols and 312 of up to 17."""

B, T, P, S, X, V, E = range(len(SYMBOLS))

GRAMMAR: tuple[dict[int, int], ...] = (
    {B: 1},
    {T: 2, P: 2},
    {B: 3},
    {T: 4, P: 5},
    {S: 4, X: 6},
    {T: 5, V: 7},
    {X: 5, S: 8},
    {P: 6, V: 8},
    {E: 9},
    {T: 10, P: 10},
    {E: 11},
    {},
)
"""For each state: the symbols that may follow, and the state that each leads to. The inner string
goes from state 2 to state 9."""

SECOND_AGAIN = 9
"""In this state only the string's own second symbol may follow."""


class ReberStrings(NamedTuple):
    """Strings of at most L symbols. After the end of a string symbols are 0 and nothing is
    legal."""

    symbols: np.ndarray  # int32 [strings, L]
    lengths: np.ndarray  # int32 [strings], symbols of each
    legal: np.ndarray  # bool [strings, L-1, 7], what may follow each symbol but the last


@checked
def embedded_reber(length: int, seed: Annotated[int, Whole(0, 2**32)] = 0) -> Task:
    """Predict the next symbol of strings of the embedded Reber grammar.

    Each sequence is one of 256 training strings, each with probability 1/256: those of
    ``reber_sets(length, seed)``, which describes the grammar. So ``length`` = L is the number of
    symbols of the longest string allowed. The symbols B, T, P, S, X, V, E are 0, ..., 6. Inputs
    and targets are [L-1]: for a string of n symbols, steps 1, ..., n-1 count. At these the input is
    the symbol and the target is the next one; afterwards both are 0. Several symbols may be legal
    at a step, so a net is judged by whether it ranks all of them above all others, and tested on
    all 512 strings of both sets.

    >>> sequence = embedded_reber(40).draw(jax.random.key(0))
    >>> "".join(SYMBOLS[symbol] for symbol in sequence.inputs[sequence.mask].tolist())
    'BTBTXSET'
    >>> "".join(SYMBOLS[symbol] for symbol in sequence.targets[sequence.mask].tolist())
    'TBTXSETE'

    Raises InputError for a length below 17: there are too few shorter strings.

    Source: Hochreiter & Schmidhuber 1997, experiment 1; Fahlman 1991; the grammar of Reber 1967.
    """
    training, test = reber_sets(length, seed)

    def sequences(strings: ReberStrings) -> Sequence:
        mask = np.arange(length - 1) < strings.lengths[:, None] - 1
        inputs = np.where(mask, strings.symbols[:, :-1], np.int32(0))
        targets = np.where(mask, strings.symbols[:, 1:], np.int32(0))
        return Sequence(
            jnp.asarray(inputs),
            jnp.asarray(targets),
            jnp.asarray(mask),
            judged_targets=jnp.asarray(strings.legal),
        )

    def draw(key: jax.Array) -> Sequence:
        index = jax.random.randint(key, (), 0, SET_SIZE, jnp.int32)
        return jax.tree.map(lambda a: a[index], sequences(training))

    def test_set() -> Sequence:
        both = sequences(training), sequences(test)
        return jax.tree.map(lambda *parts: jnp.concatenate(parts), *both)

    sizes = len(SYMBOLS), len(SYMBOLS), length - 1
    return Task(
        draw,
        *sizes,
        test_set=test_set,
        measure="ranking_error",
        solved=Solved(threshold=0.5, test_size=2 * SET_SIZE),
        guessing=1 / 2,
    )


def reber_sets(length: int, seed: int = 0) -> tuple[ReberStrings, ReberStrings]:
    """The training set and the test set that belong to a seed, 256 strings each.

    A string is B, c, an inner string, c, E, with c = T or P, and an inner string is B and the
    symbols of a walk through ``GRAMMAR`` to its E, each branch taken with probability 1/2. The
    shortest strings have 9 symbols, the mean is 12.0. A string of more than ``length`` symbols is
    drawn anew: one in 14 at 17, one in 790 at 30, one in 18,000 at 40, one in 400,000 at 50. A
    string of the test set that is also in the training set is drawn anew, too. Otherwise strings
    may occur more than once, as the grammar produces them.

    >>> training, test = reber_sets(40)
    >>> "".join(SYMBOLS[symbol] for symbol in test.symbols[0, : test.lengths[0]])
    'BPBTSSSXXTTVPSEPE'

    Raises InputError for a length below 17 or a negative seed.

    The paper does not say whether the strings of a set differ, or whether long ones were left out.

    Source: Hochreiter & Schmidhuber 1997, experiment 1.
    """
    require_length("embedded_reber", length, LEAST_LENGTH)
    seed = whole_number("seed", seed, 0)
    # Its raw stream, unlike what NumPy's Generator makes of it, is the same in every version.
    bits = np.random.PCG64(seed)

    def draw_until(is_allowed: Callable[[list[int]], bool]) -> list[int]:
        while True:
            string = _draw_string(lambda: int(bits.random_raw()) >> 63)
            if len(string) <= length and is_allowed(string):
                return string

    training = [draw_until(lambda string: True) for _ in range(SET_SIZE)]
    test = [draw_until(lambda string: string not in training) for _ in range(SET_SIZE)]
    return _arrays(training, length), _arrays(test, length)


def legal_successors(string: list[int] | np.ndarray) -> np.ndarray:
    """The symbols that may follow each symbol of a string but the last: bool [n-1, 7].

    The string [n] has to be one of the embedded grammar, or the beginning of one. After the inner
    string the one legal symbol is the string's second.

    >>> legal = legal_successors([SYMBOLS.index(letter) for letter in "BTBPVVETE"])
    >>> ["".join(np.array(list(SYMBOLS))[row]) for row in legal]
    ['TP', 'B', 'TP', 'TV', 'PV', 'E', 'T', 'E']

    Raises InputError for a symbol that may not stand where it stands.
    """
    legal = np.zeros((len(string), len(SYMBOLS)), bool)
    state = 0
    for step, symbol in enumerate(string):
        following = _following(state, string)
        if int(symbol) not in following:
            spelled = "".join(SYMBOLS[s] if 0 <= s < len(SYMBOLS) else "?" for s in string)
            raise InputError(f"symbol {step + 1} of {spelled} is against the grammar")
        state = following[int(symbol)]
        legal[step, list(_following(state, string))] = True
    return legal[:-1]


def _following(state: int, string: list[int] | np.ndarray) -> dict[int, int]:
    """The symbols that may follow in a string, and the state that each leads to."""
    return {int(string[1]): SECOND_AGAIN + 1} if state == SECOND_AGAIN else GRAMMAR[state]


def _draw_string(coin: Callable[[], int]) -> list[int]:
    string: list[int] = []
    state = 0
    while following := _following(state, string):
        symbol = list(following)[coin() if len(following) > 1 else 0]
        string.append(symbol)
        state = following[symbol]
    return string


def _arrays(strings: list[list[int]], length: int) -> ReberStrings:
    symbols = np.zeros((len(strings), length), np.int32)
    legal = np.zeros((len(strings), length - 1, len(SYMBOLS)), bool)
    for k, string in enumerate(strings):
        symbols[k, : len(string)] = string
        legal[k, : len(string) - 1] = legal_successors(string)
    return ReberStrings(symbols, np.array([len(string) for string in strings], np.int32), legal)


TASKS = (embedded_reber,)
