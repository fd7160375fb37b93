"""The problems: how one training sequence is drawn, and the experiments that are known by name.

A task is a function that takes a length (and the options in its docstring) and returns a
:class:`Task`. A suite is a table of experiments on a task, with the results that their source
printed. Each family of tasks has one file, and so has each source of several suites. To add one,
extend ``TASKS`` or ``SUITES`` at the end of a file, or add a file.
"""

from collections.abc import Callable
from dataclasses import replace

from jaxrnn.errors import InputError
from jaxrnn.experiment import LEFT_TO_TASK, Experiment
from jaxrnn.names import build, find, is_file, read
from jaxrnn.problems import claims, far_apart, long_lag, paper_1997, reber, recall, state_tracking
from jaxrnn.problems.claim import PREFIX
from jaxrnn.problems.data import task_from_file
from jaxrnn.problems.paper_1997 import PAPER
from jaxrnn.problems.suite import BETTER, NOTEBOOK, Published, Source, Suite
from jaxrnn.problems.task import Sequence, Solved, Task

__all__ = [
    "GROUPS",
    "NOTEBOOK",
    "PAPER",
    "SUITES",
    "TASKS",
    "Published",
    "Sequence",
    "Solved",
    "Source",
    "Suite",
    "Task",
    "builder_of",
    "lengths_of",
    "settled",
    "task_of",
]

TASKS: dict[str, Callable[..., Task]] = {
    task.__name__: task
    for family in (reber, long_lag, far_apart, recall, state_tracking)
    for task in family.TASKS
}

SUITES: dict[str, Suite] = {
    suite.base.name: suite for suite in (NOTEBOOK, BETTER, *paper_1997.SUITES, *claims.SUITES)
}

GROUPS: dict[str, tuple[Suite, ...]] = {
    "1997": paper_1997.SUITES,
    "claims": claims.SUITES,
    **{f"{PREFIX}{claim.name}": claim.suites for claim in claims.CLAIMS.values()},
}
"""Suites that one name stands for: a paper's, all claims', a claim's."""


def builder_of(task: str) -> Callable[..., Task]:
    """The function that builds the task of this name; raises InputError for an unknown one."""
    return task_from_file(task, read(task)) if is_file(task) else find(TASKS, "task", task)


def lengths_of(task: str) -> tuple[int, ...] | None:
    """The only lengths that a task admits, as one of given data says; None: any that suits it."""
    lengths: tuple[int, ...] | None = getattr(builder_of(task), "lengths", None)
    return lengths


def task_of(experiment: Experiment) -> Task:
    """The experiment's task; raises InputError for an unknown one, options that are not its own,
    and a length that it refuses or for which its numbers are too large."""
    builder = builder_of(experiment.task)
    owner, options = f"task {experiment.task}", experiment.task_options
    try:
        return build(Task, owner, builder, options, experiment.length)
    except (OverflowError, MemoryError) as error:
        raise InputError(
            f"length {experiment.length} is too large for task {experiment.task} ({error})"
        ) from None


def settled(experiment: Experiment) -> Experiment:
    """The experiment with all settings filled in that it leaves to its task; raises what task_of
    raises.

    These are the objective and the settings of the rule for solved that :class:`Experiment`
    describes.
    """
    left = [name for name in LEFT_TO_TASK if getattr(experiment, name) is None]
    if not left:
        return experiment
    task = task_of(experiment)
    looks_itself = experiment.window is not None or experiment.test_size is not None
    rule = Solved() if looks_itself else task.solved
    given = {"objective": task.objective, "final_test": task.final_test, **rule._asdict()}
    given["threshold"] = task.solved.threshold
    filled = {name: given[name] for name in left}
    if "threshold" in left and experiment.mean_error is None:
        filled["mean_error"] = task.solved.mean_error
    return replace(experiment, **filled)
