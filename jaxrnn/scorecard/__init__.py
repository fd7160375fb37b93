"""The scorecard: what every recurrent cell remembers, under one :mod:`protocol` for all."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from jaxrnn.errors import InputError, look_up
from jaxrnn.report.summary import by_net
from jaxrnn.scorecard.plan import show_plan, trials_left
from jaxrnn.scorecard.protocol import (
    CARDS,
    SMALL,
    Protocol,
    distinct,
    note_untuned,
    reported,
    searches,
    sized,
)
from jaxrnn.scorecard.shipped import SEARCH_DIRECTORY, begun
from jaxrnn.store.files import path_of
from jaxrnn.store.rows import Row, Values
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.run import open_run
from jaxrnn.sweeps.watch import Watch


def run_scorecard(
    cells: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    out: str | Path = "runs/scorecard",
    protocol: Protocol = SMALL,
    *,
    match: str | None = None,
    lanes: int | None = None,
    dask: str | None = None,
    progress: bool = False,
) -> list[Values]:
    """Search and report the cells on the tasks in the directory ``out``. Returns their reported
    rows.

    By default these are all cells and all tasks, task by task. The same call goes on after an
    interruption, and other calls add to the directory. The search's rows stand in ``out``/search. A
    cell may be one's own, as ``file.py:name``. ``match`` replaces the protocol's: with "state"
    every net carries about as many numbers from one time step to the next as the LSTM, instead of
    having as many "weights". ``lanes`` and ``dask`` are those of :func:`jaxrnn.run`. With
    ``progress`` the terminal first shows what will be trained and how long that may take.

    Raises what :func:`jaxrnn.run` raises, and InputError if ``out`` holds other experiments' rows
    or was begun with another protocol.
    """
    protocol = replace(protocol, match=match or protocol.match)
    options: dict[str, Any] = {"lanes": lanes, "dask": dask, "progress": progress}
    with trained_scorecard(cells, tasks, path_of(out), protocol, **options) as card:
        return [row.values() for row in card.rows]


class Card(NamedTuple):
    """A scorecard whose directories are held."""

    rows: list[Row]  # reported ones, of what was asked for
    report: RunDirectory
    search: RunDirectory


@contextmanager
def trained_scorecard(
    cells: Sequence[str] | None,
    tasks: Sequence[str] | None,
    out: Path,
    protocol: Protocol,
    *,
    lanes: int | None,
    dask: str | None,
    progress: bool,
) -> Iterator[Card]:
    """Do :func:`run_scorecard`, and hold the directories so that the results can be written,
    too."""
    chosen = [look_up(CARDS, "task", task) for task in distinct(CARDS if tasks is None else tasks)]
    named = distinct(CARDS[chosen[0].base.task].cells if cells is None else cells)
    bases = [[sized(suite, cell, protocol.match) for cell in named] for suite in chosen]
    note_untuned(bases[0])
    options: dict[str, Any] = {"lanes": lanes, "dask": dask, "report": False, "mixed": False}
    rows: list[Row] = []
    with ExitStack() as watching:
        if progress:
            number = (len(protocol.learning_rates) + 1) * sum(map(len, bases))
            told = {suite.base.name for suite in chosen}
            watch = Watch(number, lambda experiment: experiment.name in told)
            options["progress"] = watching.enter_context(watch)
        with open_run(out, **options) as report:
            names = {suite.base.name for suite in CARDS.values()}
            if others := {row.experiment.name for row in report.directory.rows} - names:
                raise InputError(
                    f"{out} holds rows of {min(others)}, not of a scorecard: use another --out"
                )
            with begun(out, protocol), open_run(out / SEARCH_DIRECTORY, **options) as search:
                if progress:
                    every_net = [base for of_task in bases for base in of_task]
                    left = trials_left(every_net, protocol, search.directory, report.directory)
                    watch.progress.words = "timing a net of each cell" * (dask is None)
                    how = "if no trial is solved, which ends a trial sooner"
                    show_plan(left, how, lanes, timed=dask is None)
                    watch.progress.words = ""
                for of_task in bases:
                    sought = [searches(base, protocol) for base in of_task]
                    every = [one for of_cell in sought for one in of_cell]
                    tried = by_net(search(every))
                    rows += report(
                        reported(base, tried[of_cell[0].name, base.cell, base.length], protocol)
                        for base, of_cell in zip(of_task, sought, strict=True)
                    )
                watching.close()
                yield Card(rows, report.directory, search.directory)
