"""What a checkpoint holds: its arrays by name, their types, shapes and numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from jaxrnn.errors import InputError, corrupt
from jaxrnn.experiment import Experiment
from jaxrnn.training.lanes import IDLE
from jaxrnn.training.last_params import as_typed
from jaxrnn.training.stopping import DIVERGED, RUNNING, SOLVED, UNSOLVED, Progress

Arrays = Mapping[str, np.ndarray]

FINITE = "lane_finite"
"""The array that says for each lane whether its state is finite. The state of a running trial need
not be finite, if its last update was too large."""


class Checkpoint(Protocol):
    """Where a run keeps what it needs to go on: named arrays, replaced as a whole.

    A sentence about it names its ``path``, if it has one.
    """

    def load(self) -> Arrays | None:
        """The arrays of the last save, None before the first."""

    def save(self, arrays: Arrays) -> None:
        """Replace the arrays, so that a kill leaves either the old ones or the new."""


class _OtherStateError(InputError):
    """A state of other types or shapes; the file is not damaged."""


def checked(arrays: Arrays, usual: Arrays, experiment: Experiment, where: Any) -> Arrays:
    """The arrays of a checkpoint, after a check that its run could have saved them.

    The ``usual`` ones are what it would save at its start: they give names, types and shapes.
    Raises InputError with ``where``, the name of the first wrong array, and its fault.
    """
    try:
        typed = _typed(arrays, usual, experiment)
        _check_ranges(typed, len(usual["status"]), experiment.max_steps)
        _check_trials(typed, experiment.max_steps, experiment.batch_size)
        _check_state(typed)
    except _OtherStateError as fault:
        raise InputError(
            f"{where} has a state of other shapes or types, as under another precision or another "
            f"optax ({fault}): go on as it was begun, or delete it to begin this length anew"
        ) from None
    except InputError as fault:
        advice = "delete it to begin this length anew"
        raise corrupt(where, advice, fault.sentence) from None
    return typed


def finite_lanes(state: Sequence[np.ndarray]) -> np.ndarray:
    """For each lane [N], whether all leaves of a state [N, ...] are finite."""
    return np.all([np.isfinite(leaf).reshape(len(leaf), -1).all(1) for leaf in state], axis=0)


def _typed(arrays: Arrays, usual: Arrays, experiment: Experiment) -> dict[str, np.ndarray]:
    """Check names, types and shapes; there may be another number of lanes."""
    num_lanes = max(1, np.size(arrays.get("lane_trial", 0)))
    finals = {name for name in usual if name.startswith("final_")}
    # Without the parameters that trials ended with where these were not kept; an older version
    # did not say which lanes are finite, and 0.1.0 kept a row for each trial, run or not.
    optional = {FINITE} | (set() if finals & arrays.keys() else finals)
    is_of_all = np.shape(arrays.get("final_0", 0))[:1] == (experiment.trials,)
    typed = {}
    for name in dict.fromkeys((*usual, *arrays)):
        fault = None
        if name not in usual:
            fault = "is none of its run's"
        elif name in arrays:
            dtype, shape = usual[name].dtype, usual[name].shape
            if shape and name.startswith(("lane_", "state_")):
                shape = (num_lanes, *shape[1:])
            if name in finals and is_of_all:
                shape = (experiment.trials, *shape[1:])
            array = typed[name] = as_typed(np.asarray(arrays[name]), dtype)
            if (array.dtype, array.shape) != (dtype, shape):
                fault = f"is {array.dtype} {list(array.shape)}, not {dtype} {list(shape)}"
        elif name not in optional:
            fault = "is missing"
        if fault:
            kind = _OtherStateError if name.startswith("state_") else InputError
            raise kind(f"{name} {fault}")
    return typed


def _check_ranges(typed: Arrays, num_trials: int, max_steps: int) -> None:
    """Check every number that counts or measures."""
    ranges = {
        "status": (RUNNING, DIVERGED),
        "steps": (0, max_steps),
        "last_above": (0, max_steps - 1),
        "correct_at": (-1, max_steps - 1),
        "solved_at": (-1, max_steps - 1),
        "recent": (0, np.inf),
        "curve_sum": (0, np.inf),
        "curve_count": (0, max_steps),
        "lane_trial": (IDLE, num_trials - 1),
        "next_trial": (0, num_trials),
        "lane_steps": (0, np.inf),
    }
    for name, (least, most) in ranges.items():
        wrong = typed[name][~((typed[name] >= least) & (typed[name] <= most))]
        if wrong.size:
            raise InputError(f"{name} has {wrong.flat[0]}, not only numbers from {least} to {most}")


def _check_trials(typed: Arrays, max_steps: int, batch_size: int) -> None:
    """Check that the numbers of each trial agree, and that every trial that runs has a lane."""
    of = Progress(*(typed[name] for name in Progress._fields))
    running, steps = of.status == RUNNING, of.steps
    begun = np.arange(len(steps)) < typed["next_trial"]
    busy = typed["lane_trial"] != IDLE
    in_lanes = typed["lane_trial"][busy]
    are_there = batch_size * typed["lane_step"][busy] == steps[in_lanes]
    solved_at = np.where(of.status == SOLVED, steps - 1, -1)
    # An error that is not finite is in no bin of the curve.
    counted = of.curve_count.sum(1) == steps - (of.status == DIVERGED)
    too_early = (of.status == UNSOLVED) & (steps < max_steps)
    have_lanes = np.array_equal(np.sort(in_lanes), np.flatnonzero(running & begun))
    rules = (
        ("next_trial", begun | running & (steps == 0), "leaves out a trial that has begun"),
        ("steps", ~running | (steps < max_steps), "has a running trial at the last sequence"),
        ("steps", running | (steps > 0), "has an ended trial before the first sequence"),
        ("steps", ~too_early, "has an unsolved trial before the last sequence"),
        ("solved_at", of.solved_at == solved_at, "is not where the trials were solved"),
        (
            "last_above",
            of.last_above <= np.maximum(steps - 1, 0),
            "has a sequence that was not seen",
        ),
        ("correct_at", of.correct_at < steps, "has a sequence that was not seen"),
        ("curve_count", counted, "does not count the sequences that were trained on"),
        ("lane_trial", have_lanes, "does not have every running trial once"),
        ("lane_step", are_there, "is not where its trials are"),
    )
    for name, holds, words in rules:
        if not np.all(holds):
            raise InputError(f"{name} {words}")


def _check_state(typed: Arrays) -> None:
    """Check that the state is finite in the lanes in which it was finite when saved."""
    for name, leaf in typed.items():
        if name.startswith("state_") and FINITE in typed:
            wrong = np.flatnonzero(typed[FINITE] & ~finite_lanes([leaf]))
            if wrong.size:
                raise InputError(f"{name} is not finite in lane {wrong[0]}, where it was")
