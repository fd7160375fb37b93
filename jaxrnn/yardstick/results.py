"""What is known of a cell on a task, from its rows: what each search has found, and the horizon."""

import math
import shlex
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from jaxrnn.experiment import OPTIONS, SETTINGS, Experiment, flag_name
from jaxrnn.problems import NOTEBOOK, settled
from jaxrnn.report.render import steps_in_words
from jaxrnn.report.summary import Rows, median
from jaxrnn.store.rows import Row
from jaxrnn.yardstick import CELLS, PREFIX, RECIPE, SLOW, SUITES, TASKS
from jaxrnn.yardstick.protocol import (
    FULL,
    QUICK,
    Found,
    Gap,
    Try,
    chains,
    counted,
    gap,
    lacking,
    median_of,
    places,
    replayed,
    search,
)
from jaxrnn.yardstick.search import RECIPE_TRIALS, SLOW_SETTINGS, lag_in_words

Net = tuple[str, str]  # task and cell


class Remembered:
    """What is known of a cell on a task. Lags are places among ``lags``, as the protocol has it."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """From all rows of the net."""
        self.rows = Rows(rows)
        note = self.rows[0].experiment.note
        self.lags = [int(lag) for lag in note["lags"].split()]
        self.plan = {plan.name: plan for plan in (FULL, QUICK)}[note["plan"]]
        self._times: dict[int, dict[Try, float]] = {}  # of the searches, 0 for the default
        of_search = Rows(row for row in self.rows if row.experiment.note["role"] not in APART)
        for row, time in zip(of_search, of_search.times, strict=True):
            note = row.experiment.note
            one = Try(note["setting"], self.lags.index(row.experiment.length), note["repeat"])
            self._times.setdefault(note["search"], {})[one] = time

    def of_role(self, role: str) -> Rows:
        """The rows of a role."""
        return Rows(row for row in self.rows if row.experiment.note["role"] == role)

    @cached_property
    def found(self) -> dict[int, Found]:
        """What each search that is over has found."""
        numbers = range(1, 1 + self.plan.searches)
        of_each = {
            number: replayed(search(self.plan, len(self.lags)), self._times.get(number, {}))
            for number in numbers
        }
        return {number: found for number, found in of_each.items() if found is not None}

    @cached_property
    def default(self) -> list[float]:
        """How far each chain of the declared default came; empty until all are over."""
        asking = chains(self.plan, len(self.lags))
        return replayed(asking, self._times.get(0, {})) or [] if self.plan.chains else []

    @cached_property
    def lacks(self) -> list[int]:
        """The numbers of the searches that are still to end."""
        return lacking(self.plan, self.found, len(self.lags))

    @property
    def is_over(self) -> bool:
        """Whether all trials of the net have ended."""
        has_default = bool(self.default) or not self.plan.chains
        last = len(self.recipe) == RECIPE_TRIALS or len(self.slow) == SLOW_SETTINGS
        return not self.lacks and has_default and last

    @property
    def recipe(self) -> Rows:
        """Fresh trials of the farthest search's setting, at its lag."""
        return self.of_role(RECIPE)

    @property
    def slow(self) -> Rows:
        """Trials at the shortest lag with a longer budget, where no search has learned it."""
        return self.of_role(SLOW)

    @property
    def learned_late(self) -> str:
        """The median of the sequences after which these were solved; empty if none was."""
        times = [*filter(math.isfinite, self.slow.times)]
        return steps_in_words(median(times)) if times else ""

    @cached_property
    def places(self) -> list[float]:
        """What the searches have found, as places; only once all are over."""
        return places(self.plan, self.found)

    def octave(self, place: float) -> float:
        """A place as the logarithm of its lag to the base of 2; nothing is half of the shortest."""
        if place < 0:
            return math.log2(self.lags[0]) + place
        below = math.floor(place)
        above = min(below + 1, len(self.lags) - 1)
        low, high = (math.log2(self.lags[k]) for k in (below, above))
        return low + (high - low) * (place - below)

    @property
    def middle(self) -> float:
        """The horizon as a place."""
        return median_of(self.places)[0]

    @property
    def is_longest(self) -> bool:
        """Whether the horizon is the longest lag that was tried, or beyond."""
        return self.middle == len(self.lags) - 1

    @property
    def horizon(self) -> str:
        """The horizon in words."""
        words = lag_in_words(self.middle, self.lags)
        return f"≥{words}" if self.is_longest else words

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The horizon is at least at the first place and below the second; None bounds nothing."""
        _, least, greatest = median_of(self.places)
        beyond = max(0.0, greatest + 1)
        return least if least >= 0 else None, beyond if beyond <= len(self.lags) - 1 else None

    @property
    def bounds(self) -> str:
        """The horizon's interval in words: "32-128" is at least 32 and below 128; "≥32" and "<128"
        have one bound, "-" has none."""
        low, high = (
            "" if place is None else lag_in_words(place, self.lags) for place in self.interval
        )
        if low and high:
            return f"{low}-{high}"
        return f"≥{low}" if low else f"<{high}" if high else "-"

    def more_than(self, other: "Remembered") -> Gap:
        """How many octaves more its searches find, by those that both nets have made."""
        both = [number for number in self.found if number in other.found]
        ours, theirs = (
            [net.octave(net.found[number].place) for number in both] for net in (self, other)
        )
        return gap(ours, theirs)

    @property
    def tuning_gains(self) -> Gap | None:
        """How many octaves more a search finds than the declared default reaches."""
        if not self.default:
            return None
        found, default = (
            [*map(self.octave, some[: self.plan.chains])] for some in (self.places, self.default)
        )
        return gap(found, default)

    @cached_property
    def counts(self) -> tuple[list[int], list[int]]:
        """How many settings were tried and solved at each lag, by all searches."""
        every = (one for number, of in self._times.items() if number for one in of.items())
        return counted(every, len(self.lags))


APART = (RECIPE, SLOW)
"""Roles that no search has, and no chain of the default."""


def command_of(made: Experiment, trials: int) -> str:
    """``jaxrnn sweep`` for so many trials of an experiment: the task and the settings that differ
    from those of the task's own experiment. For a user's own task, whose code is not imported, they
    are all that differ from the usual ones."""
    words = ["jaxrnn", "sweep", made.cell]
    if (suite := SUITES.get(made.name)) is not None:
        words += ["--experiment", made.name]
        like = settled(suite.at(made.cell, made.length))
    else:
        words += ["--tasks", made.task]
        like = NOTEBOOK.at(made.cell, made.length, task=made.task)
    words += ["--lengths", str(made.length), "--trials", str(trials)]
    for name in SETTINGS:
        value = getattr(made, name)
        if name in ("name", "cell", "task", "length", "trials") or value == getattr(like, name):
            continue
        words.append(f"--{flag_name(name)}")
        if name in OPTIONS:
            words += [f"{option}={one}" for option, one in value]
        elif value is not True:
            words.append(str(value))
    return shlex.join(words)


class Card(NamedTuple):
    """The nets of some rows, and the order in which they are shown."""

    nets: dict[Net, Remembered]
    tasks: list[str]
    cells: list[str]
    under_way: dict[Net, Remembered]  # those with trials that are still to end

    def of_task(self, task: str) -> list[tuple[str, Remembered]]:
        """The cells that a task has, each with what is known of it."""
        return [(cell, self.nets[task, cell]) for cell in self.cells if (task, cell) in self.nets]


def card_of(rows: Iterable[Row]) -> Card:
    """The nets of these rows; tasks and cells by families."""
    by_net: dict[Net, list[Row]] = {}
    for row in rows:
        made = row.experiment
        by_net.setdefault((made.name.removeprefix(PREFIX), made.cell), []).append(row)
    every = {net: Remembered(some) for net, some in by_net.items()}
    nets = {net: one for net, one in every.items() if one.is_over}
    under_way = {net: one for net, one in every.items() if net not in nets}
    tasks, cells = (list(dict.fromkeys(net[k] for net in nets)) for k in (0, 1))
    for names, order in ((tasks, list(TASKS)), (cells, CELLS)):
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    return Card(nets, tasks, cells, under_way)
