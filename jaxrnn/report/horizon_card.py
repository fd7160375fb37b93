"""View: how far back each cell remembers on each task; tables and pictures.

It suits rows of the horizon's protocol. It does not rank cells: it says how far each remembers, how
sure that is, and whether it can be told apart from the first cell.
"""

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxrnn.problems.horizon import (
    CELL_FAMILIES,
    LAGS,
    PREFIX,
    SEARCH,
    TASK_FAMILIES,
)
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    label_outer_panels,
    plain,
    put_heading,
    put_legend,
    table_of_colors,
)
from jaxrnn.report.horizon import Horizon, Octaves, horizon, octaves_between
from jaxrnn.report.remembered import Card, Remembered, card_of, counts, default_rate
from jaxrnn.report.render import Picture, Table, TableRow, Words, all_shortened, short
from jaxrnn.report.summary import Rows, Study, View
from jaxrnn.store.rows import Row


def bounds(one: Horizon) -> str:
    """The interval in words: "32-128"; a side that the data leave open is empty."""
    low, high = ("" if bound is None else f"{bound:,}" for bound in one[:2])
    return f"{low}-{high}"


def best_guess(
    one: Horizon, at: Sequence[int], solved: Sequence[int], trials: Sequence[int]
) -> tuple[str, float]:
    """The horizon of these lags and trials in words and as a number for drawing; at an end of the
    lags it is only known to lie beyond."""
    if one.point is not None:
        return f"{one.point:.0f}", one.point
    # The regression, whose mean is that of the trials, is below 1/2 at all lags or at none.
    if sum(solved) / sum(trials) < 0.5:
        return f"<{at[0]}", at[0] / 2
    return f"≥{at[-1]:,}", float(at[-1])


HEADINGS = (
    *("task", "net", "horizon", "95%", "against the first", "its 95%"),
    *("default", "default's 95%", "tuning gains", "rate", "clip", "initializer"),
    *("forget bias", "input bias", "diverged"),
)
_DISPENSABLE = (
    *("diverged", "input bias", "forget bias", "clip", "initializer", "rate", "default's 95%"),
    *("tuning gains", "its 95%"),
)

LEGEND = (
    "Horizon: the longest lag, in time steps, at which at least half of all trials would be solved "
    "within the budget, as a best guess. < and ≥: it lies beyond the lags that were tried. 95%: "
    "its exact interval, at least - below, widened where another search might have chosen another "
    "finalist. An empty side: the data leave it open. Against the first: how many more octaves "
    "(doublings of the lag) it solves than the task's first net. This adds up the shares of solved "
    "trials at all lags, so its sign may differ from that of the best guesses. A longer lag than "
    "was tried counts half as much as the one before it, a shorter one is half as far from all "
    "solved as the one after it. If 0 is in the interval, the two cannot be told apart. Default: "
    "the horizon under the settings that are declared for all cells. Tuning gains: how many more "
    "octaves the chosen settings solve. "
    "Rate, clip, initializer, biases: the chosen settings, the gates' first biases at the longest "
    "lag shown. Diverged: fresh trials that did."
)


def horizon_rows(card: Card) -> list[TableRow]:
    """A row for each cell on each task."""
    lines = []
    for task in card.tasks:
        nets = dict(_of_task(card, task))
        first, lags = next(iter(nets.values())), lags_of(nets.values())
        for cell, net in nets.items():
            about = {"task": task, "cell": cell}
            lines.append(TableRow(_line(task, cell, net, first, lags), task, about))
    return lines


def lags_of(nets: Iterable[Remembered]) -> list[int]:
    """All lags at which any of these nets was tried, in any role."""
    return sorted({lag for net in nets for by_lag in net.by_role.values() for lag in by_lag})


