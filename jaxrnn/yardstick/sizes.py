"""The nets of a horizon: their size, and the cost of an update."""

import json
import math
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxrnn.errors import InputError, Note
from jaxrnn.experiment import Experiment
from jaxrnn.names import are_named, is_own
from jaxrnn.problems import Suite
from jaxrnn.report.render import TableRow
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import Row
from jaxrnn.training.parts import cell_of, drawn_biases, num_weights, parts_of, state_size
from jaxrnn.training.runner import seconds_a_time_step
from jaxrnn.yardstick import CELLS, TASKS

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


COST = "cost.json"
COST_STEPS, CHUNK = 500, 50  # of ten trials
TIMED = replace(TASKS["adding"], lengths=(100,))
"""Its first net and the same of another cell are timed beside each other."""


def write_costs(cells: Iterable[str], out: Path, match: str = "weights") -> dict[str, float]:
    """The cost of an update of ten trials of each cell, by SGD on the adding problem, in units of
    the LSTM's cost, which is timed right before it on this machine. ``match`` is the protocol's.
    The costs are added to those in ``out``."""
    path = out / COST
    known: Any = {}
    if path.exists():
        try:
            known = json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError):
            known = None
        if not isinstance(known, dict) or any(type(cost) is not float for cost in known.values()):
            raise InputError(f"{path} is not the cost of each cell: delete it to time them again")
    first = TIMED.cells[0]
    for cell in cells:
        if cell in known:
            continue
        known[cell] = 1.0
        if cell != first:
            seconds = {first: math.inf, cell: math.inf}
            for name in (first, cell, first, cell):  # since other work may slow down either
                one = replace(sized(TIMED, name, match), optimizer="clipped_sgd", trials=10)
                timed = seconds_a_time_step(one, updates=COST_STEPS, chunk=CHUNK)
                seconds[name] = min(seconds[name], timed)
            known[cell] = round(seconds[cell] / seconds[first], 2)
        write_whole(path, json.dumps(known, indent=2).encode() + b"\n")
    return known


HEADINGS = ("net", "weights", "state", "units", "trials", "step")

LEGEND = (
    "Weights, state and units: from the least to the most of the tasks. State: the numbers that "
    "the net carries from one time step to the next. Trials: on each task. "
    "Step: cost of an update of ten trials by SGD on the adding problem, divided by that of the "
    "LSTM, which is timed beside it."
)


def nets_table(
    rows: Sequence[Row], costs: Mapping[str, float], names: Collection[str] = ()
) -> list[TableRow]:
    """For each cell: its weights, state and units, from the least to the most of its tasks, its
    trials on each task, and the cost of an update in units of the LSTM's. Users' own code is
    imported only if it is among the ``names``."""
    trials = Counter(row.net for row in rows)
    lines = []
    cells = dict.fromkeys([*CELLS, *(row.experiment.cell for row in rows)])  # in their order
    for cell in filter({row.experiment.cell for row in rows}.__contains__, cells):
        nets = {row.net: row.experiment for row in rows if row.experiment.cell == cell}
        cost = f"{costs[cell]:g}" if cell in costs else "-"
        shown = {"net": cell} | sizes(nets.values(), names)
        shown |= {"trials": _range(trials[net] for net in nets), "step": cost}
        lines.append(TableRow(shown, None))
    return lines


def sizes(nets: Collection[Experiment], names: Collection[str]) -> dict[str, str]:
    """The weights, state and units of a cell's nets, from the least to the most; of nets whose code
    is not among the ``names`` only the units."""
    weights = state = "-"
    if all(are_named(one, names) for one in nets):
        weights, state = _range(map(num_weights, nets)), _range(map(state_size, nets))
    return {"weights": weights, "state": state, "units": _range(one.hidden_size for one in nets)}


def _range(numbers: Iterable[int]) -> str:
    low, high = min(numbers := list(numbers)), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"
