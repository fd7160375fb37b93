"""The experiments that are trained in one run: their checkpoints, and the progress of each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.training.last_params import as_typed

Arrays = Mapping[str, np.ndarray]


class Checkpoint(Protocol):
    """Where a run keeps what it needs to go on: named arrays, replaced as a whole.

    What it loads is what was saved: this is its own to see to, as a file's digest does. A sentence
    about it names its ``path``, if it has one.
    """

    def load(self) -> Arrays | None:
        """The arrays of the last save, None before the first."""

    def save(self, arrays: Arrays) -> None:
        """Replace the arrays, so that a kill leaves either the old ones or the new."""


class Member(NamedTuple):
    """Trials of one experiment that are trained in a run."""

    experiment: Experiment  # settled
    trials: Sequence[int]
    checkpoint: Checkpoint | None = None


class Tally(NamedTuple):
    """The progress of an experiment in a run, for a display."""

    step: int  # training sequences that the furthest running trial has seen
    solved: int
    unsolved: int
    diverged: int
    running: int  # in a lane or waiting for one
    trial_steps: int  # training sequences of all trials so far
    lane_steps: int  # its share of those that all lanes have had time for, idle or not
    steps_taken: int  # updates of each lane of the run
    steps_left: int  # updates of the lane that is busy longest, if every trial runs to its cap


OnTally = Callable[[int, Tally], None]
"""Is told of the progress of a member, by its number."""

OnEnd = Callable[[int, list[Outcome]], None]
"""Is told how the trials of a member, by its number, have ended."""


def fitted(arrays: Arrays, usual: Arrays, where: Any) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, after a check that they have names, types and shapes as the
    ``usual`` ones, which its run would save at its start.

    There may be another number of lanes. There need be no parameters that trials ended with.
    Raises InputError with ``where`` and the first array that differs.
    """
    num_lanes = np.size(arrays.get("lane_trial", ()))
    has_finals = any(name.startswith("final_") for name in arrays)
    typed = {}
    for name in dict.fromkeys((*usual, *arrays)):
        expected, found = usual.get(name), arrays.get(name)
        if found is None and name.startswith("final_") and not has_finals:
            continue
        wanted, has = "none of its run's", "missing"
        if expected is not None:
            shape = expected.shape
            if shape and name.startswith(("lane_", "state_")):
                shape = (num_lanes, *shape[1:])
            wanted = f"{expected.dtype} {list(shape)}"
        if found is not None:
            typed[name] = found if expected is None else as_typed(np.asarray(found), expected.dtype)
            has = f"{typed[name].dtype} {list(typed[name].shape)}"
        if has != wanted:
            raise InputError(
                f"{where} has a state of other shapes or types, as under another precision or "
                f"another optax ({name} is {has}, not {wanted}): go on as it was begun, or delete "
                "it to begin this length anew"
            )
    return typed
