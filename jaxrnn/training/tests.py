"""What a trial is tested on besides its training sequences: a list of tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import numpy as np

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.outcome import SIZE_AT_LENGTHS
from jaxrnn.problems import Sequence, Task, task_of
from jaxrnn.problems.task import SHORTEST

DECIDING, FINAL = "test", "final_test"
"""The names of the test whose outcome solves a trial, and of the final test."""

_LAST = 2**32 - 1
"""First weights and tests use the numbers that count down from here. Those of training sequences
stay below, so they share no random numbers with them."""
WEIGHTS, _TEST, _FINAL, _LENGTHS = (np.uint32(_LAST - k) for k in range(4))


class Test(NamedTuple):
    """Sequences that a trial is tested on and never trained on.

    The test that decides is run every ``test_every`` sequences. The other tests are run once, with
    the final weights of a trial.
    """

    name: str
    task: Task  # at the length of the test
    size: int  # M, sequences
    folds: tuple[np.uint32, ...]  # what is folded into a trial's key to draw fresh ones
    # Or the task's own test set, the same for every trial.
    test_set: Callable[[], Sequence] | None = None


def tests_of(experiment: Experiment, task: Task) -> tuple[Test, ...]:
    """The tests of a settled experiment on its task.

    Raises InputError for a ``test_size`` that is not that of the task's own test set, and for a
    length in ``test_lengths`` at which the task has other inputs or outputs.
    """
    tests = []
    if experiment.test_size:
        _check_test_set(experiment, task)
        size = experiment.test_size
        tests.append(Test(DECIDING, task, size, (_TEST,), test_set=task.test_set))
    if experiment.final_test:
        tests.append(Test(FINAL, task, experiment.final_test, (_FINAL,)))
    for length in experiment.test_lengths:
        # All of that length, even if training draws its lengths.
        options = {k: v for k, v in dict(experiment.task_options).items() if k != SHORTEST}
        other = task_of(replace(experiment, length=length, task_options=options))
        _check_sizes(experiment, task, length, other)
        folds = _LENGTHS, np.uint32(length)
        tests.append(Test(at_length(length), other, SIZE_AT_LENGTHS, folds))
    return tuple(tests)


def at_length(length: int) -> str:
    """The name of the test at one of ``test_lengths``."""
    return f"length {length}"


def _check_test_set(experiment: Experiment, task: Task) -> None:
    if task.test_set is not None:
        size = jax.tree.leaves(jax.eval_shape(task.test_set))[0].shape[0]
        if experiment.test_size != size:
            raise InputError(
                f"test-size {experiment.test_size} is not that of the test set of task "
                f"{experiment.task}: choose {size}"
            )


def _check_sizes(experiment: Experiment, task: Task, length: int, other: Task) -> None:
    before, after = ((one.num_inputs, one.num_outputs) for one in (task, other))
    if before != after:
        raise InputError(
            f"test-lengths {length} needs a task with as many inputs and outputs there: "
            f"{experiment.task} has {before[0]} and {before[1]} at length {experiment.length}, "
            f"{after[0]} and {after[1]} at {length}; see its task_options"
        )
