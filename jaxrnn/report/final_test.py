"""View: how the nets do in their final test, on tasks of the user's own; a table and a picture.

A rule for "solved" is seldom what data is about: there the answer is how much of the test set a net
gets right, or how far off it is.
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxrnn.experiment import conditions_of
from jaxrnn.names import is_own
from jaxrnn.report.drawing import COLORS, heading, plain, put_heading, put_legend, spread_around
from jaxrnn.report.render import Part, Picture, Table, TableRow, all_shortened
from jaxrnn.report.summary import Rows, Study, net_name
from jaxrnn.store.rows import Row


class Tested(NamedTuple):
    """The final tests of one net, and how they differ from those of the first."""

    rows: Rows
    values: list[float]  # of each trial that was tested
    interval: tuple[float, float]  # of their mean, 95 %
    more: tuple[float, float, float] | None  # than the first net's: the difference and its 95 %

    @property
    def mean(self) -> float:
        """Of the trials that were tested, NaN if none was."""
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def is_share(self) -> bool:
        """Whether the values are shares of the test set that are right, not mean errors."""
        return not self.rows[0].experiment.only_mean


def value_of(row: Row) -> float | None:
    """The share of the final test's sequences that a trial gets right; its mean error, where this
    alone decides what is solved; None for a trial that was not tested."""
    wrong, error = row.outcome.final_wrong, row.outcome.final_error
    if row.experiment.only_mean or wrong is None:
        return error
    return 1 - wrong / row.experiment.final_test


def tested(study: Study) -> list[list[Tested]]:
    """The nets of each task of the user's own that has a final test, those that were trained under
    the same conditions together.

    The mean has Student's interval; the differences from the first net have Welch's, which hold
    together, by Bonferroni. With fewer than two trials a net has neither.
    """
    groups: dict[Any, list[Rows]] = {}
    for rows in study.nets.values():
        made = rows[0].experiment
        if is_own(made.task) and made.final_test:
            groups.setdefault((conditions_of(made), made.final_test), []).append(rows)
    return [_side_by_side(nets) for nets in groups.values()]


def _side_by_side(nets: Sequence[Rows]) -> list[Tested]:
    from scipy.stats import ttest_1samp, ttest_ind  # slow to import

    every = [[one for row in rows if (one := value_of(row)) is not None] for rows in nets]
    more: dict[int, tuple[float, float, float]] = {}
    for number, values in enumerate(every):
        if number and min(len(values), len(every[0])) > 1:
            by, level = float(np.mean(values) - np.mean(every[0])), 1 - 0.05 / (len(every) - 1)
            bounds = by, by  # where neither net's values differ
            if max(len({*values}), len({*every[0]})) > 1:
                with warnings.catch_warnings():  # of values that are nearly the same
                    warnings.simplefilter("ignore", RuntimeWarning)
                    test = ttest_ind(values, every[0], equal_var=False)
                found = test.confidence_interval(level)
                bounds = float(found.low), float(found.high)
            more[number] = by, *bounds
    result = []
    for number, (rows, values) in enumerate(zip(nets, every, strict=True)):
        bounds = math.nan, math.nan
        if len({*values}) > 1:
            around = ttest_1samp(values, 0).confidence_interval(0.95)
            bounds = float(around.low), float(around.high)
        elif len(values) > 1:
            bounds = values[0], values[0]
        result.append(Tested(rows, values, bounds, more.get(number)))
    return result


def _number(value: float, is_share: bool, sign: str = "") -> str:
    """A share in percent, or an error; a dash where there is none."""
    if math.isnan(value):
        return "-"
    return f"{100 * value:{sign}.1f}" if is_share else f"{value:{sign}.3g}"


def _span(low: float, high: float, is_share: bool, sign: str = "") -> str:
    words = _number(low, is_share, sign), _number(high, is_share, sign)
    return "-" if "-" in words else f"{words[0]} to {words[1]}"


def sentence(one: Tested, first: Tested) -> str:
    """The result of one net in words."""
    share = one.is_share
    if not one.values:
        return "no trial was tested"
    mean, unit = _number(one.mean, share), " %" if share else ""
    words = f"{mean} % of the test set right" if share else f"a mean test error of {mean}"
    words += f" in the mean of {len(one.values)} trials"
    if len(one.values) > 1:
        words += f" (95%: {_span(*one.interval, share)}{unit})"
    if one.more is None:
        return words
    name, (by, low, high) = net_name(*first.rows[0].net), one.more
    if low <= 0 <= high:
        how = f"which is not told apart from {name}"
    else:
        size, unit = _number(abs(by), share), " points" if share else ""
        how = f"{'more' if by > 0 else 'less'} than {name} by {size}{unit}"
    return f"{words}, {how} (95%: {_span(low, high, share, '+')})"


HEADINGS = ("net", "T", "solved", "test", "95%", "least", "most", "more", "its 95%")


def _table(groups: Sequence[Sequence[Tested]]) -> Table:
    rows = []
    for number, group in enumerate(groups):
        for one in group:
            share, made = one.is_share, one.rows[0].experiment
            cells = {"net": net_name(*one.rows[0].net), "T": str(made.length)}
            about = dict(cells)
            least, most = min(one.values, default=math.nan), max(one.values, default=math.nan)
            cells |= {
                "solved": f"{one.rows.solved}/{len(one.rows)}",
                "test": _number(one.mean, share),
                "95%": _span(*one.interval, share),
                "least": _number(least, share),
                "most": _number(most, share),
            }
            by, low, high = one.more or (math.nan,) * 3
            cells["more"] = _number(by, share, "+")
            cells["its 95%"] = _span(low, high, share, "+")
            rows.append(TableRow(cells, number, about))
    shares = {one.is_share for group in groups for one in group}
    whats = [what for is_share, what in _WHATS.items() if is_share in shares]
    legend = (
        f"Test: {' or, where a mean error decides, '.join(whats)}, in the mean of the trials that "
        "did not diverge; 95%: its interval (Student), least and most: of single trials. More: "
        "than the first net, with an interval that holds for all differences "
        "together (Welch, Bonferroni)."
    )
    return Table("Final test", HEADINGS, rows, legend, ("least", "most", "solved"))


_WHATS = {
    True: "percent of the final test's sequences that are right",
    False: "mean error in the final test",
}


def figure_of(group: Sequence[Tested]) -> Figure:
    """One line per net and length: its trials are dots, their mean is a bar."""
    share, rows = group[0].is_share, [row for one in group for row in one.rows]
    figure = Figure(figsize=(8, 2.0 + 0.35 * len(group)), layout="constrained")
    axes = figure.add_subplot()
    names = [net_name(*one.rows[0].net) for one in group]
    for position, one in enumerate(group):
        color, values = (
            COLORS[position % len(COLORS)],
            [v * 100 if share else v for v in one.values],
        )
        axes.plot(values, spread_around(position, 0.22, len(values)), ".", color=color, alpha=0.7)
        if values:
            axes.plot(np.mean(values), position, "|", color=color, ms=14, mew=2)
    axes.set_yticks(range(len(group)), [plain(name) for name in all_shortened(names, 40).values()])
    axes.set_ylim(len(group) - 0.5, -0.5)
    axes.set_xlabel("right in the final test, %" if share else "mean error in the final test")
    axes.grid(alpha=0.25, axis="x")
    styles = {"one trial": ".", "mean of the trials": "|"}
    handles = [
        Line2D([], [], ls="none", marker=marker, ms=12 if marker == "|" else 6, color="#555555")
        for marker in styles.values()
    ]
    put_legend(figure, handles, [*styles])
    put_heading(figure, f"Final test: {heading(rows, (len(one.rows) for one in group))}")
    return figure


def view(study: Study) -> list[Part]:
    """The final tests on tasks of the user's own."""
    if study.is_grid or not (groups := tested(study)):
        return []
    pictures = [
        Picture("Final test", f"final_test{f'-{k}' if k > 1 else ''}", partial(figure_of, group))
        for k, group in enumerate(groups, 1)
    ]
    return [_table(groups), *pictures]
