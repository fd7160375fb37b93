"""What is run, as plain data: every setting with where it comes from. No JAX here."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxrnn.errors import InputError

OPTIONS = ("task_options", "cell_options")
"""The settings that are options of a function."""

Options = tuple[tuple[str, Any], ...]
"""Named values, as pairs so that an experiment can be a key."""

PER_TRIAL = (
    "learning_rate",
    "clip",
    "initial_scale",
    "input_bias",
    "forget_bias",
    "output_bias",
)
"""The settings that may be a tuple with one value a trial."""

GRID = "grid"
"""The name of an experiment whose per-trial settings run through every combination."""


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One net at one length, trained ``trials`` times from different weights and data.

    The settings named in ``PER_TRIAL`` may be tuples with one value a trial, options may be given
    as a dict. Raises InputError where a value breaks its rule; unknown names are found where they
    are looked up.

    Trials end by one of two rules. Where ``test_size`` is 0, once of the ``window`` most recent
    training sequences at most ``max_failures`` fail and the mean error is below ``mean_error``.
    Otherwise once the same holds of the test set (each trial's own ``test_size`` sequences that are
    never trained on, or the task's own test set, which has that size), looked at every
    ``test_every`` steps. With
    ``final_test`` every trial that has not diverged is tested on as many fresh sequences, with the
    weights that it ended with.
    """

    name: str = "notebook"  # the experiment its rows belong to
    task: str = "noise_free"
    task_options: Options = ()  # what the task takes besides the length
    cell: str = "lstm"
    cell_options: Options = ()  # what the builder of a cell takes
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
    join_at: int = 0  # training step from which on the outputs see the hidden units
    threshold: float = 0.25  # an error above it is a failure
    window: int = 1000
    max_failures: int = 0
    mean_error: float | None = None  # None: any
    test_size: int = 0
    test_every: int = 100
    final_test: int = 0
    max_steps: int = 100_000  # training steps (one sequence each) after which a trial is given up
    trials: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        """Check every number against its rule."""
        for name in OPTIONS:
            if isinstance(options := getattr(self, name), Mapping):
                object.__setattr__(self, name, tuple(options.items()))
        ones = ("length", "hidden_size", "layers", "window", "max_steps", "trials", "test_every")
        for name in ones:
            _require(self, name, getattr(self, name) >= 1, "must be at least 1")
        for name in ("join_at", "max_failures", "test_size", "final_test"):
            _require(self, name, getattr(self, name) >= 0, "must not be negative")
        mean_is_valid = self.mean_error is None or self.mean_error > 0
        _require(self, "mean_error", mean_is_valid, "must be a positive number")
        _require(self, "max_steps", self.max_steps < 2**31, "must be below 2147483648")
        _require(self, "seed", 0 <= self.seed < 2**32, "must be from 0 to 4294967295")
        _require(self, "threshold", 0 < self.threshold < 1, "must lie between 0 and 1")
        if self.test_size and self.test_every > self.max_steps:
            raise InputError(
                f"max-steps {self.max_steps} must be at least {self.test_every}, the first step at "
                "which the test set is looked at"
            )
        if self.window > self.max_steps and not self.test_size:
            raise InputError(f"window {self.window} must not be above max-steps {self.max_steps}")
        for name in PER_TRIAL:
            values = self.per_trial(name)
            _require(self, name, len(values) == self.trials, "must be one value or one a trial")
            any_sign = name.endswith("_bias")
            rule = "must be a finite number" if any_sign else "must be a positive number"
            for value in values:
                if not (math.isfinite(value) and (any_sign or value > 0)):
                    raise InputError(f"{flag_name(name)} {value} {rule}")

    def per_trial(self, name: str) -> tuple[float, ...]:
        """The setting's value for each trial."""
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,) * self.trials


def flag_name(name: str) -> str:
    """The setting as the command line spells it."""
    return name.replace("_", "-")


def _require(experiment: Experiment, name: str, holds: bool, rule: str) -> None:
    if not holds:
        raise InputError(f"{flag_name(name)} {getattr(experiment, name)} {rule}")
