"""The command ``jaxrnn scorecard``."""

import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.flags import Address, AllOrNames, Lanes, OptionalDirectory
from jaxrnn.errors import InputError, Note
from jaxrnn.results.rows import Row, read_rows
from jaxrnn.scorecard import SEARCH, run_scorecard
from jaxrnn.scorecard.kept import differences, kept, kept_rows
from jaxrnn.scorecard.nets import HEADINGS, LEGEND, nets_table, write_costs
from jaxrnn.scorecard.protocol import FULL, SMALL
from jaxrnn.watch import console, duration


def scorecard(
    cells: AllOrNames = None,
    tasks: AllOrNames = None,
    full: bool = False,
    out: OptionalDirectory = None,
    lanes: Lanes = None,
    dask: Address = None,
    compile_cache: bool = True,
) -> None:
    """What every recurrent cell remembers: all cells on all tasks under one protocol.

    Each cell is tuned on each task by the same grid, with as many weights, on seeds of its own, and
    then reported on others; the guide has the protocol. With --cells only those are trained, and
    laid beside the rows that come with jaxrnn. Give the same command again after an interruption.

    Args:
        cells: The cells to train; one's own as file.py:name.
        tasks: The tasks to train them on.
        full: The large card: 20 reported trials of 50,000 sequences at most, a wider search.
        out: Run directory; runs/scorecard, or runs/scorecard-full.
        lanes: Trials of a net trained at once; results do not depend on it.
        dask: A Dask scheduler, tcp://host:port, whose workers are to do the work.
        compile_cache: Keep compiled programs in the user's cache directory for later calls.
    """
    set_up_jax(compile_cache)
    if cells == () or tasks == ():
        raise InputError("name at least one cell and one task")
    start = time.monotonic()
    protocol = FULL if full else SMALL
    out = out or Path("runs/scorecard-full" if full else "runs/scorecard")
    run_scorecard(cells, tasks, out, protocol, lanes=lanes, dask=dask, progress=True)
    rows = read_rows(out)
    trained = list(dict.fromkeys(row["cell"] for row in rows))
    with console.status("timing a training step of each cell"):
        costs = write_costs(trained, out)
    beside = kept_rows(protocol, {row["task"] for row in rows}, trained)
    if beside and (words := differences(kept(protocol), out)):
        others = " ".join(dict.fromkeys(row["cell"] for row in beside))
        warnings.warn(
            f"the rows that come with jaxrnn are not shown beside, being made with "
            f"{', '.join(words)}; to train their nets here, too, name them: --cells {others}",
            Note,
            stacklevel=2,
        )
        beside = []
    _show(rows, beside, costs, out)
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def _show(
    rows: Sequence[Row], beside: Sequence[Row], costs: Mapping[str, float], out: Path
) -> None:
    """The tables on the terminal, and the report."""
    from jaxrnn.results.by_task import SHORT_HEADINGS, solved_table, times_rows
    from jaxrnn.results.report import REPORT, write_report
    from jaxrnn.results.tables import markdown_table, terminal_table

    nets = nets_table(rows, read_rows(out / SEARCH), costs)
    more = f"\n{markdown_table(nets, HEADINGS)}\n{LEGEND}\n"
    write_report(out, beside, more)
    console.print(solved_table([*beside, *rows], console.width))
    if beside:  # of the nets that were trained, against the first that was not
        trained = {row["cell"] for row in rows}
        own = [one for one in times_rows([*beside, *rows]) if one.cells["net"] in trained]
        console.print(terminal_table(own, SHORT_HEADINGS))
    console.print(terminal_table(nets, HEADINGS))
    console.print(LEGEND, style="dim")
    console.print(
        f"Every number and what it means: {out / REPORT}", highlight=False, soft_wrap=True
    )
