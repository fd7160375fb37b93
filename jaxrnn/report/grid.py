"""View: every combination of settings as a table of colours."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import FuncFormatter, LogLocator

from jaxrnn.experiment import GRID
from jaxrnn.report.drawing import COLORS, heading, plain, put_heading
from jaxrnn.report.render import Part, Picture, all_shortened, short, spaced
from jaxrnn.report.summary import Line, Study, by_net, net_name
from jaxrnn.store.rows import Row

TALLEST = 46.0
"""The greatest height of a picture, in inches; if all nets and lengths need more, they become one
table."""

MOST_ACROSS = 12
MOST_NUMBERS = 700
"""The most cells with a number in them; a larger table has a scale of colours instead."""


def heat_map(rows: Sequence[Row], lines: Sequence[Line]) -> Figure:
    """Success rate and median steps of every combination, two panels for each net and length.

    ``lines`` are the summary of the rows. The setting with most values, but at most 12, runs
    across.
    """
    nets: dict[tuple[str, str, int], list[Line]] = {}
    for line in lines:
        nets.setdefault((line.experiment, line.cell, line.length), []).append(line)
    maps = [_Map(of_net) for of_net in nets.values()]
    if len(maps) > 1 and sum(one.height for one in maps) > TALLEST:
        return heat_map(rows, nets_and_lengths(lines))
    size = max(one.width for one in maps), sum(one.height for one in maps) + 0.3
    figure = Figure(figsize=size, layout="constrained")
    parts = figure.subfigures(len(maps), squeeze=False, height_ratios=[m.height for m in maps])
    groups = by_net(rows) if len(maps) > 1 else {}
    for (net, of_net), one, part in zip(nets.items(), maps, parts.flat, strict=True):
        one.draw(part)
        title = heading(groups.get(net, rows), [line.trials for line in of_net])
        put_heading(part, f"Trials solved and median steps: {title}")
    return figure


def nets_and_lengths(lines: Sequence[Line]) -> list[Line]:
    """Nets and lengths as two more settings of one grid."""
    names = dict.fromkeys(name for line in lines for name in line.settings)
    nets = all_shortened((net_name(line.experiment, line.cell) for line in lines), 40)
    one_grid = []
    for line in lines:
        settings = {"net": nets[net_name(line.experiment, line.cell)], "length": line.length}
        settings |= {name: line.settings.get(name, "-") for name in names}
        one_grid.append(line._replace(experiment=GRID, cell="", length=0, settings=settings))
    return one_grid


class _Map:
    """One net's combinations of settings as a table."""

    def __init__(self, lines: Sequence[Line]) -> None:
        values: dict[str, list[Any]] = {}
        for name in lines[0].settings:
            found = list(dict.fromkeys(line.settings[name] for line in lines))
            are_numbers = all(isinstance(one, int | float) for one in found)
            values[name] = sorted(found) if are_numbers else found
        fit = [name for name in values if len(values[name]) <= MOST_ACROSS]
        across = max(fit or values, key=lambda name: len(values[name]), default=None)
        down = [name for name in values if name != across]
        self.across = "" if across is None else spaced(across)
        self.down = ", ".join(map(spaced, down))
        self.columns = [] if across is None else values[across]

        def place(line: Line) -> list[int]:
            return [values[name].index(line.settings[name]) for name in down]

        positions: dict[tuple[Any, ...], int] = {}
        for line in sorted(lines, key=place):
            positions.setdefault(tuple(line.settings[name] for name in down), len(positions))
        self.labels = [plain(", ".join(map(short, position))) for position in positions if position]
        self.solved, self.steps = np.full((2, len(positions), max(1, len(self.columns))), np.nan)
        self.shares: dict[tuple[int, int], str] = {}
        for line in lines:
            row = positions[tuple(line.settings[name] for name in down)]
            column = 0 if across is None else self.columns.index(line.settings[across])
            self.solved[row, column] = line.solved / line.trials
            self.shares[row, column] = f"{line.solved}/{line.trials}"
            if math.isfinite(line.median):
                self.steps[row, column] = line.median
        # Inches of a cell: in a large table there is room for colours only.
        count, num_columns = self.solved.shape
        tall = 0.45 if count <= 20 else 0.22 if count <= 60 else 0.14
        self.cell = min(0.65, 9 / num_columns), min(tall, (TALLEST - 2) / count)
        longest = max(map(len, self.labels), default=0)
        self.width = max(8.0, 1.6 + 0.08 * longest + 2 * self.cell[0] * num_columns)
        self.height = max(2.6, 1.6 + self.cell[1] * count)

    def draw(self, part: SubFigure) -> None:
        """Both panels."""
        solved, steps = part.subplots(1, 2, sharey=True)
        self._panel(solved, self.solved, "share of trials solved", Normalize(0, 1))
        known = np.unique(self.steps[np.isfinite(self.steps) & (self.steps > 0)])
        # A logarithmic scale needs two values.
        norm = LogNorm(known[0], known[-1]) if len(known) > 1 else Normalize()
        self._panel(steps, self.steps, "median steps (blank: half or more unsolved)", norm)
        solved.set_ylabel(self.down)

    def _panel(self, axes: Axes, data: np.ndarray, title: str, norm: Normalize) -> None:
        is_share = data is self.solved
        colors = "viridis" if is_share else "viridis_r"
        image = axes.imshow(data, cmap=colors, norm=norm, aspect="auto", interpolation="nearest")
        wide, tall = self.cell
        if wide >= 0.5 and data.size <= MOST_NUMBERS:
            for (row, column), value in np.ndenumerate(data):
                if np.isfinite(value):
                    color = "white" if sum(image.cmap(norm(value))[:3]) < 1.5 else "black"
                    look: dict[str, Any] = {"fontsize": 8 if tall > 0.2 else 6, "color": color}
                    text = self.shares[row, column] if is_share else f"{value:,.0f}"
                    axes.text(column, row, text, ha="center", va="center", **look)
            axes.set_title(title, fontsize=10)
        else:
            bar = axes.figure.colorbar(
                image, ax=axes, location="top", aspect=30, pad=0.3 / self.height, label=title
            )
            if isinstance(norm, LogNorm):
                bar.ax.xaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
                bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
                bar.ax.minorticks_off()
        axes.set_xlabel(self.across)
        columns = [plain(short(value)) for value in self.columns]
        axes.set_xticks(range(len(columns)), columns, rotation=90 if wide < 0.5 else 0)
        each = math.ceil(0.13 / tall)  # of so many rows one has room for its label
        axes.tick_params(labeltop=self.height > 12)
        at_rows, labels = range(0, len(self.labels), each), self.labels[::each]
        axes.set_yticks(at_rows, labels, fontsize=10 if tall > 0.2 else 7)


def view(study: Study) -> list[Part]:
    """A grid; or nets along lengths, if they are more than colours tell apart."""
    if study.is_grid:
        return [Picture("Every combination", "grid", lambda: heat_map(study.rows, study.lines))]
    if "by_length" not in study.views or len({net[:2] for net in study.nets}) <= len(COLORS):
        return []
    caption, lines = "Every net and length", nets_and_lengths(study.lines)
    return [Picture(caption, "steps_to_solution", lambda: heat_map(study.rows, lines))]
