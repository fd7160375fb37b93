"""How far back every cell remembers, on every task: searched, then reported."""

import warnings
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text

from jaxrnn.errors import InputError, Note, look_up
from jaxrnn.experiment import Experiment
from jaxrnn.names import are_named, is_own, own_names
from jaxrnn.problems import Suite, Task, lengths_of, task_of
from jaxrnn.report.render import TableRow, console, terminal_table
from jaxrnn.store.files import path_of
from jaxrnn.store.rows import Trials
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.queue import Search
from jaxrnn.sweeps.run import OpenRun, open_run
from jaxrnn.sweeps.watch import Watch, roughly
from jaxrnn.training.parts import cell_of, drawn_biases
from jaxrnn.training.runner import seconds_a_time_step
from jaxrnn.yardstick import LAGS, PREFIX, SMALL_CELLS, SMALL_TASKS, TASKS, has_role
from jaxrnn.yardstick.reference import begun
from jaxrnn.yardstick.results import Card
from jaxrnn.yardstick.search import (
    SINGLE,
    HorizonProtocol,
    Net,
    default_of,
    settings,
    trials_of,
)
from jaxrnn.yardstick.sizes import note_untuned, sizes


def suite_of(task: str) -> Suite:
    """The suite of a task: the package's, or for a user's own task one at the lags it admits.

    Raises InputError for an unknown name, and for a task that admits no lag.
    """
    if not is_own(task):
        return look_up(TASKS, "task", task)
    if lengths := lengths_of(task):
        raise InputError(
            f"task {task} has sequences of {lengths[0]:,} steps alone, and a horizon compares "
            "several lags: train nets on it with jaxrnn sweep"
        )
    origin, _, name = task.rpartition(":")
    name = f"{PREFIX}{Path(origin).name.removesuffix('.py')}.{name}"
    usual, *_ = TASKS.values()
    base = replace(usual.base, name=name, task=task, task_options=())
    admitted: dict[int, Task] = {}
    for lag in LAGS:
        with suppress(InputError):
            admitted[lag] = task_of(replace(base, length=lag))
    if not admitted:
        task_of(replace(base, length=LAGS[-1]))  # which says why
    shortest, longest = min(admitted), max(admitted)
    some, more = (
        f"{one.num_inputs:,} inputs and {one.num_outputs:,} outputs"
        for one in (admitted[shortest], admitted[longest])
    )
    if some != more:
        warnings.warn(
            f"{task} has {some} at a length of {shortest}, but {more} at {longest:,}: so its nets "
            "have other numbers of weights at longer lags",
            Note,
            stacklevel=2,
        )
    return replace(usual, base=replace(base, length=shortest), lengths=tuple(admitted))


def nets(cells: Sequence[str], tasks: Sequence[str], protocol: HorizonProtocol) -> list[Net]:
    """Every cell on every task, task by task, at the protocol's lags, or at the task's own up to
    the longest.

    Raises InputError for a task without such a lag, and for two tasks of one name.
    """
    tasks, cells = (
        list(dict.fromkeys([names] if isinstance(names, str) else names))
        for names in (tasks, cells)
    )
    if not tasks or not cells:
        raise InputError("name at least one cell and one task")
    suites = []
    for task in tasks:
        suite = suite_of(task)
        lags = protocol.lags or tuple(lag for lag in suite.lengths if lag <= protocol.longest_lag)
        if not lags:
            raise InputError(
                f"longest-lag {protocol.longest_lag} must be at least {suite.lengths[0]}, the "
                f"shortest lag of {task}"
            )
        suites.append(replace(suite, base=replace(suite.base, length=lags[0]), lengths=lags))
    every = [
        Net(default_of(suite, cell, protocol), suite.lengths) for suite in suites for cell in cells
    ]
    check_names(base for base, _ in every)
    return every


def run_horizon(
    cells: Sequence[str] = SMALL_CELLS,
    tasks: Sequence[str] = SMALL_TASKS,
    out: str | Path = "runs/horizon",
    protocol: HorizonProtocol = SINGLE,
    *,
    lanes: int | None = None,
    dask: str | None = None,
    progress: bool = False,
) -> Trials:
    """Search and report the horizon of the cells on the tasks, in the directory ``out``. Returns
    all its rows.

    :mod:`jaxrnn.yardstick.search` describes the search and the report. The same call goes on after
    an interruption, and other calls add to the directory. A cell or a task may be one's own, as
    ``file.py:name``. ``lanes`` and ``dask`` are those of :func:`jaxrnn.run`. With ``progress`` the
    terminal first shows what will be trained and how long that may take. Only the command writes a
    report with the kept cells; :func:`jaxrnn.write_report` writes one of the directory's own rows.

    Raises what :func:`jaxrnn.run` raises, and InputError if ``out`` holds other experiments' rows
    or was begun with another protocol.
    """
    options: dict[str, Any] = {"lanes": lanes, "dask": dask, "progress": progress}
    with trained_horizon(cells, tasks, path_of(out), protocol, **options) as directory:
        return Trials.of(directory.rows)


