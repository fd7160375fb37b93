"""The pictures of the view of horizons: cells by tasks, shares against lag, and growth."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    label_outer_panels,
    panels_of,
    plain,
    put_heading,
    put_legend,
    table_of_colors,
)
from jaxrnn.report.horizon import horizon
from jaxrnn.report.render import all_shortened
from jaxrnn.store.rows import Row
from jaxrnn.yardstick import CELL_FAMILIES, LAGS, PREFIX, TASK_FAMILIES
from jaxrnn.yardstick.results import Card, Remembered, best_guess, bounds, counts


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
    for (y, x), (guess, _) in words.items():
        if guess.startswith("≥") and values[y, x] < LAGS[-1]:
            hatched: dict[str, Any] = {"fill": False, "ec": (1, 1, 1, 0.5), "lw": 0, "hatch": "//"}
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **hatched))
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
    bar.set_label(
        "horizon in time steps, below it its 95 % interval; hatched: no longer lag was tried",
        size=8,
    )
    bar.ax.tick_params(labelsize=7)
    put_heading(figure, f"How far back: {_title(card, rows)}")
    return figure


def _family_ends(names: Sequence[str], families: Mapping[str, Sequence[str]]) -> list[float]:
    """Between which of the names, in their order, one family ends and another begins."""
    of = {name: family for family, members in families.items() for name in members}
    return [k + 0.5 for k, (a, b) in enumerate(pairwise(names)) if of.get(a) != of.get(b)]


MARKERS = "osD^vP"
DASHES = ("-", "--", ":", "-.")


def _panels(card: Card, rows: Sequence[Row], title: str) -> tuple[Figure, np.ndarray]:
    figure, panels = panels_of(len(card.tasks), 3, (3.0, 2.1), (1.0, 1.9), least=5.5, sharex=True)
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        axes.set_title(plain(task), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    looks = [_look(card, cell) for cell in card.cells]
    handles = [Line2D([], [], ms=4, **look) for look in looks]
    put_legend(figure, handles, card.cells)
    put_heading(figure, f"{title}: {_title(card, rows)}")
    return figure, panels


def _look(card: Card, cell: str) -> dict[str, Any]:
    """A colour, a marker and a kind of line for each cell: the last two change where the colours
    begin again."""
    turn, number = divmod(card.cells.index(cell), len(COLORS))
    marker, dashes = MARKERS[turn % len(MARKERS)], DASHES[turn % len(DASHES)]
    return {"color": COLORS[number], "marker": marker, "ls": dashes}


def _spread(number: int, lines: int) -> float:
    """A small shift, from -1 to 1, for each of some lines, since lines that lie on each other could
    not be told apart."""
    return (2 * number - (lines - 1)) / max(1, lines - 1)


def shares_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """The share of fresh trials that were solved against the lag: a panel a task, a line a cell."""
    figure, panels = _panels(card, rows, "Share of trials solved against lag")
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        nets = card.of_task(task)
        for number, (cell, net) in enumerate(nets):
            at, solved, trials = counts(net.chosen)
            shares = np.array(solved) / trials + 0.015 * _spread(number, len(nets))
            axes.plot(at, shares, ms=3.5, lw=1, **_look(card, cell))
        axes.axhline(0.5, color=GREY, lw=0.8, ls="--")
    panels[0, 0].set(xscale="log", xlim=(LAGS[0] / 1.3, LAGS[-1] * 1.3), ylim=(-0.06, 1.06))
    _ticks(panels[0, 0].xaxis, LogLocator(base=2, numticks=12))
    panels[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    label_outer_panels(panels, len(card.tasks), "lag (time steps)", "solved")
    return figure


def _ticks(axis: Axis, locator: LogLocator) -> None:
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


POINTS = 16  # of a curve


class Grown(NamedTuple):
    """A horizon within some training sequences."""

    sequences: int
    horizon: float
    is_beyond: bool  # at least this: no longer lag has fresh trials


def growth(net: Remembered, cap: int) -> list[Grown]:
    """The horizon within each of some numbers of training sequences, from the times of the fresh
    trials. Where it is shorter than the shortest lag that has some, it is not known."""
    curve, (at, _, trials) = [], counts(net.chosen)
    times = {lag: net.chosen[lag].times for lag in at}
    for number in np.unique(np.geomspace(cap / 50, cap, POINTS).astype(int)).tolist():
        solved = [sum(time <= number for time in times[lag]) for lag in at]
        words, point = best_guess(horizon(at, solved, trials), at, solved, trials)
        if not words.startswith("<"):
            curve.append(Grown(number, point, words.startswith("≥")))
    return curve


def growth_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """The horizon against the number of training sequences: a panel a task, a line a cell. A white
    marker stands for at least as much."""
    figure, panels = _panels(
        card, rows, "Horizon against training sequences (white: at least; no longer lag was tried)"
    )
    cap = max(row.experiment.max_steps for row in rows)
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        nets = [(cell, curve) for cell, net in card.of_task(task) if (curve := growth(net, cap))]
        for number, (cell, curve) in enumerate(nets):
            look = _look(card, cell)
            at, horizons, is_beyond = map(np.array, zip(*curve, strict=True))
            horizons = horizons * 2 ** (0.07 * _spread(number, len(nets)))  # octaves
            axes.plot(at, horizons, ms=2.5, lw=1, **look)
            axes.plot(
                at[is_beyond], horizons[is_beyond], ms=2.5, **look | {"ls": "", "mfc": "white"}
            )
        if not nets:
            words: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8, "color": GREY}
            axes.text(0.5, 0.5, "none learns the\nshortest lag", transform=axes.transAxes, **words)
    panels[0, 0].set(xscale="log", yscale="log", ylim=(LAGS[0] / 1.3, LAGS[-1] * 1.3))
    panels[0, 0].set_xlim(cap / 55, cap * 1.1)
    _ticks(panels[0, 0].yaxis, LogLocator(base=2, numticks=12))
    _ticks(panels[0, 0].xaxis, LogLocator(subs=(1, 2, 5)))
    label_outer_panels(panels, len(card.tasks), "training sequences", "horizon (time steps)")
    return figure
