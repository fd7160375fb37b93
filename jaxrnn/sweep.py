"""Many experiments one after another into one run directory."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from jaxrnn.errors import InputError
from jaxrnn.experiment import GRID, Experiment, flag_name
from jaxrnn.results.rows import Row, make_row
from jaxrnn.results.run_directory import RunDirectory
from jaxrnn.suites import Suite
from jaxrnn.training.memory import check_memory
from jaxrnn.training.parts import settled
from jaxrnn.training.runner import Tally, run_trials


def expand(
    suite: Suite, cells: Sequence[str] | None, lengths: Sequence[int] | None, **settings: Any
) -> list[Experiment]:
    """The experiments of a suite, length by length, with some settings replaced.

    Raises InputError where a setting breaks its rule; the rest is :func:`jaxrnn.training.runner`'s
    to check.
    """
    return [
        suite.at(cell, length, **settings)
        for length in dict.fromkeys(lengths or suite.lengths)
        for cell in dict.fromkeys(cells or suite.cells)
    ]


def product(base: Experiment, axes: Mapping[str, Sequence[float]]) -> Experiment:
    """``base`` with its number of trials under every combination of some per-trial settings.

    Combination k has the trials from k n on, n the trials of ``base``; the last axis varies first.
    Repeated values count once. The rows belong to experiment "grid". Raises InputError for an axis
    without values and where a setting breaks its rule.
    """
    for name, values in axes.items():
        if not values:
            raise InputError(f"name at least one {flag_name(name)}")
    combinations = list(itertools.product(*map(dict.fromkeys, axes.values())))
    grid = dataclasses.replace(base, name=GRID, trials=base.trials * len(combinations))
    check_memory(grid)  # before there is a value for each trial
    settings: dict[str, Any] = {
        name: tuple(values[place] for values in combinations for _ in range(base.trials))
        for place, name in enumerate(axes)
    }
    return dataclasses.replace(grid, **settings)


def run_sweep(
    experiments: Iterable[Experiment],
    directory: RunDirectory,
    lanes: int | None = None,
    on_chunk: Callable[[Experiment, Tally], None] = lambda experiment, tally: None,
    on_rows: Callable[[Experiment, list[Row], bool], None] = lambda experiment, rows, new: None,
    on_start: Callable[[Experiment], None] = lambda experiment: None,
) -> list[Row]:
    """Run what the directory does not hold yet, ``lanes`` trials at a time, and return all rows.

    ``on_start`` is told of an experiment before its program is compiled, ``on_rows`` of every
    experiment's rows, ``new`` false where all were there already.
    Raises InputError where the directory was begun with other settings, and as
    :func:`jaxrnn.run_trials`.
    """
    given = {settled(experiment): experiment for experiment in experiments}
    directory.admit(list(given))
    for experiment, as_given in given.items():
        checkpoint, missing = directory.checkpoint(experiment), directory.missing(experiment)
        if missing:
            on_start(as_given)
            outcomes = run_trials(
                experiment,
                only=missing,
                lanes=lanes,
                on_chunk=partial(on_chunk, as_given),
                checkpoint=checkpoint,
            )
            directory.add(make_row(experiment, outcome) for outcome in outcomes)
        checkpoint.delete()  # a kill between the two may have left it
        on_rows(as_given, directory.rows_of(experiment), bool(missing))
    return directory.rows
