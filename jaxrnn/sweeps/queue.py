"""The queue: the tickets of experiments and of searches, by program, and the rows they end as."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from jaxrnn.experiment import Experiment, Ticket
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.report.summary import Rows
from jaxrnn.store.archives import CheckpointFile
from jaxrnn.store.rows import make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.watch import Watch
from jaxrnn.trained import arrays_of
from jaxrnn.training.tickets import Ended, Tally, Tickets

Found = TypeVar("Found")

Asking = Generator[list[Experiment], Rows, Found]
"""Asks for the trials of some experiments, gets their rows, in the end says what it found."""


def rows_of(experiments: Iterable[Experiment], directory: RunDirectory) -> Rows:
    """The rows that a directory holds of some experiments; of equal ones once."""
    asked = dict.fromkeys(map(settled, experiments))
    return Rows(row for one in asked for row in directory.rows_of(one))


class Search(Generic[Found]):
    """A search, and what a run directory has of what it asks for."""

    def __init__(self, asking: Asking[Found], directory: RunDirectory) -> None:
        """Nothing is asked for yet."""
        self._asking, self._directory = asking, directory
        self.asked: list[list[Experiment]] = []  # so far
        self.found: list[Found] = []  # what it found, once it is over

    def lacks(self) -> bool:
        """Whether the directory lacks a trial of what was asked for last."""
        last = self.asked[-1] if self.asked else []
        return any(self._directory.missing(settled(one)) for one in last)

    def go_on(self) -> list[Experiment]:
        """What it asks for next that the directory has not all of; nothing once it is over."""
        while not self.found and not self.lacks():
            try:
                if self.asked:
                    asked = self._asking.send(rows_of(self.asked[-1], self._directory))
                else:
                    asked = next(self._asking)
                self.asked.append(asked)
            except StopIteration as end:
                self.found.append(end.value)
        return [] if self.found else self.asked[-1]


class Once(Search[None]):
    """Asks for some experiments once, also for those that the directory has."""

    def __init__(self, experiments: list[Experiment], directory: RunDirectory) -> None:
        """Nothing is asked for yet."""
        super().__init__(iter(()), directory)  # type: ignore[arg-type]  # which nobody asks
        self._experiments = experiments

    def go_on(self) -> list[Experiment]:
        """All of them, the first time."""
        asked = [] if self.asked else self._experiments
        self.asked.append(asked)
        return asked


@dataclass(eq=False)
class _Asked:
    """An experiment that a search has asked for, and which of its trials are still to end."""

    given: Experiment
    search: int  # its number
    missing: set[Ticket]


@dataclass(eq=False, kw_only=True)
class Program(Tickets):
    """The tickets of a program, in a queue of several."""

    key: Experiment  # Experiment.batch() of each
    is_taken: bool = False  # by somebody who trains them, and those that come meanwhile


class Queue:
    """What searches ask for: tickets, by program; a search goes on when its own have ended.

    The next search begins only when all before it wait for rows. From the end it is the other way
    round. So whoever takes programs from one side keeps to one search as long as it can, and
    searches end one after another. If two searches ask for the same trial, it is run once.
    """

    def __init__(
        self,
        searches: Sequence[Search[Any]],
        directory: RunDirectory,
        *,
        check: Callable[[Experiment], None] = lambda experiment: None,
        watch: Watch | None = None,
        keep_weights: bool = False,
        here: bool = True,
    ) -> None:
        """``check`` refuses experiments that cannot be run; ``here`` says that this process trains
        them."""
        self.searches, self.directory, self.watch = searches, directory, watch
        self._check, self._admit = check, {"keep_weights": keep_weights, "here": here}
        self._keep_weights = keep_weights
        self._programs: dict[Experiment, Program] = {}
        self._begun: set[int] = set()  # numbers of searches
        self._asked: dict[Ticket, list[_Asked]] = {}  # by the trials that are still to end
        self._ended: dict[Ticket, Outcome] = {}  # that are not written yet
        self._weights: dict[Ticket, Mapping[str, np.ndarray]] = {}  # of these

    def next(self, last: bool = False) -> Program | None:
        """The first program with tickets that wait and that nobody has taken, or the last one; None
        where there is none now. Whoever takes it hands it back to :meth:`over`."""
        numbers = range(len(self.searches))
        for number in reversed(numbers) if last else numbers:
            if number not in self._begun:
                self._begun.add(number)
                self._go_on(number)
            if waiting := [
                program
                for program in self._programs.values()
                if not program.is_taken
                and any(one.search == number for of in program.waiting for one in self._asked[of])
            ]:
                program = waiting[-1 if last else 0]
                program.is_taken = True
                return program
        return None

    def over(self, program: Program) -> None:
        """Nobody trains these tickets any more; some may have come since."""
        program.is_taken = False
        if not program.waiting:
            del self._programs[program.key]
            self.write()
            self.directory.checkpoint(program.key, self.write).sweep()

    def jobs(self) -> Iterator[tuple[list[Ticket], CheckpointFile]]:
        """All tickets that wait, those of an experiment together, with the file for those under
        way; for somebody who trains them elsewhere and hands them to :meth:`add`."""
        while (program := self.next()) is not None:
            jobs: dict[int, list[Ticket]] = {}
            while program.waiting:
                ticket = program.waiting.popleft()
                jobs.setdefault(id(self._asked[ticket][0]), []).append(ticket)
            self.over(program)
            for tickets in jobs.values():
                part = hashlib.sha256(repr(tickets[0]).encode()).hexdigest()[:8]
                yield tickets, self.directory.checkpoint(program.key, self.write, part)

    def shown(self, first: Ticket, tally: Tally) -> None:
        """Show the progress of a job."""
        if self.watch is not None:
            self.watch.on_chunk(first, tally)

    def stopped(self, first: Ticket, checkpoint: CheckpointFile) -> None:
        """A job is over."""
        self.write()
        checkpoint.sweep()
        if self.watch is not None:
            self.watch.on_stop(first)

    def on_end(self, ended: Ended) -> None:
        """Keep how trials ended, with their weights if these are kept."""
        weights = {one: arrays_of(end.params) for one, end in ended if self._keep_weights}
        self.add(dict(ended), weights)

    def add(
        self, ended: Mapping[Ticket, Outcome], weights: Mapping[Ticket, Mapping[str, np.ndarray]]
    ) -> None:
        """Keep how trials ended, but for those that it knows already. Their rows are written with
        the next checkpoint, or once an experiment has ended. Then a search may go on."""
        over: list[_Asked] = []
        for ticket in ended:
            if ticket not in self._asked:
                continue
            self._ended[ticket] = ended[ticket]
            if ticket in weights:
                self._weights[ticket] = weights[ticket]
            for asked in self._asked.pop(ticket):
                asked.missing.remove(ticket)
                if not asked.missing:
                    over.append(asked)
        if not over:
            return
        self.write()
        for asked in over:
            self._tell(asked.given, True)
        for number in dict.fromkeys(asked.search for asked in over):
            if not self.searches[number].lacks():
                self._go_on(number)

    def write(self) -> None:
        """Write the rows, and the weights, of all trials that have ended."""
        ended, weights = self._ended, self._weights
        self._ended, self._weights = {}, {}
        if ended:
            self.directory.add(
                [make_row(one.experiment, end) for one, end in ended.items()], weights
            )

    def close(self) -> None:
        """Write what is left, and tell of experiments that have not ended."""
        self.write()
        left = {id(one): one for asked in self._asked.values() for one in asked}
        for one in left.values():
            self._tell(one.given, True)

    def _go_on(self, number: int) -> None:
        """Have a search ask, and put what is missing into the queue."""
        self.write()  # or trials that another search has asked for may be missing
        experiments = self.searches[number].go_on()
        every = {settled(one): one for one in experiments}
        for one, given in every.items():
            if self.directory.missing(one):
                self._check(given)
        if experiments:
            self.directory.admit(list(every), **self._admit)
            if self.watch is not None:
                self.watch.expect(len(every))
        for one, given in every.items():
            missing = self.directory.missing(one)
            if not missing:
                self._tell(given, False)
                continue
            asked = _Asked(given, number, set(missing))
            for ticket in missing:
                if ticket not in self._asked:
                    self._program(one.batch()).waiting.append(ticket)
                self._asked.setdefault(ticket, []).append(asked)

    def _program(self, key: Experiment) -> Program:
        if key not in self._programs:
            program = Program(deque(), key=key, on_end=self.on_end)
            program.checkpoint = self.directory.checkpoint(key, self.write)
            self._programs[key] = program
        return self._programs[key]

    def _tell(self, given: Experiment, is_new: bool) -> None:
        if self.watch is not None:
            self.watch.on_rows(given, self.directory.rows_of(settled(given)), is_new)
