"""The tasks: how one training sequence is drawn, a file for each family.

A task is a function of a length (and of what else its docstring says) that gives a :class:`Task`.
Add one to its family, or as a new file, and a line to ``TASKS``.
"""

from collections.abc import Callable

from jaxrnn.tasks.arithmetic import adding, multiplication
from jaxrnn.tasks.base import Sequence, Task
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
    "embedded_reber",
    "legal_successors",
    "multiplication",
    "no_regularities",
    "noise_free",
    "reber_sets",
    "target_without_noise",
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
}
