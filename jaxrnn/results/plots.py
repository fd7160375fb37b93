"""Pictures of a run's rows."""

import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from jaxrnn.outcome import curve_edges
from jaxrnn.results.files import write_whole
from jaxrnn.results.rows import Row
from jaxrnn.results.summary import Line, is_as_published, median, steps_to_solution, summarize
from jaxrnn.suites.paper_1997 import PAPER
from jaxrnn.suites.published import PAPER_RESULTS, PUBLISHED

COLORS = ("#d95f02", "#1b6ca8", "#2a9d4a", "#8e44ad", "#7f5539", "#c2185b", "#555555", "#009688")


def write_plots(rows: Sequence[Row], directory: Path) -> list[tuple[str, str]]:
    """Write every plot that the rows allow and return (caption, file name) of each."""
    if not rows:
        return []
    lines = summarize(rows)
    if any(line.settings for line in lines):
        pictures = {"Every combination": ("grid.png", _heat_map(lines))}
    elif all(row["experiment"] in PAPER for row in rows):
        pictures = {
            "Sequences to success": ("sequences_to_success.png", _sequences_to_success(rows)),
            "Learning curves": ("learning_curves.png", _paper_curves(rows)),
        }
    else:
        pictures = {
            "Steps to solution against length": ("steps_to_solution.png", _steps_to_solution(rows)),
            "Learning curves": ("learning_curves.png", _learning_curves(rows)),
        }
    for name, figure in pictures.values():
        buffer = io.BytesIO()
        figure.savefig(buffer, dpi=130)
        write_whole(directory / name, buffer.getvalue())
    return [(caption, name) for caption, (name, _) in pictures.items()]


