"""jaxrnn trains whole batches of small recurrent networks at once, one independent network a
trial, and reproduces the classic long-time-lag experiments."""

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import CELLS
from jaxrnn.nets.base import Cell, stack, unroll
from jaxrnn.nets.cells import lstm, simple_rnn
from jaxrnn.nets.gated import gated
from jaxrnn.nets.initializers import INITIALIZERS, notebook_xavier, xavier
from jaxrnn.nets.memory_blocks import memory_blocks
from jaxrnn.outcome import Outcome
from jaxrnn.suites import EXPERIMENTS
from jaxrnn.suites.notebook import NOTEBOOK
from jaxrnn.tasks import TASKS, Sequence, Task, noise_free
from jaxrnn.training.objectives import OBJECTIVES, cross_entropy
from jaxrnn.training.optimizers import OPTIMIZERS, clipped_adam, clipped_sgd
from jaxrnn.training.runner import run_trials

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
