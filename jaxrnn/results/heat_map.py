"""The picture of a grid."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from jaxrnn.results.config import short
from jaxrnn.results.summary import Line, net_name


def heat_map(lines: Sequence[Line]) -> Figure:
    """Success rate and median steps of every combination, a row of panels for each net and length.

    The setting with most values, but at most 12, runs across.
    """
    nets: dict[tuple[str, str, int], list[Line]] = {}
    for line in lines:
        nets.setdefault((line.experiment, line.cell, line.length), []).append(line)
    maps = [_Map(of_net) for of_net in nets.values()]
    heights = [
        max(2.6, 2.0 + (0.45 if one.shape[0] <= 20 else 0.22) * one.shape[0]) for one in maps
    ]
    width = max(8.0, *(2.4 + 1.5 * one.shape[1] for one in maps))
    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    panels = figure.subplots(len(maps), 2, squeeze=False, sharey="row", height_ratios=heights)
    for (experiment, cell, length), one, row in zip(nets, maps, panels, strict=True):
        title = f"{plain(net_name(experiment, cell))}, T = {length}: " if len(maps) > 1 else ""
        norm: Normalize = LogNorm()
        if len(np.unique(one.steps[np.isfinite(one.steps)])) < 2:
            norm = Normalize()  # a logarithmic one needs two values
        one.draw(row[0], one.solved, f"{title}trials solved", Normalize(0, 1), "{:.0%}")
        heading = "median steps (blank: most unsolved)"
        row[0].set_ylabel(_spaced(one.down))
        one.draw(row[1], one.steps, heading, norm, "{:,.0f}", colors="viridis_r")
    return figure


MOST_ACROSS = 12


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
        self.rows = list(itertools.product(*(values[name] for name in self.down)))
        self.shape = len(self.rows), len(self.columns)
        self.solved, self.steps = np.full((2, *self.shape), np.nan)
        for line in lines:
            row = self.rows.index(tuple(line.settings[name] for name in self.down))
            column = 0 if self.across is None else self.columns.index(line.settings[self.across])
            self.solved[row, column] = line.solved / line.trials
            if math.isfinite(line.median):
                self.steps[row, column] = line.median

    def draw(
        self,
        axes: Axes,
        data: np.ndarray,
        title: str,
        norm: Normalize,
        form: str,
        colors: str = "viridis",
    ) -> None:
        """One panel."""
        image = axes.imshow(data, cmap=colors, norm=norm, aspect="auto")
        for (row, column), value in np.ndenumerate(data):
            if np.isfinite(value):
                color = "white" if sum(image.cmap(norm(value))[:3]) < 1.5 else "black"
                text = form.format(value)
                axes.text(column, row, text, ha="center", va="center", fontsize=8, color=color)
        axes.set(title=title, xlabel=_spaced([] if self.across is None else [self.across]))
        columns = [] if self.across is None else self.columns
        axes.set_xticks(range(len(columns)), [plain(short(value)) for value in columns])
        labels = [plain(", ".join(map(short, place))) for place in self.rows if place]
        axes.set_yticks(range(len(labels)), labels)


def _ordered(values: Any) -> list[Any]:
    """Each once, numbers by size."""
    distinct = list(dict.fromkeys(values))
    return sorted(distinct) if all(isinstance(one, int | float) for one in distinct) else distinct


def _spaced(names: Sequence[str]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)


def plain(text: str) -> str:
    """A text as matplotlib shows it unchanged: a dollar would begin a formula."""
    return text.replace("$", r"\$")
