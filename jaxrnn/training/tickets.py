"""The tickets that wait for a loop, who is told of them, and what a checkpoint keeps."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Ticket
from jaxrnn.outcome import Outcome

Arrays = Mapping[str, np.ndarray]
Ended = Sequence[tuple[Ticket, Outcome]]


class Tally(NamedTuple):
    """The progress of a loop, for a display."""

    step: int  # training sequences that the furthest running trial has seen
    solved: int
    unsolved: int
    diverged: int
    running: int  # in a lane or waiting for one
    trial_steps: int  # training sequences of all trials so far
    steps_taken: int  # updates of each lane
    steps_left: int  # updates of the lane that is busy longest, if every trial runs to its cap


class Checkpoint(Protocol):
    """Where a loop keeps what it needs to go on: of each trial under way its progress and its
    state, replaced as a whole.

    What it loads is what was saved: this is its own to see to, as a file's digest does. A sentence
    about it names its ``path``, if it has one.
    """

    def load(self) -> Mapping[Ticket, Arrays]:
        """The trials of the last save, none before the first."""

    def save(self, under_way: Mapping[Ticket, Arrays]) -> None:
        """Replace them, so that a kill leaves either the old ones or the new."""


@dataclass(eq=False)
class Tickets:
    """The tickets of one program, and who is told what becomes of them.

    Their experiments have the same :meth:`jaxrnn.Experiment.batch`. More may be added at any time,
    also by ``on_end``; a lane that is idle takes the first that waits.
    """

    waiting: deque[Ticket]
    on_chunk: Callable[[Tally], None] = lambda tally: None
    # Of trials that ended in the same chunk; an outcome has its parameters if these are kept.
    on_end: Callable[[Ended], None] = lambda ended: None
    checkpoint: Checkpoint | None = None


UPDATE, STATE = "update", "state_"
"""What a checkpoint calls a trial's next update, and what the names of its state's arrays begin
with; the others are those of its progress."""


def fitted(arrays: Arrays, usual: Arrays, where: Any) -> Arrays:
    """The arrays of one trial of a checkpoint, after a check that they have names, types and shapes
    as the ``usual`` ones, which have an axis of trials. Raises InputError with ``where``."""
    typed = {
        name: as_typed(array, usual[name].dtype) if name in usual else array
        for name, array in arrays.items()
    }
    found = {name: (array.dtype, array.shape) for name, array in typed.items()}
    if found != {name: (array.dtype, array.shape[1:]) for name, array in usual.items()}:
        raise InputError(
            f"{where} has a state of other shapes or types, as under another precision or another "
            "optax: go on as it was begun, or delete it to begin its trials anew"
        )
    return typed


def as_typed(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An array with its original type: NumPy's files, which do not know bfloat16, may lose it."""
    is_raw = array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize
    return array.view(dtype) if is_raw else array
