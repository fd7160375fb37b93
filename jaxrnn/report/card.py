"""View: what each cell solves on each task, and how soon; tables and pictures.

It suits rows whose source compares cells across tasks. It does not rank cells: it only says whether
two cells can be told apart.
"""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxrnn.problems import SUITES
from jaxrnn.report.by_length import spread_around
from jaxrnn.report.compare import compare, restricted_mean
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    plain,
    put_heading,
    put_legend,
    table_of_colors,
    tell,
)
from jaxrnn.report.render import (
    Picture,
    Table,
    TableRow,
    all_shortened,
    bounds_in_percent,
    short,
    steps_in_words,
)
from jaxrnn.report.summary import Rows, Study, View, median, source_of
from jaxrnn.store.rows import Row

NAME_WIDTH = 24  # of a cell's name
TASKS_ACROSS = 4  # panels of the times

Groups = dict[tuple[str, str], Rows]
"""The rows of each cell on each task."""


def _groups(rows: Sequence[Row]) -> tuple[list[str], list[str], Groups]:
    """The cells, the tasks, and the rows of each cell on each task. Cells and tasks of the suites
    come first, in the suites' order."""
    groups: Groups = {}
    for row in rows:
        groups.setdefault((row.experiment.cell, row.experiment.task), Rows()).append(row)
    suites = [suite for suite in SUITES.values() if suite.source.view == "card"]
    known = dict.fromkeys(cell for suite in suites for cell in suite.cells)
    cells, tasks = (list(dict.fromkeys(names)) for names in zip(*groups, strict=True))
    for names, order in ((cells, [*known]), (tasks, [suite.base.task for suite in suites])):
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    return cells, tasks, groups


def _labels(cells: Sequence[str]) -> list[str]:
    return list(all_shortened(cells, NAME_WIDTH).values())


def solved_table(rows: Sequence[Row]) -> Table:
    """Trials solved of each cell on each task, and the 95 % interval of their percentage."""
    cells, tasks, groups = _groups(rows)
    lines = []
    for cell, label in zip(cells, _labels(cells), strict=True):
        shown = {"cell": label}
        for task in tasks:
            if net := groups.get((cell, task)):
                bounds = bounds_in_percent(net.interval)
                shown[task] = f"{net.solved}/{len(net)} {bounds:>6}"
        lines.append(TableRow(shown, None, {"cell": cell}))
    about = {task: {"task": task} for task in tasks}
    legend = "Trials solved, and the 95 % interval of their percentage (Clopper-Pearson)."
    return Table(["cell", *tasks], lines, legend, wraps=True, about=about)


HEADINGS = (
    *("task", "net", "units", "optimizer", "learning rate", "bias", "solved", "95%"),
    *("median", "restricted mean", "sooner", "its 95%"),
)
_DISPENSABLE = ("restricted mean", "bias", "learning rate", "optimizer", "units")


def times_rows(rows: Sequence[Row]) -> list[TableRow]:
    """Every net on every task: its settings, what it solved and when, and the probability that it
    solves the task sooner than the task's first net."""
    cells, tasks, groups = _groups(rows)
    lines = []
    for task in tasks:
        nets = [groups[cell, task] for cell in cells if (cell, task) in groups]
        for net in nets:
            about = {"cell": net[0].experiment.cell, "task": task}
            lines.append(TableRow(_line(net, nets[0]), task, about))
    return lines


def _line(net: Rows, first: Rows) -> dict[str, str]:
    made = net[0].experiment
    biases = {name: getattr(made, f"{name}_bias") for name in ("input", "forget", "output")}
    shown = {
        "task": made.task,
        "net": made.cell,
        "units": str(made.hidden_size),
        "optimizer": made.optimizer,
        "learning rate": short(made.learning_rate),
        "bias": ", ".join(f"{name} {short(value)}" for name, value in biases.items() if value)
        or "-",
        "solved": f"{net.solved}/{len(net)}",
        "95%": bounds_in_percent(net.interval),
        "median": steps_in_words(median(net.times)),
        "restricted mean": steps_in_words(restricted_mean(net)),
    }
    if net is not first:
        result = compare(net, first)
        shown["sooner"] = f"{100 * result.sooner:.0f}%"
        shown["its 95%"] = bounds_in_percent(result.interval)
    return shown


def times_legend(rows: Sequence[Row]) -> str:
    """What the columns of :func:`times_rows` mean."""
    _, tasks, groups = _groups(rows)
    compared = len(groups) - len(tasks)
    said = " ".join(
        dict.fromkeys(
            f"Solved: trials that {source.solved}; steps are {source.steps}."
            for source in (source_of(row.experiment.name) for row in rows)
        )
    )
    return (
        f"{said} 95%: Clopper-Pearson interval of the percentage solved. Median: that of the "
        "times to success by Kaplan and Meier, with unsolved trials censored at the cap. It is the "
        "middle of the stretch where half are solved, if there is one, and never if no more than "
        "half are. Restricted mean: mean of the time to success or the cap, whichever "
        "is less. Sooner: probability that a trial is solved before a trial of the first net of "
        "its task, where a tie (also of two unsolved trials) counts half, and its interval "
        "(Newcombe). If 50% is in the interval, the two nets cannot be told apart. There are "
        f"{compared} such comparisons. Of those between nets that do not differ, about "
        "one in twenty tells the nets apart by chance."
    )


