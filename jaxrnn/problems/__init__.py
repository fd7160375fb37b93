"""The problems: how one training sequence is drawn, and the experiments that are known by name.

A task is a function of a length (and of what else its docstring says) that gives a :class:`Task`, a
suite a table of experiments on it with what their source printed. Both stand in one file a family.
Add a task there, or as a new file, and to ``TASKS``; a suite to the family's ``SUITES``.
"""

from collections.abc import Callable
from dataclasses import replace

from jaxrnn.experiment import Experiment
from jaxrnn.names import build, find
from jaxrnn.problems import (
    arithmetic,
    card,
    long_lag,
    notebook,
    reber,
    temporal_order as order,
    two_sequence as two,
)
from jaxrnn.problems.arithmetic import adding, multiplication
from jaxrnn.problems.copying import copying, selective_copying
from jaxrnn.problems.long_lag import no_regularities, noise_free, very_long_lag
from jaxrnn.problems.notebook import BETTER, NOTEBOOK
from jaxrnn.problems.paper_1997 import PAPER
from jaxrnn.problems.reber import ReberStrings, embedded_reber, legal_successors, reber_sets
from jaxrnn.problems.suite import Published, Source, Suite
from jaxrnn.problems.task import Sequence, Task
from jaxrnn.problems.temporal_order import temporal_order, temporal_order_three
from jaxrnn.problems.two_sequence import (
    target_without_noise,
    two_sequence,
    two_sequence_noise,
    two_sequence_target_noise,
)

__all__ = [
    "BETTER",
    "NOTEBOOK",
    "PAPER",
    "SUITES",
    "TASKS",
    "Published",
    "ReberStrings",
    "Sequence",
    "Source",
    "Suite",
    "Task",
    "adding",
    "copying",
    "embedded_reber",
    "legal_successors",
    "multiplication",
    "no_regularities",
    "noise_free",
    "reber_sets",
    "selective_copying",
    "settled",
    "target_without_noise",
    "task_of",
    "temporal_order",
    "temporal_order_three",
    "two_sequence",
    "two_sequence_noise",
    "two_sequence_target_noise",
    "very_long_lag",
]

TASKS: dict[str, Callable[..., Task]] = {
    "embedded_reber": embedded_reber,
    "noise_free": noise_free,
    "no_regularities": no_regularities,
    "very_long_lag": very_long_lag,
    "two_sequence": two_sequence,
    "two_sequence_noise": two_sequence_noise,
    "two_sequence_target_noise": two_sequence_target_noise,
    "adding": adding,
    "multiplication": multiplication,
    "temporal_order": temporal_order,
    "temporal_order_three": temporal_order_three,
    "copying": copying,
    "selective_copying": selective_copying,
}

SUITES: dict[str, Suite] = {
    suite.base.name: suite
    for family in (notebook, reber, long_lag, two, arithmetic, order, card)
    for suite in family.SUITES
}


def task_of(experiment: Experiment) -> Task:
    """The experiment's task; raises InputError for an unknown one, options that are not its own,
    and a length that it refuses."""
    builder = find(TASKS, "task", experiment.task)
    owner, options = f"task {experiment.task}", experiment.task_options
    return build(Task, owner, builder, options, experiment.length)


def settled(experiment: Experiment) -> Experiment:
    """The experiment with what it leaves to its task filled in; raises what task_of raises."""
    if experiment.objective is not None:
        return experiment
    return replace(experiment, objective=task_of(experiment).objective)