def _heat_map(lines: Sequence[Line]) -> Figure:
    """Success rate and median steps of every combination; the setting with most values across."""
    lines = [line for line in lines if line.settings]
    values = {name: sorted({line.settings[name] for line in lines}) for name in lines[0].settings}
    across = max(values, key=lambda name: len(values[name]))
    down = [name for name in values if name != across]
    combinations = list(itertools.product(*(values[name] for name in down)))
    shape = (len(combinations), len(values[across]))
    solved, steps = np.zeros(shape), np.full(shape, np.nan)
    for line in lines:
        row = combinations.index(tuple(line.settings[name] for name in down))
        place = row, values[across].index(line.settings[across])
        solved[place] = line.solved / line.trials
        steps[place] = line.median if math.isfinite(line.median) else np.nan
    size = (2.4 + 1.5 * shape[1], 2.0 + 0.45 * shape[0])
    figure = Figure(figsize=(max(8.0, size[0]), max(2.6, size[1])), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, title, data, colors, form in (
        (panels[0], "trials solved", solved, "viridis", "{:.0%}"),
        (panels[1], "median steps (blank: most unsolved)", steps, "viridis_r", "{:,.0f}"),
    ):
        norm = Normalize(0, 1) if data is solved else LogNorm()
        if data is steps and not np.isfinite(steps).any():
            norm = Normalize(0, 1)
        image = axes.imshow(data, cmap=colors, norm=norm, aspect="auto")
        for (row, column), value in np.ndenumerate(data):
            if np.isfinite(value):
                dark = sum(image.cmap(norm(value))[:3]) < 1.5
                color = "white" if dark else "black"
                text = form.format(value)
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
        axes.set_xticks(range(shape[1]), [f"{value:g}" for value in values[across]])
        axes.set(title=title, xlabel=across.replace("_", " "))
    if down:
        labels = [", ".join(f"{value:g}" for value in place) for place in combinations]
        panels[0].set_yticks(range(shape[0]), labels)
        panels[0].set_ylabel(", ".join(name.replace("_", " ") for name in down))
    else:
        panels[0].set_yticks([])
    return figure


def _nets(rows: Sequence[Row]) -> dict[tuple[str, str], str]:
    """The nets in the rows, (experiment, cell), each with its colour."""
    nets = dict.fromkeys((row["experiment"], row["cell"]) for row in rows)
    return {net: COLORS[number % len(COLORS)] for number, net in enumerate(nets)}


def _label(net: tuple[str, str], nets: dict[tuple[str, str], str]) -> str:
    experiment, cell = net
    one_experiment = len({name for name, _ in nets}) == 1
    return cell if one_experiment else f"{cell} ({experiment})"


def _steps_to_solution(rows: Sequence[Row]) -> Figure:
    """Every trial as a dot, the notebook's as rings beside; unsolved ones above the cap."""
    nets = _nets(rows)
    lengths = sorted({row["length"] for row in rows})
    cap = max(row["max_steps"] for row in rows)
    top = cap * 1.6  # where unsolved trials are drawn
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(nets)
    any_published = False
    for number, (net, color) in enumerate(nets.items()):
        medians = []
        for place, length in enumerate(lengths):
            group = [r for r in rows if (r["experiment"], r["cell"]) == net]
            group = [r for r in group if r["length"] == length]
            if not group:
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
            published = PUBLISHED.get(net[0], {}).get(net[1], {}).get(length)
            if published is not None and all(map(is_as_published, group)):
                any_published = True
                spread = _spread(len(published), left + 0.78 * width, 0.14 * width)
                theirs = [top if s is None else s for s in published]
                axes.plot(spread, theirs, "o", mfc="none", mec=color, ms=4, mew=0.8)
        axes.plot(*zip(*medians, strict=True), "-", color=color, lw=1.2, label=_label(net, nets))
    if any_published:
        axes.plot([], [], "o", mfc="none", mec="#555555", ms=4, label="notebook's own trials")
    axes.axhline(cap, color="#999999", lw=0.8, ls="--")
    axes.annotate("not solved", (-0.45, top), va="center", fontsize=8, color="#555555")
    axes.set(
        yscale="log",
        xlabel="length of the sequence",
        ylabel="training steps to solution",
        xlim=(-0.5, len(lengths) - 0.5),
        ylim=(min(900, 0.8 * min(r["steps"] for r in rows)), top * 1.16 ** (1.5 + len(nets))),
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
    return figure


def _spread(count: int, middle: float, half: float) -> np.ndarray:
    """Places for ``count`` dots, side by side so that equal values stay visible."""
    return middle + np.linspace(-half, half, count) if count > 1 else np.array([middle])


def _learning_curves(rows: Sequence[Row]) -> Figure:
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
            edges = curve_edges(row["max_steps"])[: len(row["curve"])] + 1
            color = nets[row["experiment"], row["cell"]]
            axes.plot(edges, row["curve"], color=color, alpha=0.35, lw=0.8)
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


def _by_experiment(rows: Sequence[Row]) -> dict[tuple[str, int], list[Row]]:
    """The rows of each experiment of the 1997 paper at each length, in the order of the table."""
    groups: dict[tuple[str, int], list[Row]] = {
        (line.experiment, line.length): [] for line in summarize(rows)
    }
    for row in rows:
        groups[row["experiment"], row["length"]].append(row)
    return groups


def _published_mean(experiment: str, length: int) -> int | None:
    row = PAPER_RESULTS[PAPER[experiment].row].get(length)
    return None if row is None else row.sequences


# Conditions of an experiment of the 1997 paper and their colour.
_CONDITIONS = {
    "as written": COLORS[1],
    "departures of the 1997 net": COLORS[0],
    "standard LSTM": COLORS[2],
}


def _conditions(experiment: str) -> str:
    as_written, departure, standard = _CONDITIONS
    suite = PAPER[experiment]
    if not suite.departure:
        return as_written
    return standard if suite.base.cell == "lstm" else departure


def _sequences_to_success(rows: Sequence[Row]) -> Figure:
    """A line an experiment: its trials as dots, their mean a bar, the published one a diamond."""
    groups = _by_experiment(rows)
    figure = Figure(figsize=(9, 1.6 + 0.3 * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    marks: list[float] = []  # everything that has a place on the axis
    conditions = dict.fromkeys(_conditions(experiment) for experiment, _ in groups)
    for place, ((experiment, length), group) in enumerate(groups.items()):
        steps = [s for s in map(steps_to_solution, group) if math.isfinite(s)]
        color = _CONDITIONS[_conditions(experiment)]
        axes.plot(
            steps, _spread(len(steps), place, 0.22)[: len(steps)], ".", color=color, alpha=0.6
        )
        if steps:
            axes.plot(np.mean(steps), place, "|", color=color, ms=15, mew=2)
        marks += steps
        if published := _published_mean(experiment, length):
            axes.plot(published, place, "D", mfc="none", mec="black", ms=7)
            marks.append(published)
        solved = f"{len(steps)}/{len(group)}"
        axes.annotate(solved, (1.01, place), xycoords=("axes fraction", "data"), va="center")
    axes.set_yticks(range(len(groups)), [f"{name}, T = {length}" for name, length in groups])
    axes.annotate("solved", (1.01, -0.6), xycoords=("axes fraction", "data"), va="bottom")
    axes.set(xscale="log", xlabel="training sequences until success")
    axes.set_xlim(min(marks, default=100) / 2, max(marks, default=1000) * 2)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(alpha=0.25)
    for label in conditions:
        axes.plot([], [], ls="none", marker=".", color=_CONDITIONS[label], label=label)
    axes.plot([], [], ls="none", marker="|", ms=12, mew=2, color="#555555", label="their mean")
    axes.plot([], [], ls="none", marker="D", mfc="none", mec="black", label="published mean")
    figure.legend(loc="outside upper center", ncols=5, frameon=False)
    return figure


def _paper_curves(rows: Sequence[Row]) -> Figure:
    """The error against the training sequence, a panel an experiment and length, a line a trial."""
    groups = _by_experiment(rows)
    columns = min(4 if len(groups) <= 16 else 7, len(groups))
    panels = -(-len(groups) // columns)
    figure = Figure(figsize=(max(6.5, 3 * columns + 0.5), 2.2 * panels + 0.8), layout="constrained")
    grid = figure.subplots(panels, columns, sharey=True, squeeze=False)
    grid[0, 0].set(yscale="log", ylim=(0.003, 1.2))
    for axes in grid.flat[len(groups) :]:
        axes.set_visible(False)
    for axes, ((experiment, length), group) in zip(grid.flat, groups.items(), strict=False):
        for row in group:
            edges = curve_edges(row["max_steps"])[: len(row["curve"])] + 1
            color = COLORS[1] if row["status"] == "solved" else COLORS[5]
            axes.plot(edges, row["curve"], color=color, alpha=0.5, lw=0.8)
        axes.axhline(group[0]["threshold"], color="#999999", lw=0.8, ls="--")
        if published := _published_mean(experiment, length):
            axes.axvline(published, color="black", lw=0.8, ls=":")
        axes.set_title(f"{experiment}, T = {length}", fontsize=10)
        axes.set(xscale="log", xlim=(10, max(group[0]["max_steps"], published or 0) * 1.1))
        axes.grid(alpha=0.2)
    figure.supxlabel("training sequence")
    figure.supylabel("mean error")
    styles = ((COLORS[1], "-"), (COLORS[5], "-"), ("#999999", "--"), ("black", ":"))
    lines = [matplotlib.lines.Line2D([], [], color=color, ls=style) for color, style in styles]
    labels = ["solved", "not solved", "threshold", "published mean"]
    figure.legend(lines, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure
