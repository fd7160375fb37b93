"""What the nets of a horizon are: their weights, state and units, and what an update costs."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jaxrnn.errors import InputError
from jaxrnn.experiment import Experiment
from jaxrnn.names import are_named, is_own
from jaxrnn.problems import SUITES
from jaxrnn.problems.horizon import CELLS, PREFIX, without_role
from jaxrnn.report.render import TableRow
from jaxrnn.scorecard.sizes import sized
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import Row
from jaxrnn.training.parts import num_weights, state_size
from jaxrnn.training.runner import seconds_a_time_step

COST = "cost.json"
COST_STEPS, CHUNK = 500, 50  # of ten trials
TIMED = replace(SUITES[f"{PREFIX}adding"], lengths=(100,))
"""Its first net and the same of another cell are timed beside each other."""


def known_cells(rows: Sequence[Row], names: Collection[str]) -> list[str]:
    """The cells of the rows that may be imported: the package's, and users' own among the
    ``names``."""
    cells = dict.fromkeys(row.experiment.cell for row in rows)
    return [cell for cell in cells if not is_own(cell) or cell in names]


def write_costs(cells: Sequence[str], out: Path, match: str = "weights") -> dict[str, float]:
    """The cost of an update of ten trials of each cell, by SGD on the adding problem, in units of
    the LSTM's cost, which is timed right before it on this machine. ``match`` is the protocol's.
    The costs are added to those in ``out``."""
    path = out / COST
    known = _read_costs(path)
    for cell in cells:
        if cell not in known:
            known[cell] = 1.0 if cell == TIMED.cells[0] else _relative_cost(cell, match)
            write_whole(path, json.dumps(known, indent=2).encode() + b"\n")
    return known


def _read_costs(path: Path) -> dict[str, float]:
    if not path.exists():
        return {}
    try:
        known = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or any(type(cost) is not float for cost in known.values()):
        raise InputError(f"{path} is not the cost of each cell: delete it to time them again")
    return known


def _relative_cost(cell: str, match: str) -> float:
    # In turn, since other work may slow down either.
    pair = [
        replace(sized(TIMED, name, match), optimizer="clipped_sgd", trials=10)
        for name in (TIMED.cells[0], cell)
    ]
    turns = [
        [seconds_a_time_step(one, updates=COST_STEPS, chunk=CHUNK) for one in pair]
        for _ in range(2)
    ]
    first, own = zip(*turns, strict=True)
    return round(min(own) / min(first), 2)


HEADINGS = ("net", "weights", "state", "units", "tuned by", "step")

UNNAMED = "-"
"""For the weights and the state of a net whose code the call does not name."""

LEGEND = (
    "Weights, state and units: from the least to the most of the tasks. State: the numbers that "
    "the net carries from one time step to the next. Tuned by: trials of its search on each task. "
    "Step: cost of an update of ten trials by SGD on the adding problem, divided by that of the "
    "LSTM, which is timed beside it."
)


def nets_table(
    rows: Sequence[Row],
    tried: Sequence[Row],
    costs: Mapping[str, float],
    names: Collection[str] = (),
) -> list[TableRow]:
    """For each cell: its weights, state and units, from the least to the most of its tasks, the
    trials of its search on each task (in ``tried``), and the cost of an update in units of the
    LSTM's. Users' own code is imported only if it is among the ``names``."""
    searched = Counter((row.experiment.cell, without_role(row.experiment.name)) for row in tried)
    lines = []
    cells = dict.fromkeys([*CELLS, *(row.experiment.cell for row in rows)])  # in their order
    for cell in filter({row.experiment.cell for row in rows}.__contains__, cells):
        made = {row.experiment for row in rows if row.experiment.cell == cell}
        trials = [searched[cell, without_role(one.name)] for one in made]
        cost = f"{costs[cell]:g}" if cell in costs else "-"
        shown = {"net": cell} | sizes(made, names) | {"tuned by": _range(trials), "step": cost}
        lines.append(TableRow(shown, None))
    return lines


def sizes(nets: Collection[Experiment], names: Collection[str]) -> dict[str, str]:
    """The weights, state and units of a cell's nets, from the least to the most; of nets whose code
    is not among the ``names`` only the units."""
    weights = state = UNNAMED
    if all(are_named(one, names) for one in nets):
        weights, state = _range(map(num_weights, nets)), _range(map(state_size, nets))
    return {"weights": weights, "state": state, "units": _range(one.hidden_size for one in nets)}


def _range(numbers: Iterable[int]) -> str:
    low, high = min(numbers := list(numbers)), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"
