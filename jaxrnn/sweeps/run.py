"""Many experiments into one run directory: run, resumed and grown, watched, and reported on."""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import jax

from jaxrnn.errors import InputError, look_up, whole_number
from jaxrnn.experiment import GRID, PER_TRIAL, Experiment, flag_name
from jaxrnn.machine import all_devices
from jaxrnn.problems import Suite, settled
from jaxrnn.report.summary import Rows
from jaxrnn.store.rows import Trials
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.devices import Devices
from jaxrnn.sweeps.queue import Asking, Found, Once, Queue, Search, rows_of
from jaxrnn.sweeps.watch import Watch
from jaxrnn.training.loop import Loop
from jaxrnn.training.memory import check_trials
from jaxrnn.training.runner import check, check_lanes, prepare
from jaxrnn.training.tickets import Tickets


def expand(
    suite: Suite, cells: Sequence[str] | None, lengths: Sequence[int] | None, **settings: Any
) -> list[Experiment]:
    """The experiments of a suite, length by length, with some settings replaced.

    Raises InputError where a setting breaks its rule; the rest is :func:`jaxrnn.training.runner`'s
    to check.
    """
    return [
        suite.at(cell, length, **settings)
        for length in dict.fromkeys(lengths or suite.lengths)
        for cell in dict.fromkeys(cells or suite.cells)
    ]


def product(base: Experiment, axes: Mapping[str, Sequence[float]]) -> Experiment:
    """``base`` with its number of trials under every combination of some per-trial settings.

    If ``base`` has n trials, combination k has the n trials from k n on; the last axis varies
    first. Repeated values count once. The rows belong to experiment "grid". Raises InputError for
    an axis that is not of :data:`jaxrnn.experiment.PER_TRIAL` or without values, and where a
    setting breaks its rule.
    """
    for name in axes:
        look_up(dict.fromkeys(PER_TRIAL), "setting that may differ from trial to trial", name)
    return dataclasses.replace(under(base, list(combinations(axes))), name=GRID)


def under(base: Experiment, choices: Sequence[Mapping[str, float]]) -> Experiment:
    """``base`` with its number of trials under each choice of the same per-trial settings.

    If ``base`` has n trials, choice k has the n trials from k n on.
    """
    more = dataclasses.replace(base, trials=base.trials * len(choices))
    check_trials(more)  # before there is a value for each of them
    settings: dict[str, Any] = {
        name: tuple(choice[name] for choice in choices for _ in range(base.trials))
        for name in choices[0]
    }
    return dataclasses.replace(more, **settings)