@contextmanager
def trained_horizon(
    cells: Sequence[str],
    tasks: Sequence[str],
    out: Path,
    protocol: HorizonProtocol,
    *,
    lanes: int | None,
    dask: str | None,
    progress: bool,
) -> Iterator[RunDirectory]:
    """Do :func:`run_horizon`, and hold the directory so that its results can be written, too."""
    every = nets(cells, tasks, protocol)
    note_untuned(base for base, _ in every)
    with ExitStack() as watching:
        options: dict[str, Any] = {"lanes": lanes, "dask": dask, "report": False}
        if progress:
            options["progress"] = watch = watching.enter_context(Watch())
        with open_run(out, **options) as run:
            held = [row.experiment for row in run.directory.rows]
            if others := [one.name for one in held if not has_role(one)]:
                raise InputError(
                    f"{out} holds rows of {min(others)}, not of a horizon: use another --out"
                )
            check_names([*held, *(base for base, _ in every)])
            of_each = [trials_of(one, protocol) for one in every]
            run.directory.ask(base for base, _ in every)
            with begun(out, protocol):
                if progress:
                    watch.progress.words = "timing a net of each cell" * (dask is None)
                    left = [one for one in every if not is_done(one, protocol, run)]
                    show_plan(left, protocol, lanes, timed=dask is None)
                    watch.progress.words = ""
                    watch.expect(sum(map(len, of_each)), "searches")
                run.search_side_by_side(of_each, watch.on_found if progress else None)
            watching.close()
            yield run.directory


PLAN_HEADINGS = ("net", "units", "weights", "state", "trials", "time")

USUAL = {"full": (350, 800), "quick": (120, 360)}
"""Of a net on a task, about the mean of those whose rows come with the package: its trials, and
their time steps, in shortest lags times the budget. A net with a longer shortest lag counts more in
this mean, as it does in the time."""

GROWTH = 0.4
"""The time steps of these trials up to a lag are about this power of the lag."""


def show_plan(
    left: Sequence[Net], protocol: HorizonProtocol, lanes: int | None, timed: bool
) -> None:
    """Show on the terminal what will be trained of each cell and, if ``timed``, about how long that
    takes. For this a net of each cell is timed for a few seconds."""
    if not left:
        return
    rows, whole = [], 0.0
    trials, lags_trained = USUAL[protocol.plan.name]
    for cell in dict.fromkeys(one.base.cell for one in left):
        of_cell = [one for one in left if one.base.cell == cell]
        bases = [one.base for one in of_cell]
        shown = {"net": cell} | sizes(bases, own_names(bases))
        shown["trials"] = f"{trials * len(of_cell):,}"
        if timed:
            # Most of the time steps are at about this lag. Those of short sequences take longer.
            at = of_cell[0].lags[-2:][0]
            like = replace(bases[0], length=at, trials=12)
            shares = ((one.lags[-1] / LAGS[-1]) ** GROWTH * one.lags[0] for one in of_cell)
            steps = lags_trained * sum(shares) * protocol.max_steps
            seconds = seconds_a_time_step(like, lanes=lanes) * steps
            shown["time"], whole = roughly(seconds), whole + seconds
        rows.append(TableRow(shown, None))
    words = "State: the numbers that a net carries from one time step to the next."
    if timed:
        words += (
            f" Time: about {roughly(whole)} in all besides compiling, if they learn as the kept "
            "nets do on average, by a short timing on this machine."
        )
    console.print(terminal_table(rows, PLAN_HEADINGS[: len(PLAN_HEADINGS) - (not timed)]))
    console.print(Text(words, style="dim"))


def is_done(net: Net, protocol: HorizonProtocol, run: OpenRun) -> bool:
    """Whether the directory has all trials of the net."""
    return not Search(trials_of(net, protocol), run.directory).go_on()


def check_names(experiments: Iterable[Experiment]) -> None:
    """Refuse two tasks of one name."""
    called: dict[str, str] = {}
    for one in experiments:
        name = one.name.removeprefix(PREFIX)
        if called.setdefault(name, one.task) != one.task:
            raise InputError(
                f"{called[name]} and {one.task} would both be called {name}: use another --out, or "
                "another file name"
            )


ENDS_HEADINGS = ("setting", "chosen", "at the least", "at the greatest")

END = 1 / 25  # of a range
ENDS_LEGEND = (
    "Chosen: searches that chose a value. Then how many of these lie in the lowest or the highest "
    "25th of the range: there may be a better one beyond it. By chance it would be about one in 25 "
    "each."
)


def ends_of_range(
    card: Card, protocol: HorizonProtocol, names: Collection[str] = ()
) -> list[TableRow]:
    """How often a search's choice lies at an end of what was searched. Users' own code is imported
    only if it is among the ``names``."""
    shares: dict[str, list[float]] = {"rate": [], "memory": [], "clip": []}
    for net in card.nets.values():
        made = net.rows[0].experiment
        is_tuned = are_named(made, names) and bool(drawn_biases(made.cell, cell_of(made)))
        for number, found in net.found.items():
            if found.setting:
                setting = settings(protocol, number)[found.setting - 1]
                shares["rate"].append(setting.rate)
                shares["clip"].append(setting.clip)
                shares["memory"] += [setting.memory] * is_tuned
    lines = []
    for name, some in shares.items():
        at_ends = sum(one <= END for one in some), sum(one >= 1 - END for one in some)
        values = (name, *map(str, (len(some), *at_ends)))
        if some:
            lines.append(TableRow(dict(zip(ENDS_HEADINGS, values, strict=True)), None))
    return lines
