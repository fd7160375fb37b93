"""The run directory: rows, weights and the checkpoints of what is in flight."""

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxrnn.errors import InputError, Note
from jaxrnn.experiment import Experiment, Ticket
from jaxrnn.machine import device
from jaxrnn.names import digests, own_names
from jaxrnn.rounding import made_with
from jaxrnn.store.archives import (
    CheckpointFile,
    tickets_of,
    weights_held,
    weights_path,
    write_weights,
)
from jaxrnn.store.config import ASKED, CONFIG, SOURCES, gone_on, read_config
from jaxrnn.store.files import TEMPORARY, append, name_of, path_of, write_whole
from jaxrnn.store.rows import BESIDE, ROWS, Row, lines_of, read_trials

LOCK = ".lock"


class RunDirectory:
    """A run directory held by this process alone; use it in a ``with`` block.

    Entering makes the directory, takes its lock and reads its rows. It holds trials; all settings
    of a trial together identify it. It may grow: of the experiments that it admits, the missing
    trials are run. Raises InputError if the directory cannot be written, is in use, or holds
    something corrupt; nothing is overwritten then.
    """

    def __init__(self, path: Path | str) -> None:
        """Remember where to write."""
        from filelock import FileLock  # which the help does not need

        self.path = path_of(path)
        self._held: dict[Ticket, Row] = {}
        self._appends = False  # whether the file of rows ends with a whole line that is known
        self._last: Experiment | None = None  # whose settings stand last in it
        self._in_order = True  # whether it has them in the order of what was admitted
        self._under_way: list[Ticket] = []  # of the checkpoints that it held at first
        self._position_of: dict[Ticket, tuple[int, int]] = {}  # in which call, which experiment
        self._calls = 0
        self._asked: Counter[tuple[str, str, int]] = Counter()  # trials of each net at each length
        self._lock = FileLock(self.path / LOCK)

    def __enter__(self) -> "RunDirectory":
        """Take the directory."""
        from filelock import Timeout

        try:
            self._is_new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise InputError(
                f"{self.path} is in use by another sweep: wait, or use another --out"
            ) from None
        except OSError as error:
            raise InputError(f"cannot write to {self.path}: {error.strerror or error}") from None
        try:
            if read_config(self.path) is None and (self.path / ROWS).exists():
                raise InputError(f"{self.path} holds {ROWS} but no {CONFIG}: use another --out")
            self._held = read_trials(self.path)
            self._sweep()
        except BaseException:
            self._give_back()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Put the rows in order and release the directory. If it was made for a run that was then
        refused, it is deleted again."""
        try:
            self.put_in_order()
            self._sweep()
        finally:
            self._give_back()

    def _sweep(self) -> None:
        """Delete what kills have left: parts of files, damaged checkpoints, of which a warning
        tells, and those without a trial that is still to end. Other checkpoints stay, since their
        trials may be asked for again."""
        self._under_way = []
        for file in sorted(self.path.glob("checkpoint-*.npz")):
            try:
                tickets = tickets_of(file)
            except InputError as damage:
                warnings.warn(str(damage), Note, stacklevel=4)
                tickets = []
            if self._held.keys() >= {*tickets}:
                file.unlink()
            self._under_way += tickets
        for file in (*self.path.glob("*.tmp"), *(self.path / BESIDE).glob("*.tmp")):
            if TEMPORARY.search(file.name):
                file.unlink(missing_ok=True)

    def put_in_order(self) -> None:
        """Put the rows of the file in the order of :attr:`rows`."""
        if not self._in_order:
            self._write_rows()

    def _give_back(self) -> None:
        if is_empty := not (self.path / CONFIG).exists():
            (self.path / LOCK).unlink(missing_ok=True)
        self._lock.release()
        if is_empty and self._is_new:
            with suppress(OSError):  # somebody else has put something there
                self.path.rmdir()

    @property
    def rows(self) -> list[Row]:
        """All rows that it holds, in the order of the admitted experiments; other rows come
        first."""
        self._sort()
        return list(self._held.values())

    def ask(self, experiments: Iterable[Experiment]) -> None:
        """Say in the configuration, from the next :meth:`admit` on, how many trials of which nets
        a call wants in the end, so that a report can name those that are missing."""
        asked: Counter[tuple[str, str, int]] = Counter()
        for one in experiments:
            asked[one.name, one.cell, one.length] += one.trials
        self._asked |= asked  # the greater number

    def admit(
        self, experiments: Sequence[Experiment], keep_weights: bool = False, here: bool = True
    ) -> None:
        """Expect the rows of these experiments: they come after those of all admitted before.

        Raises InputError for users' code that has changed, and with ``keep_weights`` if the
        directory holds one of their trials without its weights. With ``here`` it warns if missing
        trials will be run under other versions than those it holds.
        """
        self._calls += 1
        for number in reversed(range(len(experiments))):  # a trial of several has the first's
            for ticket in experiments[number].tickets():
                self._position_of[ticket] = self._calls, number
        for experiment in experiments if keep_weights else ():
            kept = weights_held(self.path, experiment)
            for ticket in experiment.tickets():
                if ticket in self._held and ticket not in kept:
                    one, trial = ticket
                    raise InputError(
                        f"{self.path} holds trial {trial} of {one.cell} at length {one.length} "
                        "without its weights: use another --out, or go on without --keep-weights"
                    )
        config = read_config(self.path)
        own, now = (config or {}).get(SOURCES, {}), digests(experiments)
        if now:  # else there is no need for a look at every row
            held = own_names({one: None for one, _ in (*self._held, *self._under_way)})
            for name in now:
                if name in held and own.get(name) != now[name]:
                    raise InputError(
                        f"{self.path} holds trials of {name} as it was before its code changed: "
                        "use another --out, or change it back"
                    )
            own = dict(sorted((own | now).items()))
        if config is None:
            config = {"versions": made_with(), "device": device()}
        elif here and any(self.missing(experiment) for experiment in experiments):
            config = gone_on(self.path, config, made_with(), device())
        if own:
            config[SOURCES] = own
        if self._asked:
            self._asked |= Counter({(*net,): trials for *net, trials in config.get(ASKED, [])})
            config[ASKED] = [[*net, trials] for net, trials in sorted(self._asked.items())]
        self._write_config(config)
        # A kill may have left them in the order in which they came.
        admitted = [self._position(trial) for trial in self._held if trial in self._position_of]
        self._in_order = self._in_order and admitted == sorted(admitted)

    def made_on(self, versions: Mapping[str, str], where: str) -> None:
        """Record the versions and the device of the rows that come next, if another process made
        them."""
        config = read_config(self.path)
        assert config is not None  # something was admitted
        if self._held:
            config = gone_on(self.path, config, versions, where)
        else:
            config |= {"versions": versions, "device": where}
        self._write_config(config)

    def _write_config(self, config: Mapping[str, Any]) -> None:
        text = json.dumps(config, indent=2).encode() + b"\n"
        if not (self.path / CONFIG).exists() or (self.path / CONFIG).read_bytes() != text:
            write_whole(self.path / CONFIG, text)

    def rows_of(self, experiment: Experiment) -> list[Row]:
        """The rows that it holds of an experiment's trials, in order."""
        return [self._held[one] for one in experiment.tickets() if one in self._held]

    def missing(self, experiment: Experiment) -> list[Ticket]:
        """The experiment's trials that it does not hold."""
        return [one for one in experiment.tickets() if one not in self._held]

    def add(
        self, rows: Iterable[Row], weights: Mapping[Ticket, Mapping[str, np.ndarray]] | None = None
    ) -> None:
        """Add rows to ``trials.jsonl``, and the ``weights`` of each to those of the same net and
        length. On leaving they are put in the order of :attr:`rows`."""
        added, weights = {row.ticket: row for row in rows}, weights or {}
        # Before the rows: after a kill in between the trials end again, to the same bits.
        files: dict[Path, list[Ticket]] = {}
        for ticket in weights:
            files.setdefault(weights_path(self.path, ticket.experiment), []).append(ticket)
        for path, tickets in files.items():
            held = weights_held(self.path, tickets[0].experiment)
            held |= {ticket: dict(weights[ticket]) for ticket in tickets}
            write_weights(path, {one: held[one] for one in sorted(held, key=self._position)})
        is_more = self._appends and not added.keys() & self._held.keys()
        self._held |= added
        self._in_order = False
        if is_more:
            append(self.path / ROWS, lines_of(added.values(), self._last))
            self._last = [self._last, *(row.experiment for row in added.values())][-1]
        else:  # or what a kill has left of a line would stand before it
            self._write_rows()

    def _write_rows(self) -> None:
        """The whole file anew, in order."""
        self._sort()
        write_whole(self.path / ROWS, lines_of(self._held.values()))
        self._last = [None, *(one for one, _ in self._held)][-1]
        self._appends = self._in_order = True

    def _sort(self) -> None:
        if not self._in_order:
            self._held = {key: self._held[key] for key in sorted(self._held, key=self._position)}

    def _position(self, trial: Ticket) -> tuple[int, int, int]:
        """What rows and weights are sorted by: the last call that named them, the experiment in it,
        and the trial."""
        admitted = self._position_of.get(trial)
        return (0, 0, 0) if admitted is None else (*admitted, trial[1])

    def checkpoint(
        self, program: Experiment, before_save: Callable[[], None], part: str = ""
    ) -> CheckpointFile:
        """Where the trials under way of a program go, or of one ``part`` of them."""
        path = self.path / name_of("checkpoint", program)
        return CheckpointFile(path, part, lambda ticket: ticket not in self._held, before_save)
