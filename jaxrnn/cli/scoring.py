"""The command ``jaxrnn scorecard``."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from rich.text import Text

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.words import Address, AllOrNames, Count, Lanes, Out, flag
from jaxrnn.machine import all_devices
from jaxrnn.problems.card import CELLS
from jaxrnn.report.render import console
from jaxrnn.scorecard import trained_scorecard
from jaxrnn.scorecard.nets import (
    ENDS_HEADINGS,
    ENDS_LEGEND,
    HEADINGS,
    LEGEND,
    ends_of_grid,
    known_cells,
    nets_table,
    write_costs,
)
from jaxrnn.scorecard.protocol import FULL, SMALL
from jaxrnn.scorecard.shipped import lay_beside, shipped_beside
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.watch import duration
from jaxrnn.training.lanes import warn_if_small


def scorecard(
    cells: AllOrNames = None,
    tasks: AllOrNames = None,
    full: bool = False,
    batch_size: Count = 1,
    match: Annotated[str, flag("NAME", "(default: weights)")] = "weights",
    out: Out = None,
    lanes: Lanes = None,
    dask: Address = None,
    compile_cache: bool = True,
) -> None:
    """Measure what recurrent cells remember: all cells on all tasks under one protocol.

    All cells have about the same number of weights, or of numbers in their state. The same grid
    tunes each cell on each task, with separate seeds for this search. Then fresh trials on other
    seeds are reported. docs/howto/scorecard.md describes the protocol. First the command says what
    it will train and how long that may take. With --cells only these cells are trained, and shown
    beside the rows that come with jaxrnn. Give the same command again after an interruption.

    Args:
        cells: The cells to train; your own cell as file.py:name.
        tasks: The tasks to train them on.
        full: The large card: 20 reported trials of 50,000 sequences at most, a wider search.
        batch_size: Training sequences of an update; the rows that come with jaxrnn have one.
        match: Choose the units of each cell so that it has as many weights as the LSTM, or as many
            numbers in its state: weights or state; the rows that come with jaxrnn match weights.
        out: Run directory; runs/scorecard, with -full and -state where you ask for these.
        lanes: Trials of a net trained at once; results do not depend on it.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    set_up_jax(compile_cache)
    start = time.monotonic()
    protocol = replace(FULL if full else SMALL, batch_size=batch_size, match=match)
    if dask is None:
        rates = max(map(len, protocol.learning_rates.values()))
        searched = rates * len(protocol.keeping) * len(protocol.closing)
        warn_if_small(max(protocol.trials, searched * protocol.search_trials), all_devices()[0])
    out = out or Path("runs/scorecard" + "-full" * full + "-state" * (match == "state"))
    with trained_scorecard(
        cells, tasks, out, protocol, lanes=lanes, dask=dask, progress=True
    ) as card:
        card.report.put_in_order()
        rows, names = card.report.rows, cells or ()
        with console.status("timing an update of each cell"):
            costs = write_costs(known_cells(rows, names), out, match)
        lay_beside(shipped_beside(protocol, rows, out, CELLS), out)
        _show(rows, card.search.rows, costs, names, out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def _show(
    rows: Sequence[Row],
    tried: Sequence[Row],
    costs: Mapping[str, float],
    names: Collection[str],
    out: Path,
) -> None:
    """The tables on the terminal, and the report."""
    from jaxrnn.report.document import NOTES, show_report
    from jaxrnn.report.render import markdown_table, terminal_table

    nets = nets_table(rows, tried, costs, names)
    text = f"{markdown_table(nets, HEADINGS)}\n{LEGEND}\n"
    if ends := ends_of_grid(rows, tried):
        text += f"\n{markdown_table(ends, ENDS_HEADINGS)}\n{ENDS_LEGEND}\n"
    write_whole(out / NOTES, text.encode())
    legend = Text(LEGEND, style="dim")
    show_report(out, terminal_table(nets, HEADINGS), legend)
