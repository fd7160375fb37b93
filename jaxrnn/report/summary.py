"""Rows in groups and their statistics, beside what was published."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from jaxrnn.errors import InputError
from jaxrnn.experiment import GRID, PER_TRIAL, SETTINGS, Experiment
from jaxrnn.names import is_own
from jaxrnn.problems import SUITES, Published, Source, settled, task_of
from jaxrnn.store.rows import Row, row_from

_OURS = Source("an experiment that is in no table")


class Line(NamedTuple):
    """One net at one length, in a grid under one combination: ours beside the published."""

    experiment: str
    cell: str
    length: int
    settings: dict[str, Any]  # those in which the rows of this net at this length differ
    trials: int
    solved: int
    diverged: int
    interval: tuple[float, float]  # of the share of trials that are solved, 95 %
    mean: float  # step of solution of the trials that were solved, NaN if none was
    median: float  # an unsolved trial counting as infinity, here and below
    least: float
    most: float
    published: Published | None  # None: nothing to compare with
    p_value: float | None  # two-sided Mann-Whitney, where each published trial is known
    st1_trials: int | None  # trials that came to criterion ST1, where it is a criterion
    st1_mean: float | None  # their mean steps until then
    # Of the final test's sequences, mean share in the solved trials; not on a user's own task.
    wrong: float | None


Given = Row | dict[str, Any]
"""A row as this package has it, or as :func:`jaxrnn.read_rows` and :func:`jaxrnn.run` give it."""


class Rows(list[Row]):
    """Rows of trials, those of one net at one length as a rule."""

    @classmethod
    def of(cls, rows: Iterable[Given]) -> "Rows":
        """Raises InputError for a dict that is no row."""
        if isinstance(rows, cls):
            return rows
        try:
            return cls(row if isinstance(row, Row) else row_from(row) for row in rows)
        except InputError as error:
            raise InputError(f"this is not a row of a trial: {error}") from None

    @property
    def solved(self) -> int:
        """The number of trials that were solved."""
        return sum(row.solved for row in self)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the share of trials that are solved."""
        return interval(self.solved, len(self))

    @property
    def times(self) -> list[float]:
        """Of each trial :func:`steps_to_solution`."""
        return [steps_to_solution(row) for row in self]


class Study:
    """Rows that a report is of, with what its views ask of them more than once."""

    def __init__(
        self,
        rows: Iterable[Given],
        own: Iterable[Given] | None = None,
        asked: Iterable[Sequence[Any]] = (),
    ) -> None:
        """``own`` are the rows of the run itself, by default all; other rows are shown beside
        them. ``asked`` is that entry of the run's configuration."""
        self.rows = Rows.of(rows)
        self.own = self.rows if own is None else Rows.of(own)
        held = Counter(row.net_at_length for row in self.own)
        wanted = {
            (str(name), str(cell), int(length)): trials for name, cell, length, trials in asked
        }
        self.missing = {
            net: (trials - held[net], trials)
            for net, trials in wanted.items()
            if trials > held[net]
        }
        """Trials that the run was asked for and that have not ended, and of how many, by net and
        length."""

    @cached_property
    def lines(self) -> list[Line]:
        """Their :func:`summarize`."""
        return summarize(self.rows)

    @cached_property
    def nets(self) -> dict[tuple[str, str, int], Rows]:
        """Their :func:`by_net`."""
        return by_net(self.rows)

    @cached_property
    def views(self) -> set[str]:
        """The views that their sources name."""
        return {source_of(name).view for name, _, _ in self.nets}

    @cached_property
    def own_cells(self) -> set[str]:
        """The cells of the run itself, if other rows stand beside its own; otherwise none."""
        beside = len(self.own) < len(self.rows)
        return {row.experiment.cell for row in self.own} if beside else set()

    @cached_property
    def is_grid(self) -> bool:
        """Whether any net has rows of several settings at one length."""
        return any(line.settings for line in self.lines)


def source_of(experiment: str) -> Source:
    """How the rows of an experiment are named, counted and shown."""
    suite = SUITES.get(experiment)
    return _OURS if suite is None else suite.source


def along_lengths(experiment: str) -> bool:
    """Whether the experiment's nets are compared along the lengths of one task; else each
    experiment stands for itself, beside its published row."""
    return source_of(experiment).view == "by_length"


def net_name(experiment: str, cell: str) -> str:
    """A net's name in tables and on the terminal; for a grid it is only the cell."""
    form = "{cell}" if experiment == GRID else source_of(experiment).net
    if "{cell}" not in form and SUITES[experiment].cells != (cell,):
        form = _OURS.net  # the name alone is that of the suite's one cell
    return form.format(cell=cell, name=experiment)


def row_name(experiment: str) -> str:
    """The experiment whose published row is shown beside this one: itself, or the one it departs
    from."""
    suite = SUITES.get(experiment)
    return experiment if suite is None or suite.beside is None else suite.beside.base.name


def uncounted(row: Row) -> int:
    """Training sequences of a solved trial that its experiment's source does not count.

    An experiment that is in no table counts from 0, as the notebook does, and a trial with a note,
    which says its part in a study, from 1.
    """
    suite = SUITES.get(row.experiment.name)
    if suite is None:
        return 0 if row.experiment.note else 1
    return suite.not_counted(row.experiment.window)


