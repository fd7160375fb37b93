"""Our rows beside the published ones: the table's numbers."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

from jaxrnn.experiment import GRID, PER_TRIAL, Experiment
from jaxrnn.results.rows import Row, make_settings
from jaxrnn.suites import SUITES, Published, Source

_OURS = Source("an experiment that is in no table")


class Line(NamedTuple):
    """One net at one length, in a grid under one combination: ours beside the published."""

    experiment: str
    cell: str
    length: int
    settings: dict[str, float]  # those that differ from trial to trial at this length
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
    wrong: float | None  # of the final test's sequences, mean share in the solved trials


def source_of(experiment: str) -> Source:
    """How the rows of an experiment are named, counted and shown."""
    suite = SUITES.get(experiment)
    return _OURS if suite is None else suite.source


def net_name(experiment: str, cell: str) -> str:
    """A net's name in tables and on the terminal; the settings of a grid go without saying."""
    form = "{cell}" if experiment == GRID else source_of(experiment).net
    if "{cell}" not in form and SUITES[experiment].cells != (cell,):
        form = _OURS.net  # the name alone is that of the suite's one cell
    return form.format(cell=cell, name=experiment)


def row_name(experiment: str) -> str:
    """The experiment whose published row one is laid beside: its own, or what it departs from."""
    suite = SUITES.get(experiment)
    return experiment if suite is None or suite.beside is None else suite.beside.base.name


def steps_to_solution(row: Row) -> float:
    """The step at which a trial was solved as its source counts, infinity if it was not.

    An experiment that is in no table counts from 0, as the notebook does.
    """
    if row["solved_at"] is None:
        return math.inf
    suite = SUITES.get(row["experiment"])
    return float(row["solved_at"] + 1 - (1 if suite is None else suite.uncounted))


def published_beside(rows: Sequence[Row]) -> Published | None:
    """What the rows of one net at one length are laid beside.

    Where it is every trial's own step, only rows made under all of the suite's settings are.
    """
    first = rows[0]
    suite = SUITES.get(first["experiment"])
    if suite is None:
        return None
    published = suite.published_at(first["cell"], first["length"])
    if published is None or published.trials is None:
        return published
    varied = ("name", "cell", "length", "trials", "seed")
    names = [field.name for field in fields(Experiment) if field.name not in varied]
    expected = make_settings(suite.at(first["cell"], first["length"]))
    # What an older version's row does not name was the default.
    defaults = make_settings(Experiment())
    agree = (row.get(name, defaults[name]) == expected[name] for row in rows for name in names)
    return published if all(agree) else None


def median(values: Sequence[float]) -> float:
    """The median, infinite where the middle is."""
    ordered = sorted(values)
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return (low + high) / 2


def mann_whitney(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Two-sided p-value that two samples come from one distribution; infinity ranks as largest.

    1 where all values are the same, as when no trial of either sample was solved.
    """
    from scipy.stats import mannwhitneyu  # slow to import, and only needed here

    if len({*ours, *theirs}) == 1:
        return 1.0
    finite = [value for value in (*ours, *theirs) if math.isfinite(value)]
    largest = max(finite) + 1
    clipped = [[min(value, largest) for value in sample] for sample in (ours, theirs)]
    return float(mannwhitneyu(*clipped, alternative="two-sided").pvalue)


def interval(solved: int, trials: int) -> tuple[float, float]:
    """95 % confidence interval of a success rate, by Clopper & Pearson (exact, so conservative)."""
    from scipy.stats import binomtest

    bounds = binomtest(solved, trials).proportion_ci(0.95, method="exact")
    return float(bounds.low), float(bounds.high)


def settings_that_differ(rows: Sequence[Row]) -> list[str]:
    """The per-trial settings that differ among the rows of one net at one length."""
    return [name for name in PER_TRIAL if len({row.get(name) for row in rows}) > 1]


def summarize(rows: Sequence[Row]) -> list[Line]:
    """One line for each experiment, cell, length and combination of per-trial settings.

    In the order in which experiment, cell and length first appear, several experiments length by
    length, or each with its departures, as their source shows them; among combinations the best
    first: most trials solved, then lowest median.
    """
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["experiment"], row["cell"], row["length"]), []).append(row)
    lines = []
    for group in groups.values():
        names = settings_that_differ(group)
        combinations: dict[tuple[float, ...], list[Row]] = {}
        for row in group:
            combinations.setdefault(tuple(row[name] for name in names), []).append(row)
        parts = [
            _line(rows, dict(zip(names, values, strict=True)))
            for values, rows in combinations.items()
        ]
        lines += sorted(parts, key=lambda line: (-line.solved / line.trials, line.median))
    if len({line.experiment for line in lines}) > 1:
        places = {name: place for place, name in enumerate(dict.fromkeys(map(_together, lines)))}
        lines.sort(key=lambda line: (places[_together(line)], line.length))
    return lines


def _together(line: Line) -> str | None:
    """What lines share that stand together, whatever their length."""
    return None if source_of(line.experiment).by_length else row_name(line.experiment)


def _line(rows: Sequence[Row], settings: dict[str, float]) -> Line:
    first = rows[0]
    steps = [steps_to_solution(row) for row in rows]
    finite = [value for value in steps if math.isfinite(value)]
    published = published_beside(rows)
    p_value = None
    if published is not None and published.trials is not None:
        p_value = mann_whitney(steps, [math.inf if s is None else s for s in published.trials])
    has_two = bool(first.get("test_size")) and first.get("mean_error") is not None
    correct = [row["correct_at"] + 1 for row in rows if row.get("correct_at") is not None]
    solved = [row for row in rows if row["solved_at"] is not None]
    num_tested = first.get("final_test", 0) * len(solved)
    return Line(
        experiment=first["experiment"],
        cell=first["cell"],
        length=first["length"],
        settings=settings,
        trials=len(rows),
        solved=len(finite),
        diverged=sum(row["status"] == "diverged" for row in rows),
        interval=interval(len(finite), len(rows)),
        mean=sum(finite) / len(finite) if finite else math.nan,
        median=median(steps),
        least=min(steps),
        most=max(steps),
        published=published,
        p_value=p_value,
        st1_trials=len(correct) if has_two else None,
        st1_mean=sum(correct) / len(correct) if has_two and correct else None,
        wrong=sum(row["final_wrong"] for row in solved) / num_tested if num_tested else None,
    )
