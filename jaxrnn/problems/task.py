"""What a task is, and what the families of tasks share."""

from collections.abc import Callable, Sequence as Sequence_
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrnn.errors import InputError, whole_number
from jaxrnn.options import Whole


class Sequence(NamedTuple):
    """One sequence and what is to be predicted at each of its steps."""

    inputs: jax.Array  # [T] symbols (int32), or [T, I] real vectors
    targets: jax.Array  # [T] symbols (int32), or [T, O] real vectors
    mask: jax.Array | None = None  # [T] bool, the steps that count; None: all of them
    # For an error that is measured against other steps or targets than the loss: other steps [T]
    # bool, and other targets or whatever the task's measure takes, such as the right symbols as
    # bool [T, O].
    judged_mask: jax.Array | None = None
    judged_targets: jax.Array | None = None


class Solved(NamedTuple):
    """The task's rule for solved: values for an experiment's settings of these names, if it leaves
    them out."""

    threshold: float = 0.25
    window: int = 1000
    max_failures: int = 0
    mean_error: float | None = None
    test_size: int = 0


ONE_IN_A_HUNDRED = Solved(threshold=0.5, window=1000, max_failures=10)
"""The rule of tasks for which no criterion is agreed on: copying, recall and state tracking. At
most 1 % of the sequences may have a wrong answer, one whose probability is 1/2 or less."""

Measure = Callable[[jax.Array, jax.Array], jax.Array]
"""``measure(outputs [T, O], targets) -> errors [T]``, the targets being those that are judged."""


class Task(NamedTuple):
    """A source of sequences of one static size; shorter ones are masked.

    With the option ``shortest`` of its builder the length of each sequence is drawn from there to
    ``length``. Inputs behind its end are 0, those of copying blanks, and count nowhere.
    """

    draw: Callable[[jax.Array], Sequence]  # one sequence from a key
    num_inputs: int  # I
    num_outputs: int  # O
    num_steps: int  # T
    # The task's own test set, sequences [M, ...]; None: nets are tested on fresh sequences.
    test_set: Callable[[], Sequence] | None = None
    # The errors that judge a net, if they are not those of the objective: a function, or its name
    # in jaxrnn.training.objectives.MEASURES.
    measure: Measure | str | None = None
    # What a net is trained with unless an experiment says otherwise: a name of
    # jaxrnn.training.objectives.OBJECTIVES. Its default is for targets that are symbols.
    objective: str = "cross_entropy"
    solved: Solved = Solved()  # its default is the notebook's rule
    # An experiment's final_test, if it leaves that out.
    final_test: int = 0
    # The share of sequences that a net gets right, by that threshold, if it knows everything about
    # the task but has forgotten what it had to remember; None: not known.
    guessing: float | None = None


REAL_TARGETS = "half_squared_error_linear"
"""The objective of tasks whose targets are real vectors."""


def are_symbols(array: jax.Array | np.ndarray) -> bool:
    """Whether an array holds symbols, which are integers, not the numbers of real vectors."""
    return bool(jnp.issubdtype(array.dtype, jnp.integer))


def require_length(task: str, length: int, least: int) -> None:
    """Raise InputError for a length below the least that the task's rules allow."""
    if whole_number("length", length) < least:
        raise InputError(f"length {length} is too short for task {task}: it needs at least {least}")


Shortest = Annotated[int, Whole()] | None
"""A task's option ``shortest``; the least is the task's least length."""

SHORTEST = "shortest"
"""The option of tasks by which each sequence has a length of its own."""

_LENGTH = np.uint32(2**31)
"""What is folded into a sequence's key to draw its length; a task's own draws use none like it."""

Length = int | jax.Array
"""A length that all sequences have, or that of one sequence."""


def length_drawn(
    task: str, shortest: int | None, length: int, least: int
) -> Callable[[jax.Array], Length]:
    """``draw(key of a sequence) -> its length``: uniform on ``shortest``, ..., ``length``, both
    ends included, or without ``shortest`` always ``length``.

    Everything that a task says of its length holds for the length that was drawn. The arrays have
    the size of the longest sequence; what is behind the end is not counted. Raises InputError for a
    length below ``least``, and a ``shortest`` that is below it or above ``length``.
    """
    require_length(task, length, least)
    if shortest is None:
        return lambda key: length
    if not least <= shortest <= length:
        raise InputError(
            f"shortest {shortest} must lie between the least length of task {task}, {least}, and "
            f"length {length}"
        )

    def draw(key: jax.Array) -> jax.Array:
        folded = jax.random.fold_in(key, _LENGTH)
        return jax.random.randint(folded, (), shortest, length + 1, jnp.int32)

    return draw


def longest(length: Length) -> Any:
    """floor(1.1 length): the number of steps of the longest sequence of a task."""
    return 11 * length // 10


def draw_integers(key: jax.Array, ranges: Sequence_[tuple[Length, Length]]) -> jax.Array:
    """Independent integers [len(ranges)], each uniform on its (low, high), both ends included.

    In one call, since each call of jax.random costs XLA a good part of a second to compile.
    """
    low, high = map(_as_one, zip(*ranges, strict=True))
    return jax.random.randint(key, (len(ranges),), low, high + np.int32(1), jnp.int32)


def _as_one(numbers: Sequence_[Length]) -> Any:
    """Integers as one array: NumPy's, where all are known."""
    if all(isinstance(one, int) for one in numbers):
        return np.array(numbers, np.int32)
    return jnp.stack([jnp.asarray(one, jnp.int32) for one in numbers])


def at_last_step(
    value: jax.Array, num_steps: Length, max_steps: int
) -> tuple[jax.Array, jax.Array]:
    """Targets that hold ``value`` at the last of ``num_steps`` steps, zeros elsewhere; the mask.

    A scalar value gives targets [max_steps], a vector [O] gives [max_steps, O].
    """
    mask = jnp.arange(max_steps, dtype=jnp.int32) == num_steps - 1
    column = mask.reshape((max_steps,) + (1,) * value.ndim)
    return jnp.where(column, value[None], jnp.zeros_like(value)[None]), mask
