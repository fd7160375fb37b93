"""What all cells of a horizon have in common: their size, and the order of their settings."""

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace

from jaxrnn.errors import InputError, Note
from jaxrnn.experiment import Experiment
from jaxrnn.names import is_own
from jaxrnn.problems import Suite
from jaxrnn.report.compare import restricted_mean
from jaxrnn.report.summary import Rows
from jaxrnn.training.parts import cell_of, drawn_biases, num_weights, parts_of, state_size

MATCHES: dict[str, tuple[str, Callable[[Experiment], int]]] = {
    "weights": ("weights", num_weights),
    "state": ("numbers in its state", state_size),
}
"""What the nets of all cells have equally many of, in words, and how it is counted."""


def sized(suite: Suite, cell: str, match: str = "weights") -> Experiment:
    """The suite's experiment of a cell, with the units that bring its number of weights, or the
    size of its state, closest to that of the suite's first cell.

    Raises InputError for a cell that cannot be trained, or whose weights or state do not grow with
    H.
    """
    words, count = MATCHES[match]
    rule = ": the units are chosen by this number, which has to grow with them"
    budget = count(suite.at())
    base = suite.at(cell)

    def size(units: int) -> int:
        return count(replace(base, hidden_size=units))

    if size(1) >= size(2):
        parts_of(base)  # its error is clearer if this is not a net at all
        raise InputError(
            f"cell {cell} has {size(2):,} {words} with one hidden unit and with two{rule}"
        )
    # It grows about with some power of the units, or not at all from some number of them on. From
    # this guess on it is low to high units, unless one has too many already.
    first = suite.base.hidden_size
    power = max(1.0, math.log2(size(2 * first) / size(first)))
    low = high = max(1, round(first * (budget / size(first)) ** (1 / power)))
    step = 1
    while size(high) < budget:
        if high > 100 * budget:
            raise InputError(f"cell {cell} has {size(high):,} {words} with {high:,} units{rule}")
        low, high, step = high, high + step, 2 * step
    while low > 1 and size(low) >= budget:
        low, high, step = max(1, low - step), low, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < budget else (low, middle)
    units = min((low, high), key=lambda units: abs(size(units) - budget))
    return replace(base, hidden_size=units)


def distinct(names: str | Iterable[str]) -> list[str]:
    """Names of cells or tasks, each once; one alone need not stand in a list. Raises InputError if
    there is none."""
    some = list(dict.fromkeys([names] if isinstance(names, str) else names))
    if not some:
        raise InputError("name at least one cell and one task")
    return some


def note_untuned(bases: Iterable[Experiment]) -> None:
    """Warn, once, of one's own cells without a gate whose first bias a search could tune."""
    own = (base for base in bases if is_own(base.cell))
    tuned = {"forget_bias", "input_bias"}
    if untuned := dict.fromkeys(
        one.cell for one in own if not drawn_biases(one.cell, cell_of(one)) & tuned
    ):
        warnings.warn(
            f"no bias toward remembering is tuned for {', '.join(untuned)}: this needs a gate that "
            "decides what is kept. If your cell has one, draw its biases by initializer.biases as "
            "those of an input, forget or update gate",
            Note,
            stacklevel=3,
        )


def rank(rows: Rows) -> tuple[float, float, float]:
    """The order of settings, the best one first: most trials solved, then the least restricted mean
    time, then the least error at the end of their learning curves."""
    outcomes = (row.outcome for row in rows)
    ends = [
        one.curve[-1] if one.curve and one.status != "diverged" else math.inf for one in outcomes
    ]
    return -rows.solved, restricted_mean(rows), sum(ends)
