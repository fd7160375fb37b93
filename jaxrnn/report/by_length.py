"""Views along lengths: steps to solution, and tests at other lengths than those of the training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from jaxrnn.outcome import SIZE_AT_LENGTHS
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    LengthAxis,
    colors_of,
    heading,
    label_outer_panels,
    legend_height,
    length_axis,
    panels_of,
    plain,
    put_heading,
    put_legend,
    spread_around,
    tell,
)
from jaxrnn.report.render import Part, Picture, Table, TableRow, all_shortened
from jaxrnn.report.summary import (
    Rows,
    Study,
    by_net,
    guessing_of,
    median,
    net_name,
    published_beside,
)
from jaxrnn.store.rows import Row

Nets = Mapping[tuple[str, str, int], Rows]  # by experiment, cell and length
Colors = Mapping[tuple[str, str], str]  # by experiment and cell


def steps_to_solution_figure(rows: Sequence[Row]) -> Figure:
    """Every trial is a dot, unsolved ones above the cap; published results are rings beside the
    dots.

    A table above the panel says how many trials of each net and length were solved, and gives the
    nets' colours.
    """
    colors, groups = colors_of(rows), by_net(rows)
    axis = length_axis(row.experiment.length for row in rows)
    most = max(map(len, groups.values()))
    # A slot holds a column of dots a net, and n/N of the table.
    slot = max(0.5, 0.12 * len(colors), 0.2 + 0.14 * len(str(most)))
    num_slots = max(axis.end, 4.0)
    size = max(7.0, 2.4 + min(16.0, slot * num_slots)), 5.2 + 0.2 * len(colors)
    slot = (size[0] - 2.4) / num_slots  # inches
    figure = Figure(figsize=size, layout="constrained")
    table, axes = figure.subplots(2, sharex=True, height_ratios=[0.2 * len(colors), 4.0])
    marks = _draw_steps(axes, colors, groups, axis, slot)
    handles = {"a trial": Line2D([], [], color="#555555", marker=".", ls="none", ms=6)}
    if any(math.isfinite(median(group.times)) for group in groups.values()):
        handles["median"] = Line2D([], [], color="#555555")
    for of, marker in marks.items():
        handles[of] = Line2D([], [], color="#555555", marker=marker, mfc="none", ms=4, ls="none")
    put_legend(figure, list(handles.values()), list(handles))
    axis.finish(axes, slot)
    is_narrow = slot < 0.1 + 0.14 * len(str(most))
    place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 5 if is_narrow else 8}
    for number, (net, color) in enumerate(colors.items()):
        for length, position in axis.position.items():
            if group := groups.get((*net, length)):
                text = f"{group.solved}/{len(group)}"
                table.text(position, number, text, color=color, **place)
    short = all_shortened((net_name(*net) for net in colors), 40)
    names = [plain(short[net_name(*net)]) for net in colors]
    table.set_yticks(range(len(names)), names, fontsize=9)
    for label, color in zip(table.get_yticklabels(), colors.values(), strict=True):
        label.set_color(color)
    table.set_ylim(len(names) - 0.5, -0.5)
    table.tick_params(left=False, bottom=False, labelbottom=False)
    table.spines[:].set_visible(False)
    title = f"Steps to solution: {heading(rows, map(len, groups.values()))}"
    put_heading(figure, title, "Above each length: how many of its trials were solved.")
    return figure


def _draw_steps(
    axes: Axes, colors: Colors, groups: Nets, axis: LengthAxis, slot: float
) -> dict[str, str]:
    """The dots and rings, and lines that join medians; a ``slot`` is so many inches wide. Returns
    what was published, and its marker."""
    cap = max(row.experiment.max_steps for group in groups.values() for row in group)
    beside = {net: published_beside(group) for net, group in groups.items()}
    means = [one.mean for one in beside.values() if one is not None and one.mean is not None]
    top = 1.6 * max([cap, *means])  # where unsolved trials are drawn
    width = 0.8 / len(colors)
    share = 0.6 if any(beside.values()) else 1.0  # of the width, the rest is for rings
    marks: dict[str, str] = {}
    drawn: list[float] = []
    for position in axis.position.values():
        axes.axvspan(position - 0.45, position + 0.45, color="#f3f3f3", zorder=0)
    for number, (net, color) in enumerate(colors.items()):
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
        mark = "_" if len(medians) == 1 else "None"  # which is no line yet
        line: dict[str, Any] = {"marker": mark, "ms": 14, "label": plain(net_name(*net))}
        axes.plot(*zip(*medians, strict=True), "-", color=color, lw=1.2, **line)
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
    return marks


def view(study: Study) -> list[Part]:
    """Steps to solution of no more nets than colours can tell apart."""
    is_along = "by_length" in study.views and not study.is_grid
    if not is_along or len(colors_of(study.rows)) > len(COLORS):
        return []
    caption, stem = "Steps to solution against length", "steps_to_solution"
    return [Picture(caption, stem, lambda: steps_to_solution_figure(study.rows))]


# Tested at other lengths

HEADINGS = ("net", "T", "tested at", "trials", "right", "least", "most")

LEGEND = (
    f"Trained at T, tested at other lengths: each trial, as it ended, on {SIZE_AT_LENGTHS:,} fresh "
    "sequences of each length. Right: mean share of the sequences whose error is not above the "
    "threshold; least and most: those of single trials. Trials that diverged are not tested."
)

Right = dict[int, np.ndarray]
"""By length of the test: the share of the sequences right of each trial."""


def _tested(rows: Sequence[Row]) -> list[tuple[Rows, Right]]:
    """The trials that were tested at other lengths, of each net and length."""
    found = []
    for group in by_net(rows).values():
        tested = Rows()
        wrong: dict[int, list[int]] = {}
        for row in group:
            if (counts := row.outcome.wrong_at_lengths) is not None:
                tested.append(row)
                for length, count in zip(row.experiment.test_lengths, counts, strict=True):
                    wrong.setdefault(length, []).append(count)
        if wrong:
            right = {at: 1 - np.array(wrong[at]) / SIZE_AT_LENGTHS for at in sorted(wrong)}
            found.append((tested, right))
    return sorted(found, key=lambda one: one[0][0].experiment.length)


def lengths_rows(rows: Sequence[Row]) -> list[TableRow]:
    """The share of sequences right of each net at each length that it was tested at."""
    lines = []
    for tested, by_length in _tested(rows):
        trained_at = tested[0].experiment.length
        about = {"net": net_name(*tested[0].net), "T": str(trained_at)}
        for length, right in by_length.items():
            shares = (f"{100 * share:.1f}%" for share in (right.mean(), right.min(), right.max()))
            values = *about.values(), str(length), str(len(right)), *shares
            lines.append(TableRow(dict(zip(HEADINGS, values, strict=True)), trained_at, about))
    return lines


def lengths_picture(rows: Sequence[Row]) -> Figure:
    """The share of right sequences against the length of the test: one panel per task and training
    length, one dot per trial, one line per net."""
    nets = _tested(rows)
    panels: dict[tuple[str, int], list[tuple[Rows, Right]]] = {}
    for net in nets:
        made = net[0][0].experiment
        panels.setdefault((made.task, made.length), []).append(net)
    colors = colors_of(tested[0] for tested, _ in nets)
    is_known = any(guessing_of(tested[0].experiment) is not None for tested, _ in nets)
    marks = {"length in training": ":"} | ({"guessing": "--"} if is_known else {})
    labels = [*(net_name(*net) for net in colors), *marks]
    figure, grid = panels_of(len(panels), 3, (3.2, 2.4), (0.8, 1.2), least=6.0)
    width, height = figure.get_size_inches()
    figure.set_figheight(height + legend_height(width, labels))
    label_outer_panels(grid, len(panels), "", "sequences right")
    has_tasks = len({task for task, _ in panels}) > 1
    for axes, (task, length) in zip(grid.flat, sorted(panels), strict=False):
        own = panels[task, length]
        at = length_axis(sorted({length, *(one for _, right in own for one in right)}))
        for tested, by_length in own:
            color = colors[tested[0].net]
            positions = [at.position[one] for one in by_length]
            for position, right in zip(positions, by_length.values(), strict=True):
                dots = axes.plot([position] * len(right), right, ".", color=color, alpha=0.35, ms=5)
                tell(dots[0], tested, net_name(*tested[0].net))
            axes.plot(positions, [right.mean() for right in by_length.values()], "-", color=color)
        for share in dict.fromkeys(guessing_of(tested[0].experiment) for tested, _ in own):
            if share is not None:
                axes.axhline(share, color=GREY, ls="--")
        axes.axvline(at.position[length], color=GREY, ls=":")
        axes.set(title=f"trained at T = {length}", ylim=(-0.03, 1.03))
        if has_tasks:
            axes.set_title(f"{task}, trained at T = {length}", fontsize=10)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(alpha=0.25)
        at.finish(axes, width / grid.shape[1] / (len(at.position) + 1))
    handles = [Line2D([], [], color=color, marker=".") for color in colors.values()]
    handles += [Line2D([], [], color=GREY, ls=style) for style in marks.values()]
    put_legend(figure, handles, labels)
    title = heading([row for one, _ in nets for row in one], [len(one) for one, _ in nets])
    below = f"{SIZE_AT_LENGTHS:,} fresh sequences a trial and length; lines are means over trials"
    put_heading(figure, f"Tested at other lengths: {title}", below)
    return figure


def other_lengths(study: Study) -> list[Part]:
    """Trials that were tested at other lengths."""
    if not (lines := lengths_rows(study.rows)):
        return []
    caption, stem = "Sequences right at other lengths", "test_lengths"
    picture = Picture(caption, stem, lambda: lengths_picture(study.rows))
    return [Table(caption, HEADINGS, lines, LEGEND), picture]
