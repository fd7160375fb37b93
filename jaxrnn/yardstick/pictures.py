"""The pictures of the view of horizons: cells by tasks, and the dots of all searches."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from jaxrnn.report.drawing import (
    COLORS,
    label_outer_panels,
    panels_of,
    plain,
    put_heading,
    put_legend,
    table_of_colors,
)
from jaxrnn.report.render import all_shortened
from jaxrnn.yardstick import CELL_FAMILIES, LAGS, PREFIX, TASK_FAMILIES
from jaxrnn.yardstick.results import Card, Remembered

NAME_WIDTH = 24


def title_of(card: Card) -> str:
    """What was measured, and how."""
    cells, tasks = len(card.cells), len(card.tasks)
    some = next(iter(card.nets.values()))
    made = [net.rows[0].experiment for net in card.nets.values()]
    caps, sizes = sorted({one.max_steps for one in made}), sorted({one.batch_size for one in made})
    each = " or ".join(str(size) for size in sizes)
    return (
        f"{cells} cell{'s' * (cells > 1)} on {tasks} task{'s' * (tasks > 1)}, "
        f"{some.plan.searches} searches of up to {some.plan.settings} settings, at most "
        f"{' or '.join(f'{cap:,}' for cap in caps)} training sequences, {each} an update"
    )


NOT_LEARNED = "0.75"  # a grey

SCALE = LogNorm(LAGS[0] / 2, LAGS[-1], clip=True)
"""The colours of horizons."""


def field_of(net: Remembered) -> tuple[str, str, str]:
    """A net's horizon and its interval, in words, and its colour; where no search learned the
    shortest lag, what came of a longer budget, in white or grey."""
    if net.slow.solved:
        return "slow", f"{net.lags[0]:,} after {net.learned_late}", "#ffffff"
    if net.slow:
        return "", "not learned", to_hex(NOT_LEARNED)
    color = to_hex(colormaps["viridis"](SCALE(2 ** net.octave(net.middle))))
    return net.horizon, net.bounds, color


def horizon_picture(card: Card) -> Figure:
    """Cells by tasks, in families: the horizon as colour on a logarithmic scale, as number and with
    its interval. A net that did not learn the shortest lag has no colour: it is white with lines if
    some of its settings learned it with a longer budget, grey if none did."""
    cells, tasks = card.cells, card.tasks
    size = max(5.5, 2.1 + 0.86 * len(tasks)), 2.2 + 0.36 * len(cells)
    figure = Figure(figsize=size, layout="constrained")
    values = np.full((len(cells), len(tasks)), np.nan)
    words: dict[tuple[int, int], tuple[str, str]] = {}
    for (task, cell), net in card.nets.items():
        at = cells.index(cell), tasks.index(task)
        words[at] = field_of(net)[:2]
        if not net.slow:
            values[at] = 2 ** net.octave(net.middle)
    labels = list(all_shortened(cells, NAME_WIDTH).values())
    axes, image = table_of_colors(figure, (labels, tasks), values, SCALE, words)
    without = {net: one for net, one in card.nets.items() if one.slow}
    for (task, cell), net in without.items():
        looks: dict[str, Any] = {"fc": NOT_LEARNED} if not net.slow.solved else SLOW_LOOK
        x, y = tasks.index(task), cells.index(cell)
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, lw=0, **looks))
    for line in _family_ends(cells, CELL_FAMILIES):
        axes.axhline(line, color="black", lw=1.2)
    names = {
        family: [suite.base.name.removeprefix(PREFIX) for suite in suites]
        for family, suites in TASK_FAMILIES.items()
    }
    for line in _family_ends(tasks, names):
        axes.axvline(line, color="black", lw=1.2)
    bar = figure.colorbar(image, ax=axes, location="bottom", shrink=0.6, aspect=40, pad=0.02)
    bar.set_ticks(LAGS, labels=[f"{lag:,}" for lag in LAGS], minor=False)
    bar.ax.minorticks_off()
    bar.set_label("horizon in time steps, below it its 95 % interval", size=8)
    bar.ax.tick_params(labelsize=7)
    if without:
        budget = max(net.slow[0].experiment.max_steps for net in without.values())
        handles = [Patch(**SLOW_LOOK), Patch(fc=NOT_LEARNED)]
        labels = [
            f"no search learned the shortest lag; some setting did within {budget:,} sequences",
            f"nor did any of six within {budget:,}",
        ]
        put_legend(figure, handles, labels)
    put_heading(figure, f"How far back: {title_of(card)}")
    return figure


SLOW_LOOK: dict[str, Any] = {"fc": "white", "hatch": "///", "ec": "0.8"}


def _family_ends(names: Sequence[str], families: Mapping[str, Sequence[str]]) -> list[float]:
    """Between which of the names, in their order, one family ends and another begins."""
    of = {name: family for family, members in families.items() for name in members}
    return [k + 0.5 for k, (a, b) in enumerate(pairwise(names)) if of.get(a) != of.get(b)]


def _how_far(one: tuple[str, Remembered]) -> tuple[float, ...]:
    """Puts those first whose searches come farthest."""
    return (-one[1].middle, *(-place for place in sorted(one[1].places)))


ACROSS = (3, 2)  # panels, and if there are four

BAR: dict[str, Any] = {"lw": 7, "color": COLORS[0], "alpha": 0.3}
DOT: dict[str, Any] = {"ls": "", "marker": ".", "ms": 5, "color": COLORS[0], "mec": "none"}
MEDIAN: dict[str, Any] = {"ls": "", "marker": "|", "ms": 15, "mew": 1.2, "color": "black"}


def dots_picture(card: Card, own: Collection[str] = ()) -> Figure:
    """What every search has found, a dot each, on the bar of the horizon's interval: a panel a
    task, a line a cell. The user's ``own`` cells have bold names. With one task, cells stand in the
    order of their horizons, and those that do not learn the shortest lag have a word."""
    cells = card.cells
    if len(card.tasks) == 1:
        cells = [cell for cell, _ in sorted(card.of_task(card.tasks[0]), key=_how_far)]
    height = 0.6 + 0.25 * max(2, len(cells))
    figure, panels = panels_of(
        len(card.tasks), ACROSS[len(card.tasks) == 4], (2.6, height), (1.6, 1.2), 5.5, sharex=True
    )
    names = all_shortened(cells, NAME_WIDTH)
    lags = sorted({lag for net in card.nets.values() for lag in net.lags})
    start, end = lags[0] / 3, lags[-1] * 1.5
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        for cell, net in card.of_task(task):
            y = cells.index(cell)
            low, high = net.interval
            left = 1 if low is None else 2 ** net.octave(low)
            right = 2 * end if high is None else 2 ** net.octave(high)
            axes.plot([left, right], [y, y], **BAR, solid_capstyle="butt")
            axes.plot(2 ** net.octave(net.middle), y, **MEDIAN)
            for place in sorted(set(net.places)):
                number = net.places.count(place)
                shifts = 0.075 * (np.arange(number) - (number - 1) / 2)
                at = np.full(number, 2 ** net.octave(place))
                axes.plot(at, y + shifts, **DOT)
            if net.slow and len(card.tasks) == 1:
                word = f"learns {net.lags[0]:,} after {net.learned_late}"
                word = word if net.learned_late else f"does not learn {net.lags[0]:,}"
                axes.text(lags[0] * 1.2, y, word, va="center", fontsize=7)
        axes.set_title(plain(task), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25, axis="x")
        axes.set_yticks(range(len(cells)), [plain(names[cell]) for cell in cells])
        for cell, label in zip(cells, axes.get_yticklabels(), strict=False):  # inner ones have none
            label.set_fontweight("bold" if cell in own else "normal")
    panels[0, 0].set(xscale="log", xlim=(start, end))
    panels[0, 0].set_ylim(len(cells) - 0.4, -0.6)
    ticks = lags[:-1:2] + lags[-1:]
    words = [f"<{lags[0]:,}", *(f"{lag:,}" for lag in ticks)]
    panels[0, 0].set_xticks([lags[0] / 2, *ticks], words)
    panels[0, 0].minorticks_off()
    label_outer_panels(panels, len(card.tasks), "lag (time steps)", "")
    handles = [Line2D([], [], **look) for look in (DOT, MEDIAN, BAR)]
    put_legend(figure, handles, ["a search", "horizon: their median", "its 95 % interval"])
    put_heading(figure, f"What each search has found: {title_of(card)}")
    return figure
