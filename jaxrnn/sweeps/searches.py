"""Searches side by side: each asks for experiments, gets their rows, and asks again."""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from jaxrnn.experiment import Experiment
from jaxrnn.outcome import Outcome
from jaxrnn.problems import settled
from jaxrnn.report.summary import Rows
from jaxrnn.store.run_directory import RunDirectory
from jaxrnn.sweeps.work import Fits, Job, Weights, Work
from jaxrnn.training.members import Tally

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