def _line(
    task: str, cell: str, net: Remembered, first: Remembered, lags: Sequence[int]
) -> dict[str, str]:
    shown = {"task": task, "net": cell, "horizon": best_guess(net.horizon, *counts(net.chosen))[0]}
    shown["95%"] = bounds(net.horizon)
    if net is not first and len(lags) > 1:
        gap = octaves_between(counts(net.chosen), counts(first.chosen), lags)
        shown |= {"against the first": f"{gap.mean:+.1f}", "its 95%": _interval(gap)}
    if net.default:
        by_default = horizon(*counts(net.default))
        shown["default"] = best_guess(by_default, *counts(net.default))[0]
        shown["default's 95%"] = bounds(by_default)
        if len(lags) > 1:
            gap = octaves_between(counts(net.chosen), counts(net.default), lags)
            shown["tuning gains"] = f"{gap.mean:+.1f}"
    every = [row for _, rows in sorted(net.chosen.items()) for row in rows]
    made = every[-1].experiment
    return shown | {
        "rate": short(made.learning_rate),
        "clip": short(made.clip),
        "initializer": made.initializer,
        "forget bias": f"{made.forget_bias:.1f}",
        "input bias": f"{made.input_bias:.1f}",
        "diverged": str(sum(row.outcome.status == "diverged" for row in every)),
    }


def _interval(one: Octaves) -> str:
    return f"{one.low:+.1f} to {one.high:+.1f}"


SOLVED_LEGEND = (
    "Fresh trials of the chosen settings that were solved, of how many, at each lag. A dash: none "
    "was tried."
)


def solved_table(card: Card, cells: Container[str]) -> Table:
    """Of each cell on each task the fresh trials that were solved at each lag. A terminal shows
    only these cells."""
    lines, lags = [], lags_of(card.nets.values())
    for task in card.tasks:
        for cell, net in _of_task(card, task):
            shown = {f"{lag:,}": f"{rows.solved}/{len(rows)}" for lag, rows in net.chosen.items()}
            about = {"task": task, "cell": cell}
            lines.append(TableRow({"task": task, "net": cell} | shown, task, about))
    headings = ("task", "net", *(f"{lag:,}" for lag in lags))
    brief = [line for line in lines if line.cells["net"] in cells]
    return Table(headings, lines, SOLVED_LEGEND, brief=brief)


NUMBERS_OF_SETTINGS = (1, 3, 9, 27)

LUCK_HEADINGS = ("net", *(f"best of {number}" for number in NUMBERS_OF_SETTINGS))

LUCK_LEGEND = (
    "How much luck a setting is: the chance that, of so many random settings, at least one solves "
    "the shortest lag, in percent, as a mean over the tasks. For this every setting of the search "
    "was tried once."
)


def luck_rows(card: Card) -> list[TableRow]:
    """The expected best of some settings of the search's first rung, for each cell."""
    lines = []
    for cell in card.cells:
        rungs = [
            search[min(search)]
            for (_, of), net in card.nets.items()
            if of == cell and (search := net.by_role.get(SEARCH))
        ]
        if rungs:
            shown = {"net": cell}
            for number, heading in zip(NUMBERS_OF_SETTINGS, LUCK_HEADINGS[1:], strict=True):
                chances = [expected_best(*_first_rung(rows), number) for rows in rungs]
                shown[heading] = f"{100 * sum(chances) / len(chances):.0f}"
            lines.append(TableRow(shown, None))
    return lines


def _first_rung(rows: Rows) -> tuple[int, int]:
    """Settings that were solved, and settings; without the trials of the default, and without
    those of a play-off at the same lag, which have a later seed."""
    seed = min(row.experiment.seed for row in rows)
    settings = [row for row in rows if row.experiment.learning_rate != default_rate()]
    sought = Rows(row for row in settings if row.experiment.seed == seed)
    return sought.solved, len(sought)


def expected_best(solved: int, tried: int, number: int) -> float:
    """The chance that of ``number`` settings, drawn from those that were tried, one is solved.

    It is the unbiased estimate sum_i v_i C(i-1, k-1) / C(N, k) of the expected best of k values v,
    here 0 or 1. Source: Tang et al. 2020; Dodge et al. 2021 (2110.00613) compare it with others.
    """
    number = min(number, tried)
    return 1 - math.comb(tried - solved, number) / math.comb(tried, number)


