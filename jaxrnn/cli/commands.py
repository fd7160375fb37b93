"""All commands with their flags; ``jaxrnn horizon``, ``inspect`` and ``report``."""

import time
import webbrowser
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from jaxrnn import yardstick
from jaxrnn.cli.cache import set_up_jax
from jaxrnn.cli.listing import list_
from jaxrnn.cli.sweeping import settings_flags, sweep
from jaxrnn.cli.verifying import verify
from jaxrnn.cli.words import (
    ADDRESS,
    CELL,
    DIRECTORY,
    EXPERIMENT,
    NAME,
    TASK,
    WHOLE,
    Command,
    Flag,
)
from jaxrnn.errors import InputError
from jaxrnn.machine import all_devices
from jaxrnn.names import is_own
from jaxrnn.report.render import TableRow, console, markdown_table, terminal_table
from jaxrnn.store.files import write_whole
from jaxrnn.store.rows import Row
from jaxrnn.sweeps.watch import duration
from jaxrnn.training.lanes import warn_if_small
from jaxrnn.yardstick import LAGS, SMALL_CELLS, SMALL_TASKS
from jaxrnn.yardstick.reference import lay_beside, shipped_beside
from jaxrnn.yardstick.results import card_of
from jaxrnn.yardstick.run import (
    ENDS_HEADINGS,
    ENDS_LEGEND,
    ends_of_range,
    nets,
    show_plan,
    trained_horizon,
)
from jaxrnn.yardstick.search import SINGLE, HorizonProtocol, protocol_of
from jaxrnn.yardstick.sizes import HEADINGS, LEGEND, nets_table, write_costs
from jaxrnn.yardstick.submission import FILE, check_cell, write_submission


def horizon(
    cells: Sequence[str] = (),
    *,
    tasks: Sequence[str] | None = None,
    full: bool = False,
    longest_lag: int = LAGS[-1],
    lags: Sequence[int] = (),
    batch_size: int = 1,
    match: str = "weights",
    quick: bool = False,
    seed: int = 1,
    submission: Path | None = None,
    dry_run: bool = False,
    out: Path | None = None,
    lanes: int | None = None,
    dask: str | None = None,
    compile_cache: bool = True,
) -> None:
    """Measure how far back recurrent cells remember: their horizon on each task, with its interval.

    All cells have about the same number of weights. Nine independent searches tune each cell on
    each task; its horizon is the median of the lags that they find. First the command says what it
    will train and how long that may take. Without a cell it trains eight cells on six tasks. With
    cells only these are trained, and shown beside the rows that come with jaxrnn.
    docs/howto/horizon.md names the eight cells and the six tasks, and describes the protocol. Give
    the same command again after an interruption.
    """
    set_up_jax(compile_cache)
    start = time.monotonic()
    others: dict[str, Any] = {"longest_lag": longest_lag, "lags": tuple(lags)}
    protocol = protocol_of(batch_size, match, quick=quick, seed=seed, **others)
    if dask is None:
        warn_if_small(protocol.plan.searches * protocol.plan.wave, all_devices()[0])
    asked = f"-{batch_size}" * (batch_size > 1) + "-state" * (match == "state")
    asked += "-quick" * quick + f"-seed-{seed}" * (seed != SINGLE.seed)
    asked += f"-to-{longest_lag}" * (longest_lag < LAGS[-1])
    asked += f"-at-{'-'.join(map(str, protocol.lags))}" * bool(protocol.lags)
    out = out or Path("runs/horizon" + asked)
    chosen = cells or (yardstick.CELLS if full else SMALL_CELLS)
    if tasks is None:
        tasks = tuple(yardstick.TASKS) if full else SMALL_TASKS
    if submission is not None:
        if len(cells) != 1:
            raise InputError(f"a submission is of one cell of your own, not of {len(cells)} cells")
        check_cell(cells[0])
    if dry_run:
        show_plan(nets(chosen, tasks, protocol), protocol, lanes, timed=dask is None)
        return
    with trained_horizon(
        chosen, tasks, out, protocol, lanes=lanes, dask=dask, progress=True
    ) as directory:
        directory.put_in_order()
        rows, names = directory.rows, (*chosen, *tasks)
        with console.status("timing an update of each cell"):
            trained = dict.fromkeys(row.experiment.cell for row in rows)
            # Users' own code is imported only if this call names it.
            known = [cell for cell in trained if not is_own(cell) or cell in names]
            costs = write_costs(known, out, match)
        beside = shipped_beside(protocol, rows, out, SMALL_CELLS)
        lay_beside(beside, out)
        from jaxrnn.report.document import NOTES, show_report  # matplotlib is slow to import
        from jaxrnn.yardstick.view import view, write_report

        table, text = notes(rows, protocol, costs, names)
        write_whole(out / NOTES, text.encode())
        shown = terminal_table(table, HEADINGS), Text(LEGEND, style="dim")
        show_report(out, *shown, view=view, rows=rows, beside=beside)
    if submission is not None:
        write_submission(out, cells[0], submission)
        write_report(submission)
        console.print(
            f"Fill in what only you know: {submission / FILE}. Then check it: jaxrnn verify "
            f"{submission} --code {Path(cells[0]).name}",
            soft_wrap=True,
        )
    console.print(f"Wall time of this call: {duration(time.monotonic() - start)}.")


