"""View: how far back each cell remembers on each task; tables and pictures.

It suits rows of the horizon's protocol. It does not rank cells: it says how far each remembers, how
sure that is, and whether it can be told apart from the first cell.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from jaxrnn.problems.horizon import (
    CELL_FAMILIES,
    DEFAULT,
    FINALIST,
    LAGS,
    PREFIX,
    SEARCH,
    SUITES,
    TASK_FAMILIES,
    without_role,
)
from jaxrnn.report.drawing import (
    COLORS,
    GREY,
    label_outer_panels,
    plain,
    put_heading,
    put_legend,
    table_of_colors,
)
from jaxrnn.report.horizon import DRAWS, ERROR, Horizon, Octaves, horizon, octaves_between
from jaxrnn.report.render import Picture, Table, TableRow, Words, all_shortened, short
from jaxrnn.report.summary import Rows, Study, View
from jaxrnn.store.rows import Row

CHOSEN = ""
"""The role of fresh trials of the setting that the search chose."""

ByLag = dict[int, Rows]
Net = tuple[str, str]  # task and cell


@dataclass(eq=False)
class Remembered:
    """What is known of a cell on a task: its rows of each role, lag by lag."""

    by_role: dict[str, ByLag] = field(default_factory=dict)

    @property
    def chosen(self) -> ByLag:
        """Fresh trials of the chosen setting."""
        return self.by_role.get(CHOSEN, {})

    @property
    def default(self) -> ByLag:
        """Fresh trials of the declared default, which may be the chosen setting."""
        every = next(iter(self.chosen.values()), Rows())
        is_chosen = any(row.experiment.learning_rate == _default_rate() for row in every)
        return self.chosen if is_chosen else self.by_role.get(DEFAULT, {})

    @cached_property
    def alone(self) -> Horizon:
        """The horizon of the chosen setting, as if no other had been possible."""
        return horizon(*counts(self.chosen))

    @cached_property
    def horizon(self) -> Horizon:
        """The horizon with the choice among the finalists in its interval.

        Another search would perhaps have chosen another finalist. So the share of solved trials at
        the longest lag of the pilot is one of a mixture, see :func:`share_if_chosen_again`. If its
        interval does not leave out 1/2, a bound of the horizon that rests on this lag moves on to
        the next lag.
        """
        low, high = self.alone[:2]
        lag, interval = self.at_pilot, self.if_chosen_again
        if lag is None or interval is None:
            return self.alone
        at = sorted(self.chosen)
        if low is not None and low >= lag and interval[0] < 0.5:
            low = max((one for one in at if one < lag), default=None)
        if high is not None and high <= lag and interval[1] > 0.5:
            high = min((one for one in at if one > lag), default=None)
        return self.alone._replace(low=low, high=high)

    @cached_property
    def at_pilot(self) -> int | None:
        """The longest lag that the pilot solved, at which the other finalists are tried, too."""
        return next(iter(self.by_role.get(FINALIST, {})), None)

    @cached_property
    def if_chosen_again(self) -> tuple[float, float] | None:
        """:func:`share_if_chosen_again` of the finalists, None if they are not known."""
        if (lag := self.at_pilot) is None or lag not in self.chosen:
            return None
        fresh: dict[tuple[object, ...], Rows] = {}
        for row in (*self.chosen[lag], *self.by_role[FINALIST][lag]):
            fresh.setdefault(_setting(row), Rows()).append(row)
        search = self.by_role.get(SEARCH, {})
        for rung in sorted(search, reverse=True):
            sought = {setting: Rows() for setting in fresh}
            for row in search[rung]:
                if _setting(row) in sought:
                    sought[_setting(row)].append(row)
            if all(sought.values()):
                return share_if_chosen_again(list(sought.values()), list(fresh.values()))
        return None


def _setting(row: Row) -> tuple[object, ...]:
    """What tells the settings of a search apart at every lag; biases depend on the lag."""
    made = row.experiment
    return made.learning_rate, made.clip, made.initializer


def share_if_chosen_again(sought: Sequence[Rows], fresh: Sequence[Rows]) -> tuple[float, float]:
    """The 95 % interval of the share of solved trials of the finalist that another search would
    choose.

    ``sought`` are the trials of each finalist in the search, the chosen one first, and ``fresh``
    those that are reported. ``DRAWS`` times new outcomes of the search are drawn from what is known
    of each finalist (beta-binomial, Jeffreys' prior), the one with most solved is chosen, and its
    share is drawn from Beta(y + 1/2, n - y + 1/2) of its y solved among n fresh trials. Settings
    that left the search earlier are not in it.
    """
    rng = np.random.default_rng([0, 2])
    size = DRAWS, len(sought)
    n = np.array([len(rows) for rows in sought])
    y = np.array([rows.solved for rows in sought])
    again = rng.binomial(n, rng.beta(y + 0.5, n - y + 0.5, size)) / n
    y, n = (np.array(list(map(of, fresh))) for of in (lambda rows: rows.solved, len))
    shares = rng.beta(y + 0.5, n - y + 0.5, size)
    low, high = np.quantile(shares[np.arange(DRAWS), again.argmax(1)], [ERROR, 1 - ERROR])
    return float(low), float(high)


def counts(by_lag: Mapping[int, Rows]) -> tuple[list[int], list[int], list[int]]:
    """Lags, solved trials and trials."""
    at = sorted(by_lag)
    return at, [by_lag[lag].solved for lag in at], [len(by_lag[lag]) for lag in at]


class Card(NamedTuple):
    """The nets of some rows, and the order in which they are shown."""

    nets: dict[Net, Remembered]
    tasks: list[str]
    cells: list[str]


def card_of(rows: Iterable[Row]) -> Card:
    """The nets that have fresh trials; tasks and cells by families."""
    nets: dict[Net, Remembered] = {}
    for row in rows:
        made = row.experiment
        name = without_role(made.name)
        task, role = name.removeprefix(PREFIX), made.name.removeprefix(name)
        by_lag = nets.setdefault((task, made.cell), Remembered()).by_role.setdefault(role, {})
        by_lag.setdefault(made.length, Rows()).append(row)
    nets = {net: one for net, one in nets.items() if one.chosen}
    tasks, cells = (list(dict.fromkeys(net[k] for net in nets)) for k in (0, 1))
    known = [suite.base.name.removeprefix(PREFIX) for suite in SUITES]
    for names, order in ((tasks, known), (cells, [c for f in CELL_FAMILIES.values() for c in f])):
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    return Card(nets, tasks, cells)


def chosen_rows(rows: Iterable[Row]) -> list[Row]:
    """Those of fresh trials of the chosen settings."""
    return [row for row in rows if without_role(row.experiment.name) == row.experiment.name]


def bounds(one: Horizon) -> str:
    """The interval in words: "32-128"; a side that the data leave open is empty."""
    low, high = ("" if bound is None else f"{bound:,}" for bound in one[:2])
    return f"{low}-{high}"


def best_guess(one: Horizon, by_lag: Mapping[int, Rows]) -> tuple[str, float]:
    """The horizon in words and as a number for drawing; at an end of the lags it is only known to
    lie beyond."""
    at = sorted(by_lag)
    if one.point is not None:
        return f"{one.point:.0f}", one.point
    if by_lag[at[0]].solved / len(by_lag[at[0]]) < 0.5:
        return f"<{at[0]}", at[0] / 2
    return f"≥{at[-1]:,}", float(at[-1])


HEADINGS = (
    *("task", "net", "horizon", "95%", "against the first", "its 95%"),
    *("default", "default's 95%", "tuning gains", "rate", "clip", "initializer", "diverged"),
)
_DISPENSABLE = (
    *("diverged", "clip", "initializer", "rate", "default's 95%", "tuning gains", "its 95%"),
)

LEGEND = (
    "Horizon: the longest lag, in time steps, at which at least half of all trials would be solved "
    "within the budget, as a best guess. < and ≥: it lies beyond the lags that were tried. 95%: "
    "its exact interval, at least - below, widened where another search might have chosen another "
    "finalist. An empty side: the data leave it open. Against the first: by how many octaves "
    "(doublings of the lag) it is longer than that of the task's first net. If 0 is in the "
    "interval, the two cannot be told apart. Default: the horizon under the settings that are "
    "declared for all cells. Tuning gains: by how many octaves the chosen settings are longer. "
    "Rate, clip, initializer: the chosen settings. Diverged: fresh trials that did."
)


def horizon_rows(card: Card) -> list[TableRow]:
    """A row for each cell on each task."""
    lines = []
    for task in card.tasks:
        nets = {cell: card.nets[task, cell] for cell in card.cells if (task, cell) in card.nets}
        first, lags = next(iter(nets.values())), lags_of(nets.values())
        for cell, net in nets.items():
            about = {"task": task, "cell": cell}
            lines.append(TableRow(_line(task, cell, net, first, lags), task, about))
    return lines


def lags_of(nets: Iterable[Remembered]) -> list[int]:
    """All lags at which any of these nets was tried, in any role."""
    return sorted({lag for net in nets for by_lag in net.by_role.values() for lag in by_lag})


def _line(
    task: str, cell: str, net: Remembered, first: Remembered, lags: Sequence[int]
) -> dict[str, str]:
    shown = {"task": task, "net": cell, "horizon": best_guess(net.horizon, net.chosen)[0]}
    shown["95%"] = bounds(net.horizon)
    if net is not first and len(lags) > 1:
        gap = octaves_between(counts(net.chosen), counts(first.chosen), lags)
        shown |= {"against the first": f"{gap.mean:+.1f}", "its 95%": _interval(gap)}
    if net.default:
        by_default = horizon(*counts(net.default))
        shown["default"] = best_guess(by_default, net.default)[0]
        shown["default's 95%"] = bounds(by_default)
        if len(lags) > 1:
            gap = octaves_between(counts(net.chosen), counts(net.default), lags)
            shown["tuning gains"] = f"{gap.mean:+.1f}"
    every = [row for rows in net.chosen.values() for row in rows]
    made = every[0].experiment
    return shown | {
        "rate": short(made.learning_rate),
        "clip": short(made.clip),
        "initializer": made.initializer,
        "diverged": str(sum(row.outcome.status == "diverged" for row in every)),
    }


def _interval(one: Octaves) -> str:
    return f"{one.low:+.1f} to {one.high:+.1f}"


NUMBERS_OF_SETTINGS = (1, 3, 9, 27)

LUCK_HEADINGS = ("net", *(f"best of {number}" for number in NUMBERS_OF_SETTINGS))

LUCK_LEGEND = (
    "How much luck a setting is: the chance that, of so many random settings, at least one solves "
    "the shortest lag, in percent, as a mean over the tasks. For this every setting of the search "
    "was tried once."
)


def luck_rows(card: Card) -> list[TableRow]:
    """The expected best of some settings of the search's first rung, for each cell."""
    lines = []
    for cell in card.cells:
        rungs = [
            search[min(search)]
            for (_, of), net in card.nets.items()
            if of == cell and (search := net.by_role.get(SEARCH))
        ]
        if rungs:
            shown = {"net": cell}
            for number, heading in zip(NUMBERS_OF_SETTINGS, LUCK_HEADINGS[1:], strict=True):
                chances = [expected_best(*_first_rung(rows), number) for rows in rungs]
                shown[heading] = f"{100 * sum(chances) / len(chances):.0f}"
            lines.append(TableRow(shown, None))
    return lines


def _first_rung(rows: Rows) -> tuple[int, int]:
    """Settings that were solved, and settings; without the trials of the default."""
    sought = Rows(row for row in rows if row.experiment.learning_rate != _default_rate())
    return sought.solved, len(sought)


def _default_rate() -> float:
    rate = SUITES[0].base.learning_rate
    assert isinstance(rate, float)
    return rate


def expected_best(solved: int, tried: int, number: int) -> float:
    """The chance that of ``number`` settings, drawn from those that were tried, one is solved.

    It is the unbiased estimate sum_i v_i C(i-1, k-1) / C(N, k) of the expected best of k values v,
    here 0 or 1. Source: Tang et al. 2020; Dodge et al. 2021 (2110.00613) compare it with others.
    """
    number = min(number, tried)
    return 1 - math.comb(tried - solved, number) / math.comb(tried, number)


def _title(card: Card, rows: Sequence[Row]) -> str:
    cells, tasks = len(card.cells), len(card.tasks)
    caps = sorted({row.experiment.max_steps for row in rows})
    sizes = sorted({row.experiment.batch_size for row in rows})
    each = " or ".join(str(size) for size in sizes)
    return (
        f"{cells} cell{'s' * (cells > 1)} on {tasks} task{'s' * (tasks > 1)}, at most "
        f"{' or '.join(f'{cap:,}' for cap in caps)} training sequences, {each} an update"
    )


def horizon_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """Cells by tasks, in families: the horizon as colour on a logarithmic scale, as number and with
    its interval."""
    cells, tasks = card.cells, card.tasks
    size = max(5.5, 2.1 + 0.78 * len(tasks)), 2.0 + 0.36 * len(cells)
    figure = Figure(figsize=size, layout="constrained")
    values = np.full((len(cells), len(tasks)), np.nan)
    words = {}
    for (task, cell), net in card.nets.items():
        at = cells.index(cell), tasks.index(task)
        guess, values[at] = best_guess(net.horizon, net.chosen)
        words[at] = guess, bounds(net.horizon)
    labels = list(all_shortened(cells, 24).values())
    norm = LogNorm(LAGS[0] / 2, LAGS[-1], clip=True)
    axes, image = table_of_colors(figure, (labels, tasks), values, norm, words)
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
    bar.set_label("horizon in time steps; below each its 95 % interval", size=8)
    bar.ax.tick_params(labelsize=7)
    put_heading(figure, size[0], f"How far back: {_title(card, rows)}")
    return figure


def _family_ends(names: Sequence[str], families: Mapping[str, Sequence[str]]) -> list[float]:
    """Between which of the names, in their order, one family ends and another begins."""
    of = {name: family for family, members in families.items() for name in members}
    return [k + 0.5 for k, (a, b) in enumerate(pairwise(names)) if of.get(a) != of.get(b)]


PANELS_ACROSS = 3
MARKERS = "osD^vP"


def _panels(card: Card, rows: Sequence[Row], title: str) -> tuple[Figure, np.ndarray]:
    columns = min(PANELS_ACROSS, len(card.tasks))
    lines = -(-len(card.tasks) // columns)
    size = max(5.5, 1.0 + 3.0 * columns), 1.9 + 2.1 * lines
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        axes.set_title(plain(task), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
    looks = [_look(card, cell) for cell in card.cells]
    handles = [Line2D([], [], ms=4, **look) for look in looks]
    put_legend(figure, handles, card.cells)
    put_heading(figure, size[0], f"{title}: {_title(card, rows)}")
    return figure, panels


def _look(card: Card, cell: str) -> dict[str, Any]:
    """A colour and a marker for each cell: the markers change where the colours begin again."""
    turn, number = divmod(card.cells.index(cell), len(COLORS))
    return {"color": COLORS[number], "marker": MARKERS[turn % len(MARKERS)]}


def _of_task(card: Card, task: str) -> list[tuple[str, Remembered]]:
    return [(cell, card.nets[task, cell]) for cell in card.cells if (task, cell) in card.nets]


def shares_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """The share of fresh trials that were solved against the lag: a panel a task, a line a cell."""
    figure, panels = _panels(card, rows, "Share of trials solved against lag")
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        nets = _of_task(card, task)
        for number, (cell, net) in enumerate(nets):
            at, solved, trials = counts(net.chosen)
            # Lines that lie on each other are told apart by a small shift.
            shift = 0.03 * (number - (len(nets) - 1) / 2) / max(1, len(nets) - 1)
            shares = np.array(solved) / trials + shift
            axes.plot(at, shares, ms=3.5, lw=1, **_look(card, cell))
        axes.axhline(0.5, color=GREY, lw=0.8, ls="--")
    panels[0, 0].set(xscale="log", xlim=(LAGS[0] / 1.3, LAGS[-1] * 1.3), ylim=(-0.06, 1.06))
    _lag_ticks(panels[0, 0].xaxis)
    panels[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    label_outer_panels(panels, len(card.tasks), "lag (time steps)", "solved")
    return figure


def _lag_ticks(axis: object) -> None:
    axis.set_major_locator(LogLocator(base=2, numticks=12))  # type: ignore[attr-defined]
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))  # type: ignore[attr-defined]
    axis.set_minor_formatter(NullFormatter())  # type: ignore[attr-defined]


POINTS = 16  # of a curve


def growth(net: Remembered, cap: int) -> list[tuple[int, float]]:
    """The horizon within each of some numbers of training sequences, from the times of the fresh
    trials. Where it is shorter than the shortest lag that has some, it is not known."""
    curve = []
    for number in np.unique(np.geomspace(cap / 50, cap, POINTS).astype(int)).tolist():
        at = sorted(net.chosen)
        solved = [sum(time <= number for time in net.chosen[lag].times) for lag in at]
        trials = [len(net.chosen[lag]) for lag in at]
        if solved[0] / trials[0] >= 0.5:
            point = horizon(at, solved, trials).point
            curve.append((number, float(at[-1]) if point is None else point))
    return curve


def growth_picture(card: Card, rows: Sequence[Row]) -> Figure:
    """The horizon against the number of training sequences: a panel a task, a line a cell."""
    figure, panels = _panels(card, rows, "Horizon against training sequences")
    cap = max(row.experiment.max_steps for row in rows)
    for axes, task in zip(panels.flat, card.tasks, strict=False):
        for cell, net in _of_task(card, task):
            if curve := growth(net, cap):
                axes.plot(*zip(*curve, strict=True), ms=2.5, lw=1, **_look(card, cell))
    panels[0, 0].set(xscale="log", yscale="log", ylim=(LAGS[0] / 1.3, LAGS[-1] * 1.3))
    panels[0, 0].set_xlim(cap / 55, cap * 1.1)
    _lag_ticks(panels[0, 0].yaxis)
    panels[0, 0].xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panels[0, 0].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    panels[0, 0].xaxis.set_minor_formatter(NullFormatter())
    label_outer_panels(panels, len(card.tasks), "training sequences", "horizon (time steps)")
    return figure


def _parts(study: Study) -> list[Table | Words]:
    card = card_of(study.rows)
    if not card.nets:
        return [Words("There are no fresh trials yet: the search has not come to its end.")]
    lines = horizon_rows(card)
    own = {row.experiment.cell for row in study.own} if len(study.own) < len(study.rows) else set()
    brief = [one for one in lines if one.cells["net"] in own] or None
    parts: list[Table | Words] = [Table(HEADINGS, lines, LEGEND, _DISPENSABLE, brief=brief)]
    if luck := luck_rows(card):
        parts.append(Table(LUCK_HEADINGS, luck, LUCK_LEGEND))
    return parts


def _pictures(study: Study) -> list[Picture]:
    card, rows = card_of(study.rows), study.rows
    if not card.nets:
        return []
    return [
        Picture(
            "How far back each cell remembers on each task",
            "horizon_by_task",
            lambda: horizon_picture(card, rows),
        ),
        Picture("Solved against lag", "solved_by_lag", lambda: shares_picture(card, rows)),
        Picture(
            "Horizon against training sequences",
            "horizon_by_sequences",
            lambda: growth_picture(card, rows),
        ),
    ]


VIEW = View(lambda study: study.is_horizon, _parts, _pictures)
