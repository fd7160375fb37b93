"""Pictures of a run's rows."""

import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from jaxrnn.experiment import GRID
from jaxrnn.outcome import curve_edges
from jaxrnn.results.files import write_figure
from jaxrnn.results.heat_map import heat_map, plain
from jaxrnn.results.rows import Row
from jaxrnn.results.summary import (
    Line,
    by_net,
    median,
    net_name,
    published_beside,
    source_of,
    steps_to_solution,
    summarize,
)
from jaxrnn.suites import SUITES

COLORS = ("#d95f02", "#1b6ca8", "#2a9d4a", "#8e44ad", "#7f5539", "#c2185b", "#555555", "#009688")


MOST_NETS = 12
"""That are told apart by colour; more are a table of colours."""


def write_plots(rows: Sequence[Row], directory: Path) -> list[tuple[str, str]]:
    """Write every plot that the rows allow and return (caption, file name) of each."""
    if not rows:
        return []
    lines = summarize(rows)
    by_length = any(source_of(line.experiment).by_length for line in lines)
    if any(line.settings for line in lines):
        pictures = {"Every combination": ("grid.png", heat_map(lines))}
    elif by_length and len(_nets(rows)) > MOST_NETS:
        pictures = {"Every net and length": ("steps_to_solution.png", heat_map(_as_grid(lines)))}
    elif by_length:
        pictures = {
            "Steps to solution against length": ("steps_to_solution.png", _steps_to_solution(rows)),
            "Learning curves": ("learning_curves.png", _curves_by_length(rows)),
        }
    else:
        pictures = {
            "Sequences to success": ("sequences_to_success.png", _sequences_to_success(rows)),
            "Learning curves": ("learning_curves.png", _curves_by_experiment(rows)),
        }
    for name, figure in pictures.values():
        write_figure(directory / name, figure)
    return [(caption, name) for caption, (name, _) in pictures.items()]


def _as_grid(lines: Sequence[Line]) -> list[Line]:
    """Nets and lengths as the settings of one grid."""
    return [
        line._replace(
            experiment=GRID,
            cell="",
            length=0,
            settings={"net": net_name(line.experiment, line.cell), "length": line.length},
        )
        for line in lines
    ]


