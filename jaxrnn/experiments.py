"""What is run, as plain data: every setting with where it comes from. No JAX here."""

import math
from dataclasses import dataclass

from jaxrnn.errors import InputError

PER_TRIAL = (
    "learning_rate",
    "clip",
    "initial_scale",
    "input_bias",
    "forget_bias",
    "output_bias",
)
"""The settings that may be a tuple with one value a trial."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One net at one length, trained ``trials`` times from different weights and data.

    The settings named in ``PER_TRIAL`` may be tuples with one value a trial. Raises InputError
    where a value breaks its rule; unknown names are found where they are looked up.
    """

    name: str = "notebook"  # the experiment its rows belong to
    task: str = "noise_free"
    cell: str = "lstm"
    length: int = 10  # T, what the task makes of it is the task's
    hidden_size: int = 20  # H, units of each layer
    layers: int = 1
    initializer: str = "notebook_xavier"
    initial_scale: float | tuple[float, ...] = 1.0  # factor of all first weights
    input_bias: float | tuple[float, ...] = 0.0  # first bias of the gates of that name, added to
    forget_bias: float | tuple[float, ...] = 0.0  # the initializer's
    output_bias: float | tuple[float, ...] = 0.0
    objective: str = "cross_entropy"
    loss_reduction: str = "mean"  # of the losses of the steps: mean or sum
    optimizer: str = "clipped_sgd"
    learning_rate: float | tuple[float, ...] = 1.0
    clipping: str = "element"  # what of the gradient is bounded: element, norm or none
    clip: float | tuple[float, ...] = 5.0  # the bound
    threshold: float = 0.25  # an error above it is a failure
    window: int = 1000  # solved after so many steps since the last failure
    max_steps: int = 100_000  # training steps (one sequence each) after which a trial is given up
    trials: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every number against its rule."""
        for name in ("length", "hidden_size", "layers", "window", "max_steps", "trials"):
            _require(self, name, getattr(self, name) >= 1, "must be at least 1")
        _require(self, "max_steps", self.max_steps < 2**31, "must be below 2147483648")
        _require(self, "seed", 0 <= self.seed < 2**32, "must be from 0 to 4294967295")
        _require(self, "threshold", 0 < self.threshold < 1, "must lie between 0 and 1")
        if self.window > self.max_steps:
            raise InputError(f"window {self.window} must not be above max-steps {self.max_steps}")
        for name in PER_TRIAL:
            values = self.per_trial(name)
            _require(self, name, len(values) == self.trials, "must be one value or one a trial")
            any_sign = name.endswith("_bias")
            rule = "must be a finite number" if any_sign else "must be a positive number"
            for value in values:
                if not (math.isfinite(value) and (any_sign or value > 0)):
                    raise InputError(f"{_spelled(name)} {value} {rule}")

    def per_trial(self, name: str) -> tuple[float, ...]:
        """The setting's value for each trial."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.trials


def _spelled(name: str) -> str:
    """The setting as the command line spells it."""
    return name.replace("_", "-")


def _require(experiment: Experiment, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise InputError(f"{_spelled(name)} {getattr(experiment, name)} {rule}")


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A named table of experiments: a base, varied over cells and lengths."""

    base: Experiment
    cells: tuple[str, ...]
    lengths: tuple[int, ...]
    source: str


NOTEBOOK = Suite(
    base=Experiment(),
    cells=("simple_rnn", "lstm"),
    lengths=(4, 5, 6, 7, 8, 9, 10, 20, 50, 100),
    source="notebook 'Recurrent Neural Networks Basics', Experiment 1",
)

BETTER = Suite(
    base=Experiment(
        name="better",
        hidden_size=128,
        initializer="long_memory",
        loss_reduction="sum",
        learning_rate=0.3,
        clip=0.04,
        seed=1,  # 0 and those from 1001 on served the search
    ),
    cells=("lstm",),
    lengths=(*NOTEBOOK.lengths, 200, 500, 1000),
    source="found by `jaxrnn grid`; the notebook's last words, 'better LSTM implementation'",
)

EXPERIMENTS: dict[str, Suite] = {"notebook": NOTEBOOK, "better": BETTER}
