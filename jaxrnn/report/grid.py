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
from jaxrnn.report.render import Picture, all_shortened, short, spaced
from jaxrnn.report.summary import Line, Study, View, by_net, net_name
from jaxrnn.store.rows import Row

TALLEST = 46.0
"""The greatest height of a picture, in inches; if all nets and lengths need more, they become one
table."""


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
    for net, of_net, one, part in zip(nets, nets.values(), maps, parts.flat, strict=True):
        one.draw(part)
        title = heading(groups.get(net, rows), [line.trials for line in of_net])
        put_heading(part, size[0], f"Trials solved and median steps: {title}")
    return figure


def nets_and_lengths(lines: Sequence[Line]) -> list[Line]:
    """Nets and lengths as two more settings of one grid."""
    names = dict.fromkeys(name for line in lines for name in line.settings)
    nets = all_shortened((net_name(line.experiment, line.cell) for line in lines), 40)
    return [
        line._replace(
            experiment=GRID,
            cell="",
            length=0,
            settings={
                "net": nets[net_name(line.experiment, line.cell)],
                "length": line.length,
                **{name: line.settings.get(name, "-") for name in names},
            },
        )
        for line in lines
    ]


MOST_ACROSS = 12
MOST_NUMBERS = 700
"""The most cells with a number in them; a larger table has a scale of colours instead."""


class _Map:
    """One net's combinations of settings as a table."""

    def __init__(self, lines: Sequence[Line]) -> None:
        values = {
            name: _ordered(line.settings[name] for line in lines) for name in lines[0].settings
        }
        fit = [name for name in values if len(values[name]) <= MOST_ACROSS]
        self.across = max(fit or values, key=lambda name: len(values[name]), default=None)
        self.down = [name for name in values if name != self.across]
        self.columns = values[self.across] if self.across is not None else [None]
        rank = {name: {one: k for k, one in enumerate(values[name])} for name in self.down}
        positions = {tuple(line.settings[name] for name in self.down) for line in lines}
        self.rows = sorted(
            positions, key=lambda row: [rank[n][v] for n, v in zip(self.down, row, strict=True)]
        )
        self.solved, self.steps = np.full((2, len(self.rows), len(self.columns)), np.nan)
        self.shares: dict[tuple[int, int], str] = {}
        row_of = {row: k for k, row in enumerate(self.rows)}
        for line in lines:
            row = row_of[tuple(line.settings[name] for name in self.down)]
            column = 0 if self.across is None else self.columns.index(line.settings[self.across])
            self.solved[row, column] = line.solved / line.trials
            self.shares[row, column] = f"{line.solved}/{line.trials}"
            if math.isfinite(line.median):
                self.steps[row, column] = line.median
        # Inches of a cell: in a large table there is room for colours only.
        count = len(self.rows)
        tall = 0.45 if count <= 20 else 0.22 if count <= 60 else 0.14
        self.cell = min(0.65, 9 / len(self.columns)), min(tall, (TALLEST - 2) / count)
        longest = max((len(label) for label in self.labels()), default=0)
        self.width = max(8.0, 1.6 + 0.08 * longest + 2 * self.cell[0] * len(self.columns))
        self.height = max(2.6, 1.6 + self.cell[1] * count)

    def labels(self) -> list[str]:
        """Of the rows, where settings run down."""
        return [plain(", ".join(map(short, position))) for position in self.rows if position]

    def draw(self, part: SubFigure) -> None:
        """Both panels."""
        solved, steps = part.subplots(1, 2, sharey=True)
        self._panel(solved, self.solved, "share of trials solved", Normalize(0, 1))
        known = np.unique(self.steps[np.isfinite(self.steps) & (self.steps > 0)])
        # A logarithmic scale needs two values.
        norm = LogNorm(known[0], known[-1]) if len(known) > 1 else Normalize()
        self._panel(steps, self.steps, "median steps (blank: half or more unsolved)", norm)
        solved.set_ylabel(_spaced(self.down))

    def _panel(self, axes: Axes, data: np.ndarray, title: str, norm: Normalize) -> None:
        is_share = data is self.solved
        colors = "viridis" if is_share else "viridis_r"
        image = axes.imshow(data, cmap=colors, norm=norm, aspect="auto", interpolation="nearest")
        has_numbers = self.cell[0] >= 0.5 and data.size <= MOST_NUMBERS
        for (row, column), value in np.ndenumerate(data):
            if np.isfinite(value) and has_numbers:
                color = "white" if sum(image.cmap(norm(value))[:3]) < 1.5 else "black"
                text = self.shares[row, column] if is_share else f"{value:,.0f}"
                size = 8 if self.cell[1] > 0.2 else 6
                axes.text(column, row, text, ha="center", va="center", fontsize=size, color=color)
        if has_numbers:
            axes.set_title(title, fontsize=10)
        else:
            bar = axes.figure.colorbar(
                image, ax=axes, location="top", aspect=30, pad=0.3 / self.height, label=title
            )
            if isinstance(norm, LogNorm):
                bar.ax.xaxis.set_major_locator(LogLocator(subs=[1, 2, 5]))
                bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
                bar.ax.minorticks_off()
        axes.set_xlabel(_spaced([] if self.across is None else [self.across]))
        columns = [] if self.across is None else self.columns
        turned = 90 if self.cell[0] < 0.5 else 0
        axes.set_xticks(range(len(columns)), [plain(short(v)) for v in columns], rotation=turned)
        labels = self.labels()
        each = math.ceil(0.13 / self.cell[1])  # of so many rows one has room for its label
        size = 10 if self.cell[1] > 0.2 else 7
        axes.tick_params(labeltop=self.height > 12)
        axes.set_yticks(range(0, len(labels), each), labels[::each], fontsize=size)


def _ordered(values: Any) -> list[Any]:
    """Each once, numbers by size."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(isinstance(one, int | float) for one in distinct) else distinct


def _spaced(names: Sequence[str]) -> str:
    return ", ".join(map(spaced, names))


def _is_wide(study: Study) -> bool:
    """Whether it has more nets along lengths than colours tell apart."""
    return "by_length" in study.views and len({net[:2] for net in study.nets}) > len(COLORS)


def _pictures(study: Study) -> list[Picture]:
    rows, lines = study.rows, study.lines
    if study.is_grid:
        return [Picture("Every combination", "grid", lambda: heat_map(rows, lines))]
    lines = nets_and_lengths(lines)
    caption = "Every net and length"
    return [Picture(caption, "steps_to_solution", lambda: heat_map(rows, lines))]


VIEW = View(lambda study: study.is_grid or _is_wide(study), pictures=_pictures)
