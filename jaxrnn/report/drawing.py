"""What the pictures share: colours, headings, legends beside the panels, the axis of lengths."""

import itertools
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from jaxrnn.report.render import listed, shortened
from jaxrnn.report.summary import net_name, steps_to_solution
from jaxrnn.store.rows import Row

COLORS = (
    *("#d95f02", "#1b6ca8", "#2a9d4a", "#8e44ad", "#7f5539", "#c2185b", "#555555", "#009688"),
    *("#e6ab02", "#1f2a6b", "#66b3ff", "#86b817"),
)
"""For as many nets as colours can tell apart; more nets are shown as a table of colours."""

GREY = "#999999"
_INCHES_A_LETTER = 0.082  # of the headings and the legends, roughly


def plain(text: str) -> str:
    """A text as matplotlib shows it unchanged: a dollar would begin a formula."""
    return text.replace("$", r"\$")


def colors_of(rows: Iterable[Row]) -> dict[tuple[str, str], str]:
    """The nets in the rows, (experiment, cell), each with its colour."""
    nets = dict.fromkeys(row.net for row in rows)
    return dict(zip(nets, itertools.cycle(COLORS)))


def spread_around(middle: float, half: float, count: int) -> np.ndarray:
    """Places for ``count`` dots, side by side so that equal values stay visible."""
    return middle + np.linspace(-half, half, count) if count > 1 else np.full(count, middle)


def heading(rows: Sequence[Row], numbers: Iterable[int]) -> str:
    """Nets, tasks, lengths, trials and cap of some rows, in words.

    ``numbers`` are the numbers of trials that are counted together: for each net and length, or for
    each combination of settings.
    """
    made, numbers = dict.fromkeys(row.experiment for row in rows), list(numbers)
    nets = _several((net_name(one.name, one.cell) for one in made), "nets")
    tasks = _several((one.task for one in made), "tasks")
    lengths = _range(one.length for one in made)
    trials, caps = _range(numbers), _range(one.max_steps for one in made)
    return (
        f"{nets} on {tasks}, length{'s' if ' ' in lengths else ''} {lengths}: "
        f"{trials} trial{'' if trials == '1' else 's'}{' each' if len(numbers) > 1 else ''}, "
        f"cap {caps} sequences"
    )


def _range(values: Iterable[int]) -> str:
    low, high = min(values := list(values)), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _several(names: Iterable[str], what: str) -> str:
    """Up to three names, cut, or how many there are."""
    short = [shortened(name, 40) for name in dict.fromkeys(names)]
    return listed(short) if len(short) <= 3 else f"{len(short)} {what}"


def put_heading(figure: Figure | SubFigure, title: str, words: str = "") -> None:
    """A title over a figure, or a part as wide as it, on as many lines as needed; ``words``
    below."""
    letters = int(figure.figure.get_figwidth() / _INCHES_A_LETTER)
    lines = [textwrap.fill(text, letters) for text in (title, words) if text]
    figure.suptitle(plain("\n".join(lines)), x=0.01, ha="left", fontsize=10)


def tell(line: Line2D, rows: Sequence[Row], group: str = "") -> None:
    """Make the page name the trial of each point of a line, or the one trial of the whole line. The
    page can hide the lines of a ``group``."""
    words = []
    for row in rows:
        made, end = row.experiment, row.outcome
        at = f"at {steps_to_solution(row):,.0f}" if row.solved else f"after {end.steps:,}"
        which = f"T = {made.length}, trial {end.trial}, seed {made.seed}: {end.status} {at}"
        words.append(f"{net_name(*row.net)}, {which}")
    line.set_gid(json.dumps({"words": words, "group": group}))


