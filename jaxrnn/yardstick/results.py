"""What is known of a cell on a task: its fresh trials, those of its search, and its horizon.

The horizon's interval has the choice among the finalists of the search in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from jaxrnn.report.horizon import DRAWS, ERROR, Horizon, horizon
from jaxrnn.report.summary import Rows
from jaxrnn.store.rows import Row
from jaxrnn.yardstick import CELLS, CHOSEN, DEFAULT, FINALIST, PREFIX, SEARCH, TASKS
from jaxrnn.yardstick.search import PLAY_OFF

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
        is_chosen = any(_setting(row) == 0 for row in every)
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
        # The longest lag that the pilot solved, at which the other finalist is tried, too.
        lag = next(iter(self.by_role.get(FINALIST, {})), None)
        if lag is None or (interval := self.if_chosen_again(lag)) is None:
            return self.alone
        at = sorted(self.chosen)
        if low is not None and low >= lag and interval[0] < 0.5:
            low = max((one for one in at if one < lag), default=None)
        if high is not None and high <= lag and interval[1] > 0.5:
            high = min((one for one in at if one > lag), default=None)
        return self.alone._replace(low=low, high=high)

    def if_chosen_again(self, lag: int) -> tuple[float, float] | None:
        """:func:`share_if_chosen_again` of the finalists at a lag, None if they are not known."""
        if lag not in self.chosen:
            return None
        fresh: dict[int, Rows] = {}
        for row in (*self.chosen[lag], *self.by_role[FINALIST][lag]):
            fresh.setdefault(_setting(row), Rows()).append(row)
        search = self.by_role.get(SEARCH, {})
        # The play-off chose. Trials at longer lags are the pilot's.
        of_play_off = (
            lag
            for lag, rows in search.items()
            if any(row.experiment.note["rung"] == PLAY_OFF for row in rows)
        )
        longest = max(of_play_off, default=max(search, default=0))
        for rung in sorted((lag for lag in search if lag <= longest), reverse=True):
            rows = search[rung]
            sought = {one: Rows(row for row in rows if _setting(row) == one) for one in fresh}
            if all(sought.values()) and any(rows.solved for rows in sought.values()):
                return share_if_chosen_again(list(sought.values()), list(fresh.values()))
        return None


def _setting(row: Row) -> int:
    """The number of its setting, 0 for the default."""
    number: int = row.experiment.note["setting"]
    return number


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


def bounds(one: Horizon) -> str:
    """The interval in words: "32-128" is at least 32 and below 128; "≥32" and "<128" have one
    bound, "-" has none."""
    low, high = ("" if bound is None else f"{bound:,}" for bound in one[:2])
    if low and high:
        return f"{low}-{high}"
    return f"≥{low}" if low else f"<{high}" if high else "-"


def best_guess(
    one: Horizon, at: Sequence[int], solved: Sequence[int], trials: Sequence[int]
) -> tuple[str, float]:
    """The horizon of these lags and trials in words and as a number for drawing; at an end of the
    lags it is only known to lie beyond."""
    if one.point is not None:
        return f"{one.point:.0f}", one.point
    # The regression, whose mean is that of the trials, is below 1/2 at all lags or at none.
    if sum(solved) / sum(trials) < 0.5:
        return f"<{at[0]}", at[0] / 2
    return f"≥{at[-1]:,}", float(at[-1])


class Card(NamedTuple):
    """The nets of some rows, and the order in which they are shown."""

    nets: dict[Net, Remembered]
    tasks: list[str]
    cells: list[str]

    def of_task(self, task: str) -> list[tuple[str, Remembered]]:
        """The cells that a task has, each with what is known of it."""
        return [(cell, self.nets[task, cell]) for cell in self.cells if (task, cell) in self.nets]


def card_of(rows: Iterable[Row]) -> Card:
    """The nets that have fresh trials; tasks and cells by families."""
    nets: dict[Net, Remembered] = {}
    for row in rows:
        made = row.experiment
        net = nets.setdefault((made.name.removeprefix(PREFIX), made.cell), Remembered())
        for role in made.note["role"].split():
            net.by_role.setdefault(role, {}).setdefault(made.length, Rows()).append(row)
    nets = {net: one for net, one in nets.items() if one.chosen}
    tasks, cells = (list(dict.fromkeys(net[k] for net in nets)) for k in (0, 1))
    for names, order in ((tasks, list(TASKS)), (cells, CELLS)):
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
    return Card(nets, tasks, cells)
