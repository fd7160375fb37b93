"""jaxrnn trains whole batches of small recurrent networks at once, one independent network a
trial, and reproduces the classic long-time-lag experiments."""

from jaxrnn.cells import CELLS, lstm, simple_rnn
from jaxrnn.errors import InputError
from jaxrnn.experiments import EXPERIMENTS, NOTEBOOK, Experiment
from jaxrnn.initializers import INITIALIZERS, notebook_xavier, xavier
from jaxrnn.memory_blocks import memory_blocks
from jaxrnn.objectives import OBJECTIVES, cross_entropy
from jaxrnn.optimizers import OPTIMIZERS, clipped_adam, clipped_sgd
from jaxrnn.runner import Outcome, run_trials
from jaxrnn.tasks import TASKS, Sequence, Task, noise_free
from jaxrnn.unroll import Cell, gated, stack, unroll

__all__ = [
    "CELLS",
    "EXPERIMENTS",
    "INITIALIZERS",
    "NOTEBOOK",
    "OBJECTIVES",
    "OPTIMIZERS",
    "TASKS",
    "Cell",
    "Experiment",
    "InputError",
    "Outcome",
    "Sequence",
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
