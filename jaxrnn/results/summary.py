"""Our rows beside the published ones: the table's numbers."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

from jaxrnn.experiment import PER_TRIAL, Experiment
from jaxrnn.results.rows import Row, make_settings
from jaxrnn.suites import EXPERIMENTS
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.suites.published import PAPER_RESULTS, PUBLISHED, PaperResult


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
    published: tuple[int | None, ...] | None  # None: nothing to compare with
    p_value: float | None  # two-sided Mann-Whitney
    # Of the 1997 paper's experiments:
    paper: PaperResult | None  # the row to compare with
    correct: float | None  # mean sequences of the trials that came to ST1, where it is a criterion
    num_correct: int | None  # how many did
    wrong: float | None  # of the final test's sequences, mean share in the solved trials


def steps_to_solution(row: Row) -> float:
    """The step at which a trial was solved, infinity if it was not.

    The notebook counts steps from 0. Of the 1997 paper's experiments it is the number of training
    sequences, less those at the end that the published numbers leave out.
    """
    if row["solved_at"] is None:
        return math.inf
    suite = PAPER.get(row["experiment"])
    return float(row["solved_at"] + (1 - suite.proof if suite else 0))


def is_as_published(row: Row) -> bool:
    """Whether a trial ran under the settings of the experiment whose results were published."""
    if row["experiment"] not in PUBLISHED:
        return False
    base = EXPERIMENTS[row["experiment"]].base
    varied = ("name", "cell", "length", "trials", "seed")
    names = [field.name for field in fields(Experiment) if field.name not in varied]
    expected = make_settings(base)
    # What an older version's row does not name was the default.
    defaults = make_settings(Experiment())
    return all(row.get(name, defaults[name]) == expected[name] for name in names)


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
    length, each of the 1997 paper's with its departures; among combinations the best first: most
    trials solved, then lowest median.
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
        places = {row: place for place, row in enumerate(dict.fromkeys(map(_paper_row, lines)))}
        lines.sort(key=lambda line: (places[_paper_row(line)], line.length))
    return lines


def _paper_row(line: Line) -> str | None:
    """The row of the paper that a line belongs to."""
    return PAPER[line.experiment].row if line.experiment in PAPER else None


def _line(rows: Sequence[Row], settings: dict[str, float]) -> Line:
    first = rows[0]
    steps = [steps_to_solution(row) for row in rows]
    finite = [value for value in steps if math.isfinite(value)]
    published = None
    if all(is_as_published(row) for row in rows):
        of_cell = PUBLISHED[first["experiment"]].get(first["cell"], {})
        published = of_cell.get(first["length"])
    p_value = None
    if published is not None:
        p_value = mann_whitney(steps, [math.inf if s is None else s for s in published])
    suite = PAPER.get(first["experiment"])
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
        paper=PAPER_RESULTS[suite.row].get(first["length"]) if suite else None,
        correct=sum(correct) / len(correct) if has_two and correct else None,
        num_correct=len(correct) if has_two else None,
        wrong=sum(row["final_wrong"] for row in solved) / num_tested if num_tested else None,
    )
