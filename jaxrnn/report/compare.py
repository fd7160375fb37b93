"""View: nets on one task: which solves it sooner, and whether that may be chance; a table.

The time of a trial is its step of solution. It is censored where the trial was not solved: at the
cap, also where it diverged, since a diverged net is not solved before the cap whatever happens.
So all trials of a comparison are censored at one step, and the Kaplan-Meier estimate of those not
yet solved is their share. Trials count as independent; two nets under one seed see the same
sequences, but the comparison does not use this.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxrnn.errors import InputError, shown
from jaxrnn.experiment import CONDITIONS, conditions_of, flag_name
from jaxrnn.report.render import Part, Table, TableRow, bounds_in_percent, html_of, p_in_words
from jaxrnn.report.summary import (
    Given,
    Rows,
    Study,
    by_net,
    mann_whitney,
    median,
    net_name,
    steps_to_solution,
    uncounted,
)
from jaxrnn.store.rows import Row


class Comparison(NamedTuple):
    """Two nets on one task. Of each pair, the first value is for the first net."""

    trials: tuple[int, int]
    solved: tuple[int, int]
    median: tuple[float, float]  # step of solution, infinite where no more than half are solved
    restricted_mean: tuple[float, float]  # of the step of solution, or the cap where that is less
    sooner: float  # probability that a trial of the first is solved before one of the second
    interval: tuple[float, float]  # of that probability, 95 %
    log_rank: float  # two-sided p-value that the times of both have one distribution
    mann_whitney: float  # the same by ranks, an unsolved trial counting as later than all

    def _repr_html_(self) -> str:
        return html_of(self)


def compare(first: Iterable[Given], second: Iterable[Given]) -> Comparison:
    """Compare the rows of two nets, made under the same ``CONDITIONS``.

    ``sooner`` is the share of pairs of trials, one of each net, in which the first net's is solved
    at an earlier step; a tie counts half, and two unsolved trials are a tie. It is Mann & Whitney's
    U over the number of pairs, its interval is :func:`interval_of_probability`. The log-rank test
    asks at each step which of the trials not yet solved is solved next. So it gives late steps more
    weight than the test of Mann & Whitney does. Both p-values are 1 if all trials end in the same
    way, for example if none is solved. Steps are counted as the first net's source counts them.
    Medians and restricted means are those of the curve of :func:`kaplan_meier`.

    Raises InputError where a net has no rows, and for rows of other conditions.

    Source: Kaplan & Meier 1958; Mantel 1966, by ``scipy.stats.logrank``; Mann & Whitney 1947.
    """
    ours, theirs = Rows.of(first), Rows.of(second)
    (a, b), cap = _times_and_cap(ours, theirs)
    sooner = sum((x < y) + (x == y) / 2 for x in a for y in b) / (len(a) * len(b))
    return Comparison(
        trials=(len(a), len(b)),
        solved=(ours.solved, theirs.solved),
        median=(median(a), median(b)),
        restricted_mean=(_mean_until(cap, a), _mean_until(cap, b)),
        sooner=sooner,
        interval=interval_of_probability(sooner, len(a), len(b)),
        log_rank=log_rank(a, b),
        mann_whitney=mann_whitney(a, b),
    )


def kaplan_meier(rows: Iterable[Given], not_counted: int | None = None) -> Any:
    """The share of a net's trials that are not yet solved at each step, with its uncertainty.

    Steps are counted as by the net's source, or, if it is given, less the number ``not_counted``.
    Raises InputError where there are no rows, and for rows of several ``CONDITIONS``.

    ``curve.quantiles`` are steps, ``curve.probabilities`` the shares after them;
    ``curve.confidence_interval(method="log-log")`` has a curve for each bound.

    Source: Kaplan & Meier 1958, by ``scipy.stats.ecdf``, whose ``EmpiricalDistributionFunction``
    it is.
    """
    from scipy.stats import ecdf

    (steps,), cap = _times_and_cap(Rows.of(rows), not_counted=not_counted)
    return ecdf(_censored(steps, cap)).sf


def restricted_mean(rows: Sequence[Row]) -> float:
    """Mean of a net's times to success, or of the cap where that is less: the area below its
    :func:`kaplan_meier` curve."""
    (steps,), cap = _times_and_cap(rows)
    return _mean_until(cap, steps)


def log_rank(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p-value that two samples of times have one distribution, by the log-rank test.

    Infinite times are censored after all others. The p-value is 1 if all times are the same.
    """
    from scipy.stats import logrank

    together = {*first, *second}
    if len(together) == 1:
        return 1.0
    last = max(filter(math.isfinite, together))  # events come before what is censored at their step
    return float(logrank(_censored(first, last), _censored(second, last)).pvalue)


def interval_of_probability(share: float, num_first: int, num_second: int) -> tuple[float, float]:
    """95 % interval of the probability that a first value is smaller than a second, from its share
    of pairs.

    Each bound is the p from which the share is z standard errors away, with the variance for
    exponential times, p (1 - p) (1 + k ((1 - p) / (2 - p) + p / (1 + p))) / (m n) for m and n
    trials and k = (m + n) / 2 - 1. It has width also where the share is 0 or 1.

    Source: Newcombe 2006, Statistics in Medicine 25:559, method 5; the variance is Hanley &
    McNeil's 1982.
    """
    from scipy.optimize import brentq

    z = 1.959964
    k = (num_first + num_second) / 2 - 1

    def beyond(p: float) -> float:
        """How much further away the share is than z standard errors, squared."""
        spread = 1 + k * ((1 - p) / (2 - p) + p / (1 + p))
        return (share - p) ** 2 - z**2 * p * (1 - p) * spread / (num_first * num_second)

    # This is above 0 at the ends and below 0 near the share, so each bound is the root in between.
    # A share of 0 or 1 is a root itself.
    low = 0.0 if share == 0 else brentq(beyond, 0.0, min(share, 1 - 1e-9))
    high = 1.0 if share == 1 else brentq(beyond, max(share, 1e-9), 1.0)
    return float(low), float(high)


