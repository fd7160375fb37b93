"""Keep a state that every input changes: the parity of bits, the product of a group's elements."""

import statistics
from functools import lru_cache
from itertools import combinations, permutations, product
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.options import OneOf, checked
from jaxrnn.problems.task import (
    ONE_IN_A_HUNDRED,
    Length,
    Sequence,
    Shortest,
    Task,
    draw_integers,
    length_drawn,
)

_LEAST = 2  # steps; with one the answer is the input


@checked
def parity(length: int, *, every_step: bool = False, shortest: Shortest = None) -> Task:
    """Tell whether the number of ones among the bits so far is odd.

    The inputs x [T], T = ``length``, are bits, 0 or 1, independent and with probability 1/2 each.
    The state after step t is s_t = (x_1 + ... + x_t) mod 2. The target s_T at the last step is the
    only one that counts. With ``every_step`` the targets are s_1, ..., s_T: a net is trained at
    every step and judged by the last. Inputs and targets are symbols [T], targets 0 where they do
    not count.

    >>> sequence = parity(8).draw(jax.random.key(1))
    >>> sequence.inputs.tolist(), sequence.targets.tolist()
    ([0, 1, 0, 1, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1])
    >>> parity(8, every_step=True).draw(jax.random.key(1)).targets.tolist()
    [0, 1, 1, 0, 0, 0, 0, 1]

    A net that has forgotten the state before the last bit gets half of the sequences right.

    Raises InputError for a length below 2.

    The papers train at lengths from 3 to 40 and test at lengths from 40 to 256. This is ``length``
    40 with ``shortest`` 3 and an experiment's ``test_lengths``, such as 80 and 256.

    Source: Beck et al. 2024 (xLSTM), section 4.1; Grazzi et al. 2024, section 5.
    """
    draw_length = length_drawn("parity", shortest, length, _LEAST)

    def draw(key: jax.Array) -> Sequence:
        bits = draw_integers(key, [(0, 1)] * length)
        states = jnp.cumsum(bits, dtype=jnp.int32) % 2
        drawn = None if shortest is None else draw_length(key)
        return _ended(bits, states, drawn, every_step)

    return Task(draw, 2, 2, length, solved=ONE_IN_A_HUNDRED, guessing=1 / 2)


GROUPS = {
    "A4xZ5": (4, True, 5),
    "A5": (5, True, 1),
    "S3": (3, False, 1),
    "S5": (5, False, 1),
    "Z60": (1, False, 60),
}
"""The groups (n, only even, k): all or the even permutations of n, times the cyclic group of k."""


