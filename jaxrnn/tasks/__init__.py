"""The tasks: how one training sequence is drawn, a file for each family.

A task is a function of a length (and of what else its docstring says) that gives a :class:`Task`.
Add one to its family, or as a new file, and a line to ``TASKS``.
"""

from collections.abc import Callable
from dataclasses import replace

from jaxrnn.experiment import Experiment
from jaxrnn.names import build, find
from jaxrnn.tasks.arithmetic import adding, multiplication
from jaxrnn.tasks.base import Sequence, Task
from jaxrnn.tasks.copying import copying, selective_copying
from jaxrnn.tasks.long_lag import no_regularities, noise_free, very_long_lag
from jaxrnn.tasks.reber import ReberStrings, embedded_reber, legal_successors, reber_sets
from jaxrnn.tasks.temporal_order import temporal_order, temporal_order_three
from jaxrnn.tasks.two_sequence import (
    target_without_noise,
    two_sequence,
    two_sequence_noise,
    two_sequence_target_noise,
)

__all__ = [
    "TASKS",
    "ReberStrings",
    "Sequence",
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