def notes(
    rows: Sequence[Row],
    protocol: HorizonProtocol,
    costs: Mapping[str, float],
    names: Collection[str] = (),
) -> tuple[list[TableRow], str]:
    """The table of the nets, and what the report says of them and of the search. Users' own code is
    imported only if it is among the ``names``."""
    table = nets_table(rows, costs, names)
    ends = ends_of_range(card_of(rows), protocol, names)
    text = f"{markdown_table(table, HEADINGS)}\n{LEGEND}\n"
    return table, text + f"\n{markdown_table(ends, ENDS_HEADINGS)}\n{ENDS_LEGEND}\n"


def inspect(
    run: Path,
    cells: Sequence[str] | None = None,
    *,
    experiment: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    length: int | None = None,
    trial: int = 0,
    objective: str | None = None,
    measure: str | None = None,
    format: Sequence[str] = (),
    out: Path | None = None,
    compile_cache: bool = True,
) -> None:
    """Draw what happens inside the nets of a run directory that keeps their weights.

    For each net, one picture shows the states, gates and hidden units over time, for two sequences
    of its task. A state that is a matrix is drawn as one, at a few steps. One more picture shows
    how far back in time the gradient of the last step that counts reaches. Nothing is trained.
    """
    for name, value in (("objective", objective), ("measure", measure)):
        if value is not None and ":" not in value:
            raise InputError(
                f"{name} {value} is not your own code, such as file.py:name: leave it out, "
                f"{run} says what its nets have"
            )
    set_up_jax(compile_cache)
    from jaxrnn import inspection

    choice = inspection.Choice(experiment, cells, tasks, length, trial)
    own = {"cell": cells or (), "task": tasks or ()}
    own |= {"objective": (objective or "",), "measure": (measure or "",)}
    with console.status("") as status:
        pictures = inspection.inspect(
            run, choice, out or run / "inspect", own, format, status.update
        )
    for picture in pictures:
        console.print(str(picture), highlight=False, soft_wrap=True)


def report(directory: Path, *, format: Sequence[str] = (), open: bool = False) -> None:
    """Write the report and the pictures of a run directory again from its rows. Nothing is
    trained."""
    from jaxrnn.report.document import PAGE, show_report  # matplotlib is slow to import
    from jaxrnn.yardstick.view import view

    show_report(directory, formats=format, view=view)
    if open:
        webbrowser.open((directory / PAGE).resolve().as_uri())


CELLS = Flag(
    *("cells", "Cells to train; your own as file.py:name.", CELL),
    several=True,
    default="all of the experiment",
    is_word=True,
)
TASKS = Flag("tasks", "Tasks to train them on; your own as file.py:name.", TASK, several=True)
OUT = Flag("out", "Directory for rows, report and pictures.", DIRECTORY, group="output")
HOW = (
    Flag(
        *("lanes", "Trials of a net trained at once; results do not depend on it.", WHOLE),
        default="as many as fit the cache, at most 32 per core",
        is_common=False,
    ),
    Flag(
        *("dask", "A Dask scheduler, tcp://host:port, whose workers do the work.", ADDRESS),
        default="this machine alone",
        is_common=False,
    ),
)
DRY_RUN = Flag("dry_run", "Show what would be trained, and train nothing.", is_common=False)
NO_CACHE = Flag(
    *("no_compile_cache", "Do not keep compiled programs in your cache directory for later calls."),
    is_common=False,
)
KEEP = Flag(
    "keep_weights",
    "Keep the final weights of the trials, for jaxrnn inspect and for load_weights in Python.",
    group="output",
)