@checked
def group_words(
    length: int,
    *,
    group: Annotated[str, OneOf(tuple(GROUPS))] = "S3",
    generators: bool = False,
    shortest: Shortest = None,
) -> Task:
    """Multiply the elements of a finite group that were seen so far.

    The inputs g_1, ..., g_T, T = ``length``, are independent and uniform on the group G. The state
    is s_0 = e, s_t = s_{t-1} g_t, and the target at step t is s_t. A net is trained at every step
    and judged by the last. Inputs and targets are symbols [T], the numbers of elements.

    ``group`` is one of Z60, A4xZ5 and A5, which have 60 elements each, S3, which has 6, and S5,
    which has 120. Z_k are the numbers 0, ..., k-1, added mod k. S_n are the permutations of 0, ...,
    n-1, and A_n are the even ones. Their product is (s g)(i) = s(g(i)): g acts first. They are
    numbered from 0 in lexicographic order of (s(0), ..., s(n-1)), so that e is 0. Element (s, z) of
    A4xZ5 has number 5 s + z.

    >>> sequence = group_words(6).draw(jax.random.key(1))
    >>> sequence.inputs.tolist(), sequence.targets.tolist()
    ([4, 5, 2, 5, 4, 4], [4, 2, 0, 5, 1, 2])
    >>> elements = list(permutations(range(3)))
    >>> elements[4], elements[5], elements[2]
    ((2, 0, 1), (2, 1, 0), (1, 0, 2))
    >>> tuple(elements[4][i] for i in elements[5]) == elements[2]
    True

    With ``generators`` the inputs are only two elements, with probability 1/2 each: 0 for the
    transposition (1 2) and 1 for the cycle (1 2 ... n). Products of these are all of S_n. The
    outputs stand for all elements, as before.

    A net that has forgotten the state before the last input has to guess it. It is right with
    probability 1 / n for n elements, since all are equally likely. With ``generators`` it says the
    most likely state after T-1 steps; its probability is computed.

    Raises InputError for a length below 2, an unknown group, and ``generators`` of a group that is
    not S3 or S5.

    The groups with 60 elements differ in what it takes to multiply them: Z60 is abelian, A4xZ5 is
    solvable, A5 is not. The choice of generators is ours.

    Source: Merrill, Petty & Sabharwal 2024, section 5; for S3 Siems et al. 2025 (DeltaProduct).
    """
    draw_length = length_drawn("group_words", shortest, length, _LEAST)
    if generators and not group.startswith("S"):
        raise InputError(f"generators needs the group S3 or S5, not {group}")
    table = multiplication_table(group)
    letters = np.arange(len(table), dtype=np.int32)
    if generators:
        others = range(2, GROUPS[group][0])
        transposition, cycle = (1, 0, *others), (1, *others, 0)
        numbers = [_elements(group).index((s, 0)) for s in (transposition, cycle)]
        letters = np.array(numbers, np.int32)

    def advance(state: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = jnp.asarray(table)[state, g]
        return state, state

    def draw(key: jax.Array) -> Sequence:
        inputs = draw_integers(key, [(0, len(letters) - 1)] * length)
        _, states = jax.lax.scan(advance, jnp.int32(0), jnp.asarray(letters)[inputs])
        drawn = None if shortest is None else draw_length(key)
        return _ended(inputs, states, drawn, every_step=True)

    likeliest = _likeliest(table[:, letters], length - 1)
    return Task(
        draw,
        num_inputs=len(letters),
        num_outputs=len(table),
        num_steps=length,
        solved=ONE_IN_A_HUNDRED,
        guessing=statistics.mean(likeliest[(length if shortest is None else shortest) - 2 :]),
    )


def _elements(group: str) -> list[tuple[tuple[int, ...], int]]:
    """The elements of a group in the order of their numbers: a permutation, and a number that is
    added."""
    size, only_even, order = GROUPS[group]
    every = permutations(range(size))
    some = (s for s in every if not (only_even and sum(a > b for a, b in combinations(s, 2)) % 2))
    return list(product(some, range(order)))


@lru_cache
def multiplication_table(group: str) -> np.ndarray:
    """The numbers of the products s g of a group's elements, int32 [|G|, |G|]."""
    elements, order = _elements(group), GROUPS[group][2]
    number = {element: k for k, element in enumerate(elements)}
    products = [
        [number[tuple(s[i] for i in g), (y + z) % order] for g, z in elements] for s, y in elements
    ]
    return np.array(products, np.int32)


def _likeliest(after: np.ndarray, num_steps: int) -> list[float]:
    """The greatest probability of a state after 1, ..., ``num_steps`` steps, which go from state s
    to each of ``after[s]`` [|G|, letters] with equal probability."""
    greatest = []
    probabilities = np.eye(1, len(after))[0]
    for _ in range(num_steps):
        shares = np.repeat(probabilities / after.shape[1], after.shape[1])
        probabilities = np.bincount(after.ravel(), shares, len(after))
        greatest.append(float(probabilities.max()))
    return greatest


def _ended(
    inputs: jax.Array, states: jax.Array, length: Length | None, every_step: bool
) -> Sequence:
    """The sequence of this length, None for all of its steps; it is judged by its last step."""
    step = jnp.arange(len(inputs), dtype=jnp.int32)
    end = len(inputs) if length is None else length
    is_last = step == end - 1
    counts = step < end if every_step else is_last
    return Sequence(
        inputs=jnp.where(step < end, inputs, 0),
        targets=jnp.where(counts, states, 0),
        mask=None if every_step and length is None else counts,
        judged_mask=is_last if every_step else None,
    )


TASKS = (parity, group_words)