def _title(card: Card, rows: Sequence[Row]) -> str:
    cells, tasks = len(card.cells), len(card.tasks)
    caps = sorted({row.experiment.max_steps for row in rows})
    sizes = sorted({row.experiment.batch_size for row in rows})
    each = " or ".join(str(size) for size in sizes)
    return (
        f"{cells} cell{'s' * (cells > 1)} on {tasks} task{'s' * (tasks > 1)}, at most "
        f"{' or '.join(f'{cap:,}' for cap in caps)} training sequences, {each} an update"
    )


def horizon_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """Cells by tasks, in families: the horizon as colour on a logarithmic scale, as number and with
    its interval."""
    cells, tasks = card.cells, card.tasks
    size = max(5.5, 2.1 + 0.78 * len(tasks)), 2.0 + 0.36 * len(cells)
    figure = Figure(figsize=size, layout="constrained")
    values = np.full((len(cells), len(tasks)), np.nan)
    words = {}
    for (task, cell), net in card.nets.items():
        at = cells.index(cell), tasks.index(task)
        guess, values[at] = best_guess(net.horizon, *counts(net.chosen))
        words[at] = guess, bounds(net.horizon)
    labels = list(all_shortened(cells, 24).values())
    norm = LogNorm(LAGS[0] / 2, LAGS[-1], clip=True)
    axes, image = table_of_colors(figure, (labels, tasks), values, norm, words)
    for line in _family_ends(cells, CELL_FAMILIES):
        axes.axhline(line, color="black", lw=1.2)
    names = {
        family: [suite.base.name.removeprefix(PREFIX) for suite in suites]
        for family, suites in TASK_FAMILIES.items()
    }
    for line in _family_ends(tasks, names):
        axes.axvline(line, color="black", lw=1.2)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_ticks(LAGS, labels=[f"{lag:,}" for lag in LAGS], minor=False)
    bar.ax.minorticks_off()
    bar.set_label("horizon in time steps; below each its 95 % interval", size=8)
    bar.ax.tick_params(labelsize=7)
    put_heading(figure, size[0], f"How far back: {_title(card, rows)}")
    return figure


def _family_ends(names: Sequence[str], families: Mapping[str, Sequence[str]]) -> list[float]:
    """Between which of the names, in their order, one family ends and another begins."""
    of = {name: family for family, members in families.items() for name in members}
    return [k + 0.5 for k, (a, b) in enumerate(pairwise(names)) if of.get(a) != of.get(b)]


PANELS_ACROSS = 3
MARKERS = "osD^vP"