def combinations(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values of some settings, the last varying first, each once.

    Raises InputError for a setting without values.
    """
    for name, values in axes.items():
        if not values:
            raise InputError(f"name at least one {flag_name(name)}")
    for values in itertools.product(*map(dict.fromkeys, axes.values())):
        yield dict(zip(axes, values, strict=True))


class OpenRun:
    """A run directory that is held open, to be asked for experiments; see :func:`open_run`."""

    def __init__(
        self,
        directory: RunDirectory,
        watch: Watch | None,
        lanes: int | None,
        keep_weights: bool,
        dask: str | None,
    ) -> None:
        """Nothing is run yet."""
        self.directory, self._watch = directory, watch
        self._lanes, self._keep_weights, self._dask = lanes, keep_weights, dask

    def __call__(
        self, experiments: Experiment | Iterable[Experiment], *, until: int | None = None
    ) -> Rows:
        """Run the experiments' trials that the directory lacks. Returns the rows of the trials that
        have ended.

        With ``until`` each trial gets only up to that many training sequences. Trials that have not
        ended stay in a checkpoint, from which a later call goes on; the rows are those of trials
        that ended by then. Raises InputError as :func:`run`.
        """
        experiments = [experiments] if isinstance(experiments, Experiment) else list(experiments)
        if not experiments:
            raise InputError("name at least one experiment to run")
        if until is not None:
            whole_number("until", until, 1)
        else:  # whoever stops trials on the way may want no end of them
            self.directory.ask(map(settled, experiments))
        self._train([Once(experiments, self.directory)], until)
        rows = rows_of(experiments, self.directory)
        if until is None:
            return rows
        return Rows(row for row in rows if row.outcome.steps <= until)

    def search(self, asking: Iterable[Asking[Found]]) -> list[Found]:
        """Run several searches at the same time, and return what each has found.

        A search is a generator. It yields a list of experiments, gets their rows when all are
        there, may yield more, and returns what it has found. If two ask for the same trial, it is
        run once. Raises InputError as :func:`run`, when the experiment's turn has come.
        """
        found = self.search_side_by_side([one] for one in asking)
        return [one for (one,) in found]

    def search_side_by_side(
        self,
        asking: Iterable[Sequence[Asking[Found]]],
        on_found: Callable[[Found, bool], None] | None = None,
    ) -> list[list[Found]]:
        """As :meth:`search`, where each search is of several generators: all begin at the same
        time, each goes on when its own rows are there, and one that yields an empty list waits for
        what the others find. ``on_found`` is told what each has found, and whether anything had to
        be trained for it; the view then shows no experiments."""
        searches = [Search(one, self.directory, on_found) for one in asking]
        self._train(searches)
        # The order of the rows must not depend on what ended first.
        every = [settled(one) for search in searches for one in search.asked]
        self.directory.admit(every, here=False)
        return [search.found for search in searches]

    def _train(self, searches: Sequence[Search[Any]], until: int | None = None) -> None:
        """Train what the searches ask for; each experiment is checked first."""
        check_lanes(self._lanes)
        here = self._dask is None
        keeps: dict[str, Any] = {"keep_params": self._keep_weights}
        fitting: set[tuple[Experiment, int]] = set()

        def check_one(one: Experiment) -> None:
            # All experiments of a program need the same memory, and to look takes its time.
            needs = settled(one).batch(), one.trials
            lanes = self._lanes if until is None else one.trials
            check(one, lanes, here=here and needs not in fitting, **keeps)
            fitting.add(needs)

        queue = Queue(
            searches,
            self.directory,
            check=check_one,
            watch=self._watch,
            keep_weights=self._keep_weights,
            here=here,
        )
        options = {"lanes": self._lanes, "until": until, **keeps}
        try:
            if self._dask is None:

                def begin(tickets: Tickets, devices: Sequence[jax.Device]) -> Loop:
                    return prepare(tickets, devices=devices, **options)

                Devices(queue, begin, self._watch).train()
            else:
                from jaxrnn.sweeps.cluster import train_on_dask  # asyncio is slow to import

                train_on_dask(queue, self._dask, options)
        finally:  # also those that ended before an interruption
            queue.write()
        queue.close()


@contextmanager
def open_run(
    out: str | Path,
    *,
    lanes: int | None = None,
    keep_weights: bool = False,
    dask: str | None = None,
    progress: bool | Watch = False,
    report: bool = True,
) -> Iterator[OpenRun]:
    """Hold a run directory open, so that a search can ask for what it needs next::

        with jaxrnn.open_run("runs/search") as run:
            rates = [0.001, 0.003, 0.01, 0.03]
            ends = {rate: run(replace(base, learning_rate=rate), until=5_000) for rate in rates}
            best = max(rates, key=lambda rate: ends[rate].solved)
            rows = run(replace(base, learning_rate=best))

    The directory is read once, however often it is asked. Calls give :class:`Rows`: a list with
    ``.solved``, ``.interval`` and ``.times``, each row of which has its fields by name, as
    ``row["steps"]``. One view shows the progress of all calls. The same program goes on after an
    interruption. On leaving, with ``report``, the report is written. Other options
    are those of :func:`run`; raises InputError as that does.
    """
    all_devices()  # a driver of Dask's workers checks and traces what it sends, too
    with RunDirectory(out) as directory, ExitStack() as stack:
        watch = stack.enter_context(Watch()) if progress is True else progress or None
        yield OpenRun(directory, watch, lanes, keep_weights, dask)
        rows = directory.rows
    if report and rows:
        from jaxrnn.report.document import write_report  # and so is matplotlib

        write_report(out, rows=rows)


def run(
    experiments: Experiment | Iterable[Experiment],
    out: str | Path,
    *,
    lanes: int | None = None,
    keep_weights: bool = False,
    dask: str | None = None,
    progress: bool | Watch = False,
    report: bool = True,
) -> Trials:
    """Run the trials that the directory ``out`` lacks, and return all rows that it then has.

    This is the command line's work from Python: the same call goes on after an interruption, and
    other experiments, other lengths and more trials are added to the directory. ``out`` gets its
    rows, its configuration and, with ``report``, its report and the pictures. With ``keep_weights``
    it also gets the trained nets, for :func:`jaxrnn.load_weights`. ``progress`` shows a bar, in a
    notebook by ipywidgets; without a terminal it prints one line per net and one per minute. If it
    is a :class:`jaxrnn.sweeps.watch.Watch` that is on, this shows the run among others.
    Trials of experiments that differ only in name, seed, initializer, trials and per-trial settings
    are trained together, up to ``lanes`` at once, by default as many as is fastest. ``dask`` is the
    address of a scheduler whose workers do the work, each experiment by itself; by default this
    process does it. The rows become a table as
    :func:`jaxrnn.read_rows` says.

    Raises InputError before anything is trained for an experiment that cannot be run, and for a
    directory that cannot be written or is in use. Where JAX has no device it does so before the
    directory is made.
    """
    options: dict[str, Any] = {"lanes": lanes, "keep_weights": keep_weights, "dask": dask}
    with open_run(out, progress=progress, report=report, **options) as opened:
        opened(experiments)
        return Trials.of(opened.directory.rows)
