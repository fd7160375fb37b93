"""The protocol: what every cell gets, whatever it is.

- The same budget of training sequences for every cell, and the same batch size, one by default.
- Units: as many as bring the number of weights closest to that of the LSTM with 16 units on the
  task; or, to match the state, the numbers that a net carries from one time step to the next.
- The search: learning rates of SGD and of Adam, the same for every cell, and the first biases of
  the gates that decide what a cell keeps, see :func:`remembering`. Each combination gets the same
  number of trials, on a separate seed. The combination that solves most trials is taken; ties go to
  the least restricted mean time; if none is solved, to the least error at the end.
- The report: fresh trials of that combination alone, on another seed.

The conditions of each task are those of :mod:`jaxrnn.problems.card`.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from jaxrnn.errors import InputError, Note, look_up, shown, whole_number
from jaxrnn.experiment import Experiment, flag_name
from jaxrnn.names import is_own
from jaxrnn.problems import SUITES, Suite
from jaxrnn.problems.card import SCORECARD
from jaxrnn.problems.horizon import SEARCH
from jaxrnn.report.compare import restricted_mean
from jaxrnn.report.summary import Rows, by_settings
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.run import under
from jaxrnn.training.parts import cell_of, drawn_biases, num_weights, parts_of, state_size

MATCHES: dict[str, tuple[str, Callable[[Experiment], int]]] = {
    "weights": ("weights", num_weights),
    "state": ("numbers in its state", state_size),
}
"""What the nets of all cells have equally many of, in words, and how it is counted."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What every cell gets, whatever it is."""

    max_steps: int = 20_000  # training sequences of a trial
    batch_size: int = 1
    match: str = "weights"  # a name of MATCHES
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
    # First biases of an input gate in the same cell: minus ``keeping``, times each of these.
    closing: Sequence[float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Raise InputError where there is nothing to choose from, or the report would see what the
        search has seen, or for an unknown match, a seed out of range, or what is no whole
        number."""
        settle_whole_numbers(self)
        check_seeds(self, seed=1, search_seed=1)
        look_up(MATCHES, "match", self.match)
        choices = {"keeping": self.keeping, "closing": self.closing, **self.learning_rates}
        if lacking := [name for name, values in choices.items() if not values]:
            raise InputError(f"{lacking[0]} must have at least one value")
        if not self.learning_rates:
            raise InputError("learning-rates must name at least one optimizer")
        if self.search_seed == self.seed:
            raise InputError(
                f"search-seed {self.search_seed} must differ from seed {self.seed}: the reported "
                "trials would have the weights and the sequences of the search"
            )


def settle_whole_numbers(protocol: Any) -> None:
    """Make a protocol's whole numbers Python's own, which can be written as JSON. Raises InputError
    for what is no whole number."""
    for one in fields(protocol):
        if one.type is int:
            value = whole_number(flag_name(one.name), getattr(protocol, one.name))
            object.__setattr__(protocol, one.name, value)


NUM_SEEDS = 2**32  # from 0 on, as Experiment has it


def check_seeds(protocol: Any, **used: int) -> None:
    """Refuse a first seed if it, or one of as many as are ``used`` from it on, is out of range. An
    experiment would refuse it, too, but only after the search."""
    for name, number in used.items():
        first, most = getattr(protocol, name), NUM_SEEDS - number
        if not 0 <= first <= most:
            more = f", since {number} seeds from it on are used" * (number > 1)
            raise InputError(f"{flag_name(name)} {shown(first)} must be from 0 to {most}{more}")


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


def searches(base: Experiment, protocol: Protocol) -> list[Experiment]:
    """The search of a cell on a task: every combination of the protocol, an experiment for each
    optimizer. Its rows belong to experiment NAME-search."""
    base = replace(
        base,
        name=base.name + SEARCH,
        batch_size=protocol.batch_size,
        max_steps=protocol.max_steps,
        trials=protocol.search_trials,
        seed=protocol.search_seed,
    )
    blocks = remembering(base, protocol)
    return [
        under(
            replace(base, optimizer=optimizer),
            [{"learning_rate": rate} | one for block in blocks for rate in rates for one in block],
        )
        for optimizer, rates in protocol.learning_rates.items()
    ]


def remembering(base: Experiment, protocol: Protocol) -> list[list[dict[str, float]]]:
    """The first biases toward remembering that the search tries for a cell, in blocks.

    All gates that decide what is kept get such biases. A gate that keeps (forget, update) gets each
    b of ``keeping``. A gate that lets in (input) gets -b if the cell has no gate that keeps;
    otherwise it gets -c b, with one block for each c of ``closing``. A cell without such gates has
    a single choice, without any setting.
    """
    drawn = drawn_biases(base.cell, cell_of(base))
    keeps, lets_in = "forget_bias" in drawn, "input_bias" in drawn
    if keeps and lets_in:
        return [
            [{"forget_bias": b, "input_bias": 0.0 - c * b} for b in protocol.keeping]
            for c in protocol.closing
        ]
    if keeps:
        return [[{"forget_bias": b} for b in protocol.keeping]]
    if lets_in:
        return [[{"input_bias": -b} for b in protocol.keeping]]
    return [[{}]]


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


def best(rows: Sequence[Row]) -> Experiment:
    """The experiment, of one trial, of the best combination among the rows of one cell's search, by
    :func:`rank`."""
    _, combinations = by_settings(rows)
    return min(combinations.values(), key=rank)[0].experiment


def rank(rows: Rows) -> tuple[float, float, float]:
    """The order of settings, the best one first: most trials solved, then the least restricted mean
    time, then the least error at the end of their learning curves."""
    outcomes = (row.outcome for row in rows)
    ends = [
        one.curve[-1] if one.curve and one.status != "diverged" else math.inf for one in outcomes
    ]
    return -rows.solved, restricted_mean(rows), sum(ends)


def reported(base: Experiment, sought: Sequence[Row], protocol: Protocol) -> Experiment:
    """The experiment that is reported for a cell on a task: fresh trials of the best combination
    among the search's rows, with all its settings."""
    return replace(best(sought), name=base.name, trials=protocol.trials, seed=protocol.seed)