def solved_picture(rows: Sequence[Row]) -> Figure:
    """Cells by tasks: the share of trials solved as colour, number and interval; empty where
    nothing was run."""
    cells, tasks, groups = _groups(rows)
    size = _width(2.0 + 0.6 * len(tasks), cells), 1.9 + 0.34 * len(cells)
    figure = Figure(figsize=size, layout="constrained")
    shares = np.full((len(cells), len(tasks)), np.nan)
    words = {}
    for (cell, task), net in groups.items():
        at = cells.index(cell), tasks.index(task)
        shares[at] = net.solved / len(net)
        words[at] = f"{net.solved}/{len(net)}", bounds_in_percent(net.interval)
    axes, image = table_of_colors(figure, (_labels(cells), tasks), shares, Normalize(0, 1), words)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.02)
    bar.set_label("share of trials solved; below each count the 95 % interval in percent", size=8)
    bar.ax.tick_params(labelsize=7)
    put_heading(figure, size[0], f"Trials solved: {_heading(groups)}")
    return figure


def _width(wanted: float, cells: Sequence[str]) -> float:
    """Inches: as many as are wanted, and more where names are longer than the package's."""
    longest = max(map(len, _labels(cells)))
    return max(5.0, wanted) + 0.08 * max(0, longest - 15)


def _heading(groups: Groups) -> str:
    """How many cells, tasks and trials, and the cap, in words."""
    cells, tasks = (len({*names}) for names in zip(*groups, strict=True))
    trials = sorted({len(net) for net in groups.values()})
    cap = max(row.experiment.max_steps for net in groups.values() for row in net)
    return (
        f"{cells} cell{'s' * (cells > 1)} on {tasks} task{'s' * (tasks > 1)}, "
        f"{'-'.join(map(str, trials[:: max(1, len(trials) - 1)]))} trials each, "
        f"at most {cap:,} sequences"
    )


def times_picture(rows: Sequence[Row]) -> Figure:
    """The times to success: one panel per task, one line per cell. Each trial is a dot and the
    median is a bar; at the cap stands how many trials were not solved."""
    cells, tasks, groups = _groups(rows)
    columns = min(TASKS_ACROSS, len(tasks))
    lines = -(-len(tasks) // columns)
    size = _width(1.6 + 1.9 * columns, cells), 1.4 + lines * (0.55 + 0.155 * len(cells))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(tasks) :]:
        axes.set_visible(False)
    for axes, task in zip(panels.flat, tasks, strict=False):
        _times_panel(axes, task, [groups.get((cell, task), Rows()) for cell in cells])
    for axes in panels.flat[max(0, len(tasks) - columns) : len(tasks)]:
        axes.tick_params(labelbottom=True)  # also where nothing stands below
    caps = [row.experiment.max_steps for row in rows]
    times = [step for net in groups.values() for step in net.times if math.isfinite(step)]
    low, high = min([*times, *caps]) / 1.3, max(caps) * 1.9
    panels[0, 0].set(xscale="log", xlim=(low, high))
    panels[0, 0].xaxis.set_major_locator(LogLocator(subs=(1, 3) if high < 100 * low else (1,)))
    panels[0, 0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panels[0, 0].xaxis.set_minor_formatter(NullFormatter())
    panels[0, 0].set_yticks(range(len(cells)), [*map(plain, _labels(cells))])
    panels[0, 0].set_ylim(len(cells) - 0.4, -0.6)
    for axes in panels.flat:
        axes.tick_params(axis="y", labelsize=7, length=0)
    handles = {"a trial": Line2D([], [], ls="none", marker=".", color=COLORS[1])}
    if any(math.isfinite(median(net.times)) for net in groups.values()):
        handles["median"] = Line2D([], [], ls="none", marker="|", ms=9, mew=2, color=COLORS[0])
    capped = Line2D([], [], ls="none", marker="4", ms=8, color=GREY)
    handles["the cap, and how many came to it unsolved"] = capped
    put_legend(figure, list(handles.values()), list(handles))
    put_heading(figure, size[0], f"Training sequences until success: {_heading(groups)}")
    return figure


def _times_panel(axes: Axes, task: str, nets: Sequence[Rows]) -> None:
    cap = max(row.experiment.max_steps for net in nets for row in net)
    for position, net in enumerate(nets):
        solved = [step for step in net.times if math.isfinite(step)]
        spread = spread_around(position, 0.2, len(solved))
        dots = axes.plot(solved, spread, ".", ms=3, color=COLORS[1])
        tell(dots[0], [row for row in net if row.solved])
        if net and math.isfinite(middle := median(net.times)):
            axes.plot(middle, position, "|", ms=9, mew=2, color=COLORS[0])
        if unsolved := len(net) - len(solved):
            axes.plot(cap, position, "4", ms=6, color=GREY)
            axes.annotate(str(unsolved), (cap, position), (4, 0), textcoords="offset points",
                          va="center", fontsize=5.5, color="#555555")  # fmt: skip
    axes.set_title(plain(task), fontsize=8)
    axes.tick_params(axis="x", labelsize=7)
    axes.grid(alpha=0.25)


def _parts(study: Study) -> list[Table]:
    times = times_rows(study.rows)
    # A terminal shows only the rows of the run itself, if there are others to compare them with.
    brief = [one for one in times if one.cells["net"] in study.own_cells]
    legend = times_legend(study.rows)
    return [
        solved_table(study.rows),
        Table(HEADINGS, times, legend, _DISPENSABLE, brief=brief),
    ]


def _pictures(study: Study) -> list[Picture]:
    rows, caption = study.rows, "Trials solved of each cell on each task"
    return [
        Picture(caption, "solved_by_task", lambda: solved_picture(rows)),
        Picture("Times to success", "times_to_success", lambda: times_picture(rows)),
    ]


VIEW = View(lambda study: study.is_card, _parts, _pictures)
