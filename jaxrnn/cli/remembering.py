"""The command ``jaxrnn horizon``."""

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.machine import all_devices
from jaxrnn.report.render import TableRow, console
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.watch import duration
from jaxrnn.training.lanes import warn_if_small
from jaxrnn.yardstick.conditions import CELLS, LAGS, SEARCH, SMALL_CELLS, SMALL_TASKS, has_role
from jaxrnn.yardstick.reference import lay_beside, shipped_beside
from jaxrnn.yardstick.run import (
    ENDS_HEADINGS,
    ENDS_LEGEND,
    TASKS,
    ends_of_range,
    trained_horizon,
)
from jaxrnn.yardstick.search import RUNGS, protocol_of
from jaxrnn.yardstick.sizes import HEADINGS, LEGEND, known_cells, nets_table, write_costs


def horizon(
    cells: Sequence[str] = (),
    *,
    tasks: Sequence[str] | None = None,
    full: bool = False,
    longest_lag: int = LAGS[-1],
    lags: Sequence[int] = (),
    batch_size: int = 1,
    match: str = "weights",
    out: Path | None = None,
    lanes: int | None = None,
    dask: str | None = None,
    compile_cache: bool = True,
) -> None:
    """Measure how far back recurrent cells remember: their horizon on each task, with its interval.

    All cells have about the same number of weights. The same settings tune each cell on each task;
    fresh trials of the best one are reported, and those of one default for all cells. First the
    command says what it will train and how long that may take. Without a cell it trains eight cells
    on six tasks. With cells only these are trained, and shown beside the rows that come with
    jaxrnn. docs/howto/horizon.md names the eight cells and the six tasks, and describes the
    protocol. Give the same command again after an interruption.
    """
    set_up_jax(compile_cache)
    start = time.monotonic()
    protocol = protocol_of(batch_size, match, longest_lag, tuple(lags))
    if dask is None:
        warn_if_small(RUNGS[0][1], all_devices()[0])
    asked = f"-{batch_size}" * (batch_size > 1) + "-state" * (match == "state")
    asked += f"-to-{longest_lag}" * (longest_lag < LAGS[-1])
    asked += f"-at-{'-'.join(map(str, protocol.lags))}" * bool(protocol.lags)
    out = out or Path("runs/horizon" + asked)
    chosen = cells or (CELLS if full else SMALL_CELLS)
    if tasks is None:
        tasks = tuple(TASKS) if full else SMALL_TASKS
    with trained_horizon(
        chosen, tasks, out, protocol, lanes=lanes, dask=dask, progress=True
    ) as directory:
        directory.put_in_order()
        rows, names = directory.rows, (*chosen, *tasks)
        with console.status("timing an update of each cell"):
            costs = write_costs(known_cells(rows, names), out, match)
        beside = shipped_beside(protocol, rows, out, SMALL_CELLS)
        lay_beside(beside, out)
        _show(rows, beside, costs, names, out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def _show(
    rows: Sequence[Row],
    beside: Sequence[Row],
    costs: Mapping[str, float],
    names: Collection[str],
    out: Path,
) -> None:
    """The tables on the terminal, and the report."""
    from jaxrnn.report.document import NOTES, show_report
    from jaxrnn.report.render import terminal_table
    from jaxrnn.yardstick.view import view

    nets, text = notes(rows, costs, names)
    write_whole(out / NOTES, text.encode())
    shown = terminal_table(nets, HEADINGS), Text(LEGEND, style="dim")
    show_report(out, *shown, view=view, rows=rows, beside=beside)


def notes(
    rows: Sequence[Row], costs: Mapping[str, float], names: Collection[str] = ()
) -> tuple[list[TableRow], str]:
    """The table of the nets, and what the report says of them and of the search. Users' own code is
    imported only if it is among the ``names``."""
    from jaxrnn.report.render import markdown_table
    from jaxrnn.yardstick.results import chosen_rows

    fresh = chosen_rows(rows)
    sought = [row for row in rows if has_role(row.experiment, SEARCH)]
    first = {row.net: row for row in reversed(fresh)}  # one of each cell on each task
    nets = nets_table(list(first.values())[::-1], sought, costs, names)
    ends = ends_of_range(fresh, names)
    text = f"{markdown_table(nets, HEADINGS)}\n{LEGEND}\n"
    return nets, text + f"\n{markdown_table(ends, ENDS_HEADINGS)}\n{ENDS_LEGEND}\n"
