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
        from_equinox,
        from_linen,
        from_nnx,
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
    from jaxrnn.results.compare import Comparison, compare, kaplan_meier
    from jaxrnn.results.rows import read_rows
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
    "Comparison",
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
    "compare",
    "cross_entropy",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "gated",
    "kaplan_meier",
    "lstm",
    "memory_blocks",
    "noise_free",
    "notebook_xavier",
    "read_rows",
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
        *("CELLS", "INITIALIZERS", "Cell", "from_equinox", "from_linen", "from_nnx", "gated"),
        *("lstm", "memory_blocks", "notebook_xavier", "simple_rnn", "stack", "unroll", "xavier"),
    ),
    "outcome": ("Outcome",),
    "results.compare": ("Comparison", "compare", "kaplan_meier"),
    "results.rows": ("read_rows",),
    "suites": ("NOTEBOOK", "SUITES", "Published", "Source", "Suite"),
    "tasks": ("TASKS", "Sequence", "Task", "noise_free"),
    "training.objectives": ("OBJECTIVES", "cross_entropy"),
    "training.optimizers": ("OPTIMIZERS", "clipped_adam", "clipped_sgd"),
    "training.runner": ("run_trials",),
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