def steps_to_solution(row: Row, not_counted: int | None = None) -> float:
    """The step at which a trial was solved, infinity if it was not; counted as by its source, or
    less ``not_counted`` steps."""
    if (solved_at := row.outcome.solved_at) is None:
        return math.inf
    if not_counted is None:
        not_counted = uncounted(row)
    return float(solved_at + 1 - not_counted)


def published_beside(rows: Sequence[Row]) -> Published | None:
    """The published results beside the rows of one net at one length, if they were made as its
    suite says.

    All settings have to be the suite's, cap and window included; only the seed may differ.
    """
    first = rows[0].experiment
    suite = SUITES.get(first.name)
    if suite is None or len(made_as(suite.at(first.cell, first.length), rows)) < len(rows):
        return None
    return suite.published_at(first.cell, first.length)


def made_as(asked: Experiment, rows: Iterable[Row]) -> Rows:
    """Those of the rows that have all settings of the experiment; only their seed may differ."""
    expected = settled(replace(asked, seed=0)).alone(0)
    named = [row for row in rows if row.experiment.name == asked.name]
    made = {one for one in {row.experiment for row in named} if replace(one, seed=0) == expected}
    return Rows(row for row in named if row.experiment in made)


def guessing_of(made: Experiment) -> float | None:
    """The share of sequences that guessing gets right, where that is known without users' code."""
    if is_own(made.task) or made.measure is not None:
        return None
    with suppress(InputError):  # rows may be of a task that is no more
        task = task_of(made)
        return task.guessing if made.threshold == task.solved.threshold else None
    return None


def median(values: Sequence[float]) -> float:
    """The median; it is infinite if no more than half of the values are finite.

    For times to success it is the median of the Kaplan-Meier curve: the middle of the stretch where
    the curve is a half, if there is such a stretch.
    """
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return (low + high) / 2


def mann_whitney(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Two-sided p-value that two samples come from one distribution; infinity ranks as largest.

    1 where all values are the same, as when no trial of either sample was solved.
    """
    from scipy.stats import mannwhitneyu  # slow to import, and only needed here

    return float(mannwhitneyu(ours, theirs).pvalue)


@lru_cache(maxsize=4096)
def interval(solved: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a success rate, by Clopper & Pearson (exact, so conservative)."""
    from scipy.stats import binomtest

    bounds = binomtest(solved, trials).proportion_ci(0.95, method="exact")
    return float(bounds.low), float(bounds.high)


def by_net(rows: Iterable[Row]) -> dict[tuple[str, str, int], Rows]:
    """The rows of each experiment, cell and length, in the order in which these first appear."""
    groups: dict[tuple[str, str, int], Rows] = {}
    for row in rows:
        groups.setdefault(row.net_at_length, Rows()).append(row)
    return groups


def summarize(rows: Iterable[Given]) -> list[Line]:
    """One line for each experiment, cell, length and combination of settings.

    Length by length, or each experiment with its departures, as their source shows them, else in
    the order in which experiment and cell first appear; among combinations the best first: most
    trials solved, then lowest median.
    """
    lines: list[Line] = []
    settings = dict.fromkeys([*PER_TRIAL, *SETTINGS])
    for group in by_net(Rows.of(rows)).values():
        made = {row.experiment for row in group}
        differ = [name for name in settings if len({getattr(one, name) for one in made}) > 1]
        alike: dict[tuple[Any, ...], Rows] = {}
        for row in group:
            values = tuple(getattr(row.experiment, name) for name in differ)
            alike.setdefault(values, Rows()).append(row)
        parts = [
            _line(own, dict(zip(differ, values, strict=True))) for values, own in alike.items()
        ]
        lines += sorted(parts, key=lambda line: (-line.solved / line.trials, line.median))
    places: dict[str | None, int] = {}  # of what stands together, for any length
    for line in lines:
        places.setdefault(_together(line), len(places))
    return sorted(lines, key=lambda line: (places[_together(line)], line.length))


def _together(line: Line) -> str | None:
    return None if along_lengths(line.experiment) else row_name(line.experiment)


def _line(rows: Rows, settings: dict[str, Any]) -> Line:
    made = rows[0].experiment
    steps = rows.times
    finite = [value for value in steps if math.isfinite(value)]
    published = published_beside(rows)
    p_value = None
    if published is not None and published.trials is not None:
        p_value = mann_whitney(steps, [math.inf if s is None else s for s in published.trials])
    has_two = made.test_size > 0 and made.mean_error is not None and not made.only_mean
    correct = [at + 1 for row in rows if (at := row.outcome.correct_at) is not None]
    wrong = [row.outcome.final_wrong or 0 for row in rows if row.solved]
    num_tested = made.final_test * len(wrong)
    return Line(
        experiment=made.name,
        cell=made.cell,
        length=made.length,
        settings=settings,
        trials=len(rows),
        solved=rows.solved,
        diverged=sum(row.outcome.status == "diverged" for row in rows),
        interval=rows.interval,
        mean=sum(finite) / len(finite) if finite else math.nan,
        median=median(steps),
        least=min(steps),
        most=max(steps),
        published=published,
        p_value=p_value,
        st1_trials=len(correct) if has_two else None,
        st1_mean=sum(correct) / len(correct) if has_two and correct else None,
        wrong=sum(wrong) / num_tested if num_tested and not is_own(made.task) else None,
    )
