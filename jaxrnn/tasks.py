"""The tasks: how one training sequence is drawn. Add one here and a line to ``TASKS``."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrnn.errors import InputError


class Sequence(NamedTuple):
    """One sequence and what is to be predicted at each of its steps."""

    inputs: jax.Array  # [T] symbols (int32), or [T, I] real vectors
    targets: jax.Array  # [T] symbols (int32), or [T, O] real vectors
    mask: jax.Array | None = None  # [T] bool, the steps that count; None: all of them


class Task(NamedTuple):
    """A source of sequences of one static size; shorter ones are masked."""

    draw: Callable[[jax.Array], Sequence]  # one sequence from a key
    num_inputs: int  # I
    num_outputs: int  # O
    num_steps: int  # T


def noise_free(length: int) -> Task:
    """Predict the next symbol of one of two sequences that differ in their first and last symbol.

    With T = ``length`` and an alphabet of T symbols the sequences are (T-2, 0, 1, ..., T-3, T-2)
    and (T-1, 0, 1, ..., T-3, T-1), each with probability 1/2: the first symbol has to be
    remembered for T-1 steps to predict the last. There are T-1 predictions, so the sequence has
    T-1 steps; the last symbol is a target only.

    >>> noise_free(4).draw(jax.random.key(1)).targets.tolist()
    [0, 1, 2]

    Raises InputError for a length below 3, where nothing stands between first and last.

    Source: the notebook's ``gen_sequence``; Hochreiter & Schmidhuber 1997, experiment 2a, whose
    p is T-1.
    """
    if length < 3:
        raise InputError(f"length {length} is too short for task noise_free: it needs at least 3")

    def draw(key: jax.Array) -> Sequence:
        ends = (length - 2 + jax.random.bernoulli(key).astype(jnp.int32))[None]
        middle = jnp.arange(length - 2, dtype=jnp.int32)
        return Sequence(jnp.concatenate([ends, middle]), jnp.concatenate([middle, ends]))

    return Task(draw, num_inputs=length, num_outputs=length, num_steps=length - 1)


TASKS: dict[str, Callable[[int], Task]] = {"noise_free": noise_free}
