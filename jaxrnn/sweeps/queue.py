"""The queue: the tickets of experiments and of searches, by program, and the rows they end as."""

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
"""Asks for the trials of some experiments, gets their rows, in the end says what it found. If it
asks for none, it waits until another generator of its search has gone on."""


JOB = 9
"""A job for another process takes further experiments of a program until it has so many trials."""


def rows_of(experiments: Iterable[Experiment], directory: RunDirectory) -> Rows:
    """The rows that a directory holds of some experiments; of equal ones once."""
    asked = dict.fromkeys(map(settled, experiments))
    return Rows(row for one in asked for row in directory.rows_of(one))


@dataclass(eq=False)
class _Strand(Generic[Found]):
    """One generator of a search."""

    asking: Asking[Found]
    asked: list[list[Experiment]] = field(default_factory=list)  # so far; the last may be lacking
    found: list[Found] = field(default_factory=list)  # what it found, once it is over
    has_waited: bool = False  # for a trial


class Search(Generic[Found]):
    """Generators that ask for trials side by side, and what a run directory has of these."""

    def __init__(
        self,
        askings: Sequence[Asking[Found]],
        directory: RunDirectory,
        on_found: Callable[[Found, bool], None] | None = None,
    ) -> None:
        """Nothing is asked for yet. ``on_found`` is told what each generator has found, and whether
        it has waited for a trial. Without it the trials are told of instead."""
        self._strands = [_Strand(asking) for asking in askings]
        self._directory, self.on_found = directory, on_found

    @property
    def asked(self) -> list[Experiment]:
        """All experiments so far, generator by generator."""
        return [one for strand in self._strands for asked in strand.asked for one in asked]

    @property
    def found(self) -> list[Found]:
        """What the generators that are over have found."""
        return [found for strand in self._strands for found in strand.found]

    def go_on(self) -> list[Experiment]:
        """What is asked for next that the directory has not all of."""
        new: list[Experiment] = []
        is_moving = True
        while is_moving:  # one may wait for what another finds
            went_on = [self._asks(strand, new) for strand in self._strands if not strand.found]
            is_moving = any(went_on)
        return new

    def _asks(self, strand: _Strand[Found], new: list[Experiment]) -> bool:
        """Have a generator ask on, until the directory lacks something; whether it did."""
        before = len(strand.asked)
        while not self._lacks(strand):
            try:
                rows = rows_of(strand.asked[-1], self._directory) if strand.asked else None
                asked = strand.asking.send(rows)  # type: ignore[arg-type]  # None begins it
            except StopIteration as end:
                strand.found.append(end.value)
                if self.on_found is not None:
                    self.on_found(end.value, strand.has_waited)
                return True
            if not asked and strand.asked and not strand.asked[-1]:
                break  # it waits still
            strand.asked.append(asked)
            if self._lacks(strand):
                strand.has_waited = True
                new += asked
        return len(strand.asked) > before

    def _lacks(self, strand: _Strand[Found]) -> bool:
        """Whether the directory lacks a trial of what a generator asked for last."""
        last = strand.asked[-1] if strand.asked else []
        return any(self._directory.missing(settled(one)) for one in last)


class Once(Search[None]):
    """Asks for some experiments once, also for those that the directory has."""

    def __init__(self, experiments: list[Experiment], directory: RunDirectory) -> None:
        """Nothing is asked for yet."""
        super().__init__((), directory)
        self._experiments = experiments

    def go_on(self) -> list[Experiment]:
        """All of them, the first time."""
        asked, self._experiments = self._experiments, []
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
        way; for somebody who trains them elsewhere and hands them to :meth:`add`. Experiments of
        few trials share a job, since each job is compiled by itself."""
        while (program := self.next()) is not None:
            jobs: list[list[Ticket]] = []
            while program.waiting:
                ticket = program.waiting.popleft()
                is_next = not jobs or self._asked[ticket][0] is not self._asked[jobs[-1][-1]][0]
                if is_next and (not jobs or len(jobs[-1]) >= JOB):
                    jobs.append([])
                jobs[-1].append(ticket)
            self.over(program)
            for tickets in jobs:
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
            self._tell(asked, True)
        for number in dict.fromkeys(asked.search for asked in over):
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
            self._tell(one, True)

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
            if self.watch is not None and self.searches[number].on_found is None:
                self.watch.expect(len(every))
        for one, given in every.items():
            missing = self.directory.missing(one)
            asked = _Asked(given, number, set(missing))
            if not missing:
                self._tell(asked, False)
                continue
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

    def _tell(self, asked: _Asked, is_new: bool) -> None:
        if self.watch is not None and self.searches[asked.search].on_found is None:
            rows = self.directory.rows_of(settled(asked.given))
            self.watch.on_rows(asked.given, rows, is_new)
