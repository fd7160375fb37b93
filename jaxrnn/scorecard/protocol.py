"""The protocol: what every cell gets, whatever it is.

- The same budget of training sequences for every cell, one sequence a training step.
- Units: as many as bring the number of weights closest to that of the LSTM with 16 units on the
  task.
- The search: the same grid for every cell, learning rates of SGD and of Adam, and where a cell has
  a gate that keeps what is there, its first bias. So many trials of each combination, on a seed of
  their own; taken is the combination with most trials solved, of those the one with the least
  restricted mean time, and where none is solved the one whose error was least at the end.
- The report: fresh trials of that combination alone, on another seed.

The conditions of each task are those of :mod:`jaxrnn.suites.scorecard`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import jax

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.nets import xavier
from jaxrnn.results.compare import restricted_mean
from jaxrnn.results.rows import Row, experiment_of
from jaxrnn.results.summary import by_settings
from jaxrnn.suites import SUITES, Suite
from jaxrnn.suites.scorecard import SCORECARD
from jaxrnn.sweep import product
from jaxrnn.training.parts import cell_of, drawn_biases, first_params, parts_of


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What every cell gets, whatever it is."""

    max_steps: int = 20_000  # training sequences of a trial
    trials: int = 5  # that are reported
    seed: int = 0  # of these
    search_trials: int = 1  # of each combination
    search_seed: int = 1000
    learning_rates: Mapping[str, Sequence[float]] = field(
        default_factory=lambda: {
            "clipped_sgd": (0.03, 0.1, 0.3),
            "clipped_adam": (0.001, 0.003, 0.01),
        }
    )
    keeping: Sequence[float] = (1.0, 5.0)  # first biases of a gate that keeps what is there


SMALL = Protocol()
FULL = Protocol(
    max_steps=50_000,
    trials=20,
    search_trials=2,
    learning_rates={
        "clipped_sgd": (0.01, 0.03, 0.1, 0.3, 1.0),
        "clipped_adam": (0.0003, 0.001, 0.003, 0.01, 0.03),
    },
)

CARDS: dict[str, Suite] = {
    suite.base.task: suite for suite in SUITES.values() if suite.source is SCORECARD
}
"""The suite of each task."""


@lru_cache(maxsize=4096)
def num_weights(experiment: Experiment) -> int:
    """How many numbers a net of the experiment is trained in."""
    params = first_params(experiment.cell, cell_of(experiment), xavier())
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def sized(suite: Suite, cell: str) -> Experiment:
    """The suite's experiment of a cell, with the units that bring its number of weights closest to
    that of the suite's first cell.

    Raises InputError for a cell that cannot be trained, or whose weights do not grow with H.
    """
    budget = num_weights(suite.at())
    base = suite.at(cell)

    def weights(units: int) -> int:
        return num_weights(replace(base, hidden_size=units))

    if weights(1) >= weights(2):
        parts_of(base)  # which has better words for what is no net at all
        raise InputError(
            f"cell {cell} has {weights(2):,} weights with one hidden unit and with two: the units "
            "are chosen by the number of weights, which has to grow with them"
        )
    low, high = 1, 2  # from low to high units, unless low has too many already
    while weights(high) < budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if weights(middle) < budget else (low, middle)
    units = min((low, high), key=lambda units: abs(weights(units) - budget))
    return replace(base, hidden_size=units)


def searches(base: Experiment, protocol: Protocol) -> list[Experiment]:
    """The search of a cell on a task: every combination of the protocol, an experiment for each
    optimizer. Its rows belong to experiment NAME-search."""
    base = replace(
        base,
        max_steps=protocol.max_steps,
        trials=protocol.search_trials,
        seed=protocol.search_seed,
    )
    keeping = keeping_of(base, protocol)
    return [
        replace(
            product(replace(base, optimizer=optimizer), {"learning_rate": rates, **keeping}),
            name=f"{base.name}-search",
        )
        for optimizer, rates in protocol.learning_rates.items()
    ]


def keeping_of(base: Experiment, protocol: Protocol) -> dict[str, Sequence[float]]:
    """The setting that makes a cell keep what it holds, with its values; none where it has none."""
    drawn = drawn_biases(base.cell, cell_of(base))
    if "forget_bias" in drawn:
        return {"forget_bias": protocol.keeping}
    if "input_bias" in drawn:  # that does not let in what would take the place of what is held
        return {"input_bias": [-bias for bias in protocol.keeping]}
    return {}


def best(rows: Sequence[Row]) -> dict[str, Any]:
    """Of one cell's rows of a search the settings of the best combination: most trials solved, then
    the least restricted mean time, then the least error at the end of their learning curves."""
    names, combinations = by_settings(rows)

    def rank(of_one: Sequence[Row]) -> tuple[float, float, float]:
        solved = sum(row["solved_at"] is not None for row in of_one)
        ends = [
            row["curve"][-1] if row["curve"] and row["status"] != "diverged" else math.inf
            for row in of_one
        ]
        return -solved, restricted_mean(of_one), sum(ends)

    values = min(combinations, key=lambda values: rank(combinations[values]))
    settings = dict(zip(names, values, strict=True))
    made = experiment_of(combinations[values][0])
    return {"optimizer": made.optimizer, "learning_rate": made.learning_rate} | settings


def reported(base: Experiment, found: Sequence[Row], protocol: Protocol) -> Experiment:
    """What is reported of a cell on a task after a search with these rows."""
    return replace(
        base,
        max_steps=protocol.max_steps,
        trials=protocol.trials,
        seed=protocol.seed,
        **best(found),
    )
