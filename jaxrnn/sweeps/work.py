"""What has to be trained, and its results: of some experiments, or of searches."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.report.summary import Rows
from jaxrnn.store.archives import CheckpointFile
from jaxrnn.store.rows import Row, make_row
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.training.members import Tally

Found = TypeVar("Found")

Weights = Mapping[str, np.ndarray]
OnStart = Callable[[Experiment], None]
OnChunk = Callable[[Experiment, Tally], None]
OnRows = Callable[[Experiment, list[Row], bool], None]
"""Is told of an experiment's rows, and whether some of them are new."""


class Job(NamedTuple):
    """Some trials of an experiment that are to be trained."""

    experiment: Experiment
    trials: tuple[int, ...]
    checkpoint: CheckpointFile

    @property
    def most_steps(self) -> int:
        """The time steps of its trials if each goes on to its cap, about."""
        return len(self.trials) * self.experiment.length * self.experiment.max_steps


Fits = Callable[[Sequence[Job], float], bool]
"""``fits(jobs, left)``: whether one batch may have these jobs while ``left`` time steps wait, if
each trial goes on to its cap."""


class Work:
    """The jobs of some experiments for a trainer, which reports on their progress; their rows are
    written to a run directory."""

    def __init__(
        self,
        experiments: Iterable[Experiment],
        directory: RunDirectory,
        *,
        on_start: OnStart = lambda experiment: None,
        on_chunk: OnChunk = lambda experiment, tally: None,
        on_rows: OnRows = lambda experiment, rows, new: None,
        keep_weights: bool = False,
        here: bool = True,
    ) -> None:
        """Tell ``on_rows`` of the experiments whose trials are all there.

        ``here`` says that this process trains the others; raises InputError as the directory does.
        """
        # From each experiment as rows have it to the experiment as it was given.
        self._given = {settled(experiment): experiment for experiment in experiments}
        self._directory = directory
        self._on_start, self._on_chunk, self._on_rows = on_start, on_chunk, on_rows
        directory.admit(list(self._given), keep_weights, here=here)
        to_run = directory.to_run(list(self._given))
        self._waiting: dict[Experiment, list[Job]] = {}  # by what one batch can train
        for experiment, trials in to_run.items():
            job = Job(experiment, trials, directory.checkpoint(experiment, trials))
            self._waiting.setdefault(experiment.batch(), []).append(job)
        # Experiments whose missing trials all belong to another experiment, too, and are run with
        # it.
        self._with_others: list[Experiment] = []
        for experiment in self._given:
            if not directory.missing(experiment):
                self._tell(experiment, False)
            elif experiment not in to_run:
                self._with_others.append(experiment)

    def next(self, last: bool = False) -> Job | None:
        """The first job that waits, or the last one; None where none waits now. Each is given once,
        and those that one batch can train stand together."""
        if not self._waiting:
            return None
        batch = next(reversed(self._waiting) if last else iter(self._waiting))
        return self._take(batch, -1 if last else 0)

    def beside(self, job: Job, fits: Fits) -> list[Job]:
        """Other jobs that one batch can train with this one, which ``next`` gave, as many as fit;
        they wait no longer."""
        batch, jobs = job.experiment.batch(), [job]
        left = self.most_steps() if batch in self._waiting else 0
        while batch in self._waiting:
            more = self._waiting[batch][0]
            left -= more.most_steps
            if not fits([*jobs, more], left):
                break
            jobs.append(self._take(batch, 0))
        return jobs[1:]

    def most_steps(self) -> int:
        """The time steps of all that waits if each trial goes on to its cap, about."""
        return sum(one.most_steps for jobs in self._waiting.values() for one in jobs)

    def _take(self, batch: Experiment, place: int) -> Job:
        """The job at this place among those of a batch, which waits no longer."""
        job = self._waiting[batch].pop(place)
        if not self._waiting[batch]:
            del self._waiting[batch]
        return job

    def on_start(self, job: Job) -> None:
        """A job's program is about to be compiled, or used where it was compiled ahead; or the job
        begins in a batch that is being trained."""
        self._on_start(self._given[job.experiment])

    def on_chunk(self, job: Job, tally: Tally) -> None:
        """A chunk of a job has been read."""
        self._on_chunk(self._given[job.experiment], tally)

    def on_end(
        self,
        job: Job,
        outcomes: Sequence[Outcome],
        weights: Weights | None,
        made_on: tuple[Mapping[str, str], str] | None = None,
    ) -> None:
        """Add the rows, and the weights if they are kept. Trials without an outcome are left in the
        job's checkpoint. ``made_on`` are its versions and its device, if another process ran it."""
        if made_on is not None:
            self._directory.made_on(*made_on)
        self._directory.add([make_row(job.experiment, outcome) for outcome in outcomes], weights)
        if len(outcomes) < len(job.trials):
            self._directory.leave(job.checkpoint)
        self._tell(job.experiment, True)

    def rows(self) -> list[Row]:
        """All rows of the directory, when everything has ended."""
        for experiment in self._with_others:
            self._tell(experiment, True)
        return self._directory.rows

    def _tell(self, experiment: Experiment, is_new: bool) -> None:
        directory = self._directory
        if not directory.missing(experiment):
            directory.checkpoint(experiment).delete()  # a kill after the rows may have left it
        self._on_rows(self._given[experiment], directory.rows_of(experiment), is_new)


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


class Searches:
    """The jobs of several searches, no two of which ask for the same; as :class:`Work`, but an end
    may bring new jobs: ask again after every end, until none waits and none is under way.

    A search goes on as soon as its own rows are there. The next one begins only when all before it
    wait for rows. From the end it is the other way round. So each share of the devices keeps to one
    search as long as it can, whose programs it has compiled, and searches end one after another.
    """

    def __init__(
        self, searches: Sequence[Search[Found]], work_of: Callable[[list[Experiment]], Work]
    ) -> None:
        """``work_of`` checks experiments, and gives the work of those that can be run."""
        self._searches, self._work_of = searches, work_of
        self._works: dict[int, Work | None] = {}  # of each search that has begun; None: it is over
        self._under_way: dict[Experiment, int] = {}

    def next(self, last: bool = False) -> Job | None:
        """See :class:`Work`."""
        numbers = range(len(self._searches))
        for number in reversed(numbers) if last else numbers:
            if number not in self._works:
                self._go_on(number)
            work = self._works[number]
            if work is not None and (job := work.next(last)) is not None:
                self._under_way[job.experiment] = number
                return job
        return None

    def beside(self, job: Job, fits: Fits) -> list[Job]:
        """See :class:`Work`. A search that has not begun counts as much as the batch."""
        number = self._under_way[job.experiment]
        others = [work for k, work in self._works.items() if work is not None and k != number]
        elsewhere = sum(work.most_steps() for work in others)
        to_begin = len(self._searches) - len(self._works)

        def fits_among_all(jobs: Sequence[Job], left: float) -> bool:
            more = to_begin * sum(one.most_steps for one in jobs)
            return fits(jobs, left + elsewhere + more)

        jobs = self._work(job).beside(job, fits_among_all)
        self._under_way |= {one.experiment: number for one in jobs}
        return jobs

    def on_start(self, job: Job) -> None:
        """See :class:`Work`."""
        self._work(job).on_start(job)

    def on_chunk(self, job: Job, tally: Tally) -> None:
        """See :class:`Work`."""
        self._work(job).on_chunk(job, tally)

    def on_end(
        self,
        job: Job,
        outcomes: Sequence[Outcome],
        weights: Weights | None,
        made_on: tuple[Mapping[str, str], str] | None = None,
    ) -> None:
        """Add the rows, and have the search go on if these were the last of what it asked for."""
        work, number = self._work(job), self._under_way.pop(job.experiment)
        work.on_end(job, outcomes, weights, made_on)
        # Others may be under way whose trials all belong to those that have ended.
        if number not in self._under_way.values() and not self._searches[number].lacks():
            work.rows()
            self._go_on(number)

    def _work(self, job: Job) -> Work:
        work = self._works[self._under_way[job.experiment]]
        assert work is not None, "a search is over only when its jobs are"
        return work

    def _go_on(self, number: int) -> None:
        asked = self._searches[number].go_on()
        self._works[number] = self._work_of(asked) if asked else None


Jobs = Work | Searches