def _nets(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """The nets in the rows, (experiment, cell), each with its colour."""
    nets = dict.fromkeys((row["experiment"], row["cell"]) for row in rows)
    return {net: COLORS[number % len(COLORS)] for number, net in enumerate(nets)}


def _label(net: tuple[str, str], nets: dict[tuple[str, str], str]) -> str:
    experiment, cell = net
    one_experiment = len({name for name, _ in nets}) == 1
    return plain(cell if one_experiment else f"{cell} ({experiment})")


def _steps_to_solution(rows: Sequence[Row]) -> Figure:
    """Every trial as a dot, what was published beside as rings; unsolved ones above the cap."""
    nets, groups = _nets(rows), by_net(rows)
    lengths = sorted({row["length"] for row in rows})
    cap = max(row["max_steps"] for row in rows)
    top = cap * 1.6  # where unsolved trials are drawn
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(nets)
    marks: dict[str, str] = {}  # what was published, and its marker
    for number, (net, color) in enumerate(nets.items()):
        medians = []
        for place, length in enumerate(lengths):
            group = groups.get((*net, length))
            if group is None:
                continue
            left = place - 0.4 + number * width
            steps = [steps_to_solution(row) for row in group]
            middle = left + 0.3 * width
            spread = _spread(len(steps), middle, 0.28 * width)
            axes.plot(spread, [min(s, top) for s in steps], ".", color=color, alpha=0.75, ms=6)
            unsolved = sum(not math.isfinite(s) for s in steps)
            if unsolved:
                axes.annotate(
                    f"{unsolved}/{len(steps)}",
                    (middle, top * 1.16 ** (1 + number)),  # a row a net
                    ha="center",
                    fontsize=7,
                    color=color,
                )
            medians.append((middle, median(steps)))
            published = published_beside(group)
            if published is not None and published.trials is not None:
                marks[f"{net[0]}'s own trials"] = "o"
                spread = _spread(len(published.trials), left + 0.78 * width, 0.14 * width)
                theirs = [top if s is None else s for s in published.trials]
                axes.plot(spread, theirs, "o", mfc="none", mec=color, ms=4, mew=0.8)
            elif published is not None and published.mean is not None:
                marks["published mean"] = "D"
                mean = published.mean
                axes.plot(left + 0.78 * width, mean, "D", mfc="none", mec=color, ms=4, mew=0.8)
        axes.plot(*zip(*medians, strict=True), "-", color=color, lw=1.2, label=_label(net, nets))
    for label, marker in marks.items():
        axes.plot([], [], marker, mfc="none", mec="#555555", ms=4, label=label)
    axes.axhline(cap, color="#999999", lw=0.8, ls="--")
    axes.annotate("not solved", (-0.45, top), va="center", fontsize=8, color="#555555")
    lowest = min(900, 0.8 * min(r["steps"] for r in rows))
    _finish_steps(axes, lengths, (lowest, top * 1.16 ** (1.5 + len(nets))))
    return figure


def _finish_steps(axes: Axes, lengths: Sequence[int], limits: tuple[float, float]) -> None:
    """Scales, labels and legend of the steps to solution."""
    axes.set(
        yscale="log",
        xlabel="length of the sequence",
        ylabel="training steps to solution",
        xlim=(-0.5, len(lengths) - 0.5),
        ylim=limits,
    )
    axes.set_xticks(range(len(lengths)), [str(length) for length in lengths])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(
        "Steps to solution: dots are trials, lines join medians, n/N counts the unsolved",
        loc="left",
    )
    axes.grid(axis="y", alpha=0.25)
    axes.legend(loc="center left", frameon=False)


def _spread(count: int, middle: float, half: float) -> np.ndarray:
    """Places for ``count`` dots, side by side so that equal values stay visible."""
    return middle + np.linspace(-half, half, count) if count > 1 else np.array([middle])


def _curves_by_length(rows: Sequence[Row]) -> Figure:
    """The error against the training step, a panel a length, a line a trial."""
    nets = _nets(rows)
    lengths = sorted({row["length"] for row in rows})
    columns = min(5, len(lengths))
    panels = -(-len(lengths) // columns)
    figure = Figure(figsize=(2.5 * columns + 1.5, 2.4 * panels + 1.1), layout="constrained")
    grid = figure.subplots(panels, columns, sharex=True, sharey=True, squeeze=False)
    cap = max(row["max_steps"] for row in rows)
    for axes in grid.flat[len(lengths) :]:
        axes.set_visible(False)
    for axes, length in zip(grid.flat, lengths, strict=False):
        group = [row for row in rows if row["length"] == length]
        for row in group:
            _draw_curve(axes, row, color=nets[row["experiment"], row["cell"]], alpha=0.35)
        axes.axhline(group[0]["threshold"], color="#999999", lw=0.8, ls="--")
        axes.set_title(f"length {length}", fontsize=10)
        axes.grid(alpha=0.2)
    grid[0, 0].set(xscale="log", xlim=(1, cap), ylim=(0, 1.02))
    figure.supxlabel("training step")
    figure.supylabel("error, mean of each bin of steps")
    lines = [matplotlib.lines.Line2D([], [], color=color) for color in nets.values()]
    lines.append(matplotlib.lines.Line2D([], [], color="#999999", ls="--"))
    labels = [_label(net, nets) for net in nets] + ["threshold"]
    figure.legend(lines, labels, loc="outside upper right", ncols=len(labels), frameon=False)
    return figure


def _draw_curve(axes: Axes, row: Row, color: str, alpha: float) -> None:
    edges = curve_edges(row["max_steps"])[: len(row["curve"])] + 1
    axes.plot(edges, row["curve"], color=color, alpha=alpha, lw=0.8)


def _by_experiment(rows: Sequence[Row]) -> dict[tuple[str, str, int], list[Row]]:
    """The rows of each experiment, cell and length, in the order of the table."""
    groups = by_net(rows)
    order = ((line.experiment, line.cell, line.length) for line in summarize(rows))
    return {net: groups[net] for net in order}


def _condition(experiment: str, cell: str) -> str:
    suite = SUITES.get(experiment)
    return suite.condition if suite is not None and cell in suite.cells else "another cell"


def _condition_colors(experiments: Iterable[str]) -> dict[str, str]:
    """A colour for each condition of the experiments' sources, whichever of them were run."""
    sources = {source_of(experiment) for experiment in experiments}
    found = (suite.condition for suite in SUITES.values() if suite.source in sources)
    palette = itertools.cycle((COLORS[1], COLORS[0], *COLORS[2:]))
    return dict(zip(dict.fromkeys([*found, "another cell"]), palette, strict=False))


def _sequences_to_success(rows: Sequence[Row]) -> Figure:
    """A line an experiment: its trials as dots, their mean a bar, the published one a diamond."""
    groups = _by_experiment(rows)
    colors = _condition_colors(experiment for experiment, _, _ in groups)
    figure = Figure(figsize=(9, 1.6 + 0.3 * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    marks: list[float] = []  # everything that has a place on the axis
    conditions = dict.fromkeys(_condition(experiment, cell) for experiment, cell, _ in groups)
    for place, ((experiment, cell, _), group) in enumerate(groups.items()):
        steps = [s for s in map(steps_to_solution, group) if math.isfinite(s)]
        color = colors[_condition(experiment, cell)]
        axes.plot(
            steps, _spread(len(steps), place, 0.22)[: len(steps)], ".", color=color, alpha=0.6
        )
        if steps:
            axes.plot(np.mean(steps), place, "|", color=color, ms=15, mew=2)
        marks += steps
        if (published := published_beside(group)) and published.mean:
            axes.plot(published.mean, place, "D", mfc="none", mec="black", ms=7)
            marks.append(published.mean)
        solved = f"{len(steps)}/{len(group)}"
        axes.annotate(solved, (1.01, place), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(range(len(groups)), [_name_and_length(*net) for net in groups])
    axes.annotate("solved", (1.01, -0.6), xycoords=("axes fraction", "data"), va="bottom")
    axes.set(xscale="log", xlabel="training sequences until success")
    axes.set_xlim(min(marks, default=100) / 2, max(marks, default=1000) * 2)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(alpha=0.25)
    for condition in conditions:
        axes.plot([], [], ls="none", marker=".", color=colors[condition], label=condition)
    axes.plot([], [], ls="none", marker="|", ms=12, mew=2, color="#555555", label="their mean")
    axes.plot([], [], ls="none", marker="D", mfc="none", mec="black", label="published mean")
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return figure


def _name_and_length(experiment: str, cell: str, length: int) -> str:
    return plain(f"{net_name(experiment, cell)}, T = {length}")


def _curves_by_experiment(rows: Sequence[Row]) -> Figure:
    """The error against the training sequence, a panel an experiment and length, a line a trial."""
    groups = _by_experiment(rows)
    columns = min(4 if len(groups) <= 16 else 7, len(groups))
    panels = -(-len(groups) // columns)
    figure = Figure(figsize=(max(6.5, 3 * columns + 0.5), 2.2 * panels + 0.8), layout="constrained")
    grid = figure.subplots(panels, columns, sharey=True, squeeze=False)
    grid[0, 0].set(yscale="log", ylim=(0.003, 1.2))
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    for axes, (net, group) in zip(grid.flat, groups.items(), strict=False):
        for row in group:
            color = COLORS[1] if row["status"] == "solved" else COLORS[5]
            _draw_curve(axes, row, color=color, alpha=0.5)
        axes.axhline(group[0]["threshold"], color="#999999", lw=0.8, ls="--")
        published = published_beside(group)
        mean = (published and published.mean) or 0
        if mean:
            axes.axvline(mean, color="black", lw=0.8, ls=":")
        axes.set_title(_name_and_length(*net), fontsize=10)
        axes.set(xscale="log", xlim=(10, max(group[0]["max_steps"], mean) * 1.1))
        axes.grid(alpha=0.2)
    figure.supxlabel("training sequence")
    figure.supylabel("mean error")
    styles = ((COLORS[1], "-"), (COLORS[5], "-"), ("#999999", "--"), ("black", ":"))
    lines = [matplotlib.lines.Line2D([], [], color=color, ls=style) for color, style in styles]
    labels = ["solved", "not solved", "threshold", "published mean"]
    figure.legend(lines, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure
