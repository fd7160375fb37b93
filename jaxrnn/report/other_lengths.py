"""View: nets at other lengths than they were trained at; a table and a picture."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from jaxrnn.outcome import SIZE_AT_LENGTHS
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    heading,
    label_outer_panels,
    legend_height,
    length_axis,
    put_heading,
    put_legend,
    tell,
)
from jaxrnn.report.render import Picture, Table, TableRow
from jaxrnn.report.summary import Study, View, by_net, guessing_of, net_name
from jaxrnn.store.rows import Row

LENGTHS_HEADINGS = ("net", "T", "tested at", "trials", "right", "least", "most")

LENGTHS_LEGEND = (
    f"Trained at T, tested at other lengths: each trial, as it ended, on {SIZE_AT_LENGTHS:,} fresh "
    "sequences of each length. Right: mean share of the sequences whose error is not above the "
    "threshold; least and most: those of single trials. Trials that diverged are not tested."
)


class _Tested(NamedTuple):
    """The trials of one net, trained at one length, that were tested at others."""

    net: tuple[str, str]  # experiment and cell
    length: int  # trained at
    right: Mapping[int, np.ndarray]  # by length: the share of the sequences right of each trial
    rows: Sequence[Row]

    @property
    def task(self) -> str:
        """The name of its task."""
        return self.rows[0].experiment.task


def _tested(rows: Sequence[Row]) -> list[_Tested]:
    """Every net of the rows that was tested at other lengths."""
    found = []
    for group in by_net(rows).values():
        tested = []
        wrong: dict[int, list[int]] = {}
        for row in group:
            if (counts := row.outcome.wrong_at_lengths) is not None:
                tested.append(row)
                for length, count in zip(row.experiment.test_lengths, counts, strict=True):
                    wrong.setdefault(length, []).append(count)
        if wrong:
            right = {at: 1 - np.array(wrong[at]) / SIZE_AT_LENGTHS for at in sorted(wrong)}
            found.append(_Tested(tested[0].net, tested[0].experiment.length, right, tested))
    return sorted(found, key=lambda one: one.length)


def lengths_rows(rows: Sequence[Row]) -> list[TableRow]:
    """The share of sequences right of each net at each length that it was tested at."""
    lines = []
    for one in _tested(rows):
        for length, right in one.right.items():
            shares = (f"{100 * share:.1f}%" for share in (right.mean(), right.min(), right.max()))
            values = net_name(*one.net), str(one.length), str(length), str(len(right)), *shares
            about = {"net": values[0], "T": values[1]}
            cells = dict(zip(LENGTHS_HEADINGS, values, strict=True))
            lines.append(TableRow(cells, one.length, about))
    return lines


def lengths_picture(rows: Sequence[Row]) -> Figure:
    """The share of right sequences against the length of the test: one panel per task and training
    length, one dot per trial, one line per net."""
    nets = _tested(rows)
    trained = sorted({(one.task, one.length) for one in nets})
    names = dict.fromkeys(one.net for one in nets)
    colors = {net: COLORS[number % len(COLORS)] for number, net in enumerate(names)}
    columns = min(3, len(trained))
    lines = -(-len(trained) // columns)
    width = max(6.0, 0.8 + 3.2 * columns)
    is_known = any(guessing_of(one.rows[0].experiment) is not None for one in nets)
    marks = {"length in training": ":"} | ({"guessing": "--"} if is_known else {})
    labels = [*(net_name(*net) for net in names), *marks]
    size = width, 1.2 + 2.4 * lines + legend_height(width, labels)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True)
    label_outer_panels(panels, len(trained), "", "sequences right")
    has_tasks = len({task for task, _ in trained}) > 1
    for axes, (task, length) in zip(panels.flat, trained, strict=False):
        of_panel = [one for one in nets if (one.task, one.length) == (task, length)]
        _panel(axes, length, of_panel, colors, size[0] / columns)
        if has_tasks:
            axes.set_title(f"{task}, trained at T = {length}", fontsize=10)
    handles = [Line2D([], [], color=color, marker=".") for color in colors.values()]
    handles += [Line2D([], [], color=GREY, ls=style) for style in marks.values()]
    put_legend(figure, handles, labels)
    counts = [len(one.rows) for one in nets]
    put_heading(
        figure,
        size[0],
        f"Tested at other lengths: {heading([row for one in nets for row in one.rows], counts)}",
        f"{SIZE_AT_LENGTHS:,} fresh sequences a trial and length; lines are means over trials",
    )
    return figure


def _panel(
    axes: Axes,
    length: int,
    nets: Sequence[_Tested],
    colors: Mapping[tuple[str, str], str],
    inches: float,
) -> None:
    at = length_axis(sorted({length, *(one for net in nets for one in net.right)}))
    for net in nets:
        positions = [at.position[one] for one in net.right]
        for position, right in zip(positions, net.right.values(), strict=True):
            at_length = [position] * len(right)
            dots = axes.plot(at_length, right, ".", color=colors[net.net], alpha=0.35, ms=5)
            tell(dots[0], net.rows, net_name(*net.net))
        means = [right.mean() for right in net.right.values()]
        axes.plot(positions, means, "-", color=colors[net.net])
    for share in dict.fromkeys(guessing_of(net.rows[0].experiment) for net in nets):
        if share is not None:
            axes.axhline(share, color=GREY, ls="--")
    axes.axvline(at.position[length], color=GREY, ls=":")
    axes.set(title=f"trained at T = {length}", ylim=(-0.03, 1.03))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.25)
    at.finish(axes, inches / (len(at.position) + 1))


def _pictures(study: Study) -> list[Picture]:
    caption, stem = "Sequences right at other lengths", "test_lengths"
    return [Picture(caption, stem, lambda: lengths_picture(study.rows))]


VIEW = View(
    lambda study: any(row.outcome.wrong_at_lengths is not None for row in study.rows),
    lambda study: [Table(LENGTHS_HEADINGS, lengths_rows(study.rows), LENGTHS_LEGEND)],
    _pictures,
)
