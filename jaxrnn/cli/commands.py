"""All commands with their flags, and the command ``jaxrnn report``."""

import webbrowser
from collections.abc import Sequence
from pathlib import Path

from jaxrnn.cli.inspecting import inspect
from jaxrnn.cli.listing import list_
from jaxrnn.cli.remembering import horizon
from jaxrnn.cli.sweeping import settings_flags, sweep
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
        "Neither search nor report goes beyond it: 8, 16, 32, ... or 1024. Long lags cost most: "
        "those up to 512 have about two thirds of the time steps, those up to 128 a quarter.",
        WHOLE,
        default="1024 time steps",
    ),
    Flag(
        "lags",
        "These lags in place of 8, 16, 32, ...; with a single one the report has the times to "
        "success.",
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
    OUT._replace(default="runs/horizon, with the batch size, -state and lags that you name"),
    *(flag._replace(is_common=True) for flag in (*HOW, NO_CACHE)),
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
    Flag(
        *("directory", "The run directory, as you gave it to --out.", DIRECTORY),
        is_word=True,
        is_needed=True,
    ),
    FORMAT,
    Flag("open", "Show report.html in the browser.", group="output"),
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
            *HOW,
            NO_CACHE,
            KEEP,
            OUT._replace(default="runs/EXPERIMENT, or runs/grid if a setting has several values"),
        ),
    ),
    "horizon": Command(horizon, HORIZON),
    "inspect": Command(inspect, INSPECT),
    "report": Command(report, REPORT),
    "list": Command(list_, LIST),
}
