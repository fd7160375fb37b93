"""jaxrnn trains whole batches of small recurrent networks at once, one independent network a
trial, and reproduces the classic long-time-lag experiments."""

from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxrnn.errors import InputError
    from jaxrnn.experiment import Experiment
    from jaxrnn.nets import (
        CELLS,
        INITIALIZERS,
        Cell,
        Initializer,
        co_rnn,
        from_equinox,
        from_linen,
        from_nnx,
        gated,
        gru,
        ind_rnn,
        irnn,
        janet,
        lru,
        lstm,
        lstm_coupled,
        lstm_layer_norm,
        lstm_no_forget,
        lstm_peephole,
        mgu,
        min_gru,
        min_lstm,
        notebook_xavier,
        one_cell,
        paper_1997 as memory_blocks,
        self_recurrent,
        simple_rnn,
        slstm,
        stack,
        ugrnn,
        unroll,
        xavier,
    )
    from jaxrnn.outcome import Outcome
    from jaxrnn.problems import (
        NOTEBOOK,
        SUITES,
        TASKS,
        Published,
        Sequence,
        Source,
        Suite,
        Task,
        noise_free,
    )
    from jaxrnn.results.compare import Comparison, compare, kaplan_meier
    from jaxrnn.results.report import write_report
    from jaxrnn.results.rows import read_rows
    from jaxrnn.results.run_directory import RunDirectory
    from jaxrnn.results.summary import summarize
    from jaxrnn.scorecard import run_scorecard
    from jaxrnn.sweep import product, run, run_sweep
    from jaxrnn.training.objectives import OBJECTIVES, cross_entropy
    from jaxrnn.training.optimizers import OPTIMIZERS, clipped_adam, clipped_sgd
    from jaxrnn.training.runner import run_trials
    from jaxrnn.weights import TrainedNets, load_weights

    __version__: str

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
    "Initializer",
    "InputError",
    "Outcome",
    "Published",
    "RunDirectory",
    "Sequence",
    "Source",
    "Suite",
    "Task",
    "TrainedNets",
    "clipped_adam",
    "clipped_sgd",
    "co_rnn",
    "compare",
    "cross_entropy",
    "from_equinox",
    "from_linen",
    "from_nnx",
    "gated",
    "gru",
    "ind_rnn",
    "irnn",
    "janet",
    "kaplan_meier",
    "load_weights",
    "lru",
    "lstm",
    "lstm_coupled",
    "lstm_layer_norm",
    "lstm_no_forget",
    "lstm_peephole",
    "memory_blocks",
    "mgu",
    "min_gru",
    "min_lstm",
    "noise_free",
    "notebook_xavier",
    "one_cell",
    "product",
    "read_rows",
    "run",
    "run_scorecard",
    "run_sweep",
    "run_trials",
    "self_recurrent",
    "simple_rnn",
    "slstm",
    "stack",
    "summarize",
    "ugrnn",
    "unroll",
    "write_report",
    "xavier",
]

# Where they are. Nothing is imported before it is asked for: JAX takes a second, in which the
# command line is to answer an interruption, and the report needs matplotlib.
_PLACES = {
    "errors": ("InputError",),
    "experiment": ("Experiment",),
    "nets": (
        *("CELLS", "INITIALIZERS", "Cell", "Initializer", "from_equinox", "from_linen"),
        *("from_nnx", "gated", "gru", "lstm", "lstm_coupled", "lstm_layer_norm", "lstm_no_forget"),
        *("lstm_peephole", "memory_blocks", "notebook_xavier", "one_cell", "self_recurrent"),
        *("simple_rnn", "stack", "unroll", "xavier"),
        *("irnn", "janet", "ugrnn", "mgu", "slstm", "co_rnn"),
        *("min_gru", "min_lstm", "ind_rnn", "lru"),
    ),
    "outcome": ("Outcome",),
    "problems": (
        *("NOTEBOOK", "SUITES", "TASKS", "Published", "Sequence", "Source", "Suite", "Task"),
        "noise_free",
    ),
    "results.compare": ("Comparison", "compare", "kaplan_meier"),
    "results.report": ("write_report",),
    "results.rows": ("read_rows",),
    "results.run_directory": ("RunDirectory",),
    "results.summary": ("summarize",),
    "scorecard": ("run_scorecard",),
    "sweep": ("product", "run", "run_sweep"),
    "training.objectives": ("OBJECTIVES", "cross_entropy"),
    "training.optimizers": ("OPTIMIZERS", "clipped_adam", "clipped_sgd"),
    "training.runner": ("run_trials",),
    "weights": ("TrainedNets", "load_weights"),
}


if not TYPE_CHECKING:  # to which it would say that there is every name

    def __getattr__(name: str) -> Any:
        """Import a public name, or a module of the package; the version is looked up."""
        if name == "__version__":
            return version(__name__)
        if not name.startswith("_"):
            places = (place for place, names in _PLACES.items() if name in names)
            if (place := next(places, None)) is not None:
                from jaxrnn.machine import jax_importable

                with jax_importable():
                    globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
            elif find_spec(f"{__name__}.{name}") is not None:
                import_module(f"{__name__}.{name}")
        if name not in globals():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