HORIZON = (
    CELLS._replace(default="eight"),
    TASKS._replace(default="six"),
    Flag("full", "All 25 cells and all 16 tasks."),
    Flag(
        "longest_lag",
        "No trial goes beyond it: 8, 16, 32, ... or 1024. Long lags cost most: "
        "those up to 512 have about three quarters of the time steps, those up to 128 half.",
        WHOLE,
        default="1024 time steps",
    ),
    Flag(
        "lags",
        "These lags in place of 8, 16, 32, ...",
        WHOLE,
        several=True,
        default="8 16 32 ... 1024 time steps",
    ),
    Flag(
        "batch_size",
        "Training sequences of an update; a trial gets 20,000, or those of ten thousand updates if "
        "these are more.",
        WHOLE,
        default="1 sequence",
    ),
    Flag(
        "match",
        "Choose the units of each cell so that it has as many weights as the LSTM, or as many "
        "numbers in its state: weights or state; the rows that come with jaxrnn match weights.",
        NAME,
        default="weights",
    ),
    Flag(
        "quick",
        "Six searches of 12 settings in place of nine of 54, and no default: a third of the time; "
        "never comparable with the full protocol.",
    ),
    Flag(
        "seed",
        "Of all settings and trials: another one repeats the whole measurement independently.",
        WHOLE,
        default="1",
    ),
    Flag(
        "submission",
        "Write your cell, its rows and its report into this folder, for others to check.",
        DIRECTORY,
        group="output",
    ),
    OUT._replace(default="runs/horizon, with the batch size, -state and lags that you name"),
    *(flag._replace(is_common=True) for flag in (*HOW, NO_CACHE, DRY_RUN)),
)
FORMAT = Flag(
    "format",
    "Write each picture in this format, too, for papers: svg, pdf or both.",
    NAME,
    several=True,
    default="png alone",
    group="output",
)

INSPECT = (
    Flag(
        *("run", "A run directory made with sweep --keep-weights.", DIRECTORY),
        is_word=True,
        is_needed=True,
    ),
    CELLS._replace(
        help="Draw only these cells. One that is your own code is imported only if you name it.",
        default="all of the run",
    ),
    TASKS._replace(
        help="Draw only the nets of these tasks; your own code as above.", default="all of the run"
    ),
    Flag(
        *("experiment", "Draw only the nets of these experiments.", EXPERIMENT),
        several=True,
        default="all of the run",
    ),
    Flag("length", "Length of the sequences.", WHOLE, default="each net's longest"),
    Flag("trial", "Which of the trials, counted from 0.", WHOLE, default="0"),
    Flag("objective", "The objective, if it is your own code.", NAME),
    Flag("measure", "The measure of errors, if it is your own code.", NAME),
    NO_CACHE._replace(is_common=True),
    FORMAT,
    OUT._replace(help="Directory for the pictures.", default="inspect in the run directory"),
)
REPORT = (
    INSPECT[0]._replace(name="directory", help="The run directory, as you gave it to --out."),
    FORMAT,
    Flag("open", "Show report.html in the browser.", group="output"),
)
VERIFY = (
    INSPECT[0]._replace(name="directory", help="The run directory whose rows are checked."),
    Flag("rows", "How many rows to train again.", WHOLE, default="60"),
    Flag("all", "Train all rows again."),
    Flag(
        "held_out",
        "Try the horizons by fresh trials instead, under seeds that follow from the directory and "
        "any words of yours.",
        NAME,
        several=True,
        default="none",
    ),
    CELLS._replace(
        help="Only rows of these cells. Your own code is run only if you name it.",
        default="all of the directory",
        is_word=False,
    ),
    TASKS._replace(
        help="Only rows of these tasks; your own code as above.", default="all of the directory"
    ),
    Flag("longest_lag", "Only rows of lengths up to this one.", WHOLE, default="no limit"),
    Flag("code", "More code of your own that may be run.", NAME, several=True, default="none"),
    Flag("seed", "Which rows are drawn.", WHOLE, default="one that nobody can foresee"),
    OUT._replace(
        help="Directory for the new rows, with the result in verify.json.",
        default="runs/verify-NAME",
    ),
    *(flag._replace(is_common=True) for flag in (*HOW, NO_CACHE)),
)
LIST = (
    Flag(
        "what",
        "1997 for the experiments of the 1997 paper with its results, claims for published claims, "
        "both with the time that they take; or an experiment, for its settings.",
        NAME,
        default="all cells, tasks and other names",
        is_word=True,
    ),
)

COMMANDS = {
    "sweep": Command(
        sweep,
        (
            CELLS,
            *settings_flags(),
            DRY_RUN,
            *HOW,
            NO_CACHE,
            KEEP,
            OUT._replace(default="runs/EXPERIMENT, or runs/grid if a setting has several values"),
        ),
    ),
    "horizon": Command(horizon, HORIZON),
    "verify": Command(verify, VERIFY),
    "inspect": Command(inspect, INSPECT),
    "report": Command(report, REPORT),
    "list": Command(list_, LIST),
}
