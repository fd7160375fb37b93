"""Our rows beside the published ones: the table's numbers."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

from jaxrnn.experiments import EXPERIMENTS, Experiment
from jaxrnn.published import PUBLISHED
from jaxrnn.store import Row


class Line(NamedTuple):
    """One net at one length: ours beside the published."""

    experiment: str
    cell: str
    length: int
    trials: int
    solved: int
    diverged: int
    median: float  # of the step of solution, an unsolved trial counting as infinity
    least: float
    most: float
    published: tuple[int | None, ...] | None  # None: nothing to compare with
    p_value: float | None  # two-sided Mann-Whitney


def steps_to_solution(row: Row) -> float:
    """The step at which a trial was solved, infinity if it was not."""
    return math.inf if row["solved_at"] is None else float(row["solved_at"])


def is_as_published(row: Row) -> bool:
    """Whether a trial ran under the settings of the experiment whose results were published."""
    base = EXPERIMENTS[row["experiment"]].base
    varied = ("name", "cell", "length", "trials", "seed")
    names = [field.name for field in fields(Experiment) if field.name not in varied]
    return all(row.get(name) == getattr(base, name) for name in names)


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


def summarize(rows: Sequence[Row]) -> list[Line]:
    """One line for each experiment, cell and length, in the order in which they first appear."""
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["experiment"], row["cell"], row["length"]), []).append(row)
    lines = []
    for (experiment, cell, length), group in groups.items():
        steps = [steps_to_solution(row) for row in group]
        published = None
        if all(is_as_published(row) for row in group):
            published = PUBLISHED.get(experiment, {}).get(cell, {}).get(length)
        p_value = None
        if published is not None:
            p_value = mann_whitney(steps, [math.inf if s is None else s for s in published])
        lines.append(
            Line(
                experiment=experiment,
                cell=cell,
                length=length,
                trials=len(group),
                solved=sum(row["status"] == "solved" for row in group),
                diverged=sum(row["status"] == "diverged" for row in group),
                median=median(steps),
                least=min(steps),
                most=max(steps),
                published=published,
                p_value=p_value,
            )
        )
    return lines
