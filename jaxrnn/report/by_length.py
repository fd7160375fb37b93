"""View: nets that are compared along the lengths of one task; pictures."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxrnn.outcome import curve_edges
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    LengthAxis,
    heading,
    label_outer_panels,
    length_axis,
    plain,
    put_heading,
    put_legend,
    tell,
)
from jaxrnn.report.render import Picture, all_shortened
from jaxrnn.report.summary import Rows, Study, View, by_net, median, net_name, published_beside
from jaxrnn.store.rows import Row

Net = tuple[str, str]  # experiment and cell


def nets_of(rows: Sequence[Row]) -> dict[Net, str]:
    """The nets in the rows, each with its colour."""
    nets = dict.fromkeys(row.net for row in rows)
    return {net: COLORS[number % len(COLORS)] for number, net in enumerate(nets)}


def steps_to_solution_figure(rows: Sequence[Row]) -> Figure:
    """Every trial is a dot, unsolved ones above the cap; published results are rings beside the
    dots.

    A table above the panel says how many trials of each net and length were solved, and gives the
    nets' colours.
    """
    nets, groups = nets_of(rows), by_net(rows)
    axis = length_axis(sorted({row.experiment.length for row in rows}))
    most = max(map(len, groups.values()))
    # A slot holds a column of dots a net, and n/N of the table.
    slot = max(0.5, 0.12 * len(nets), 0.2 + 0.14 * len(str(most)))
    num_slots = max(axis.end, 4.0)
    size = max(7.0, 2.4 + min(16.0, slot * num_slots)), 5.2 + 0.2 * len(nets)
    slot = (size[0] - 2.4) / num_slots  # inches
    figure = Figure(figsize=size, layout="constrained")
    table, axes = figure.subplots(2, sharex=True, height_ratios=[0.2 * len(nets), 4.0])
    _draw_steps(figure, axes, nets, groups, axis, slot)
    _draw_table(table, nets, groups, axis, turned=slot < 0.1 + 0.14 * len(str(most)))
    axis.finish(axes, slot)
    title = f"Steps to solution: {heading(rows, [*map(len, groups.values())])}"
    put_heading(figure, size[0], title, "Above each length: how many of its trials were solved.")
    return figure


def _draw_steps(
    figure: Figure,
    axes: Axes,
    nets: dict[Net, str],
    groups: Mapping[tuple[str, str, int], Rows],
    axis: LengthAxis,
    slot: float,
) -> None:
    """The dots and rings, and lines that join medians, with their legend below; a ``slot`` is so
    many inches wide."""
    cap = max(row.experiment.max_steps for row in chain.from_iterable(groups.values()))
    beside = {net: published_beside(group) for net, group in groups.items()}
    means = [one.mean for one in beside.values() if one is not None and one.mean is not None]
    top = 1.6 * max([cap, *means])  # where unsolved trials are drawn
    width = 0.8 / len(nets)
    share = 0.6 if any(beside.values()) else 1.0  # of the width, the rest is for rings
    marks: dict[str, str] = {}  # what was published, and its marker
    drawn: list[float] = []
    for position in axis.position.values():
        axes.axvspan(position - 0.45, position + 0.45, color="#f3f3f3", zorder=0)
    for number, (net, color) in enumerate(nets.items()):
        medians = []
        for length, position in axis.position.items():
            group = groups.get((*net, length))
            if group is None:
                continue
            left = position - 0.4 + number * width
            middle = left + share * width / 2
            steps = group.times
            half = min(0.42 * share * width, 0.02 * len(steps) / slot)
            spread = spread_around(middle, half, len(steps))
            heights = [min(max(1, s), top) for s in steps]  # a logarithmic axis has no 0
            dots = axes.plot(spread, heights, ".", color=color, alpha=0.75, ms=6)
            tell(dots[0], group, net_name(*net))
            medians.append((middle, median(steps)))
            published = beside[*net, length]
            ring: dict[str, Any] = {"mfc": "none", "mec": color, "ms": 4, "mew": 0.8, "ls": "none"}
            if published is not None and published.trials is not None:
                marks[f"{net[0]}'s own trials"] = "o"
                theirs = [top if s is None else s for s in published.trials]
                spread = spread_around(left + 0.8 * width, 0.15 * width, len(theirs))
                axes.plot(spread, theirs, "o", **ring)
                drawn += theirs
            elif published is not None and published.mean is not None:
                marks["published mean"] = "D"
                axes.plot(left + 0.8 * width, published.mean, "D", **ring)
                drawn.append(published.mean)
            drawn += heights
        _join(axes, medians, axis.breaks, color, net_name(*net))
    _finish_steps(axes, cap, top, drawn)
    handles = {"a trial": Line2D([], [], color="#555555", marker=".", ls="none", ms=6)}
    if any(math.isfinite(median(group.times)) for group in groups.values()):
        handles["median"] = Line2D([], [], color="#555555")
    for of, marker in marks.items():
        handles[of] = Line2D([], [], color="#555555", marker=marker, mfc="none", ms=4, ls="none")
    put_legend(figure, list(handles.values()), list(handles))


def _join(
    axes: Axes, medians: Sequence[tuple[float, float]], breaks: Sequence[float], color: str, of: str
) -> None:
    """A line through the medians of a net, in pieces where the axis is broken."""
    edges = [-math.inf, *breaks, math.inf]
    for low, high in pairwise(edges):
        piece = [(x, y) for x, y in medians if low < x < high]
        if piece:
            mark = "_" if len(piece) == 1 else "None"  # which is no line yet
            line: dict[str, Any] = {"marker": mark, "ms": 14, "label": plain(of)}
            axes.plot(*zip(*piece, strict=True), "-", color=color, lw=1.2, **line)


def _finish_steps(axes: Axes, cap: float, top: float, drawn: Sequence[float]) -> None:
    """The scale of the steps, and the cap where any trial came to it."""
    high = 1.25 * max(10, *drawn)
    low = min(0.8 * min(drawn), high / 10, 0.8 * cap)
    if top in drawn:
        axes.axhline(cap, color=GREY, lw=0.8, ls="--")
        for words, y in (("cap", cap), ("not solved", top)):
            at = (1.005, y)
            axes.annotate(words, at, xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.set(yscale="log", ylabel="training sequences to solution", ylim=(low, high))
    if high / low < 100:  # or there might be a single number
        axes.yaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", alpha=0.25)


def _draw_table(
    axes: Axes,
    nets: dict[Net, str],
    groups: Mapping[tuple[str, str, int], Rows],
    axis: LengthAxis,
    turned: bool,
) -> None:
    """One row per net, in its colour: solved trials / all trials at each length."""
    for number, (net, color) in enumerate(nets.items()):
        for length, position in axis.position.items():
            group = groups.get((*net, length))
            if group is None:
                continue
            text = f"{group.solved}/{len(group)}"
            size = 5 if turned else 8
            axes.text(position, number, text, ha="center", va="center", fontsize=size, color=color)
    short = all_shortened((net_name(*net) for net in nets), 40)
    names = [plain(short[net_name(*net)]) for net in nets]
    axes.set_yticks(range(len(nets)), names, fontsize=9)
    for label, color in zip(axes.get_yticklabels(), nets.values(), strict=True):
        label.set_color(color)
    axes.set_ylim(len(nets) - 0.5, -0.5)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)


def spread_around(middle: float, half: float, count: int) -> np.ndarray:
    """Places for ``count`` dots, side by side so that equal values stay visible."""
    return middle + np.linspace(-half, half, count) if count > 1 else np.full(count, middle)


def curves_by_length(rows: Sequence[Row]) -> Figure:
    """Errors against training sequences: one panel per length, one line per trial."""
    nets = nets_of(rows)
    lengths = sorted({row.experiment.length for row in rows})
    columns = min(5, len(lengths))
    panels = -(-len(lengths) // columns)
    size = max(7.0, 2.5 * columns + 1.0), 2.4 * panels + 1.6
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(panels, columns, sharex=True, sharey=True, squeeze=False)
    for axes, length in zip(grid.flat, lengths, strict=False):
        group = [row for row in rows if row.experiment.length == length]
        for row in group:
            draw_curve(axes, row, color=nets[row.net], alpha=0.35)
        draw_thresholds(axes, group)
        axes.set_title(f"T = {length}", fontsize=10)
        axes.grid(alpha=0.2)
    cap, highest = max(row.experiment.max_steps for row in rows), max(map(highest_error, rows))
    grid[0, 0].set(xscale="log", xlim=(1, max(cap, 2)), ylim=(0, max(1.02, 1.05 * highest)))
    for axes in grid.flat:
        axes.minorticks_off()  # many, and slow to draw
    label_outer_panels(grid, len(lengths), "training sequence", "mean error")
    lines = [Line2D([], [], color=color) for color in nets.values()]
    lines.append(Line2D([], [], color=GREY, ls="--"))
    short = all_shortened((net_name(*net) for net in nets), 40)
    labels = [short[net_name(*net)] for net in nets]
    put_legend(figure, lines, [*labels, "threshold"])
    title = heading(rows, [*map(len, by_net(rows).values())])
    put_heading(figure, size[0], f"Learning curves, one line per trial: {title}")
    return figure


def draw_curve(axes: Axes, row: Row, color: str, alpha: float) -> None:
    """The errors of a trial, each at the first step of its bin, counted from 1."""
    edges = curve_edges(row.experiment.max_steps)[: len(row.outcome.curve)] + 1
    line = axes.plot(edges, row.outcome.curve, color=color, alpha=alpha, lw=0.8)
    tell(line[0], [row], net_name(*row.net))


def draw_thresholds(axes: Axes, rows: Sequence[Row]) -> None:
    """A line at each threshold that the trials had."""
    for threshold in dict.fromkeys(row.experiment.threshold for row in rows):
        axes.axhline(threshold, color=GREY, lw=0.8, ls="--")


def highest_error(row: Row) -> float:
    """The highest error in the row's learning curve that is finite."""
    return max((error for error in row.outcome.curve if math.isfinite(error)), default=0.0)


def _suits(study: Study) -> bool:
    is_along = "by_length" in study.views and not study.is_grid
    return is_along and len(nets_of(study.rows)) <= len(COLORS)


def _pictures(study: Study) -> list[Picture]:
    return [
        Picture(
            "Steps to solution against length",
            "steps_to_solution",
            lambda: steps_to_solution_figure(study.rows),
        ),
        Picture("Learning curves", "learning_curves", lambda: curves_by_length(study.rows)),
    ]


VIEW = View(_suits, pictures=_pictures)
