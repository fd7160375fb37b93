"""The experiments that are trained in one run: their progress, checkpoints and last parameters."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.training.engine import Lanes, Program, lanes_of
from jaxrnn.training.lanes import round_up
from jaxrnn.training.parts import DECIDING, FINAL, at_length
from jaxrnn.training.trial import TrainState

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


def as_typed(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An array with its original type: NumPy's files, which do not know bfloat16, may lose it."""
    is_raw = array.dtype.kind == "V" and array.dtype.itemsize == dtype.itemsize
    return array.view(dtype) if is_raw else array


class LastParams:
    """Keeps the parameters of every trial of a run as they are after its last update."""

    def __init__(self, params: Any, trials: np.ndarray) -> None:
        """``params`` are those of a batch, for their shapes."""
        self.trials = trials
        leaves, self.treedef = jax.tree.flatten(params)
        # On the host, a leaf [trials, ...] each, by a trial's position among them.
        self.leaves = [np.zeros((len(trials), *leaf.shape[1:]), leaf.dtype) for leaf in leaves]

    def take(
        self,
        program: Program,
        before: TrainState,
        lanes: Lanes,
        ended: np.ndarray,
        positions: np.ndarray,
        updates: np.ndarray,
    ) -> None:
        """Keep the final parameters, after their ``updates``, of the trials in the ``ended`` lanes;
        these trials are at ``positions``.

        Their last chunk, which began with the state ``before``, is run again up to their end; for
        this the program has to be replayable.
        """
        stop = np.array(lanes.stop)
        stop[ended] = updates
        state, _ = program.chunk(before, lanes._replace(stop=stop))
        for last, leaf in zip(self.leaves, jax.tree.leaves(state.params), strict=True):
            last[positions] = np.asarray(leaf)[ended]

    def of(self, some: np.ndarray | slice) -> "LastParams":
        """Those of the trials at some positions; of a slice the same arrays, not copies."""
        some_of = copy(self)
        some_of.trials, some_of.leaves = self.trials[some], [leaf[some] for leaf in self.leaves]
        return some_of

    def params(self, positions: np.ndarray | int) -> Any:
        """The tree of some trials, a leaf [M, ...] each, or of one."""
        return jax.tree.unflatten(self.treedef, [leaf[positions] for leaf in self.leaves])

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint keeps of it."""
        return {f"final_{k}": leaf for k, leaf in enumerate(self.leaves)}

    def restore(self, arrays: Mapping[str, np.ndarray], some_ended: bool, where: Any) -> None:
        """Go on from the parameters in the checkpoint ``where``; InputError if ``some_ended`` and
        it has none."""
        names = list(self.arrays())
        if set(names) <= set(arrays):
            for name, leaf in zip(names, self.leaves, strict=True):
                leaf[:] = arrays[name]
        elif some_ended:
            raise InputError(
                f"in {where} trials have ended whose weights were not kept: go on without keeping "
                "them, or delete it to begin this length anew"
            )


def with_tests(
    experiment: Experiment,
    program: Program,
    last_params: LastParams,
    outcomes: Sequence[Outcome],
    num_lanes: int,
    num_devices: int,
) -> list[Outcome]:
    """The outcomes with those of the tests at the end.

    No more trials are tested at once than were trained, ``num_lanes``, for which there is the
    memory; those that diverged are not tested.
    """
    results = list(outcomes)
    positions = np.flatnonzero([outcome.status != "diverged" for outcome in outcomes])
    if not positions.size:
        return results
    width = round_up(min(num_lanes, len(positions)), num_devices)
    # The last batch is filled up.
    for batch in np.resize(positions, (-(-len(positions) // width), width)):
        lanes = lanes_of(experiment, last_params.trials[batch])
        params = program.put(last_params.params(batch))
        tested = {
            name: np.asarray(test(params, lanes), float)
            for name, test in program.tests.items()
            if name != DECIDING
        }
        wrong = {
            name: (~(errors <= experiment.threshold)).sum(1) for name, errors in tested.items()
        }
        for lane, position in enumerate(batch.tolist()):
            said: dict[str, Any] = {}
            if FINAL in tested:
                error = round(float(tested[FINAL][lane].mean()), 6)
                # An error is not finite where the last update made it infinite.
                known = error if np.isfinite(error) else None
                said |= {"final_wrong": int(wrong[FINAL][lane]), "final_error": known}
            if lengths := experiment.test_lengths:
                counts = (int(wrong[at_length(length)][lane]) for length in lengths)
                said["wrong_at_lengths"] = tuple(counts)
            results[position] = replace(results[position], **said)
    return results