def table_of_colors(
    figure: Figure,
    names: tuple[Sequence[str], Sequence[str]],
    values: np.ndarray,
    norm: Normalize,
    words: Mapping[tuple[int, int], tuple[str, str]],
) -> tuple[Axes, AxesImage]:
    """A table in a figure: of each value [rows, columns] its colour and its two words, a large one
    above a small one. ``names`` are those of the rows and of the columns; NaN has no colour."""
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap="viridis", norm=norm, aspect="auto")
    for (y, x), (large, small) in words.items():
        color = "white" if norm(values[y, x]) <= 0.6 else "black"  # NaN has no colour
        place = (y + 0.05, "top") if large else (y, "center")
        axes.text(x, y, large, ha="center", va="bottom", fontsize=9, color=color)
        axes.text(x, place[0], small, ha="center", va=place[1], fontsize=7, color=color)
    rows, columns = names
    axes.set_xticks(range(len(columns)), [plain(name.replace("_", "\n")) for name in columns])
    axes.tick_params(axis="x", labeltop=True, labelbottom=False, labelsize=8, length=0)
    axes.set_yticks(range(len(rows)), [*map(plain, rows)])
    axes.tick_params(axis="y", labelsize=9, length=0)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", lw=1)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    return axes, image


def panels_of(
    count: int,
    across: int,
    panel: tuple[float, float],
    margins: tuple[float, float],
    least: float = 0.0,
    sharex: bool = False,
) -> tuple[Figure, np.ndarray]:
    """A figure with ``count`` panels, at most so many ``across``, and at least ``least`` wide. All
    sizes are in inches."""
    columns = min(across, count)
    lines = -(-count // columns)
    size = max(least, panel[0] * columns + margins[0]), panel[1] * lines + margins[1]
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(lines, columns, squeeze=False, sharex=sharex, sharey=True)


def put_legend(figure: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """A legend below all panels, as wide as the figure allows."""
    columns = _legend_columns(figure.get_figwidth(), labels)
    figure.legend(
        handles,
        [plain(label) for label in labels],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=9,
    )


def _legend_columns(width: float, labels: Sequence[str]) -> int:
    entries = [0.55 + _INCHES_A_LETTER * len(label) for label in labels]
    return len(labels) if sum(entries) <= width else max(1, int(width / max(entries)))


def legend_height(width: float, labels: Sequence[str]) -> float:
    """The inches that :func:`put_legend` takes in a figure of this width."""
    return 0.3 + 0.19 * -(-len(labels) // _legend_columns(width, labels))


def label_outer_panels(panels: np.ndarray, count: int, xlabel: str, ylabel: str) -> None:
    """Label the axes of the first ``count`` of a table of panels at its left and lower edge.

    The other panels are removed; a panel above a removed one is at the edge, too.
    """
    columns = panels.shape[1]
    for position, axes in enumerate(panels.flat):
        if position >= count:
            axes.set_visible(False)
            continue
        if position % columns == 0:
            axes.set_ylabel(ylabel)
        if position + columns >= count:
            axes.set_xlabel(xlabel)
            axes.tick_params(labelbottom=True)


class LengthAxis(NamedTuple):
    """Places of lengths on an axis, evenly spaced, so that each has as much room for its dots."""

    position: dict[int, int]  # of each length

    @property
    def end(self) -> float:
        """The axis runs from 0 to here."""
        return len(self.position) + 0.5

    def finish(self, axes: Axes, room: float) -> None:
        """Ticks and label; with little ``room`` for a length, in inches, ticks are turned."""
        middle, half = self.end / 2, max(self.end, 4.0) / 2  # few lengths do not fill the axis
        axes.set_xlim(middle - half, middle + half)
        turned = room < 0.1 + 0.08 * max(len(str(length)) for length in self.position)
        labels = [str(length) for length in self.position]
        axes.set_xticks(list(self.position.values()), labels, rotation=90 if turned else 0)
        axes.set_xlabel("length of the sequence, evenly spaced")


def length_axis(lengths: Iterable[int]) -> LengthAxis:
    """The axis of these lengths, in order."""
    return LengthAxis({length: place for place, length in enumerate(sorted({*lengths}), 1)})
