"""jaxrnn trains whole batches of small recurrent networks at once, one independent network a
trial, and reproduces the classic long-time-lag experiments."""

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import (
    CELLS,
    INITIALIZERS,
    Cell,
    gated,
    lstm,
    memory_blocks,
    notebook_xavier,
    simple_rnn,
    stack,
    unroll,
    xavier,
)
from jaxrnn.outcome import Outcome
from jaxrnn.suites import NOTEBOOK, SUITES, Published, Source, Suite
from jaxrnn.tasks import TASKS, Sequence, Task, noise_free
from jaxrnn.training.objectives import OBJECTIVES, cross_entropy
from jaxrnn.training.optimizers import OPTIMIZERS, clipped_adam, clipped_sgd
from jaxrnn.training.runner import run_trials

__all__ = [
    "CELLS",
    "INITIALIZERS",
    "NOTEBOOK",
    "OBJECTIVES",
    "OPTIMIZERS",
    "SUITES",
    "TASKS",
    "Cell",
    "Experiment",
    "InputError",
    "Outcome",
    "Published",
    "Sequence",
    "Source",
    "Suite",
    "Task",
    "clipped_adam",
    "clipped_sgd",
    "cross_entropy",
    "gated",
    "lstm",
    "memory_blocks",
    "noise_free",
    "notebook_xavier",
    "run_trials",
    "simple_rnn",
    "stack",
    "unroll",
    "xavier",
]
