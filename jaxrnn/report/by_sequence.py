"""Views along the training sequences: when trials are solved, and their errors; pictures."""

import itertools
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from jaxrnn.names import is_own
from jaxrnn.outcome import curve_edges
from jaxrnn.problems import SUITES
from jaxrnn.report.compare import kaplan_meier, rivals
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    colors_of,
    heading,
    label_outer_panels,
    panels_of,
    plain,
    put_heading,
    put_legend,
    spread_around,
    tell,
)
from jaxrnn.report.render import Part, Picture, all_shortened, shortened
from jaxrnn.report.summary import (
    Rows,
    Study,
    by_net,
    interval,
    net_name,
    published_beside,
    source_of,
    summarize,
    uncounted,
)
from jaxrnn.store.rows import Row

# When the trials of each experiment are solved


def sequences_to_success(rows: Sequence[Row]) -> Figure:
    """One line per experiment: its trials are dots, their mean is a bar, the published mean a
    diamond."""
    groups = _by_experiment(rows)
    conditions = {}
    for net in groups:
        suite = SUITES.get(net[0])
        conditions[net] = suite.condition if suite and net[1] in suite.cells else "another cell"
    # A colour for each condition of the experiments' sources, whichever of them were run.
    sources = {source_of(experiment) for experiment, _, _ in groups}
    found = (suite.condition for suite in SUITES.values() if suite.source in sources)
    palette = itertools.cycle((COLORS[1], COLORS[0], *COLORS[2:]))
    colors = dict(zip(dict.fromkeys([*found, "another cell"]), palette, strict=False))
    height = 0.27 if len(groups) <= 100 else 0.14
    figure = Figure(figsize=(9, 2.2 + height * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    marks: list[float] = []  # everything that has a position on the axis
    at = ("axes fraction", "data")
    for position, (net, group) in enumerate(groups.items()):
        steps = [s for s in group.times if math.isfinite(s)]
        color = colors[conditions[net]]
        spread = spread_around(position, 0.22, len(steps))
        dots = axes.plot(steps, spread, ".", color=color, alpha=0.6, clip_on=True)
        tell(dots[0], [row for row in group if row.solved], conditions[net])
        if steps:
            axes.plot(np.mean(steps), position, "|", color=color, ms=12, mew=2)
        marks += steps
        if len(steps) < len(group):
            left = (row for row in group if not row.solved)
            cap = max(1, *(row.experiment.max_steps - uncounted(row) for row in left))
            axes.plot(cap, position, "4", color=GREY, ms=8)
            marks.append(cap)
        if (published := published_beside(group)) and published.mean:
            axes.plot(published.mean, position, "D", mfc="none", mec="black", ms=6)
            marks.append(published.mean)
        solved = f"{group.solved}/{len(group)}"
        axes.annotate(solved, (1.01, position), xycoords=at, va="center", fontsize=height * 33)
    names = [_name_and_length(*net) for net in groups]
    axes.set_yticks(range(len(groups)), names, fontsize=height * 33)
    axes.annotate("solved", (1.01, -0.6), xycoords=at, va="bottom", fontsize=9)
    axes.set(xscale="log", xlabel="training sequences until success")
    axes.set_xlim(min(marks) / 2, max(marks) * 2)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.tick_params(labeltop=len(groups) > 30)
    axes.grid(alpha=0.25)
    shown = dict.fromkeys(conditions.values())
    handles = [Line2D([], [], ls="none", marker=".", color=colors[one]) for one in shown]
    handles.append(Line2D([], [], ls="none", marker="|", ms=12, mew=2, color="#555555"))
    handles.append(Line2D([], [], ls="none", marker="4", ms=8, color=GREY))
    handles.append(Line2D([], [], ls="none", marker="D", mfc="none", mec="black", ms=6))
    labels = [*shown, "mean of the solved", "cap of the unsolved", "published mean"]
    put_legend(figure, handles, labels)
    title = heading(rows, map(len, groups.values()))
    put_heading(figure, f"Training sequences until success: {title}")
    return figure


def _by_experiment(rows: Sequence[Row]) -> dict[tuple[str, str, int], Rows]:
    """The rows of each experiment, cell and length, in the order of the table."""
    groups = by_net(rows)
    order = ((line.experiment, line.cell, line.length) for line in summarize(rows))
    return {net: groups[net] for net in order}


def _name_and_length(experiment: str, cell: str, length: int) -> str:
    return plain(f"{shortened(net_name(experiment, cell), 40)}, T = {length}")


# Learning curves

MOST_PANELS = 40
"""The most panels of a picture of learning curves; for more nets and lengths none is drawn."""


def curves_by_length(rows: Sequence[Row]) -> Figure:
    """Errors against training sequences: one panel per length, one line per trial."""
    colors = colors_of(rows)
    lengths = sorted({row.experiment.length for row in rows})
    figure, grid = panels_of(len(lengths), 5, (2.5, 2.4), (1.0, 1.6), least=7.0, sharex=True)
    for axes, length in zip(grid.flat, lengths, strict=False):
        group = [row for row in rows if row.experiment.length == length]
        _draw_curves(axes, group, lambda row: colors[row.net], alpha=0.35)
        axes.set_title(f"T = {length}", fontsize=10)
        axes.grid(alpha=0.2)
    cap = max(row.experiment.max_steps for row in rows)
    highest = max(1.02, 1.05 * _highest_error(rows))
    grid[0, 0].set(xscale="log", xlim=(1, max(cap, 2)), ylim=(0, highest))
    for axes in grid.flat:
        axes.minorticks_off()  # many, and slow to draw
    label_outer_panels(grid, len(lengths), "training sequence", "mean error")
    lines = [Line2D([], [], color=color) for color in colors.values()]
    end = _end_of_legend(rows)
    short = all_shortened((net_name(*net) for net in colors), 40)
    put_legend(figure, [*lines, *end.values()], [*(short[net_name(*net)] for net in colors), *end])
    title = heading(rows, map(len, by_net(rows).values()))
    put_heading(figure, f"Learning curves, one line per trial: {title}")
    return figure


def curves_by_experiment(rows: Sequence[Row]) -> Figure:
    """Errors against training sequences: one panel per experiment and length, one line per
    trial."""
    groups = _by_experiment(rows)
    figure, grid = panels_of(len(groups), 4, (3.0, 2.2), (0.5, 1.4), least=7.0)
    grid[0, 0].set(yscale="log", ylim=(0.003, 1.2 * max(1.0, _highest_error(rows))))
    for axes, (net, group) in zip(grid.flat, groups.items(), strict=False):
        _draw_curves(axes, group, lambda row: COLORS[1 if row.solved else 5], alpha=0.5)
        published = published_beside(group)
        mean = (published and published.mean) or 0
        if mean:
            axes.axvline(mean, color="black", lw=0.8, ls=":")
        axes.set_title(f"{_name_and_length(*net)}: {group.solved}/{len(group)}", fontsize=9)
        axes.set(xscale="log", xlim=(10, max(group[0].experiment.max_steps, mean, 10) * 1.1))
        axes.minorticks_off()  # a hundred times as many as ticks, and as slow to draw
        axes.grid(alpha=0.2)
    label_outer_panels(grid, len(groups), "training sequence", "mean error")
    shown = {"solved": (COLORS[1], "-"), "not solved": (COLORS[5], "-")}
    lines = {name: Line2D([], [], color=color, ls=style) for name, (color, style) in shown.items()}
    lines |= _end_of_legend(rows)
    lines["published mean"] = Line2D([], [], color="black", ls=":")
    put_legend(figure, [*lines.values()], [*lines])
    title = heading(rows, map(len, groups.values()))
    put_heading(figure, f"Learning curves, one line per trial; n/N were solved: {title}")
    return figure


def _draw_curves(
    axes: Axes, rows: Sequence[Row], color_of: Callable[[Row], str], alpha: float
) -> None:
    """The errors of each trial, each at the first step of its bin, counted from 1, and that of its
    final test on the user's own task; and a line at each threshold that the trials had."""
    for row in rows:
        curve = row.outcome.curve
        edges = curve_edges(row.experiment.max_steps)[: len(curve)] + 1
        line = axes.plot(edges, curve, color=color_of(row), alpha=alpha, lw=0.8)
        tell(line[0], [row], net_name(*row.net))
        if _is_tested(row):
            end, error = row.outcome.steps, row.outcome.final_error or 0.0
            style: dict[str, Any] = {
                "mfc": "none",
                "ms": 5,
                "mew": 0.7,
                "color": color_of(row),
                "clip_on": False,
            }
            axes.plot(end, error, "o", **style)
    for threshold in dict.fromkeys(row.experiment.threshold for row in rows):
        axes.axhline(threshold, color=GREY, lw=0.8, ls="--")


def _is_tested(row: Row) -> bool:
    return is_own(row.experiment.task) and row.outcome.final_error is not None


def _end_of_legend(rows: Sequence[Row]) -> dict[str, Line2D]:
    """What stands in the legend after the lines."""
    shown = {"threshold": Line2D([], [], color=GREY, ls="--")}
    if any(map(_is_tested, rows)):
        shown["final test"] = Line2D([], [], ls="none", marker="o", mfc="none", ms=5, color=GREY)
    return shown


def _highest_error(rows: Sequence[Row]) -> float:
    """The highest error in the learning curves that is finite, and of the tests beside them."""
    errors = [error for row in rows for error in row.outcome.curve]
    errors += [row.outcome.final_error or 0.0 for row in rows if _is_tested(row)]
    return max(filter(math.isfinite, errors), default=0.0)


# How many trials are solved by each step

PANELS = 12
"""The most in one picture."""


def solved_by_step(study: Study) -> list[Part]:
    """The Kaplan-Meier curves of each task that several nets were trained on, one panel per length,
    with no more nets than colours can tell apart."""
    of_task: dict[str, list[list[Rows]]] = {}
    for nets in rivals(study.rows):
        of_task.setdefault(nets[0][0].experiment.task, []).append(nets)
    pictures: dict[str, Part] = {}
    for task, panels in of_task.items():
        if len({net[0].net for nets in panels for net in nets}) > len(COLORS):
            continue
        for start in range(0, len(panels), PANELS):
            name = stem = f"solved_by_step-{re.sub(r'[^A-Za-z0-9]+', '_', task)[:200]}"
            while name in pictures:  # a task of one's own may be called by a file's name
                name = f"{stem}-{len(pictures) + 1}"
            draw = partial(_steps_figure, task, panels[start : start + PANELS])
            pictures[name] = Picture(f"Trials solved by step: {task}", name, draw)
    return list(pictures.values())


def _steps_figure(task: str, panels: Sequence[Sequence[Rows]]) -> Figure:
    """One minus the Kaplan-Meier estimate of those not solved, with its interval: no trial is
    censored before the cap, so this is the interval of a proportion."""
    figure, grid = panels_of(len(panels), 3, (3.0, 2.6), (2.0, 1.2))
    colors = colors_of(net[0] for nets in panels for net in nets)
    label_outer_panels(grid, len(panels), "", "share of trials solved")
    for axes, nets in zip(grid.flat, panels, strict=False):
        made, not_counted = nets[0][0].experiment, uncounted(nets[0][0])  # as they are compared
        curves = [kaplan_meier(net, not_counted) for net in nets]
        ends = np.concatenate([curve.quantiles for curve in curves])
        right = min(1.05 * ends.max(), made.max_steps)
        left = 0.95 * max(ends.min(), 1)
        if not any(net.solved for net in nets):
            left = right / 10
        for net, curve in zip(nets, curves, strict=True):
            # None is solved before the first step.
            steps = np.array([1, *curve.quantiles, max(right, curve.quantiles[-1])])
            solved = 1 - np.array([1, *curve.probabilities, curve.probabilities[-1]])
            bounds = [interval(round(share * len(net)), len(net)) for share in solved]
            (low, high), color = np.array(bounds).T, colors[net[0].net]
            axes.fill_between(steps, low, high, step="post", color=color, alpha=0.15, lw=0)
            axes.step(steps, solved, where="post", color=color)
        trials = "-".join(map(str, sorted({len(net) for net in nets})))
        axes.set(title=f"T = {made.length}, {trials} trials", ylim=(-0.03, 1.03))
        axes.set(xscale="log", xlim=(left, right))
        # Less than a decade: some round numbers. More: in each as many as leave room for labels.
        shares = [1, 2, 5] if right < 20 * left else [1, 3] if right < 200 * left else [1]
        near = MaxNLocator(4, prune="both")
        axes.xaxis.set_major_locator(near if right < 10 * left else LogLocator(subs=shares))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel=f"training sequence (cap {made.max_steps:,})")
    figure.suptitle(plain(f"Trials solved by each step, 95 % intervals shaded\n{task}"))
    handles = [grid[-1, 0].plot([], [], color=color)[0] for color in colors.values()]
    labels = [plain(net_name(*net)) for net in colors]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def view(study: Study) -> list[Part]:
    """Nets along lengths, or experiments that stand each for itself."""
    rows = study.rows
    if study.is_grid:
        return []
    if "by_length" in study.views:
        if len(colors_of(rows)) > len(COLORS):
            return []
        return [Picture("Learning curves", "learning_curves", partial(curves_by_length, rows))]
    draw = partial(sequences_to_success, rows)
    pictures: list[Part] = [Picture("Sequences to success", "sequences_to_success", draw)]
    tasks: dict[str, list[Row]] = {}
    for row in rows:
        tasks.setdefault(row.experiment.task, []).append(row)
    for task, of_task in tasks.items():
        if len(by_net(of_task)) <= MOST_PANELS:
            stem = f"learning_curves-{re.sub(r'[^A-Za-z0-9_.]', '-', task)[:200]}"
            draw = partial(curves_by_experiment, of_task)
            pictures.append(Picture(f"Learning curves on {task}", stem, draw))
    return pictures
