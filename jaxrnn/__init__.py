"""jaxrnn trains whole batches of small recurrent networks at once, one independent network a
trial, and reproduces the classic long-time-lag experiments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
    from jaxrnn.weights import TrainedNets, load_weights

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
    "TrainedNets",
    "clipped_adam",
    "clipped_sgd",
    "cross_entropy",
    "gated",
    "load_weights",
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

# Where they are. All are imported when the first is asked for, not before: JAX takes a second, in
# which the command line is to answer an interruption.
_PLACES = {
    "errors": ("InputError",),
    "experiment": ("Experiment",),
    "nets": (
        *("CELLS", "INITIALIZERS", "Cell", "gated", "lstm", "memory_blocks", "notebook_xavier"),
        *("simple_rnn", "stack", "unroll", "xavier"),
    ),
    "outcome": ("Outcome",),
    "suites": ("NOTEBOOK", "SUITES", "Published", "Source", "Suite"),
    "tasks": ("TASKS", "Sequence", "Task", "noise_free"),
    "training.objectives": ("OBJECTIVES", "cross_entropy"),
    "training.optimizers": ("OPTIMIZERS", "clipped_adam", "clipped_sgd"),
    "training.runner": ("run_trials",),
    "weights": ("TrainedNets", "load_weights"),
}


def __getattr__(name: str) -> Any:
    """Import the public names and the modules that they are from."""
    if not name.startswith("_"):
        for place, names in _PLACES.items():
            module = import_module(f"{__name__}.{place}")
            globals().update({one: getattr(module, one) for one in names})
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