def _censored(steps: Sequence[float], cap: float) -> Any:
    from scipy.stats import CensoredData

    return CensoredData.right_censored(np.minimum(steps, cap), np.isinf(steps))


def _mean_until(cap: float, steps: Sequence[float]) -> float:
    return sum(min(step, cap) for step in steps) / len(steps)


def _times_and_cap(
    *nets: Sequence[Row], not_counted: int | None = None
) -> tuple[list[list[float]], int]:
    """The steps of solution of each net's trials, and where the others are censored; counted as the
    first net's source counts them, or less the number ``not_counted``. Raises InputError where a
    net has no rows, and for rows of several conditions."""
    if not all(nets):
        raise InputError("there are no rows of a net to compare: read those of its trials")
    expected, *others = dict.fromkeys(row.experiment for rows in nets for row in rows)
    for name in CONDITIONS:
        for one in others:
            value, other = getattr(expected, name), getattr(one, name)
            if value != other:
                raise InputError(
                    f"{flag_name(name)} {shown(value)} and {shown(other)} are not the same "
                    "conditions: compare nets on one task, length, stop rule and cap"
                )
    if not_counted is None:
        not_counted = uncounted(nets[0][0])
    times = [[steps_to_solution(row, not_counted) for row in rows] for rows in nets]
    return times, expected.max_steps - not_counted


# In the report


def rivals(rows: Iterable[Row]) -> list[list[Rows]]:
    """The rows of a run's nets in groups under the same ``CONDITIONS``, if a group has several
    nets. Lengths are in order, nets as they first appear. A net whose rows have several settings is
    left out: these same trials choose a grid's best combination, so it would seem better than it
    is.
    """
    alike: dict[tuple[Any, ...], list[Rows]] = {}
    for group in by_net(rows).values():
        if len({row.experiment for row in group}) == 1:
            alike.setdefault(conditions_of(group[0].experiment), []).append(group)
    several = [nets for nets in alike.values() if len(nets) > 1]
    return sorted(several, key=lambda nets: nets[0][0].experiment.length)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for the number of tests: by chance alone, the smallest is below a level no
    more often than the level says.

    The k-th smallest of m is multiplied by m - k + 1. The result is at least that of any smaller
    one, and at most 1.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    ascending = np.minimum(np.maximum.accumulate(np.sort(p_values) * factors), 1.0)
    adjusted = np.empty(len(order))
    adjusted[order] = ascending
    return adjusted.tolist()


HEADINGS = (
    *("net", "T", "against", "sooner", "95%"),
    *("log-rank p", "log-rank Holm", "Mann-Whitney p", "Mann-Whitney Holm"),
)

LEGEND = (
    "Each net against the first one of the same task, length, stop rule and cap. Sooner: share of "
    "pairs of trials in which the net's trial is solved at an earlier step; a tie (also of two "
    "unsolved trials) counts half. 95%: confidence interval of that probability (Newcombe). Then "
    "two-sided p-values of two tests: the log-rank test, which censors unsolved trials at the cap, "
    "and Mann and Whitney's, for which they are later than all others. Holm: the same, adjusted "
    "for the {} of this table. Without that, about one p-value in twenty is below 0.05 for nets "
    "that do not differ."
)


Pair = tuple[Rows, Rows]


def compared(pairs: Sequence[Pair]) -> list[tuple[Pair, Comparison, float, float]]:
    """How the nets of each pair compare, and the p-values of the log-rank test and of Mann and
    Whitney's, adjusted by :func:`holm` for the number of pairs."""
    results = [compare(*pair) for pair in pairs]
    log_rank = holm([one.log_rank for one in results])
    mann_whitney = holm([one.mann_whitney for one in results])
    return list(zip(pairs, results, log_rank, mann_whitney, strict=True))


def comparison_rows(rows: Iterable[Row]) -> list[TableRow]:
    """Each net of a run against the first of its :func:`rivals`."""
    pairs = [(net, first) for first, *others in rivals(rows) for net in others]
    lines = []
    for (net, first), result, *adjusted in compared(pairs):
        length = net[0].experiment.length
        about = {"net": net_name(*net[0].net), "T": str(length)}
        p_values = result.log_rank, adjusted[0], result.mann_whitney, adjusted[1]
        values = (
            *(*about.values(), net_name(*first[0].net)),
            *(f"{100 * result.sooner:.0f}%", bounds_in_percent(result.interval)),
            *map(p_in_words, p_values),
        )
        lines.append(TableRow(dict(zip(HEADINGS, values, strict=True)), length, about))
    return lines


def view(study: Study) -> list[Part]:
    """The comparisons, if there are :func:`rivals`."""
    lines = comparison_rows(study.rows)
    number = f"{len(lines)} comparison{'s' * (len(lines) != 1)}"
    legend, dispensable = LEGEND.format(number), ("log-rank p", "log-rank Holm")
    table = Table("Which net is solved sooner", HEADINGS, lines, legend, dispensable)
    return [table] if lines else []
