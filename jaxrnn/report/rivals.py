"""View: comparisons of nets under the same conditions, and how many trials are solved by each
step."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from jaxrnn.experiment import conditions_of
from jaxrnn.report.compare import Comparison, compared, kaplan_meier
from jaxrnn.report.drawing import COLORS, plain
from jaxrnn.report.render import Picture, Table, TableRow, bounds_in_percent, p_in_words
from jaxrnn.report.summary import Study, View, by_net, interval, net_name, uncounted
from jaxrnn.store.rows import Row

_HEADINGS = (
    *("net", "T", "against", "sooner", "95%"),
    *("log-rank p", "log-rank Holm", "Mann-Whitney p", "Mann-Whitney Holm"),
)


class Pair(NamedTuple):
    """Two nets of a run, (experiment, cell) each, under the same conditions."""

    net: tuple[str, str]
    against: tuple[str, str]
    length: int
    result: Comparison  # of the net with the one it is against


def rivals(rows: Iterable[Row]) -> list[list[list[Row]]]:
    """The rows of a run's nets in groups under the same ``CONDITIONS``, if a group has several
    nets. Lengths are in order, nets as they first appear. A net whose rows have several settings is
    left out: these same trials choose a grid's best combination, so it would seem better than it
    is.
    """
    alike: dict[tuple[Any, ...], list[list[Row]]] = {}
    for group in by_net(rows).values():
        if len({row.experiment for row in group}) == 1:
            made = group[0].experiment
            alike.setdefault(conditions_of(made), []).append(group)
    several = [nets for nets in alike.values() if len(nets) > 1]
    return sorted(several, key=lambda nets: nets[0][0].experiment.length)


def comparisons(rows: Iterable[Row]) -> list[Pair]:
    """Each net of a run against the first of its :func:`rivals`."""
    pairs = [(net, first) for first, *others in rivals(rows) for net in others]
    return [
        Pair(net[0].net, first[0].net, net[0].experiment.length, result)
        for (net, first), result in zip(pairs, compared(pairs), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for the number of tests: by chance alone, the smallest is below a level no
    more often than the level says.

    The k-th smallest of m is multiplied by m - k + 1. The result is at least that of any smaller
    one, and at most 1.

    Source: Holm 1979, Scandinavian Journal of Statistics 6:65.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(order) - np.arange(len(order))
    ascending = np.minimum(np.maximum.accumulate(np.sort(p_values) * factors), 1.0)
    adjusted = np.empty(len(order))
    adjusted[order] = ascending
    return adjusted.tolist()


def _pair_rows(pairs: Sequence[Pair]) -> list[TableRow]:
    """The rows of the table of comparisons."""
    rows = []
    results = [pair.result for pair in pairs]
    log_rank = holm([one.log_rank for one in results])
    mann_whitney = holm([one.mann_whitney for one in results])
    for pair, *adjusted in zip(pairs, log_rank, mann_whitney, strict=True):
        result, about = pair.result, {"net": net_name(*pair.net), "T": str(pair.length)}
        plain = result.log_rank, result.mann_whitney
        values = (
            *(*about.values(), net_name(*pair.against)),
            *(f"{100 * result.sooner:.0f}%", bounds_in_percent(result.interval)),
            *(p_in_words(p) for both in zip(plain, adjusted, strict=True) for p in both),
        )
        rows.append(TableRow(dict(zip(_HEADINGS, values, strict=True)), pair.length, about))
    return rows


def comparison_table(pairs: Sequence[Pair]) -> Table:
    """Each net against the first one of its task and length."""
    less = ("log-rank p", "log-rank Holm")
    return Table(_HEADINGS, _pair_rows(pairs), comparison_legend(pairs), less)


def comparison_legend(pairs: Sequence[Pair]) -> str:
    """What the columns of comparisons mean."""
    return (
        "Each net against the first one of the same task, length, stop rule and cap. Sooner: share "
        "of pairs of trials in which the net's trial is solved at an earlier step; a tie (also of "
        "two unsolved trials) counts half. 95%: confidence interval of that probability "
        "(Newcombe). Then two-sided p-values of two tests: the log-rank test, which censors "
        "unsolved trials at the cap, and Mann and Whitney's, for which they are later than all "
        f"others. Holm: the same, adjusted for the {_comparisons(len(pairs))} of this table. "
        "Without that, about one p-value in twenty is below 0.05 for nets that do not differ."
    )


def _comparisons(number: int) -> str:
    return f"{number} comparison{'s' * (number != 1)}"


# Pictures

PANELS = 12
"""The most in one picture."""


def curves(rows: Sequence[Row]) -> list[Picture]:
    """The Kaplan-Meier curves of each task that several nets were trained on, one panel per length,
    with no more nets than colours can tell apart."""
    of_task: dict[str, list[list[list[Row]]]] = {}
    for nets in rivals(rows):
        of_task.setdefault(nets[0][0].experiment.task, []).append(nets)
    pictures: dict[str, Picture] = {}
    for task, panels in of_task.items():
        if len({net[0].net for nets in panels for net in nets}) > len(COLORS):
            continue
        for start in range(0, len(panels), PANELS):
            name = stem = f"solved_by_step-{re.sub(r'[^A-Za-z0-9]+', '_', task)[:200]}"
            while name in pictures:  # a task of one's own may be called by a file's name
                name = f"{stem}-{len(pictures) + 1}"
            draw = partial(_picture, task, panels[start : start + PANELS])
            pictures[name] = Picture(f"Trials solved by step: {task}", name, draw)
    return list(pictures.values())


def _picture(task: str, panels: Sequence[Sequence[Sequence[Row]]]) -> Figure:
    columns = min(3, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(5 + 3 * (columns - 1), 1.2 + 2.6 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    names = dict.fromkeys(net[0].net for nets in panels for net in nets)
    colors = {net: COLORS[number % len(COLORS)] for number, net in enumerate(names)}
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes, nets in zip(grid.flat, panels, strict=False):
        _panel(axes, nets, colors)
    for axes in grid[:, 0]:
        axes.set_ylabel("share of trials solved")
    figure.suptitle(plain(f"Trials solved by each step, 95 % intervals shaded\n{task}"))
    handles = [axes.plot([], [], color=color)[0] for color in colors.values()]
    labels = [plain(net_name(*net)) for net in names]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)))
    return figure


def _panel(
    axes: Axes, nets: Sequence[Sequence[Row]], colors: Mapping[tuple[str, str], str]
) -> None:
    """The curves of the nets at one length."""
    not_counted = uncounted(nets[0][0])  # as where the nets are compared
    curves = [kaplan_meier(net, not_counted) for net in nets]
    first, steps = nets[0][0], np.concatenate([curve.quantiles for curve in curves])
    right = min(1.05 * steps.max(), first.experiment.max_steps)
    left = 0.95 * max(steps.min(), 1)
    if not any(row.solved for net in nets for row in net):
        left = right / 10
    for net, curve in zip(nets, curves, strict=True):
        _draw(axes, curve, len(net), right, colors[net[0].net])
    trials = "-".join(map(str, sorted({len(net) for net in nets})))
    axes.set(title=f"T = {first.experiment.length}, {trials} trials", ylim=(-0.03, 1.03))
    axes.set(xscale="log", xlim=(left, right))
    # Less than a decade: some round numbers. More: in each decade as many as leave room for labels.
    shares = [1, 2, 5] if right < 20 * left else [1, 3] if right < 200 * left else [1]
    near = MaxNLocator(4, prune="both")
    axes.xaxis.set_major_locator(near if right < 10 * left else LogLocator(subs=shares))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=f"training sequence (cap {first.experiment.max_steps:,})")


def _draw(axes: Axes, curve: Any, trials: int, right: float, color: str) -> None:
    """One minus the Kaplan-Meier estimate of those not solved, with its interval.

    No trial is censored before the cap, so the interval is that of a proportion.
    """
    # None is solved before the first step.
    steps = np.array([1, *curve.quantiles, max(right, curve.quantiles[-1])])
    solved = 1 - np.array([1, *curve.probabilities, curve.probabilities[-1]])
    low, high = np.array([interval(round(share * trials), trials) for share in solved]).T
    axes.fill_between(steps, low, high, step="post", color=color, alpha=0.15, lw=0)
    axes.step(steps, solved, where="post", color=color)


def _parts(study: Study) -> list[Table]:
    pairs = comparisons(study.rows)
    return [comparison_table(pairs)] if pairs else []


VIEW = View(
    lambda study: not study.is_horizon, parts=_parts, pictures=lambda study: curves(study.rows)
)
