"""View: each experiment by itself, beside its published row; pictures."""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jaxrnn.problems import SUITES
from jaxrnn.report.by_length import draw_curve, draw_thresholds, highest_error, spread_around
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    heading,
    label_outer_panels,
    plain,
    put_heading,
    put_legend,
    tell,
)
from jaxrnn.report.render import Picture, shortened
from jaxrnn.report.summary import (
    Rows,
    Study,
    View,
    by_net,
    net_name,
    published_beside,
    source_of,
    summarize,
    uncounted,
)
from jaxrnn.store.rows import Row

MOST_PANELS = 40
"""The most panels of a picture of learning curves; for more nets and lengths none is drawn."""


def _by_experiment(rows: Sequence[Row]) -> dict[tuple[str, str, int], Rows]:
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


def sequences_to_success(rows: Sequence[Row]) -> Figure:
    """One line per experiment: its trials are dots, their mean is a bar, the published mean a
    diamond."""
    groups = _by_experiment(rows)
    colors = _condition_colors(experiment for experiment, _, _ in groups)
    height = 0.27 if len(groups) <= 100 else 0.14
    figure = Figure(figsize=(9, 2.2 + height * len(groups)), layout="constrained")
    axes = figure.add_subplot()
    marks: list[float] = []  # everything that has a position on the axis
    conditions = dict.fromkeys(_condition(experiment, cell) for experiment, cell, _ in groups)
    at = ("axes fraction", "data")
    for position, ((experiment, cell, _), group) in enumerate(groups.items()):
        steps = [s for s in group.times if math.isfinite(s)]
        color = colors[_condition(experiment, cell)]
        spread = spread_around(position, 0.22, len(steps))
        dots = axes.plot(steps, spread, ".", color=color, alpha=0.6, clip_on=True)
        tell(dots[0], [row for row in group if row.solved], _condition(experiment, cell))
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
    _put_legend_of_marks(figure, {condition: colors[condition] for condition in conditions})
    title = heading(rows, [*map(len, groups.values())])
    put_heading(figure, 9, f"Training sequences until success: {title}")
    return figure


def _put_legend_of_marks(figure: Figure, conditions: dict[str, str]) -> None:
    """What the dots' colours and the other marks of the sequences to success mean."""
    handles = [Line2D([], [], ls="none", marker=".", color=color) for color in conditions.values()]
    handles.append(Line2D([], [], ls="none", marker="|", ms=12, mew=2, color="#555555"))
    handles.append(Line2D([], [], ls="none", marker="4", ms=8, color=GREY))
    handles.append(Line2D([], [], ls="none", marker="D", mfc="none", mec="black", ms=6))
    labels = [*conditions, "mean of the solved", "cap of the unsolved", "published mean"]
    put_legend(figure, handles, labels)


def _name_and_length(experiment: str, cell: str, length: int) -> str:
    return plain(f"{shortened(net_name(experiment, cell), 40)}, T = {length}")


def _curves(rows: Sequence[Row]) -> list[Picture]:
    """The learning curves of each task's experiments."""
    tasks: dict[str, list[Row]] = {}
    for row in rows:
        tasks.setdefault(row.experiment.task, []).append(row)
    return [
        Picture(
            f"Learning curves on {task}",
            f"learning_curves-{re.sub(r'[^A-Za-z0-9_.]', '-', task)[:200]}",
            partial(curves_by_experiment, of_task),
        )
        for task, of_task in tasks.items()
        if len(by_net(of_task)) <= MOST_PANELS
    ]


def curves_by_experiment(rows: Sequence[Row]) -> Figure:
    """Errors against training sequences: one panel per experiment and length, one line per
    trial."""
    groups = _by_experiment(rows)
    columns = min(4, len(groups))
    panels = -(-len(groups) // columns)
    size = max(7.0, 3 * columns + 0.5), 2.2 * panels + 1.4
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(panels, columns, sharey=True, squeeze=False)
    highest = max(map(highest_error, rows))
    grid[0, 0].set(yscale="log", ylim=(0.003, 1.2 * max(1.0, highest)))
    for axes, (net, group) in zip(grid.flat, groups.items(), strict=False):
        for row in group:
            color = COLORS[1] if row.solved else COLORS[5]
            draw_curve(axes, row, color=color, alpha=0.5)
        draw_thresholds(axes, group)
        published = published_beside(group)
        mean = (published and published.mean) or 0
        if mean:
            axes.axvline(mean, color="black", lw=0.8, ls=":")
        axes.set_title(f"{_name_and_length(*net)}: {group.solved}/{len(group)}", fontsize=9)
        axes.set(xscale="log", xlim=(10, max(group[0].experiment.max_steps, mean, 10) * 1.1))
        axes.minorticks_off()  # a hundred times as many as ticks, and as slow to draw
        axes.grid(alpha=0.2)
    label_outer_panels(grid, len(groups), "training sequence", "mean error")
    styles = ((COLORS[1], "-"), (COLORS[5], "-"), (GREY, "--"), ("black", ":"))
    lines = [Line2D([], [], color=color, ls=style) for color, style in styles]
    put_legend(figure, lines, ["solved", "not solved", "threshold", "published mean"])
    title = heading(rows, [*map(len, groups.values())])
    put_heading(figure, size[0], f"Learning curves, one line per trial; n/N were solved: {title}")
    return figure


def _suits(study: Study) -> bool:
    return not (study.is_horizon or study.is_grid or "by_length" in study.views)


def _pictures(study: Study) -> list[Picture]:
    caption, stem = "Sequences to success", "sequences_to_success"
    of_all = Picture(caption, stem, lambda: sequences_to_success(study.rows))
    return [of_all, *_curves(study.rows)]


VIEW = View(_suits, pictures=_pictures)