def _panels(card: Card, rows: Sequence[Row], title: str) -> tuple[Figure, np.ndarray]:
    columns = min(PANELS_ACROSS, len(card.tasks))
    lines = -(-len(card.tasks) // columns)
    size = max(5.5, 1.0 + 3.0 * columns), 1.9 + 2.1 * lines
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        axes.set_title(plain(task), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    looks = [_look(card, cell) for cell in card.cells]
    handles = [Line2D([], [], ms=4, **look) for look in looks]
    put_legend(figure, handles, card.cells)
    put_heading(figure, size[0], f"{title}: {_title(card, rows)}")
    return figure, panels


def _look(card: Card, cell: str) -> dict[str, Any]:
    """A colour and a marker for each cell: the markers change where the colours begin again."""
    turn, number = divmod(card.cells.index(cell), len(COLORS))
    return {"color": COLORS[number], "marker": MARKERS[turn % len(MARKERS)]}


def _of_task(card: Card, task: str) -> list[tuple[str, Remembered]]:
    return [(cell, card.nets[task, cell]) for cell in card.cells if (task, cell) in card.nets]


def shares_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """The share of fresh trials that were solved against the lag: a panel a task, a line a cell."""
    figure, panels = _panels(card, rows, "Share of trials solved against lag")
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        nets = _of_task(card, task)
        for number, (cell, net) in enumerate(nets):
            at, solved, trials = counts(net.chosen)
            # Lines that lie on each other are told apart by a small shift.
            shift = 0.03 * (number - (len(nets) - 1) / 2) / max(1, len(nets) - 1)
            shares = np.array(solved) / trials + shift
            axes.plot(at, shares, ms=3.5, lw=1, **_look(card, cell))
        axes.axhline(0.5, color=GREY, lw=0.8, ls="--")
    panels[0, 0].set(xscale="log", xlim=(LAGS[0] / 1.3, LAGS[-1] * 1.3), ylim=(-0.06, 1.06))
    _lag_ticks(panels[0, 0].xaxis)
    panels[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    label_outer_panels(panels, len(card.tasks), "lag (time steps)", "solved")
    return figure


def _lag_ticks(axis: object) -> None:
    axis.set_major_locator(LogLocator(base=2, numticks=12))  # type: ignore[attr-defined]
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))  # type: ignore[attr-defined]
    axis.set_minor_formatter(NullFormatter())  # type: ignore[attr-defined]


POINTS = 16  # of a curve


def growth(net: Remembered, cap: int) -> list[tuple[int, float]]:
    """The horizon within each of some numbers of training sequences, from the times of the fresh
    trials. Where it is shorter than the shortest lag that has some, it is not known."""
    curve, (at, _, trials) = [], counts(net.chosen)
    times = {lag: net.chosen[lag].times for lag in at}
    for number in np.unique(np.geomspace(cap / 50, cap, POINTS).astype(int)).tolist():
        solved = [sum(time <= number for time in times[lag]) for lag in at]
        words, point = best_guess(horizon(at, solved, trials), at, solved, trials)
        if not words.startswith("<"):
            curve.append((number, point))
    return curve


def growth_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """The horizon against the number of training sequences: a panel a task, a line a cell."""
    figure, panels = _panels(card, rows, "Horizon against training sequences")
    cap = max(row.experiment.max_steps for row in rows)
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        for cell, net in _of_task(card, task):
            if curve := growth(net, cap):
                axes.plot(*zip(*curve, strict=True), ms=2.5, lw=1, **_look(card, cell))
    panels[0, 0].set(xscale="log", yscale="log", ylim=(LAGS[0] / 1.3, LAGS[-1] * 1.3))
    panels[0, 0].set_xlim(cap / 55, cap * 1.1)
    _lag_ticks(panels[0, 0].yaxis)
    panels[0, 0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0, 0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panels[0, 0].xaxis.set_minor_formatter(NullFormatter())
    label_outer_panels(panels, len(card.tasks), "training sequences", "horizon (time steps)")
    return figure


def _parts(study: Study) -> list[Table | Words]:
    card = card_of(study.rows)
    if not card.nets:
        return [Words("There are no fresh trials yet: the search has not come to its end.")]
    parts: list[Table | Words] = [
        Table(HEADINGS, horizon_rows(card), LEGEND, _DISPENSABLE),
        solved_table(card, study.own_cells),
    ]
    if luck := luck_rows(card):
        parts.append(Table(LUCK_HEADINGS, luck, LUCK_LEGEND))
    return parts


def _pictures(study: Study) -> list[Picture]:
    card, rows = card_of(study.rows), study.rows
    if not card.nets:
        return []
    return [
        Picture(
            "How far back each cell remembers on each task",
            "horizon_by_task",
            lambda: horizon_picture(card, rows),
        ),
        Picture("Solved against lag", "solved_by_lag", lambda: shares_picture(card, rows)),
        Picture(
            "Horizon against training sequences",
            "horizon_by_sequences",
            lambda: growth_picture(card, rows),
        ),
    ]


VIEW = View(lambda study: study.is_horizon, _parts, _pictures)
